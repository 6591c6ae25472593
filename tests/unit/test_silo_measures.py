"""The measures against values that two other implementations agree on, and cases one can count by hand."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from offices import DATA, EXPECTED, INVS13, OUR_NAMES, TOY, invs13, toy_edges, toy_stints

from populate.insight.indices import coleman_index, gini, permutation_sd, quasi_independence
from populate.insight.measure import SiloParameters, SiloReport, measure
from populate.insight.window import MONDAY, tie_up

NOT_BUILT = {  # expert figures that are no headline
    "assortativity", "modularity_departments", "gini_received", "pairs_connected", "pairs_connected_3",
    "reach2_people", "reach2_pairs",
}  # fmt: skip


@pytest.fixture(scope="module")
def office() -> SiloReport:
    return measure(*invs13(), SiloParameters(min_people=5))


@pytest.mark.parametrize("name", sorted(set(INVS13["organisation"]) - NOT_BUILT))
def test_the_organisation_of_a_real_office(office: SiloReport, name: str) -> None:
    assert office.organisation[OUR_NAMES.get(name, name)] == pytest.approx(INVS13["organisation"][name], rel=1e-6)


def test_its_departments(office: SiloReport) -> None:
    found = office.departments.set_index("department")
    for department, values in INVS13["departments"].items():
        for name, value in values.items():
            assert found.loc[department, name] == pytest.approx(value, rel=1e-6), (department, name)


def test_its_pairs(office: SiloReport) -> None:
    known = pd.read_csv(DATA / "expected_flows_invs13.csv").dropna()
    both = office.pairs.merge(known, on=["giving", "receiving"], suffixes=("", "_known"))
    assert len(both) == len(known) == 20
    assert (both["ties"] == both["ties_known"]).all()
    assert both["expected"].to_numpy() == pytest.approx(both["expected_known"].to_numpy(), rel=1e-6)
    assert both["z"].to_numpy() == pytest.approx(both["z_known"].to_numpy(), rel=1e-5)
    assert office.pairs["tested"].sum() == INVS13["potential_silos"]["pairs_tested"]
    assert not office.pairs["flagged"].any()


def test_its_bridges(office: SiloReport) -> None:
    top = [[int(str(row.person)), int(str(row.cross_neighbours))] for row in office.bridges.head(10).itertuples()]
    assert top == INVS13["brokers_top10_by_cross_neighbours"]
    for name in ("cross_neighbours", "other_departments"):
        assert office.bridges[name].sum() == INVS13["brokers_sums"][name]


@pytest.mark.parametrize("check", EXPECTED["published_checks"], ids=["coleman-1958", "classroom"])
def test_published_coleman_values(check: dict[str, Any]) -> None:
    flows, sizes = np.array(check["flows"], float), np.array(check["sizes"], float)
    assert coleman_index(np.diag(flows), flows.sum(axis=1), sizes) == pytest.approx(check["coleman"], rel=1e-6)


def test_a_mover_a_leaver_a_bot_and_a_self_event_by_hand() -> None:
    with duckdb.connect() as connection:
        edges = toy_edges()  # noqa: F841
        connection.execute("CREATE TABLE edges AS SELECT * FROM edges")
        window = tie_up(connection, toy_stints(), MONDAY, MONDAY + timedelta(days=99))
    expected = TOY["expected"]
    assert window.left_out == expected["dropped"]
    ties = window.ties.sort_values(["producer", "consumer"])
    assert ties[["producer", "consumer", "weight"]].to_numpy().tolist() == sorted(expected["ties"])
    working = window.ties[window.ties["weeks"] >= 2]
    assert working[["producer", "consumer"]].to_numpy().tolist() == expected["working_ties"]
    found = measure(window.people, window.ties).organisation
    for name in ("cross_share", "cross_share_events"):
        assert found[name] == pytest.approx(expected[name], rel=1e-12)
    assert found["n_events"] == expected["events"]


def test_the_spread_in_closed_form_is_that_of_real_permutations() -> None:
    people, ties = invs13()
    position = {person: i for i, person in enumerate(people["person"])}
    producer, consumer = (ties[side].map(position).to_numpy() for side in ("producer", "consumer"))
    labels = people["department"].astype("category").cat.codes.to_numpy()
    rng = np.random.default_rng(7)
    shares = []
    for _ in range(4000):
        dealt = rng.permutation(labels)
        shares.append((dealt[producer] != dealt[consumer]).mean())
    degrees = np.bincount(np.concatenate([producer, consumer]), minlength=len(people)).astype(float)
    size = np.bincount(labels).astype(float)
    closed = permutation_sd(size, float(len(ties)), degrees, one_way=0.0, both_ways=len(ties) / 2)
    assert closed == pytest.approx(np.std(shares), rel=0.05)


def test_shuffled_labels_flag_nothing() -> None:
    people, ties = invs13()
    rng = np.random.default_rng(11)
    flagged = 0
    for _ in range(20):
        dealt = people.assign(department=rng.permutation(people["department"]))
        flagged += int(measure(dealt, ties, SiloParameters(min_people=5)).pairs["flagged"].sum())
    assert flagged == 0


def test_a_planted_silo_is_flagged() -> None:
    """Two departments of forty that give each other a tenth of what their other ties predict."""
    rng = np.random.default_rng(3)
    department = np.repeat(["A", "B", "C", "D"], 40)
    pairs = [(i, j) for i in range(160) for j in range(160) if i != j]
    chance = {frozenset("AB"): 0.005}
    kept = [
        (i, j, 1)
        for i, j in pairs
        if rng.random()
        < (0.2 if department[i] == department[j] else chance.get(frozenset((department[i], department[j])), 0.05))
    ]
    people = pd.DataFrame({"person": range(160), "department": department})
    found = measure(people, pd.DataFrame(kept, columns=["producer", "consumer", "weight"])).pairs
    flagged = {(row.giving, row.receiving) for row in found[found["flagged"]].itertuples()}
    assert flagged == {("A", "B"), ("B", "A")}


@pytest.mark.parametrize("departments", [["A", "A", "A"], ["A", "B", "C"]])
def test_no_ties_and_one_department_have_no_share(departments: list[str]) -> None:
    people = pd.DataFrame({"person": ["a", "b", "c"], "department": departments})
    nobody = pd.DataFrame({"producer": [], "consumer": [], "weight": []})
    found = measure(people, nobody).organisation
    assert found["cross_share"] is None
    assert found["silo_index"] is None
    if len(set(departments)) == 1:
        one = pd.DataFrame({"producer": ["a"], "consumer": ["b"], "weight": [1]})
        assert measure(people, one).organisation["silo_index"] is None


def test_wrong_frames_are_refused() -> None:
    people = pd.DataFrame({"person": ["a", "a"], "department": ["A", "B"]})
    ties = pd.DataFrame({"producer": [], "consumer": [], "weight": []})
    with pytest.raises(ValueError, match="listed twice"):
        measure(people, ties)
    with pytest.raises(ValueError, match="missing columns: weight"):
        measure(people, ties.drop(columns="weight"))


def test_formulas_by_hand() -> None:
    assert gini(np.array([0.0, 0.0, 0.0, 4.0])) == pytest.approx(0.75)
    assert gini(np.zeros(3)) is None
    flow = np.array([[9.0, 2.0, 4.0], [3.0, 9.0, 1.0], [5.0, 2.0, 9.0]])
    fitted = quasi_independence(flow)
    off = flow * (1 - np.eye(3))
    assert fitted.sum(axis=1) == pytest.approx(off.sum(axis=1))
    assert fitted.sum(axis=0) == pytest.approx(off.sum(axis=0))
    assert date.fromordinal(MONDAY.toordinal()).weekday() == 0
