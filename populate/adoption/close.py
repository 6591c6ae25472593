"""What changed so little between the figures of two snapshots that it must not be shown."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from populate.adoption.reads import Read, is_foreign
from populate.insight.hiding import FLOOR
from populate.insight.standing import changed_people

EVERYBODY = "everybody"
MOVED = {"department": "moved", "source": "moved source"}
"""Kind of a group -> that of groups which changed by so many people that the close ones can be hidden among them."""

LOGS = {"close_kind": "logs", "close_name": ""}
"""What logs tell is not looked at closely: it is left out where days are shared with figures that are shown."""

Parts = dict[tuple[tuple[str, str, str], str], int]
"""(kind and name of a group, and its figure), person -> the person's part in it."""


def parts_of(reads: Iterable[Read], services: set[str]) -> Parts:
    """Return the part of each person in the figures of each department and source, and of everybody.

    Headcounts of departments are not among them: who works where is in the directory.
    """
    found: defaultdict[tuple[tuple[str, str, str], str], int] = defaultdict(int)
    for read in reads:
        if read.reader in services:
            continue
        found[(EVERYBODY, "", "read_count"), read.reader] += read.times
        found[("source", read.source_system, "read_count"), read.reader] += read.times
        found[("department", read.reading, "read_count"), read.reader] += read.times
        found[("department", read.reading, "readers"), read.reader] = 1
        if read.owner not in ("", read.reader):
            found[("department", read.owning, "producers"), read.owner] = 1
        if is_foreign(read) and read.reading != read.owning:
            found[("department", read.reading, "cross_received"), read.reader] += read.times
            found[("department", read.owning, "cross_given"), read.reader] += read.times
        else:
            found[("department", read.reading, "other reads"), read.reader] += read.times
    return dict(found)


def close_parts(before: Parts, after: Parts) -> list[dict[str, Any]]:
    """Return the groups of which a figure changed by fewer than five people, but some: ``close_kind``, ``close_name``.

    Sources count by their reads, and so does everybody: figures over all are of no group. The department without a
    name is that of readers of no known one: they are never shown, so they are in what remains of each total. Besides,
    groups that changed by at least five people in each figure that is close anywhere (`MOVED`); if no department did,
    no sum of departments may be told, and everything is close.
    """
    people = changed_people(before, after)
    few = {group for group, count in people.items() if count < FLOOR}
    found = {(kind, name) for kind, name, _ in few}
    for kind, moved in MOVED.items():
        figures = {figure for of, _, figure in few if of == kind}
        names = {name for of, name, _ in people if of == kind} if figures else set()
        hiding = {name for name in names if all(people.get((kind, name, figure), 0) >= FLOOR for figure in figures)}
        found |= {(moved, name) for name in hiding}
        if figures and not hiding and kind == "department":
            found.add((EVERYBODY, ""))
    return [{"close_kind": kind, "close_name": name} for kind, name in sorted(found)]
