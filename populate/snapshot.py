"""Snapshots: what was known at a moment, so that a figure computed from it stays what it was.

A batch belongs to the first snapshot that covers it; snapshot n covers the batches of all
snapshots up to n. So snapshots cost one row a batch, however many there are, and what a
snapshot covers never changes. Besides deliveries of accesses there are other batches: of files
that were taken in unread, of what sources' own logs tell, and whatever a module names by `cover`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from data_platform.errors import SnapshotRefused
from populate.adopt.tables import Adopt, AdoptSurvey, AdoptSurveyEnd
from populate.ingest import Ingest
from schemas.binding import Binding
from schemas.engine import dj
from schemas.sharing import AccessBatch, SourceLog

schema = dj.Schema()

BACK_FILL_DAYS = 31
"""Days that snapshots are taken of by themselves, once there has been nobody who took them."""

_TRIES = 5


@schema
class Snapshot(dj.Manual):
    definition = """
    # A moment that figures are computed for, from the batches it covers
    snapshot_no : int32 # rises; a snapshot covers the batches of all with a lower number too
    ---
    snapshot_day : date # last day that its figures look at, UTC
    taken_at : datetime(6) # UTC
    """


@schema
class SnapshotBatch(dj.Manual):
    definition = """
    # The first snapshot that covers a batch
    -> AccessBatch
    ---
    -> Snapshot
    """


@schema
class SnapshotAdopt(dj.Manual):
    definition = """
    # The first snapshot that covers a batch of files that were taken in unread
    -> Adopt
    ---
    -> Snapshot
    """


@schema
class SnapshotSurvey(dj.Manual):
    definition = """
    # The first snapshot that covers what a survey found gone or back
    -> AdoptSurvey
    ---
    -> Snapshot
    """


@schema
class SnapshotLog(dj.Manual):
    definition = """
    # The first snapshot that covers a part of a source's own log
    -> SourceLog
    ---
    -> Snapshot
    """


class Covered(NamedTuple):
    """A kind of batches that snapshots cover: an expression whose rows are those that are closed, and the table."""

    closed: Callable[[], Any]
    table: Any


def _surveys() -> Any:
    """Return the surveys that have ended, and those that broke off before another one did."""
    ended = AdoptSurveyEnd.proj(ended="survey")
    return AdoptSurvey.proj() & (AdoptSurvey.proj() * ended & "survey <= ended")


_COVERED: list[Covered] = [
    Covered(Ingest.proj, SnapshotBatch),
    Covered(Adopt.proj, SnapshotAdopt),
    Covered(_surveys, SnapshotSurvey),
    Covered(SourceLog.proj, SnapshotLog),
]


def cover(closed: Callable[[], Any], table: Any) -> None:
    """Have snapshots cover a further kind of batches; for modules whose tables refer to `Snapshot`."""
    _COVERED.append(Covered(closed, table))


_KEPT: list[tuple[Callable[[int], None], tuple[Any, ...]]] = []


def keep(what: Callable[[int], None], *tables: Any) -> None:
    """Have a function called with the number of each new snapshot, in its transaction.

    It adds to these tables what the snapshot knows, and what may be said otherwise later.
    """
    _KEPT.append((what, tables))


def coverage() -> list[Any]:
    """Return the tables that taking a snapshot adds to."""
    return [covered.table for covered in _COVERED] + [table for _, tables in _KEPT for table in tables]


def take_snapshot(binding: Binding, day: date | None = None, *, now: datetime | None = None) -> int:
    """Take a snapshot of everything that is ingested and return its number.

    Parameters
    ----------
    binding
        The catalogue.
    day
        Last day that figures look at, UTC; today unless given. A past day back-fills: its
        figures leave out what was accessed later.
    now
        UTC, naive; the time of the machine unless given.

    Raises
    ------
    SnapshotRefused
        If the day has not begun: its figures would stand for a day that nobody knows yet.
    """
    now = now or datetime.now(UTC).replace(tzinfo=None)
    day = day or now.date()
    if day > now.date():
        raise SnapshotRefused(
            f"{day} has not begun yet (UTC): nothing is known of it. Take the snapshot of a day up to {now.date()}."
        )
    for _ in range(_TRIES):
        try:
            with binding.transaction():
                return _take(binding, day, now)
        except dj.errors.DuplicateError:  # another process took one at the same moment
            continue
    raise RuntimeError("Other processes take snapshots all the time. Retry.")


def _take(binding: Binding, day: date, now: datetime) -> int:
    latest = binding.connection.query(f"SELECT MAX(snapshot_no) FROM {Snapshot().full_table_name}").fetchone()[0]  # noqa: S608
    number = (latest or 0) + 1
    Snapshot.insert1({"snapshot_no": number, "snapshot_day": day, "taken_at": now})
    for closed, table in _COVERED:
        new = (closed() - table.proj()).keys()
        rows = ({**key, "snapshot_no": number} for key in sorted(new, key=lambda key: tuple(key.values())))
        table.insert(rows, chunk_size=5000)
    for what, _ in _KEPT:
        what(number)
    return number


def take_daily(binding: Binding, now: datetime | None = None) -> list[int]:
    """Take the snapshots that are missing of past days, oldest first; return their numbers.

    There is to be one of every day that is over, from the first delivery or survey on, but not further
    back than `BACK_FILL_DAYS`: each is to be computed, and a person can have older ones taken.

    Parameters
    ----------
    now
        UTC, naive; the time of the machine unless given.
    """
    now = now or datetime.now(UTC).replace(tzinfo=None)
    return [take_snapshot(binding, day, now=now) for day in missing_days(binding, now.date())]


def missing_days(binding: Binding, today: date) -> list[date]:
    """Return the days before `today` (UTC) that a snapshot is to be taken of, oldest first.

    One that was taken before its day was over does not count: it knows a part of the day.
    """
    query, begun = binding.connection.query, ((AccessBatch, "delivered_at"), (AdoptSurvey, "surveyed_at"))
    firsts = [query(f"SELECT MIN({column}) FROM {table().full_table_name}").fetchone()[0] for table, column in begun]  # noqa: S608
    if not any(firsts):
        return []
    start = max(min(first for first in firsts if first).date(), today - timedelta(days=BACK_FILL_DAYS))
    whole = {row["snapshot_day"] for row in Snapshot().to_dicts() if row["taken_at"].date() > row["snapshot_day"]}
    days = (start + timedelta(days=number) for number in range((today - start).days))
    return [day for day in days if day not in whole]
