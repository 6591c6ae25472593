"""Profiles of columns: types, missing, ranges, and values where they are few; and what a limited process may say."""

from __future__ import annotations

import io
import json

import pandas as pd
import pytest

from populate.duplicates.forms.limited import Limits
from populate.profile.columns import Column
from populate.profile.reply import ContentSaid, Profiles
from populate.profile.task import answer


def column(*values: str, comma: bool = False) -> dict[str, object]:
    made = Column("x", comma)
    for value in values:
        made.add([value])
    return made.told()


@pytest.mark.parametrize(
    ("values", "kind", "least", "greatest", "missing"),
    [
        (["3", "-10", "NA", "2"], "integer", "-10", "3", 1),
        (["1.5", "1e3", "", " "], "number", "1.5", "1000", 2),
        (["007", "008"], "text", "", "", 0),
        (["true", "FALSE", "null"], "truth", "", "", 1),
        (["2026-05-04", "2025-01-01"], "date", "2025-01-01", "2026-05-04", 0),
        (["2026-05-04", "2026-05-04T10:30"], "time", "2026-05-04", "2026-05-04 10:30:00", 0),
        (["1", "2", "n.d."], "text", "", "", 0),
        (["", "NaN"], "empty", "", "", 2),
    ],
)
def test_a_column_has_a_type_and_a_range(values: list[str], kind: str, least: str, greatest: str, missing: int) -> None:
    told = column(*values)
    assert (told["type"], told["least"], told["greatest"], told["missing"]) == (kind, least, greatest, missing)


def test_values_are_told_where_they_are_few_and_repeated() -> None:
    assert column("b", "a", "a")["values"] == [["a", 2], ["b", 1]]
    assert column("a", "b")["values"] == []
    assert column(*[f"{n}" for n in range(21)] * 2)["values"] == []
    assert column(*[f"{n}" for n in range(1001)])["distinct"] == -1
    assert column("1,5", "2,5", comma=True)["greatest"] == "2.5"


def profile(content: bytes) -> ContentSaid:
    said = answer(lambda: io.BytesIO(content), {"size": len(content), "sha256": "a" * 64})
    return ContentSaid.model_validate_json(json.dumps(said))


def test_a_table_has_one_profile_however_it_is_saved() -> None:
    table = pd.DataFrame({"well": ["A1", "A1", "B2"], "n": [1, 2, 30], "day": pd.to_datetime(["2026-05-04"] * 3)})
    workbook, packed = io.BytesIO(), io.BytesIO()
    table.to_excel(workbook, index=False)
    table.to_parquet(packed)
    lines = "\n".join(json.dumps({**row, "day": "2026-05-04"}) for row in table.to_dict("records"))
    found = [profile(data) for data in (table.to_csv(index=False).encode(), workbook.getvalue(), packed.getvalue())]
    found += [profile(lines.encode()), profile(f"[{','.join(lines.splitlines())}]".encode())]
    assert [one.kind for one in found] == ["table", "workbook", "table", "table", "table"]
    assert {one.sheets[0].model_copy(update={"name": ""}).model_dump_json() for one in found} == {
        found[0].sheets[0].model_dump_json()
    }
    (sheet,) = found[0].sheets
    assert (sheet.rows, sheet.width, sheet.first[0]) == (3, 3, ["A1", "1", "2026-05-04"])
    assert [one.type for one in sheet.columns] == ["text", "integer", "date"]
    assert sheet.columns[0].values == [("A1", 2), ("B2", 1)]


def test_what_is_no_table_says_so() -> None:
    assert profile(b'[{"a": "\\ud800"}, {"a": "b"}]').sheets[0].first == [["?"], ["b"]]
    text = profile(b"first line\nand\ta second\n")
    assert (text.kind, text.sheets[0].rows, text.sheets[0].first[0]) == ("text", 2, ["first line"])
    assert profile(b'{"a": 1}').kind == "json"
    assert profile(bytes(range(256))).kind == "bytes"
    assert profile(b"PAR1 and nothing").why.startswith("ArrowInvalid")
    wide = profile((",".join(f"c{n}" for n in range(300)) + "\n" + ",".join("1" * 300) + "\n").encode())
    assert (wide.sheets[0].width, len(wide.sheets[0].columns), len(wide.sheets[0].first[0])) == (300, 200, 30)


@pytest.mark.parametrize(
    "reply",
    [
        b"", b"[]", b"{}", b"\xff\n", b'{"kind": "odd", "why": ""}', b'{"kind": "text", "why": 5}',
        b'{"kind": "text", "why": "", "extra": 1}', b'{"kind": "none", "why": "' + b"x" * 300 + b'"}',
        b'{"kind": "table", "why": "", "sheets": [{"rows": -1}]}',
    ],
)  # fmt: skip
def test_an_odd_reply_of_the_child_is_no_profile(reply: bytes, tmp_path) -> None:  # type: ignore[no-untyped-def]
    assert Profiles(Limits(1, 1, 1), tmp_path)._checked(reply) is None


@pytest.mark.parametrize("value", [["A1"], ["A1", 2, 3], [2, "A1"], ["A1", "2"]])
def test_what_is_counted_is_a_text_and_its_number(value: list[object], tmp_path) -> None:  # type: ignore[no-untyped-def]
    said = profile(b"well,n\nA1,1\nA1,2\nB2,3\n").model_dump()
    assert Profiles(Limits(1, 1, 1), tmp_path)._checked(json.dumps(said).encode()) is not None
    said["sheets"][0]["columns"][0]["values"] = [value]
    assert Profiles(Limits(1, 1, 1), tmp_path)._checked(json.dumps(said).encode()) is None


def test_what_a_child_says_steers_no_screen(tmp_path) -> None:  # type: ignore[no-untyped-def]
    reply = json.dumps({"kind": "bytes", "why": "a\x1b[2J\x00b"}).encode()
    said = Profiles(Limits(1, 1, 1), tmp_path)._checked(reply)
    assert said is not None
    assert said.why.isprintable()
