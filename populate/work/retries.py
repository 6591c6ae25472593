"""Versions that could not be backed up come back as a new `BackupBatch` with the next attempt."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from populate.backup.elsewhere import ELSEWHERE
from populate.backup.tables import REMOVED, Backup, BackupFailure, Placement
from populate.ingest import BackupBatch, BackupMember
from schemas.binding import Binding
from schemas.catalogue import Version
from schemas.engine import dj

DELAYS = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 30, 120, 720))
ATTEMPTS = len(DELAYS) + 1
"""Attempts at a version before a person is needed."""

PATIENT = ("StoreFull", "StoreUnavailable", "StoreSealed", REMOVED.name)
"""Failures that say nothing about the version: these are tried for as long as it takes."""

# The newest failure of each version in its batch, if nothing has been done about it since. A content that has a place
# is no failure any more, but for one that was removed from the first store and not from its replica.
_UNRESOLVED = """
SELECT f.batch_id, f.part, f.attempt, f.file_id, f.version_id, f.failure_permanent, f.failure, b.backed_up_at,
    (SELECT MAX(n.attempt) FROM {batch} AS n WHERE n.batch_id = f.batch_id AND n.part = f.part) AS latest
FROM {failure} AS f
JOIN {backup} AS b ON b.batch_id = f.batch_id AND b.part = f.part AND b.attempt = f.attempt
JOIN {version} AS v ON v.file_id = f.file_id AND v.version_id = f.version_id
WHERE (f.failure = '{removed}' OR NOT EXISTS (SELECT 1 FROM {placement} AS p WHERE p.sha256 = v.sha256))
AND NOT EXISTS (
    SELECT 1 FROM {member} AS m
    WHERE m.batch_id = f.batch_id AND m.part = f.part AND m.attempt > f.attempt
    AND m.file_id = f.file_id AND m.version_id = f.version_id
)
"""


class Unresolved(NamedTuple):
    """A version that the last attempt could not back up."""

    batch_id: str
    part: int
    attempt: int
    file_id: str
    version_id: str
    permanent: bool
    failure: str
    tried_at: datetime
    latest: int


def needs_person(failed: Unresolved) -> bool:
    """Tell whether a version is not tried again by itself any more."""
    return failed.permanent or (failed.attempt >= ATTEMPTS and failed.failure not in (*PATIENT, ELSEWHERE))


def is_due(failed: Unresolved, now: datetime) -> bool:
    """Tell whether a version is to be tried again by itself at `now` (UTC)."""
    if needs_person(failed):
        return False
    return now >= failed.tried_at + DELAYS[min(failed.attempt, len(DELAYS)) - 1]


def retry_due(binding: Binding) -> int:
    """Make batches of the versions that have waited long enough; return the number of versions."""
    now = datetime.now(UTC).replace(tzinfo=None)
    return _retry(binding, lambda failed: is_due(failed, now))


def retry_failed(binding: Binding) -> int:
    """Make batches of everything that failed, at once: for when a person has mended the cause.

    Returns
    -------
    int
        Number of versions that are going to be tried again.
    """
    return _retry(binding, lambda failed: True)


def unresolved(binding: Binding) -> list[Unresolved]:
    """Return the versions without a place whose last attempt failed."""
    tables: dict[str, Any] = {
        "batch": BackupBatch,
        "member": BackupMember,
        "backup": Backup,
        "failure": BackupFailure,
        "version": Version,
        "placement": Placement,
    }
    names = {name: table().full_table_name for name, table in tables.items()}
    statement = _UNRESOLVED.format(**names, removed=REMOVED.name)
    return [Unresolved(*row) for row in binding.connection.query(statement).fetchall()]


def _retry(binding: Binding, wanted: Callable[[Unresolved], bool]) -> int:
    """Make the next batches; what is elsewhere in ones of its own, and what failed beside it in those after them."""
    found = [failed for failed in unresolved(binding) if wanted(failed)]
    away = {(failed.batch_id, failed.part) for failed in found if failed.failure == ELSEWHERE}
    batches: dict[tuple[str, int, int], list[Unresolved]] = {}
    for failed in found:
        further = (failed.batch_id, failed.part) in away and failed.failure != ELSEWHERE
        batches.setdefault((failed.batch_id, failed.part, failed.latest + 1 + further), []).append(failed)
    return sum(_make_batch(binding, *key, members) for key, members in sorted(batches.items()))


def _make_batch(binding: Binding, batch_id: str, part: int, attempt: int, members: list[Unresolved]) -> int:
    key: dict[str, Any] = {"batch_id": batch_id, "part": part, "attempt": attempt}
    rows = [{**key, "file_id": m.file_id, "version_id": m.version_id} for m in sorted(members)]
    try:
        with binding.transaction():
            BackupBatch.insert1(key)
            BackupMember.insert(rows)
    except dj.errors.DuplicateError:  # another worker's janitor was faster
        return 0
    return len(rows)
