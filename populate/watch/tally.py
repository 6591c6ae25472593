"""Counting once for all who ask: where sums over whole tables take long, the scheduler writes down what it counted.

Rows are added, never changed. A catalogue that is counted in a moment gets none, and whoever asks counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any

from data_platform.errors import DatabaseUnavailable
from populate.watch.seldom import SHARE, Answer
from populate.watch.session import Watch
from populate.watch.totals import Ask, sums, totals
from schemas.binding import Binding
from schemas.declared import attributes
from schemas.engine import dj

WORTH_SECONDS = 2.0  # that counting takes, from which on it is written down
LEAST_SECONDS = 300.0  # from one count to the next

schema = dj.Schema()


@schema
class Tally(dj.Manual):
    definition = """
    # What the catalogue held when it was counted
    tallied_at : datetime(6) # UTC, when the count began
    ---
    tally_seconds : float64 # that it took
    accesses : int64 # that were delivered
    files : int64
    versions : int64
    logical_bytes : int64 # of all versions
    blobs : int64 # distinct contents
    blob_bytes : int64 # of these
    people : int64
    share_edges : int64
    executions : int64
    blobs_backed_up : int64 # contents that are in a store
    kept_bytes : int64 # of these
    stored_bytes : int64 # in all stores
    proven_bytes : int64 # of these, read back lately
    contents_unproven : int64 # not read back lately
    oldest_unproven_days : int32 # since the content that waits longest was read back or stored
    """


def known_totals(binding: Binding) -> Answer[dict[str, int]]:
    """Return what the catalogue holds: as the scheduler counted it lately where that takes long, else as of now."""
    found = latest_tally(lambda statement: list(binding.connection.query(statement).fetchall()))
    if found is not None:
        return found
    return Answer(totals(binding), datetime.now(UTC))


def latest_tally(ask: Ask, now: datetime | None = None) -> Answer[dict[str, int]] | None:
    """Return what was counted last, if it is not older than it may be: two counts' turns, for one is under way."""
    # Not by the table's heading: that is loaded over the connection of the binding, which another thread may use.
    names = [name for name in attributes(Tally.definition) if name not in ("tallied_at", "tally_seconds")]
    rows = ask(
        f"SELECT {', '.join(('tallied_at', 'tally_seconds', *names))} FROM {Tally().full_table_name}"  # noqa: S608
        " ORDER BY tallied_at DESC LIMIT 1"
    )
    if not rows:
        return None
    (at, seconds, *numbers), now = rows[0], now or datetime.now(UTC)
    at = at.replace(tzinfo=UTC)
    if now - at > 2 * timedelta(seconds=pause_after(seconds)):
        return None
    return Answer(dict(zip(names, map(int, numbers), strict=True)), at)


def pause_after(seconds: float) -> float:
    """Return the seconds from the beginning of a count that took so long to that of the next."""
    return max(LEAST_SECONDS, SHARE * seconds)


class Tallying:
    """Counts again and again on a connection and a thread of its own, so that the queues do not wait for it.

    Parameters
    ----------
    clock
        Monotonic, in seconds.
    worth
        In place of `WORTH_SECONDS`.
    """

    def __init__(
        self, binding: Binding, clock: Callable[[], float] = time.monotonic, worth: float = WORTH_SECONDS
    ) -> None:
        self._watch = Watch(binding)
        self._backend = binding.backend
        self._clock = clock
        self._worth = worth
        self._due = 0.0
        self._thread: Thread | None = None
        self._counted: dict[str, Any] | None = None
        self._ended = False

    @property
    def is_under_way(self) -> bool:
        """Whether it counts just now."""
        return self._thread is not None and self._thread.is_alive()

    def tend(self) -> None:
        """Write down what was counted, and count again if it is time to. To be called in the main thread."""
        if self.is_under_way or self._ended:
            return
        counted, self._counted = self._counted, None
        if counted is not None:
            self._due = self._clock() + pause_after(counted["tally_seconds"]) - counted["tally_seconds"]
            if counted["tally_seconds"] >= self._worth:
                Tally.insert1(counted)
        if self._clock() >= self._due:
            self._due = self._clock() + LEAST_SECONDS  # unless it ends well
            self._thread = Thread(target=self._count, name="tally", daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Break off what is being counted, for good."""
        self._ended = True
        self._watch.close()
        if self._thread is not None:
            self._thread.join()

    def _count(self) -> None:
        began, at = time.monotonic(), datetime.now(UTC).replace(tzinfo=None)
        try:
            numbers = sums(self._backend, self._ask, kept=True)
        except DatabaseUnavailable:  # the scheduler meets that itself, and says so
            return
        self._counted = {"tallied_at": at, "tally_seconds": time.monotonic() - began, **numbers}

    def _ask(self, statement: str) -> Sequence[tuple[Any, ...]]:
        if self._ended:
            raise DatabaseUnavailable("Nobody counts any more.")
        return self._watch.ask(statement)
