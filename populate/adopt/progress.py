"""How far an adopt is: bars on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Protocol, TextIO

if TYPE_CHECKING:
    from tqdm import tqdm

SECONDS = 5.0  # between two lines


class AdoptProgress(Protocol):
    """Shows how far an adopt is."""

    def looked(self, files: int, size: int) -> None:
        """So many files with so many bytes were found so far."""

    def taken(self, files: int, total: int) -> None:
        """So many files of all that are to be taken in were dealt with."""

    def close(self) -> None:
        """Leave the terminal in order."""


class Bars:
    """A counter while the share is surveyed, then a bar."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._bars: dict[str, tqdm[Any]] = {}

    def looked(self, files: int, size: int) -> None:
        bar = self._bar("found", None)
        bar.n = files
        bar.set_postfix_str(f"{size / 1e9:,.1f} GB")

    def taken(self, files: int, total: int) -> None:
        bar = self._bar("taken in", total)
        bar.n, bar.total = files, total
        bar.refresh()

    def close(self) -> None:
        for bar in self._bars.values():
            bar.close()

    def _bar(self, name: str, total: int | None) -> tqdm[Any]:
        from tqdm import tqdm  # only a terminal needs it

        if name not in self._bars:
            self._bars[name] = tqdm(desc=f"{name:8}", total=total, unit=" files", file=self._stream)
        return self._bars[name]


class Lines:
    """Plain lines: the first and last news of each phase at once, those between them now and then."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._latest = ""
        self._told = ""
        self._next = 0.0

    def looked(self, files: int, size: int) -> None:
        self._say(f"{files:,} files found, {size:,} bytes")

    def taken(self, files: int, total: int) -> None:
        if "taken in" not in self._latest:
            self.close()
            self._next = 0.0
        self._say(f"{files:,} of {total:,} files taken in")

    def close(self) -> None:
        if self._latest != self._told:
            self._print()

    def _say(self, text: str) -> None:
        self._latest = text
        if time.monotonic() >= self._next:
            self._print()

    def _print(self) -> None:
        self._told, self._next = self._latest, time.monotonic() + SECONDS
        print(f"adopt: {self._latest}", file=self._stream, flush=True)


def adopt_progress_on(stream: TextIO | None = None) -> AdoptProgress:
    """Return what suits `stream`, standard error unless given."""
    stream = stream or sys.stderr
    return Bars(stream) if stream.isatty() else Lines(stream)
