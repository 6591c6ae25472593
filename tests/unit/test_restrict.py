"""Restrictions, as far as they can be judged by the SQL that they become."""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_platform.errors import RestrictionError
from schemas.drivers import MySQL, PostgreSQL
from schemas.engine import dj
from schemas.restrict import where

from datajoint.expression import QueryExpression  # isort: skip
from datajoint.heading import Heading, default_attribute_properties  # isort: skip

TYPES: dict[str, dict[str, Any]] = {
    "label": {"type": "varchar(64)", "string": True},
    "digest": {"type": "char(64)", "string": True},
    "size": {"type": "bigint", "numeric": True},
    "ratio": {"type": "double precision", "original_type": "float64"},
    "native": {"type": "double precision"},
    "dirty": {"type": "tinyint", "numeric": True, "original_type": "bool"},
    "seen_at": {"type": "timestamp(6)", "string": True, "original_type": "datetime(6)"},
    "seen_on": {"type": "date", "string": True},
    "content": {"type": "bytea", "is_blob": True},
    "facts": {"type": "jsonb", "json": True},
    "total": {"type": "expression"},
}
FIVE_HOURS_EAST = dt.timezone(dt.timedelta(hours=5))


class _Offline:
    """What an expression needs of a connection to be written as SQL."""

    def __init__(self, adapter: Any) -> None:
        self.adapter = adapter


def _table(adapter: Any) -> Any:
    table = QueryExpression()
    table._connection = _Offline(adapter)
    table._support = ['"samples"']
    table._heading = Heading([{**default_attribute_properties, "name": name, **spec} for name, spec in TYPES.items()])
    return table


POSTGRESQL, MYSQL = _table(PostgreSQL()), _table(MySQL())
BOTH = pytest.mark.parametrize("table", [POSTGRESQL, MYSQL], ids=["postgresql", "mysql"])


class Kind(enum.StrEnum):
    READ = "read"


class Liar(str):
    """A string that says something else when it is asked."""

    def __str__(self) -> str:
        return "1 OR 1=1"

    def __format__(self, spec: str) -> str:
        return "1 OR 1=1"

    def replace(self, *_: Any) -> str:
        return "' OR 1=1 -- "


class LyingNumber(int):
    def __str__(self) -> str:
        return "1 OR 1=1"

    __repr__ = __str__


class LyingFloat(float):
    def __str__(self) -> str:
        return "1 OR 1=1"

    __repr__ = __str__


class LyingDate(dt.date):
    def isoformat(self) -> str:
        return "' OR 1=1 -- "

    __str__ = isoformat


class LyingTime(dt.datetime):
    def isoformat(self, *_: Any) -> str:
        return "' OR 1=1 -- "

    __str__ = isoformat


class Speaking:
    def __str__(self) -> str:
        return "'x' OR 1=1"


@BOTH
def test_without_a_condition_nothing_is_returned(table: Any) -> None:
    with pytest.raises(RestrictionError, match="at least one condition"):
        where(table)


@BOTH
@pytest.mark.parametrize("name", ["lable", "facts.a", "label ", "LABEL", "1=1", "", "label:varchar"])
def test_an_unknown_attribute_is_refused(table: Any, name: str) -> None:
    with pytest.raises(RestrictionError, match="No attribute"):
        where(table, **{name: "x"})
    with pytest.raises(RestrictionError, match="No attribute"):
        where(table, **{"label": "x", name: "x"})


@BOTH
@pytest.mark.parametrize(
    "value",
    [
        ["x' OR 1=1)) --"],
        {"k": "x' OR 1=1)) --"},
        ("x",),
        {"x"},
        Speaking(),
        b"x",
        bytearray(b"x"),
        Decimal("1"),
        uuid.UUID(int=0),
        dt.time(1),
        dt.timedelta(1),
        np.int64(1),
        np.array(["x"]),
        dj.Not("1=1"),
        dj.Top(1),
        dj.U(),
        POSTGRESQL,
        1j,
        type,
        ...,
    ],
    ids=lambda value: type(value).__name__,
)
def test_only_scalars_are_taken(table: Any, value: Any) -> None:
    for name in TYPES:
        with pytest.raises(RestrictionError):
            where(table, **{name: value})


SAMPLES = ("text", 1, 1.5, True, dt.date(2024, 1, 1), dt.datetime(2024, 1, 1))
TAKES: dict[str, tuple[type, ...]] = {
    "label": (str,),
    "digest": (str,),
    "size": (int, float),
    "ratio": (int, float),
    "native": (int, float),
    "dirty": (bool,),
    "seen_at": (dt.datetime,),
    "seen_on": (dt.date,),
    "content": (),
    "facts": (),
    "total": (str, int, float, bool, dt.date, dt.datetime),
}


@BOTH
@pytest.mark.parametrize("name", TYPES)
def test_a_value_has_to_be_of_its_attributes_kind(table: Any, name: str) -> None:
    for value in SAMPLES:
        if type(value) in TAKES[name]:
            assert name in where(table, **{name: value}).where_clause()
        else:
            with pytest.raises(RestrictionError, match=name):
                where(table, **{name: value})


@BOTH
@pytest.mark.parametrize("name", TYPES)
def test_none_finds_rows_without_a_value(table: Any, name: str) -> None:
    assert where(table, **{name: None}).where_clause().endswith(" IS NULL))")


@BOTH
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 2**63, -(2**63) - 1, 10**5000], ids=type)
def test_numbers_that_no_row_can_hold_are_refused(table: Any, value: float) -> None:
    with pytest.raises(RestrictionError, match="size"):
        where(table, size=value)


@BOTH
@pytest.mark.parametrize("value", ["a\x00b", "\x00", "\ud800", "a\udcff"])
def test_text_that_no_row_can_hold_is_refused(table: Any, value: str) -> None:
    with pytest.raises(RestrictionError, match="label"):
        where(table, label=value)


@BOTH
def test_the_time_that_is_none_is_refused(table: Any) -> None:
    with pytest.raises(RestrictionError, match="seen_at"):
        where(table, seen_at=pd.NaT)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value", "literal"),
    [
        ("label", Kind.READ, "'read'"),
        ("label", Liar("true"), "'true'"),
        ("label", np.str_("x"), "'x'"),
        ("size", LyingNumber(7), "7"),
        ("size", -7, "-7"),
        ("size", LyingFloat(1.5), "1.5"),
        ("size", np.float64(2.5), "2.5"),
        ("size", float(2**62), "4611686018427387904"),
        ("dirty", True, "TRUE"),
        ("dirty", False, "FALSE"),
        ("seen_on", LyingDate(2024, 2, 3), "'2024-02-03'"),
        ("seen_at", LyingTime(2024, 2, 3, 4, 5, 6, 7), "'2024-02-03 04:05:06.000007'"),
        (
            "seen_at",
            dt.datetime(2024, 2, 3, 4, tzinfo=dt.timezone(dt.timedelta(hours=5))),
            "'2024-02-02 23:00:00.000000'",
        ),
        ("seen_at", pd.Timestamp("2024-02-03 04:05:06.5Z"), "'2024-02-03 04:05:06.500000'"),
    ],
)
def test_a_subclass_counts_as_what_it_is_not_as_what_it_says(name: str, value: Any, literal: str) -> None:
    assert where(MYSQL, **{name: value}).where_clause() == f" WHERE ( (`{name}`={literal}))"


def _read_literal(sql: str) -> str:
    """Read a string literal as both databases do, E'…' and '…' with backslashes; fail if it ends before the end."""
    assert sql[0] == sql[-1] == "'"
    inner, read, i = sql[1:-1], [], 0
    while i < len(inner):
        if inner[i] in "'\\":
            assert inner[i + 1] == inner[i], f"the literal ends early: {sql}"
            i += 1
        read.append(inner[i])
        i += 1
    return "".join(read)


@given(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])) | st.text("'\\%s\"`;- "))
def test_text_never_leaves_its_literal(text: str) -> None:
    for table, beginning in ((POSTGRESQL, ' WHERE ( ("label"=E'), (MYSQL, " WHERE ( (`label`=")):
        sql = where(table, label=text).where_clause() % ()  # as the drivers do
        assert sql.startswith(beginning)
        assert sql.endswith("))")
        assert _read_literal(sql[len(beginning) : -2]) == text
