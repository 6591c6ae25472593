"""The process that works off what was delivered: ingest, then backup, until told to stop.

It reserves jobs and makes them. Where no scheduler keeps the queues it also does that, between
two jobs; a scheduler that comes takes it over at once. Everything that it does can be done
twice, so it may be killed at any moment: the job that it held is free as soon as its database
session is gone.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from data_platform.errors import DatabaseUnavailable, DataPlatformError
from data_platform.logs import log_to_stderr
from data_platform.settings import Settings
from data_platform.settings import settings as settings_of_process
from populate.pipeline import bind_all
from populate.watch.progress import Counts, Progress, progress_on
from populate.watch.service import monitored
from populate.work.crew import Alone, Crew
from populate.work.jobs import queues
from populate.work.lease import scheduler_lease
from populate.work.scheduler import Keeper
from populate.work.stopping import Stop, repeat
from populate.work.waits import waiting_together
from readers.shipper import flush
from schemas.binding import Binding

POLL_SECONDS = 1.0  # between two looks at queues that were empty
SHOW_SECONDS = 1.0  # between two looks at how far it is
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
        Batches whose job failed and waits for its next try, or for a person; 0 if it was told
        to stop, for then it may have been the signal that a job failed of.
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
    with Stop.on_signals() as stop, ExitStack() as stack:
        _deliver(settings, strict=once)
        binding = bind_all(settings)
        stack.enter_context(waiting_together(binding))
        folder = _folder_of_counts(stack) if processes > 1 and settings.monitor.port else None
        stale = settings.monitor.stale_seconds
        service = stack.enter_context(monitored(settings, binding, stale_seconds=stale, store=True, folder=folder))
        progress = progress or progress_on(logged=settings.log.format == "json")
        overseer = _Overseer(binding, progress, snapshots=not once)
        alone = processes <= 1
        hands = Alone(settings, binding, service.observer) if alone else Crew(settings, processes, folder)
        step = partial(_round, hands.step, service.beat)
        try:
            if once:
                repeat(
                    stop,
                    overseer.tend,
                    step,
                    overseer.finished,
                    pause=0.2,
                    longest=POLL_SECONDS,
                    patience=PATIENCE,
                )
            else:
                repeat(stop, overseer.tend, step, lambda: False, pause=POLL_SECONDS)
        finally:
            hands.end()
        return overseer.close(stop.requested)


def _round(work: Callable[[], int], beat: Callable[[], None]) -> int:
    done = work()
    beat()  # not before: a worker that only fails is not ready
    return done


def _folder_of_counts(stack: ExitStack) -> Path:
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="data-platform-counts-")))


def _deliver(settings: Settings, strict: bool) -> None:
    """Deliver what waits in the outbox; a shipper that died may have left something behind."""
    try:
        flush(settings)
    except DataPlatformError as error:
        if strict:
            raise
        _log.warning("The outbox could not be delivered: %s", error)


class _Overseer:
    """Keeps the queues where no scheduler does, shows how far the work is, and knows when it is done."""

    def __init__(self, binding: Binding, progress: Progress, snapshots: bool) -> None:
        self._binding = binding
        self._lease = scheduler_lease(binding)
        self._keeper = Keeper(binding, snapshots)
        self._queues = queues()
        self._progress = progress
        self._next = 0.0

    def tend(self) -> None:
        """Do what a scheduler does, unless there is one."""
        self._binding.ensure()
        # For this round only, so that a scheduler need not wait for this process to end.
        with self._lease.held() as ours:
            if ours:
                self._keeper.tend()
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + SHOW_SECONDS
            self._progress.show(self._counts)

    def finished(self) -> bool:
        """Tell whether nothing is left but what failed.

        Judged by the tables, ingest first: once it is done no backup can be missing.

        Raises
        ------
        Exception
            What keeps the queues from being kept: who works until all is done has to give up then.
        """
        with self._lease.held() as ours:
            if ours:
                self._keeper.clean()
                if self._keeper.failure:
                    raise self._keeper.failure
        return not any(queue.unfinished() for queue in self._queues)

    def close(self, stopped: bool) -> Result:
        """Show and return the final state."""
        try:
            self._progress.close(self._counts)
            return Result(stopped, 0 if stopped else sum(queue.failed() for queue in self._queues))
        except DatabaseUnavailable:
            if not stopped:
                raise
            return Result(stopped, 0)

    def _counts(self) -> Counts:
        return {queue.name.lower(): queue.progress() for queue in self._queues}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a worker with the settings of the process, as ``data-platform worker`` does."""
    parser = argparse.ArgumentParser(prog="python -m populate.work.worker", description=run_worker.__doc__)
    parser.add_argument("--once", action="store_true", help="end when everything is worked off")
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args(arguments)
    log_to_stderr(settings_of_process().log, "worker")
    result = run_worker(once=options.once, processes=options.processes)
    return 1 if result.failed_jobs else 0


if __name__ == "__main__":
    raise SystemExit(main())
