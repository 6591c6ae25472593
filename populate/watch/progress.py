"""How far the worker is: bars on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TextIO

from tqdm import tqdm

SECONDS = 5.0  # between two lines

Counts = Mapping[str, tuple[int, int]]
"""For each queue the batches that are done, and all batches."""

Counting = Callable[[], Counts]
"""Asks the database for them; not called unless they are shown."""


class Progress(Protocol):
    """Shows how far the worker is."""

    def show(self, count: Counting) -> None:
        """Show the present state, if it is time to."""

    def close(self, count: Counting) -> None:
        """Show the last state and leave the terminal in order."""


class Bars:
    """A bar for each queue."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._bars: dict[str, tqdm[Any]] = {}

    def show(self, count: Counting) -> None:
        for name, (done, total) in count().items():
            if name not in self._bars:
                if not total:
                    continue  # most queues are not used everywhere
                self._bars[name] = tqdm(desc=f"{name:8}", unit=" batches", file=self._stream, initial=done)
            bar = self._bars[name]
            bar.total, bar.n = total, done
            bar.refresh()

    def close(self, count: Counting) -> None:
        self.show(count)
        for bar in self._bars.values():
            bar.close()


class Lines:
    """A plain line, whenever something has changed and the last one is a few seconds old."""

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say = say
        self._told: dict[str, tuple[int, int]] = {}
        self._next = 0.0

    def show(self, count: Counting) -> None:
        if time.monotonic() >= self._next:
            self._tell(count())

    def close(self, count: Counting) -> None:
        self._tell(count())

    def _tell(self, counts: Counts) -> None:
        if dict(counts) == self._told:
            return
        self._told, self._next = dict(counts), time.monotonic() + SECONDS
        used = [f"{name} {done} of {total} batches" for name, (done, total) in counts.items() if total]
        self._say(", ".join(used) or "nothing was delivered yet")


def progress_on(stream: TextIO | None = None, *, logged: bool = False) -> Progress:
    """Return what suits `stream`, standard error unless given; or what logs, where lines are for programs."""
    if logged:
        return Lines(lambda text: logging.getLogger(__name__).info("%s", text))
    stream = stream or sys.stderr
    return Bars(stream) if stream.isatty() else Lines(lambda text: print(f"worker: {text}", file=stream, flush=True))
