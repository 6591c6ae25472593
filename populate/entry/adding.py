"""Adds rows that people enter, each with a note of who entered it, when and why; nothing is overwritten.

A correction is a new row. Where the key of a table has a date or a time it goes into the table, under a later one.
Elsewhere the table keeps the row that programs may have read already, and the correction is kept beside it: the
page shows it in the row's place, and `Entry` has both.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from data_platform.errors import DatabaseUnavailable, EntryRefused
from populate.entry.fields import Field, Form, own_tables, table_of
from readers.event import new_event_id
from schemas.binding import Binding
from schemas.drivers import DRIVER_ERRORS
from schemas.engine import dj
from schemas.entered import Entry
from schemas.identity import display_text

MOST_ROW = 8000  # characters of a row as JSON
REASON = 512


@dataclass(frozen=True, slots=True)
class Enterer:
    """Who enters rows: identity of their login, and what they are called."""

    account_id: str
    name: str


def row_of(form: Form, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row that somebody filled in; fields that were left empty are left to the table's defaults.

    Raises
    ------
    EntryRefused
        If something is missing or does not fit, all of it in one message.
    """
    row: dict[str, Any] = {}
    problems = []
    for field in form.fields:
        try:
            value = _value(field, values.get(field.name))
        except EntryRefused as wrong:
            problems.append(f"{field.label} {wrong}.")
            continue
        if value is not None:
            row[field.name] = value
        elif field.required or field.in_key:
            problems.append(f"{field.label} has to be filled in.")
    if problems:
        raise EntryRefused(" ".join(problems))
    return row


def _value(field: Field, given: Any) -> Any:
    """Return what goes into the table; None where nothing was filled in."""
    if given is None or (isinstance(given, str) and not given.strip()):
        return None
    read = {
        "text": _text,
        "choice": _choice,
        "integer": _integer,
        "number": _number,
        "decimal": _decimal,
        "bool": lambda _, value: bool(value),
        "day": _day,
        "moment": _moment,
        "json": _json,
    }.get(field.kind)
    if read is None:
        raise EntryRefused("cannot be filled in by a form")
    return read(field, given)


def _text(field: Field, given: Any) -> str:
    text = str(given).strip()
    if display_text(text) != text or "\x00" in text:
        raise EntryRefused("has characters that cannot be kept")
    if field.length and len(text) > field.length:
        raise EntryRefused(f"has {len(text)} characters, and {field.length} are the most")
    return text


def _choice(field: Field, given: Any) -> str:
    if str(given) not in field.options:
        raise EntryRefused(f"has to be one of {', '.join(field.options)}")
    return str(given)


def _integer(field: Field, given: Any) -> int:
    try:
        number = int(str(given).strip())
    except ValueError:
        raise EntryRefused("has to be a whole number") from None
    if (field.low is not None and number < field.low) or (field.high is not None and number > field.high):
        raise EntryRefused(f"has to be between {field.low} and {field.high}")
    return number


def _number(field: Field, given: Any) -> float:
    try:
        number = float(str(given).strip())
    except ValueError:
        raise EntryRefused("has to be a number") from None
    if not math.isfinite(number):
        raise EntryRefused("has to be a number that ends")
    return number


def _decimal(field: Field, given: Any) -> Decimal:
    try:
        number = Decimal(str(given).strip())
    except InvalidOperation:
        raise EntryRefused("has to be a number, as 12.50") from None
    if not number.is_finite():
        raise EntryRefused("has to be a number that ends")
    return number


def _day(field: Field, given: Any) -> date:
    if isinstance(given, datetime):
        return given.date()
    if isinstance(given, date):
        return given
    try:
        return date.fromisoformat(str(given).strip())
    except ValueError:
        raise EntryRefused("has to be a day, as 2026-11-29") from None


def _moment(field: Field, given: Any) -> datetime:
    try:
        moment = given if isinstance(given, datetime) else datetime.fromisoformat(str(given).strip())
    except ValueError:
        raise EntryRefused("has to be a time, as 2026-11-29 14:30") from None
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _json(field: Field, given: Any) -> Any:
    try:
        return json.loads(given) if isinstance(given, str) else given
    except ValueError:
        raise EntryRefused("has to be JSON") from None


def add(
    binding: Binding, form: Form, values: Mapping[str, Any], by: Enterer, *, corrects: str = "", reason: str = ""
) -> bool:
    """Add a row; return whether it went into its table, and is not kept beside it as a correction.

    Parameters
    ----------
    corrects
        Identity of the row's key (`key_of`) that this one corrects; empty = it is new.
    reason
        Why; a correction needs one.

    Raises
    ------
    EntryRefused
        If it does not fit, or there is a row with that key.
    """
    row = row_of(form, values)
    if corrects and not reason.strip():
        raise EntryRefused("A correction needs a reason: it is kept with it.")
    key = key_of(form, row)
    into = key != corrects
    if corrects and not into and form.table in own_tables():
        raise EntryRefused("The platform reads this row: it stays. Enter one with another name instead.")
    if corrects and not into and form.dated:
        raise EntryRefused(
            f"Give the corrected row a {form.dated[0].label.lower()} of its own: the row that is there stays."
        )
    note = {
        "entry_id": new_event_id(),
        "entered_at": datetime.now(UTC).replace(tzinfo=None),
        "entered_by": by.account_id,
        "entered_name": display_text(by.name)[:255],
        "entry_table": form.table,
        "entry_key": key,
        "corrects": corrects,
        "entry_row": _written(row),
        "entry_reason": display_text(reason.strip())[:REASON],
    }
    _insert(binding, form, row if into else None, note)
    return into


def _insert(binding: Binding, form: Form, row: Mapping[str, Any] | None, note: Mapping[str, Any]) -> None:
    try:
        with binding.transaction():
            if row is not None:
                table_of(binding, form.table).insert1(row)
            Entry.insert1(note)
    except DatabaseUnavailable:
        raise
    except dj.errors.DuplicateError:
        raise EntryRefused("There is a row with this key. Select it below, and correct it.") from None
    except dj.errors.IntegrityError:
        raise EntryRefused("It refers to a row that is not there. Take one of the list.") from None
    except dj.errors.AccessError:
        raise EntryRefused(
            f"The dashboard's login may not add to {form.table}. Whoever runs the database grants it INSERT on that "
            "table (docs/how-to/entry-forms.md)."
        ) from None
    except (dj.DataJointError, *DRIVER_ERRORS) as error:
        raise EntryRefused(f"The database does not take it: {str(error).strip().splitlines()[0][:300]}") from None


def key_of(form: Form, row: Mapping[str, Any]) -> str:
    """Return the identity of a row's primary key, which is the same from whichever database it comes."""
    kinds = {field.name: field.kind for field in form.fields}
    plain = [[name, _plain(row[name], kinds[name])] for name in sorted(form.key)]
    return hashlib.sha256(json.dumps(plain, ensure_ascii=False).encode()).hexdigest()


def _written(row: Mapping[str, Any]) -> str:
    text = json.dumps({name: _plain(value, "") for name, value in row.items()}, ensure_ascii=False)
    if len(text) > MOST_ROW:
        raise EntryRefused(
            f"The row is too long to be noted down: {len(text):,} characters, {MOST_ROW:,} are the most."
        )
    return text


def _plain(value: Any, kind: str) -> Any:
    """Return what JSON can hold; backends tell a truth value, or a text with blanks at its end, each in its way."""
    readings: dict[str, Callable[[Any], Any]] = {
        "bool": bool,
        "integer": int,
        "text": lambda text: str(text).rstrip(" "),
    }
    if kind in readings:
        return readings[kind](value)
    if isinstance(value, date):
        return value.isoformat(sep=" ", timespec="microseconds") if isinstance(value, datetime) else value.isoformat()
    if isinstance(value, Decimal):
        return str(value.normalize())
    return value if value is None or isinstance(value, str | int | float | bool | list | dict) else str(value)
