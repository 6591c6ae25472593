"""What the catalogue holds and what is still to be done, in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from data_platform.redact import redact_text
from data_platform.settings import Settings
from populate.backup.elsewhere import ELSEWHERE
from populate.backup.erased import Erasure
from populate.backup.erasing import unfinished
from populate.backup.proof import restore_seconds
from populate.backup.proof import statements as proof_statements
from populate.backup.tables import Backup, BackupFailure, ContentStore, Placement
from populate.backup.verification import Damage, DamageMended, look_again
from populate.ingest import BackupBatch, BackupMember, Ingest
from populate.lineage.tables import LineageRefused, LineageSent
from populate.lookup import lookup
from populate.retention.tables import QuarantineEnd
from populate.watch.totals import totals
from populate.work.jobs import queues
from populate.work.lease import living
from populate.work.queue import State
from populate.work.retries import Unresolved, needs_person, retry_failed, unresolved
from readers.outbox import pending
from schemas.binding import Binding
from schemas.catalogue import File, Version
from schemas.sharing import AccessBatch

_TABLES = (
    *(AccessBatch, Backup, BackupBatch, BackupFailure, BackupMember, File, Ingest, Placement, QuarantineEnd, Version),
    *(LineageRefused, LineageSent),
)

_FAILURE = ("batch_id", "part", "attempt", "file_id", "version_id", "failure_message")

# DISTINCT has MySQL find the few batches first; else it goes through the members of all.
_WAITING = """
    SELECT m.file_id, m.version_id
    FROM (
        SELECT DISTINCT b.batch_id, b.part, b.attempt FROM {BackupBatch} AS b WHERE NOT EXISTS (
            SELECT 1 FROM {Backup} AS d WHERE d.batch_id = b.batch_id AND d.part = b.part AND d.attempt = b.attempt
        )
    ) AS b
    JOIN {BackupMember} AS m ON m.batch_id = b.batch_id AND m.part = b.part AND m.attempt = b.attempt
"""
_NO_PLACE = "NOT EXISTS (SELECT 1 FROM {Placement} AS p WHERE p.sha256 = v.sha256)"
# What was stored after that attempt, and left the store since.
_NOT_SWEPT = """
    NOT EXISTS (
        SELECT 1 FROM {QuarantineEnd} AS q JOIN {Backup} AS t ON t.batch_id = f.batch_id AND t.part = f.part
            AND t.attempt = f.attempt AND t.backed_up_at < q.quarantine_ended_at
        WHERE q.sha256 = v.sha256 AND q.quarantine_outcome = 'swept'
    )
"""

# The last attempt was where its disk or share is not seen; one elsewhere may be waiting for a worker there.
_ELSEWHERE = """
    SELECT f.file_id, f.version_id
    FROM {BackupFailure} AS f JOIN {Version} AS v ON v.file_id = f.file_id AND v.version_id = f.version_id
    WHERE f.failure = '{name}' AND {no_place} AND NOT EXISTS (
        SELECT 1 FROM {BackupFailure} AS n WHERE n.batch_id = f.batch_id AND n.part = f.part AND n.attempt > f.attempt
        AND n.file_id = f.file_id AND n.version_id = f.version_id
    )
"""
_NOT_ELSEWHERE = (
    "NOT EXISTS (SELECT 1 FROM ({elsewhere}) AS e WHERE e.file_id = {of}.file_id AND e.version_id = {of}.version_id)"
)

_NUMBERS = {
    "backups_failed": "SELECT COUNT(*) FROM (SELECT DISTINCT f.file_id, f.version_id FROM {BackupFailure} AS f"
    " JOIN {Version} AS v ON v.file_id = f.file_id AND v.version_id = f.version_id"
    " WHERE {no_place} AND {not_swept} AND NOT EXISTS (SELECT 1 FROM ({waiting}) AS w"
    " WHERE w.file_id = f.file_id AND w.version_id = f.version_id) AND {failed_here}) AS failed",
    "backups_pending": "SELECT COUNT(*) FROM (SELECT DISTINCT w.file_id, w.version_id FROM ({waiting}) AS w"
    " JOIN {Version} AS v ON v.file_id = w.file_id AND v.version_id = w.version_id"
    " WHERE {no_place} AND {waits_here}) AS waiting",
    "backups_elsewhere": "SELECT COUNT(*) FROM (SELECT DISTINCT e.file_id, e.version_id"
    " FROM ({elsewhere}) AS e) AS away",
    # Each ingested delivery is one of the deliveries, so they need not be compared one by one.
    "batches_pending": "SELECT (SELECT COUNT(*) FROM {AccessBatch}) - (SELECT COUNT(*) FROM {Ingest})",
}
# So it is with what a backend was told of, or does not want.
_UNTOLD = {
    "lineage_untold": "SELECT (SELECT COUNT(*) FROM {Ingest}) - (SELECT COUNT(*) FROM {LineageSent})"
    " - (SELECT COUNT(*) FROM {LineageRefused})"
}

_BY_SYSTEM = {
    "elsewhere_by_system": "SELECT s.source_system, COUNT(*) FROM (SELECT DISTINCT e.file_id, e.version_id"
    " FROM ({elsewhere}) AS e) AS away JOIN {File} AS s ON s.file_id = away.file_id"
    " GROUP BY s.source_system ORDER BY s.source_system",
}


class Need(NamedTuple):
    """Something that fails for as long as nobody does anything about it.

    Attributes
    ----------
    what
        Name of the table, of a version that cannot be backed up ``BackupFailure``, of a content
        that the store has lost ``Damage``.
    key
        Of the job, or of the version.
    reason
        Name and text of the error, without secrets.
    tries
        How often it was tried.
    since
        When it failed last, UTC.
    """

    what: str
    key: dict[str, Any]
    reason: str
    tries: int
    since: datetime


def statements() -> dict[str, str]:
    """Return the statement behind each number of `left_to_do` that is asked of the catalogue, by its name."""
    tables = {table.__name__: table().full_table_name for table in _TABLES}
    names = tables | {"waiting": _WAITING.format(**tables), "no_place": _NO_PLACE.format(**tables)}
    names["not_swept"] = _NOT_SWEPT.format(**tables)
    names["elsewhere"] = _ELSEWHERE.format(name=ELSEWHERE, **names)
    names |= {name: _NOT_ELSEWHERE.format(of=of, **names) for name, of in (("failed_here", "f"), ("waits_here", "w"))}
    return {name: query.format(**names) for name, query in (_NUMBERS | _UNTOLD | _BY_SYSTEM).items()}


def status(binding: Binding, settings: Settings) -> dict[str, int]:
    """Return what the catalogue holds and what is still to be done, all of it exactly and as of now.

    What it holds takes the longer the more that is; see `populate.watch.tally` for who can do with a little less.

    Returns
    -------
    dict
        ``accesses`` (delivered), ``files``, ``versions``, ``blobs`` (distinct contents),
        ``blob_bytes`` (of these), ``logical_bytes`` (of all versions), ``people``,
        ``share_edges``, ``executions``, ``blobs_backed_up``; ``stored_bytes`` (in all stores),
        ``proven_bytes`` (of these, read back in the last 30 days), ``contents_unproven``,
        ``oldest_unproven_days`` (since the content that waits longest was read back or stored),
        ``restore_seconds`` (that one process takes to have everything back, by how fast contents
        were read back in the last 30 days; -1 if none was), ``contents_damaged`` (missing or
        damaged in a store); ``backups_failed`` (versions
        without a place whose last attempt failed), ``backups_pending`` (versions without a
        place that an attempt is under way for), ``backups_elsewhere`` (versions that wait for a
        worker which sees their disk or share), ``batches_pending`` (deliveries to ingest),
        ``lineage_untold`` (deliveries that the OpenLineage backend of the settings has not taken yet),
        ``jobs_failed`` (batches that wait for their next try, or for a person),
        ``needs_person`` (jobs and versions that nothing happens to any more until a person has
        them tried again), ``workers`` (processes of workers that live), ``schedulers`` (at
        work: 0 or 1) and ``outbox_pending`` (accesses on this machine that are not delivered
        yet).
    """
    numbers = totals(binding)
    return {**numbers, "restore_seconds": to_restore(binding, numbers), **left_to_do(binding, settings)}


def to_restore(binding: Binding, numbers: Mapping[str, int]) -> int:
    """Return ``restore_seconds`` of `status` for such totals."""
    return restore_seconds(binding.connection, min(numbers["stored_bytes"], numbers["blob_bytes"]))


def left_to_do(binding: Binding, settings: Settings) -> dict[str, int]:
    """Return the numbers of `status` from ``contents_damaged`` on, which need no sum over what is there and well."""
    asked = statements()
    queries = {"contents_damaged": proof_statements(binding.backend)["contents_damaged"]}
    queries |= {name: asked[name] for name in (*_NUMBERS, *(_UNTOLD if settings.lineage.url else ()))}
    numbers = {name: int(binding.connection.query(query).fetchone()[0]) for name, query in queries.items()}
    numbers.setdefault("lineage_untold", 0)
    states = queue_states()
    numbers["jobs_failed"] = sum(state.failed for state in states)
    stuck = sum(state.stuck for state in states) + len(_stuck_versions(binding))
    numbers["needs_person"] = stuck + numbers["contents_damaged"]
    numbers["needs_person"] += len(unfinished())
    numbers["workers"], numbers["schedulers"] = living(binding)
    numbers["outbox_pending"] = pending(settings.outbox_folder)
    return numbers


def waiting_elsewhere(binding: Binding) -> dict[str, int]:
    """Return how many versions wait for a worker that sees their disk or share, by source system."""
    found = binding.connection.query(statements()["elsewhere_by_system"]).fetchall()
    return {system: int(versions) for system, versions in found}


def queue_states() -> list[State]:
    """Return how much waits in each queue, and for how long."""
    return [queue.state() for queue in queues()]


def needs(binding: Binding) -> list[Need]:
    """Return everything that needs a person, what failed first first."""
    versions = _stuck_versions(binding)
    messages = {
        tuple(row[:5]): row[5] for row in lookup(BackupFailure, *_FAILURE, batch_id={one.batch_id for one in versions})
    }
    found = _stuck_jobs()
    for one in versions:
        key = {"file_id": one.file_id, "version_id": one.version_id}
        message = messages.get((one.batch_id, one.part, one.attempt, one.file_id, one.version_id), "")
        found.append(Need("BackupFailure", key, f"{one.failure}: {message}", one.attempt, one.tried_at))
    return sorted([*found, *_damages(), *_unfinished()], key=lambda need: need.since)


def try_again(binding: Binding) -> dict[str, int]:
    """Have everything that failed tried again, now: for when the cause has been mended.

    Returns
    -------
    dict
        ``jobs``, ``versions`` and ``damaged`` contents: how many are tried again.
    """
    damaged = sum(map(look_again, ContentStore.to_arrays("store_id").tolist()))
    return {
        "jobs": sum(queue.set_going() for queue in queues()),
        "versions": retry_failed(binding),
        "damaged": damaged,
    }


def _damages() -> list[Need]:
    """Return the contents that a store has lost and nobody could fetch again yet."""
    rows = ((Damage() - DamageMended() - Erasure.proj()) & Placement.proj()).to_dicts(order_by="found_at")
    return [
        Need(
            "Damage",
            {"sha256": row["sha256"], "store_id": row["store_id"]},
            f"{row['damage']}: {row['damage_detail']}",
            1,
            row["found_at"],
        )
        for row in rows
    ]


def _unfinished() -> list[Need]:
    """Return the contents that were to be erased and that a store still has, or has again."""
    reason = "It is still kept, or kept again: erase it once more."
    return [Need("Erasure", {"sha256": row["sha256"]}, reason, 1, row["erased_at"]) for row in unfinished()]


def _stuck_jobs() -> list[Need]:
    stuck = (job for queue in queues() for job in queue.stuck())
    return [Need(job.table, job.key, redact_text(job.reason), job.failures, job.since) for job in stuck]


def _stuck_versions(binding: Binding) -> list[Unresolved]:
    return [failed for failed in unresolved(binding) if needs_person(failed)]
