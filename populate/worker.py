"""The process that works off what was delivered: ingest, then backup, until told to stop.

Everything that it does can be done twice, so it may be killed at any moment: the job that
it held is free as soon as its database session is gone.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

from data_platform.errors import DatabaseUnavailable, DataPlatformError
from data_platform.redact import redact_logging
from data_platform.settings import Settings
from data_platform.settings import settings as settings_of_process
from populate.crew import Alone, Crew
from populate.jobs import queues
from populate.pipeline import bind_all
from populate.progress import Counts, Progress, progress_on
from populate.retries import retry_due
from populate.stopping import Stop, repeat
from readers.shipper import flush
from schemas.binding import Binding

POLL_SECONDS = 1.0  # between two looks at queues that were empty
TEND_SECONDS = 1.0  # between two rounds of the janitor
RETRY_SECONDS = 20.0  # between two looks for versions to try again
PATIENCE = 8  # failures in a row, about a minute, before `once` gives up

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Result:
    """What a worker leaves behind.

    Attributes
    ----------
    stopped
        It was told to stop before everything was worked off.
    failed_jobs
        Batches whose job failed and waits for its next try.
    """

    stopped: bool
    failed_jobs: int


def run_worker(
    settings: Settings | None = None, once: bool = False, processes: int = 1, progress: Progress | None = None
) -> Result:
    """Work off what was delivered. To be called in the main thread.

    Parameters
    ----------
    settings
        Those of the process unless given.
    once
        Deliver what the outbox of this machine holds, work off everything that can be, and
        return; otherwise go on until SIGTERM or Ctrl-C.
    processes
        Number of processes that work.
    progress
        Where to show how far it is; standard error unless given.

    Raises
    ------
    DatabaseUnavailable
        If no connection can be had: at once, and with `once` also later on.
    NotDeployed
        If the tables are missing.
    """
    settings = settings or settings_of_process()
    with Stop.on_signals() as stop:
        _deliver(settings, strict=once)
        keeper = _Keeper(bind_all(settings), progress or progress_on())
        hands = Alone(settings) if processes <= 1 else Crew(settings, processes)
        try:
            if once:
                repeat(
                    stop, keeper.tend, hands.step, keeper.finished, pause=0.2, longest=POLL_SECONDS, patience=PATIENCE
                )
            else:
                repeat(stop, keeper.tend, hands.step, lambda: False, pause=POLL_SECONDS)
        finally:
            hands.end()
        return keeper.close(stop.requested)


def _deliver(settings: Settings, strict: bool) -> None:
    """Deliver what waits in the outbox; a shipper that died may have left something behind."""
    try:
        flush(settings)
    except DataPlatformError as error:
        if strict:
            raise
        _log.warning("The outbox could not be delivered: %s", error)


class _Keeper:
    """Keeps the queues: fills them, tidies them up, knows when they are worked off."""

    def __init__(self, binding: Binding, progress: Progress) -> None:
        self._binding = binding
        self._queues = queues()
        self._progress = progress
        self._next_tending = self._next_retry = 0.0

    def tend(self) -> None:
        """Fill the queues; now and then also free jobs and bring back what failed."""
        self._binding.ensure()
        now = time.monotonic()
        if now >= self._next_retry:
            self._next_retry = now + RETRY_SECONDS
            retry_due(self._binding)
        if now >= self._next_tending:
            self._next_tending = now + TEND_SECONDS
            self._clean()
            self._progress.show(self._counts)
        for queue in self._queues:
            queue.refresh()

    def finished(self) -> bool:
        """Tell whether nothing is left but what failed.

        Judged by the tables, ingest first: once it is done no backup can be missing.
        """
        self._clean()
        return not any(queue.unfinished() for queue in self._queues)

    def close(self, stopped: bool) -> Result:
        """Show and return the final state."""
        try:
            self._progress.close(self._counts)
            return Result(stopped, sum(queue.failed() for queue in self._queues))
        except DatabaseUnavailable:
            if not stopped:
                raise
            return Result(stopped, 0)

    def _clean(self) -> None:
        for queue in self._queues:
            queue.clean()

    def _counts(self) -> Counts:
        return {queue.name.lower(): queue.progress() for queue in self._queues}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a worker with the settings of the process, as ``data-platform worker`` does."""
    parser = argparse.ArgumentParser(prog="python -m populate.worker", description=run_worker.__doc__)
    parser.add_argument("--once", action="store_true", help="end when everything is worked off")
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args(arguments)
    logging.basicConfig(format="worker: %(message)s")
    redact_logging()
    result = run_worker(once=options.once, processes=options.processes)
    return 1 if result.failed_jobs else 0


if __name__ == "__main__":
    raise SystemExit(main())
