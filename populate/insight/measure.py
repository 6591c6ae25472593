"""How far departments share with each other: the silo measures as one pure function.

`measure` takes two data frames and returns four. What can be counted is counted by the SQL
files beside this module, which DuckDB runs here and Spark runs unchanged on a cluster; what
is left is arithmetic over departments, a few thousand numbers at most.

Sources: Krackhardt & Stern 1988 (E-I index), Freeman 1978 (segregation), Coleman 1958,
Goodman 1968 (quasi-independence), Snijders & Borgatti 1999 (jackknife), Cameron, Gelbach &
Miller 2011 (two-way clustering), Benjamini & Hochberg 1995.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import duckdb
import numpy as np
import pandas as pd
from scipy import stats

from populate.insight.indices import (
    BUSY,
    Floats,
    clustered_variance,
    coleman_index,
    expected_cross_share,
    gini,
    jackknife_se,
    permutation_sd,
    quasi_independence,
)

RunSQL = Callable[[str], pd.DataFrame]
"""Runs a query over the views ``people``, ``ties`` and ``labelled`` and returns its rows."""


@dataclass(frozen=True, slots=True)
class SiloParameters:
    """What makes a pair of departments worth flagging.

    `min_people` per department, `min_expected` ties, `ratio_below` of observed to expected,
    `false_discovery_rate` over the pairs tested.
    """

    min_people: int = 10
    min_expected: float = 5.0
    ratio_below: float = 0.5
    false_discovery_rate: float = 0.05


@dataclass(frozen=True, slots=True)
class SiloReport:
    """The measures of one window.

    Attributes
    ----------
    organisation
        Name of a measure -> value; None where it is not defined (no ties, one department).
    departments
        One row a department.
    pairs
        One row an ordered pair of departments that both have people.
    bridges
        One row a person with a tie to another department.
    """

    organisation: dict[str, float | None]
    departments: pd.DataFrame
    pairs: pd.DataFrame
    bridges: pd.DataFrame


def measure(people: pd.DataFrame, ties: pd.DataFrame, parameters: SiloParameters = SiloParameters()) -> SiloReport:
    """Measure silos, bridges and concentration.

    Parameters
    ----------
    people
        Columns person, department: everybody of the window, also those without a tie.
    ties
        Columns producer, consumer, weight: a consumer used data of a producer; weight is
        the number of accesses.

    Raises
    ------
    ValueError
        If a column is missing or a person is listed twice.
    """
    require_columns(people.columns, {"person", "department"})
    require_columns(ties.columns, {"producer", "consumer", "weight"})
    listed_once(people["person"])
    codes = pd.Index(people["person"])
    departments = pd.Categorical(people["department"].astype(str))
    with duckdb.connect(config={"threads": 2, "memory_limit": "1200MB"}) as connection:
        connection.register(
            "people", pd.DataFrame({"person": np.arange(len(codes), dtype="int32"), "department": departments.codes})
        )
        connection.register("ties_in", _coded(codes, ties))
        connection.execute(
            "CREATE TABLE ties AS SELECT producer, consumer, SUM(weight) AS weight FROM ties_in GROUP BY ALL"
        )
        connection.execute(f"CREATE TABLE labelled AS {sql('labelled')}")
        return report(lambda query: connection.execute(query).df(), parameters, codes, list(departments.categories))


def _coded(codes: pd.Index, ties: pd.DataFrame) -> pd.DataFrame:
    """Ties with row numbers of `people` for names: a tenth of the memory, a third of the time."""
    ends = {side: codes.get_indexer(pd.Index(ties[side])).astype("int32") for side in ("producer", "consumer")}
    return pd.DataFrame({**ends, "weight": ties["weight"].to_numpy()})


def report(run: RunSQL, parameters: SiloParameters, people: pd.Index, departments: list[str]) -> SiloReport:
    """Put the measures together from counted rows; `run` is DuckDB's or Spark's.

    The views of `run` hold positions in `people` and `departments` instead of names.
    """
    counts = _Counts.read(run, departments)
    return SiloReport(
        organisation=_organisation(counts),
        departments=_departments(counts),
        pairs=_pairs(counts, parameters),
        bridges=_bridges(run(sql("bridges")), people),
    )


def sql(name: str) -> str:
    """Return the text of one of the SQL files beside this module."""
    return files("populate.insight").joinpath("sql", f"{name}.sql").read_text()


def require_columns(present: Iterable[str], needed: set[str]) -> None:
    """Raise ValueError unless a table has all these columns."""
    if missing := needed - set(present):
        raise ValueError(f"missing columns: {', '.join(sorted(missing))}")


def listed_once(persons: pd.Series[Any]) -> None:
    """Raise ValueError if a person is listed twice."""
    if persons.duplicated().any():
        raise ValueError("a person is listed twice; use one row per person and department, as ann@A")


@dataclass(frozen=True, slots=True)
class _Counts:
    names: list[str]
    size: Floats  # (departments,) people
    flow: Floats  # (departments, departments) ties given by the row to the column
    totals: pd.DataFrame  # one row a person
    one_way: float
    both_ways: float
    weight: float
    cross_weight: float
    producer_moments: tuple[Floats, Floats]  # sum f^2, sum f*s per ordered pair
    consumer_moments: tuple[Floats, Floats]
    most_touched: Floats

    @classmethod
    def read(cls, run: RunSQL, names: list[str]) -> _Counts:
        def matrix(rows: pd.DataFrame, column: str) -> Floats:
            out = np.zeros((len(names), len(names)))
            out[rows["giving"].to_numpy(), rows["receiving"].to_numpy()] = rows[column].to_numpy(dtype=float)
            return out

        flows, clusters, pairs = run(sql("flows")), run(sql("clusters")), run(sql("reciprocity")).iloc[0].fillna(0)
        sides = {side: clusters[clusters["side"] == side] for side in ("producer", "consumer")}
        return cls(
            names=names,
            size=run(sql("departments"))["people"].to_numpy(dtype=float),
            flow=matrix(flows, "ties"),
            totals=run(sql("people_totals")),
            one_way=float(pairs["one_way"]),
            both_ways=float(pairs["both_ways"]),
            weight=float(flows["weight"].sum()),
            cross_weight=float(flows.loc[flows["giving"] != flows["receiving"], "weight"].sum()),
            producer_moments=(matrix(sides["producer"], "ff"), matrix(sides["producer"], "fs")),
            consumer_moments=(matrix(sides["consumer"], "ff"), matrix(sides["consumer"], "fs")),
            most_touched=matrix(run(sql("touches")), "most_touched"),
        )

    @property
    def ties(self) -> float:
        return float(self.flow.sum())

    @property
    def cross(self) -> float:
        return float(self.flow.sum() - np.trace(self.flow))


def _bridges(rows: pd.DataFrame, people: pd.Index) -> pd.DataFrame:
    named = rows.assign(person=people.take(rows["person"].to_numpy()))
    return named.sort_values(["cross_neighbours", "person"], ascending=[False, True], ignore_index=True)


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _organisation(c: _Counts) -> dict[str, float | None]:
    given = c.totals["given"].to_numpy(dtype=float)
    touching = given + c.totals["received"].to_numpy(dtype=float)
    cross_touching = c.totals["cross_given"].to_numpy(dtype=float) + c.totals["cross_received"].to_numpy(dtype=float)
    share, expected = _ratio(c.cross, c.ties), expected_cross_share(c.size)
    sd = permutation_sd(c.size, c.ties, touching, c.one_way, c.both_ways)
    top = max(1, math.ceil(0.1 * len(given))) if len(given) else 0
    return {
        "n_people": float(c.size.sum()),
        "n_departments": float(len(c.names)),
        "n_ties": c.ties,
        "n_events": c.weight,
        "cross_share": share,
        "cross_share_events": _ratio(c.cross_weight, c.weight),
        "cross_share_expected": expected,
        "ei_index": None if share is None else 2 * share - 1,
        "ei_expected": 2 * expected - 1,
        "silo_index": None if share is None or expected == 0 else 1 - share / expected,
        "cross_share_se": jackknife_se(c.ties, c.cross, touching, cross_touching),
        "permutation_sd": sd,
        "permutation_z": None if share is None or sd == 0 else (share - expected) / sd,
        "gini_given": gini(given),
        "top10pct_given": _ratio(float(np.sort(given)[::-1][:top].sum()), float(given.sum())),
        "pairs_resting_on_one": _resting_on_one(c),
    }


def _resting_on_one(c: _Counts) -> float | None:
    off = ~np.eye(len(c.names), dtype=bool)
    busy = off & (c.flow >= BUSY)
    return _ratio(float((busy & (c.most_touched >= 0.5 * c.flow)).sum()), float(busy.sum()))


def _departments(c: _Counts) -> pd.DataFrame:
    internal, given, received = np.diag(c.flow), c.flow.sum(axis=1), c.flow.sum(axis=0)
    external = given + received - 2 * internal
    with np.errstate(divide="ignore", invalid="ignore"):
        share = 1 - internal / given
        frame = pd.DataFrame(
            {
                "department": c.names,
                "people": c.size.astype("int64"),
                "given": given.astype("int64"),
                "received": received.astype("int64"),
                "internal": internal.astype("int64"),
                "cross_share_given": share,
                "cross_share_received": 1 - internal / received,
                "ei_index": (external - internal) / (external + internal),
                "coleman": coleman_index(internal, given, c.size),
                "cross_given_per_head": (given - internal) / c.size,
                "cross_received_per_head": (received - internal) / c.size,
            }
        )
        frame["se_cross_share_given"] = _clustered_se(c, share, given)
    return frame.replace([np.inf, -np.inf], np.nan)


def _clustered_se(c: _Counts, share: Floats, given: Floats) -> Floats:
    """Standard error of each department's given share, clustered by producer."""
    at = c.totals["department"].to_numpy()
    residual = c.totals["cross_given"].to_numpy(dtype=float) - share[at] * c.totals["given"].to_numpy(dtype=float)
    squares = np.bincount(at, weights=residual**2, minlength=len(c.names))
    return np.asarray(np.sqrt(c.size / (c.size - 1) * squares) / given)


def _pairs(c: _Counts, parameters: SiloParameters) -> pd.DataFrame:
    expected = quasi_independence(c.flow)
    z = _pair_z(c, expected)
    off = ~np.eye(len(c.names), dtype=bool)
    giving, receiving = np.nonzero(off)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = c.flow / expected
    frame = pd.DataFrame(
        {
            "giving": [c.names[i] for i in giving],
            "receiving": [c.names[j] for j in receiving],
            "ties": c.flow[off].astype("int64"),
            "expected": expected[off],
            "ratio": ratio[off],
            "z": z[off],
            "rests_on_one": ((c.flow >= BUSY) & (c.most_touched >= 0.5 * c.flow))[off],
        }
    )
    big = c.size >= parameters.min_people
    frame["tested"] = (
        (big[giving] & big[receiving]) & (frame["expected"] >= parameters.min_expected) & frame["z"].notna()
    )
    frame["flagged"] = _flags(frame, parameters)
    return frame


def _pair_z(c: _Counts, expected: Floats) -> Floats:
    at = c.totals["department"].to_numpy()

    def side(column: str) -> tuple[Floats, Floats]:
        values = c.totals[column].to_numpy(dtype=float)
        squares = np.bincount(at, weights=values**2, minlength=len(c.names)).astype(float)
        return squares, np.bincount(at, weights=values > 0, minlength=len(c.names)).astype(float)

    given_squares, producers = side("cross_given")
    received_squares, consumers = side("cross_received")
    by_producer = clustered_variance(*c.producer_moments, given_squares, expected, producers)
    ff, fs = c.consumer_moments
    by_consumer = clustered_variance(ff.T, fs.T, received_squares, expected.T, consumers).T
    variance = np.maximum(by_producer + by_consumer - expected, expected)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(variance > 0, (c.flow - expected) / np.sqrt(variance), np.nan))


def _flags(frame: pd.DataFrame, parameters: SiloParameters) -> pd.Series[bool]:
    flagged = pd.Series(False, index=frame.index)
    tested = frame[frame["tested"]]
    if len(tested):
        adjusted = stats.false_discovery_control(stats.norm.cdf(tested["z"]))
        flagged[tested.index] = (adjusted <= parameters.false_discovery_rate) & (
            tested["ratio"] < parameters.ratio_below
        )
    return flagged
