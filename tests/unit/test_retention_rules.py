"""Which contents there is a reason to keep."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from populate.retention.rules import (
    DAYS,
    EVERYTHING,
    NO_FILE,
    VERSIONS,
    FileFacts,
    Hold,
    Known,
    Rule,
    State,
    reason_to_keep,
)

NOW = datetime(2026, 6, 1)
CONTENT = "ab" * 32
PLATE = FileFacts(
    "nfs:filer/lab",
    department="Imaging",
    tags=frozenset({"raw"}),
    paths=frozenset({"/lab/plates/1.csv", "/old/1.csv"}),
    owners=frozenset({"amy", "brendan"}),
    departments=frozenset({"Imaging", "Screening"}),
)
OTHER = FileFacts("s3:store")


def kept(*states: State, rules: tuple[Rule, ...] = (), holds: tuple[Hold, ...] = ()) -> str:
    return reason_to_keep(CONTENT, Known(states), rules, holds, NOW)


def days_ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


@pytest.mark.parametrize(
    ("rule", "stays", "goes"),
    [
        (Rule(1, VERSIONS, 3), State(PLATE, newer=2), State(PLATE, newer=3)),
        (Rule(1, DAYS, 30), State(PLATE, used_at=days_ago(29)), State(PLATE, used_at=days_ago(31))),
        (Rule(1, VERSIONS, 1, source="nfs:filer/lab"), State(OTHER, newer=9), State(PLATE, newer=9)),
        (Rule(1, VERSIONS, 1, department="imaging"), State(OTHER, newer=9), State(PLATE, newer=9)),
        (Rule(1, VERSIONS, 1, tag="raw"), State(OTHER, newer=9), State(PLATE, newer=9)),
    ],
)
def test_a_rule_lets_go_what_it_covers_and_nothing_else(rule: Rule, stays: State, goes: State) -> None:
    assert kept(goes)
    assert kept(stays, rules=(rule,))
    assert not kept(goes, rules=(rule,))
    assert kept(goes, stays, rules=(rule,))  # another file has it, too
    assert kept(goes, rules=(rule, Rule(2, EVERYTHING)))  # the most generous one decides
    assert str(rule) in kept(stays, rules=(rule,)) or stays.file is OTHER


def test_what_is_not_known_is_a_reason_to_keep() -> None:
    rules = (Rule(1, VERSIONS, 1), Rule(2, DAYS, 1))
    assert kept() == NO_FILE
    assert kept(State(PLATE, newer=None, used_at=days_ago(99)), rules=rules)
    assert kept(State(PLATE, newer=9, used_at=None), rules=rules)
    assert kept(State(PLATE, newer=9, used_at=days_ago(99), pending=True), rules=rules)
    assert not kept(State(PLATE, newer=9, used_at=days_ago(99)), rules=rules)
    mentioned = Known([State(PLATE, newer=9, used_at=days_ago(99))], {"an output"})
    assert reason_to_keep(CONTENT, mentioned, rules, (), NOW) == "an output"


@pytest.mark.parametrize(
    ("hold", "covers"),
    [
        (Hold(1, "case"), True),
        (Hold(1, "case", sha256=CONTENT), True),
        (Hold(1, "case", sha256="cd" * 32), False),
        (Hold(1, "case", below="/old/"), True),
        (Hold(1, "case", below="/lab/plates/1.csv"), True),
        (Hold(1, "case", below="/lab/pla"), False),
        (Hold(1, "case", below="/"), True),
        (Hold(1, "case", owner="brendan", department="screening"), True),
        (Hold(1, "case", owner="carol"), False),
        (Hold(1, "case", owner="amy", source="s3:store"), False),
        (Hold(1, "case", tag="raw", sha256=CONTENT), True),
    ],
)
def test_a_hold_overrides_every_rule_for_what_fulfils_all_its_conditions(hold: Hold, covers: bool) -> None:
    old = State(PLATE, newer=99, used_at=days_ago(999))
    assert bool(kept(old, rules=(Rule(1, VERSIONS, 1), Rule(2, DAYS, 1)), holds=(hold,))) is covers


rules = st.builds(
    Rule,
    st.integers(1, 9),
    st.sampled_from([VERSIONS, DAYS, EVERYTHING]),
    st.integers(1, 5),
    source=st.sampled_from(["", PLATE.source, OTHER.source]),
    tag=st.sampled_from(["", "raw"]),
)
ages = st.none() | st.integers(0, 9).map(days_ago)
states = st.builds(State, st.sampled_from([PLATE, OTHER]), st.none() | st.integers(0, 9), ages, st.booleans())


@given(st.lists(states, max_size=4), states, st.lists(rules, max_size=4))
def test_a_further_reference_never_lets_a_content_go(some: list[State], one: State, laws: list[Rule]) -> None:
    if kept(*some, rules=tuple(laws)) and some:
        assert kept(*some, one, rules=tuple(laws))
        assert kept(*some, one, rules=tuple(laws), holds=(Hold(1, "case"),))
