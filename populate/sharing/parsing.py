"""Reading values from answers that may lack any field, or hold something else there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

Json = Mapping[str, Any]

NEVER = datetime(9999, 12, 31)
_TIME = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:?\d\d)?$")
_GUID = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}")


def part(value: object, *names: str) -> Json:
    """Return the object within `value` under these names, one after the other; empty if there is none."""
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def text(value: object, *names: str) -> str:
    """Return the text within `value`; empty if there is none."""
    *outer, last = names
    found = part(value, *outer).get(last)
    return found if isinstance(found, str) else ""


def several(value: object, name: str) -> list[Json]:
    """Return the objects of a list within `value`; empty if there is none."""
    found = part(value).get(name)
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def number(value: object, name: str, missing: int = -1) -> int:
    """Return a whole number within `value`, which some sources write as text."""
    found = part(value).get(name)
    if isinstance(found, bool):
        return missing
    if isinstance(found, str) and found.isascii() and found.isdigit():
        return int(found)
    return found if isinstance(found, int) else missing


def moment(written: str) -> datetime | None:
    """Return a time as naive UTC; None if it is none.

    Microsoft writes up to seven digits of a second, its log no time zone, which then is UTC.
    """
    found = _TIME.match(written.strip())
    if found is None:
        return None
    zone = (found[3] or "Z").replace("Z", "+00:00")
    digits = (found[2] or ".0")[1:7].ljust(6, "0")
    try:
        aware = datetime.fromisoformat(f"{found[1].replace(' ', 'T')}{zone}")
        return aware.astimezone(UTC).replace(tzinfo=None) + timedelta(microseconds=int(digits))
    except (ValueError, OverflowError):
        return None


def guid(written: str) -> str:
    """Return the 32 digits of the first unique id within a text, as in ``"{86EB4C8E-…},1"``; empty if there is none."""
    found = _GUID.search(written.lower())
    return found[0].replace("-", "") if found else ""
