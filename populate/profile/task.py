"""The profile of a content, made in a limited child process; what it says is checked by `populate.profile.reply`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from populate.duplicates.forms.child import attempt
from populate.duplicates.forms.recognise import Opened, recognise
from populate.profile.columns import LONGEST, Column, shortened
from populate.profile.parsing import NONE, TEXT, Reader, Sheet

SHEETS = 20  # of a workbook, at most
COLUMNS = 200  # that are told of, of all sheets together
FIRST_ROWS = 10
FIRST_COLUMNS = 30
CELLS = 1_000_000  # that are looked at; of what comes later only the rows are counted
AT_ONCE = 10_000  # rows
LINE = 200  # characters of a line of text that are told

Told = dict[str, Any]


def answer(opened: Opened, question: Mapping[str, Any]) -> Mapping[str, object]:
    """Return the profile of a content, or the reason why it has none; see `populate.profile.reply.ContentSaid`."""
    return attempt(
        lambda: recognise(opened, question["size"], question["sha256"], Profiles()),
        lambda why: {"kind": NONE, "why": shortened(why, LINE), "sheets": []},
    )


class Profiles(Reader[Told]):
    """Makes profiles of tables."""

    def tables(self, kind: str, sheets: Iterable[Sheet]) -> Told:
        told: list[Told] = []
        columns = COLUMNS
        for sheet in islice(sheets, SHEETS):
            told.append(_sheet(sheet, columns))
            columns -= len(told[-1]["columns"])
        return {"kind": kind, "why": "", "sheets": told}

    def plain(self, text: str) -> Told:
        lines = text.splitlines()
        first = [[shortened(line, LINE)] for line in lines[:FIRST_ROWS]]
        count = len(lines)
        sheet = {"name": "", "rows": count, "looked_at": count, "width": 0, "first": first, "columns": []}
        return {"kind": TEXT, "why": "", "sheets": [sheet]}

    def other(self, kind: str, why: str) -> Told:
        return {"kind": kind, "why": why, "sheets": []}


def _sheet(sheet: Sheet, most: int) -> Told:
    columns = [Column(name, sheet.comma) for name in sheet.columns[:most]]
    rows, looked_at, first = 0, 0, list[list[str]]()
    while some := list(islice(sheet.rows, AT_ONCE)):
        first += [_shown(row) for row in some[: FIRST_ROWS - len(first)]]
        rows += len(some)
        if looked_at * max(1, len(columns)) < CELLS:
            looked_at += len(some)
            for column, values in zip(columns, zip(*some, strict=True), strict=False):
                column.add(values)
        elif sheet.total is not None:
            rows = max(rows, sheet.total)
            break
    return {
        "name": shortened(sheet.name),
        "rows": rows,
        "looked_at": looked_at,
        "width": len(sheet.columns),
        "first": first,
        "columns": [column.told() for column in columns],
    }


def _shown(row: Sequence[str]) -> list[str]:
    return [shortened(value, LONGEST) for value in row[:FIRST_COLUMNS]]
