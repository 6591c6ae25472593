"""What may be shown of the silo measures: no department below a floor, and no way to compute one from the rest.

The floor of five is that of Viva Insights. What is hidden besides, so that sums do not tell, is
worked out by `populate.insight.hiding`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pandas as pd

from populate.insight.close import EVERYBODY
from populate.insight.hiding import FLOOR, Counts, hidden_beside, hidden_departments, merged, withheld_pairs
from populate.insight.indices import BUSY, quasi_independence
from populate.insight.standing import Taken, shown, standing, taken
from populate.silo import SiloMetric
from populate.snapshot import Snapshot

__all__ = [
    "FLOOR",
    "Published",
    "hidden_departments",
    "latest_snapshot",
    "published",
    "sentence",
    "shown_snapshots",
    "suppressed",
]

Pairs = Collection[tuple[str, str]]

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
        Name of a measure -> value; None where it is not defined. Which share of the pairs rests on one person is that
        of the pairs that are shown.
    departments, pairs
        As in the tables; figures of hidden departments and of withheld pairs are not a number. `pairs` has a
        column withheld for pairs of two shown departments that have one or two ties, or that would tell
        what another one has; whether they are flagged is shown, rests_on_one is false. If departments are hidden,
        what is expected takes them for one, and z is not told: else both would tell what each of them shares.
    hidden
        Departments whose figures are not shown.
    snapshot_no, day
        Of the snapshot that the figures are of: neighbouring ones have one that stands for them
        (`populate.insight.standing`).
    """

    sentence: str
    organisation: Mapping[str, float | None]
    departments: pd.DataFrame
    pairs: pd.DataFrame
    hidden: frozenset[str]
    snapshot_no: int = 0
    day: date | None = None


def published(snapshot_no: int, parameter: str = "standard", floor: int = FLOOR) -> Published:
    """Return what may be shown of a snapshot's silo measures, or of the one that stands for it.

    Raises
    ------
    LookupError
        If the snapshot has none yet.
    """
    snapshots = taken()
    computed = set((SiloMetric() & {"silo_parameter": parameter}).to_arrays("snapshot_no").tolist())
    of = standing(snapshot_no, snapshots, _too_close(parameter) | ({one.number for one in snapshots} - computed))
    key = {"snapshot_no": of.number if of else snapshot_no, "silo_parameter": parameter}
    rows = (SiloMetric() & key).to_dicts()
    if not rows or of is None:
        raise LookupError(f"Snapshot {key['snapshot_no']} has no silo measures yet. Run `data-platform worker --once`.")
    organisation = {name: value for name, value in rows[0].items() if name not in key}
    departments = pd.DataFrame((SiloMetric.Department() & key).to_dicts()).drop(columns=list(key), errors="ignore")
    pairs = pd.DataFrame((SiloMetric.Pair() & key).to_dicts()).drop(columns=list(key), errors="ignore")
    close = {(row["close_giving"], row["close_receiving"]) for row in (SiloMetric.Close() & key).to_dicts()}
    found = suppressed(organisation, departments, pairs, floor, close)
    return replace(found, snapshot_no=of.number, day=of.day)


def shown_snapshots(parameter: str = "standard") -> list[Taken]:
    """Return the snapshots whose figures are shown, by number."""
    close = _too_close(parameter)
    return [one for one in shown(taken()) if one.number not in close]


def _too_close(parameter: str) -> set[int]:
    everybody = {"close_giving": EVERYBODY[0], "close_receiving": EVERYBODY[1], "silo_parameter": parameter}
    return {int(number) for number in (SiloMetric.Close() & everybody).to_arrays("snapshot_no")}


def suppressed(
    organisation: Mapping[str, float | None],
    departments: pd.DataFrame,
    pairs: pd.DataFrame,
    floor: int = FLOOR,
    close: Pairs = (),
) -> Published:
    """Return what may be shown of measures that are complete.

    Parameters
    ----------
    close
        What changed by too little since figures that are shown (`populate.insight.close`).
    """
    names = departments["department"].tolist() if len(departments) else []
    flow = _flow(names, departments, pairs) if names else np.zeros((0, 0), dtype=np.int64)
    hidden, withheld = _hidden(names, flow, departments, floor, close)
    departments, pairs = departments.copy(), pairs.copy()
    if len(departments):
        figures = [name for name in departments.columns if name != "department"]
        departments[figures] = departments[figures].astype(float)
        departments.loc[departments["department"].isin(hidden), figures] = float("nan")
    if len(pairs):
        pairs[_COUNTS_OF_PAIR] = pairs[_COUNTS_OF_PAIR].astype(float)
        pairs[_TRUTHS_OF_PAIR] = pairs[_TRUTHS_OF_PAIR].astype(bool)  # MySQL has 0 and 1 for them
        ends = zip(pairs["giving"], pairs["receiving"], strict=True)
        pairs["withheld"] = pd.Series([pair in withheld for pair in ends], index=pairs.index, dtype=bool)
        concealed = pairs["giving"].isin(hidden) | pairs["receiving"].isin(hidden)
        pairs.loc[concealed | pairs["withheld"], _COUNTS_OF_PAIR] = float("nan")
        pairs.loc[pairs["withheld"], "rests_on_one"] = False
        pairs.loc[concealed, _TRUTHS_OF_PAIR] = False
        _expect_from_what_is_told(pairs, names, flow, hidden)
        organisation = {**organisation, "pairs_resting_on_one": _resting_on_one(pairs)}
    return Published(sentence(organisation), organisation, departments, pairs, hidden)


def _resting_on_one(pairs: pd.DataFrame) -> float | None:
    """Return the share among the pairs that are shown: that of all pairs tells of the hidden ones."""
    busy = pairs["ties"] >= BUSY
    return float(pairs.loc[busy, "rests_on_one"].mean()) if busy.any() else None


def _expect_from_what_is_told(pairs: pd.DataFrame, names: list[str], flow: Counts, hidden: frozenset[str]) -> None:
    """Let what is expected of pairs follow from sums that are told, which have the hidden departments as one.

    In the tables it follows from what each of them gives and receives, and a few such numbers are solved for that;
    so is z, which is not told therefore.
    """
    if not hidden:
        return
    seen = [place for place, name in enumerate(names) if name not in hidden]
    table, possible = merged(flow, seen, [place for place, name in enumerate(names) if name in hidden])
    expected = quasi_independence(table.astype(float), possible)
    number = {names[place]: row for row, place in enumerate(seen)}
    told = pairs["ties"].notna()
    giving, receiving = (pairs.loc[told, side].map(number).to_numpy(dtype=int) for side in ("giving", "receiving"))
    pairs.loc[told, "expected"] = expected[giving, receiving]
    pairs["ratio"] = pairs["ties"] / pairs["expected"].where(pairs["expected"] > 0)
    pairs["z"] = float("nan")


def _hidden(
    names: list[str], flow: Counts, departments: pd.DataFrame, floor: int, close: Pairs
) -> tuple[frozenset[str], set[tuple[str, str]]]:
    """Return the departments and the pairs of others that must not be shown."""
    if not names:
        return frozenset(), set()
    known = [ends for ends in close if set(ends) <= set(names)]
    cells = [(names.index(giving), names.index(receiving)) for giving, receiving in known if giving != receiving]

    def withheld(hidden: frozenset[str]) -> set[tuple[int, int]] | None:
        return withheld_pairs(flow, [names.index(name) for name in sorted(hidden)], cells)

    people = dict(zip(names, departments["people"].astype(int), strict=True))
    few = {giving for giving, receiving in close if giving == receiving != ""}
    small = hidden_beside(few, [giving for giving, receiving in close if not receiving], people)
    hidden = hidden_departments(people, floor, small, enough=lambda hidden: withheld(hidden) is not None)
    return hidden, {(names[giving], names[receiving]) for giving, receiving in withheld(hidden) or ()}


def _flow(names: list[str], departments: pd.DataFrame, pairs: pd.DataFrame) -> Counts:
    flow: Counts = np.diag(departments["internal"].to_numpy(dtype=np.int64))
    place = {name: number for number, name in enumerate(names)}
    if len(pairs):
        giving, receiving = (pairs[side].map(place).to_numpy() for side in ("giving", "receiving"))
        flow[giving, receiving] = pairs["ties"].to_numpy(dtype=np.int64)
    return flow


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
    """Return the number of the newest snapshot that has silo measures which are shown, or None."""
    computed = set((Snapshot() & SiloMetric()).to_arrays("snapshot_no").tolist())
    return max((one.number for one in shown(taken()) if one.number in computed), default=None)
