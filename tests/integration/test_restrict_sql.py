"""Restrictions on a real database: they find what a filter in Python finds, and nothing gets through them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from data_platform.errors import RestrictionError
from schemas.binding import Binding
from schemas.declared import declare
from schemas.engine import dj
from schemas.restrict import where

HOSTILE = (
    "",
    " ",
    "plain",
    "Plain",
    "C:\\data\\x.csv",
    "C:\\data",
    "\\",
    "\\\\",
    "\\'",
    "'",
    "''",
    '"',
    "x' OR 1=1)) --",
    "x\\' OR 1=1)) --",
    "%",
    "%%",
    "%s",
    "%(label)s",
    "100%",
    "{}",
    "`",
    "a;b",
    "-- a",
    "/* a",
    "$$",
    "\n",
    "\t",
    "ä",
    "a\u0308",
    "😀",
    "\x01",
    "E'a'",
    "NULL",
    "x\\",
)
INTEGERS = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
DATES = st.dates()
TIMES = st.datetimes()
TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=40)
ROWS: list[dict[str, Any]] = [
    {
        "sample_id": number,
        "label": label,
        "count": (0, 1, -1, 2**63 - 1, -(2**63), 2**53 + 1)[number % 6],
        "ratio": (0.0, 0.1, -1e300, 5e-324, 1 / 3, float(2**62))[number % 6],
        "dirty": number % 2 == 0,
        "seen_on": dt.date(1 + 2000 * (number % 2), 2, 28) + dt.timedelta(number),
        "seen_at": dt.datetime(9999 - number, 12, 31, 23, 59, 59, 999_999 - number % 3),
        "note": None if number % 3 else label,
    }
    for number, label in enumerate(HOSTILE)
]


class Sample(dj.Manual):
    definition = """
    # An attribute of each kind
    sample_id : int32
    ---
    label : varchar(64)
    count : int64
    ratio : float64
    dirty : bool
    seen_on : date
    seen_at : datetime(6)
    note=null : varchar(64)
    facts=null : json
    """


@pytest.fixture
def samples(binding: Binding) -> Iterator[Any]:
    schema = dj.Schema()
    schema(Sample)
    name = f"{binding.settings.database.prefix}_samples"
    declare(binding.connection, name, schema)
    Sample.insert(ROWS)
    yield Sample
    schema.drop(prompt=False)


def _found(expression: Any) -> list[int]:
    return sorted(int(number) for number in expression.to_arrays("sample_id"))


def _filtered(name: str, value: object) -> list[int]:
    return [row["sample_id"] for row in ROWS if row[name] == value]


CONDITIONS = st.one_of(
    st.tuples(st.sampled_from(["label", "note"]), st.sampled_from(HOSTILE) | TEXTS),
    st.tuples(st.just("note"), st.none()),
    st.tuples(st.just("count"), st.sampled_from([row["count"] for row in ROWS]) | INTEGERS | FLOATS),
    st.tuples(st.just("ratio"), st.sampled_from([row["ratio"] for row in ROWS]) | FLOATS),
    st.tuples(st.just("dirty"), st.booleans()),
    st.tuples(st.just("seen_on"), st.sampled_from([row["seen_on"] for row in ROWS]) | DATES),
    st.tuples(st.just("seen_at"), st.sampled_from([row["seen_at"] for row in ROWS]) | TIMES),
)


def test_a_restriction_finds_what_a_filter_finds(samples: Any) -> None:
    @settings(max_examples=600)
    @given(st.lists(CONDITIONS, min_size=1, max_size=3, unique_by=lambda condition: condition[0]))
    @example([("label", "C:\\data\\x.csv")])
    @example([("label", "x' OR 1=1)) --"), ("note", None)])
    def check(conditions: list[tuple[str, Any]]) -> None:
        expected = set(range(len(ROWS)))
        for name, value in conditions:
            expected &= set(_filtered(name, value))
        assert _found(where(samples, **dict(conditions))) == sorted(expected)

    check()


def test_every_text_finds_itself_and_nothing_else(samples: Any) -> None:
    everything = set(range(len(ROWS)))
    for number, label in enumerate(HOSTILE):
        assert _found(where(samples, label=label)) == [number]
        assert set(_found(samples - where(samples, label=label).proj())) == everything - {number}


class _Speaking:
    def __str__(self) -> str:
        return "'x' OR 1=1"


# The attacks on DataJoint itself (SECURITY, row 15): each is shown to work there, and to fail here.
ATTACKS: dict[str, dict[str, Any]] = {
    "list": {"label": ["x' OR 1=1)) --"]},
    "dict on a path": {"facts.a": {"k": "x' OR 1=1)) --"}},
    "object": {"label": _Speaking()},
    "misspelt": {"lable": "plain"},
}


@pytest.mark.parametrize("backend", ["postgresql"])
def test_what_gets_through_datajoint_does_not_get_through_here(samples: Any) -> None:
    for name, attack in ATTACKS.items():
        assert len(samples & attack) == len(ROWS), f"the attack by {name} did not happen"
        with pytest.raises(RestrictionError):
            where(samples, **attack)


@pytest.mark.parametrize("backend", ["postgresql"])
def test_a_backslash_that_datajoint_never_finds_is_found(samples: Any) -> None:
    assert len(samples & {"label": "C:\\data\\x.csv"}) == 0, "DataJoint was mended: where() can be simpler"
    assert len(where(samples, label="C:\\data\\x.csv")) == 1


def test_a_restriction_holds_in_projections_and_aggregations(samples: Any) -> None:
    renamed = samples.proj(name="label", doubled="count*0+2")
    assert _found(where(renamed, name="\\'")) == [HOSTILE.index("\\'")]
    assert len(where(renamed, doubled=2)) == len(ROWS)
    with pytest.raises(RestrictionError):
        where(renamed, label="x")
    counted = dj.U("dirty").aggr(samples, rows="count(*)")
    assert len(where(counted, rows=len(ROWS) // 2)) == 2
    assert len(where(counted, dirty=True, rows=len(ROWS) // 2)) == 1
    first = samples & dj.Top(3, "sample_id")
    assert _found(where(first, label="plain")) == [2]
    assert _found(where(first, label="Plain")) == []


def test_a_time_with_a_zone_is_found_as_utc(samples: Any) -> None:
    east = dt.timezone(dt.timedelta(hours=9, minutes=30))
    stored = ROWS[7]["seen_at"].replace(tzinfo=dt.UTC)
    assert _found(where(samples, seen_at=stored.astimezone(east))) == [7]
    assert _found(where(samples, seen_at=stored.replace(tzinfo=east))) == []


def test_a_class_and_an_instance_are_restricted_alike(samples: Any) -> None:
    assert _found(where(samples, sample_id=3)) == _found(where(samples(), sample_id=3)) == [3]


@pytest.mark.parametrize("backend", ["postgresql"])
def test_the_server_reads_literals_alike_whatever_it_is_set_to(samples: Any, binding: Binding) -> None:
    for setting in ("off", "on"):
        binding.connection.query(f"SET standard_conforming_strings = {setting}")
        for label in HOSTILE:
            assert _found(where(samples, label=label)) == [HOSTILE.index(label)]
