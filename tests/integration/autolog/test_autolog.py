"""`@autolog` with the real cache and outbox: what is noted, and that nobody notices."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import traceback
from pathlib import Path

import pytest
from noted import cached, note, notes

from data_platform import autolog, read
from data_platform.settings import settings
from readers.cache import Cache

# --- what is noted


def test_a_call_is_noted_by_its_link() -> None:
    @autolog(source="LIMS", owner="brendan")
    def sample(barcode: str, depth: int = 1) -> dict[str, int]:
        return {"wells": depth}

    assert sample("B-12", depth=96) == {"wells": 96}
    one = note()
    assert one["function_name"].endswith("test_autolog.test_a_call_is_noted_by_its_link.sample")
    assert (one["url"], one["item_id"], one["source_system"], one["source_kind"]) == ("B-12", "B-12", "lims", "autolog")
    assert (one["account_login"], one["known_by"], one["owner_login"]) == ("amy", "setting", "brendan")
    assert one["outcome"] == "ok"
    assert one.keys().isdisjoint({"sha256", "access_size", "revision", "message"})


def test_a_returned_file_is_taken_into_the_cache(plates: Path) -> None:
    @autolog(source="lims")
    def sample(barcode: str) -> Path:
        return plates

    assert sample("B-12") is plates
    one = note()
    assert one["sha256"] == hashlib.sha256(plates.read_bytes()).hexdigest()
    assert one["access_size"] == plates.stat().st_size
    assert cached(one["sha256"]) == plates.read_bytes()


def test_a_returned_text_counts_if_it_is_the_path_of_a_file(plates: Path) -> None:
    @autolog(source="lims")
    def sample(answer: str) -> str:
        return answer

    texts = [str(plates), str(plates.parent), f"{plates}\x00", "x" * 100_000, ""]
    assert [sample(text) for text in texts] == texts
    assert ["sha256" in one for one in notes()] == [True, False, False, False, False]


def test_a_file_that_did_not_change_is_hashed_once(plates: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @autolog(source="lims")
    def sample(barcode: str) -> Path:
        return plates

    os.utime(plates, (1, 1))
    monkeypatch.setattr("readers.autolog_facts._SETTLED_SECONDS", -1e9)  # as if the change were long ago
    sample("B-12")
    received = []
    monkeypatch.setattr(Cache, "receive", lambda *_: received.append(1))
    sample("B-12")
    assert len({one["sha256"] for one in notes()}) == 1
    assert not received


def test_a_file_changed_under_the_same_size_and_time_is_another_content(plates: Path) -> None:
    @autolog(source="lims")
    def sample(barcode: str) -> Path:
        return plates

    sample("B-12")
    before = plates.stat()
    plates.write_text("well,signal\nA1,4\n")
    os.utime(plates, ns=(before.st_atime_ns, before.st_mtime_ns))
    sample("B-12")
    assert len({one["sha256"] for one in notes()}) == 2


def test_a_file_too_large_is_noted_without_its_bytes(plates: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_PLATFORM_FILE__MAX_BYTES", "3")
    settings.cache_clear()

    @autolog(source="lims")
    def sample(barcode: str) -> Path:
        return plates

    assert sample("B-12") is plates
    assert "sha256" not in note()


def test_a_file_of_this_machine_is_the_same_item_as_if_it_were_read(plates: Path) -> None:
    @autolog
    def load(path: Path) -> str:
        return path.read_text()

    @autolog
    def find(path: str) -> str:
        return path

    read(plates)
    load(plates)
    find(plates.as_uri())
    find(str(plates))
    by_read, by_load, by_link, by_path = notes()
    for one in (by_load, by_link, by_path):
        names = ("source_system", "source_kind", "item_id", "revision", "file_name", "owner_login")
        assert [one[name] for name in names] == [by_read[name] for name in names]
    assert "sha256" not in by_load
    assert "sha256" not in by_link, "what came back is no path"
    assert (by_path["sha256"], by_path["access_size"]) == (by_read["sha256"], by_read["access_size"])


def test_what_is_made_of_a_local_file_is_no_version_of_it(plates: Path, tmp_path: Path) -> None:
    @autolog
    def convert(path: Path) -> Path:
        made = tmp_path / "plates.tsv"
        made.write_text(path.read_text().replace(",", "\t"))
        return made

    convert(plates)
    one = note()
    assert one["file_name"] == "plates.csv"
    assert "sha256" not in one


def test_without_a_source_a_link_belongs_to_functions_and_no_link_stands_for_the_function() -> None:
    @autolog
    def by_link(url: str) -> None: ...

    @autolog
    def alone() -> None: ...

    by_link("https://amy:hunter2@lims.example.org/plates/B-12.csv?page=2&token=hunter2")
    alone()
    linked, lonely = notes()
    assert (linked["source_system"], linked["item_id"]) == (
        "function",
        "https://lims.example.org/plates/B-12.csv?page=2",
    )
    assert linked["file_name"] == "B-12.csv"
    assert lonely["url"] == lonely["item_id"] == lonely["function_name"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"/data/caf\xe9.csv", "/data/caf\\xe9.csv"),
        (Path("/data/x.csv"), "/data/x.csv"),
        (4711, "4711"),
        ({"rows": ["private"]}, "<dict>"),
        (["private"], "<list>"),
        ("host=db password=hunter2 user=amy", "host=db password=*** user=amy"),
        ("line\nbreak \ud800", "line\nbreak \\xed\\xa0\\x80"),
    ],
)
def test_only_what_can_be_a_link_is_kept_of_the_arguments(value: object, expected: str) -> None:
    @autolog(source="lims")
    def sample(link: object, *others: object, **options: object) -> None: ...

    sample(value, "private", password="private")
    one = note()
    assert one["url"] == expected
    assert "private" not in json.dumps(one)


def test_the_link_is_found_wherever_it_is_given() -> None:
    class Client:
        @autolog(source="lims")
        def fetch(self, barcode: str = "default") -> str:
            return barcode

        @autolog(source="lims", url="barcode")
        def depth_first(self, depth: int, *, barcode: str) -> str:
            return barcode

        @autolog(source="lims")
        @staticmethod
        def plain(barcode: str) -> str:
            return barcode

        @classmethod
        @autolog(source="lims")
        def of_class(cls, barcode: str) -> str:
            return barcode

        @autolog(source="lims", url="where")
        def by_keyword(self, **options: str) -> str:
            return options["where"]

    client = Client()
    client.fetch("a")
    client.fetch(barcode="b")
    client.fetch()
    client.depth_first(3, barcode="c")
    client.plain("d")
    Client.of_class("e")
    client.by_keyword(where="f")
    assert [one["url"] for one in notes()] == ["a", "b", "default", "c", "d", "e", "f"]


# --- errors


class Refused(Exception):
    """An error of the user's own."""


def test_an_error_of_the_user_reaches_them_unchanged_and_is_noted() -> None:
    error = Refused("no entry with password=hunter2")

    @autolog(source="lims")
    def sample(barcode: str) -> None:
        raise error

    with pytest.raises(Refused) as caught:
        sample("B-12")
    assert caught.value is error
    assert error.__context__ is None
    assert error.__cause__ is None
    frames = traceback.extract_tb(caught.tb)
    assert frames[-1].line == "raise error"
    assert sum("readers" in Path(frame.filename).parts for frame in frames) == 1
    one = note()
    assert (one["outcome"], one["message"], one["item_id"]) == ("Refused", "no entry with password=***", "B-12")


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_an_interruption_is_noted_and_passes(error: type[BaseException]) -> None:
    @autolog(source="lims")
    def sample(barcode: str) -> None:
        raise error

    with pytest.raises(error):
        sample("B-12")
    assert note()["outcome"] == error.__name__


def test_a_missing_file_makes_no_item_of_nothing(tmp_path: Path) -> None:
    @autolog
    def load(path: Path) -> str:
        return path.read_text()

    with pytest.raises(FileNotFoundError):
        load(tmp_path / "missing.csv")
    one = note()
    assert (one["outcome"], one["url"]) == ("FileNotFoundError", str(tmp_path / "missing.csv"))
    assert "item_id" not in one


def test_a_note_that_fails_is_told_once_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    @autolog(source="lims")
    def sample(barcode: str) -> str:
        return barcode.lower()

    monkeypatch.setenv("DATA_PLATFORM_OUTBOX__SEGMENT_BYTES", "not a number")
    settings.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert [sample("B-12"), sample("B-13")] == ["b-12", "b-13"]
    (told,) = caplog.records
    assert "outbox.segment_bytes" in told.getMessage()


def test_a_cache_that_takes_nothing_costs_only_the_bytes(
    plates: Path, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    @autolog(source="lims")
    def sample(barcode: str) -> Path:
        return plates

    home.mkdir()
    (home / "cache").write_text("a file where the folder should be")
    with caplog.at_level(logging.WARNING):
        assert sample("B-12") is plates
    assert "sha256" not in note()
    assert "will not be backed up" in caplog.text
