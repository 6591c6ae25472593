"""kill -9 of workers and of the database at any moment: nothing acknowledged is lost, doubled or half there."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest
from deliveries import Record, hand_in, read_file, stored
from waiting import PATIENCE, wait_until

from data_platform.errors import DatabaseUnavailable
from data_platform.settings import load
from populate import facts
from populate.backup.tables import Backup, BackupFailure
from populate.ingest import BackupBatch, BackupMember, Ingest
from populate.pipeline import bind_all
from populate.store import Place, content_of
from populate.store.folder import FolderStore
from populate.work.jobs import queues
from populate.work.worker import run_worker
from schemas import cluster, postmaster
from schemas.binding import Binding
from schemas.catalogue import Blob, File, FileName, FileOwner, Version
from schemas.sharing import Access, AccessBatch, ShareEdge

pytestmark = pytest.mark.slow

KILLS = 50
KILLS_BETWEEN = 16  # before the work is completed and everything compared
AT_ONCE = 2  # workers killed at once, so that they also meet each other


@pytest.fixture
def backend() -> str:
    """Dozens of processes are killed: once is enough."""
    return "postgresql"


@pytest.fixture
def start() -> Callable[[], ForkServerProcess]:
    """Return a function that starts a worker which ends when all is done: a real process, quickly there."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["populate.work.worker"])

    def started() -> ForkServerProcess:
        process = context.Process(target=run_worker, args=(load(), True), daemon=True)
        process.start()
        return process

    return started


def finish(process: ForkServerProcess) -> None:
    process.join(PATIENCE)
    assert process.exitcode == 0


class Lab:
    """A folder of files in which people read; every delivery that was accepted is kept account of."""

    def __init__(self, folder: Path, binding: Binding) -> None:
        folder.mkdir()
        self.folder = folder
        self.binding = binding
        self.accepted: list[Record] = []
        self.chance = random.Random(1)

    def read_some(self, batches: int) -> None:
        """Deliver batches of reads of new files, of known ones, and of copies."""
        for _ in range(batches):
            records = [self._read() for _ in range(10)]
            run = str(len(self.accepted))
            steadily(partial(hand_in, self.binding, records, run))
            self.accepted += records

    def _read(self) -> Record:
        number = self.chance.randrange(150)
        path = self.folder / f"{number}.bin"
        if not path.exists():
            path.write_bytes(f"{number % 120} ".encode() * (1 + 997 * (number % 40)))
        return read_file(path, self.chance.choice(["amy", "brendan", "carol"]), day=self.chance.randrange(3))

    def verify(self) -> None:
        """Compare every row and every byte with what was delivered."""
        delivered = Access.to_dicts()
        assert sorted(row["event_id"] for row in delivered) == sorted(str(row["event_id"]) for row in self.accepted)
        accesses = [facts.sound(row) for row in delivered]
        for table, rows in (
            (File, facts.files(accesses)),
            (FileName, facts.file_names(accesses)),
            (FileOwner, facts.file_owners(accesses)),
            (Blob, facts.blobs(accesses)),
            (Version, facts.versions(accesses)),
            (ShareEdge, facts.share_edges(accesses)),
        ):
            assert in_order(table().to_dicts()) == in_order(rows), table.__name__
        assert len(AccessBatch()) == len(Ingest()) == len(BackupBatch()) == len(Backup())
        assert len(Version() & BackupMember()) == len(Version())
        assert not BackupFailure()
        kept = stored()
        assert kept.keys() == {row["sha256"] for row in Blob.to_dicts()}
        assert set(kept.values()) == {path.read_bytes() for path in self.folder.iterdir()}
        store = FolderStore(Path(load().store_url))
        assert not list(store.incoming.iterdir())
        assert all(len(queue.table.jobs) == 0 for queue in queues())


def in_order(rows: list[dict[str, Any]]) -> list[list[tuple[str, Any]]]:
    return sorted(sorted(row.items()) for row in rows)


@pytest.mark.timeout(1200)  # many times what it takes, for machines that are busy with other things
def test_workers_killed_at_random_moments(
    binding: Binding, tmp_path: Path, start: Callable[[], ForkServerProcess]
) -> None:
    """Only kills of workers that hold a job count; every few of them the work is completed and compared."""
    lab, chance = Lab(tmp_path / "lab", binding), random.Random(2)
    kills = checked = 0
    while kills < KILLS:
        if sum(queue.unfinished() for queue in queues()) < 4:
            lab.read_some(batches=4)
        workers = [start() for _ in range(AT_ONCE)]
        # From the moment that one of them holds a job: before, a kill could not do any harm.
        wait_until(lambda: held(binding) > 0 or not any(worker.is_alive() for worker in workers), pause=0.002)  # noqa: B023
        time.sleep(chance.uniform(0, 0.08))
        at_work = held(binding) > 0
        for worker in workers:
            if worker.is_alive():
                os.kill(worker.pid or 0, signal.SIGKILL)
            worker.join(PATIENCE)
            assert worker.exitcode in (0, -signal.SIGKILL)
            kills += at_work and worker.exitcode == -signal.SIGKILL
        whole()
        if kills - checked >= KILLS_BETWEEN:
            checked = kills
            finish(start())
            lab.verify()
    lab.read_some(batches=1)
    finish(start())
    lab.verify()


def whole() -> None:
    """Compare every content that can be seen in the store with its name: none may be a part of one."""
    store = FolderStore(Path(load().store_url))
    for name, size in store.objects():
        data = b"".join(store.read(Place(name, 0, size)))
        assert content_of(name) == hashlib.sha256(data).hexdigest()


def test_the_database_is_killed_during_the_work(
    home: Path, tmp_path: Path, start: Callable[[], ForkServerProcess]
) -> None:
    binding = bind_all(load())
    lab = Lab(tmp_path / "lab", binding)
    kills = 0
    while kills < 3:
        lab.read_some(batches=5)
        worker = start()
        wait_until(lambda: held(binding) > 0 or not worker.is_alive(), pause=0.002)  # noqa: B023
        server = postmaster.status(cluster.data_folder(home) or home)
        assert server is not None
        os.kill(server.pid, signal.SIGKILL)
        kills += worker.is_alive()
        lab.read_some(batches=1)  # the database is back for whoever asks
        finish(worker)
    finish(start())
    lab.verify()


def steadily(action: Callable[[], int]) -> int:
    """Do something until the database has not been away meanwhile; return what came of it."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return action()
        except DatabaseUnavailable:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def held(binding: Binding) -> int:
    return sum(len(queue.table.jobs.reserved) for queue in queues())
