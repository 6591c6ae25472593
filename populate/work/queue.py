"""A queue of a computed table, and the janitor that keeps it moving.

DataJoint reserves jobs; it does not notice a worker that died, never tries a failed job
again, and fills its queues with a commit a row. So here queues are filled in bulk; a job
whose holder's database session is gone is free again; one that was interrupted is taken up
at once; one that failed waits a little longer each time (its `priority` counts the
failures: what failed often is also the least urgent), and after the last of `DELAYS` it
waits for a person, who sees it in `data-platform status` and says `data-platform retry`.

Jobs are looked for first and then changed one by one, by their keys: on MySQL a statement that
finds its rows by status locks the index first and the row then, and whoever ends a job does it
the other way round.
"""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum
from functools import partial
from typing import Any, NamedTuple

from populate.watch.observing import Observer, watch
from populate.work.contention import persist
from populate.work.filling import MANY, add_jobs
from populate.work.retries import PATIENT
from schemas.drivers import SESSION_LOCK
from schemas.engine import dj

DELAYS = (5, 60, 300, 1800, 7200)
"""Seconds that a job waits after its first, second … failure; after one more it waits for a person."""


class Urgency(IntEnum):
    """What is worked off first: the lower number. Failures are counted above it; the column ends at 127."""

    FRESH = 5
    """What people have read."""
    BACK_FILL = 45
    """What was there before anybody read it."""
    INSIGHT = 85
    """Figures, computed from what is there."""
    PROOF = 105
    """What is in the store already is read back."""


HELD_AT_MOST = 24 * 3600  # seconds, for servers that do not notice a dead connection

# Not the job's fault: it is taken up again at once.
INTERRUPTED = (
    "SystemExit%",
    "KeyboardInterrupt%",
    "LostConnectionError%",
    "ConnectionLost%",
    "LeftToOthers%",
    "DatabaseUnavailable%",
    "DeadlockDetected%",
    "SerializationFailure%",
    "OperationalError: (1213,%",  # MySQL: deadlock
    "OperationalError: (1205,%",  # MySQL: waited too long for a lock
)

# Nor is this: it is tried for as long as it takes.
OUTAGES = tuple(f"{name}%" for name in PATIENT)

_OLDEST = "MIN(CASE WHEN status = 'pending' THEN created_time END)"
_AGE = {  # of the oldest job that waits, in seconds
    "postgresql": f"EXTRACT(EPOCH FROM CURRENT_TIMESTAMP(3) - {_OLDEST})",
    "mysql": f"TIMESTAMPDIFF(MICROSECOND, {_OLDEST}, CURRENT_TIMESTAMP(6)) / 1000000",
}
_STATE = (
    "SELECT COUNT(CASE WHEN status = 'pending' THEN 1 END), COUNT(CASE WHEN status = 'reserved' THEN 1 END),"
    " COUNT(CASE WHEN status = 'error' THEN 1 END), COUNT(CASE WHEN {stuck} THEN 1 END), COALESCE({age}, 0)"
    " FROM {jobs}"
)

# The session that reserved the job is gone. Numbers of sessions are used again: on MySQL after a
# restart only (see `UPTIME`), on PostgreSQL at any time, so one that began later is another.
HOLDER_GONE = {
    "postgresql": "NOT EXISTS (SELECT 1 FROM pg_stat_activity AS a WHERE a.pid = {jobs}.connection_id"
    " AND COALESCE(a.backend_start <= {jobs}.reserved_time + INTERVAL '1 second', TRUE))",
    "mysql": f"IS_USED_LOCK({SESSION_LOCK.format(number='{jobs}.connection_id')}) IS NULL",
}
_FIND = "SELECT {columns} FROM {jobs} WHERE {condition} LIMIT {many}"
_CHANGE = {
    "postgresql": "UPDATE {jobs} SET {change} WHERE {key} AND {condition}",
    "mysql": "UPDATE {jobs} FORCE INDEX (PRIMARY) SET {change} WHERE {key} AND {condition}",
}
UPTIME = {  # seconds since the server started: no session is older
    "postgresql": "SELECT 'Uptime', EXTRACT(EPOCH FROM clock_timestamp() - pg_postmaster_start_time())",
    "mysql": "SHOW GLOBAL STATUS LIKE 'Uptime'",
}


class State(NamedTuple):
    """A queue in numbers: jobs that wait, are in hand, failed, and of these need a person; seconds the oldest waits."""

    table: str
    waiting: int
    in_hand: int
    failed: int
    stuck: int
    oldest_seconds: float


class Stuck(NamedTuple):
    """A job that needs a person: its table and key, why it failed, how often, and since when (UTC)."""

    table: str
    key: dict[str, Any]
    reason: str
    failures: int
    since: datetime


class Queue:
    """The jobs of a computed table.

    Parameters
    ----------
    table
        An instance, because DataJoint looks its jobs table up anew for each.
    urgency
        Whose turn comes first.
    calls
        Jobs that a worker takes before it looks whether something more urgent has come.
    observer
        Is told of each job that this process makes.
    """

    def __init__(
        self, table: Any, urgency: Urgency = Urgency.FRESH, calls: int = 1, observer: Observer | None = None
    ) -> None:
        self.table = table
        self.urgency = urgency
        self.calls = calls
        self.name: str = type(table).__name__
        watch(table, *([observer] if observer else []))
        self._jobs = table.jobs
        self._connection = table.connection

    def refresh(self) -> int:
        """Add a job for every key that has neither a row nor a job yet; return their number."""
        keys = self._open().restrict(dj.Not(self._jobs), semantic_check=False).proj()
        return add_jobs(self._jobs, keys, int(self.urgency))

    def clean(self) -> None:
        """Free jobs whose holder is gone or was interrupted, and failed ones that have waited enough."""
        gone = HOLDER_GONE[self._connection.adapter.backend].format(jobs=self._jobs.full_table_name)
        self._free(f"status = 'reserved' AND ({gone} OR {self._older('reserved_time', self._held_at_most())})")
        if not self.failed():
            return
        self._free(f"status = 'error' AND {_like(INTERRUPTED)}", *INTERRUPTED)
        for failures, delay in enumerate(DELAYS):
            waited = f"priority = {self.urgency + failures} AND {self._older('completed_time', delay)}"
            self._free(f"status = 'error' AND {waited}", failed=True)
        often = f"priority >= {self._limit} AND {self._older('completed_time', DELAYS[-1])}"
        self._free(f"status = 'error' AND {often} AND {_like(OUTAGES)}", *OUTAGES)

    def run(self, calls: int | None = None) -> int:
        """Work off up to `calls` jobs, the queue's unless given; return how many were tried, 0 only if none waits."""
        most = calls or self.calls
        done = self.table.populate(reserve_jobs=True, refresh=False, max_calls=most, suppress_errors=True)
        # None of them, while others wait: workers beside this one were quicker each time.
        return int(done["success_count"]) + len(done["error_list"]) or min(1, self._waiting())

    def let_go(self) -> None:
        """Free what this session holds, and what was interrupted, as this process may have been a moment ago."""
        sessions = {self._connection.connection_id, self._connection.interrupted_id} - {None}
        for number in sessions:
            self._free("status = 'reserved' AND connection_id = %s", number)
        self._free(f"status = 'error' AND {_like(INTERRUPTED)}", *INTERRUPTED)

    def unfinished(self) -> int:
        """Return the number of keys within reach that have no row and whose job has not failed."""
        failed = self._jobs & "status = 'error'"
        return len(self._within_reach(self._open().restrict(dj.Not(failed), semantic_check=False)))

    def busy(self) -> int:
        """Return the number of jobs within reach that wait or are in hand."""
        return len(self._within_reach(self._jobs & "status IN ('pending', 'reserved')"))

    def failed(self) -> int:
        """Return the number of jobs that failed and wait for their next try, or for a person."""
        return len(self._jobs & "status = 'error'")

    def stuck(self) -> list[Stuck]:
        """Return the jobs that need a person, those that failed first first."""
        key = self.table.primary_key
        columns = ", ".join(map(self._connection.adapter.quote_identifier, key))
        rows = self._query(
            "SELECT {columns}, error_message, priority, completed_time FROM {jobs} WHERE {stuck}"
            " ORDER BY completed_time, {columns}",
            *INTERRUPTED,
            *OUTAGES,
            columns=columns,
        )
        return [
            Stuck(self.name, dict(zip(key, row, strict=False)), row[-3], row[-2] - self.urgency + 1, row[-1])
            for row in rows.fetchall()
        ]

    def set_going(self) -> int:
        """Have everything that failed tried again at once, as if it had never failed; return the number of jobs."""
        change = f"status = 'pending', priority = {int(self.urgency)}"
        changed = self._change(change, "status = 'error'")
        return changed + self.set_going() if changed >= MANY else changed

    def state(self) -> State:
        """Return the queue in numbers."""
        statement, arguments = self.state_query()
        return self.state_of(self._connection.query(statement, args=arguments).fetchone())

    def state_query(self) -> tuple[str, tuple[str, ...]]:
        """Return the statement of `state` and its arguments, for whoever has a connection of their own."""
        return self._statement(_STATE), (*INTERRUPTED, *OUTAGES)

    def state_of(self, row: tuple[Any, ...]) -> State:
        """Return the state from the row that `state_query` finds."""
        waiting, in_hand, failed, stuck, oldest = row
        return State(self.name, int(waiting), int(in_hand), int(failed), int(stuck), max(0.0, float(oldest)))

    def progress(self) -> tuple[int, int]:
        """Return the number of keys that have a row, and of all keys."""
        return len(self.table), len(self.table.key_source)

    def _open(self) -> Any:
        return self.table.key_source - self.table.proj()

    def _waiting(self) -> int:
        return len(self._within_reach(self._jobs.pending & "scheduled_time <= CURRENT_TIMESTAMP(3)"))

    def _within_reach(self, keys: Any) -> Any:
        """Leave out what this process cannot make but another can, if the table tells (see `Adopt`)."""
        out_of_reach = getattr(self.table, "out_of_reach", list)
        return keys & dj.Not(out_of_reach())

    def _held_at_most(self) -> int:
        """Return the seconds after which a job cannot be in hand any more."""
        uptime = self._connection.query(UPTIME[self._connection.adapter.backend]).fetchone()[1]
        return min(HELD_AT_MOST, int(uptime) + 1)

    def _older(self, column: str, seconds: int) -> str:
        return f"{column} < CURRENT_TIMESTAMP(3) - {self._connection.adapter.interval_expr(seconds, 'second')}"

    @property
    def _limit(self) -> int:
        return self.urgency + len(DELAYS)

    def _free(self, condition: str, *values: object, failed: bool = False) -> None:
        """Let anybody take the jobs under `condition`; the queue is no data, so it is updated in place."""
        change = "status = 'pending', priority = priority + 1" if failed else "status = 'pending'"
        self._change(change, condition, *values)

    def _change(self, change: str, condition: str, *values: object) -> int:
        """Change up to `MANY` jobs under `condition`, each if it still is when its turn comes; return their number."""
        adapter = self._connection.adapter
        columns = [*map(adapter.quote_identifier, self._jobs.primary_key)]
        found = self._query(_FIND, *values, columns=", ".join(columns), condition=condition, many=str(MANY))
        key = " AND ".join(f"{column} = %s" for column in columns)
        template = _CHANGE[adapter.backend]
        changing = partial(self._query, template, change=change, key=key, condition=condition)
        return sum(persist(partial(changing, *row, *values)).rowcount for row in found.fetchall())

    def _query(self, template: str, *values: object, **names: str) -> Any:
        return self._connection.query(self._statement(template, **names), args=values)

    def _statement(self, template: str, **names: str) -> str:
        """Fill in the table of jobs and the condition for those that need a person, with its arguments left open."""
        stuck = f"status = 'error' AND priority >= {self._limit} AND NOT {_like((*INTERRUPTED, *OUTAGES))}"
        age = _AGE[self._connection.adapter.backend]
        return template.format(jobs=self._jobs.full_table_name, stuck=stuck, age=age, **names)


def _like(patterns: tuple[str, ...]) -> str:
    return f"({' OR '.join(['error_message LIKE %s'] * len(patterns))})"
