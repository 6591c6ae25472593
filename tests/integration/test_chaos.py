"""Workers killed each second, a database restarted twice, a store that refuses a tenth of all: the same rows.

`CHAOS_SECONDS` says how long; the full minute is `make chaos`.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest
from deliveries import Record, contents, hand_in, read_file, stored
from own_server import OwnServer
from servers.fault_proxy import Fault, FaultProxy
from servers.mysql import MySQLMissing
from servers.own_mysql import OwnMySQL
from servers.processes import S3Server

from data_platform.errors import DatabaseUnavailable
from data_platform.settings import load, settings
from populate.backup.restore import restore
from populate.backup.tables import Backup, Placement
from populate.ingest import BackupBatch, BackupMember, Ingest
from populate.pipeline import bind_all
from populate.store import open_store
from populate.work.jobs import queues
from populate.work.retries import retry_failed, unresolved
from populate.work.worker import run_worker
from schemas.binding import Binding, unbind
from schemas.catalogue import Blob, File, FileName, FileOwner, FileSet, FileSetMember, SourceSystem, Version
from schemas.people import Account, Person
from schemas.sharing import Access, AccessBatch, AccessRun, Execution, ShareEdge

SECONDS = float(os.environ.get("CHAOS_SECONDS", "12"))
WORKERS = 4
BATCHES = int(2 * SECONDS)
READS = 8  # in a batch
FILES = 200
PATIENCE = 240.0
TYPED = (
    *(Account, Person, SourceSystem, File, FileName, FileOwner, Blob, Version, FileSet, FileSetMember),
    *(Access, AccessRun, Execution, ShareEdge, Ingest),
)


class Refusing(FaultProxy):
    """Answers a tenth of all requests with 503, whatever they are."""

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream)
        self.refused = 0
        self._chance = random.Random(3)

    def take(self, method: str, target: str) -> Fault | None:
        super().take(method, target)
        with self._lock:
            if self._chance.random() >= 0.1:
                return None
            self.refused += 1
            return Fault("refuse", method)


@pytest.fixture
def own(backend: str, home: Path, tmp_path: Path) -> Iterator[OwnServer | OwnMySQL]:
    """A server that may be stopped and killed; the settings lead there."""
    with pytest.MonkeyPatch.context() as patch:
        server = OwnServer(patch) if backend == "postgresql" else _own_mysql(patch, tmp_path)
        yield server
        unbind()
        server.remove()
    settings.cache_clear()


def _own_mysql(patch: pytest.MonkeyPatch, tmp_path: Path) -> OwnMySQL:
    folder = tmp_path / "mysql"
    folder.mkdir()
    try:
        server = OwnMySQL(folder)
    except MySQLMissing as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))
    for name, value in {**server.account, "prefix": f"c{secrets.token_hex(6)}"}.items():
        patch.setenv(f"DATA_PLATFORM_DATABASE__{name.upper()}", value)
    settings.cache_clear()
    return server


@pytest.mark.slow
@pytest.mark.timeout(1800)  # many times what it takes, for machines that are busy with other things
def test_chaos_ends_in_the_rows_of_an_undisturbed_run(
    own: OwnServer | OwnMySQL, s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = deliveries(tmp_path / "lab")
    with Refusing(s3_server.endpoint) as proxy:
        use_store(monkeypatch, s3_server, proxy.endpoint)
        turmoil = Turmoil(bind_all(load(), deploy=True), own, batches)
        turmoil.rage()
        turmoil.deliver_rest()
        settle(turmoil.binding)
        disturbed = rows()
        assert proxy.refused > 0
        assert turmoil.restarts == 2
        assert turmoil.kills > 0
        every_content_comes_back(turmoil.binding, tmp_path / "lab", tmp_path / "restored")
    unbind()

    monkeypatch.setenv("DATA_PLATFORM_DATABASE__PREFIX", f"u{secrets.token_hex(6)}")
    monkeypatch.setenv("DATA_PLATFORM_STORE__URL", str(tmp_path / "store"))
    settings.cache_clear()
    binding = bind_all(load(), deploy=True)
    for number, records in enumerate(batches):
        hand_in(binding, records, str(number))
    assert run_worker(load(), once=True).failed_jobs == 0
    undisturbed = rows()
    for name in undisturbed:
        assert disturbed[name] == undisturbed[name], name


def deliveries(folder: Path) -> list[list[Record]]:
    """Return reads of files, of which some are read again and some are copies, a list for each batch."""
    folder.mkdir()
    chance = random.Random(1)

    def a_read() -> Record:
        number = chance.randrange(FILES)
        path = folder / f"{number}.bin"
        if not path.exists():
            path.write_bytes(f"{number % (FILES - 20)} ".encode() * (1 + 499 * (number % 20)))
        return read_file(path, chance.choice(["amy", "brendan", "carol"]), day=chance.randrange(3))

    return [[a_read() for _ in range(READS)] for _ in range(BATCHES)]


def use_store(patch: pytest.MonkeyPatch, server: S3Server, endpoint: str) -> None:
    values = {
        "URL": f"s3://chaos-{secrets.token_hex(6)}/here",
        "ENDPOINT": endpoint,
        "ACCESS_KEY": server.access_key,
        "SECRET_KEY": server.secret_key,
    }
    for name, value in values.items():
        patch.setenv(f"DATA_PLATFORM_STORE__{name}", value)
    settings.cache_clear()


class Turmoil:
    """Four workers, and all that befalls them while deliveries come in."""

    def __init__(self, binding: Binding, server: OwnServer | OwnMySQL, batches: list[list[Record]]) -> None:
        self.binding = binding
        self.kills = self.restarts = 0
        self._server = server
        self._batches = batches
        self._delivered = 0
        self._chance = random.Random(2)
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["populate.work.worker"])
        self._workers: list[ForkServerProcess] = []

    def rage(self) -> None:
        """Deliver and destroy, each at its time."""
        begin = time.monotonic()
        due: list[tuple[float, Callable[[], None]]] = [
            *((second, self._kill_one) for second in range(1, int(SECONDS) + 1)),
            (SECONDS / 3, partial(self._restart, self._server.stop)),
            (2 * SECONDS / 3, partial(self._restart, self._server.kill)),
        ]
        due.sort(key=lambda each: each[0])
        try:
            while due:
                self._keep_four()
                passed = time.monotonic() - begin
                if passed >= due[0][0]:
                    due.pop(0)[1]()
                elif self._delivered < min(BATCHES, BATCHES * passed / SECONDS):
                    self._deliver_one()
                else:
                    time.sleep(0.02)
        finally:
            for worker in self._workers:
                worker.kill()
            for worker in self._workers:
                worker.join(PATIENCE)

    def deliver_rest(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while self._delivered < BATCHES:
            assert time.monotonic() < deadline, "the database does not come back"
            self._deliver_one()

    def _keep_four(self) -> None:
        self._workers = [worker for worker in self._workers if worker.is_alive()]
        while len(self._workers) < WORKERS:
            worker = self._context.Process(target=run_worker, args=(load(),), daemon=True)
            worker.start()
            self._workers.append(worker)

    def _kill_one(self) -> None:
        victim = self._chance.choice(self._workers)
        victim.kill()  # or it ended by itself, as one does that starts while the database is away
        victim.join(PATIENCE)
        self.kills += victim.exitcode == -signal.SIGKILL

    def _restart(self, end: Callable[[], None]) -> None:
        end()
        self._server.start()
        self.restarts += 1

    def _deliver_one(self) -> None:
        with suppress(DatabaseUnavailable):  # whoever delivers tries again until it is there
            self.binding.ensure()
            hand_in(self.binding, self._batches[self._delivered], str(self._delivered))
            self._delivered += 1


def settle(binding: Binding) -> None:
    """Work off what is left, and have what failed tried again as a person would."""
    deadline = time.monotonic() + PATIENCE
    while True:
        binding.ensure()
        retry_failed(binding)
        for queue in queues():
            queue.set_going()
        result = run_worker(load(), once=True)
        # A server may take a while to notice that a worker is dead which held a job that was done.
        if not result.failed_jobs and not unresolved(binding) and not any(len(queue.table.jobs) for queue in queues()):
            return
        left = [queue.table.jobs.to_dicts() for queue in queues()]
        assert time.monotonic() < deadline, (unresolved(binding), left)
        time.sleep(0.1)


def rows() -> dict[str, list[Any]]:
    """Return all that must not depend on what befell the workers: attempts after the first and places do."""
    first = {"attempt": 1}
    found: dict[str, list[Any]] = dict(contents(*TYPED))
    found["AccessBatch"] = sorted(zip(*AccessBatch.to_arrays("batch_id", "access_count"), strict=True))
    for table in (BackupBatch, BackupMember, Backup):
        names = table().primary_key
        found[table.__name__] = sorted(tuple(row[name] for name in names) for row in (table & first).to_dicts())
    found["Placement"] = sorted(zip(*Placement.to_arrays("sha256", "place_offset", "place_length"), strict=True))
    return found


def every_content_comes_back(binding: Binding, lab: Path, to: Path) -> None:
    originals = {path.read_bytes() for path in lab.iterdir()}
    kept = stored()
    assert set(kept.values()) == originals
    to.mkdir()
    store = open_store(load())
    for sha256, content in kept.items():
        assert restore(binding, store, sha256, to / sha256).read_bytes() == content
