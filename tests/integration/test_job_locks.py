"""Ends of jobs and the janitor meet at the same rows: nothing is lost over it, and nothing stays in hand."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from deliveries import hand_in, item, read
from servers.mysql import MySQLServer
from servers.sessions import another_session
from waiting import PATIENCE, wait_until

from data_platform.settings import load
from populate.ingest import Ingest
from populate.watch.observing import Made, _Watched
from populate.work.crew import Alone
from populate.work.queue import Queue
from schemas.binding import Binding

pytestmark = pytest.mark.slow

on_mysql = pytest.mark.parametrize("backend", ["mysql"])
_WAITING = "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
_PAUSE = 0.3  # seconds: the server does not make that table anew while it is looked at more often than every 0.1


@contextmanager
def meanwhile(act: Callable[[], object]) -> Iterator[None]:
    """Do something in another thread during a block; its error is the block's."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            act()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join(PATIENCE)
    assert not thread.is_alive()
    assert errors == []


def is_waited(server: MySQLServer) -> bool:
    """Tell whether a session waits for a lock."""
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(_WAITING)
        return bool(cursor.fetchone()[0])


def reserved(binding: Binding, names: str, session: int) -> tuple[Queue, list[dict[str, Any]]]:
    """Return a queue with a job for each name that a session holds, and the keys."""
    for name in names:
        hand_in(binding, [read(item(f"/{name}.csv"))])
    queue = Queue(Ingest())
    queue.refresh()
    binding.connection.query(
        f"UPDATE {queue.table.jobs.full_table_name} SET status = 'reserved', connection_id = %s,"
        " reserved_time = CURRENT_TIMESTAMP",
        (session,),
    )
    return queue, queue.table.jobs.keys()


@on_mysql
def test_the_janitor_holds_nothing_that_whoever_ends_a_job_waits_for(binding: Binding, mysql: MySQLServer) -> None:
    queue, (key,) = reserved(binding, "a", session=1_000_000)  # of nobody: the janitor is to free it
    jobs = queue.table.jobs.full_table_name
    with closing(another_session(load())) as other, other.cursor() as cursor:
        other.begin()
        cursor.execute(f"SELECT 1 FROM {jobs} WHERE batch_id = %s FOR UPDATE", (key["batch_id"],))
        with meanwhile(queue.clean):
            wait_until(lambda: is_waited(mysql), _PAUSE)
            cursor.execute(f"DELETE FROM {jobs} WHERE batch_id = %s", (key["batch_id"],))
            other.commit()
    assert not queue.table.jobs


@on_mysql
@pytest.mark.parametrize("end", ["complete", "error"])
def test_a_job_whose_end_meets_a_deadlock_ends_all_the_same(binding: Binding, mysql: MySQLServer, end: str) -> None:
    queue, (key, *others) = reserved(binding, "abcdef", binding.connection.connection_id)
    jobs = queue.table.jobs.full_table_name
    with closing(another_session(load())) as other, other.cursor() as cursor:
        other.begin()
        for waiting in others:  # the server undoes the transaction that has done less
            cursor.execute(f"UPDATE {jobs} SET host = 'x' WHERE batch_id = %s", (waiting["batch_id"],))
        # Only the index, as a statement does for a moment that finds its rows by it.
        cursor.execute(f"SELECT status FROM {jobs} WHERE status = 'reserved' LOCK IN SHARE MODE")

        def cross() -> None:
            wait_until(lambda: is_waited(mysql), _PAUSE)
            cursor.execute(f"SELECT 1 FROM {jobs} WHERE batch_id = %s FOR UPDATE", (key["batch_id"],))
            other.rollback()

        with meanwhile(cross):
            if end == "complete":
                queue.table.jobs.complete(key, 1.0)
            else:
                queue.table.jobs.error(key, "ValueError: odd")
    left = [(row["batch_id"], row["status"]) for row in queue.table.jobs.to_dicts() if row["status"] != "reserved"]
    assert left == ([] if end == "complete" else [(key["batch_id"], "error")])
    assert len(queue.table.jobs) == len(others) + (end == "error")


def test_a_job_is_free_whose_end_could_not_be_written(binding: Binding, monkeypatch: pytest.MonkeyPatch) -> None:
    hand_in(binding, [read(item("/a.csv"))])
    told: list[Made] = []
    alone = Alone(load(), binding, told.append)
    queue = Queue(Ingest())
    queue.refresh()

    def refuse(self: Any, key: dict[str, Any], duration: float | None = None) -> None:
        raise OSError("no")

    with monkeypatch.context() as patch:
        patch.setattr(_Watched, "complete", refuse)
        with pytest.raises(OSError, match="no"):
            alone.step()
    assert len(Ingest()) == 1
    assert [*queue.table.jobs.to_arrays("status")] == ["pending"]  # though the session that held it lives
    assert queue.busy() == 1
    alone.step()
    assert queue.busy() == 0
    alone.end()


def test_what_a_job_says_of_its_failure_is_kept_without_secrets(
    binding: Binding, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand_in(binding, [read(item("/a.csv"))])
    queue = Queue(Ingest())  # without an observer, as adopt has it
    queue.refresh()

    def broken(self: Any, key: dict[str, Any]) -> None:
        raise ValueError("odd answer of https://carol:hunter2@host/x?sig=abcdef, token=s3cr3t-t0ken-1234567890")

    monkeypatch.setattr(Ingest, "make", broken)
    assert queue.run(1) == 1
    (row,) = queue.table.jobs.to_dicts()
    assert row["error_message"].startswith("ValueError: odd answer of https://")
    assert "Traceback" in row["error_stack"]
    for text in (row["error_message"], row["error_stack"]):
        assert not [secret for secret in ("hunter2", "abcdef", "s3cr3t") if secret in text]
