"""One text for a value, whichever program wrote it: 1, 1.0 and ``"1.00"`` are the same."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from decimal import Decimal

MISSING = frozenset(("", "na", "n/a", "nan", "null", "none", "<na>", "nat", "#n/a"))
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_COMMA = re.compile(r"[+-]?\d+,\d+", re.ASCII)
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(?:\.\d+)?(?:Z|\+00:00)?)?", re.ASCII)
EXACT = 15  # digits that every spreadsheet keeps
SHOWN = 12  # digits that count: the last ones depend on who rounded


def cell(value: object, comma: bool = False) -> str:
    """Return the canonical text of a cell; `comma` says that texts have a decimal comma."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | Decimal):
        return _number(str(value))
    if isinstance(value, dt.datetime | dt.date):
        return text(value.isoformat(), comma)
    if isinstance(value, bytes):
        return value.hex()
    return text(str(value), comma)


def text(value: str, comma: bool = False) -> str:
    """Return the canonical text of a cell that was written as text."""
    stripped = value.strip()
    lower = stripped.lower()
    if lower in MISSING:
        return ""
    if lower in ("true", "false"):
        return lower
    if comma and _COMMA.fullmatch(stripped):
        return _number(stripped.replace(",", "."))
    if _NUMBER.fullmatch(stripped):
        return _number(stripped)
    if found := _TIME.fullmatch(stripped):
        return _moment(found[1], found[2] or "")
    return stripped if stripped.isascii() else unicodedata.normalize("NFC", stripped)


def is_number(value: str) -> bool:
    """Tell whether a canonical text is that of a number."""
    return bool(_NUMBER.fullmatch(value))


def _number(written: str) -> str:
    if written.lstrip("+-").isdigit() and len(written.lstrip("+-0")) > EXACT:
        return written.lstrip("+")  # an identifier: no program may round it
    number = float(written)
    if number != number:  # noqa: PLR0124  (not a number)
        return ""
    return f"{number + 0.0:.{SHOWN}g}" if number else "0"


def _moment(day: str, clock: str) -> str:
    full = clock if len(clock) != 5 else f"{clock}:00"
    return day if full in ("", "00:00:00") else f"{day} {full}"
