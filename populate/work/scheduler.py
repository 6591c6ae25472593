"""The scheduler: the one process that fills the job queues, tidies them up and takes snapshots.

Workers only reserve and make. Of several schedulers one is at work and the others stand by:
whoever holds the lease keeps the queues, and it is free the moment its session is gone. Should
two believe for a moment that they hold it, nothing is done twice: whatever a keeper does can
be done again.

Where there is no scheduler, each worker keeps the queues itself between two jobs; see
`populate.work.worker`.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Callable, Sequence
from functools import partial

from data_platform.errors import DatabaseUnavailable
from data_platform.logs import log_to_stderr
from data_platform.redact import redact_text
from data_platform.settings import Settings
from data_platform.settings import settings as settings_of_process
from populate.backup.proving import plan_due
from populate.backup.replica import plan_copies
from populate.mailing import mail_due
from populate.notes.telling import tell_due
from populate.pipeline import bind_all
from populate.recall.telling import tell_of_recalls
from populate.search.describing import look
from populate.search.following import has_index
from populate.sharing.notices import has_notices
from populate.snapshot import take_daily
from populate.watch.service import monitored
from populate.watch.tally import Tallying
from populate.work.errands import Errand
from populate.work.jobs import queues
from populate.work.lease import Lease, scheduler_lease
from populate.work.retries import retry_due
from populate.work.stopping import Stop, repeat
from schemas.binding import Binding
from schemas.engine import dj

LOOK_SECONDS = 1.0  # between two rounds
CLEAN_SECONDS = 1.0  # between two rounds of the janitor
RETRY_SECONDS = 20.0  # between two looks for versions to try again
SNAPSHOT_SECONDS = 60.0  # between two looks for days without a snapshot
PLAN_SECONDS = 600.0  # between two looks for contents to be read back
COPY_SECONDS = 20.0  # between two looks for contents without a copy in the replica
ERRAND_SECONDS = 5.0  # between two looks at processes that look at what others know
PEOPLE_SECONDS = 3600.0  # between two looks whether a day has passed since the directory of people was read
SEARCH_SECONDS = 20.0  # between two looks for files that are to be found otherwise
CHECK_SECONDS = 86400.0  # between two comparisons of the search index with the tables
MAIL_SECONDS = 3600.0  # between two looks for mail that is due
LINEAGE_SECONDS = 60.0  # between two looks for what an OpenLineage backend has not been told
DESCRIBE_SECONDS = 60.0  # between two looks for what a language model has not described
TELL_SECONDS = 60.0  # between two looks for recalls, and for new versions of files that somebody follows
LONGEST_PAUSE = 60.0  # before a chore that fails is tried again
SHARE = 5.0  # a queue is left alone for so many times as long as it took to fill it
IDLE_SECONDS = 60  # after which a server takes a scheduler for gone that says nothing
STALE_SECONDS = 120.0  # without a round before a scheduler is not ready

_log = logging.getLogger(__name__)


class Keeper:
    """Keeps the queues: fills them, frees jobs, brings back what failed, takes daily snapshots.

    Parameters
    ----------
    snapshots
        Whether it takes them, and sends mail if the settings say so.
    errands
        What it has done by processes of their own, or a thread.
    """

    def __init__(self, binding: Binding, snapshots: bool, errands: Sequence[Errand | Tallying] = ()) -> None:
        self._binding = binding
        self._queues = queues()
        self._proves = binding.settings.store.verify_days
        mail = snapshots and binding.settings.mail.automatic
        self._errands = errands
        self._chores: list[_Chore] = [
            _Chore("bringing back versions", lambda: retry_due(binding), RETRY_SECONDS),
            _Chore("describing files for search", lambda: look(binding.connection), SEARCH_SECONDS),
            *(_Chore(f"tidying up {queue.name}", queue.clean, CLEAN_SECONDS) for queue in self._queues),
            *([_Chore("taking snapshots", self._take_snapshots, SNAPSHOT_SECONDS)] if snapshots else []),
            *([_Chore("planning verification", self._plan, PLAN_SECONDS)] if self._proves and snapshots else []),
            *([_Chore("planning copies", lambda: plan_copies(binding), COPY_SECONDS)] if _copies(binding) else []),
            *(_Chore("looking at what others know", errand.tend, ERRAND_SECONDS) for errand in self._errands),
            *([_Chore("sending mail", lambda: mail_due(binding), MAIL_SECONDS)] if mail else []),
            *([_Chore("telling of new versions", lambda: tell_due(binding), TELL_SECONDS)] if snapshots else []),
            _Chore("telling of recalls", lambda: tell_of_recalls(binding, by_mail=mail), TELL_SECONDS),
            *(_Chore(f"filling {queue.name}", queue.refresh, 0.0) for queue in self._queues),
        ]

    def tend(self) -> None:
        """Do what is due. A chore that fails keeps no other from being done; it is logged, and tried again.

        Raises
        ------
        DatabaseUnavailable
            If the connection was lost: then nothing can be done.
        """
        for chore in self._chores:
            chore.do_if_due()

    @property
    def failure(self) -> Exception | None:
        """What the first chore raised of those that failed when they were last tried; None if none did."""
        return next((chore.failure for chore in self._chores if chore.failure), None)

    def clean(self) -> None:
        """Free jobs whose holder is gone, and those that have waited enough."""
        for queue in self._queues:
            queue.clean()

    def end(self) -> None:
        """End what is done by processes of their own."""
        for errand in self._errands:
            errand.end()

    def _plan(self) -> None:
        plan_due(self._binding, self._proves)

    def _take_snapshots(self) -> None:
        for number in take_daily(self._binding):
            _log.info("Snapshot %d was taken; its figures are in the queue.", number)


def _copies(binding: Binding) -> bool:
    return bool(binding.settings.store.replica_url)


def _errands(binding: Binding) -> list[Errand | Tallying]:
    source = binding.settings.microsoft365
    found: list[Errand | Tallying] = [Tallying(binding)]
    if source.client_id and source.sync_seconds:
        found.append(Errand("populate.sharing", source.sync_seconds, lambda: has_notices(binding)))
    if binding.settings.directory.source:
        found.append(Errand("populate.directory", PEOPLE_SECONDS))
    if binding.settings.descriptions.url:
        found.append(Errand("populate.describe", DESCRIBE_SECONDS))
    if binding.settings.lineage.url:
        found.append(Errand("populate.lineage", LINEAGE_SECONDS))
    if has_index(binding.settings):
        found.append(Errand("populate.search", CHECK_SECONDS))
    return found


class _Chore:
    """Something that is done again and again, the more seldom the longer it takes."""

    def __init__(self, name: str, act: Callable[[], object], seconds: float) -> None:
        self.failure: Exception | None = None
        self._name = name
        self._act = act
        self._seconds = seconds
        self._due = 0.0
        self._failures = 0

    def do_if_due(self) -> None:
        began = time.monotonic()
        if began < self._due:
            return
        try:
            self._act()
        except (DatabaseUnavailable, dj.errors.LostConnectionError):
            raise
        except Exception as error:
            self._failed(error)
        else:
            self.failure, self._failures = None, 0
            took = time.monotonic() - began
            self._due = time.monotonic() + max(self._seconds, SHARE * took if took > LOOK_SECONDS else 0.0)

    def _failed(self, error: Exception) -> None:
        self.failure = error
        self._failures += 1
        pause = min(2.0 ** min(self._failures, 10), LONGEST_PAUSE)
        self._due = time.monotonic() + pause
        text = redact_text(f"{type(error).__name__}: {error}")
        _log.warning("The scheduler failed at %s and tries it again in %.0f seconds: %s", self._name, pause, text)


def run_scheduler(settings: Settings | None = None) -> None:
    """Keep the queues until SIGTERM or Ctrl-C, or stand by while another one does. To be called in the main thread.

    Raises
    ------
    DatabaseUnavailable
        If no connection can be had at the start.
    NotDeployed
        If the tables are missing.
    """
    settings = settings or settings_of_process()
    stale = min(STALE_SECONDS, settings.monitor.stale_seconds)
    with Stop.on_signals() as stop:
        binding = bind_all(settings)
        lease = scheduler_lease(binding, IDLE_SECONDS)
        keeper, pause = Keeper(binding, snapshots=True, errands=_errands(binding)), LOOK_SECONDS
        try:
            with monitored(settings, binding, stale_seconds=stale, store=False) as service:
                step = partial(_round, lease, keeper, _Role(), service.beat)
                repeat(stop, binding.ensure, step, lambda: False, pause=pause, longest=pause, name="scheduler")
        finally:
            keeper.end()
            lease.give()


class _Role:
    """Whether it is this one's turn; a change is logged."""

    def __init__(self) -> None:
        self._at_work: bool | None = None

    def is_now(self, at_work: bool) -> None:
        if at_work != self._at_work:
            self._at_work = at_work
            _log.warning("The scheduler is %s.", "at work" if at_work else "standing by: another one is at work")


def _round(lease: Lease, keeper: Keeper, role: _Role, beat: Callable[[], None]) -> int:
    at_work = lease.take()
    role.is_now(at_work)
    if at_work:
        keeper.tend()
    beat()
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a scheduler with the settings of the process, as ``data-platform scheduler`` does."""
    argparse.ArgumentParser(prog="python -m populate.work.scheduler", description=run_scheduler.__doc__).parse_args(
        arguments
    )
    log_to_stderr(settings_of_process().log, "scheduler")
    run_scheduler()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
