"""What is shown of small companies, as equations: nobody can solve them for what is hidden."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy.optimize import linprog

from populate.adoption import report as reports
from populate.adoption.close import close_parts, parts_of
from populate.adoption.publish import PublishedAdoption, folded, shown_departments, shown_organisation
from populate.adoption.reads import Read
from populate.adoption.rows import by_department, by_source, totals
from populate.insight.close import EVERYBODY, close_ties, close_to
from populate.insight.graph import graph_of
from populate.insight.hiding import FEW, hidden_departments
from populate.insight.measure import SiloReport, measure
from populate.insight.publish import Published, suppressed

Numbers = npt.NDArray[np.float64]
SIZES = {
    "a department of four": [4, 9, 12, 20, 31],
    "two of two": [2, 2, 8, 15, 30],
    "one hidden only": [3, 40, 41, 42],
    "none is small": [6, 7, 8, 9, 10, 11],
    "three": [10, 11, 12],
    "two": [6, 30],
    "all are small": [1, 2, 3],
}


def undetermined(equations: Numbers) -> npt.NDArray[np.bool_]:
    """Tell for each unknown whether solutions of these equations differ in it."""
    _, values, basis = np.linalg.svd(equations)
    rank = int((values > 1e-9 * max(1.0, values.max(initial=0.0))).sum())
    return np.asarray(np.abs(basis[rank:]).max(axis=0, initial=0.0) > 1e-9)


def range_of(equations: Numbers, truth: Numbers, unknown: int) -> float:
    """Return how far apart solutions without a number below zero can be in an unknown."""
    target = np.zeros(len(truth))
    target[unknown] = 1
    low, high = (
        linprog(sign * target, A_eq=equations, b_eq=equations @ truth, bounds=(0, None)).fun * sign for sign in (1, -1)
    )
    return float(high - low)


def company(sizes: list[int], chance: np.random.Generator) -> tuple[npt.NDArray[np.int64], pd.DataFrame, pd.DataFrame]:
    """Return ties between departments of these sizes, and both tables of the silo measures."""
    busy = chance.choice([0.5, 2.0, 8.0])
    flow = chance.poisson(busy, (len(sizes), len(sizes))) + np.diag(chance.poisson(2 * busy, len(sizes)))
    return flow, *tables_of(flow, sizes)


def tables_of(flow: npt.NDArray[np.int64], sizes: list[int]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return both tables of the silo measures of these ties."""
    names = [f"d{number}" for number in range(len(sizes))]
    given, received, internal = flow.sum(axis=1), flow.sum(axis=0), np.diag(flow)
    departments = pd.DataFrame(
        {
            "department": names, "people": sizes, "given": given, "received": received, "internal": internal,
            "cross_share_given": 1 - internal / np.maximum(given, 1),
            "cross_given_per_head": (given - internal) / sizes,
        }
    )  # fmt: skip
    places = [(a, b) for a in range(len(sizes)) for b in range(len(sizes)) if a != b]
    pairs = pd.DataFrame(
        [(names[a], names[b], flow[a, b], 6.0, flow[a, b] / 6, 0.1, True, True, False) for a, b in places],
        columns=["giving", "receiving", "ties", "expected", "ratio", "z", "rests_on_one", "tested", "flagged"],
    )
    return departments, pairs


def shown_of(departments: pd.DataFrame, pairs: pd.DataFrame) -> Published:
    totals = {"cross_share": 0.4, "cross_share_expected": 0.8, "silo_index": 0.5, "cross_share_se": 0.1}
    return suppressed(totals, departments, pairs)


def known_ties(shown: Published, size: int) -> Numbers:
    """Return what the measures and the graph tell, as equations over all cells of the table of ties."""
    cells = np.eye(size * size).reshape(size * size, size, size)
    told = [np.ones((size, size)), np.eye(size)]  # the number of ties, and by the cross share those within
    for number, row in enumerate(shown.departments.to_dict("records")):
        figures = {"given": (number, slice(None)), "received": (slice(None), number), "internal": (number, number)}
        for name, place in figures.items():
            if not np.isnan(row[name]):
                told.append(mask(size, place))
        if np.isnan(row["internal"]):
            assert all(np.isnan(value) for name, value in row.items() if name != "department")
    for row in shown.pairs.to_dict("records"):
        if not np.isnan(row["ties"]):
            told.append(mask(size, (int(row["giving"][1:]), int(row["receiving"][1:]))))
        else:
            assert all(np.isnan(row[name]) for name in ("expected", "ratio", "z"))
            assert not row["rests_on_one"]
    graph = graph_of(shown)
    for giving, receiving in graph.edges:
        told.append(mask(size, (int(giving[1:]), int(receiving[1:]))))
    assert not shown.hidden & set(graph.nodes)
    return np.array(told).reshape(len(told), -1) @ cells.reshape(size * size, -1)


def mask(size: int, place: tuple[Any, Any]) -> Numbers:
    found = np.zeros((size, size))
    found[place] = 1
    return found


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES.keys())
def test_no_hidden_tie_can_be_computed(sizes: list[int]) -> None:
    chance = np.random.default_rng(sum(sizes))
    for turn in range(25):
        flow, departments, pairs = company(sizes, chance)
        shown = shown_of(departments, pairs)
        assert shown.hidden >= {f"d{n}" for n, size in enumerate(sizes) if size < 5}
        equations = known_ties(shown, len(sizes))
        hidden = [int(name[1:]) for name in shown.hidden]
        secret = (flow > 0) & (flow < FEW) & ~np.eye(len(sizes), dtype=bool)
        secret[hidden] = secret[:, hidden] = True
        open_ = undetermined(equations)
        assert open_[secret.ravel()].all()
        margins = [mask(len(sizes), (place, slice(None))).ravel() for place in hidden]
        margins += [mask(len(sizes), (slice(None), place)).ravel() for place in hidden]
        rank = np.linalg.matrix_rank(equations)
        assert all(np.linalg.matrix_rank(np.vstack([equations, margin])) > rank for margin in margins)
        anything = np.trace(flow) and flow.sum() > np.trace(flow)  # else the totals tell that all is zero
        if turn < 2 and anything and len(hidden) < len(sizes):  # nor by knowing that there are no ties below zero
            for unknown in np.flatnonzero(secret.ravel()):
                assert range_of(equations, flow.ravel().astype(float), int(unknown)) >= 1 - 1e-6


def measured(ties: set[tuple[str, str]], sizes: list[int]) -> SiloReport:
    """Return the silo measures of working ties between people of departments of these sizes."""
    people = [f"p{person}@d{place}" for place, size in enumerate(sizes) for person in range(size)]
    departments = [node.rpartition("@")[2] for node in people]
    return measure(pd.DataFrame({"person": people, "department": departments}), frame_of(ties).assign(weight=1))


def swapped(node: str, places: int) -> str:
    """Return who does the work in another company: so many of d0 and of d1 have changed places."""
    person, _, department = node.rpartition("@d")
    return f"{person}@d{1 - int(department)}" if int(department) < 2 and int(person[1:]) < places else node


@pytest.mark.parametrize("places", [2, 4])
def test_who_of_the_hidden_departments_did_what_changes_no_figure(places: int) -> None:
    sizes = [4, 6, 12, 15, 20, 22]
    ties = {
        (a, b)
        for a, b in at_work(sizes, np.random.default_rng(1), 900)
        if not {"p4@d1", "p5@d1"} & {a, b}  # two more have no part in it
        and (places == 4 or swapped(a, 2) == a or int(b[-1]) > 1)  # as many ties cross in either company
        and (places == 4 or swapped(b, 2) == b or int(a[-1]) > 1)
    }
    other_ties = {(swapped(a, places), swapped(b, places)) for a, b in ties}
    companies = [measured(each, sizes) for each in (ties, other_ties)]
    tables = [each.pairs.set_index(["giving", "receiving"]) for each in companies]
    between = [(a, b) for a, b in tables[0].index if not {a, b} & {"d0", "d1"}]
    told = not np.allclose(*(table.loc[between, "expected"] for table in tables), rtol=1e-6)
    one, other = (suppressed(each.organisation, each.departments, each.pairs) for each in companies)
    assert one.hidden == other.hidden >= {"d0", "d1"}
    assert one.sentence == other.sentence
    assert one.organisation == pytest.approx(other.organisation, rel=1e-9)
    pd.testing.assert_frame_equal(one.departments, other.departments)
    pd.testing.assert_frame_equal(one.pairs, other.pairs)
    expected = one.pairs.set_index(["giving", "receiving"])["expected"].dropna()
    assert len(expected) > 2
    assert np.allclose(expected, tables[0].loc[expected.index, "expected"], rtol=0.1)
    assert told == (places == 2)  # by the figures of the tables


def at_work(sizes: list[int], chance: np.random.Generator, ties: int) -> set[tuple[str, str]]:
    """Return working ties at random between people of departments of these sizes."""
    people = [f"p{person}@d{place}" for place, size in enumerate(sizes) for person in range(size)]
    ends = chance.integers(0, len(people), (ties, 2)).tolist()
    return {(people[a], people[b]) for a, b in ends if a != b}


def frame_of(ties: set[tuple[str, str]]) -> pd.DataFrame:
    return pd.DataFrame(sorted(ties), columns=["producer", "consumer"])


def flow_of(ties: set[tuple[str, str]], size: int) -> npt.NDArray[np.int64]:
    flow = np.zeros((size, size), dtype=np.int64)
    for tie in ties:
        flow[tuple(int(node.rpartition("@d")[2]) for node in tie)] += 1
    return flow


def told_by_two(before: set[tuple[str, str]], after: set[tuple[str, str]], sizes: list[int], *, close: bool,
                later: list[int] | None = None) -> Numbers:  # fmt: skip
    """Return what two snapshots tell together, as equations over the cells of both tables of ties.

    `later` are the people of the second one, if these are others.
    """
    changes = close_to([frame_of(before)], frame_of(after)) if close else set()
    shown = [
        suppressed(dict.fromkeys(TOTALS, 0.4), *tables_of(flow_of(ties, len(sizes)), people), close=hidden)
        for ties, people, hidden in ((before, sizes, set()), (after, later or sizes, changes))
    ]
    first, second = (known_ties(each, len(sizes)) for each in shown)
    apart = [np.zeros((len(first), second.shape[1])), np.zeros((len(second), first.shape[1]))]
    return np.block([[first, apart[0]], [apart[1], second]])


TOTALS = ("cross_share", "cross_share_expected", "silo_index", "cross_share_se")


def free_of(equations: Numbers) -> Numbers:
    """Return the directions in which solutions of these equations differ."""
    _, values, basis = np.linalg.svd(equations)
    return np.asarray(basis[int((values > 1e-9 * values.max()).sum()) :])


def is_told(free: Numbers, place: tuple[Any, Any], size: int) -> bool:
    """Tell whether all solutions agree by how much a sum of cells has changed."""
    change = mask(size, place).ravel()
    return bool(np.abs(free @ np.concatenate([-change, change])).max(initial=0.0) < 1e-9)


@pytest.mark.parametrize("sizes", [[5, 12, 20, 31], [5, 6, 30, 40, 50]], ids=str)
def test_who_joins_a_group_of_five_cannot_be_subtracted_out_of_two_snapshots(sizes: list[int]) -> None:
    attacks = 0
    for turn in range(4):
        chance = np.random.default_rng(turn)
        before = at_work(sizes, chance, 600)
        # Somebody joins the department of five, while in the others work goes on: ties come and go.
        joined = {("zoe@d0", "p0@d2"), ("zoe@d0", "p1@d2"), ("p2@d1", "zoe@d0"), ("zoe@d0", "p3@d0")}
        others = sorted(tie for tie in before if "@d0" not in "".join(tie))
        gone = {others[place] for place in chance.choice(len(others), 40, replace=False)}
        after = (before | joined) - gone
        after |= {tie for tie in at_work(sizes, chance, 80) if "@d0" not in "".join(tie)}
        places = [(0, slice(None)), (slice(None), 0), (0, 0), (0, 2)]
        open_ = free_of(told_by_two(before, after, sizes, close=False))
        attacks += sum(is_told(open_, each, len(sizes)) for each in places)
        free = free_of(told_by_two(before, after, sizes, close=True))
        assert not any(is_told(free, each, len(sizes)) for each in places)
        assert_sums_pass_the_floor(before, after, sizes, free)
        for giving, receiving in close_ties(frame_of(before), frame_of(after)):
            place: tuple[Any, Any] = int(giving[1:]), int(receiving[1:])
            places = [place] if giving != receiving else [(place[0], slice(None)), (slice(None), place[0])]
            assert not any(is_told(free, each, len(sizes)) for each in places), (giving, receiving)
    assert attacks  # without the defence it can be


def assert_sums_pass_the_floor(before: set[tuple[str, str]], after: set[tuple[str, str]], sizes: list[int],
                               free: Numbers) -> None:  # fmt: skip
    """Check what all that is hidden gives, receives and has within it: five people changed it, or nobody."""
    changes = close_to([frame_of(before)], frame_of(after))
    hidden = {
        int(name[1:]) for ties, close in ((before, set()), (after, changes)) for name in hidden_of(ties, sizes, close)
    }
    assert EVERYBODY not in changes
    assert hidden
    moved = [(*((int(node.rpartition("@d")[2])) for node in tie), tie) for tie in before ^ after]
    given = {tie[0] for giving, _, tie in moved if giving in hidden}
    received = {tie[1] for _, receiving, tie in moved if receiving in hidden}
    within = {node for giving, receiving, tie in moved if giving == receiving and giving in hidden for node in tie}
    assert all(len(people) >= 5 or not people for people in (given, received, within, given | received))
    for place in set(range(len(sizes))) - hidden:  # what a department that is shown gives to all these, or receives
        for cell, count in (
            ((place, sorted(hidden)), sum(a == place and b in hidden for a, b, _ in moved)),
            ((sorted(hidden), place), sum(b == place and a in hidden for a, b, _ in moved)),
        ):
            assert count == 0 or count >= FEW or not is_told(free, cell, len(sizes))


def hidden_of(ties: set[tuple[str, str]], sizes: list[int], close: set[tuple[str, str]]) -> frozenset[str]:
    return suppressed(dict.fromkeys(TOTALS, 0.4), *tables_of(flow_of(ties, len(sizes)), sizes), close=close).hidden


def test_what_four_do_after_the_fifth_has_left_cannot_be_subtracted_out_of_two_snapshots() -> None:
    sizes, later = [5, 6, 30, 40], [4, 6, 30, 40]
    for turn in range(3):
        chance = np.random.default_rng(turn)
        before = at_work(sizes, chance, 600)
        after = {tie for tie in before if "p4@d0" not in tie} | at_work(later, chance, 60)
        free = free_of(told_by_two(before, after, sizes, close=True, later=later))
        shown = [people for people in (sizes, later) if "d0" not in hidden_of(before, people, set())]
        assert shown == [sizes]  # its figures of before are known
        assert not any(is_told(free, each, 4) for each in [(0, slice(None)), (slice(None), 0), (0, 0), (0, 2)])


def round_of(department: int, size: int, step: int) -> set[tuple[str, str]]:
    return {(f"p{n}@d{department}", f"p{(n + step) % size}@d{department}") for n in range(size)}


def test_who_joins_is_hidden_among_departments_that_changed_not_among_quiet_ones() -> None:
    sizes = [8, 20, 20, 9]
    before = {tie for place, size in enumerate(sizes) for tie in round_of(place, size, 1)}
    before |= {(f"p{n}@d{a}", f"p{n}@d{b}") for a in range(4) for b in range(4) if a != b for n in range(6)}
    zoe = {("zoe@d0", f"p{n}@d0") for n in range(3)}
    after = before | zoe | round_of(1, 20, 5) | round_of(2, 20, 5)
    changes = close_to([frame_of(before)], frame_of(after))
    assert changes == {("d0", "d0"), ("d1", ""), ("d2", "")}
    assert hidden_of(after, sizes, changes) == {"d0", "d1"}  # not with d3, the next smallest: nothing has changed there
    assert_sums_pass_the_floor(before, after, sizes, free_of(told_by_two(before, after, sizes, close=True)))
    across = after | {("zoe@d0", "p7@d3")}  # of which there is no other that is new
    assert EVERYBODY in close_to([frame_of(before)], frame_of(across))
    befores = [frame_of(before), frame_of(before | round_of(1, 20, 5))]  # since the second one only d2 has changed
    assert ("d1", "") not in close_to(befores, frame_of(after))
    assert EVERYBODY in close_to([*befores, frame_of(before | round_of(2, 20, 5))], frame_of(after))
    assert close_to([frame_of(after)], frame_of(after)) == set()


def read_by(chance: np.random.Generator, sizes: dict[str, int], busy: set[str], times: int) -> list[Read]:
    """Return reads at random by people of these departments, of files of people of any, from two or three sources."""
    owners = [(f"{place}{n}", place) for place in sizes if place for n in range(sizes[place])]
    found = []
    for place in sorted(busy):
        for _ in range(times):
            owner, owning = owners[chance.integers(len(owners))]
            reader = f"{place or 'guest'}{chance.integers(sizes[place])}"
            found.append(
                Read(reader, place, owner, owning, f"s{chance.integers(3)}", "file", int(chance.integers(1, 4)))
            )
    return found


def adopted(reads: list[Read], sizes: dict[str, int], close: list[dict[str, Any]]) -> tuple[set[str], set[str]]:
    """Return the departments and the sources that are shown of these reads."""
    people = {place: {f"{place}{n}" for n in range(size)} for place, size in sizes.items()}
    none = {"audit_read_count": 0, "captured_read_count": 0}
    rows = [row | none for row in by_department(reads, people | {"": set()}, set())]
    departments, _ = shown_departments(totals(reads, set()) | none, rows, close)
    sources = folded(by_source(reads, set()), close)
    return {row["department"] for row in departments}, {row["source_system"] for row in sources}


def told_of_few(before: list[Read], after: list[Read], sizes: dict[str, int], close: list[dict[str, Any]]) -> bool:
    """Tell whether a total without what is shown twice changed by what one to four people did."""
    shown = [adopted(reads, sizes, known) for reads, known in ((before, []), (after, close))]
    told = {"department": shown[0][0] & shown[1][0], "source": shown[0][1] & shown[1][1]}
    parts = [parts_of(reads, set()) for reads in (before, after)]
    changed: dict[tuple[str, str], set[str]] = {}
    for group, person in parts[0].keys() | parts[1].keys():
        kind, name, figure = group
        if kind in told and name not in told[kind] and parts[0].get((group, person)) != parts[1].get((group, person)):
            changed.setdefault((kind, figure), set()).add(person)
    return any(bool(told[kind]) and len(people) < 5 for (kind, _), people in changed.items())


def test_a_total_without_what_is_shown_never_tells_of_few() -> None:
    sizes = {"a": 8, "b": 12, "c": 20, "d": 9, "": 7}
    attacks = seen = 0
    for turn in range(60):
        chance = np.random.default_rng(turn)
        before = read_by(chance, sizes, set(sizes), 60)
        busy = {place for place in sizes if place and chance.random() < 0.5}
        after = before + read_by(chance, sizes, busy, 60) + read_by(chance, sizes | {"a": 9}, {["a", ""][turn % 2]}, 1)
        if turn % 3:  # and people who come to read for the first time, and to be read
            after += [Read(f"e{n}", "c", f"o{n}", "c", f"s{turn % 2}", "file", 1) for n in range(6)]
            after += [Read(f"e{n}", "c", f"d{n}", "d", f"s{turn % 2}", "file", 1) for n in range(6)]
        close = [{"since_no": 1, **row} for row in close_parts(parts_of(before, set()), parts_of(after, set()))]
        attacks += told_of_few(before, after, sizes, [])
        if not any(row["close_kind"] == "everybody" for row in close):
            seen += bool(adopted(after, sizes, close)[0])
            assert not told_of_few(before, after, sizes, close), turn
    assert attacks >= 10
    assert seen >= 5


def test_what_changed_by_too_little() -> None:
    sizes = [20, 20, 20]
    before = at_work(sizes, np.random.default_rng(3), 300)
    assert close_ties(frame_of(before), frame_of(before)) == set()
    one = close_ties(frame_of(before), frame_of(before | {("zoe@d0", "p1@d1")}))
    assert one == {EVERYBODY, ("d0", "d0"), ("d1", "d1"), ("d0", "d1")}
    many = before | {(f"new{n}@d0", f"p{n}@d1") for n in range(5)}
    assert close_ties(frame_of(before), frame_of(many)) == set()
    assert close_ties(frame_of(before), frame_of(many | {("new1@d0", "p1@d2")})) == {("d0", "d2"), ("d2", "d2")}


def test_few_ties_cannot_be_subtracted_out_and_the_rest_is_shown() -> None:
    flow, departments, pairs = company([20] * 6, np.random.default_rng(1))
    flow[:] = 10
    flow[0, 1] = 2
    pairs["ties"] = [flow[a, b] for a in range(6) for b in range(6) if a != b]
    departments["internal"] = 10
    shown = shown_of(departments, pairs)
    assert shown.hidden == frozenset()
    assert int(shown.pairs["withheld"].sum()) == 4  # a rectangle
    assert undetermined(known_ties(shown, 6))[1]
    pairs["ties"] = 10
    assert not shown_of(departments, pairs).pairs["withheld"].any()


def test_departments_are_hidden_together() -> None:
    assert hidden_departments({"a": 5, "b": 9}) == frozenset()
    assert hidden_departments({"a": 4, "b": 9, "c": 30}) == {"a", "b"}
    assert hidden_departments({"a": 2, "b": 2, "c": 9, "d": 30}) == {"a", "b", "c"}
    assert hidden_departments({"a": 3, "b": 3, "c": 9}) == {"a", "b"}
    assert hidden_departments({"a": 9, "b": 9, "c": 9}, small=["c"]) == {"a", "c"}
    assert hidden_departments({"a": 9, "b": 9}, enough=lambda hidden: False) == {"a", "b"}
    with pytest.raises(ValueError, match="below 5"):
        hidden_departments({}, floor=4)


COLUMNS = ("read_count", "cross_received", "cross_given", "audit_read_count", "captured_read_count")
READERS = ([9, 8, 7, 12], [1, 9, 9, 9], [4, 0, 7, 9], [0, 0, 6, 2], [5, 6, 7, 8])


def adopting(
    people: list[int], readers: list[int], outside: int, chance: np.random.Generator
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return figures of adoption over everybody, and those of each department and of people of none."""
    rows: list[dict[str, Any]] = []
    for number, (size, read) in enumerate(zip([*people, 0], [*readers, outside], strict=True)):
        log = int(read * chance.integers(0, 3)) if chance.random() < 0.6 else 0
        figures = [read * int(chance.integers(1, 5)), read, int(chance.integers(0, 4)), log, log // 2]
        if number == len(people):
            figures[1:3] = 0, 0
        row: dict[str, Any] = {"department": f"d{number}" if size else "", "people": size, "readers": read}
        rows.append(row | {"producers": 1} | dict(zip(COLUMNS, figures, strict=True)))
    totals = {name: sum(row[name] for row in rows) for name in COLUMNS}
    organisation = {"reader_count": sum([*readers, outside]), "survey_count": 0, "people_count": sum(people),
                    "bytes_logical": 0, "bytes_distinct": 0, "producer_count": 3, "automatic_entries": 900,
                    "foreign_read_count": 50, "cross_read_count": totals["cross_received"]}  # fmt: skip
    return organisation | totals, rows


@pytest.mark.parametrize("people", [[12, 20, 30, 40], [4, 9, 12, 20], [2, 2, 9, 30]])
@pytest.mark.parametrize("outside", [0, 1, 4, 6])
def test_no_hidden_department_of_adoption_can_be_computed(people: list[int], outside: int) -> None:
    for turn in range(40):
        chance = np.random.default_rng(turn)
        readers = [min(pair) for pair in zip(people, READERS[turn % len(READERS)], strict=True)]
        organisation, rows = adopting(people, readers, outside, chance)
        shown, hidden = shown_departments(organisation, rows)
        told = {row["department"]: row for row in shown}
        assert hidden == len(people) - len(told)
        assert all(row["people"] >= 5 and (row["readers"] >= 5 or not row["readers"]) for row in shown)
        secret = [n for n, row in enumerate(rows) if row["department"] not in told]
        secret = [n for n in secret if rows[n]["department"] or rows[n]["readers"] in range(1, 5)]
        for name in COLUMNS:
            equations = np.array([mask_of(rows, told, name, place) for place in range(len(rows) + 1)])
            if name.startswith("cross"):  # of no department, no read is from one to another
                equations = np.vstack([equations, np.eye(len(rows))[-1]])
            places = [n for n in secret if rows[n]["department"]] if name.startswith("cross") else secret
            assert undetermined(equations)[places].all(), (name, readers)
            hidden_rows = [row for row in rows if row["department"] and row["department"] not in told]
            if told and hidden_rows and sum(row[name] for row in rows) and told_of(shown, name):
                assert sum(row[name] for row in hidden_rows)  # else each has none


def told_of(shown: list[dict[str, Any]], name: str) -> bool:
    return any(row[name] is not None for row in shown)


def mask_of(rows: list[dict[str, Any]], told: dict[str, dict[str, Any]], name: str, place: int) -> Numbers:
    """Return the total, or a department's figure if it is shown, as an equation."""
    if place == len(rows):
        return np.ones(len(rows))
    known = told.get(rows[place]["department"], {}).get(name) is not None
    return np.asarray(np.eye(len(rows))[place] * known)


def test_reads_of_one_guest_are_not_what_remains(monkeypatch: pytest.MonkeyPatch) -> None:
    organisation, rows = adopting([12, 20, 30, 40], [9, 9, 9, 9], 1, np.random.default_rng(0))
    shown, hidden = shown_departments(organisation, rows)
    assert (hidden, len(shown)) == (2, 2)
    made = report_of(monkeypatch, organisation, shown, hidden)
    assert {row[0] for row in made.tables[0].rows} == {row["department"] for row in shown} == {"d2", "d3"}
    old = [row for row in rows if row["department"]]  # snapshots of before have no row of people of no department
    assert shown_departments(organisation, old) == (shown, hidden)
    assert shown_departments(organisation, adopting([12, 20], [9, 9], 0, np.random.default_rng(0))[1])[1] == 2
    complete, rows = adopting([12, 20], [9, 9], 0, np.random.default_rng(0))
    assert shown_departments(complete, rows)[1] == 0


def test_few_readers_leave_no_count_of_what_noted_itself_down(monkeypatch: pytest.MonkeyPatch) -> None:
    organisation, rows = adopting([12, 20], [1, 2], 1, np.random.default_rng(0))
    shown, hidden = shown_departments(organisation, rows)
    made = report_of(monkeypatch, organisation, shown, hidden)
    assert "900" not in " ".join([*made.notes, *made.sentences])
    assert "noted themselves down" in " ".join(report_of(monkeypatch, organisation | {"reader_count": 9}, [], 2).notes)


def report_of(
    monkeypatch: pytest.MonkeyPatch, organisation: dict[str, Any], shown: Iterable[dict[str, Any]], hidden: int
) -> reports.Report:
    more = ("window_days", "content_count", "content_backed_up", "file_count", "question_count", "ask_count",
            "answered_question_count", "answered_ask_count", "manual_entries")  # fmt: skip
    figures = shown_organisation(dict.fromkeys(more, 0) | organisation)
    sources = folded([])
    month = PublishedAdoption(1, date(2026, 5, 31), figures, list(shown), sources, hidden)
    monkeypatch.setattr(reports, "_snapshot", lambda month: 1)
    monkeypatch.setattr(reports, "history", lambda number: [month])
    monkeypatch.setattr(reports, "_silos", lambda number: "")
    return reports.report_of()


def test_where_nothing_is_shared_departments_are_still_listed() -> None:
    _, departments, pairs = company([4, 9, 12, 20], np.random.default_rng(1))
    departments[["given", "received", "internal"]] = 0
    pairs["ties"] = 0
    assert shown_of(departments, pairs).hidden == {"d0", "d1"}
