"""Random worlds of a few files and people who may know some of them, and all that an index answers about them."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any, Protocol

import pytest
from hypothesis import strategies as st

from populate.search.engine import Engine, in_sample
from populate.search.finding import Request, completions, find
from populate.search.question import SAMPLE, SPARSE
from populate.search.views import Facts, Name, account_term, document, group_term, terms_of
from populate.who.asker import FOREVER
from schemas.identity import identity

TODAY = date(2026, 6, 1)
DAYS = [date(2026, 5, 1) + timedelta(days=n) for n in range(0, 30, 10)]
WORDS = ("plate", "plates", "flow", "lung", "trial", "layoffs", "itx 47213", "csv")
TERMS = (*map(account_term, "123"), *map(group_term, "12"))
TEXTS = (
    "plate",
    "flow lung",
    "layofs",
    "trail plate",
    "itx",
    "lay",
    "carol",
    "nothing",
    "",
    "a flow of plates in lungs",
)

names = st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(WORDS)), min_size=1, max_size=3)
audiences = st.dictionaries(
    st.sampled_from(TERMS),
    st.tuples(st.sampled_from([date(2026, 4, 1), *DAYS, FOREVER]), st.sampled_from(["", "x", "y"])),
    max_size=4,
)
files = st.tuples(names, audiences, st.sampled_from(["", "", "open", "default"]), st.integers(0, 9))
worlds = st.lists(files, min_size=1, max_size=7)
askers = st.tuples(st.lists(st.sampled_from("1234"), max_size=2), st.lists(st.sampled_from("12"), max_size=2))


def facts(number: int, file: Any) -> Facts:
    called, audience, choice, readers = file
    return Facts(
        f"{number:032x}",
        "nfs/filer",
        tuple(Name(day, f"{one}.csv", f"/{two}/{one}.csv") for day, (one, two) in zip(DAYS, called, strict=False)),
        audience=audience,
        content="x",
        choice=choice,
        owner_id="c" * 32,
        owner="Carol",
        department="Clinic",
        readers={"Clinic": readers} if readers else {},
        last_read=TODAY if readers else None,
        labels=(("tag", "lungs"),) if number % 2 else (),
        contents={"x": (("column", "dose"),), "y": (("column", "layoffs"),)},
    )


SPOKEN = ("plate", "plates", "platelets", "plateset", "flow", "lung", "trial", "studies", "study", "csv")
ASKED = (
    *("plate", "plate flow", "plates lung", "plates ", "plates csv plate", "studies csv", "studi csv ", "platte flow"),
    *("lung trial plate", "lung plates flow csv ", "", "lun"),
)


def read_files(seed: int, number: int) -> list[Facts]:
    """Return files with names of the same few words, read by few or many, long ago or lately; half are account 1's."""
    chance = random.Random(seed)
    return [_read_file(chance, seed, one) for one in range(number)]


def _read_file(chance: random.Random, seed: int, number: int) -> Facts:
    one, two, three = (chance.choice(SPOKEN) for _ in range(3))
    readers = {"Clinic": chance.randrange(1, 200)} if chance.random() < seed / 4 else {}
    return Facts(
        identity("file", str(number)),
        "nfs/filer",
        (Name(DAYS[0], f"{one} {two}.csv", f"/{three}/{one} {two}.csv"),),
        audience={account_term(chance.choice("12")): (FOREVER, "")},
        owner_id="c" * 32,
        owner="Carol",
        department="Clinic",
        readers=readers,
        last_read=DAYS[0] - timedelta(days=chance.randrange(3000)) if readers else None,
    )


def answers(index: Engine, terms: tuple[str, ...], texts: Iterable[str]) -> list[Any]:
    found: list[Any] = []
    for text in texts:
        found.append(completions(index, terms, text[:3], 8))
        for facets in ({}, {"kind": ["csv"], "department": ["Clinic"]}, {"source": ["", "elsewhere"]}):
            one = find(index, terms, Request(text, facets, 20, {"Clinic": 9}, TODAY))
            found.append((one.total, one.facets, one.suggestion, one.words, one.candidates))
    return found


def known_as(file: Facts, terms: tuple[str, ...]) -> tuple[str, bool] | None:
    """Return the name that the asker knows a file by and whether only that it is there, by the rule of `who`."""
    untils = [until for term, (until, _) in file.audience.items() if term in terms]
    if found := file.choice == "open" or (file.choice == "default" and "default" in terms):
        untils.append(FOREVER)
    called = [name.name for name in file.names if untils and name.since <= max(untils)]
    return (called[-1], found and len(untils) == 1) if called else None


class Filled(Protocol):
    """Returns an index with what is said of some files, and nothing else; what it returned before is not used then."""

    def __call__(self, some: Iterable[Facts]) -> Engine: ...


def see_that_what_may_not_be_known_takes_no_part(
    filled: Filled, world: list[Any], terms: tuple[str, ...], texts: list[str]
) -> None:
    everything = [facts(number, file) for number, file in enumerate(world)]
    known = {file.file_id: name for file in everything if (name := known_as(file, terms))}
    whole = filled(everything)
    found = find(whole, terms, Request("", {}, 20, {}, TODAY))
    shown = {one.file_id: (one.about["name"], one.about["limited"]) for one in found.candidates}
    assert shown == known
    assert found.total == len(found.candidates) == len(known)  # none twice
    assert not any(one.about["path"] or one.about["readers"] for one in found.candidates if one.about["limited"])
    of_whole = answers(whole, terms, texts)
    assert of_whole == answers(filled(file for file in everything if file.file_id in known), terms, texts)


def see_that_few_are_scored(monkeypatch: pytest.MonkeyPatch, from_on: int) -> None:
    """Have few scored where so many fit, as where very many do; of few files all tell how many have which prior."""
    for engine in ("index", "server"):
        monkeypatch.setattr(f"populate.search.{engine}_questions.ALL_SCORED", from_on)
    monkeypatch.setattr("populate.search.server_questions.SPARSE", 1)
    monkeypatch.setattr("populate.search.closest.SURPLUS", 1)


def see_that_which_of_very_many_are_looked_at_does_not_depend_on_the_others(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("populate.search.question.CLOSE", (20,))
    monkeypatch.setattr("populate.search.finding.MANY", 10)
    see_that_few_are_scored(monkeypatch, 10)
    monkeypatch.setattr("populate.search.question.ENOUGH", 5)
    mine, others = ({account_term(who): (FOREVER, "")} for who in "12")
    seen = [facts(n, ([(f"plate {n % 7}", "flow")], mine, "", n % 3)) for n in range(150)]
    hidden = [facts(1000 + n, ([("plate", "lung")], others, "", 9)) for n in range(100)]
    request, terms = Request("plate 3", {}, 10, {}, TODAY), terms_of("1", "", "known")
    alone = filled(seen)
    one = find(alone, terms, request)
    assert not find(alone, terms, request._replace(text="nothing")).estimated
    among = filled([])
    for start in range(10):  # lies in other places, in pieces
        among.put([document(file) for file in (*hidden[start::10], *reversed(seen[start::10]))])
    other = find(among, terms, request)
    sampled = sum(in_sample(file.file_id, SAMPLE) and file.names[0].name == "plate 3.csv" for file in seen)
    assert one.total == other.total == SAMPLE * sampled != 0
    assert one.facets["kind"] == other.facets["kind"] == [("csv", SAMPLE * sampled)]
    assert one.estimated
    assert one.words == other.words
    assert [x.file_id for x in one.candidates] == [x.file_id for x in other.candidates] != []


def see_that_the_more_files_fit_the_sparser_the_sample_that_counts_them(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("populate.search.question.CLOSE", (20,))
    monkeypatch.setattr("populate.search.finding.MANY", 10)
    see_that_few_are_scored(monkeypatch, 10)
    mine = {account_term("1"): (FOREVER, "")}
    files = [facts(n, ([("trial" if n % 10 else "plate", "flow")], mine, "", n % 3)) for n in range(400)]
    index, terms = filled(files), terms_of("1", "", "known")
    for text, name, sample in (("flow", "", SPARSE), ("trial", "trial.csv", SPARSE), ("plate", "plate.csv", SAMPLE)):
        found = find(index, terms, Request(text, {}, 10, {}, TODAY))
        sampled = sum(
            in_sample(one.file_id, sample) for one in files if one.names[0].name == (name or one.names[0].name)
        )
        assert sampled > 0
        assert (text, found.total) == (text, sample * sampled)
        assert found.facets["kind"] == [("csv", sample * sampled)]
        assert found.estimated
