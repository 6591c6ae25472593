"""What worker and scheduler have in common as services: they log what they make, and can be watched.

Without `monitor.port` nothing is served and prometheus-client is not loaded.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import nan
from pathlib import Path
from typing import NamedTuple

from data_platform.redact import redact_text
from data_platform.settings import Settings
from populate.watch.observing import FAILED, Made, Observer
from schemas.binding import Binding

_log = logging.getLogger(__name__)


class Service(NamedTuple):
    """What a service tells: `observer` of each job that is made here, `beat` that a round of work ended."""

    observer: Observer
    beat: Callable[[], None]


def log_made(made: Made) -> None:
    """Log the end of a job, with its table and key: a failed one as a warning."""
    facts = {"table": made.table, "key": made.key, "outcome": made.outcome, "seconds": round(made.seconds, 6)}
    text = f"{made.table} {made.outcome} in {made.seconds:.3f} s" + (f": {made.error}" if made.error else "")
    _log.log(logging.WARNING if made.outcome == FAILED else logging.INFO, "%s", redact_text(text), extra=facts)


def observer_of_hand(folder: Path | None) -> Observer:
    """Return the observer of a process whose counts another one serves, from a folder.

    To be called before anything else in this process imports prometheus-client: it settles
    where it keeps counts when it is imported.
    """
    if folder is None:
        return log_made
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    from prometheus_client import CollectorRegistry

    from populate.watch.metrics import Makes

    return _both(Makes(CollectorRegistry()), log_made)


@contextmanager
def monitored(
    settings: Settings, binding: Binding, *, stale_seconds: float, store: bool, folder: Path | None = None
) -> Iterator[Service]:
    """Serve health and metrics for the length of a block, if the settings say where.

    Parameters
    ----------
    stale_seconds
        Age of the last round of work from which on the service is not ready.
    store
        Whether the service needs the content store.
    folder
        Where its other processes keep their counts, if it has any.

    Raises
    ------
    SettingsError
        If nothing can listen at that address.
    """
    if not settings.monitor.port:
        yield Service(log_made, lambda: None)
        return
    from prometheus_client import CollectorRegistry, Gauge

    from populate.watch.figures import Figures
    from populate.watch.metrics import Makes, registry_of
    from populate.watch.monitor import Health, Monitor, store_look
    from populate.watch.session import Watch

    sums, pulse = Watch(binding), Watch(binding)  # whether it answers must not wait for a sum
    looks = {"database": lambda: pulse.ask("SELECT 1")} | ({"store": store_look(settings)} if store else {})
    health = Health(looks, stale_seconds)
    registry = registry_of(folder) if folder else CollectorRegistry()
    observer = log_made if folder else _both(Makes(registry), log_made)
    registry.register(Figures(binding, settings, sums))
    age = Gauge("data_platform_round_age_seconds", "Since the last round of work ended.", registry=registry)
    age.set_function(lambda: nan if health.age is None else health.age)
    try:
        with Monitor(settings.monitor, health, registry):
            yield Service(observer, health.beat)
    finally:
        sums.close()
        pulse.close()


def _both(first: Observer, second: Observer) -> Observer:
    def observe(made: Made) -> None:
        first(made)
        second(made)

    return observe
