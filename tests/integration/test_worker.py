"""The worker as a process: ends when all is done, stops when told, gives back what it held, comes back when cut off."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import slow_source
from deliveries import Record, hand_in, item, read, read_file, stored
from servers.sessions import another_session, end_session, others
from waiting import PATIENCE, wait_until

from data_platform.settings import load, settings
from populate.backup.tables import Backup, BackupFailure
from populate.ingest import Ingest
from populate.store import open_store
from populate.watch.status import status
from populate.work.jobs import queues
from populate.work.queue import Queue
from populate.work.stopping import Stop, repeat
from populate.work.worker import run_worker
from readers import registry
from readers.outbox import Outbox
from readers.run import run_record
from readers.source import Item
from schemas.binding import Binding

on_both = pytest.mark.parametrize("backend", ["postgresql", "mysql"])


@contextmanager
def worker(*arguments: str, path: Path | None = None) -> Iterator[subprocess.Popen[str]]:
    """Run the worker as a process of its own for the length of a block."""
    environment = os.environ | ({"PYTHONPATH": str(path)} if path else {})
    command = [sys.executable, "-m", "populate.work.worker", *arguments]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        for child in psutil.Process(process.pid).children(recursive=True) if process.poll() is None else ():
            child.kill()
        process.kill()
        process.communicate()


@pytest.fixture
def backend() -> str:
    """Processes cost time: on MySQL as well run those tests that have to do with how the database behaves."""
    return "postgresql"


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the module path of the slow source, which this process knows too."""
    monkeypatch.setitem(registry.BUILT_IN, "slow", "slow_source:SlowSource")
    return slow_source.install(tmp_path / "site")


def slow_item(folder: Path) -> Record:
    """Return the record of a read of an item that can be fetched when its folder holds ``go``."""
    folder.mkdir()
    (folder / "data").write_bytes(b"slow bytes")
    thing = Item(slow_source.SYSTEM, str(folder), folder.name, str(folder), f"slow:{folder}")
    return read(thing, data=b"slow bytes", kind="slow")


def reading(folder: Path) -> list[int]:
    """Return the processes that fetch, or have fetched, the item."""
    return [int(path.name.partition("-")[2]) for path in folder.glob("reading-*")]


def statuses(queue: Queue) -> list[str]:
    return [str(value) for value in queue.table.jobs.to_arrays("status")]


@on_both
def test_once_delivers_the_outbox_and_leaves_nothing(binding: Binding, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(b"1,2")
    chest = Outbox(load().outbox_folder, load().outbox.model_copy(update={"ship": False}), run_record)
    chest.append(read_file(file))
    chest.close()
    assert status(binding, settings())["outbox_pending"] == 1
    with worker("--once") as process:
        _, lines = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, lines
    assert lines.splitlines()[-1].startswith("worker: ingest 1 of 1 batches, backup 1 of 1 batches")
    assert list(stored().values()) == [b"1,2"]
    counts = status(binding, settings())
    waiting = ("outbox_pending", "batches_pending", "backups_pending", "backups_failed", "jobs_failed")
    assert [counts[name] for name in waiting] == [0] * 5


@on_both
def test_several_processes_share_the_work(binding: Binding) -> None:
    for batch in range(12):
        hand_in(binding, [read(item(f"/{batch}/{n}.csv"), data=f"{batch} {n}".encode()) for n in range(5)])
    with worker("--once", "--processes", "2") as process:
        _, lines = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, lines
    assert len(Ingest()) == len(Backup()) == 12
    assert not any(queue.unfinished() for queue in queues())


@pytest.mark.parametrize(("number", "processes"), [(signal.SIGTERM, "1"), (signal.SIGTERM, "2"), (signal.SIGINT, "1")])
def test_a_signal_stops_it_and_the_job_is_free(
    binding: Binding, tmp_path: Path, slow: Path, number: signal.Signals, processes: str
) -> None:
    folder, quick = tmp_path / "slow", tmp_path / "quick.csv"
    quick.write_bytes(b"quick")
    hand_in(binding, [slow_item(folder), read_file(quick)])
    with worker("--processes", processes, path=slow) as process:
        wait_until(lambda: bool(reading(folder)) and bool(list(open_store(load()).objects())))
        process.send_signal(number)
        _, lines = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, lines
    assert "Traceback" not in lines
    assert not any(psutil.pid_exists(pid) for pid in reading(folder))
    assert statuses(Queue(Backup())) == ["pending"]
    assert not Backup()
    assert list(stored().values()) == [b"quick"]  # kept, though its batch is not done
    (folder / "go").touch()
    assert Queue(Backup()).run(1) == 1
    assert sorted(stored().values()) == [b"quick", b"slow bytes"]


def test_helpers_end_when_the_worker_is_killed(binding: Binding) -> None:
    with worker("--processes", "2") as process:
        helpers: list[psutil.Process] = []

        def both_work() -> bool:
            helpers[:] = [p for p in psutil.Process(process.pid).children() if "spawn_main" in " ".join(p.cmdline())]
            return len(helpers) == 2 and len(others(binding)) >= 3

        wait_until(both_work)
        process.kill()
        process.wait()
        wait_until(lambda: not any(helper.is_running() for helper in helpers))


def test_a_helper_that_dies_is_replaced(binding: Binding, tmp_path: Path, slow: Path) -> None:
    folder = tmp_path / "slow"
    hand_in(binding, [slow_item(folder)])
    with worker("--once", "--processes", "2", path=slow) as process:
        wait_until(lambda: len(reading(folder)) == 1)
        os.kill(reading(folder)[0], signal.SIGKILL)
        wait_until(lambda: len(reading(folder)) == 2)  # the job is taken up by the other one or the new one
        (folder / "go").touch()
        _, lines = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, lines
    assert list(stored().values()) == [b"slow bytes"]


@on_both
def test_a_worker_that_is_cut_off_from_the_database_comes_back(binding: Binding, tmp_path: Path, slow: Path) -> None:
    folder = tmp_path / "slow"
    hand_in(binding, [slow_item(folder)])
    with worker("--once", path=slow) as process:
        wait_until(lambda: bool(reading(folder)))
        (session,) = others(binding)
        end_session(load(), session)
        (folder / "go").touch()
        _, lines = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, lines
    assert list(stored().values()) == [b"slow bytes"]
    assert len(Backup()) == 1
    assert not any(statuses(queue) for queue in queues())


def test_two_workers_on_the_same_batch_make_it_once(binding: Binding, tmp_path: Path, slow: Path) -> None:
    folder = tmp_path / "slow"
    hand_in(binding, [slow_item(folder)])
    with worker("--once", path=slow) as first, worker("--once", path=slow) as second:
        wait_until(lambda: len(reading(folder)) == 1)
        # As a janitor does that takes the first for dead.
        queue = Queue(Backup())
        wait_until(lambda: statuses(queue) == ["reserved"])
        binding.connection.query(f"UPDATE {queue.table.jobs.full_table_name} SET status = 'pending'")
        wait_until(lambda: len(reading(folder)) == 2)
        (folder / "go").touch()
        outputs = [process.communicate(timeout=PATIENCE) for process in (first, second)]
    assert [process.returncode for process in (first, second)] == [0, 0], outputs
    assert list(stored().values()) == [b"slow bytes"]
    assert len(Backup()) == len(Ingest()) == 1
    assert not BackupFailure()
    assert not any(statuses(queue) for queue in queues())


@on_both
def test_jobs_of_the_living_are_theirs_and_those_of_the_dead_are_free(binding: Binding) -> None:
    hand_in(binding, [read(item("/a.csv"))])
    queue = Queue(Ingest())
    assert queue.refresh() == 1
    other = another_session(load())
    binding.connection.query(
        f"UPDATE {queue.table.jobs.full_table_name} SET status = 'reserved', connection_id = %s,"
        " reserved_time = CURRENT_TIMESTAMP",
        (binding.connection.adapter.get_connection_id(other),),
    )
    queue.clean()
    assert statuses(queue) == ["reserved"]
    assert queue.run(1) == 0
    assert queue.unfinished() == 1
    other.close()

    def free() -> bool:
        queue.clean()
        return statuses(queue) == ["pending"]

    wait_until(free)
    assert queue.run(1) == 1
    assert queue.unfinished() == 0


@on_both
def test_jobs_from_before_the_server_started_are_free_whoever_has_their_number_now(binding: Binding) -> None:
    hand_in(binding, [read(item("/a.csv"))])
    queue = Queue(Ingest())
    assert queue.refresh() == 1
    binding.connection.query(
        f"UPDATE {queue.table.jobs.full_table_name} SET status = 'reserved', connection_id = %s,"
        " reserved_time = CURRENT_TIMESTAMP - INTERVAL '12' HOUR",  # no server of tests runs as long
        (binding.connection.connection_id,),
    )
    queue.clean()
    assert statuses(queue) == ["pending"]


@on_both
@pytest.mark.parametrize(
    ("message", "seconds", "failures", "state"),
    [
        ("SystemExit: signal 15", 0, 0, "pending"),
        ("KeyboardInterrupt", 0, 0, "pending"),
        ("ConnectionLost: gone", 0, 0, "pending"),
        ("DeadlockDetected: x", 0, 3, "pending"),
        ("StoreFull: no space", 0, 0, "error"),
        ("StoreFull: no space", 6, 0, "pending"),
        ("StoreFull: no space", 6, 1, "error"),
        ("StoreFull: no space", 61, 1, "pending"),
        ("StoreFull: no space", 7100, 40, "error"),
        ("StoreFull: no space", 7300, 40, "pending"),
    ],
)
def test_what_failed_waits_longer_each_time(
    binding: Binding, message: str, seconds: int, failures: int, state: str
) -> None:
    hand_in(binding, [read(item("/a.csv"))])
    queue = Queue(Ingest())
    queue.refresh()
    binding.connection.query(
        f"UPDATE {queue.table.jobs.full_table_name} SET status = 'error', error_message = %s, priority = %s,"
        f" completed_time = CURRENT_TIMESTAMP - INTERVAL '{seconds}' SECOND",
        (message, 5 + failures),
    )
    assert queue.unfinished() == 0  # nothing that could be done now
    queue.clean()
    assert statuses(queue) == [state]


@on_both
def test_refreshing_adds_each_job_once(binding: Binding) -> None:
    for name in "abc":
        hand_in(binding, [read(item(f"/{name}.csv"))])
    queue = Queue(Ingest())
    assert (queue.refresh(), queue.refresh()) == (3, 0)
    assert queue.run(2) == 2
    assert queue.refresh() == 0
    assert queue.progress() == (2, 3)


def test_a_failing_step_is_repeated_and_given_up_after_a_while() -> None:
    calls: list[str] = []

    def fail() -> int:
        calls.append("x")
        raise OSError("password=hunter2 is wrong")

    with Stop.on_signals() as stop, pytest.raises(Exception, match="failed again and again") as caught:
        repeat(stop, lambda: None, fail, lambda: False, pause=0, patience=2)
    assert len(calls) == 3
    assert "hunter2" not in str(caught.value)


def test_no_database_is_an_error_at_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from data_platform.errors import DatabaseUnavailable

    for name, value in {"BACKEND": "postgresql", "HOST": "127.0.0.1", "PORT": "1"}.items():
        monkeypatch.setenv(f"DATA_PLATFORM_DATABASE__{name}", value)
    with pytest.raises(DatabaseUnavailable):
        run_worker(load(), once=True)


def test_a_signal_is_heeded_even_if_what_it_raises_is_lost() -> None:
    def step() -> int:
        before = signal.signal(signal.SIGTERM, refuse)  # as DataJoint does while it populates
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except SystemExit:
            raise TypeError("the tidying up failed, too") from None
        finally:
            signal.signal(signal.SIGTERM, before)
        return 1

    def refuse(number: int, frame: object) -> None:
        raise SystemExit("SIGTERM received")

    before = (signal.getsignal(signal.SIGTERM), signal.set_wakeup_fd(-1))
    with Stop.on_signals() as stop:
        repeat(stop, lambda: None, step, lambda: False, pause=0)
        assert stop.requested
    assert (signal.getsignal(signal.SIGTERM), signal.set_wakeup_fd(-1)) == before
