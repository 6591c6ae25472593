"""Tables that are taken away do no harm where they are opened, and lose nothing."""

from __future__ import annotations

import csv
from io import BytesIO, StringIO

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.parts.exports import FORMULA, csv_of, harmless, parquet_of

FORMULAS = ("=1+1", "+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", " =HYPERLINK(1)", "＝1", "\n=1", "=cmd|' /C calc'!A0")


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_begins_as_a_formula(text: str) -> None:
    assert harmless(text) == f"'{text}"


@pytest.mark.parametrize("value", ["plate.csv", "a=b", "", -1, 1.5, None, True, pd.Timestamp("2026-11-29")])
def test_everything_else_stays_as_it_is(value: object) -> None:
    assert harmless(value) is value


@given(st.lists(st.text(), min_size=1, max_size=5))
def test_whatever_is_written_no_spreadsheet_calculates_it(texts: list[str]) -> None:
    frame = pd.DataFrame({"=name": pd.Series(texts, dtype=object), "readers": [["=x", "amy"]] * len(texts)})
    data = csv_of(frame)
    assert data.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(StringIO(data.decode("utf-8-sig"), newline="")))
    assert rows[0] == ["'=name", "readers"]
    assert len(rows) == 1 + len(texts)
    assert not [cell for row in rows for cell in row if cell.startswith(FORMULA)]
    assert {row[1] for row in rows[1:]} == {"'=x, amy"}


def test_numbers_below_nothing_stay_numbers() -> None:
    assert csv_of(pd.DataFrame({"change": [-3]})).decode("utf-8-sig").splitlines() == ["change", "-3"]


def test_parquet_holds_what_was_shown() -> None:
    frame = pd.DataFrame({"name": ["=1+1", "b"], "size": [1, 2], "at": pd.to_datetime(["2026-11-29", None])})
    assert pd.read_parquet(BytesIO(parquet_of(frame))).equals(frame)
