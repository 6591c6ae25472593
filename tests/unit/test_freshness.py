"""The freshness guard: what the local file says reaches whoever reads, and what is wrong with it does not."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from data_platform.errors import SettingsError, StaleDataWarning
from data_platform.settings import Settings, load
from readers import freshness, watching
from readers.backlog import Noted
from readers.freshness import Met, Stale
from schemas.identity import account_id, file_id

SHA = "ab" * 32
HERE, THERE = file_id("file/lab", "/here.csv"), file_id("file/lab", "/there.csv")
MET = Met("file/lab", "/here.csv", "here.csv", SHA)


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(freshness, "LOOK_SECONDS", 0.0)
    freshness.file_of(tmp_path).parent.mkdir()
    return load(home=tmp_path)


def say(mine: Settings, *stale: Stale) -> None:
    write(mine, json.dumps({SHA: stale}))


def write(mine: Settings, text: str) -> None:
    """Write the file at a time of its own, which the clock of a file system may not give it."""
    path = freshness.file_of(mine.home)
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(text)
    os.utime(path, ns=(0, before + 10**9))


def test_nothing_is_known_without_the_file_or_of_other_bytes(mine: Settings) -> None:
    assert freshness.look(mine, [MET], pinned=True) is None
    say(mine, Stale("recalled", "", "wrong"))
    assert freshness.look(mine, [MET._replace(sha256="cd" * 32)], pinned=True) is None


def test_what_weighs_most_is_told_of_the_file_that_it_holds_for(mine: Settings) -> None:
    older, copy, recalled = (
        Stale("superseded", HERE, "older"),
        Stale("copy", HERE, "a copy"),
        Stale("recalled", "", "no"),
    )
    for said, pinned, told in (
        ((older,), True, older),
        ((older,), False, None),  # the source has just said that it is the present one
        ((copy, older), True, older),
        ((copy, older, recalled), False, recalled),
        ((Stale("copy", THERE, "another file's"),), False, None),
    ):
        say(mine, *said)
        assert freshness.look(mine, [MET], pinned=pinned) == (told and (MET, told))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"x": 1}', '{"x": [1]}', '{"x": [["recalled"]]}', '{"x": [["odd", "", "", ""]]}', "\0\xff"]
)
def test_an_odd_file_says_nothing(mine: Settings, text: str) -> None:
    freshness.file_of(mine.home).write_text(text)
    assert not any(freshness.known(mine).values())


def test_a_change_is_seen_and_looked_for_no_more_than_once_in_a_while(
    mine: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(mine, Stale("recalled", "", "wrong"))
    monkeypatch.setattr(freshness, "LOOK_SECONDS", 3600.0)
    assert freshness.look(mine, [MET], pinned=False) is not None
    freshness.file_of(mine.home).unlink()
    assert freshness.look(mine, [MET], pinned=False) is not None
    assert freshness.look(load(home=mine.home / "other"), [MET], pinned=False) is None


def test_a_warning_is_one_line_that_steers_no_terminal(mine: Settings) -> None:
    say(mine, Stale("recalled", "", "wrong\n\x1b[31m" + "x" * 9999))
    found = freshness.look(mine, [MET._replace(name="a\nb\x07.csv")], pinned=False)
    assert found is not None
    with pytest.warns(StaleDataWarning) as noted:
        freshness.warn(*found)
    text = str(noted[0].message)
    assert text.isprintable()
    assert text.startswith("a b\N{REPLACEMENT CHARACTER}.csv: wrong")
    assert len(text) < 700
    assert noted[0].filename == __file__


def test_a_first_read_of_recalled_bytes_is_told_by_a_mark_that_says_nothing_of_others(mine: Settings) -> None:
    right, recall = "0f" * 32, "1" * 32
    here, copy = MET, MET._replace(item_id="/there.csv")
    for file, told_of in (("", (True, True)), (HERE, (True, False))):
        mask = freshness.masked(right, SHA, recall)
        text = json.dumps({freshness.mark_of(SHA, file): [Stale("recalled", recall, "its owner recalled it.", mask)]})
        write(mine, text)
        assert SHA not in text
        assert right not in text
        found = [freshness.look(mine, [met], pinned=False) for met in (here, copy)]
        assert tuple(each is not None for each in found) == told_of
        assert found[0] == (
            here,
            Stale("recalled", "", f"its owner recalled it. The right version is sha256:{right}.", right),
        )
        assert freshness.look(mine, [MET._replace(sha256="cd" * 32)], pinned=False) is None


def test_what_is_found_out_after_a_read_is_told_with_the_next_one_and_once(mine: Settings) -> None:
    other = MET._replace(item_id="/other.csv", sha256="cd" * 32)
    assert freshness.late(mine, [MET]) == []
    say(mine, Stale("copy", HERE, "has others now"))
    assert freshness.late(mine, [other]) == []  # nothing is wrong with its bytes
    say(mine, Stale("recalled", "", "wrong"))
    (told,) = freshness.late(mine, [other])
    assert freshness.told(*told) == "here.csv (read before): wrong"
    assert freshness.late(mine, [other]) == []
    for n in range(freshness.MOST_MET + 5):
        freshness.late(mine, [other._replace(item_id=f"/{n}.csv")])
    assert len(freshness._met) == freshness.MOST_MET


def test_what_a_read_was_told_is_not_told_again_with_the_next(mine: Settings) -> None:
    other = MET._replace(item_id="/other.csv", sha256="cd" * 32)
    say(mine, Stale("recalled", "", "wrong"))
    assert freshness.late(mine, [MET], recalled=MET) == []
    say(mine, Stale("recalled", "", "wrong"))  # as every look in the background writes it anew
    assert freshness.late(mine, [other]) == []


def test_a_mark_that_makes_no_sense_recalls_the_bytes_without_a_right_version(mine: Settings) -> None:
    for odd in ("x" * 64, "0f", "-" + "1" * 63, "é"):
        write(mine, json.dumps({freshness.mark_of(SHA): [Stale("recalled", "1" * 32, "its owner recalled it.", odd)]}))
        told = freshness.look(mine, [MET], pinned=False)
        assert told == (MET, Stale("recalled", "", "its owner recalled it.", ""))


def test_a_way_that_does_not_exist_is_refused(mine: Settings) -> None:
    assert [freshness.how(way, mine) for way in (None, "latest", "error")] == ["warn", "latest", "error"]
    with pytest.raises(SettingsError, match="warn, latest, error"):
        freshness.how("ignore", mine)


def noted(**facts: object) -> Noted:
    given = {"accessed_at": "2026-05-04T08:00:00", "source_system": "file/lab", "item_id": "/here.csv", "sha256": SHA}
    who = {"account_realm": "acme", "account_login": "amy"}
    return Noted("0.segment", 64, json.dumps({**given, **who, **facts}).encode(), b"{}")


def test_the_last_bytes_that_were_read_are_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "MOST", 3)
    mine = load(home=tmp_path)
    hashes = [hashlib.sha256(bytes([n])).hexdigest() for n in range(4)]
    watching.watch(mine, [noted(sha256=sha) for sha in hashes[:3]])
    watching.watch(mine, [noted(sha256=hashes[0])])
    watching.watch(mine, [noted(sha256=hashes[3])])
    watched = watching._watched_in(tmp_path)
    assert [each.sha256 for each in watched] == [hashes[2], hashes[0], hashes[3]]
    assert watched[0] == (HERE, hashes[2], account_id("acme", "amy"))


def test_what_handed_over_no_bytes_is_not_watched(tmp_path: Path) -> None:
    mine = load(home=tmp_path)
    odd = [Noted("0.segment", 64, payload, b"") for payload in (b"", b"{", b"[]", b"1", b"null")]
    watching.watch(mine, [*odd, noted(outcome="AccessDenied"), noted(sha256=""), noted(sha256=7), noted(accessed_at=0)])
    assert len(watching._watched_in(tmp_path)) == 1  # a time that makes no sense is delivery's trouble
    (tmp_path / "freshness" / "watched.json").write_text('[["x"]]')
    assert watching._watched_in(tmp_path) == []


def test_a_right_version_is_told_to_whoever_knows_the_wrong_one() -> None:
    right, recall = "0f" * 32, "1" * 32
    mask = freshness.masked(right, SHA, recall)
    assert mask != right
    assert len(mask) == 64
    assert freshness.masked(mask, SHA, recall) == right
    assert freshness.masked(mask, "cd" * 32, recall) != right
    assert freshness.masked("", SHA, recall) == ""
    assert len({freshness.mark_of(SHA), freshness.mark_of(SHA, HERE), freshness.mark_of("cd" * 32)}) == 3
