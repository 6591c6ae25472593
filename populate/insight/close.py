"""What changed so little between the working ties of two snapshots that it must not be shown."""

from __future__ import annotations

import pandas as pd

from populate.insight.hiding import FEW, FLOOR
from populate.insight.standing import few_changed

EVERYBODY = ("", "")


def close_ties(before: pd.DataFrame, after: pd.DataFrame) -> set[tuple[str, str]]:
    """Return ordered pairs of departments, and departments as pairs with themselves, that changed by too little.

    A pair did if one or two ties came or went, as pairs of so few ties are not shown; a department if that of fewer
    than five of its people did; everything (`EVERYBODY`) if that of fewer than five people at all.

    Parameters
    ----------
    before, after
        Working ties: producer, consumer (nodes ``id@department``).
    """
    ends = [set(zip(ties["producer"], ties["consumer"], strict=True)) for ties in (before, after)]
    changed = sorted(ends[0] ^ ends[1])
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


def _parted(node: str) -> tuple[str, str]:
    person, _, department = node.rpartition("@")
    return person, department
