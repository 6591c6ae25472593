"""Trends, changes and what may be shown."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from populate.insight.publish import FLOOR, hidden_departments, sentence
from populate.insight.trend import change, trend


def test_a_trend_needs_eight_windows() -> None:
    assert trend([0.1 * i for i in range(7)]) is None
    rising = trend([0.1 * i for i in range(8)])
    assert rising is not None
    assert rising.tau == pytest.approx(1.0)
    assert rising.slope == pytest.approx(0.1)
    flat = trend([0.4] * 8)
    assert flat is not None
    assert (flat.tau, flat.p, flat.slope) == (0.0, 1.0, 0.0)


def office(rng: np.random.Generator, chance_across: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    people = pd.DataFrame({"person": range(120), "department": np.repeat(["A", "B", "C"], 40)})
    department = people["department"].to_numpy()
    p, c = np.nonzero(rng.random((120, 120)) < np.where(department[:, None] == department[None, :], 0.1, chance_across))
    ties = pd.DataFrame({"producer": p, "consumer": c})
    return people, ties[ties["producer"] != ties["consumer"]]


def test_a_real_change_is_flagged_and_chance_is_not() -> None:
    rng = np.random.default_rng(5)
    opened = change(office(rng, 0.02), office(rng, 0.06))
    assert opened is not None
    assert opened.flagged
    assert opened.difference > 0
    by_chance = [change(office(rng, 0.04), office(rng, 0.04)) for _ in range(20)]
    assert sum(one.flagged for one in by_chance if one) <= 1


def test_a_window_with_nothing_to_compare() -> None:
    people, ties = office(np.random.default_rng(1), 0.05)
    assert change((people, ties), (people, ties.head(0))) is None
    same = change((people, ties), (people, ties))
    assert same is not None
    assert (same.difference, same.flagged) == (0.0, False)


@given(st.dictionaries(st.text(min_size=1, max_size=3), st.integers(1, 40), max_size=12))
def test_no_department_below_the_floor_is_shown_nor_the_only_one_missing(people: dict[str, int]) -> None:
    hidden = hidden_departments(people)
    assert all(people[name] >= FLOOR for name in set(people) - hidden)
    assert len(hidden) != 1 or len(people) == 1
    if hidden and len(hidden) == 2 and min(people.values()) < FLOOR:
        rest = [people[name] for name in set(people) - hidden]
        assert not rest or max(people[name] for name in hidden) <= min(rest)


def test_a_lower_floor_is_refused() -> None:
    with pytest.raises(ValueError, match="floor"):
        hidden_departments({"A": 3}, floor=4)


def test_the_headline_in_words() -> None:
    figures = {"cross_share": 0.58, "cross_share_expected": 0.95, "silo_index": 0.389, "cross_share_se": 0.01}
    assert sentence(figures) == (
        "58% (± 2%) of working ties cross departments; 95% if people mixed at random: "
        "39% of the sharing that random mixing would give is missing."
    )
    assert "No working ties" in sentence({**figures, "cross_share": None})
