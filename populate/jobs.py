"""The queues of the computed tables, and the janitor that keeps them moving.

DataJoint reserves jobs; it does not notice a worker that died, never tries a failed job
again, and fills its queues with a commit a row. So here queues are filled in bulk; a job
whose holder's database session is gone is free again; one that was interrupted is taken up
at once; one that failed waits a little longer each time (its `priority` counts the
failures: what failed often is also the least urgent) and is never forgotten.
"""

from __future__ import annotations

from typing import Any

from populate.backup import Backup
from populate.ingest import Ingest
from populate.silo import SiloMetric
from schemas.drivers import SESSION_LOCK
from schemas.engine import dj

DELAYS = (5, 60, 300, 1800, 7200)
"""Seconds that a job waits after its first, second … failure; after the last of these it waits that long each time."""

PRIORITY = 5  # of a job that never failed
HELD_AT_MOST = 24 * 3600  # seconds, for servers that do not notice a dead connection
MANY = 5000

# Not the job's fault: it is taken up again at once.
INTERRUPTED = (
    "SystemExit%",
    "KeyboardInterrupt%",
    "LostConnectionError%",
    "ConnectionLost%",
    "DatabaseUnavailable%",
    "DeadlockDetected%",
    "SerializationFailure%",
    "OperationalError: (1213,%",  # MySQL: deadlock
    "OperationalError: (1205,%",  # MySQL: waited too long for a lock
)

# The session that reserved the job is gone. Numbers of sessions are used again: on MySQL after a
# restart only (see `UPTIME`), on PostgreSQL at any time, so one that began later is another.
HOLDER_GONE = {
    "postgresql": "NOT EXISTS (SELECT 1 FROM pg_stat_activity AS a WHERE a.pid = {jobs}.connection_id"
    " AND COALESCE(a.backend_start <= {jobs}.reserved_time + INTERVAL '1 second', TRUE))",
    "mysql": f"IS_USED_LOCK({SESSION_LOCK.format(number='{jobs}.connection_id')}) IS NULL",
}
UPTIME = {  # seconds since the server started: no session is older
    "postgresql": "SELECT 'Uptime', EXTRACT(EPOCH FROM clock_timestamp() - pg_postmaster_start_time())",
    "mysql": "SHOW GLOBAL STATUS LIKE 'Uptime'",
}


class Queue:
    """The jobs of a computed table.

    Parameters
    ----------
    table
        An instance, because DataJoint looks its jobs table up anew for each.
    """

    def __init__(self, table: Any) -> None:
        self.table = table
        self.name: str = type(table).__name__
        self._jobs = table.jobs
        self._connection = table.connection

    def refresh(self) -> int:
        """Add a job for every key that has neither a row nor a job yet; return their number."""
        keys = self._open().restrict(dj.Not(self._jobs), semantic_check=False).proj().keys()
        jobs = ({**key, "status": "pending", "priority": PRIORITY} for key in keys)
        self._jobs.insert(jobs, skip_duplicates=True, chunk_size=MANY)
        return len(keys)

    def clean(self) -> None:
        """Free jobs whose holder is gone or was interrupted, and failed ones that have waited enough."""
        gone = HOLDER_GONE[self._connection.adapter.backend].format(jobs=self._jobs.full_table_name)
        self._free(f"status = 'reserved' AND ({gone} OR {self._older('reserved_time', self._held_at_most())})")
        if not self.failed():
            return
        likeness = " OR ".join(["error_message LIKE %s"] * len(INTERRUPTED))
        self._free(f"status = 'error' AND ({likeness})", *INTERRUPTED)
        for failures, delay in enumerate(DELAYS):
            comparison = ">=" if delay == DELAYS[-1] else "="
            waited = f"priority {comparison} {PRIORITY + failures} AND {self._older('completed_time', delay)}"
            self._free(f"status = 'error' AND {waited}", urgent=comparison == ">=")

    def run(self, calls: int) -> int:
        """Work off up to `calls` jobs; return how many were tried, 0 only if none waits."""
        done = self.table.populate(reserve_jobs=True, refresh=False, max_calls=calls, suppress_errors=True)
        # None of them, while others wait: workers beside this one were quicker each time.
        return int(done["success_count"]) + len(done["error_list"]) or min(1, self._waiting())

    def let_go(self) -> None:
        """Free what this process holds, when it was stopped between two steps of a job."""
        self._free("status = 'reserved' AND connection_id = %s", self._connection.connection_id)

    def unfinished(self) -> int:
        """Return the number of keys that have no row and whose job has not failed."""
        failed = self._jobs & "status = 'error'"
        return len(self._open().restrict(dj.Not(failed), semantic_check=False))

    def busy(self) -> int:
        """Return the number of jobs that wait or are in hand."""
        return len(self._jobs & "status IN ('pending', 'reserved')")

    def failed(self) -> int:
        """Return the number of jobs that failed and wait for their next try."""
        return len(self._jobs & "status = 'error'")

    def progress(self) -> tuple[int, int]:
        """Return the number of keys that have a row, and of all keys."""
        return len(self.table), len(self.table.key_source)

    def _open(self) -> Any:
        return self.table.key_source - self.table.proj()

    def _waiting(self) -> int:
        return len(self._jobs.pending & "scheduled_time <= CURRENT_TIMESTAMP(3)")

    def _held_at_most(self) -> int:
        """Return the seconds after which a job cannot be in hand any more."""
        uptime = self._connection.query(UPTIME[self._connection.adapter.backend]).fetchone()[1]
        return min(HELD_AT_MOST, int(uptime) + 1)

    def _older(self, column: str, seconds: int) -> str:
        return f"{column} < CURRENT_TIMESTAMP(3) - {self._connection.adapter.interval_expr(seconds, 'second')}"

    def _free(self, condition: str, *values: object, urgent: bool = True) -> None:
        """Let anybody take the jobs under `condition`; the queue is no data, so it is updated in place."""
        name = self._jobs.full_table_name
        change = "status = 'pending'" if urgent else "status = 'pending', priority = priority + 1"
        self._connection.query(f"UPDATE {name} SET {change} WHERE {condition}", args=values)  # noqa: S608


def queues() -> tuple[Queue, ...]:
    """Return the queues in the order in which one feeds the next."""
    return Queue(Ingest()), Queue(Backup()), Queue(SiloMetric())
