"""The difference between two contents, made in a limited child process; `populate.page.reply` checks what it says."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

from populate.duplicates.forms.child import attempt
from populate.duplicates.forms.recognise import Opened, recognise
from populate.page import lines, rows
from populate.page.rows import Grid
from populate.profile.columns import shortened
from populate.profile.parsing import TEXT, Reader, Sheet

CELLS = 2_000_000  # of a content, at most
SHEETS = 20

Told = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Content:
    """What can be compared of a content: tables, or text, or why neither."""

    sheets: Sequence[Grid] = ()
    text: str | None = None
    why: str = ""


def answer(opened: Opened, question: Mapping[str, Any]) -> Mapping[str, object]:
    """Return the difference between two contents, one after the other in a file, or why there is none to tell."""
    return attempt(lambda: _difference(opened, question), _opaque)


def _opaque(why: str) -> Told:
    return {"kind": "opaque", "why": shortened(why, 200)}


def _difference(opened: Opened, question: Mapping[str, Any]) -> Told:
    sizes, hashes = question["sizes"], question["sha256"]
    starts = (0, sizes[0])
    before, after = (
        recognise(_part(opened, start, size), size, sha256, _Contents())
        for start, size, sha256 in zip(starts, sizes, hashes, strict=True)
    )
    if before.sheets and after.sheets:
        return {"kind": "table", **_sheets(before.sheets, after.sheets)}
    if before.text is not None and after.text is not None:
        return {"kind": "text", **lines.difference(before.text, after.text)}
    return _opaque(before.why or after.why or "one is a table and the other is not")


def _sheets(before: Sequence[Grid], after: Sequence[Grid]) -> Told:
    """Compare sheets of the same name; of two contents with one sheet each these, whatever they are called."""
    if len(before) == len(after) == 1:
        return {"sheets": [rows.difference(before[0], after[0])], "sheets_added": [], "sheets_removed": []}
    old, new = {grid.name: grid for grid in before}, {grid.name: grid for grid in after}
    return {
        "sheets": [rows.difference(old[name], new[name]) for name in new if name in old],
        "sheets_added": [shortened(name) for name in new if name not in old],
        "sheets_removed": [shortened(name) for name in old if name not in new],
    }


class _Contents(Reader[Content]):
    """Keeps tables and texts in memory."""

    def __init__(self) -> None:
        self._text: str | None = None
        self._cells = 0

    def text(self, text: str) -> Content:
        self._text = text
        return super().text(text)

    def tables(self, kind: str, sheets: Iterable[Sheet]) -> Content:
        found = []
        for sheet in sheets:
            kept = self._rows(sheet)
            if kept is None:
                return Content(text=self._text, why=f"more than {CELLS:,} cells: too many to compare")
            found.append(Grid(sheet.name, sheet.columns, kept, sheet.comma))
            if len(found) > SHEETS:
                return Content(why=f"more than {SHEETS} sheets: too many to compare")
        return Content(sheets=found, text=self._text)

    def plain(self, text: str) -> Content:
        return Content(text=text, why=TEXT)

    def other(self, kind: str, why: str) -> Content:
        return Content(text=self._text, why=why)

    def _rows(self, sheet: Sheet) -> list[Sequence[str]] | None:
        kept = []
        for row in sheet.rows:
            self._cells += len(row)
            if self._cells > CELLS:
                return None
            kept.append(row)
        return kept


def _part(opened: Opened, start: int, size: int) -> Opened:
    return lambda: io.BufferedReader(_Part(opened(), start, size))


class _Part(io.RawIOBase):
    """A part of a file, as a file of its own: where one is does not depend on where others are in it."""

    def __init__(self, file: IO[bytes], start: int, size: int) -> None:
        super().__init__()
        self._file, self._start, self._size, self._at = file, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), max(0, self._size - self._at))
        data = os.pread(self._file.fileno(), wanted, self._start + self._at)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()
