"""How the measures change: over many windows, and between two.

Sources: Mann 1945 and Kendall (is there a trend), Theil and Sen 1968 (its slope); Snijders &
Borgatti 1999 for the jackknife over people, here applied to a difference.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from populate.insight.indices import Floats

MIN_WINDOWS = 8
FLAG_Z = 2.6


@dataclass(frozen=True, slots=True)
class Trend:
    """A trend over windows: Kendall's tau, its p-value, Sen's slope per window with its 95 % interval."""

    tau: float
    p: float
    slope: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Change:
    """Change of the cross share between two windows, its standard error, and whether it is more than chance."""

    difference: float
    se: float
    z: float
    flagged: bool


def trend(values: Sequence[float]) -> Trend | None:
    """Return the trend of a series over windows that do not overlap; None for fewer than eight."""
    if len(values) < MIN_WINDOWS:
        return None
    found = stats.kendalltau(np.arange(len(values)), values)
    slope = stats.theilslopes(values)
    tau, p = (0.0, 1.0) if math.isnan(found.statistic) else (float(found.statistic), float(found.pvalue))
    return Trend(tau, p, float(slope.slope), float(slope.low_slope), float(slope.high_slope))


def change(before: tuple[pd.DataFrame, pd.DataFrame], after: tuple[pd.DataFrame, pd.DataFrame]) -> Change | None:
    """Compare the cross shares of two windows, each person left out of both at once.

    Parameters
    ----------
    before, after
        People (person, department) and ties (producer, consumer) of each window.

    Returns
    -------
    Change or None
        None if a window has no ties, or none without some person.
    """
    everybody = pd.Index(before[0]["person"]).union(pd.Index(after[0]["person"]))
    shares = [_leave_one_out(people, ties, everybody) for people, ties in (before, after)]
    if shares[0] is None or shares[1] is None:
        return None
    (first, first_left), (second, second_left) = shares[0], shares[1]
    difference, n = second - first, len(everybody)
    left = second_left - first_left
    se = math.sqrt((n - 2) / (2 * n) * float(((left - left.mean()) ** 2).sum()))
    z = difference / se if se else math.copysign(math.inf, difference) if difference else 0.0
    return Change(difference, se, z, abs(z) > FLAG_Z)


def _leave_one_out(people: pd.DataFrame, ties: pd.DataFrame, everybody: pd.Index) -> tuple[float, Floats] | None:
    department = people.set_index("person")["department"]
    crossing = (ties["producer"].map(department) != ties["consumer"].map(department)).to_numpy(dtype=float)
    at = [everybody.get_indexer(pd.Index(ties[side])) for side in ("producer", "consumer")]
    touching = sum(np.bincount(ends, minlength=len(everybody)) for ends in at)
    cross_touching = sum(np.bincount(ends, weights=crossing, minlength=len(everybody)) for ends in at)
    left = len(ties) - np.asarray(touching, dtype=float)
    if len(everybody) < 3 or (left <= 0).any():
        return None
    return float(crossing.mean()), np.asarray((crossing.sum() - cross_touching) / left)
