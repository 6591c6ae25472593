"""What differs between two tables: columns, rows, and cells of rows that a key tells are the same ones.

Cells are compared by what they say (`populate.duplicates.forms.cells`), so ``1`` and ``1.00`` are no difference, and
told as they were written.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from typing import Any

from populate.duplicates.forms.cells import text
from populate.profile.columns import shortened

SAMPLES = 50  # rows of each kind that are told
COLUMNS = 30  # columns of these
NAMES = 200  # columns that are named
PAIRED = 6  # first columns, two of which may be a key together
COMMON = 0.5  # of the shorter table's rows, to be found by a key
_KEY = re.compile(r"(^|[\W_])(id|key|code|barcode|accession|name|no|nr)($|[\W_])", re.IGNORECASE)

Key = tuple[str, ...]
Told = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Grid:
    """A table in memory: names of columns, and rows of texts; `comma` says that these have a decimal comma."""

    name: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    comma: bool = False


class _Table:
    """A table whose columns can be asked for by name; the second ``x`` is called ``x (2)``."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.names = _unique(grid.columns)
        self._place = {name: place for place, name in enumerate(self.names)}
        self._known: dict[str, str] = {}

    def values(self, name: str) -> list[str]:
        """Return what the cells of a column say."""
        place, known = self._place[name], self._known
        found = []
        for row in self.grid.rows:
            if (value := row[place]) not in known:
                known[value] = text(value, self.grid.comma)
            found.append(known[value])
        return found

    def written(self, row: int, name: str) -> str:
        """Return a cell as it was written."""
        return shortened(self.grid.rows[row][self._place[name]])

    def told(self, rows: Sequence[int]) -> list[list[str]]:
        """Return the first cells of some rows."""
        return [[shortened(value) for value in self.grid.rows[row][:COLUMNS]] for row in rows[:SAMPLES]]


def difference(before: Grid, after: Grid) -> Told:
    """Return what differs between two tables, as `populate.page.reply.SheetDifference` has it."""
    old, new = _Table(before), _Table(after)
    both = {*old.names} & {*new.names}
    common = [name for name in old.names if name in both]
    cells = {name: (old.values(name), new.values(name)) for name in common}
    key = _key(common, cells) if before.rows and after.rows else ()
    told = _by_key(old, new, key, cells) if key else _by_content(old, new, cells)
    return {
        "name": shortened(after.name),
        "key": [shortened(name) for name in key],
        "columns_added": [shortened(name) for name in new.names if name not in cells][:NAMES],
        "columns_removed": [shortened(name) for name in old.names if name not in cells][:NAMES],
        "rows_old": len(before.rows),
        "rows_new": len(after.rows),
        "old_columns": [shortened(name) for name in old.names[:COLUMNS]],
        "new_columns": [shortened(name) for name in new.names[:COLUMNS]],
        **told,
    }


Cells = dict[str, tuple[list[str], list[str]]]


def _key(common: Sequence[str], cells: Cells) -> Key:
    """Return the columns whose values name each row in both tables, and most rows alike; none if there are none."""
    by_name = sorted(common, key=lambda name: not _KEY.search(name))
    single: Iterator[Key] = ((name,) for name in by_name)
    return next((key for key in chain(single, combinations(common[:PAIRED], 2)) if _names_rows(key, cells)), ())


def _names_rows(key: Key, cells: Cells) -> bool:
    met = []
    for side in (0, 1):
        values = list(zip(*(cells[name][side] for name in key), strict=True))
        distinct = set(values)
        if len(distinct) < len(values) or any("" in value for value in distinct):
            return False
        met.append(distinct)
    return len(met[0] & met[1]) >= COMMON * min(len(met[0]), len(met[1]))


def _by_key(old: _Table, new: _Table, key: Key, cells: Cells) -> Told:
    before, after = (
        {value: row for row, value in enumerate(zip(*(cells[name][side] for name in key), strict=True))}
        for side in (0, 1)
    )
    counts: Counter[str] = Counter()
    changed: list[tuple[int, int, list[str]]] = []
    for value, row in before.items():
        if (other := after.get(value)) is None:
            continue
        if names := [name for name, (left, right) in cells.items() if left[row] != right[other]]:
            counts.update(names)
            changed.append((row, other, names))
    told = [
        {
            "key": [new.written(other, name) for name in key],
            "cells": [[shortened(name), old.written(row, name), new.written(other, name)] for name in names[:COLUMNS]],
        }
        for row, other, names in changed[:SAMPLES]
    ]
    added = [row for value, row in after.items() if value not in before]
    removed = [row for value, row in before.items() if value not in after]
    return {
        "rows_added": len(added),
        "rows_removed": len(removed),
        "rows_changed": len(changed),
        "cells_changed": [[shortened(name), count] for name, count in counts.most_common(NAMES)],
        "added": new.told(added),
        "removed": old.told(removed),
        "changed": told,
    }


def _by_content(old: _Table, new: _Table, cells: Cells) -> Told:
    """Compare rows by all that they say in the columns that both have; their order does not count."""
    before, after = (list(zip(*(pair[side] for pair in cells.values()), strict=True)) for side in (0, 1))
    if cells:
        added, removed = _beyond(after, before), _beyond(before, after)
    else:  # no row of one could be one of the other
        added, removed = list(range(len(new.grid.rows))), list(range(len(old.grid.rows)))
    return {
        "rows_added": len(added),
        "rows_removed": len(removed),
        "rows_changed": 0,
        "cells_changed": [],
        "added": new.told(added),
        "removed": old.told(removed),
        "changed": [],
    }


def _beyond(some: Sequence[Any], others: Sequence[Any]) -> list[int]:
    """Return the places of those of `some` that `others` do not hold, or not so often."""
    left = Counter(others)
    found = []
    for place, value in enumerate(some):
        if left[value] > 0:
            left[value] -= 1
        else:
            found.append(place)
    return found


def _unique(names: Sequence[str]) -> list[str]:
    met: Counter[str] = Counter()
    taken: set[str] = set()
    unique = []
    for name in names:
        while True:  # a column may be called ``x (2)`` itself
            met[name] += 1
            called = name if met[name] == 1 else f"{name} ({met[name]})"
            if called not in taken:
                break
        taken.add(called)
        unique.append(called)
    return unique
