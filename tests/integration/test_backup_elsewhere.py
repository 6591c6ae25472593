"""What was read from a disk that a worker does not see waits for one that does, however long that takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from deliveries import hand_in, read_file, stored

from data_platform.settings import settings
from populate.backup.elsewhere import ELSEWHERE
from populate.backup.tables import Backup, BackupFailure
from populate.ingest import BackupBatch
from populate.watch.status import status, waiting_elsewhere
from populate.work.queue import Queue
from populate.work.retries import retry_failed
from populate.work.worker import run_worker
from schemas.binding import Binding


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Return a function that makes this the machine of a name, as a container is told by the setting."""

    def move(host: str) -> None:
        monkeypatch.setenv("DATA_PLATFORM_FILE__HOST", host)
        settings.cache_clear()

    yield move
    settings.cache_clear()


def left(binding: Binding) -> dict[str, int]:
    """Return what is left to do with backups."""
    names = ("backups_failed", "backups_pending", "backups_elsewhere", "needs_person")
    return {name: number for name, number in status(binding, settings()).items() if name in names and number}


def test_backups_wait_for_a_worker_that_sees_the_disk(
    binding: Binding, tmp_path: Path, on: Callable[[str], None]
) -> None:
    names = [f"{number}.csv" for number in range(8)]  # more than fail in a row before a source is given up
    for name in names:
        (tmp_path / name).write_bytes(name.encode())
    on("laptop")
    hand_in(binding, [read_file(tmp_path / name) for name in names])

    on("server")
    assert run_worker(once=True).failed_jobs == 0
    assert set(BackupFailure.to_arrays("failure")) == {ELSEWHERE}
    assert left(binding) == {"backups_elsewhere": len(names)}
    assert waiting_elsewhere(binding) == {"file/laptop": len(names)}

    assert retry_failed(binding) == len(names)
    for _ in range(2):  # nobody here takes them up, and nobody waits for that either
        run_worker(once=True)
        assert len(BackupBatch()) == 2
        assert len(Backup()) == 1
    assert left(binding) == {"backups_elsewhere": len(names)}
    assert Queue(Backup()).unfinished() == 0

    on("laptop")
    run_worker(once=True)
    assert left(binding) == {}
    assert waiting_elsewhere(binding) == {}
    assert sorted(stored().values()) == sorted(name.encode() for name in names)


def test_what_failed_beside_it_is_tried_again_without_it(
    binding: Binding, tmp_path: Path, on: Callable[[str], None]
) -> None:
    far, gone = tmp_path / "far.csv", tmp_path / "gone.csv"
    far.write_bytes(b"far")
    gone.write_bytes(b"gone")
    on("laptop")
    records = [read_file(far)]
    on("server")
    hand_in(binding, [*records, read_file(gone)])
    gone.unlink()
    run_worker(once=True)
    assert left(binding) == {"backups_failed": 1, "backups_elsewhere": 1, "needs_person": 1}
    assert retry_failed(binding) == 2
    run_worker(once=True)
    assert sorted(Backup.to_arrays("attempt")) == [1, 3]
    assert left(binding) == {"backups_failed": 1, "backups_elsewhere": 1, "needs_person": 1}
    on("laptop")
    run_worker(once=True)
    assert left(binding) == {"backups_failed": 1, "needs_person": 1}
    assert list(stored().values()) == [b"far"]
