"""Sorts more than should be in memory: what is too much waits in a temporary file that vanishes with it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator
from heapq import merge
from itertools import islice
from typing import IO

RUN = 10_000  # entries in memory at a time
BLOCK = 100  # entries of each run that are read back at a time

Entry = tuple[str | int, ...]


def in_order(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Return tuples of texts and whole numbers, sorted; all of them are taken before this returns.

    Up to `RUN` of them never touch the disk; of more, sorted runs are written down and merged.
    """
    waiting = iter(entries)
    first = sorted(islice(waiting, RUN))
    if len(first) < RUN:
        return iter(first)
    file = tempfile.TemporaryFile()  # noqa: SIM115 - `_merged` closes it
    try:
        runs = [_write(file, first)]
        del first
        while run := sorted(islice(waiting, RUN)):
            runs.append(_write(file, run))
    except BaseException:
        file.close()
        raise
    merged = _merged(file, runs)
    next(merged)  # from here on the file is closed with it, even if nobody asks for an entry
    return merged  # type: ignore[return-value]


def _merged(file: IO[bytes], runs: list[list[int]]) -> Iterator[Entry | None]:
    with file:
        yield None
        yield from merge(*(_read(file, blocks) for blocks in runs))


def _write(file: IO[bytes], run: list[Entry]) -> list[int]:
    """Append a run; return where its blocks begin."""
    begins = []
    for first in range(0, len(run), BLOCK):
        begins.append(file.tell())
        # As ASCII: names of files need not be Unicode, and come back as they were.
        file.write(json.dumps(run[first : first + BLOCK]).encode("ascii") + b"\n")
    return begins


def _read(file: IO[bytes], begins: list[int]) -> Iterator[Entry]:
    for begin in begins:
        file.seek(begin)
        yield from map(tuple, json.loads(file.readline()))
