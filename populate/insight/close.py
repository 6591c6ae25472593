"""What changed so little between the working ties of two snapshots that it must not be shown."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from populate.insight.hiding import FEW, FLOOR
from populate.insight.standing import changed_people, few_changed

EVERYBODY = ("", "")


def close_to(befores: Iterable[pd.DataFrame], after: pd.DataFrame) -> set[tuple[str, str]]:
    """Return what changed by too little since any of several windows (`close_ties`), and what hides it in a sum.

    The latter are departments beside an empty name: ties of at least five of their people have changed, since each
    window, in each figure in which those of departments that are close have. If there is none, everything is close.
    """
    found: set[tuple[str, str]] = set()
    moved: set[str] | None = None
    for before in befores:
        close = close_ties(before, after)
        found |= close
        if few := {giving for giving, receiving in close - {EVERYBODY} if giving == receiving}:
            here = _moved(before, after, few)
            moved = here if moved is None else moved & here
    if moved is not None and not moved:
        found.add(EVERYBODY)
    return found | {(name, "") for name in moved or ()}


def _moved(before: pd.DataFrame, after: pd.DataFrame, few: set[str]) -> set[str]:
    """Return departments that at least five people changed in each figure in which one of these few did."""
    parts: dict[tuple[tuple[str, str], str], int] = {}
    for producer, consumer in _changed(before, after):
        ends = [_parted(node) for node in (producer, consumer)]
        where = "within" if ends[0][1] == ends[1][1] else "across"
        for side, (person, department) in zip(("given", "received"), ends, strict=True):
            parts[(f"{side} {where}", department), person] = 1
    people = changed_people({}, parts)
    figures = {figure for figure, department in people if department in few}
    departments = {department for _, department in people}
    return {name for name in departments if all(people.get((figure, name), 0) >= FLOOR for figure in figures)}


def close_ties(before: pd.DataFrame, after: pd.DataFrame) -> set[tuple[str, str]]:
    """Return ordered pairs of departments, and departments as pairs with themselves, that changed by too little.

    A pair did if one or two ties came or went, as pairs of so few ties are not shown; a department if that of fewer
    than five of its people did; everything (`EVERYBODY`) if that of fewer than five people at all.

    Parameters
    ----------
    before, after
        Working ties: producer, consumer (nodes ``id@department``).
    """
    changed = _changed(before, after)
    touched = {((place, place), person) for tie in changed for person, place in map(_parted, tie)}
    everybody = {person for _, person in touched}
    counts: dict[tuple[str, str], int] = {}
    for tie in changed:
        giving, receiving = (_parted(node)[1] for node in tie)
        if giving != receiving:
            counts[giving, receiving] = counts.get((giving, receiving), 0) + 1
    found = {pair for pair, count in counts.items() if count < FEW}
    found |= few_changed({}, dict.fromkeys(touched, 1))
    return found | ({EVERYBODY} if 0 < len(everybody) < FLOOR else set())


def _changed(before: pd.DataFrame, after: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the ties that came or went."""
    ends = [set(zip(ties["producer"], ties["consumer"], strict=True)) for ties in (before, after)]
    return sorted(ends[0] ^ ends[1])


def _parted(node: str) -> tuple[str, str]:
    person, _, department = node.rpartition("@")
    return person, department
