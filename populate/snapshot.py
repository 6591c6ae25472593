"""Snapshots: what was known at a moment, so that a figure computed from it stays what it was.

A batch belongs to the first snapshot that covers it; snapshot n covers the batches of all
snapshots up to n. So snapshots cost one row a batch, however many there are, and what a
snapshot covers never changes.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from populate.ingest import Ingest
from schemas.binding import Binding
from schemas.engine import dj
from schemas.sharing import AccessBatch

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


def take_snapshot(binding: Binding, day: date | None = None) -> int:
    """Take a snapshot of everything that is ingested and return its number.

    Parameters
    ----------
    binding
        The catalogue.
    day
        Last day that figures look at, UTC; today unless given. A past day back-fills: its
        figures leave out what was accessed later.
    """
    for _ in range(_TRIES):
        try:
            with binding.transaction():
                return _take(binding, day or datetime.now(UTC).date())
        except dj.errors.DuplicateError:  # another process took one at the same moment
            continue
    raise RuntimeError("Other processes take snapshots all the time. Retry.")


def _take(binding: Binding, day: date) -> int:
    latest = binding.connection.query(f"SELECT MAX(snapshot_no) FROM {Snapshot().full_table_name}").fetchone()[0]  # noqa: S608
    number = (latest or 0) + 1
    Snapshot.insert1({"snapshot_no": number, "snapshot_day": day, "taken_at": datetime.now(UTC).replace(tzinfo=None)})
    new = (Ingest.proj() - SnapshotBatch.proj()).keys()
    SnapshotBatch.insert(
        ({**key, "snapshot_no": number} for key in sorted(new, key=lambda key: key["batch_id"])), chunk_size=5000
    )
    return number


def take_daily(binding: Binding) -> list[int]:
    """Take the snapshots that are missing of past days, oldest first; return their numbers.

    There is to be one of every day that is over, from the first delivery on, but not further
    back than `BACK_FILL_DAYS`: each is to be computed, and a person can have older ones taken.
    """
    return [take_snapshot(binding, day) for day in missing_days(binding, datetime.now(UTC).date())]


def missing_days(binding: Binding, today: date) -> list[date]:
    """Return the days before `today` (UTC) that a snapshot is to be taken of, oldest first."""
    first = binding.connection.query(f"SELECT MIN(delivered_at) FROM {AccessBatch().full_table_name}").fetchone()[0]  # noqa: S608
    if first is None:
        return []
    start = max(first.date(), today - timedelta(days=BACK_FILL_DAYS))
    taken = set(Snapshot().to_arrays("snapshot_day").tolist())
    days = (start + timedelta(days=number) for number in range((today - start).days))
    return [day for day in days if day not in taken]
