"""The queues on both backends: what comes first, how failures wait, who needs a person and how they are set going."""

from __future__ import annotations

from typing import Any

import pytest
from deliveries import hand_in, item, read

from populate.ingest import Ingest
from populate.silo import SiloMetric, SiloParameter
from populate.snapshot import take_snapshot
from populate.watch.observing import Made
from populate.work.jobs import PER_SNAPSHOT, queues, work
from populate.work.queue import DELAYS, Queue, Urgency
from schemas.binding import Binding


def refreshed() -> tuple[Queue, ...]:
    found = queues()
    for queue in found:
        queue.refresh()
    return found


def column(queue: Queue, name: str) -> list[Any]:
    return list(queue.table.jobs.to_arrays(name))


def fail(binding: Binding, queue: Queue, failures: int, message: str, seconds: int = 0) -> None:
    """Make each job of a queue one that failed so often, most recently so long ago."""
    binding.connection.query(
        f"UPDATE {queue.table.jobs.full_table_name} SET status = 'error', error_message = %s, priority = %s,"
        f" completed_time = CURRENT_TIMESTAMP - INTERVAL '{seconds}' SECOND",
        (message, queue.urgency + failures - 1),
    )


def test_reads_come_first_and_figures_last(binding: Binding) -> None:
    take_snapshot(binding)
    hand_in(binding, [read(item("/a.csv"))])
    told: list[Made] = []
    found = queues(observer=told.append)
    for queue in found:
        queue.refresh()
    by_name = {queue.name: queue for queue in found}
    assert {*column(by_name["Ingest"], "priority")} == {int(Urgency.FRESH)}
    assert {*column(by_name["SiloMetric"], "priority")} == {int(Urgency.INSIGHT)}
    assert work(found) == 1
    assert [made.table for made in told] == ["Ingest"]
    by_name["Backup"].refresh()
    while work(found):
        pass
    assert [made.table for made in told[:2]] == ["Ingest", "Backup"]
    assert {made.table for made in told[2:]} == {table.__name__ for table in PER_SNAPSHOT}
    assert {made.outcome for made in told} == {"made"}
    assert len(SiloMetric()) == len(SiloParameter())


def test_all_urgencies_leave_room_for_the_failures_that_are_counted_above_them() -> None:
    numbers = sorted(map(int, Urgency))
    assert all(high - low > len(DELAYS) for low, high in zip(numbers, [*numbers[1:], 128], strict=True))


def test_what_fails_again_and_again_waits_for_a_person_and_is_set_going_by_one(binding: Binding) -> None:
    hand_in(binding, [read(item("/a.csv"))])
    queue = refreshed()[0]
    for failures, delay in enumerate(DELAYS, start=1):
        fail(binding, queue, failures, "ValueError: odd", delay + 1)
        assert queue.stuck() == []
        queue.clean()
        assert (column(queue, "status"), column(queue, "priority")) == (["pending"], [queue.urgency + failures])
    fail(binding, queue, len(DELAYS) + 1, "ValueError: odd", 10 * DELAYS[-1])
    queue.clean()
    (stuck,) = queue.stuck()
    key = Ingest.key_source.keys()[0]
    assert stuck[:4] == ("Ingest", key, "ValueError: odd", len(DELAYS) + 1)
    assert queue.state()[:5] == ("Ingest", 0, 0, 1, 1)
    assert queue.set_going() == 1
    assert queue.state()[:5] == ("Ingest", 1, 0, 0, 0)
    assert queue.stuck() == []
    assert queue.run() == 1
    assert queue.state() == ("Ingest", 0, 0, 0, 0, 0.0)


@pytest.mark.parametrize("message", ["StoreUnavailable: down", "ConnectionLost: gone"])
def test_an_outage_needs_no_person_however_long_it_takes(binding: Binding, message: str) -> None:
    hand_in(binding, [read(item("/a.csv"))])
    queue = refreshed()[0]
    fail(binding, queue, len(DELAYS) + 1, message, DELAYS[-1] + 1)
    assert queue.state()[:5] == ("Ingest", 0, 0, 1, 0)
    queue.clean()
    assert queue.state()[:5] == ("Ingest", 1, 0, 0, 0)


def test_the_age_is_that_of_the_oldest_that_waits(binding: Binding) -> None:
    for name in "ab":
        hand_in(binding, [read(item(f"/{name}.csv"))])
    queue = refreshed()[0]
    binding.connection.query(
        f"UPDATE {queue.table.jobs.full_table_name} SET created_time = CURRENT_TIMESTAMP - INTERVAL '3600' SECOND"
    )
    assert 3600 <= queue.state().oldest_seconds < 7200
    assert queue.run(2) == 2
    assert queue.state().oldest_seconds == 0


def test_an_observer_is_told_of_what_failed(binding: Binding, monkeypatch: pytest.MonkeyPatch) -> None:
    hand_in(binding, [read(item("/a.csv"))])
    told: list[Made] = []
    queue = queues(observer=told.append)[0]
    queue.refresh()

    def broken(self: Any, key: dict[str, Any]) -> None:
        raise ValueError("odd")

    with monkeypatch.context() as patch:
        patch.setattr(Ingest, "make", broken)
        assert queue.run(1) == 1
    key = Ingest.key_source.keys()[0]
    assert [(m.table, m.key, m.outcome, m.error) for m in told] == [("Ingest", key, "failed", "ValueError: odd")]
    assert queue.state().failed == 1
