"""What the page of retention asks: rules and holds with who made them and when, and what waits to go or went."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from dashboard.queries.govern import MOST, named
from dashboard.queries.rows import rows
from data_platform.settings import Settings
from populate.backup.stores import ContentStore
from populate.lookup import lookup
from populate.rendering import rendered
from populate.retention.keeping import holds, rules
from populate.retention.rules import Hold, Rule
from populate.retention.tables import (
    LegalHold,
    LegalHoldEnded,
    Quarantine,
    QuarantineEnd,
    RetentionRule,
    RetentionRuleEnded,
)
from schemas.binding import Binding
from schemas.catalogue import Blob, Version
from schemas.people import Person

_TABLES = (Blob, ContentStore, Quarantine, QuarantineEnd, Version)
_WAITING = """
NOT EXISTS (SELECT 1 FROM $QuarantineEnd e WHERE e.sha256 = q.sha256 AND e.store_id = q.store_id
                                             AND e.quarantined_at = q.quarantined_at)"""
_CONTENT = """
s.store_name, b.blob_size AS size, q.sha256,
(SELECT COUNT(DISTINCT v.file_id) FROM $Version v WHERE v.sha256 = q.sha256) AS files,
(SELECT MIN(v.file_id) FROM $Version v WHERE v.sha256 = q.sha256) AS file_id"""
_STATEMENTS = {
    "waits": """
        SELECT COUNT(*) AS contents, COALESCE(SUM(b.blob_size), 0) AS bytes, MIN(q.quarantined_at) AS since
        FROM $Quarantine q JOIN $Blob b ON b.sha256 = q.sha256 WHERE $waiting
    """,
    "waiting": """
        SELECT q.quarantined_at, $content
        FROM $Quarantine q
        JOIN $Blob b ON b.sha256 = q.sha256
        JOIN $ContentStore s ON s.store_id = q.store_id
        WHERE $waiting ORDER BY q.quarantined_at, q.sha256 LIMIT %(limit)s
    """,
    "ended": """
        SELECT q.quarantine_ended_at, q.quarantined_at, q.quarantine_outcome, $content
        FROM (SELECT * FROM $QuarantineEnd ORDER BY quarantine_ended_at DESC, sha256 LIMIT %(limit)s) q
        JOIN $Blob b ON b.sha256 = q.sha256
        JOIN $ContentStore s ON s.store_id = q.store_id
        ORDER BY q.quarantine_ended_at DESC, q.sha256
    """,
}
OUTCOMES = {"kept": "kept: there is a reason again", "swept": "gone from this store"}


@dataclass(frozen=True, slots=True)
class Keeping:
    """What may go, what must not, and what waits to go.

    Attributes
    ----------
    rules, holds
        Whether in force or not, the newest first: ``number, what, by, since, state, ended_at, ended_by``; holds with
        their ``reason``.
    waiting_contents, waiting_bytes
        In quarantine, in all stores.
    first_goes_at
        When the first of these may go at the earliest, UTC; None if none waits.
    waiting, ended
        Contents with ``store_name, size, files, sha256`` and a file that has them; at most `MOST`.
    """

    rules: pd.DataFrame
    holds: pd.DataFrame
    waiting_contents: int
    waiting_bytes: int
    first_goes_at: datetime | None
    waiting: pd.DataFrame
    ended: pd.DataFrame


def keeping(binding: Binding, settings: Settings) -> Keeping:
    """Return it as of now."""
    binding.ensure()
    quarantine = timedelta(days=settings.store.quarantine_days)
    sums = rows(binding, _filled("waits"), {}).to_dict("records")[0]
    waiting = named(binding, rows(binding, _filled("waiting"), {"limit": MOST}))
    waiting["goes_at"] = pd.to_datetime(waiting["quarantined_at"]) + quarantine
    ended = named(binding, rows(binding, _filled("ended"), {"limit": MOST}))
    ended["outcome"] = [OUTCOMES.get(one, one) for one in ended["quarantine_outcome"]]
    return Keeping(
        rules=_rules(),
        holds=_holds(),
        waiting_contents=int(sums["contents"]),
        waiting_bytes=int(sums["bytes"]),
        first_goes_at=None if pd.isna(sums["since"]) else pd.Timestamp(sums["since"]).to_pydatetime() + quarantine,
        waiting=waiting,
        ended=ended,
    )


def _rules() -> pd.DataFrame:
    made = {row["rule_number"]: row for row in RetentionRule.to_dicts()}
    told = {
        number: Rule(number, *(row[f"rule_{name}"] for name in ("keeps", "amount", "source", "department", "tag")))
        for number, row in made.items()
    }
    in_force = {one.number for one in rules()}
    return _dated("rule", made, told, in_force, RetentionRuleEnded)


def _holds() -> pd.DataFrame:
    made = {row["hold_number"]: row for row in LegalHold.to_dicts()}
    owners = {row["hold_owner"] for row in made.values()} - {""}
    names = dict(lookup(Person, "person_id", "full_name", person_id=owners))
    told = {}
    for number, row in made.items():
        about = {name: row[f"hold_{name}"] for name in ("sha256", "source", "below", "department", "tag")}
        told[number] = Hold(number, row["hold_reason"], owner=names.get(row["hold_owner"], row["hold_owner"]), **about)
    frame = _dated("hold", made, told, {one.number for one in holds()}, LegalHoldEnded)
    frame["what"] = [
        what.removesuffix(f": {told[n].reason}") for n, what in zip(frame["number"], frame["what"], strict=True)
    ]
    frame["reason"] = [told[number].reason for number in frame["number"]]
    return frame


def _dated(kind: str, made: dict[int, Any], told: dict[int, Any], in_force: set[int], endings: Any) -> pd.DataFrame:
    """Return what was made and ended, the newest first."""
    ended = {row[f"{kind}_number"]: row for row in endings.to_dicts()}
    found = [
        {
            "number": number,
            "what": str(told[number]),
            "state": "in force" if number in in_force else "ended",
            "since": row[f"{kind}_since"],
            "by": row[f"{kind}_by"],
            "ended_at": ended.get(number, {}).get(f"{kind}_ended_at"),
            "ended_by": ended.get(number, {}).get(f"{kind}_ended_by", ""),
        }
        for number, row in sorted(made.items(), reverse=True)
    ]
    return pd.DataFrame(found, columns=["number", "what", "state", "since", "by", "ended_at", "ended_by"])


def _filled(name: str) -> str:
    return rendered(_STATEMENTS[name], {"waiting": _WAITING, "content": _CONTENT}, _TABLES)
