"""What may be shown of the silo measures: no department below a floor, and no way to subtract one out.

The floor of five is that of Viva Insights. If exactly one department is below it, the next
smallest is hidden too, else totals minus the rest would tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from populate.silo import SiloMetric
from populate.snapshot import Snapshot

FLOOR = 5
FEW = 3
"""Pairs with fewer ties than this, but some, are shown as "fewer than three"."""

_COUNTS_OF_PAIR = ["ties", "expected", "ratio", "z"]
_TRUTHS_OF_PAIR = ["rests_on_one", "tested", "flagged"]


@dataclass(frozen=True, slots=True)
class Published:
    """The measures of a snapshot as anybody may see them.

    Attributes
    ----------
    sentence
        The headline in words.
    organisation
        Name of a measure -> value; None where it is not defined.
    departments, pairs
        As in the tables; figures of hidden departments, and of pairs with one or two ties,
        are not a number. `pairs` has a column few for the latter.
    hidden
        Departments whose figures are not shown.
    """

    sentence: str
    organisation: Mapping[str, float | None]
    departments: pd.DataFrame
    pairs: pd.DataFrame
    hidden: frozenset[str]


def hidden_departments(people: Mapping[str, int], floor: int = FLOOR) -> frozenset[str]:
    """Return the departments that must not be shown, given their sizes.

    Raises
    ------
    ValueError
        If the floor is below five.
    """
    if floor < FLOOR:
        raise ValueError(f"A floor below {FLOOR} people would show what single people do.")
    by_size = sorted(people, key=lambda name: (people[name], name))
    small = [name for name in by_size if people[name] < floor]
    return frozenset(by_size[:2] if len(small) == 1 else small)


def published(snapshot_no: int, parameter: str = "standard", floor: int = FLOOR) -> Published:
    """Return what may be shown of a snapshot's silo measures.

    Raises
    ------
    LookupError
        If the snapshot has none yet.
    """
    key = {"snapshot_no": snapshot_no, "silo_parameter": parameter}
    rows = (SiloMetric() & key).to_dicts()
    if not rows:
        raise LookupError(f"Snapshot {snapshot_no} has no silo measures yet. Run `data-platform worker --once`.")
    organisation = {name: value for name, value in rows[0].items() if name not in key}
    departments = pd.DataFrame((SiloMetric.Department() & key).to_dicts()).drop(columns=list(key), errors="ignore")
    pairs = pd.DataFrame((SiloMetric.Pair() & key).to_dicts()).drop(columns=list(key), errors="ignore")
    return _suppress(organisation, departments, pairs, floor)


def _suppress(
    organisation: Mapping[str, float | None], departments: pd.DataFrame, pairs: pd.DataFrame, floor: int
) -> Published:
    sizes = dict(zip(departments["department"], departments["people"], strict=True)) if len(departments) else {}
    hidden = hidden_departments(sizes, floor)
    departments, pairs = departments.copy(), pairs.copy()
    if len(departments):
        figures = [name for name in departments.columns if name != "department"]
        departments[figures] = departments[figures].astype(float)
        departments.loc[departments["department"].isin(hidden), figures] = float("nan")
    if len(pairs):
        pairs[_COUNTS_OF_PAIR] = pairs[_COUNTS_OF_PAIR].astype(float)
        pairs[_TRUTHS_OF_PAIR] = pairs[_TRUTHS_OF_PAIR].astype(bool)  # MySQL has 0 and 1 for them
        pairs["few"] = pairs["ties"].between(1, FEW - 1)
        concealed = pairs["giving"].isin(hidden) | pairs["receiving"].isin(hidden)
        pairs.loc[concealed | pairs["few"], _COUNTS_OF_PAIR] = float("nan")
        pairs.loc[concealed, ["few", *_TRUTHS_OF_PAIR]] = False
    return Published(sentence(organisation), organisation, departments, pairs, hidden)


def sentence(organisation: Mapping[str, float | None]) -> str:
    """Return the headline: the share, what chance would give, and how sure that is."""
    share, expected = organisation["cross_share"], organisation["cross_share_expected"]
    if share is None or not expected:
        return "No working ties between two departments in this window."
    silo, se = organisation["silo_index"] or 0.0, organisation["cross_share_se"]
    margin = f" (± {1.96 * se:.0%})" if se is not None else ""
    missing = f"{silo:.0%} of the sharing that random mixing would give is missing" if silo > 0 else "none is missing"
    return (
        f"{share:.0%}{margin} of working ties cross departments; {expected:.0%} if people mixed at random: {missing}."
    )


def latest_snapshot() -> int | None:
    """Return the number of the newest snapshot that has silo measures, or None."""
    numbers = (Snapshot() & SiloMetric()).to_arrays("snapshot_no")
    return int(max(numbers)) if len(numbers) else None
