"""Tables out of bytes, as people see them: names of columns and texts of cells, a row at a time.

Runs in a limited child process: what is parsed here may have been made to do harm.
"""

from __future__ import annotations

import csv
import datetime as dt
import json
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain
from typing import IO, Any, Generic, TypeVar

from populate.duplicates.forms import tables
from populate.duplicates.forms.cells import cell, is_number
from populate.duplicates.forms.recognise import parquet_of, rows_of, sheets_of

TABLE, WORKBOOK, TEXT, JSON, DOCUMENT, ARCHIVE, BYTES, NONE = KINDS = (
    *("table", "workbook", "text", "json", "document", "archive", "bytes"),
    "none",
)
LOOKED_AT = 1000  # JSON objects whose names make the columns
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table: its name (empty if it has none), columns and rows.

    `comma` says that texts have a decimal comma; `total` is the number of rows where the file itself tells it.
    """

    name: str
    columns: Sequence[str]
    rows: Iterator[Sequence[str]]
    comma: bool = False
    total: int | None = None


class Reader(ABC, Generic[T]):
    """Makes something of tables; a `populate.duplicates.forms.recognise.Maker`."""

    @abstractmethod
    def tables(self, kind: str, sheets: Iterable[Sheet]) -> T:
        """Of a table or workbook; whoever makes it goes through rows once, sheet after sheet."""

    @abstractmethod
    def plain(self, text: str) -> T:
        """Of a text that is no table."""

    @abstractmethod
    def other(self, kind: str, why: str) -> T:
        """Of what has no rows and columns."""

    def opaque(self, sha256: str) -> T:
        return self.other(BYTES, "its format is not opened, or it is too large")

    def archive(self, archive: zipfile.ZipFile) -> T:
        return self.other(ARCHIVE, "files that were packed together are not opened")

    def document(self, archive: zipfile.ZipFile) -> T:
        return self.other(DOCUMENT, "a document has no rows and columns")

    def workbook(self, content: bytes) -> T:
        found = ((name, tables.trimmed([[shown(value) for value in row] for row in rows]))
                 for name, rows in sheets_of(content))  # fmt: skip
        sheets = (_sheet(name, iter(grid)) for name, grid in found if grid)
        first = next(sheets, None)
        if first is None:
            raise tables.NotATable
        return self.tables(WORKBOOK, chain([first], sheets))

    def parquet(self, file: IO[bytes]) -> T:
        opened, names = parquet_of(file)
        rows = ([shown(value) for value in row] for row in rows_of(opened)) if names else iter(())
        return self.tables(TABLE, [Sheet("", names, rows, total=opened.metadata.num_rows)])

    def text(self, text: str) -> T:
        if text.lstrip()[:1] in ("{", "["):
            objects = _objects(text)
            if objects is None:
                return self.plain(text) if _value(text) is None else self.other(JSON, "no list of records")
            columns = list(dict.fromkeys(name for one in objects[:LOOKED_AT] for name in one))
            if len(columns) <= tables.MAX_COLUMNS:
                rows = ([shown(one.get(name)) for name in columns] for one in objects)
                return self.tables(TABLE, [Sheet("", columns, rows)])
        try:
            delimiter = tables.delimiter_of(text)
            return self.tables(TABLE, [_sheet("", tables.rows_of(text, delimiter), delimiter == ";")])
        except (tables.NotATable, csv.Error):
            return self.plain(text)


def shown(value: object) -> str:
    """Return the text of a cell as people see it."""
    if value is None or value != value:  # noqa: PLR0124  (not a number)
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, dt.datetime):
        return value.isoformat(" ").removesuffix(" 00:00:00")
    if isinstance(value, bytes):
        return value.hex()
    return str(value) if isinstance(value, str | int | Decimal | dt.date) else _compound(value)


def _compound(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, TypeError, RecursionError):
        return str(type(value).__name__)


def _sheet(name: str, rows: Iterator[Sequence[str]], comma: bool = False) -> Sheet:
    """Return a table whose names, if it has some, are its first row."""
    first = next(rows)
    if all(is_number(cell(value, comma)) for value in first):
        return Sheet(name, [f"#{place}" for place in range(len(first))], chain([first], rows), comma)
    return Sheet(name, first, rows, comma)


def _objects(text: str) -> list[Mapping[str, Any]] | None:
    """Return the records of a JSON list, or of lines of JSON; None if it is no such thing."""
    whole = _value(text)
    if isinstance(whole, list) and whole and all(isinstance(one, dict) for one in whole):
        return whole
    lines = [line for line in text.splitlines() if line.strip()]
    if whole is not None or len(lines) < 2:
        return None
    found = [_value(line) for line in lines] if isinstance(_value(lines[0]), dict) else []
    return found if found and all(isinstance(one, dict) for one in found) else None


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
