"""What the database and this machine's outbox hold, as metrics, asked on a connection of their own.

A connection serves one thread, and the main thread of a worker may be busy for minutes with a
backup. So whoever serves metrics has another one, which is opened when it is first needed and
again whenever it broke.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from data_platform.errors import DatabaseUnavailable
from data_platform.settings import Settings
from populate.backup.proof import statements as proof_statements
from populate.backup.tables import Placement
from populate.watch.session import Watch
from populate.watch.status import statements
from populate.work.jobs import queues
from populate.work.lease import Living, LivingLocks
from populate.work.queue import State
from readers.backlog import Backlog
from schemas.binding import Binding
from schemas.catalogue import Blob
from schemas.sharing import Access, AccessBatch

SHARE = 20.0
"""Sums over whole tables are asked again after so many times as long as they took."""

PROOFS = {
    "proven_bytes": "Size of the contents that were read back in the last 30 days.",
    "contents_unproven": "Contents that were not read back in the last 30 days.",
    "contents_damaged": "Contents that a store has lost and that could not be fetched again yet.",
}
_TOTALS = {
    "reads": "SELECT COALESCE(SUM(access_count), 0) FROM {AccessBatch}",
    "bytes": "SELECT COALESCE(SUM(blob_size), 0) FROM {Blob} AS b"
    " WHERE EXISTS (SELECT 1 FROM {Placement} AS p WHERE p.sha256 = b.sha256)",
    "lag": "SELECT b.delivered_at, MIN(a.accessed_at) FROM {AccessBatch} AS b JOIN {Access} AS a"
    " ON a.batch_id = b.batch_id WHERE b.delivered_at = (SELECT MAX(delivered_at) FROM {AccessBatch})"
    " GROUP BY b.delivered_at",
}


class Figures:
    """Metrics of the catalogue and of this machine's outbox; a collector of prometheus-client's."""

    def __init__(self, binding: Binding, settings: Settings, watch: Watch) -> None:
        self._watch = watch
        self._queues = queues(settings)
        self._locks = LivingLocks(binding)
        self._backlog = Backlog(settings.outbox_folder)
        names = {table.__name__: table().full_table_name for table in (Access, AccessBatch, Blob, Placement)}
        self._totals = {name: statement.format(**names) for name, statement in _TOTALS.items()}
        self._totals["backups_failed"] = statements()["backups_failed"]
        self._totals |= {name: proof for name, proof in proof_statements(binding.backend).items() if name in PROOFS}
        self._sums: dict[str, Any] = {}
        self._next_sums = 0.0

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics; of the database only whether it answers if it does not."""
        try:
            found = [*self._of_the_queues(), *self._of_the_living(), *self._of_the_catalogue()]
        except DatabaseUnavailable:
            found = []
        yield _gauge("data_platform_database_up", "Whether the database answers.", float(bool(found)))
        yield from found
        yield from self._of_the_outbox()

    def _of_the_queues(self) -> Iterator[Metric]:
        states = [queue.state_of(self._watch.ask(*queue.state_query())[0]) for queue in self._queues]
        jobs = GaugeMetricFamily(
            "data_platform_jobs",
            "Jobs by table and state: waiting, in_hand, failed (waits for its next try or a person), stuck (a person).",
            labels=["table", "state"],
        )
        age = GaugeMetricFamily(
            "data_platform_jobs_oldest_seconds", "How long the oldest job waits, by table.", labels=["table"]
        )
        for state in states:
            for name, number in _numbers(state):
                jobs.add_metric([state.table, name], number)
            age.add_metric([state.table], state.oldest_seconds)
        yield from (jobs, age)

    def _of_the_living(self) -> Iterator[Metric]:
        living: Living = self._locks.living(self._watch.ask(self._locks.statement, self._locks.arguments))
        yield _gauge("data_platform_workers", "Processes of workers that live.", living.workers)
        yield _gauge("data_platform_schedulers", "Schedulers at work, 0 or 1.", living.schedulers)

    def _of_the_catalogue(self) -> Iterator[Metric]:
        began = time.monotonic()
        if began >= self._next_sums:
            self._sums = {name: self._watch.ask(statement) for name, statement in self._totals.items()}
            self._next_sums = time.monotonic() + SHARE * (time.monotonic() - began)
        sums = self._sums
        reads = CounterMetricFamily("data_platform_reads_delivered", "Accesses that were delivered.")
        reads.add_metric([], int(sums["reads"][0][0]))
        yield reads
        yield _gauge("data_platform_stored_bytes", "Size of the contents that are backed up.", int(sums["bytes"][0][0]))
        yield _gauge(
            "data_platform_backups_failed",
            "Versions without a backup whose last attempt failed.",
            int(sums["backups_failed"][0][0]),
        )
        for name, meaning in PROOFS.items():
            yield _gauge(f"data_platform_{name}", meaning, int(sums[name][0][0]))
        if sums["lag"]:
            delivered, accessed = sums["lag"][0]
            yield _gauge(
                "data_platform_delivery_lag_seconds",
                "How long the oldest read of the newest delivery had waited in an outbox.",
                max(0.0, (delivered - accessed).total_seconds()),
            )

    def _of_the_outbox(self) -> Iterator[Metric]:
        oldest = self._backlog.oldest()
        yield _gauge(
            "data_platform_outbox_waiting", "Accesses on this machine that wait for delivery.", self._backlog.pending()
        )
        yield _gauge(
            "data_platform_outbox_oldest_seconds",
            "How long the oldest of these waits.",
            0.0 if oldest is None else max(0.0, time.time() - oldest),
        )


def _numbers(state: State) -> Iterable[tuple[str, int]]:
    yield from (
        ("waiting", state.waiting),
        ("in_hand", state.in_hand),
        ("failed", state.failed),
        ("stuck", state.stuck),
    )


def _gauge(name: str, meaning: str, value: float) -> Metric:
    found = GaugeMetricFamily(name, meaning)
    found.add_metric([], value)
    return found
