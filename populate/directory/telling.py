"""Tells people who wait how far it is: a line every few seconds, and the last one."""

from __future__ import annotations

import sys
import time
from typing import TextIO

SECONDS = 5.0  # between two lines
TERMINAL_SECONDS = 0.1  # on a terminal, where a line takes the place of the one before


class Teller:
    """Called with what is being done; not each time anything is shown."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._seconds = TERMINAL_SECONDS if self._stream.isatty() else SECONDS
        self._next = 0.0

    def __call__(self, text: str) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + self._seconds
        if self._stream.isatty():
            print(f"\r\x1b[K{text}", end="", file=self._stream, flush=True)
        else:
            print(f"people: {text}", file=self._stream, flush=True)

    def close(self) -> None:
        """Leave a terminal in order."""
        if self._stream.isatty():
            print("\r\x1b[K", end="", file=self._stream, flush=True)
