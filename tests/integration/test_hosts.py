"""Workers on two hosts, which share nothing but a database server and the store, make the rows that one makes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import slow_source
from deliveries import Record, contents, hand_in, read, stored
from servers.hosts import Host, NoHosts, do_without, hosts
from servers.tcp_proxy import TcpProxy, target_of

from data_platform.settings import load, settings
from populate.backup.tables import Backup, Placement
from populate.ingest import BackupBatch, BackupMember, Ingest
from populate.pipeline import SCHEMAS, bind_all
from populate.work.queue import Queue
from populate.work.worker import run_worker
from readers import registry
from readers.source import Item
from schemas.binding import Binding, unbind
from schemas.catalogue import Blob, File, FileName, FileOwner, SourceSystem, Version
from schemas.people import Account, Person
from schemas.sharing import Access, AccessRun, Execution, ShareEdge

PATIENCE = 240.0
NAMES = ("worker-a", "worker-b")
BATCHES = 10
TABLES = (
    *(Account, Person, SourceSystem, File, FileName, FileOwner, Blob, Version, Access, AccessRun, Execution, ShareEdge),
    *(Ingest, BackupBatch, BackupMember, Backup),
)


@pytest.fixture
def two() -> Iterator[list[Host]]:
    try:
        with hosts(*NAMES) as made:
            yield made
    except NoHosts as reason:
        do_without(reason)


@pytest.mark.timeout(1200)  # many times what it takes, for machines that are busy with other things
def test_workers_on_two_hosts_make_the_rows_of_one(
    two: list[Host], binding: Binding, backend: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    batches = deliveries(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        use_store(patch, tmp_path / "store of two")
        deliver(binding, batches)
        work_on(two, Queue(Backup()), tmp_path)
        made_by_two, kept_by_two = rows(), stored()
    with pytest.MonkeyPatch.context() as patch:
        begin_anew(request.getfixturevalue(f"_{backend}_tables"), patch)
        use_store(patch, tmp_path / "store of one")
        patch.setitem(registry.BUILT_IN, "slow", "slow_source:SlowSource")
        deliver(bind_all(), batches)
        assert run_worker(load(), once=True).failed_jobs == 0
        made_by_one, kept_by_one = rows(), stored()
    settings.cache_clear()
    for name in made_by_one:
        assert made_by_two[name] == made_by_one[name], name
    assert kept_by_two == kept_by_one


def deliveries(folder: Path) -> list[list[Record]]:
    """Return batches of reads of a source that both hosts reach; one item in either of the first two makes wait."""
    batches = [[an_item(folder / f"slow {number}", f"slow {number}")] for number in range(len(NAMES))]
    for number in range(25):
        an_item(folder / str(number), str(number % 20))
        (folder / str(number) / "go").touch()
    for batch in range(BATCHES):
        which = [str((7 * batch + number) % 25) for number in range(10)]
        batches.append([a_read(folder / name, f"reader {batch % 3}") for name in which])
    return batches


def an_item(folder: Path, content: str) -> Record:
    """Make an item that can be fetched when its folder holds ``go``, and return the record of a read of it."""
    folder.mkdir()
    (folder / "data").write_text(content)
    return a_read(folder)


def a_read(folder: Path, reader: str = "amy") -> Record:
    thing = Item(slow_source.SYSTEM, str(folder), folder.name, str(folder), f"slow:{folder}")
    return read(thing, reader, data=(folder / "data").read_bytes(), kind="slow")


def use_store(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.setenv("DATA_PLATFORM_STORE__URL", str(folder))
    settings.cache_clear()


def begin_anew(tables: Any, patch: pytest.MonkeyPatch) -> None:
    """Take empty tables, as the fixture `binding` does between two tests."""
    unbind()
    tables.clear({f"{tables.prefix}_{name}" for name, _ in SCHEMAS})
    for name, value in tables.renew().items():
        patch.setenv(f"DATA_PLATFORM_DATABASE__{name.upper()}", value)
    settings.cache_clear()


def deliver(binding: Binding, batches: list[list[Record]]) -> None:
    for number, records in enumerate(batches):
        hand_in(binding, records, str(number))


def work_on(two: list[Host], backups: Queue, folder: Path) -> None:
    """Have a worker on each host; neither goes on before each holds a backup of its own."""
    with ExitStack() as stack:
        workers = [stack.enter_context(worker(host, folder)) for host in two]
        wait_until(lambda: {*backups.table.jobs.reserved.to_arrays("host")} == set(NAMES), workers)
        for number in range(len(NAMES)):
            (folder / f"slow {number}" / "go").touch()
        for process in workers:
            _, lines = process.communicate(timeout=PATIENCE)
            assert process.returncode == 0, lines


@contextmanager
def worker(host: Host, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a worker on a host, which knows the database by the address of this machine there."""
    database = load().database
    home = folder / host.name
    with TcpProxy(target_of(database.host, database.port), host.gateway) as way:
        environment = os.environ | {
            "DATA_PLATFORM_HOME": str(home),
            "DATA_PLATFORM_DATABASE__HOST": host.gateway,
            "DATA_PLATFORM_DATABASE__PORT": str(way.port),
            "DATA_PLATFORM_DATABASE__TLS": "false",
            "PYTHONPATH": str(slow_source.install(home / "site")),
        }
        command = host.command(sys.executable, "-m", "populate.work.worker", "--once")
        process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


def wait_until(condition: Callable[[], bool], workers: list[subprocess.Popen[str]]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        for process in workers:
            assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def rows() -> dict[str, list[Any]]:
    """Return all that must not depend on who made it."""
    found: dict[str, list[Any]] = dict(contents(*TABLES))
    found["Placement"] = sorted(zip(*Placement.to_arrays("sha256", "object_name", "place_length"), strict=True))
    return found
