"""What changed so little between the figures of two snapshots that it must not be shown."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from populate.adoption.reads import Read, is_foreign
from populate.insight.standing import few_changed

EVERYBODY = "everybody"
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
    return dict(found)


def close_parts(before: Parts, after: Parts) -> list[dict[str, Any]]:
    """Return the groups of which a figure changed by fewer than five people, but some: ``close_kind``, ``close_name``.

    Sources count by their reads, and so does everybody: figures over all are of no group.
    """
    groups = sorted({(kind, name) for kind, name, _ in few_changed(before, after)})
    return [{"close_kind": kind, "close_name": name} for kind, name in groups if name or kind == EVERYBODY]
