"""Which snapshots' figures are shown, so that neighbouring ones cannot be subtracted from one another.

Windows of neighbouring days share all but two, so the difference of two figures would be what single people did on
these. So the figures of groups are shown of few snapshots only: the first, those of the 1st, 2nd, 4th, 8th and 16th day
after it, while there is most that is new, that of the last day of each month, and any other that has none shown within
`APART` days. Every other one stands back: one that is shown stands for it.

Two that are shown may still share days. Whoever subtracts them gets a figure of what has changed, and that has to pass
the floor that figures pass: what changed by some people, but fewer than five, is hidden as a small group is, with
whatever would tell of it (`few_changed`, `populate.insight.hiding`). The sum of all that is hidden is told, so
something that changed by five people or more is hidden with it (`hidden_beside`); where nothing did, the later snapshot
stands back. It is worked out when a snapshot is computed (`compared` says with which others), as reading two windows
takes long.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple, TypeVar

from populate.insight.hiding import FLOOR
from populate.snapshot import Snapshot

APART = 31
SOON = 16
"""Days after the first snapshot, up to which others are shown when twice as many have passed as at the last one."""

Group = TypeVar("Group", bound=Hashable)
Person = TypeVar("Person", bound=Hashable)


class Taken(NamedTuple):
    """A snapshot: its number, the last day that its figures look at, and when it was taken (UTC)."""

    number: int
    day: date
    at: datetime

    @property
    def whole(self) -> bool:
        """Whether its day was over."""
        return self.at.date() > self.day


def taken() -> list[Taken]:
    """Return all snapshots by number."""
    return sorted(Taken(row["snapshot_no"], row["snapshot_day"], row["taken_at"]) for row in Snapshot.to_dicts())


def shown(snapshots: Iterable[Taken]) -> list[Taken]:
    """Return those whose figures are shown, by number; whether one is depends on none that is taken later."""
    found: list[Taken] = []
    for one in sorted(snapshots):
        if _is_shown(one, found):
            found.append(one)
    return found


def _is_shown(one: Taken, before: list[Taken]) -> bool:
    if (one.day + timedelta(days=1)).day == 1:
        again = [other for other in before if other.day == one.day]
        return not again or (one.whole and not any(other.whole for other in again))
    if before:
        first = min(before).day
        passed = max((other.day - first).days for other in before)
        if max(1, 2 * passed) <= (one.day - first).days <= SOON:
            return True
    return not any(abs((other.day - one.day).days) < APART for other in before)


def standing(number: int, snapshots: Iterable[Taken], close: Collection[int] = ()) -> Taken | None:
    """Return the snapshot that stands for one; None if there is none of this number.

    Parameters
    ----------
    close
        Numbers of those that must not be shown, as fewer than five people make up their difference to another, or
        cannot be, as they are not computed yet.
    """
    everything = sorted(snapshots)
    asked = next((one for one in everything if one.number == number), None)
    if asked is None:
        return None
    candidates = [one for one in shown(everything) if one.number <= number and one.number not in close]
    if asked in candidates:
        return asked
    before = [one for one in candidates if one.day <= asked.day]
    latest = max(before, key=lambda one: (one.day, one.number), default=None)
    return latest or min(candidates, key=lambda one: (one.day - asked.day, one.number), default=None)


def compared(number: int, snapshots: Iterable[Taken], days: int, shared: int = 0) -> list[Taken]:
    """Return the earlier snapshots that are shown, as this one is, and whose windows have days in common with its.

    Parameters
    ----------
    days
        Of a window.
    shared
        Days in common that do not count: what changed between such windows is nearly all of both.
    """
    found = shown(snapshots)
    asked = next((one for one in found if one.number == number), None)
    if asked is None:
        return []
    return [one for one in found if one.number < number and days - abs((one.day - asked.day).days) > shared]


def few_changed(
    before: Mapping[tuple[Group, Person], Any], after: Mapping[tuple[Group, Person], Any], floor: int = FLOOR
) -> set[Group]:
    """Return the groups in which some people's part has changed, but of fewer than `floor`.

    Parameters
    ----------
    before, after
        (group, person) -> their part in the figures of the group.
    """
    return {group for group, count in changed_people(before, after).items() if count < floor}


def changed_people(
    before: Mapping[tuple[Group, Person], Any], after: Mapping[tuple[Group, Person], Any]
) -> dict[Group, int]:
    """Return of how many people the part in a group has changed, for the groups where that of anybody has."""
    people: dict[Group, int] = {}
    for key in before.keys() | after.keys():
        if before.get(key) != after.get(key):
            people[key[0]] = people.get(key[0], 0) + 1
    return people
