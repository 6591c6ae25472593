"""`@autolog` on calls within calls, coroutines and threads, and what becomes of the function."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import gc
import hashlib
import inspect
import os
import sys
import threading
import typing
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from noted import note, notes

from data_platform import autolog, read
from data_platform.errors import AutologError
from data_platform.face import flush
from readers import autolog as module
from schemas.binding import Binding
from schemas.sharing import Access


class Refused(Exception):
    """An error of the user's own."""


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
