"""The ledger: bytes that people saved by removing copies, per department and month.

Saying so saves nothing. A copy counts once it is seen to be gone or to hold something else
after its owner said they would remove it: by a read that fails because nothing is there or
gets other bytes, or by `populate.conversation.revisit`. It counts in the month of the first such
sight, for the department that its owner worked in when they answered, once however many said
so; and no longer when it is read with the old bytes again. Nor does it count if the same person
has the same bytes in another place now, since moving a file saves nothing. What was promised and
is still there is told apart.

A promise counts only as long as its department has had at least five people on every day since the answer
(`Crowds`): else nothing of it is in an entry or a total, for ever, as what comes back could be subtracted
from what was told before. So nothing that the people of a smaller department do changes anything that is shown, and
no sum has to be hidden with theirs. What people of no department saved is in the totals alone, if there are five.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from populate.conversation.statements import ask
from populate.duplicates.live import exact_duplicates
from populate.insight.hiding import FLOOR
from populate.insight.window import FOREVER, MONDAY, stints
from schemas.binding import Binding

if TYPE_CHECKING:
    import pandas as pd

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
        Departments that have fewer than five people now, whether or not they saved anything.
    copies, bytes_saved
        Of all months: the entries, and what at least five people of no department saved.
    bytes_promised
        Of copies whose owners said they would remove them and that are still there, or were
        not looked for yet; of the same people.
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


class Crowds:
    """Tells when departments had some people, but fewer than five.

    Parameters
    ----------
    stints
        As `populate.insight.window.stints` returns them; service accounts do not count.
    nobodies
        People of no department.
    """

    def __init__(self, stints: pd.DataFrame, nobodies: int = 0) -> None:
        self._nobodies = nobodies
        steps: defaultdict[str, Counter[int]] = defaultdict(Counter)
        people = stints[~stints["service"].astype(bool)]
        columns = ("department", "since_day", "until_day")
        for department, since, until in zip(*(people[name].tolist() for name in columns), strict=True):
            steps[department][since] += 1
            steps[department][until] -= 1
        self._sizes = {department: _sizes(changes) for department, changes in steps.items()}

    def count(self, department: str, answered: date, today: date) -> bool:
        """Tell whether what somebody of a department promised on a day counts: then it had five people, and since."""
        if department == NOBODY_KNOWS:
            return self._nobodies >= FLOOR
        first = (answered - MONDAY).days
        last = max(first, (today - MONDAY).days)
        held = [(day, size) for day, until, size in self._sizes.get(department, ()) if day <= last and until > first]
        there = any(day <= first and size >= FLOOR for day, size in held)
        return there and all(size >= FLOOR or not size for _, size in held)

    def small(self, today: date) -> int:
        """Return how many departments have some people on a day, but fewer than five."""
        now = (today - MONDAY).days
        return sum(
            day <= now < until and 0 < size < FLOOR for held in self._sizes.values() for day, until, size in held
        )


def _sizes(changes: Mapping[int, int]) -> list[tuple[int, int, int]]:
    """Return from which day until before which there were how many people, without a gap from the first day on."""
    days, size, found = sorted(changes), 0, []
    for day, until in zip(days, [*days[1:], FOREVER], strict=True):
        size += changes[day]
        if until > day:
            found.append((day, until, size))
    return found


def ledger(binding: Binding, *, now: datetime | None = None) -> Ledger:
    """Return the ledger as of now (UTC)."""
    binding.ensure()
    today = (now or datetime.now(UTC)).date()
    ((nobodies,),) = ask(binding, "nobodies", today=today)
    crowds = Crowds(stints(), int(nobodies))
    found = promises(binding, lambda department, answered: crowds.count(department, answered, today))
    saved = [(promise, promise.gone_at) for promise in found if promise.gone_at is not None]
    entries: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for promise, gone_at in saved:
        if promise.department != NOBODY_KNOWS:
            entries[f"{gone_at:%Y-%m}", promise.department].append(promise.size)
    return Ledger(
        entries=tuple(Entry(*key, len(held), sum(held)) for key, held in sorted(entries.items())),
        hidden=crowds.small(today),
        copies=len(saved),
        bytes_saved=sum(promise.size for promise, _ in saved),
        bytes_promised=sum(promise.size for promise in found if promise.gone_at is None),
    )


def promises(
    binding: Binding, counts: Callable[[str, date], bool] = lambda department, answered: True
) -> list[Promise]:
    """Return every copy that its owner said they would remove, once.

    Parameters
    ----------
    counts
        Tells by the department and the day of an answer whether it takes any part.
    """
    told = ask(binding, "promises")
    departments = _Departments(binding, {row[3] for row in told})
    first: dict[tuple[str, str], tuple[Any, ...]] = {}
    for row in told:
        if counts(departments.of(row[3], row[6].date()), row[6].date()):
            first.setdefault((row[1], row[4]), row)  # the file and the content; the earliest answer comes first
    rows = list(first.values())
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
    copies = exact_duplicates(binding, contents={content for _, content in about})
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
