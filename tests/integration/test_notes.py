"""Tags, notes, collections and saved searches, as each person may see them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from small_company import NOW, asking, deliver, hire, path_id

from data_platform.errors import RestrictionError
from populate.notes.collected import (
    change_collection,
    collection,
    collections_of,
    end_collection,
    make_collection,
    put_into,
    take_out,
)
from populate.notes.searches import forget_search, save_search, saved_search, saved_searches
from populate.notes.tags import add_tag, all_tags, remove_tag, tag_of, tagged, tags_in_force, tags_of
from populate.notes.texts import add_note, notes_in_force, notes_of, withdraw_note
from populate.who.asker import Asker, choose
from schemas.binding import Binding
from schemas.notes import FileTag, Note

LUNG, LIVER = path_id("/a/lung.csv"), path_id("/b/liver.csv")
EVIL = '![x](https://evil.example/?x) <img src=x onerror=alert(1)>\x1b[2J "%s" \\'


@pytest.fixture
def company(binding: Binding) -> Binding:
    """Amy owns lung.csv, which Ben read, and Cem liver.csv, which nobody else did."""
    for login in ("amy", "ben", "cem"):
        hire(login, "Screening")
    deliver(binding, [("ben", "/a/lung.csv", "amy", 1)], batch="lung")
    deliver(binding, [("cem", "/b/liver.csv", "cem", 1)], batch="liver")
    return binding


def at(company: Binding, login: str, minutes: int = 0) -> Asker:
    return asking(company, login, NOW + timedelta(minutes=minutes))


def refusal(act: Any, *arguments: Any, **options: Any) -> str:
    with pytest.raises(RestrictionError) as caught:
        act(*arguments, **options)
    return str(caught.value)


def test_tags_and_notes_are_for_whoever_may_know_the_file(company: Binding) -> None:
    amy, ben, cem = (at(company, login) for login in ("amy", "ben", "cem"))
    assert add_tag(ben, LUNG, "#ITX  47213") == add_tag(ben, LUNG, "itx 47213") == "itx 47213"
    add_tag(amy, LUNG, "cohort")
    add_tag(cem, LIVER, "cohort")
    assert len(FileTag()) == 3
    assert [(tag.name, tag.tag, tag.by) for tag in tags_of(ben, [LUNG, LIVER])] == [
        ("lung.csv", "cohort", "Amy"),
        ("lung.csv", "itx 47213", "you"),
    ]
    assert [tag.file_id for tag in tagged(ben, "Cohort")] == [LUNG]
    assert all_tags(ben) == [("cohort", 1), ("itx 47213", 1)]
    assert all_tags(cem) == [("cohort", 1)]
    # What may not be known is like what does not exist.
    assert refusal(add_tag, ben, LIVER, "mine") == refusal(add_tag, ben, "0" * 32, "mine")
    assert tags_of(ben, [LIVER]) == tags_of(ben, ["0" * 32]) == notes_of(ben, [LIVER]) == []
    assert "Somebody else gave" in refusal(remove_tag, ben, LUNG, "cohort")
    remove_tag(at(company, "amy", 1), LUNG, "itx 47213")  # it is her file
    remove_tag(at(company, "ben", 1), LUNG, "cohort", steward=True)
    assert "has no tag" in refusal(remove_tag, ben, LUNG, "cohort")
    assert tags_of(ben, [LUNG]) == []
    assert tags_in_force([LUNG, LIVER]) == [(LIVER, "cohort")]
    add_tag(at(company, "ben", 2), LUNG, "cohort")
    choose(ben, "closed")  # who does not want to be named is not
    assert [tag.by for tag in tags_of(amy, [LUNG])] == [""]

    assert "written by a file's owner" in refusal(add_note, ben, LUNG, "wrong units")
    first = add_note(amy, LUNG, f"Weights are in kg.\n{EVIL}")
    assert first != add_note(at(company, "ben", 1), LUNG, "Personal data: ask first.", steward=True)
    told = notes_of(ben, [LUNG, LIVER])
    assert [(note.text.splitlines()[0], note.said_as, note.by) for note in told] == [
        ("Personal data: ask first.", "steward", "you"),
        ("Weights are in kg.", "owner", "Amy"),
    ]
    assert told[1].text.splitlines()[1] == EVIL.replace("\x1b", "")
    second = add_note(at(company, "amy", 2), LUNG, "Weights are in lb.", replaces=first)
    assert [note.note_id for note in notes_of(amy, [LUNG])] == [second, told[0].note_id]
    assert "Somebody else wrote" in refusal(withdraw_note, ben, second)
    assert refusal(withdraw_note, cem, second) == refusal(withdraw_note, cem, "0" * 32)
    withdraw_note(ben, told[0].note_id)
    assert notes_in_force([LUNG]) == [(LUNG, "Weights are in lb.")]
    assert len(Note()) == 3
    assert "empty" in refusal(add_note, amy, LUNG, " \n ")
    assert "Shorten" in refusal(add_note, amy, LUNG, "x" * 4001)
    assert len(Note()) == 3
    stranger = asking(company, "nobody")
    assert refusal(add_tag, stranger, LUNG, "x") == refusal(add_tag, stranger, "0" * 32, "x")


def test_collections_show_each_colleague_what_they_may_know_and_searches_nothing(company: Binding) -> None:
    amy, cem = at(company, "amy"), at(company, "cem")
    kept = make_collection(cem, "Trial 7", about="What we send to the agency.")
    assert "already" in refusal(make_collection, cem, "Trial 7")
    put_into(cem, kept, LIVER)
    put_into(cem, kept, LIVER)
    assert refusal(put_into, cem, kept, LUNG) == refusal(put_into, cem, kept, "0" * 32)
    assert collections_of(amy) == []
    change_collection(at(company, "cem", 1), kept, shared=True)
    (seen,) = collections_of(amy)
    assert (seen.name, seen.about, seen.keeper, seen.mine, seen.files) == (
        "Trial 7",
        "What we send to the agency.",
        "Cem",
        False,
        (),
    )
    assert [file.name for file in collection(cem, "Trial 7").files] == ["liver.csv"]
    assert "keep no such" in refusal(put_into, amy, kept, LUNG)
    deliver(company, [("amy", "/b/liver.csv", "cem", 2)], batch="amy too")
    assert [file.path for file in collection(amy, kept).files] == ["/b/liver.csv"]
    own = make_collection(amy, "Trial 7")
    assert collection(amy, "Trial 7").collection_id == own
    assert [view.mine for view in collections_of(amy)] == [True, False]
    change_collection(at(company, "amy", 1), own, name="Lungs", about="")
    assert collection(amy, "Lungs").about == ""
    put_into(amy, own, LUNG)
    take_out(at(company, "amy", 2), own, LUNG)
    assert "is not in" in refusal(take_out, amy, own, LUNG)
    end_collection(amy, own)
    end_collection(cem, kept)
    assert collections_of(amy) == collections_of(cem) == []
    assert "no collection" in refusal(collection, amy, "Lungs")

    # Saved searches nobody else sees at all.
    save_search(amy, "mine", "lung  cohort", {"kind": ["csv", "xlsx"], "owner": []})
    save_search(at(company, "amy", 1), "mine", "lung cohort", {"kind": {"csv"}})
    save_search(amy, EVIL, "", {"department": ["Chemistry"]})
    assert [(view.name, view.text, view.facets) for view in saved_searches(amy)] == [
        (EVIL.replace("\x1b", ""), "", {"department": ["Chemistry"]}),
        ("mine", "lung cohort", {"kind": ["csv"]}),
    ]
    assert saved_searches(at(company, "ben")) == saved_searches(asking(company, "nobody")) == []
    assert "no saved search" in refusal(saved_search, at(company, "ben"), "mine")
    assert "finds everything" in refusal(save_search, amy, "all", " ", {"kind": []})
    forget_search(amy, "mine")
    assert len(saved_searches(amy)) == 1
    assert "does not know you" in refusal(save_search, asking(company, "nobody"), "x", "y")


@pytest.mark.parametrize("text", ["", "#", "a,b", "x" * 65, "\x1b"])
def test_no_tag_is_made_of(text: str) -> None:
    assert refusal(tag_of, text)
