"""How far a sync is: a bar on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any, Protocol, TextIO

from tqdm import tqdm

SECONDS = 5.0  # between two lines


class SyncProgress(Protocol):
    """Shows how far a sync is."""

    def asked(self, drives: int, total: int, items: int) -> None:
        """So many drives of all were asked, and so many items had changed."""

    def close(self) -> None:
        """Leave the terminal in order."""


class Bar:
    """A bar."""

    def __init__(self, stream: TextIO) -> None:
        self._bar: tqdm[Any] = tqdm(desc="sharing", unit=" drives", file=stream)

    def asked(self, drives: int, total: int, items: int) -> None:
        self._bar.n, self._bar.total = drives, total
        self._bar.set_postfix_str(f"{items:,} items changed")

    def close(self) -> None:
        self._bar.close()


class Lines:
    """Plain lines: the first at once, then now and then, and the last."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._latest = self._told = ""
        self._next = 0.0

    def asked(self, drives: int, total: int, items: int) -> None:
        self._latest = f"{drives:,} of {total:,} drives asked, {items:,} items changed"
        if time.monotonic() >= self._next:
            self._print()

    def close(self) -> None:
        if self._latest != self._told:
            self._print()

    def _print(self) -> None:
        self._told, self._next = self._latest, time.monotonic() + SECONDS
        print(f"sharing: {self._latest}", file=self._stream, flush=True)


class Silent:
    """Nothing, for services."""

    def asked(self, drives: int, total: int, items: int) -> None:
        pass

    def close(self) -> None:
        pass


def sync_progress_on(stream: TextIO | None = None) -> SyncProgress:
    """Return what suits `stream`, standard error unless given."""
    stream = stream or sys.stderr
    return Bar(stream) if stream.isatty() else Lines(stream)
