"""The SQL files of the silo measures on a real Spark, in local mode."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from offices import EXPECTED, INVS13, OUR_NAMES, invs13, toy_edges, toy_stints

from populate.insight.measure import SiloParameters, measure
from populate.insight.spark import measure_on_spark, tie_up_on_spark
from populate.insight.window import MONDAY

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Starting Spark takes minutes on machines that are busy with other things.
pytestmark = [pytest.mark.slow, pytest.mark.spark, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    if not (shutil.which("java") or os.environ.get("JAVA_HOME")):
        if os.environ.get("CI") == "true":
            pytest.fail("There is no Java for Spark.")
        pytest.skip("Spark needs Java, which is not installed here")
    from pyspark.sql import SparkSession

    builder: Any = SparkSession.builder
    place = tmp_path_factory.mktemp("spark")
    for name, value in {
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.local.dir": str(place),
        "spark.sql.warehouse.dir": str(place / "warehouse"),
        "spark.sql.shuffle.partitions": "1",
        # Some hundred rows: to compile what goes through them takes longer than to interpret it.
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        "spark.sql.ansi.enabled": "true",
        "spark.ui.enabled": "false",
    }.items():
        builder = builder.config(name, value)
    session = builder.master("local[1]").appName("silos").getOrCreate()
    yield session
    session.stop()


def test_the_expected_values_of_a_real_office(spark: SparkSession) -> None:
    people, ties = invs13()
    parameters = SiloParameters(min_people=5)
    found = measure_on_spark(spark, spark.createDataFrame(people), spark.createDataFrame(ties), parameters)
    for name, value in INVS13["organisation"].items():
        if (ours := OUR_NAMES.get(name, name)) in found.organisation:
            assert found.organisation[ours] == pytest.approx(value, rel=1e-6), name
    here = measure(people, ties, parameters)
    assert found.organisation == pytest.approx(here.organisation, rel=1e-12)
    for on_spark, on_duckdb in (
        (found.departments, here.departments),
        (found.pairs, here.pairs),
        (found.bridges, here.bridges),
    ):
        pd.testing.assert_frame_equal(on_spark, on_duckdb, check_dtype=False, rtol=1e-12)


def test_the_toy_case_from_its_events_on(spark: SparkSession) -> None:
    expected = EXPECTED["toy"]["expected"]
    edges = spark.createDataFrame(toy_edges())
    window = tie_up_on_spark(spark, edges, toy_stints(), MONDAY, MONDAY + timedelta(days=99))
    assert window.left_out == expected["dropped"]
    ties = sorted([row["producer"], row["consumer"], int(row["weight"])] for row in window.ties.collect())
    assert ties == sorted(expected["ties"])
    working = sorted([row["producer"], row["consumer"]] for row in window.ties.where("weeks >= 2").collect())
    assert working == sorted(expected["working_ties"])
    found = measure_on_spark(spark, window.people, window.ties).organisation
    for name in ("cross_share", "cross_share_events"):
        assert found[name] == pytest.approx(expected[name], rel=1e-12)


def test_the_views_of_the_session_are_left_alone(spark: SparkSession) -> None:
    spark.createDataFrame([("mine",)], ["whose"]).createOrReplaceTempView("people")
    people, ties = invs13()
    measure_on_spark(spark, spark.createDataFrame(people), spark.createDataFrame(ties))
    assert [row["whose"] for row in spark.table("people").collect()] == ["mine"]


@pytest.mark.parametrize(
    ("people", "complaint"),
    [({"person": ["a"]}, "missing"), ({"person": ["a", "a"], "department": ["x", "y"]}, "twice")],
)
def test_wrong_frames_are_refused_as_they_are_here(
    spark: SparkSession, people: dict[str, list[str]], complaint: str
) -> None:
    ties = spark.createDataFrame([("a", "b", 1)], ["producer", "consumer", "weight"])
    with pytest.raises(ValueError, match=complaint):
        measure_on_spark(spark, spark.createDataFrame(pd.DataFrame(people)), ties)
