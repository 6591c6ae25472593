"""The numbers of `status`, compared with what was done."""

from __future__ import annotations

from pathlib import Path

from deliveries import Record, hand_in, item, read, read_file

from data_platform.settings import load, settings
from populate.backup.tables import Backup
from populate.ingest import Ingest
from populate.watch.status import status
from populate.work.queue import Queue
from populate.work.retries import retry_failed
from readers.outbox import Outbox
from readers.run import run_record
from schemas.binding import Binding

NOTHING = dict.fromkeys(
    (
        "accesses",
        "files",
        "versions",
        "blobs",
        "blob_bytes",
        "logical_bytes",
        "people",
        "share_edges",
        "executions",
        "blobs_backed_up",
        "stored_bytes",
        "proven_bytes",
        "contents_unproven",
        "oldest_unproven_days",
        "contents_damaged",
        "backups_failed",
        "backups_pending",
        "backups_elsewhere",
        "batches_pending",
        "lineage_untold",
        "jobs_failed",
        "needs_person",
        "workers",
        "schedulers",
        "outbox_pending",
    ),
    0,
) | {"restore_seconds": -1}


def changes(binding: Binding, before: dict[str, int]) -> dict[str, int]:
    """Return the numbers that are not as they were."""
    return {name: number for name, number in status(binding, settings()).items() if number != before.get(name)}


def test_numbers_follow_what_happens(binding: Binding, tmp_path: Path) -> None:
    assert status(binding, settings()) == NOTHING
    kept, lost = tmp_path / "kept", tmp_path / "lost"
    kept.write_bytes(b"12345")
    lost.write_bytes(b"123")
    (tmp_path / "copy").write_bytes(b"12345")
    records = [read_file(path) for path in (kept, lost, tmp_path / "copy")]
    lost.unlink()

    outbox = Outbox(load().outbox_folder, load().outbox.model_copy(update={"ship": False}), run_record)
    outbox.append(*records)
    assert changes(binding, NOTHING) == {"outbox_pending": 3}
    outbox.close()

    hand_in(binding, records)
    delivered = status(binding, settings())
    assert changes(binding, NOTHING) == {"outbox_pending": 3, "accesses": 3, "batches_pending": 1}

    work_off(Queue(Ingest()))
    known = status(binding, settings())
    assert changes(binding, delivered) == {
        "batches_pending": 0,
        "files": 3,
        "versions": 3,
        "blobs": 2,
        "blob_bytes": 8,
        "logical_bytes": 13,
        "people": 2,  # Amy, and the login of this machine, which owns the files
        "share_edges": 3,
        "executions": 1,
        "backups_pending": 3,
    }

    work_off(Queue(Backup()))
    gone = {"backups_failed": 1, "needs_person": 1}  # there is nothing any more where it was read
    kept_now = {"blobs_backed_up": 1, "stored_bytes": 5, "contents_unproven": 1}
    assert changes(binding, known) == {"backups_pending": 0, **kept_now, **gone}
    assert retry_failed(binding) == 1
    assert changes(binding, known) == {"backups_pending": 1, **kept_now}
    lost.write_bytes(b"123")
    work_off(Queue(Backup()))
    assert changes(binding, known) == {
        "backups_pending": 0,
        "blobs_backed_up": 2,
        "stored_bytes": 8,
        "contents_unproven": 2,
    }


def test_failed_jobs_are_told(binding: Binding) -> None:
    hand_in(binding, [read(item("/a.csv"))])
    queue = Queue(Ingest())
    queue.refresh()
    binding.connection.query(f"UPDATE {queue.table.jobs.full_table_name} SET status = 'error'")
    assert changes(binding, NOTHING) == {"accesses": 1, "batches_pending": 1, "jobs_failed": 1}


def test_content_that_another_file_brought_has_not_failed(binding: Binding, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for path in (first, second):
        path.write_bytes(b"same")
    records: list[Record] = [read_file(first), read_file(second)]
    first.unlink()
    for record in records:
        hand_in(binding, [record])
    for table in (Ingest, Backup):
        work_off(Queue(table()))
    counts = status(binding, settings())
    assert [counts[name] for name in ("backups_failed", "backups_pending", "blobs_backed_up")] == [0, 0, 1]


def work_off(queue: Queue) -> None:
    queue.refresh()
    while queue.run(20):
        pass
    assert queue.failed() == 0
