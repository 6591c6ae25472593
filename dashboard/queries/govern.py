"""What the pages for stewards ask: who may open what, who read what, what is backed up, proven and erased.

A steward sees all of this of every file, as the page of all files does.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd

from dashboard.queries import file_statements
from dashboard.queries.files import pattern
from dashboard.queries.govern_statements import statement
from dashboard.queries.rows import number, rows
from populate.backup.proof import PROVEN_DAYS, oldest_unproven_days, restore_seconds
from populate.backup.proof import statements as proof_statements
from populate.backup.tables import BackupFailure
from populate.lookup import lookup
from populate.work.retries import needs_person, unresolved
from schemas.binding import Binding

MOST = 1000  # rows of a table
COUNTED = 100_000  # entries of the audit trail, before their number is "more"
EXPORTED = 200_000
LATELY = 90  # days


@dataclass(frozen=True, slots=True)
class Search:
    """How the audit trail is narrowed down: a person's name or login, a file, an outcome, days (UTC, both included)."""

    since: date
    until: date
    who: str = ""
    file: str = ""
    file_id: str = ""
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class Backups:
    """What is kept and proven; ``numbers`` as in `populate.watch.status.status`."""

    numbers: dict[str, int]
    proven: pd.DataFrame
    damaged: pd.DataFrame
    mended: pd.DataFrame
    failed: pd.DataFrame


def reach(binding: Binding) -> pd.DataFrame:
    """Return how many files can be opened by more than those who were named: ``reach, links, files``."""
    return rows(binding, statement("reach"), {"now": _now()})


def grants(binding: Binding, reach: str) -> pd.DataFrame:
    """Return the grants of a reach, oldest first, with the names and owners of their files; at most `MOST`."""
    found = rows(binding, statement("grants"), {"now": _now(), "reach": reach, "limit": MOST})
    return named(binding, found)


def owners_who_left(binding: Binding) -> pd.DataFrame:
    """Return who left and still owns files: ``owner, left_on, files, person_id``, most files first."""
    return rows(binding, statement("left"), {"today": _now().date(), "limit": MOST})


def files_of_who_left(binding: Binding) -> pd.DataFrame:
    """Return their files, those that most people read lately first: ``left_on, readers`` and names."""
    lately = _now() - timedelta(days=LATELY)
    values = {"today": _now().date(), "lately": lately, "limit": MOST}
    return named(binding, rows(binding, statement("left_files"), values))


def audit(binding: Binding, search: Search, *, limit: int = 50, offset: int = 0) -> pd.DataFrame:
    """Return entries of the audit trail, latest first, with the run that each came from."""
    narrowed, values = _narrowed(binding, search)
    return rows(binding, statement("audit", *narrowed), {**values, "limit": limit, "offset": offset})


def count_audit(binding: Binding, search: Search) -> int:
    """Return how many entries there are; one more than `COUNTED` stands for more than that."""
    narrowed, values = _narrowed(binding, search)
    return number(binding, statement("audit_count", *narrowed), {**values, "most": COUNTED + 1})


def outcomes(binding: Binding, search: Search) -> list[str]:
    """Return how reads of these days failed, by the names of the errors."""
    return list(rows(binding, statement("outcomes"), _days(search))["outcome"])


def backups(binding: Binding) -> Backups:
    """Return what is kept, proven, damaged and could not be backed up."""
    proofs = proof_statements(binding.backend)
    numbers = {name: number(binding, proofs[name], {}) for name in proofs}
    kept = rows(binding, statement("kept"), {}).to_dict("records")[0]
    numbers |= {"places": int(kept["contents"]), "contents": int(kept["different"])}
    numbers["oldest_unproven_days"] = oldest_unproven_days(binding.connection)
    once = numbers["stored_bytes"] * numbers["contents"] // max(numbers["places"], 1)  # a replica is had from, too
    numbers["restore_seconds"] = restore_seconds(binding.connection, once)
    since = _now().date() - timedelta(days=PROVEN_DAYS)
    return Backups(
        numbers=numbers,
        proven=rows(binding, statement("verified"), {"since": since}),
        damaged=named(binding, rows(binding, statement("damages"), {"limit": MOST})),
        mended=named(binding, rows(binding, statement("mended"), {"limit": MOST})),
        failed=_failed(binding),
    )


def erasures(binding: Binding) -> pd.DataFrame:
    """Return what was ordered to be erased, latest first; ``kept`` = a store still has it."""
    return named(binding, rows(binding, statement("erasures"), {"limit": MOST}))


def _failed(binding: Binding) -> pd.DataFrame:
    """Return the versions that could not be backed up, with the reason and whether that is tried again by itself."""
    found = unresolved(binding)[:MOST]
    columns = ("batch_id", "part", "attempt", "file_id", "version_id", "failure_message")
    said = {row[:5]: row[5] for row in lookup(BackupFailure, *columns, batch_id={one.batch_id for one in found})}
    told = [
        {
            "tried_at": one.tried_at,
            "reason": one.failure,
            "message": said.get((one.batch_id, one.part, one.attempt, one.file_id, one.version_id), ""),
            "attempt": one.attempt,
            "next": "needs a person" if needs_person(one) else "is tried again",
            "file_id": one.file_id,
        }
        for one in found
    ]
    names = ["tried_at", "reason", "message", "attempt", "next", "file_id"]
    return named(binding, pd.DataFrame(told, columns=names))


def named(binding: Binding, found: pd.DataFrame) -> pd.DataFrame:
    """Return rows of files with ``file_name, file_path, owner``; empty where a file has no name."""
    ids = tuple({str(one) for one in found["file_id"].dropna()}) or ("",)
    names = rows(binding, file_statements.statement("names"), {"ids": ids})
    merged = found.merge(names, on="file_id", how="left", suffixes=("_of", ""))
    text = ["file_name", "file_path", "owner"]
    merged[text] = merged[text].fillna("")
    return merged


def _narrowed(binding: Binding, search: Search) -> tuple[list[str], dict[str, Any]]:
    values = _days(search)
    if search.who:
        found = rows(binding, statement("accounts"), {"search": pattern(search.who), "limit": MOST})["account_id"]
        values["who"] = tuple(found) or ("",)
    if search.file_id:
        values["which"] = search.file_id
    if search.file:
        values["named"] = pattern(search.file)
    names: list[str] = [name for name in ("who", "which", "named") if name in values]
    if search.outcome == "failed":
        names.append("failed")
    elif search.outcome:
        values["outcome"] = search.outcome
        names.append("outcome")
    return names, values


def _days(search: Search) -> dict[str, Any]:
    start = datetime.combine(search.since, datetime.min.time())
    return {"since": start, "before": datetime.combine(search.until, datetime.min.time()) + timedelta(days=1)}


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
