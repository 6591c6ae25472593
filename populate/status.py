"""What the catalogue holds and what is still to be done, in numbers."""

from __future__ import annotations

from data_platform.settings import Settings
from populate.backup import Backup, BackupFailure, Placement
from populate.ingest import BackupBatch, BackupMember, Ingest
from populate.jobs import queues
from readers.outbox import pending
from schemas.binding import Binding
from schemas.catalogue import Blob, File, Version
from schemas.people import Person
from schemas.sharing import Access, AccessBatch, Execution, ShareEdge

_TABLES = (
    Access,
    AccessBatch,
    Backup,
    BackupBatch,
    BackupFailure,
    BackupMember,
    Blob,
    Execution,
    File,
    Ingest,
    Person,
    Placement,
    ShareEdge,
    Version,
)

_WAITING = """
    SELECT m.file_id, m.version_id
    FROM {BackupBatch} AS b
    JOIN {BackupMember} AS m ON m.batch_id = b.batch_id AND m.part = b.part AND m.attempt = b.attempt
    WHERE NOT EXISTS (
        SELECT 1 FROM {Backup} AS d WHERE d.batch_id = b.batch_id AND d.part = b.part AND d.attempt = b.attempt
    )
"""
_NO_PLACE = "NOT EXISTS (SELECT 1 FROM {Placement} AS p WHERE p.sha256 = v.sha256)"

_NUMBERS = {
    "accesses": "SELECT COUNT(*) FROM {Access}",
    "files": "SELECT COUNT(*) FROM {File}",
    "versions": "SELECT COUNT(*) FROM {Version}",
    "blobs": "SELECT COUNT(*) FROM {Blob}",
    "blob_bytes": "SELECT COALESCE(SUM(blob_size), 0) FROM {Blob}",
    "logical_bytes": "SELECT COALESCE(SUM(b.blob_size), 0) FROM {Version} AS v JOIN {Blob} AS b ON b.sha256 = v.sha256",
    "people": "SELECT COUNT(*) FROM {Person}",
    "share_edges": "SELECT COUNT(*) FROM {ShareEdge}",
    "executions": "SELECT COUNT(*) FROM {Execution}",
    "blobs_backed_up": "SELECT COUNT(DISTINCT sha256) FROM {Placement}",
    "backups_failed": "SELECT COUNT(*) FROM (SELECT DISTINCT f.file_id, f.version_id FROM {BackupFailure} AS f"
    " JOIN {Version} AS v ON v.file_id = f.file_id AND v.version_id = f.version_id"
    " WHERE {no_place} AND NOT EXISTS (SELECT 1 FROM ({waiting}) AS w"
    " WHERE w.file_id = f.file_id AND w.version_id = f.version_id)) AS failed",
    "backups_pending": "SELECT COUNT(*) FROM (SELECT DISTINCT w.file_id, w.version_id FROM ({waiting}) AS w"
    " JOIN {Version} AS v ON v.file_id = w.file_id AND v.version_id = w.version_id"
    " WHERE {no_place}) AS waiting",
    "batches_pending": "SELECT COUNT(*) FROM {AccessBatch} AS b"
    " WHERE NOT EXISTS (SELECT 1 FROM {Ingest} AS i WHERE i.batch_id = b.batch_id)",
}


def status(binding: Binding, settings: Settings) -> dict[str, int]:
    """Return what the catalogue holds and what is still to be done.

    Returns
    -------
    dict
        ``accesses`` (delivered), ``files``, ``versions``, ``blobs`` (distinct contents),
        ``blob_bytes`` (of these), ``logical_bytes`` (of all versions), ``people``,
        ``share_edges``, ``executions``, ``blobs_backed_up``; ``backups_failed`` (versions
        without a place whose last attempt failed), ``backups_pending`` (versions without a
        place that an attempt is under way for), ``batches_pending`` (deliveries to ingest),
        ``jobs_failed`` (batches that wait for their next try) and ``outbox_pending``
        (accesses on this machine that are not delivered yet).
    """
    tables = {table.__name__: table().full_table_name for table in _TABLES}
    names = tables | {"waiting": _WAITING.format(**tables), "no_place": _NO_PLACE.format(**tables)}
    numbers = {
        name: int(binding.connection.query(query.format(**names)).fetchone()[0]) for name, query in _NUMBERS.items()
    }
    numbers["jobs_failed"] = sum(queue.failed() for queue in queues())
    numbers["outbox_pending"] = pending(settings.outbox_folder)
    return numbers
