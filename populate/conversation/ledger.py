"""The ledger: bytes that people saved by removing copies, per department and month.

Saying so saves nothing. A copy counts once it is seen to be gone or to hold something else
after its owner said they would remove it: by a read that fails because nothing is there or
gets other bytes, or by `populate.conversation.revisit`. It counts in the month of the first such
sight, for the department that its owner worked in when they answered, once however many said
so; and no longer when it is read with the old bytes again. Nor does it count if the same person
has the same bytes in another place now, since moving a file saves nothing. What was promised and
is still there is told apart.

Departments are hidden as the silo measures hide them (`populate.insight.publish`), because the
copies of a department of three are those of single people; so are people of no department. What
is hidden is in the total only if it stands for enough people together.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from populate.conversation.statements import ask
from populate.duplicates.live import exact_duplicates
from populate.insight.publish import FLOOR, hidden_departments
from schemas.binding import Binding

NOBODY_KNOWS = "(no department)"


@dataclass(frozen=True, slots=True)
class Entry:
    """What a department saved in a month; ``month`` is as in ``2026-11``."""

    month: str
    department: str
    copies: int
    bytes_saved: int


@dataclass(frozen=True, slots=True)
class Ledger:
    """What was saved, as anybody may see it.

    Attributes
    ----------
    entries
        Of the departments that are shown, by month and name.
    hidden
        Departments with savings that are not shown.
    copies, bytes_saved
        Of all months; without the hidden departments if these have too few people.
    bytes_promised
        Of copies whose owners said they would remove them and that are still there, or were
        not looked for yet; the same departments.
    """

    entries: tuple[Entry, ...]
    hidden: int
    copies: int
    bytes_saved: int
    bytes_promised: int


class Promise(NamedTuple):
    """A copy that its owner wanted to remove, and when it was first seen to be gone, or None."""

    department: str
    size: int
    gone_at: datetime | None


def ledger(binding: Binding, *, now: datetime | None = None) -> Ledger:
    """Return the ledger as of now (UTC)."""
    binding.ensure()
    today = (now or datetime.now(UTC)).date()
    sizes = {department or NOBODY_KNOWS: int(number) for department, number in ask(binding, "sizes", today=today)}
    return published(promises(binding), sizes)


def promises(binding: Binding) -> list[Promise]:
    """Return every copy that its owner said they would remove, once."""
    first: dict[tuple[str, str], tuple[Any, ...]] = {}
    for row in ask(binding, "promises"):
        first.setdefault((row[1], row[4]), row)  # the file and the content; the earliest answer comes first
    rows = list(first.values())
    departments = _Departments(binding, {row[3] for row in rows})
    moved = _moved(binding, rows)
    found = []
    for row, moment in zip(rows, _gone(binding, rows), strict=True):
        elsewhere = moment is not None and moved[row[3], row[4]] > 0
        moved[row[3], row[4]] -= elsewhere
        found.append(Promise(departments.of(row[3], row[6].date()), row[5], None if elsewhere else moment))
    return found


def _moved(binding: Binding, rows: Sequence[tuple[Any, ...]]) -> Counter[tuple[str, str]]:
    """Return how many copies people have of what they said they would remove, besides those they were asked about."""
    asked = {(row[1], row[4]) for row in rows}
    about = {(row[3], row[4]) for row in rows}
    copies = exact_duplicates(binding) if rows else []
    held = ((copy.owner.person_id, copy.sha256) for copy in copies if (copy.file_id, copy.sha256) not in asked)
    return Counter(key for key in held if key in about)


def _gone(binding: Binding, rows: Sequence[tuple[Any, ...]]) -> list[datetime | None]:
    """Return for each promise since when the copy is seen to be gone, or None."""
    seen: defaultdict[str, dict[str, datetime]] = defaultdict(dict)
    for file, content, moment in ask(binding, "last_seen", files={row[1] for row in rows}):
        seen[file][content] = moment
    return [_gone_since(binding, row, seen[row[1]]) for row in rows]


def _gone_since(binding: Binding, row: tuple[Any, ...], seen: Mapping[str, datetime]) -> datetime | None:
    file, sha256, answered_at, looked_for = row[1], row[4], row[6], row[7]
    since = max(answered_at, seen.get(sha256, answered_at))  # the last time that the copy was there
    found = [looked_for] if looked_for is not None and looked_for > since else []
    if any(moment > since for content, moment in seen.items() if content != sha256):
        found += [row[0] for row in ask(binding, "first_without", file=file, since=since, sha256=sha256)]
    return min(found, default=None)


class _Departments:
    """Where people worked when."""

    def __init__(self, binding: Binding, people: Iterable[str]) -> None:
        self._held: defaultdict[str, list[tuple[date, str]]] = defaultdict(list)
        for person, since, department in ask(binding, "memberships", people=list(people)):
            self._held[person].append((since, department))

    def of(self, person: str, day: date) -> str:
        past = [department for since, department in self._held[person] if since <= day]
        return (past[-1] if past else "") or NOBODY_KNOWS


def published(found: Sequence[Promise], sizes: Mapping[str, int]) -> Ledger:
    """Return what may be shown, given how many people each department has."""
    known = {promise.department: 0 for promise in found} | {NOBODY_KNOWS: 0} | dict(sizes)
    hidden = {NOBODY_KNOWS} | hidden_departments({name: known[name] for name in known if name != NOBODY_KNOWS})
    crowd = sum(known[department] for department in hidden)
    countable = [promise for promise in found if promise.department not in hidden or crowd >= FLOOR]
    saved = [promise for promise in countable if promise.gone_at is not None]
    entries: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for promise in saved:
        if promise.gone_at is not None and promise.department not in hidden:
            entries[f"{promise.gone_at:%Y-%m}", promise.department].append(promise.size)
    return Ledger(
        entries=tuple(Entry(*key, len(held), sum(held)) for key, held in sorted(entries.items())),
        hidden=len({promise.department for promise in found if promise.department in hidden}),
        copies=len(saved),
        bytes_saved=sum(promise.size for promise in saved),
        bytes_promised=sum(promise.size for promise in countable if promise.gone_at is None),
    )
