"""Duplicates for whoever must not wait: what they amount to, and the largest of them as they are now.

To find all duplicates goes through all accesses. Snapshots know what duplicates amounted to and which were the
largest, so in a large catalogue they say which contents to look at; in others nothing is older than the question.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from populate.duplicates.live import Copy, copies_in, exact_duplicates, largest_of
from populate.duplicates.rows import Held, copies_of
from populate.duplicates.statements import statement
from populate.duplicates.tables import DuplicateSet
from populate.snapshot import Snapshot
from schemas.binding import Binding

MOST_AT_ONCE = 200_000
"""Files and accesses that all are gone through while somebody waits: where there are more, a snapshot tells."""


@dataclass(frozen=True, slots=True)
class Overview:
    """What duplicates amount to, and the largest of them.

    Attributes
    ----------
    day
        Of the snapshot that the numbers are of; None if they are as of now.
    contents, copies
        Contents that several files hold, and these files.
    bytes_logical, bytes_saved
        Of all these files, and what could be saved if of each content one file were left.
    largest
        As of now, the content that most could be saved of first.
    """

    day: date | None
    contents: int
    copies: int
    bytes_logical: int
    bytes_saved: int
    largest: list[Copy]


def overview(binding: Binding, most: int = 200) -> Overview:
    """Return what duplicates amount to, with the `most` contents that most could be saved of."""
    binding.ensure()
    standing = _standing() if _is_large(binding) else None
    return _as_of_now(binding, most) if standing is None else _as_of(binding, *standing, most)


def _is_large(binding: Binding) -> bool:
    ((rows,),) = binding.connection.query(statement("row_count")).fetchall()
    return int(rows) > MOST_AT_ONCE


def _standing() -> tuple[int, date] | None:
    """Return number and day of the newest snapshot of which duplicates are known."""
    newest = (Snapshot() & DuplicateSet.proj()).to_dicts(order_by="snapshot_no DESC", limit=1)
    return (newest[0]["snapshot_no"], newest[0]["snapshot_day"]) if newest else None


def _as_of_now(binding: Binding, most: int) -> Overview:
    sets = copies_of(binding.connection, min_bytes=1)
    logical, distinct = _bytes(sets.values())
    copies = sum(map(len, sets.values()))
    largest = copies_in(binding, largest_of(sets, most))
    return Overview(None, len(sets), copies, logical, logical - distinct, largest)


def _bytes(sets: Iterable[Sequence[Held]]) -> tuple[int, int]:
    """Return the bytes of all files, and those of the contents, each once."""
    sizes = [(held[0].size, len(held)) for held in sets]
    return sum(size * copies for size, copies in sizes), sum(size for size, _ in sizes)


def _as_of(binding: Binding, number: int, day: date, most: int) -> Overview:
    told = (DuplicateSet() & {"snapshot_no": number}).fetch1()
    rows = binding.connection.query(statement("largest"), {"snapshot_no": number, "most": most}).fetchall()
    largest = exact_duplicates(binding, contents=[sha256 for (sha256,) in rows])
    logical, distinct = told["bytes_logical"], told["bytes_distinct"]
    return Overview(day, told["content_count"], told["copy_count"], logical, logical - distinct, largest)
