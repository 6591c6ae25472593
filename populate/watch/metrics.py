"""Metrics of what processes make, for Prometheus.

With several processes each keeps its counts in files of a common folder (prometheus-client's
multi-process mode), which the process that serves them adds up. So the counts of a process
that died, and of the one that took its place, are those of the worker.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Histogram, Metric
from prometheus_client.multiprocess import MultiProcessCollector

from populate.watch.observing import MADE, Made

SECONDS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
"""Upper bounds of the histogram's buckets: from a small delivery to a backup of many gigabytes."""


LOOKS = 20  # at files that are being made


class Makes:
    """Counts and times the jobs that this process makes; an observer of queues.

    Parameters
    ----------
    registry
        Where the metrics are found by whoever serves them.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._count = Counter(
            "data_platform_makes",
            "Jobs that were tried, by table and outcome: made, failed, interrupted.",
            ["table", "outcome"],
            registry=registry,
        )
        self._seconds = Histogram(
            "data_platform_make_seconds",
            "How long the jobs took that were made.",
            ["table"],
            buckets=SECONDS,
            registry=registry,
        )

    def __call__(self, made: Made) -> None:
        """Count a job."""
        self._count.labels(made.table, made.outcome).inc()
        if made.outcome == MADE:
            self._seconds.labels(made.table).observe(made.seconds)


def registry_of(folder: Path) -> CollectorRegistry:
    """Return a registry of what all processes have counted in a folder."""
    registry = CollectorRegistry()
    _Counts(registry, path=str(folder))  # type: ignore[no-untyped-call]
    return registry


class _Counts(MultiProcessCollector):
    """Adds up files; one that a process makes at this very moment is still empty, and read again a little later."""

    def collect(self) -> Iterable[Metric]:
        for _ in range(LOOKS):
            with suppress(struct.error):
                return list(super().collect())  # type: ignore[no-untyped-call]
            time.sleep(0.05)
        return list(super().collect())  # type: ignore[no-untyped-call]
