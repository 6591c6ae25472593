"""Which of several copies is the original, as far as the rows tell.

Nobody wrote down who copied what, so each answer comes with its grade of evidence, best first:

``read``
    Somebody else, whose file is a copy, read this one before the copy appeared.
``modified``
    Its source says that it was last changed before all others; copying tools that keep the
    time of a file make such times equal, and equal times are no evidence.
``seen``
    It was met before all others. A file may be old and nobody read it: the weakest grade.
``none``
    Nothing tells; the one with the least identity stands for the set, so that the answer
    is at least always the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

READ, MODIFIED, SEEN, NONE = GRADES = ("read", "modified", "seen", "none")

MARGIN = timedelta(minutes=10)
"""A script that reads two files one after the other does not show that one was made from the other."""


class Holder(NamedTuple):
    """A file with the content; times are UTC, and None if nobody knows."""

    file_id: str
    person: str  # whose file it is; empty = unknown
    first_seen: datetime | None  # with this content, under whatever revision
    modified: datetime | None


class Reading(NamedTuple):
    """Somebody read the content from a file for the first time."""

    file_id: str
    person: str
    read_at: datetime


class Verdict(NamedTuple):
    """What a file is among the copies, and the grade of evidence for that."""

    is_origin: bool
    evidence: str


def judge(holders: Sequence[Holder], readings: Iterable[Reading] = ()) -> dict[str, Verdict]:
    """Return a verdict for each file: exactly one of them is the origin.

    Parameters
    ----------
    holders
        The files that hold the content now, two or more.
    readings
        Who read this content from which of them.
    """
    parents = _parents(holders, readings)
    children = Counter(parent for found in parents.values() for parent in found)
    dated = all(holder.modified is not None for holder in holders)
    # The first one met is nobody's copy. Rows that came in between two queries may say that each is another's.
    possible = [holder for holder in holders if not parents[holder.file_id]] or holders
    origin = min(possible, key=lambda holder: (-children[holder.file_id], *_age(holder, dated)))
    others = [holder for holder in holders if holder is not origin]
    verdicts = {other.file_id: Verdict(False, _grade(origin, other, parents, dated)) for other in others}
    whole = READ if children[origin.file_id] else _worst(_by_time(origin, other, dated) for other in others)
    return {origin.file_id: Verdict(True, whole), **verdicts}


def judge_all(
    sets: Mapping[str, Sequence[Holder]], readings_of: Callable[[list[str]], Mapping[str, Sequence[Reading]]]
) -> dict[str, dict[str, Verdict]]:
    """Return the verdicts for each content; `readings_of` is asked only about those that it can tell something of."""
    owned_by_several = [
        sha256 for sha256, holders in sets.items() if len({holder.person for holder in holders if holder.person}) > 1
    ]
    readings = readings_of(owned_by_several)
    return {sha256: judge(holders, readings.get(sha256, ())) for sha256, holders in sets.items()}


def _parents(holders: Sequence[Holder], readings: Iterable[Reading]) -> dict[str, set[str]]:
    """Return for each file those of other people that its owner read before it appeared."""
    owner = {holder.file_id: holder.person for holder in holders}
    by_person: dict[str, list[Reading]] = {}
    for reading in readings:
        if owner.get(reading.file_id, reading.person) != reading.person:
            by_person.setdefault(reading.person, []).append(reading)
    return {
        holder.file_id: {
            reading.file_id for reading in by_person.get(holder.person, ()) if _before(reading.read_at, holder)
        }
        for holder in holders
    }


def _before(read_at: datetime, holder: Holder) -> bool:
    return holder.first_seen is not None and read_at + MARGIN <= holder.first_seen


def _age(holder: Holder, dated: bool) -> tuple[datetime, datetime, str]:
    seen = holder.first_seen or datetime.max
    return (holder.modified if dated and holder.modified else datetime.min, seen, holder.file_id)


def _grade(origin: Holder, other: Holder, parents: Mapping[str, set[str]], dated: bool) -> str:
    return READ if origin.file_id in parents[other.file_id] else _by_time(origin, other, dated)


def _by_time(origin: Holder, other: Holder, dated: bool) -> str:
    if dated and origin.modified is not None and other.modified is not None and origin.modified < other.modified:
        return MODIFIED
    if origin.first_seen is not None and other.first_seen is not None and origin.first_seen < other.first_seen:
        return SEEN
    return NONE


def _worst(grades: Iterable[str]) -> str:
    return max(grades, key=GRADES.index)
