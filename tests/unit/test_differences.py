"""Differences between two contents: rows and columns of tables, lines of texts; and what a limited process may say."""

from __future__ import annotations

import io
import json
import random
import tempfile
from difflib import unified_diff

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from populate.page import lines
from populate.page.reply import OpaqueDifference, SheetDifference, TableDifference, TextDifference, _difference
from populate.page.task import answer

PLATE = pd.DataFrame({"well": ["A1", "A2", "A3", "A4"], "signal": [1.0, 2.5, 3.0, 4.0], "note": ["", "x", "y", "z"]})


def between(before: bytes, after: bytes) -> TableDifference | TextDifference | OpaqueDifference:
    with tempfile.TemporaryFile() as file:
        file.write(before + after)
        file.flush()
        question = {"sizes": [len(before), len(after)], "sha256": ["a" * 64, "b" * 64]}
        said = answer(lambda: open(file.fileno(), "rb", closefd=False), question)  # noqa: SIM115 - `answer` closes it
    return _difference.validate_json(json.dumps(said))


def sheet(before: pd.DataFrame, after: pd.DataFrame) -> SheetDifference:
    found = between(before.to_csv(index=False).encode(), after.to_csv(index=False).encode())
    assert isinstance(found, TableDifference)
    return found.sheets[0]


def workbook(**sheets: pd.DataFrame) -> bytes:
    target = io.BytesIO()
    with pd.ExcelWriter(target, engine="openpyxl") as writer:
        for name, table in sheets.items():
            table.to_excel(writer, sheet_name=name, index=False)
    return target.getvalue()


def test_rows_are_found_again_by_a_key_whatever_their_order() -> None:
    after = PLATE.iloc[::-1].assign(quality="good").drop(columns="note")
    after.loc[1, "signal"] = 2.75
    after = pd.concat([after.drop(index=0), pd.DataFrame([{"well": "B1", "signal": 9.0, "quality": "poor"}])])
    found = sheet(PLATE, after)
    assert (found.key, found.columns_added, found.columns_removed) == (("well",), ("quality",), ("note",))
    assert (found.rows_old, found.rows_new, found.rows_added, found.rows_removed, found.rows_changed) == (4, 4, 1, 1, 1)
    assert found.added == (("B1", "9.0", "poor"),)
    assert found.removed == (("A1", "1.0", ""),)
    assert found.changed[0].key == ("A2",)
    assert found.changed[0].cells == (("signal", "2.5", "2.75"),)
    assert found.cells_changed == (("signal", 1),)
    assert not found.alike


def test_columns_are_told_apart_whatever_they_are_called() -> None:
    found = between(b"a,a (2),a\n1,2,3\n4,5,6\n", b"a,a (2),a\n1,2,3\n4,5,7\n")
    assert isinstance(found, TableDifference)
    assert found.sheets[0].new_columns == ("a", "a (2)", "a (3)")
    assert found.sheets[0].changed[0].cells == (("a (3)", "6", "7"),)
    many = ",".join(["a"] * 15_000).encode()
    assert between(many + b"\n", many + b"\n" + many + b"\n").kind == "table"


def test_a_key_may_have_two_columns_or_there_may_be_none() -> None:
    pairs = pd.DataFrame({"plate": [1, 1, 2, 2], "well": ["A", "B", "A", "B"], "value": [5, 5, 5, 5]})
    changed = pairs.assign(value=[5, 5, 5, 6])
    found = sheet(pairs, changed)
    assert (found.key, found.rows_changed) == (("plate", "well"), 1)
    repeated = pd.DataFrame({"a": ["x", "x", "y", "y"], "b": ["1", "1", "1", "1"]})
    found = sheet(repeated, repeated.iloc[[2, 0, 3]])
    assert (found.key, found.rows_added, found.rows_removed, found.removed) == ((), 0, 1, (("x", "1"),))
    other = sheet(repeated, pd.DataFrame({"c": [1, 2], "d": [3, 4]}))
    assert (other.rows_added, other.rows_removed, other.columns_removed) == (2, 4, ("a", "b"))


def test_what_a_table_was_saved_as_is_no_difference() -> None:
    packed = io.BytesIO()
    PLATE.to_parquet(packed)
    for saved in (PLATE.to_csv(index=False, sep=";", decimal=",").encode(), workbook(x=PLATE), packed.getvalue()):
        found = between(PLATE.to_csv(index=False).encode(), saved)
        assert isinstance(found, TableDifference)
        assert found.alike


def test_sheets_are_compared_by_their_names() -> None:
    found = between(workbook(one=PLATE, two=PLATE), workbook(three=PLATE, one=PLATE.iloc[1:]))
    assert isinstance(found, TableDifference)
    assert (found.sheets_added, found.sheets_removed) == (("three",), ("two",))
    assert [(one.name, one.rows_removed) for one in found.sheets] == [("one", 1)]


def test_texts_are_compared_by_lines_and_other_things_not() -> None:
    old = "\n".join(f"line {n} of this" for n in range(40))
    found = between(old.encode(), old.replace("line 20 of this", "line twenty\nand more").encode())
    assert isinstance(found, TextDifference)
    assert (found.lines_added, found.lines_removed, found.cut) == (2, 1, False)
    assert found.unified == (
        *("@@ -18,7 +18,8 @@", " line 17 of this", " line 18 of this", " line 19 of this", "-line 20 of this"),
        *("+line twenty", "+and more", " line 21 of this", " line 22 of this", " line 23 of this"),
    )
    opaque = between(bytes(range(256)), b"text, and more")
    assert isinstance(opaque, OpaqueDifference)
    assert opaque.why
    table_and_text = between(b"a,b\n1,2\n", b"a,b\n1,2\n3\n")
    assert isinstance(table_and_text, TextDifference)


@given(st.lists(st.sampled_from("abc"), max_size=12), st.lists(st.sampled_from("abc"), max_size=12))
def test_the_diff_of_lines_is_a_unified_diff(old: list[str], new: list[str]) -> None:
    found = lines.difference("\n".join(old), "\n".join(new))
    assert len(old) - found["lines_removed"] == len(new) - found["lines_added"]
    assert (found["unified"] == []) == (old == new)
    assert sum(line.startswith("-") for line in found["unified"]) == found["lines_removed"]
    kept = [line[1:] for line in found["unified"] if line[0] in " +"]
    if old and new and len(new) < 4:  # all is in one hunk
        assert not kept or kept == new
    assert len([*unified_diff(old, new)]) == 0 or found["unified"]


def test_long_texts_are_counted() -> None:
    numbers = [f"{n}" for n in range(6000)]
    shuffled = random.Random(1).sample(numbers, len(numbers))
    found = lines.difference("\n".join(numbers), "\n".join(["new", *shuffled]))
    assert (found["lines_added"], found["lines_removed"], found["unified"], found["cut"]) == (1, 0, [], True)


@pytest.mark.parametrize("reply", [b"", b"{}", b'{"kind": "text", "lines_added": -1}', b'{"kind": "opaque", "why": 1}'])
def test_an_odd_reply_of_the_child_is_no_difference(reply: bytes) -> None:
    with pytest.raises(ValidationError):
        _difference.validate_json(reply)
