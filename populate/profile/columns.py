"""What is in a column, gathered some rows at a time: type, missing, range, and the values if these are few."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from populate.duplicates.forms.cells import is_number, text

EMPTY, INTEGER, NUMBER, TRUTH, DATE, TIME, TEXT = TYPES = (
    *("empty", "integer", "number", "truth", "date", "time"),
    "text",
)
MANY = -1
"""Stands for more different values than are counted."""
COUNTED = 1000  # different values, at most
FEW = 20  # different values that are told
LONGEST = 60  # characters of a value that is told

_INTEGER = re.compile(r"[+-]?(0|[1-9]\d*)", re.ASCII)
_LEADING_ZERO = re.compile(r"[+-]?0\d+", re.ASCII)  # 007 is a name
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", re.ASCII)


class Column:
    """A column, of which `add` takes the values.

    Parameters
    ----------
    comma
        Texts have a decimal comma.
    """

    def __init__(self, name: str, comma: bool = False) -> None:
        self._name = name
        self._comma = comma
        self._missing = 0
        self._types: set[str] = set()
        self._numbers: tuple[float, str, float, str] | None = None
        self._times: tuple[str, str] | None = None
        self._counts: Counter[str] | None = Counter()

    def add(self, values: Sequence[str]) -> None:
        """Take the values of some more rows."""
        for value, count in Counter(values).items():
            canonical = text(value, self._comma)
            if not canonical:
                self._missing += count
                continue
            kind = _type_of(value.strip(), canonical)
            self._types.add(kind)
            if kind in (INTEGER, NUMBER):
                self._widen(canonical)
            elif kind in (DATE, TIME):
                least, greatest = self._times or (canonical, canonical)
                self._times = min(least, canonical), max(greatest, canonical)
            self._count(value.strip(), count)

    def told(self) -> dict[str, object]:
        """Return what the column holds; see `populate.profile.reply.ColumnSaid`."""
        kind = self._type()
        least, greatest = self._range(kind)
        return {
            "name": shortened(self._name),
            "type": kind,
            "missing": self._missing,
            "distinct": MANY if self._counts is None else len(self._counts),
            "least": shortened(least),
            "greatest": shortened(greatest),
            "values": self._values(kind),
        }

    def _type(self) -> str:
        if not self._types:
            return EMPTY
        if len(self._types) == 1:
            return next(iter(self._types))
        if self._types <= {INTEGER, NUMBER}:
            return NUMBER
        return TIME if self._types <= {DATE, TIME} else TEXT

    def _range(self, kind: str) -> tuple[str, str]:
        if kind in (INTEGER, NUMBER) and self._numbers is not None:
            return self._numbers[1], self._numbers[3]
        return self._times if kind in (DATE, TIME) and self._times is not None else ("", "")

    def _values(self, kind: str) -> list[list[object]]:
        """Return the values with their numbers, the most frequent first, where they are categories."""
        counts = self._counts
        if counts is None or len(counts) > FEW or kind in (NUMBER, TIME) or counts.total() <= len(counts):
            return []
        ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        return [[shortened(value), count] for value, count in ordered]

    def _widen(self, canonical: str) -> None:
        number = float(canonical)
        least, least_text, greatest, greatest_text = self._numbers or (number, canonical, number, canonical)
        if number < least:
            least, least_text = number, canonical
        if number > greatest:
            greatest, greatest_text = number, canonical
        self._numbers = least, least_text, greatest, greatest_text

    def _count(self, value: str, count: int) -> None:
        if self._counts is not None:
            self._counts[value] += count
            if len(self._counts) > COUNTED:
                self._counts = None


def shortened(value: str, longest: int = LONGEST) -> str:
    """Return a text on one line, and not longer than it may be."""
    line = " ".join(value[: 4 * longest].encode("utf-8", "replace").decode().split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def _type_of(value: str, canonical: str) -> str:
    if canonical in ("true", "false"):
        return TRUTH
    if is_number(canonical):
        if _LEADING_ZERO.fullmatch(value):
            return TEXT
        return INTEGER if _INTEGER.fullmatch(value) else NUMBER
    if _DATE.fullmatch(canonical):
        return DATE
    return TIME if _TIME.fullmatch(canonical) else TEXT
