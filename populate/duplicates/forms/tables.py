"""Tables from CSV, spreadsheets and Parquet, in one form: order of rows and columns does not count."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from populate.duplicates.forms.cells import cell, is_number
from populate.duplicates.forms.form import TABLE, WORKBOOK, Form, form

DELIMITERS = (",", "\t", ";", "|")
LOOKED_AT = 50  # rows that tell whether a text is a table
LONGEST_START = 1024 * 1024  # characters that these may have
MAX_COLUMNS = 20_000
MAX_CELLS = 20_000_000
INDEX_NAMES = frozenset(("", "Unnamed: 0", "__index_level_0__", "index"))

Grid = Sequence[Sequence[str]]  # canonical texts, a row a sequence, all of one length


class NotATable(Exception):
    """The content has no rows and columns."""


def table_form(names: Sequence[str], rows: Iterable[Sequence[str]]) -> Form:
    """Return the form of a table of canonical texts under canonical names."""
    kept = list(rows)
    keys, columns = _keys(names), range(len(names))
    index = next((i for i in columns if names[i] in INDEX_NAMES and _is_index([row[i] for row in kept])), None)
    order = sorted((i for i in columns if i != index), key=keys.__getitem__)
    head = [keys[i] for i in order]
    # The names are part of each row: a row of another table with other columns is another row.
    begin = "\x1e".join(head)
    return form(TABLE, head, ("\x1f".join([begin, *(row[i] for i in order)]).encode() for row in kept))


def grid_form(grid: Grid) -> Form:
    """Return the form of a table whose names, if it has some, are its first row."""
    if not grid:
        raise NotATable
    first = grid[0]
    if all(is_number(name) for name in first):
        return table_form([f"#{place}" for place in range(len(first))], grid)
    return table_form(first, grid[1:])


def delimited_form(content: str) -> Form:
    """Return the form of a CSV, TSV or the like.

    Raises
    ------
    NotATable
        If lines do not have the same number of fields, at least two.
    """
    delimiter = delimiter_of(content)
    grid, comma, known = [], delimiter == ";", {}
    for row in rows_of(content, delimiter):
        for value in row:
            if value not in known:
                known[value] = cell(value, comma)
        grid.append([known[value] for value in row])
    return grid_form(grid)


def workbook_form(sheets: Iterable[Iterable[Sequence[object]]]) -> Form:
    """Return the form of a workbook: that of its table, if only one sheet has one."""
    forms = []
    cells = 0
    for sheet in sheets:
        grid = [[cell(value) for value in row] for row in sheet]
        cells += sum(map(len, grid))
        if cells > MAX_CELLS:
            raise NotATable
        if (kept := trimmed(grid)) and len(kept[0]) > 1:
            forms.append(grid_form(kept))
    if not forms:
        raise NotATable
    if len(forms) == 1:
        return forms[0]
    return form(WORKBOOK, [], (one.sha256.encode() for one in forms))


def _keys(names: Sequence[str]) -> list[str]:
    """Return names that are all different: the second ``x`` is another column than the first."""
    met: Counter[str] = Counter()
    keys = []
    for name in names:
        keys.append(f"{name}\x1d{met[name]}" if met[name] else name)
        met[name] += 1
    return keys


def _is_index(values: Sequence[str]) -> bool:
    """Tell whether a column only numbers the rows, as libraries write it without being asked."""
    numbers = {int(value) for value in values if value.isdecimal()}
    return len(numbers) == len(values) > 0 and numbers in (set(range(len(values))), set(range(1, len(values) + 1)))


def delimiter_of(content: str) -> str:
    """Return what separates the fields of a delimited text.

    Raises
    ------
    NotATable
        If its first lines do not have the same number of fields, at least two.
    """
    best, most = "", 1
    start = content[:LONGEST_START]
    if len(start) < len(content):
        start = start.rpartition("\n")[0]
    for delimiter in DELIMITERS:
        rows = islice(csv.reader(io.StringIO(start, newline=""), delimiter=delimiter), LOOKED_AT)
        widths = {len(row) for row in rows if row}
        if len(widths) == 1 and (width := widths.pop()) > most:
            best, most = delimiter, width
    if not best:
        raise NotATable
    return best


def rows_of(content: str, delimiter: str) -> Iterator[list[str]]:
    """Yield the rows of a delimited text.

    Raises
    ------
    NotATable
        If they have not the same number of fields, or there are too many of these.
    """
    width = cells = 0
    for row in csv.reader(io.StringIO(content, newline=""), delimiter=delimiter):
        if not row:
            continue
        width = width or len(row)
        cells += width
        if len(row) != width or width > MAX_COLUMNS or cells > MAX_CELLS:
            raise NotATable
        yield row


def trimmed(grid: Grid) -> Grid:
    """Return `grid` without empty rows and without columns that are empty to the end."""
    rows = [row for row in grid if any(row)]
    width = max((place + 1 for row in rows for place, value in enumerate(row) if value), default=0)
    return [[*row[:width], *([""] * (width - len(row)))] for row in rows]
