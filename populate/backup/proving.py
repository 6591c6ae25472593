"""Which contents are read back when: the daily plan, and what a person asks for."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple, Self

from populate.backup.check import Kept, Problem, verified
from populate.backup.held import FIRST, LAST, held
from populate.backup.stores import ContentStore
from populate.backup.verification import Verification, VerificationBatch, Verify, look_again, record
from populate.store import Store
from schemas.binding import Binding
from schemas.engine import dj
from schemas.identity import identity
from schemas.restrict import where

CONTENTS = 1_000
BYTES = 10 * 1024**3
"""A batch ends at so many contents or bytes, whichever comes first."""

LOST = ("missing", "wrong size", "damaged", "unreadable")
"""Problems that mean that a content cannot be had from a store."""

RECORDED = 2_000
"""Contents after which `prove` notes down what it has found so far."""

_DIGITS = 8  # of a hash that ranges are counted in
_ALL = 16**_DIGITS
_UNPROVEN = (
    "NOT EXISTS (SELECT 1 FROM {verification} AS v"
    " WHERE v.sha256 = p.sha256 AND v.store_id = p.store_id AND v.verified_on > %s)"
)


class Range(NamedTuple):
    """Hashes from the first to the last, both included."""

    first: str
    last: str


def prove(
    binding: Binding,
    store: Store,
    *,
    sample: float = 1.0,
    older_than: timedelta | None = None,
    progress: Callable[[int], object] | None = None,
) -> Iterator[Problem]:
    """Read contents back, note down which are whole, and yield what is wrong. Nothing is repaired.

    Parameters
    ----------
    binding
        With the tables of `populate.pipeline`.
    store
        The store to look into.
    sample
        Share of the contents to read, above 0 and up to 1; which ones is left to chance.
    older_than
        Only contents that were not read back for so long.
    progress
        Called with the number (int) of contents looked at since the last call.

    Raises
    ------
    StoreUnavailable
        If the store does not answer.
    """
    binding.ensure()
    store_id = identity("store", store.name)
    with _Notes(store_id) as notes:
        for one in verified(store, _chosen(binding, store_id, sample, older_than)):
            notes.add(one)
            if isinstance(one, Problem):
                yield one
            if progress is not None:
                progress(1)


class _Notes:
    """Notes down what was found, some contents at a time, and the rest at the end, broken off or not."""

    def __init__(self, store_id: str) -> None:
        self._store_id = store_id
        self._sound: list[Kept] = []
        self._problems: list[Problem] = []

    def add(self, one: Kept | Problem) -> None:
        if isinstance(one, Kept):
            self._sound.append(one)
        else:
            self._problems.append(one)
        if len(self._sound) + len(self._problems) >= RECORDED:
            self._write()

    def _write(self) -> None:
        record(self._store_id, self._sound, self._problems)
        self._sound, self._problems = [], []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._write()


def recorded(store: Store, look: Callable[[Callable[[Kept], object]], Iterator[Problem]]) -> Iterator[Problem]:
    """Yield what `look` finds, and note down what it found and what it reported as sound."""
    store_id = identity("store", store.name)
    with _Notes(store_id) as notes:
        for problem in look(notes.add):
            if problem.sha256 and problem.problem in LOST:
                notes.add(problem)
            yield problem


def _chosen(binding: Binding, store_id: str, sample: float, older_than: timedelta | None) -> Iterator[Kept]:
    condition, arguments = "", tuple[date, ...]()
    if older_than is not None:
        condition = _UNPROVEN.format(verification=Verification().full_table_name)
        arguments = ((datetime.now(UTC) - older_than).date(),)
    for part in sampled(sample, random.random()):
        yield from held(binding.connection, store_id, *part, condition, *arguments)


def sampled(share: float, start: float) -> list[Range]:
    """Return the ranges that hold a share of all hashes from a starting point (0 to below 1) on.

    Hashes are spread evenly, so a range of them is a fair sample, and one that an index finds.
    """
    if share >= 1:
        return [Range(FIRST, LAST)]
    first = round(start * _ALL)
    end = first + max(1, round(share * _ALL))
    if end <= _ALL:
        return [_range(first, end)]
    return [_range(0, end - _ALL), _range(first, _ALL)]


def plan_due(binding: Binding, rotation_days: int, today: date | None = None) -> int:
    """Plan what is to be read back today, and on days that were missed; return the number of batches.

    A store whose batches of other days are not worked off yet gets no more.

    Parameters
    ----------
    rotation_days
        Days in which every content is to be read back once.
    today
        UTC; the day of the machine unless given.
    """
    today = today or datetime.now(UTC).date()
    stores = ContentStore.to_arrays("store_id", order_by="store_id").tolist()
    return sum(_plan(binding, store_id, rotation_days, today) for store_id in stores)


def _plan(binding: Binding, store_id: str, rotation_days: int, today: date) -> int:
    batches = where(VerificationBatch, store_id=store_id)
    days = (batches & "part >= 0").proj(day="verify_on").to_arrays("day", order_by="day DESC", limit=1).tolist()
    last = days[0] if days else today - timedelta(days=1)
    if last >= today or len(batches - Verify):
        return 0
    again = 0 if len(where(batches, verify_on=today)) else look_again(store_id)
    missed = min((today - last).days, rotation_days)
    rows = [
        {"store_id": store_id, "verify_on": day, "part": part, "first_sha256": hashes.first, "last_sha256": hashes.last}
        for day in (today - timedelta(days=missed - 1 - number) for number in range(missed))
        for part, hashes in enumerate(_parts(binding, store_id, slice_of(day, rotation_days)))
    ]
    try:
        with binding.transaction():
            VerificationBatch.insert(rows)
    except dj.errors.DuplicateError:  # another scheduler was faster
        return again
    return len(rows) + again


def slice_of(day: date, rotation_days: int) -> Range:
    """Return the hashes whose turn it is on a day: each in `rotation_days` days once."""
    number = day.toordinal() % rotation_days
    return _range(number * _ALL // rotation_days, (number + 1) * _ALL // rotation_days)


def _range(first: int, end: int) -> Range:
    return Range(f"{first:0{_DIGITS}x}".ljust(64, "0"), f"{end - 1:0{_DIGITS}x}".ljust(64, "f"))


def _parts(binding: Binding, store_id: str, hashes: Range) -> Iterator[Range]:
    """Divide what a store holds of a range; the parts together are the whole range."""
    first, contents, size = hashes.first, 0, 0
    for kept in held(binding.connection, store_id, *hashes):
        if contents == CONTENTS or (contents and size + kept.size > BYTES):
            yield Range(first, before(kept.sha256))
            first, contents, size = kept.sha256, 0, 0
        contents, size = contents + 1, size + kept.size
    if contents:
        yield Range(first, hashes.last)


def before(sha256: str) -> str:
    """Return the hash before another one."""
    return f"{int(sha256, 16) - 1:064x}"
