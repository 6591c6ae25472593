"""How much of what is backed up was read back lately, in numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any

from populate.adopt.tables import Adopt, AdoptMember
from populate.backup.erased import Erasure
from populate.backup.tables import Backup, Placement
from populate.backup.verification import Damage, DamageMended, Verification, Verify
from populate.ingest import BackupMember
from schemas.catalogue import Blob, Version

PROVEN_DAYS = 30
"""A content that was read back within so many days counts as proven."""

_TABLES = (
    *(Adopt, AdoptMember, Backup, BackupMember, Blob, Damage, DamageMended, Erasure),
    *(Placement, Verification, Verify, Version),
)
_SINCE = {
    "postgresql": f"CAST((CURRENT_TIMESTAMP AT TIME ZONE 'UTC') AS date) - {PROVEN_DAYS}",
    "mysql": f"DATE_SUB(UTC_DATE(), INTERVAL {PROVEN_DAYS} DAY)",
}
_PROVEN = (
    "EXISTS (SELECT 1 FROM {Verification} AS v"
    " WHERE v.sha256 = p.sha256 AND v.store_id = p.store_id AND v.verified_on > {since})"
)
_NUMBERS = {
    "stored_bytes": "SELECT COALESCE(SUM(b.blob_size), 0) FROM {Placement} AS p JOIN {Blob} AS b"
    " ON b.sha256 = p.sha256",
    "proven_bytes": "SELECT COALESCE(SUM(b.blob_size), 0) FROM {Placement} AS p JOIN {Blob} AS b"
    " ON b.sha256 = p.sha256 WHERE {proven}",
    "contents_unproven": "SELECT COUNT(*) FROM {Placement} AS p WHERE NOT {proven}",
    "contents_damaged": "SELECT COUNT(*) FROM {Damage} AS d WHERE NOT EXISTS (SELECT 1 FROM {DamageMended} AS m"
    " WHERE m.sha256 = d.sha256 AND m.store_id = d.store_id AND m.found_at = d.found_at)"
    " AND NOT EXISTS (SELECT 1 FROM {Erasure} AS e WHERE e.sha256 = d.sha256)"
    " AND EXISTS (SELECT 1 FROM {Placement} AS p WHERE p.sha256 = d.sha256 AND p.store_id = d.store_id)",
}
# Since when a content that is not proven is not: since it was read back last, else since it was put there.
_READ_BACK = (
    "SELECT MIN(o.latest) FROM (SELECT v.sha256, v.store_id, MAX(v.verified_on) AS latest FROM {Verification} AS v"
    " GROUP BY v.sha256, v.store_id HAVING MAX(v.verified_on) <= {since}) AS o"
    " JOIN {Placement} AS p ON p.sha256 = o.sha256 AND p.store_id = o.store_id"
)
_NEVER = (
    " FROM {Placement} AS p JOIN {Version} AS n ON n.sha256 = p.sha256 {members}"
    " WHERE NOT EXISTS (SELECT 1 FROM {Verification} AS v WHERE v.sha256 = p.sha256 AND v.store_id = p.store_id)"
)
_BACKED_UP = "SELECT MIN(d.backed_up_at)" + _NEVER.replace(
    "{members}",
    "JOIN {BackupMember} AS m ON m.file_id = n.file_id AND m.version_id = n.version_id JOIN {Backup} AS d"
    " ON d.batch_id = m.batch_id AND d.part = m.part AND d.attempt = m.attempt",
)
_ADOPTED = "SELECT MIN(d.adopted_at)" + _NEVER.replace(
    "{members}",
    "JOIN {AdoptMember} AS m ON m.file_id = n.file_id JOIN {Adopt} AS d"
    " ON d.root_id = m.root_id AND d.survey = m.survey AND d.part = m.part",
)
_SPEED = "SELECT SUM(verify_bytes), SUM(verify_milliseconds) FROM {Verify} WHERE verify_ended_at > {since}"


def statements(backend: str) -> dict[str, str]:
    """Return the statement behind each number that needs one only, by its name.

    ``stored_bytes`` (of every store), ``proven_bytes`` (of these, read back in the last 30
    days), ``contents_unproven`` (not read back in that time) and ``contents_damaged`` (found
    missing or damaged, not whole again, and not let go since).
    """
    return {name: _filled(statement, backend) for name, statement in _NUMBERS.items()}


def oldest_unproven_days(connection: Any, today: date | None = None) -> int:
    """Return for how many days the content that waits longest was not read back; 0 if all are proven.

    One that was never read back waits since it was stored.
    """
    return days_since([connection.query(one).fetchone()[0] for one in waiting(connection.adapter.backend)], today)


def waiting(backend: str) -> list[str]:
    """Return statements for the moments since when the contents that wait longest were not read back."""
    return [_filled(statement, backend) for statement in (_READ_BACK, _BACKED_UP, _ADOPTED)]


def days_since(moments: Iterable[date | None], today: date | None = None) -> int:
    """Return for how many days it has been the earliest of these; 0 if there is none."""
    found = [moment.date() if isinstance(moment, datetime) else moment for moment in moments if moment is not None]
    return ((today or datetime.now(UTC).date()) - min(found)).days if found else 0


def restore_seconds(connection: Any, stored_bytes: int) -> int:
    """Return how long it takes one process to have so much back, by how fast contents were read back lately.

    -1 if nothing was in the last 30 days: then nobody knows.
    """
    size, milliseconds = connection.query(_filled(_SPEED, connection.adapter.backend)).fetchone()
    return math.ceil(stored_bytes * int(milliseconds) / int(size) / 1000) if size else -1


def _filled(statement: str, backend: str) -> str:
    names = {table.__name__: table().full_table_name for table in _TABLES}
    proven = _PROVEN.format(**names, since=_SINCE[backend])
    return statement.format(**names, since=_SINCE[backend], proven=proven)
