"""From accesses as noted down to rows: one `AccessBatch` with its runs and accesses, all or nothing.

Delivering twice changes nothing, and needs no right but INSERT: a batch is known by the
identity of its events and an access by its own id, so the database refuses what it has. A
refused batch was delivered as a whole. A refused access means that others of its batch may
be new, so the batch is halved until what is refused stands alone; the same way one access
that no column takes is found and set aside instead of blocking the rest.
"""

from __future__ import annotations

import json
import logging
import re
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

import psycopg2
import pymysql

from data_platform.errors import DatabaseUnavailable, NotDeployed
from data_platform.redact import redact_text
from readers.backlog import Noted
from readers.run import code_of
from schemas import code, identity, output
from schemas.binding import Binding, Schemas, bind
from schemas.engine import dj
from schemas.sharing import Access, AccessBatch, AccessRun

log = logging.getLogger("data_platform.delivery")

SetAside = Callable[[Noted, str], object]
"""Takes an access that cannot be delivered and why."""

UNFIT = (
    psycopg2.DataError,
    pymysql.err.DataError,
    dj.errors.IntegrityError,
    dj.errors.MissingAttributeError,
    ValueError,
    OverflowError,
)
"""What says that a row, and not the database, is at fault."""

FAILED = (dj.errors.DataJointError, psycopg2.Error, pymysql.err.MySQLError)

OUTPUTS: Schemas = (("output", output.schema),)
CODES: Schemas = (("code", code.schema),)

_COLUMN = re.compile(r"^\s*(\w+)\s*(?:=\s*(\S+?))?\s*:\s*(\w+)(?:\((\d+)\))?", re.MULTILINE)
_LARGEST = 2**63 - 1


class Column(NamedTuple):
    """An attribute of a table as its definition tells; `width` is in characters and 0 if it is no text."""

    name: str
    kind: str
    width: int
    default: str | None


class Entry(NamedTuple):
    """An access or output ready to insert: where it was noted, its table and row, and the row of its run."""

    noted: Noted
    table: type[Any]
    row: dict[str, Any]
    run: dict[str, Any]


def deliver(binding: Binding, events: Sequence[Noted], set_aside: SetAside) -> int:
    """Insert the accesses that the database does not have yet; return how many these were.

    Parameters
    ----------
    events
        At most a few thousand; what is longer than its column is cut.
    set_aside
        Called for each access that no database would take.

    Raises
    ------
    DatabaseUnavailable
        If the database failed in whatever way. Delivering the same events again is safe.
    """
    try:
        entries = _entries(events, set_aside)
        if any(entry.table is output.Output for entry in entries):  # most processes never need that table
            bind(binding.settings, schemas=OUTPUTS)
        return _insert(binding, entries, set_aside)
    except DatabaseUnavailable:
        raise
    except FAILED as error:
        raise DatabaseUnavailable(
            f"The database failed ({type(error).__name__}: {redact_text(str(error))[:500]})."
        ) from error


def _entries(events: Sequence[Noted], set_aside: SetAside) -> list[Entry]:
    """Return what makes sense of `events`, each access once."""
    entries: dict[str, Entry] = {}
    for noted in events:
        try:
            entry = _entry(noted)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
            set_aside(noted, f"it makes no sense ({type(error).__name__}: {error})")
            continue
        entries.setdefault(entry.row["event_id"], entry)
    return list(entries.values())


def _insert(binding: Binding, entries: list[Entry], set_aside: SetAside) -> int:
    if not entries:
        return 0
    batch = _batch(entries)
    try:
        known = not _insert_batch(binding, batch, entries)
    except (dj.errors.DuplicateError, *UNFIT) as error:
        if len(entries) > 1:
            middle = len(entries) // 2
            return _insert(binding, entries[:middle], set_aside) + _insert(binding, entries[middle:], set_aside)
        known = isinstance(error, dj.errors.DuplicateError)
        if not known:
            set_aside(entries[0].noted, f"the database refuses it ({type(error).__name__}: {error})")
        return 0
    return 0 if known else len(entries)


def _insert_batch(binding: Binding, batch: dict[str, Any], entries: list[Entry]) -> bool:
    """Insert the rows in one transaction; False if the very same batch is there already."""
    runs = {entry.run["execution_id"]: entry.run for entry in reversed(entries)}
    key = {"batch_id": batch["batch_id"]}
    codes = _codes(binding, runs.values())
    new = False
    try:
        with binding.transaction():
            AccessBatch.insert1(batch)
            new = True
            AccessRun.insert([key | run for run in runs.values()])
            if codes:
                code.RunCode.insert([key | one for one in codes])
            for table in {entry.table for entry in entries}:
                table.insert([key | entry.row for entry in entries if entry.table is table])
    except dj.errors.DuplicateError:
        if new:
            raise
    return new


def _codes(binding: Binding, runs: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what the code of runs says of itself; nothing where tables are those of an older release."""
    found = [{**told, "execution_id": run["execution_id"]} for run in runs if (told := code_of(run)) is not None]
    if not found:
        return []
    try:
        bind(binding.settings, schemas=CODES)
    except NotDeployed:
        return []
    return [row(columns(code.RunCode), told) for told in found]


def _batch(entries: list[Entry]) -> dict[str, Any]:
    return {
        "batch_id": identity.identity("batch", *(entry.row["event_id"] for entry in entries)),
        "access_count": sum(entry.table is Access for entry in entries),
        "delivered_at": datetime.now(UTC).replace(tzinfo=None),
        "delivered_from": socket.gethostname()[:255],
    }


def _entry(noted: Noted) -> Entry:
    """Return the rows of an access or output. Raises ValueError and its like if it makes no sense."""
    facts = dict(json.loads(noted.payload))
    if not re.fullmatch("[0-9a-f]{32}", facts["event_id"]):
        raise ValueError("event_id is not 32 hexadecimal digits")
    run = _run(noted.run) or _unknown_run(noted, facts)
    facts["execution_id"] = run["execution_id"]
    table = output.Output if "written_at" in facts else Access
    return Entry(noted, table, row(columns(table), {**_derived(facts), **facts}), run)


@lru_cache(maxsize=64)
def _run(payload: bytes) -> dict[str, Any] | None:
    """Return the row of a run; None if the record of it is damaged."""
    try:
        found = row(columns(AccessRun), dict(json.loads(payload)))
    except (ValueError, TypeError, OverflowError, RecursionError):
        return None
    return found if re.fullmatch("[0-9a-f]{32}", found["execution_id"]) else None


def _unknown_run(noted: Noted, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run of which only the segment is known."""
    execution, started = identity.identity("execution", noted.segment), facts.get("written_at") or facts["accessed_at"]
    return row(columns(AccessRun), {"execution_id": execution, "started_at": started})


def _derived(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return what a record leaves out because it follows from the rest. Identities are over the raw text."""
    derived = {
        "outcome": "ok",
        "account_id": identity.account_id(facts.get("account_realm", ""), facts.get("account_login", "")),
    }
    if facts.get("item_id"):
        derived["file_id"] = identity.file_id(facts.get("source_system", ""), facts["item_id"])
    if facts.get("sha256"):
        derived["version_id"] = identity.version_id(facts.get("revision", ""), facts["sha256"])
    return derived


@lru_cache(maxsize=8)
def columns(table: type[Any]) -> tuple[Column, ...]:
    """Return the columns of a table, without those of its master, from its definition."""
    found = _COLUMN.findall(table.definition)
    return tuple(
        Column(name, kind, int(width) if kind.endswith("char") else 0, default or None)
        for name, default, kind, width in found
    )


def row(wanted: Sequence[Column], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row that fits `wanted`: unknown facts left out, missing ones filled in, texts cut to width."""
    return {column.name: _value(column, facts.get(column.name)) for column in wanted}


def _value(column: Column, fact: Any) -> Any:
    if column.width:
        return text(fact, column.width)
    if column.kind == "datetime":
        return _moment(fact)
    if column.kind == "bool":
        return bool(fact)
    return max(-_LARGEST, min(int(column.default or 0) if fact is None else int(fact), _LARGEST))


def text(fact: Any, width: int) -> str:
    """Return `fact` as text of at most `width` characters that every database stores."""
    string: str = "" if fact is None else fact if isinstance(fact, str) else json.dumps(fact)
    if not string.isascii() or "\0" in string:
        string = identity.display_text(string)
    return string[:width]


def _moment(fact: Any) -> datetime:
    """Return an ISO time as a naive datetime in UTC; naive text is UTC already."""
    moment = datetime.fromisoformat(fact)
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
