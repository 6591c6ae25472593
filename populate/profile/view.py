"""Profiles as somebody may see them who may know a file with these bytes."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from populate.backup.erased import erased
from populate.lookup import lookup
from populate.profile.tables import METHOD, ColumnProfile, ContentProfile, SheetProfile
from populate.provenance.sight import Sight
from populate.who.asker import Asker
from schemas.catalogue import Version


@dataclass(frozen=True, slots=True)
class ColumnView:
    """A column of a table.

    Attributes
    ----------
    kind
        ``empty``, ``integer``, ``number``, ``truth``, ``date``, ``time`` or ``text``.
    missing
        Rows without a value, of those that were looked at.
    distinct
        Different values; None if there are more than a thousand.
    least, greatest
        Of numbers and times, as text; else empty.
    values
        Where they are few: each with the number of its rows, the most frequent first.
    """

    name: str
    kind: str
    missing: int
    distinct: int | None
    least: str
    greatest: str
    values: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class SheetView:
    """A table, or the lines of a text.

    Attributes
    ----------
    rows, width
        Its shape, without the names of columns; a text has no columns, and `rows` are its lines.
    looked_at
        Rows that `columns` were told by: the first ones.
    columns
        The first ones, at most 200.
    first
        The first rows: a shortened text a cell, of the first 30 columns.
    """

    name: str
    rows: int
    width: int
    looked_at: int
    columns: tuple[ColumnView, ...]
    first: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class ProfileView:
    """What a content is made of.

    Attributes
    ----------
    kind
        ``table``, ``workbook``, ``text``, ``json``, ``document``, ``archive``, ``bytes`` (a format that is not
        opened) or ``none`` (it could not be read as what it begins like).
    reason
        Why there is nothing more to tell; mostly empty.
    sheets
        One of a table or text, several of a workbook, else none.
    """

    sha256: str
    kind: str
    reason: str
    sheets: tuple[SheetView, ...]


def profile_of(asker: Asker, sha256: str) -> ProfileView | None:
    """Return the profile of a content, or None if there is none (yet), or the asker may not know these bytes.

    They may if they own a file that holds them or were granted access to it, or were given just these bytes
    by a read or wrote them by a run.
    """
    sight = Sight(asker)
    files = tuple(sorted(file_id for (file_id,) in lookup(Version, "file_id", sha256={sha256})))
    if not any(content == sha256 for _, content in sight.ask("contents_seen", files=files)):
        return None
    return stored_profile(sha256)


def stored_profile(sha256: str) -> ProfileView | None:
    """Return the profile of a content, whoever asks, or None if there is none (yet) or it was erased."""
    among: dict[str, Any] = {"sha256": {sha256}, "profile_method": {METHOD}}
    found = lookup(ContentProfile, "profile_kind", "profile_reason", **among)
    if not found or erased({sha256}):
        return None
    columns: defaultdict[int, list[tuple[int, ColumnView]]] = defaultdict(list)
    for sheet, place, *column in lookup(ColumnProfile, "sheet_no", "column_no", *_COLUMN, **among):
        columns[sheet].append((place, _column(tuple(column))))
    sheets = sorted(lookup(SheetProfile, "sheet_no", *_SHEET, **among))
    kind, reason = found[0]
    return ProfileView(sha256, kind, reason, tuple(_sheet(row, columns[row[0]]) for row in sheets))


_COLUMN = (
    *("column_name", "column_type", "missing_count", "distinct_count"),
    *("least_value", "greatest_value", "column_values"),
)
_SHEET = ("sheet_name", "row_count", "column_count", "rows_looked_at", "first_rows")


def _column(row: tuple[Any, ...]) -> ColumnView:
    name, kind, missing, distinct, least, greatest, values = row
    told = tuple((str(value), int(count)) for value, count in json.loads(values))
    return ColumnView(name, kind, missing, None if distinct < 0 else distinct, least, greatest, told)


def _sheet(row: tuple[Any, ...], columns: list[tuple[int, ColumnView]]) -> SheetView:
    _, name, rows, width, looked_at, first = row
    ordered = tuple(column for _, column in sorted(columns, key=lambda one: one[0]))
    return SheetView(name, rows, width, looked_at, ordered, tuple(map(tuple, json.loads(first))))
