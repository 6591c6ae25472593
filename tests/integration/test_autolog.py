"""`@autolog` with the real cache and outbox: what is noted, what is not, and that nobody notices."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import gc
import hashlib
import inspect
import json
import logging
import os
import sys
import threading
import traceback
import typing
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from data_platform import autolog, read
from data_platform.errors import AutologError
from data_platform.face import flush
from data_platform.settings import settings
from readers import autolog as module
from readers import outbox as outbox_module
from readers.backlog import Backlog
from readers.cache import Cache
from schemas.binding import Binding
from schemas.sharing import Access

Note = dict[str, Any]


@pytest.fixture(autouse=True)
def _outbox_of_one_test(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("DATA_PLATFORM_OUTBOX__SHIP", "false")
    monkeypatch.setenv("DATA_PLATFORM_ACCOUNT", "amy")
    monkeypatch.setattr(module, "_warned", False)
    settings.cache_clear()
    yield
    if outbox_module._current is not None:
        outbox_module._current[1].close()


@pytest.fixture
def plates(tmp_path: Path) -> Path:
    file = tmp_path / "plates.csv"
    file.write_text("well,signal\nA1,3\n")
    return file


def notes() -> list[Note]:
    """Take the accesses noted since the last time out of the outbox."""
    backlog = Backlog(settings().outbox_folder)
    with backlog.exclusively():
        batch = backlog.take(10_000)
        backlog.done(batch)
    return sorted((json.loads(event.payload) for event in batch.events), key=lambda note: note["sequence"])


def note() -> Note:
    (one,) = notes()
    return one


def cached(sha256: str) -> bytes | None:
    limits = settings().cache
    file = Cache(settings().cache_folder, limits.max_bytes, limits.keep_seconds).open(sha256)
    if file is None:
        return None
    with file:
        return file.read()


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


# --- nesting


def test_a_read_within_is_noted_under_the_outermost_name_and_the_functions_are_not(plates: Path) -> None:
    @autolog
    def outer(study: str) -> str:
        return inner(study)

    @autolog(source="lims")
    def inner(study: str) -> str:
        return read(plates).read_text()

    outer("lung")
    one = note()
    assert one["function_name"].endswith(".outer")
    assert (one["source_kind"], one["url"]) == ("file", str(plates))


def test_functions_within_are_noted_one_by_one_and_the_outer_one_is_not() -> None:
    @autolog
    def outer(study: str) -> list[str]:
        return [sample(f"{study}-{number}") for number in range(3)]

    @autolog(source="lims")
    def sample(barcode: str) -> str:
        return fetched(barcode)

    @autolog(source="lims")
    def fetched(barcode: str) -> str:
        return barcode

    outer("B")
    found = notes()
    assert [one["url"] for one in found] == ["B-0", "B-1", "B-2"]
    assert {one["function_name"].rpartition(".")[2] for one in found} == {"outer"}
    sample("B-9")
    assert note()["function_name"].endswith(".sample")


def test_a_failed_read_within_is_noted_once(tmp_path: Path) -> None:
    @autolog
    def load(path: Path) -> str:
        return read(path).read_text()

    with pytest.raises(FileNotFoundError):
        load(tmp_path / "missing.csv")
    one = note()
    assert (one["outcome"], one["source_kind"]) == ("SourceNotFound", "file")


def test_after_a_failure_the_next_call_stands_on_its_own() -> None:
    @autolog(source="lims")
    def outer(barcode: str) -> None:
        raise Refused

    @autolog(source="lims")
    def other(barcode: str) -> None: ...

    with contextlib.suppress(Refused):
        outer("B-12")
    other("B-13")
    assert [one["function_name"].rpartition(".")[2] for one in notes()] == ["outer", "other"]


def test_recursion_is_noted_once() -> None:
    @autolog(source="lims")
    def countdown(number: int) -> int:
        return countdown(number - 1) if number else 0

    countdown(20)
    assert note()["url"] == "0"


# --- async functions and threads


def test_async_functions_side_by_side_keep_to_their_own(plates: Path) -> None:
    async def run() -> list[Any]:
        begun = asyncio.Event()

        @autolog
        async def first(study: str) -> str:
            await begun.wait()
            await asyncio.to_thread(read, plates)
            return study

        @autolog(source="lims")
        async def second(barcode: str) -> str:
            begun.set()
            await asyncio.sleep(0)
            return barcode

        @autolog(source="lims")
        async def third(barcode: str) -> None:
            await begun.wait()
            raise Refused

        calls = first("lung"), second("B-12"), third("B-13")
        return list(await asyncio.gather(*calls, return_exceptions=True))

    results = asyncio.run(run())
    assert results[:2] == ["lung", "B-12"]
    assert isinstance(results[2], Refused)
    found = {one["function_name"].rpartition(".")[2]: one for one in notes()}
    assert {name: (one["source_kind"], one["outcome"]) for name, one in found.items()} == {
        "first": ("file", "ok"),
        "second": ("autolog", "ok"),
        "third": ("autolog", "Refused"),
    }


def test_reads_gathered_within_are_noted_under_the_outer_name() -> None:
    @autolog(source="lims")
    async def sample(barcode: str) -> str:
        await asyncio.sleep(0)
        return barcode

    @autolog
    async def all_of(study: str) -> list[str]:
        return await asyncio.gather(*(sample(f"{study}-{number}") for number in range(5)))

    assert asyncio.run(all_of("B")) == [f"B-{number}" for number in range(5)]
    found = notes()
    assert {one["url"] for one in found} == {f"B-{number}" for number in range(5)}
    assert {one["function_name"].rpartition(".")[2] for one in found} == {"all_of"}


def test_a_coroutine_that_is_dropped_halfway_disturbs_nobody() -> None:
    class Never:
        def __await__(self) -> Generator[None, None, None]:
            while True:
                yield

    @autolog(source="lims")
    async def endless(barcode: str) -> None:
        await Never()

    async def run() -> None:
        task = asyncio.ensure_future(endless("B-12"))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())
    assert note()["outcome"] == "CancelledError"
    coroutine: Any = endless("B-13")
    contextvars.copy_context().run(coroutine.send, None)
    coroutine.close()  # in another context than it was begun in
    assert note()["outcome"] == "GeneratorExit"
    assert module.current_function() is None


def test_threads_keep_to_their_own() -> None:
    @autolog(source="lims")
    def sample(barcode: str) -> None:
        together.wait(60)

    together = threading.Barrier(8)
    threads = [threading.Thread(target=sample, args=(f"B-{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one["url"] for one in notes()) == [f"B-{number}" for number in range(8)]


# --- the decorated function


def test_signature_types_and_names_stay() -> None:
    def sample(barcode: str, /, depth: int = 1, *, raw: bool = False) -> list[str]:
        """Return a sample."""
        return [barcode] * depth

    decorated = autolog(source="lims")(sample)
    assert inspect.signature(decorated) == inspect.signature(sample)
    assert typing.get_type_hints(decorated) == typing.get_type_hints(sample)
    assert (decorated.__name__, decorated.__doc__) == ("sample", "Return a sample.")
    assert not inspect.iscoroutinefunction(decorated)

    async def later(barcode: str) -> None: ...

    assert inspect.iscoroutinefunction(autolog(later))


def test_a_function_written_in_c_can_be_logged() -> None:
    assert autolog(source="lims")(os.path.basename)("a/B-12") == "B-12"
    assert autolog(source="numbers")(max)(3, 4) == 4
    assert [one["url"] for one in notes()] == ["a/B-12", "3"]


def refused() -> Iterator[tuple[Any, dict[str, Any], str]]:
    def rows(path: str) -> Iterator[str]:
        yield path

    async def async_rows(path: str) -> AsyncIterator[str]:
        yield path

    def load(path: str) -> str:
        return path

    yield rows, {}, "rows is a generator"
    yield async_rows, {}, "async_rows is a generator"
    yield Refused, {}, "not a function"
    yield functools.partial(load, "x"), {}, "not a function"
    yield 3, {}, "not a function"
    yield load, {"url": "link"}, "load has no parameter 'link'"
    for name in ("", "a/b", "-x", "file:x", "x" * 65, "lims\n", "ü"):
        yield load, {"source": name}, "no name of a source"


@pytest.mark.parametrize(("decorated", "options", "text"), list(refused()))
def test_what_cannot_be_logged_is_refused_at_once(decorated: Any, options: dict[str, Any], text: str) -> None:
    with pytest.raises(AutologError, match=text) as caught:
        autolog(**options)(decorated)
    assert isinstance(caught.value, TypeError)


def test_nothing_grows_with_the_number_of_calls() -> None:
    @autolog(source="lims")
    def sample(barcode: str) -> None: ...

    for _ in range(200):
        sample("B-12")
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(2000):
        sample("B-12")
    gc.collect()
    assert sys.getallocatedblocks() - before < 1000


# --- to the end


def test_a_logged_function_ends_as_a_row(binding: Binding, plates: Path) -> None:
    @autolog(source="lims", owner="brendan")
    def sample(barcode: str) -> Path:
        return plates

    sample("B-12")
    assert flush() == 1
    row = Access.fetch1()
    assert (row["source_system"], row["item_id"], row["owner_login"], row["outcome"]) == (
        "lims",
        "B-12",
        "brendan",
        "ok",
    )
    assert row["sha256"] == hashlib.sha256(plates.read_bytes()).hexdigest()
    assert len(row["version_id"]) == len(row["file_id"]) == 32
