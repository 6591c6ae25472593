"""The silo measures on a Spark cluster: the same SQL files, the same arithmetic.

For accesses that one machine does not hold. Spark counts; what comes back to the driver is
one row a person and one a pair of departments. PySpark is not installed with this product:
a cluster brings its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from populate.insight.measure import SiloParameters, SiloReport, listed_once, report, require_columns, sql
from populate.insight.window import nodes

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


# One row a pair of people in the directory, with positions for names.
_TIES = """
SELECT p.person AS producer, c.person AS consumer, SUM(t.weight) AS weight FROM named_ties t
JOIN coded p ON p.name = t.producer JOIN coded c ON c.name = t.consumer GROUP BY p.person, c.person
"""
_NAMED = """
SELECT CONCAT(producer, '@', giving) AS producer, CONCAT(consumer, '@', receiving) AS consumer, weight, weeks FROM tied
"""
_STANDARD = SiloParameters()


class SparkWindow(NamedTuple):
    """People, ties and what was left out of a span of days: `populate.insight.window.Window` on Spark."""

    people: DataFrame
    ties: DataFrame
    left_out: dict[str, int]


def measure_on_spark(
    session: SparkSession, people: DataFrame, ties: DataFrame, parameters: SiloParameters = _STANDARD
) -> SiloReport:
    """Return what `populate.insight.measure.measure` returns of the same rows.

    Parameters
    ----------
    session
        Its temporary views are afterwards what they were.
    people
        Columns person, department; goes through the memory of the driver.
    ties
        Columns producer, consumer, weight; stays on the cluster.

    Raises
    ------
    ValueError
        If a column is missing or a person is listed twice.
    """
    require_columns(people.columns, {"person", "department"})
    require_columns(ties.columns, {"producer", "consumer", "weight"})
    listed = people.select("person", "department").toArrow().to_pandas()
    listed_once(listed["person"])
    persons, departments = pd.Index(listed["person"]), pd.Categorical(listed["department"].astype(str))
    coded = session.createDataFrame(
        pd.DataFrame({"name": persons, "person": range(len(persons)), "department": departments.codes.astype("int32")})
    )
    with _views(session, named_ties=ties, coded=coded):
        counted = session.sql(_TIES)
        with _views(session, people=coded.select("person", "department"), ties=counted):
            labelled = session.sql(sql("labelled")).cache()
            with _views(session, labelled=labelled):
                try:
                    return report(
                        lambda query: _rows(session.sql(query)), parameters, persons, list(departments.categories)
                    )
                finally:
                    labelled.unpersist()


def tie_up_on_spark(
    session: SparkSession, edges: DataFrame, stints: pd.DataFrame, first: date, last: date
) -> SparkWindow:
    """Turn accesses into people and ties by the departments of each day.

    Parameters
    ----------
    edges
        Columns producer, consumer, day, events, as `populate.insight.window` describes them.
    stints
        As `populate.insight.window.stints` returns them.
    first, last
        Days of the window.

    Returns
    -------
    SparkWindow
        Its ties are not computed yet: that happens when they are used.
    """
    with _views(session, edges=edges, stints=session.createDataFrame(stints)):
        left_out = {row["reason"]: row["rows_left_out"] for row in session.sql(sql("left_out")).collect()}
        with _views(session, attributed=session.sql(sql("attributed"))), _views(session, tied=session.sql(sql("ties"))):
            ties = session.sql(_NAMED)
    return SparkWindow(session.createDataFrame(nodes(stints, first, last)), ties, left_out)


@contextmanager
def _views(session: SparkSession, **frames: DataFrame) -> Iterator[None]:
    """Give frames the names by which the SQL files know them, and give the names back afterwards."""
    before = {name: session.table(name) for name in frames if session.catalog.tableExists(name)}
    for name, frame in frames.items():
        frame.createOrReplaceTempView(name)
    try:
        yield
    finally:
        for name in frames:
            session.catalog.dropTempView(name)
        for name, frame in before.items():
            frame.createOrReplaceTempView(name)


def _rows(found: DataFrame) -> pd.DataFrame:
    """Collect counts."""
    counts: pd.DataFrame = found.toArrow().to_pandas()
    return counts
