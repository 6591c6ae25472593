"""Shows the rows of a table with who entered them, and what is in the lists that fields choose from."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple

from data_platform.errors import EntryRefused
from populate.entry.adding import key_of, row_of
from populate.entry.fields import MOST_CHOICES, Field, Form, is_own, table_of
from schemas.binding import Binding
from schemas.engine import dj
from schemas.entered import Entry
from schemas.people import Department
from schemas.restrict import where

MOST = 1000  # rows shown, those with the highest keys


class Shown(NamedTuple):
    """A row as a page shows it.

    Attributes
    ----------
    key
        Identity of its primary key.
    row
        Its values, those of the latest correction that is kept beside it included.
    state
        Empty, ``corrected`` (beside it) or ``replaced`` (by another row).
    by, at, reason
        Of the last entry about it; empty where no form was used.
    """

    key: str
    row: dict[str, Any]
    state: str
    by: str
    at: Any
    reason: str


class History(NamedTuple):
    """One entry about a row."""

    at: Any
    by: str
    reason: str
    row: dict[str, Any]


def rows_of(binding: Binding, form: Form) -> list[Shown]:
    """Return the rows of a table, those with the highest keys first; at most `MOST`."""
    binding.ensure()
    names = [field.name for field in form.fields if field.kind != "other"]
    table = table_of(binding, form.table).proj(*[name for name in names if name not in form.key])
    found = table.to_dicts(order_by=[f"{name} DESC" for name in form.key], limit=MOST)
    entries = _entries(form)
    replaced = {one["corrects"] for of_key in entries.values() for one in of_key if one["corrects"] != one["entry_key"]}
    return [_shown(form, row, entries, replaced) for row in found]


def _shown(form: Form, row: dict[str, Any], entries: Mapping[str, list[dict[str, Any]]], replaced: set[str]) -> Shown:
    key = key_of(form, row)
    of_key = entries.get(key, [])
    state = "replaced" if key in replaced else ""
    for one in of_key:
        if one["corrects"] == key:
            row = dict.fromkeys(row) | {name: row[name] for name in form.key} | _read(form, one["entry_row"])
            state = state or "corrected"
    if not of_key:
        return Shown(key, row, state, "", None, "")
    last = of_key[-1]
    return Shown(key, row, state, last["entered_name"], last["entered_at"], last["entry_reason"])


def _read(form: Form, written: str) -> dict[str, Any]:
    """Return a row that was noted down, with values as the table has them."""
    row: dict[str, Any] = json.loads(written)
    try:
        return row_of(form, row)
    except EntryRefused:  # the table has been changed since
        return row


def history_of(binding: Binding, form: Form, key: str) -> list[History]:
    """Return the entries about a row, oldest first, that of the row which it replaced included."""
    binding.ensure()
    entries = _entries(form)
    found: list[dict[str, Any]] = []
    wanted, seen = key, set[str]()
    while wanted and wanted not in seen:
        seen.add(wanted)
        found = entries.get(wanted, []) + found
        before = [one["corrects"] for one in entries.get(wanted, []) if one["corrects"] not in ("", wanted)]
        wanted = before[0] if before else ""
    return [
        History(one["entered_at"], one["entered_name"], one["entry_reason"], json.loads(one["entry_row"]))
        for one in found
    ]


def _entries(form: Form) -> dict[str, list[dict[str, Any]]]:
    found: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in where(Entry, entry_table=form.table).to_dicts(order_by=["entered_at", "entry_id"]):
        found[one["entry_key"]].append(one)
    return found


def choices(binding: Binding, field: Field, *, steward: bool) -> dict[Any, str] | None:
    """Return what a field that refers to another table can be, and how people read it; at most `MOST_CHOICES`.

    Of the platform's own tables only departments are listed to everybody: not everybody may know of all files, and
    people choose whether they are pointed to. None if there is no list for whoever asks.
    """
    binding.ensure()
    parent = dj.FreeTable(binding.connection, field.parent)
    department = (Department.database, Department.table_name)
    if not steward and is_own(binding, parent.database) and (parent.database, parent.table_name) != department:
        return None
    heading = parent.heading
    texts = [
        name
        for name in heading.secondary_attributes
        if heading[name].string and not heading[name].is_blob and name != field.parent_column
    ][:1]
    found = dj.U(field.parent_column, *texts) & parent
    rows = found.to_dicts(limit=MOST_CHOICES)
    told = {row[field.parent_column]: _told(row, field.parent_column, texts) for row in rows}
    return dict(sorted(told.items(), key=lambda item: item[1].casefold()))


def _told(row: Mapping[str, Any], column: str, texts: list[str]) -> str:
    value = str(row[column])
    if not texts or not str(row[texts[0]] or "").strip():
        return value
    short = value[:8] if len(value) == 32 else value  # identities are for programs
    return f"{row[texts[0]]} ({short})"
