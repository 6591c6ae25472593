"""Delivers what waits in the outbox, a batch at a time: at once for `flush`, again and again for the shipper."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from data_platform.errors import DatabaseUnavailable, DataPlatformError, OutboxError
from data_platform.settings import Settings
from data_platform.settings import settings as settings_in_force
from readers.backlog import Backlog, Noted


def flush(settings: Settings | None = None) -> int:
    """Deliver everything that waits, now and in this process; return how many accesses that were.

    Safe beside a running shipper: whoever comes first delivers a batch.

    Raises
    ------
    DatabaseUnavailable
        If the database does not answer. Nothing is lost.
    NotDeployed
        If the database has no tables yet.
    """
    wanted = settings or settings_in_force()
    backlog = Backlog(wanted.outbox_folder)
    ends = backlog.ends()  # what is appended from now on is not waited for
    delivered, moved = 0, True
    while moved and not backlog.reached(ends):
        try:
            step = deliver_next(wanted, backlog)
        except DatabaseUnavailable as error:
            raise DatabaseUnavailable(
                f"{backlog.pending():,} accesses wait in {backlog.folder}; nothing is lost. {error} "
                "Run `data-platform flush` when the database answers again."
            ) from error
        except OSError as error:
            raise OutboxError(f"The outbox cannot be worked on: {error}. Make room, or mend its folder.") from error
        delivered += step.delivered
        moved = step.moved
    if backlog.segments():  # of processes that ended after their last access was delivered
        with backlog.exclusively():
            backlog.sweep()
    return delivered


@dataclass(frozen=True, slots=True)
class Step:
    """What a round did: whether it got on at all, accesses that it took, and those of them that were new."""

    moved: bool
    taken: int
    delivered: int


def deliver_next(settings: Settings, backlog: Backlog) -> Step:
    """Deliver the next batch and sweep up what is finished.

    Raises
    ------
    DatabaseUnavailable
        If the database failed in whatever way; the batch waits.
    """
    with backlog.exclusively():
        batch = backlog.take(settings.outbox.batch_events)
        delivered = _deliver(settings, backlog, batch.events) if batch.events else 0
        if batch.spans:
            backlog.done(batch)
        backlog.sweep()
    return Step(bool(batch.spans), len(batch.events), delivered)


def _deliver(settings: Settings, backlog: Backlog, events: list[Noted]) -> int:
    # Only now: a process that has nothing to deliver starts no database and loads no driver.
    from readers.delivery import deliver
    from readers.watching import watch
    from schemas.binding import bind

    binding = bind(settings)
    binding.ensure()
    delivered = deliver(binding, events, backlog.set_aside)
    watch(settings, events)
    return delivered


def look(settings: Settings) -> None:
    """Find out which of what was read is out of date, for the next reads; where that fails they are not told."""
    from readers.watching import look as look_at
    from schemas.binding import bind

    with contextlib.suppress(DataPlatformError):
        look_at(settings, bind(settings))
