"""The scheduler as a process: one is at work, the next takes over, and workers beside it only make."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from deliveries import hand_in, item, read
from servers.sessions import another_binding, end_session, session_of
from waiting import PATIENCE, wait_until

from data_platform.errors import DatabaseUnavailable
from data_platform.settings import load, settings
from populate.ingest import Ingest
from populate.silo import SiloMetric, SiloParameter
from populate.snapshot import Snapshot
from populate.watch.status import needs, status
from populate.work import queue as work_queue
from populate.work import scheduler, worker
from populate.work.jobs import queues
from populate.work.lease import Lease, Presence, living, scheduler_lease
from populate.work.queue import DELAYS, Queue
from populate.work.scheduler import Keeper
from schemas.binding import Binding
from schemas.drivers import ConnectionLost
from schemas.sharing import AccessBatch


@contextmanager
def service(name: str, log: Path) -> Iterator[subprocess.Popen[str]]:
    """Run ``populate.work.worker`` or ``populate.work.scheduler`` as a process for the length of a block."""
    with log.open("w") as errors:
        process = subprocess.Popen([sys.executable, "-m", f"populate.work.{name}"], stderr=errors, text=True)
    try:
        yield process
    finally:
        for child in psutil.Process(process.pid).children(recursive=True) if process.poll() is None else ():
            child.kill()
        process.kill()
        process.wait()


def deliver(binding: Binding, name: str) -> dict[str, Any]:
    """Deliver a batch of a read; return its key."""
    before = {row["batch_id"] for row in AccessBatch.to_dicts()}
    hand_in(binding, [read(item(f"/{name}.csv"))])
    (batch_id,) = {row["batch_id"] for row in AccessBatch.to_dicts()} - before
    return {"batch_id": batch_id}


def test_when_the_scheduler_is_killed_the_one_that_stands_by_takes_over(binding: Binding, tmp_path: Path) -> None:
    queue = Queue(Ingest())
    first_log, second_log = tmp_path / "first", tmp_path / "second"
    with service("scheduler", first_log) as first, service("scheduler", second_log) as second:
        logs = {first.pid: first_log, second.pid: second_log}

        def said(process: subprocess.Popen[str], text: str) -> bool:
            assert process.poll() is None, logs[process.pid].read_text()
            return text in logs[process.pid].read_text()

        both = (first, second)
        wait_until(lambda: any(said(p, "at work.") for p in both) and any(said(p, "standing by") for p in both))
        at_work, by = both if said(first, "at work.") else both[::-1]
        assert living(binding) == (0, 1)
        deliver(binding, "a")
        wait_until(lambda: queue.state().waiting == 1)
        at_work.kill()
        at_work.wait()
        wait_until(lambda: said(by, "at work."))
        deliver(binding, "b")
        wait_until(lambda: queue.state().waiting == 2)
        assert status(binding, settings())["schedulers"] == 1
        by.send_signal(signal.SIGTERM)
        assert by.wait(PATIENCE) == 0
    assert "Traceback" not in second_log.read_text() + first_log.read_text()


def test_beside_a_scheduler_a_worker_only_makes_what_is_queued(binding: Binding, tmp_path: Path) -> None:
    lease = scheduler_lease(binding)
    assert lease.take()  # this process is a scheduler that queues what the test says
    log = tmp_path / "log"
    left, *queued = [deliver(binding, name) for name in "abc"]
    with service("worker", log) as process:
        for number, key in enumerate(queued, start=1):
            Ingest.jobs.insert1({**key, "status": "pending", "priority": 5})
            wait_until(lambda: len(Ingest()) == number)  # noqa: B023
            assert process.poll() is None, log.read_text()
        # It has looked at the queues between the two, and filled none.
        assert not Ingest() & left
        wait_until(lambda: not Ingest.jobs)
        assert not Ingest() & left
        assert living(binding) == (1, 1)
        lease.give()
        wait_until(lambda: len(Ingest()) == 3)  # nobody keeps the queues any more, so it does
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0, log.read_text()
    wait_until(lambda: living(binding) == (0, 0))


@pytest.mark.parametrize("backend", ["postgresql"])
def test_on_the_embedded_database_a_worker_needs_no_scheduler(home: Path, tmp_path: Path, backend: str) -> None:
    from populate.pipeline import bind_all

    bound = bind_all(settings())
    log = tmp_path / "log"
    with service("worker", log) as process:
        deliver(bound, "a")
        wait_until(lambda: len(Ingest()) == 1 or process.poll() is not None)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0, log.read_text()
    assert len(Ingest()) == 1


def test_the_lease_is_one_sessions_and_ends_with_it(binding: Binding) -> None:
    with another_binding(binding) as other:
        ours, theirs = scheduler_lease(binding), scheduler_lease(other)
        assert ours.take()
        assert ours.take()
        assert not theirs.take()
        assert Lease(other, "another thing").take()
        end_session(load(), session_of(binding))
        wait_until(theirs.take)
        binding.ensure()
        assert not ours.take()  # it does not believe that it still has it
        theirs.give()
        assert ours.take()
        with theirs.held() as held:
            assert not held
        ours.give()
        with theirs.held() as held:
            assert held
        assert ours.take()
        ours.give()


def test_a_scheduler_that_says_nothing_is_taken_for_gone(binding: Binding) -> None:
    with another_binding(binding) as other:
        assert scheduler_lease(other, idle_seconds=1).take()
        ours = scheduler_lease(binding)
        wait_until(ours.take)  # as when its machine has no power any more
        ours.give()


def test_the_living_are_counted(binding: Binding) -> None:
    assert living(binding) == (0, 0)
    ours = Presence(binding)
    ours.show()
    ours.show()
    with another_binding(binding) as other:
        Presence(other).show()
        assert living(binding) == (2, 0)
    wait_until(lambda: living(binding) == (1, 0))
    ours.end()
    assert living(binding) == (0, 0)


def test_a_keeper_takes_the_snapshots_of_all_days_and_queues_their_figures(binding: Binding) -> None:
    deliver(binding, "a")
    three_days_ago = f"UPDATE {AccessBatch().full_table_name} SET delivered_at = delivered_at - INTERVAL '3' DAY"
    binding.connection.query(three_days_ago)
    keeper = Keeper(binding, snapshots=True)
    keeper.tend()
    days = len(Snapshot())
    assert days in (3, 4)  # midnight may have passed meanwhile
    assert len(SiloMetric.jobs) == days * len(SiloParameter())
    keeper.tend()
    assert len(Snapshot()) == days
    Keeper(binding, snapshots=False).tend()
    assert len(Snapshot()) == days


def test_a_chore_that_fails_keeps_no_other_from_being_done(
    binding: Binding, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    deliver(binding, "a")

    def broken(*_: Any) -> int:
        raise RuntimeError("no, password=hunter2")

    keeper = Keeper(binding, snapshots=True)
    with monkeypatch.context() as patch:
        patch.setattr(scheduler, "LONGEST_PAUSE", 0.0)
        patch.setattr(scheduler, "retry_due", broken)
        patch.setattr(scheduler, "take_daily", broken)
        keeper.tend()
        assert len(Ingest.jobs) == 1  # filling the queues comes last
        assert str(keeper.failure).startswith("no, ")
        assert "failed at taking snapshots" in caplog.text
        assert "hunter2" not in caplog.text
        keeper.tend()
    keeper.tend()
    assert keeper.failure is None


def test_a_chore_whose_connection_is_lost_ends_the_round(binding: Binding, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: Any) -> int:
        raise ConnectionLost("gone")

    monkeypatch.setattr(scheduler, "retry_due", lost)
    with pytest.raises(ConnectionLost):
        Keeper(binding, snapshots=False).tend()


@pytest.mark.parametrize("backend", ["postgresql"])
def test_who_works_until_all_is_done_gives_up_if_the_queues_cannot_be_kept(
    binding: Binding, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(binding, "a")

    def broken(*_: Any) -> int:
        raise RuntimeError("no")

    monkeypatch.setattr(scheduler, "LONGEST_PAUSE", 0.0)
    monkeypatch.setattr(worker, "PATIENCE", 1)
    monkeypatch.setattr(scheduler, "retry_due", broken)
    with pytest.raises(DatabaseUnavailable, match="again and again"):
        worker.run_worker(once=True)
    assert len(Ingest()) == 1  # all the same


def test_what_fails_up_to_the_limit_is_told_with_its_reason_and_tried_again_by_a_command(
    binding: Binding, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = deliver(binding, "a")
    queue = queues()[0]
    tries: list[dict[str, Any]] = []

    def broken(self: Any, key: dict[str, Any]) -> None:
        tries.append(key)
        raise ValueError("odd delivery, token=s3cr3t-t0ken-1234567890")

    with monkeypatch.context() as patch:
        patch.setattr(Ingest, "make", broken)
        patch.setattr(work_queue, "DELAYS", (0,) * len(DELAYS))  # seconds
        queue.refresh()

        def given_up() -> bool:
            queue.run()
            queue.clean()
            return bool(queue.stuck())

        wait_until(given_up)
        assert tries == [key] * (len(DELAYS) + 1)
        queue.clean()
        assert queue.run() == 0
        assert status(binding, settings())["needs_person"] == 1
        (need,) = needs(binding)
        assert (need.what, need.key, need.tries) == ("Ingest", key, len(DELAYS) + 1)
        assert need.reason.startswith("ValueError: odd delivery")
        assert "s3cr3t" not in need.reason
    command = [sys.executable, "-m", "data_platform", "retry"]
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.stdout == "1 jobs and 0 versions are tried again.\n", done.stderr
    assert queue.run() == 1
    assert len(Ingest()) == 1
    assert needs(binding) == []
