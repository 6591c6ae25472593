"""Canonical forms: what counts in a content, and what does not."""

from __future__ import annotations

import bz2
import datetime as dt
import gzip
import hashlib
import io
import json
import lzma

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import _documents
from populate.duplicates.forms.cells import cell, text
from populate.duplicates.forms.form import SKETCH, Form, form, hashes_of, similarity, sketched
from populate.duplicates.forms.limited import _checked
from populate.duplicates.forms.recognise import form_of

PLATE = pd.DataFrame(
    {
        "well": [f"{row}{column}" for row in "ABCDEFGH" for column in range(1, 13)],
        "signal": [n / 7 for n in range(96)],
        "count": range(96),
        "good": [n % 3 == 0 for n in range(96)],
        "read at": [pd.Timestamp(2026, 5, 4) + pd.Timedelta(hours=n) for n in range(96)],
        "note": ["" if n % 2 else "très bien" for n in range(96)],
    }
)


@pytest.fixture
def found():  # type: ignore[no-untyped-def]
    def find(content: bytes | str) -> Form:
        data = content.encode() if isinstance(content, str) else content
        return form_of(lambda: io.BytesIO(data), len(data), hashlib.sha256(data).hexdigest())

    return find


def alike(one: Form, other: Form) -> float:
    return similarity(hashes_of(one.sketch), hashes_of(other.sketch))


def saved(table: pd.DataFrame) -> dict[str, bytes]:
    """Return a table as different programs save it."""
    workbook, packed = io.BytesIO(), io.BytesIO()
    table.to_excel(workbook, index=False)
    table.to_parquet(packed)
    csv = table.to_csv(index=False).encode()
    return {
        "csv": csv,
        "windows": b"\xef\xbb\xbf" + csv.replace(b"\n", b"\r\n"),
        "utf-16": csv.decode().encode("utf-16"),
        "tsv": table.to_csv(index=False, sep="\t").encode(),
        "german": table.to_csv(index=False, sep=";", decimal=",").encode(),
        "index": table.to_csv().encode(),
        "rows": table.iloc[::-1].to_csv(index=False).encode(),
        "columns": table[table.columns[::-1]].to_csv(index=False).encode(),
        "xlsx": workbook.getvalue(),
        "xlsx through SharePoint": _documents.through_sharepoint(workbook.getvalue(), "0x0101"),
        "parquet": packed.getvalue(),
        "gz": gzip.compress(csv),
        "bz2": bz2.compress(csv),
        "xz": lzma.compress(csv),
        "zip": _documents.packed({"plate.csv": csv}),
        "xlsx in gz": gzip.compress(workbook.getvalue()),
    }


def test_a_table_says_the_same_however_it_is_saved(found) -> None:  # type: ignore[no-untyped-def]
    forms = {how: found(content) for how, content in saved(PLATE).items()}
    assert {how for how, one in forms.items() if one != forms["csv"]} == set()
    assert (forms["csv"].kind, forms["csv"].elements) == ("table", 96)


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.assign(count=table["count"] + 1),
        lambda table: table.iloc[1:],
        lambda table: pd.concat([table, table.iloc[:1]]),
        lambda table: table.rename(columns={"count": "number"}),
        lambda table: table.assign(signal=table["signal"].to_numpy()[::-1]),
    ],
)
def test_another_table_says_something_else(found, change) -> None:  # type: ignore[no-untyped-def]
    other = change(PLATE)
    assert found(other.to_csv(index=False)).sha256 != found(PLATE.to_csv(index=False)).sha256


def test_one_cell_of_many_leaves_tables_alike(found) -> None:  # type: ignore[no-untyped-def]
    changed = PLATE.astype(object)
    changed.iat[5, 1] = 99
    one, other = found(PLATE.to_csv(index=False)), found(changed.to_csv(index=False))
    assert alike(one, other) == pytest.approx(95 / 97)


def test_tables_of_few_values_are_never_alike(found) -> None:  # type: ignore[no-untyped-def]
    codes = pd.DataFrame({"sex": [n % 2 for n in range(900)], "score": [n % 5 for n in range(900)]})
    assert found(codes.to_csv(index=False)).sketch == ""


def test_a_workbook_of_several_sheets_is_a_set_of_tables(found) -> None:  # type: ignore[no-untyped-def]
    def book(*sheets: pd.DataFrame) -> bytes:
        target = io.BytesIO()
        with pd.ExcelWriter(target, engine="openpyxl") as writer:
            for number, sheet in enumerate(sheets):
                sheet.to_excel(writer, sheet_name=f"{number}", index=False)
        return target.getvalue()

    first, second = PLATE.iloc[:40], PLATE.iloc[40:]
    assert found(book(first, second)) == found(book(second, first))
    assert found(book(first, second)).kind == "workbook"
    assert found(book(first, second)).sha256 != found(book(first, first)).sha256
    assert found(book(PLATE, pd.DataFrame())).sha256 == found(PLATE.to_csv(index=False)).sha256


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, "1.00"), (1.0, "+1"), (0.1, "0.10"), (1e-7, "0.0000001"), (-0.0, "0"), (1 / 3, "0.333333333333"),
        (True, "TRUE"), (None, "NA"), (float("nan"), " "), (dt.date(2026, 5, 4), "2026-05-04"),
        (dt.datetime(2026, 5, 4), "2026-05-04 00:00:00"), (dt.datetime(2026, 5, 4, 8, 30), "2026-05-04T08:30:00.000Z"),
        ("e\u0301", "\u00e9"), ("a ", "a"),
    ],
)  # fmt: skip
def test_one_value_has_one_text(one: object, other: str) -> None:
    assert cell(one) == text(other)


@pytest.mark.parametrize(
    ("one", "other"), [("12345678901234567890", "12345678901234567891"), ("1e400x", "1e400"), ("1,5", "1.5")]
)
def test_other_values_have_other_texts(one: str, other: str) -> None:
    assert text(one) != text(other)


PARAGRAPHS = [f"Step {n}: add {n * 7} ml of buffer {n % 5} to sample {n * 13} and wait." for n in range(40)]


def test_a_document_says_the_same_whoever_saved_it(found) -> None:  # type: ignore[no-untyped-def]
    document = _documents.docx(PARAGRAPHS)
    one = found(document)
    for other in (_documents.through_sharepoint(document, "0x01"), _documents.saved_again(document)):
        assert other != document
        assert found(other) == one
    with_chart = _documents.packed({**_documents.unpacked(document), "word/charts/chart1.xml": "<chart/>"})
    assert found(with_chart).sha256 != one.sha256
    changed = found(_documents.docx([*PARAGRAPHS[:-1], "Stop."]))
    assert changed.sha256 != one.sha256
    assert 0.8 < alike(one, changed) < 1


def test_line_ends_and_layout_of_texts_do_not_count(found) -> None:  # type: ignore[no-untyped-def]
    prose = "\n".join(PARAGRAPHS)
    assert (
        found(prose) == found("\ufeff" + prose.replace("\n", "  \r\n") + "\r\n") == found(gzip.compress(prose.encode()))
    )
    assert found(prose).sha256 != found(prose.replace("wait", "stir")).sha256
    value = {"b": [1, 2, {"c": None}], "a": PARAGRAPHS}
    assert found(json.dumps(value)) == found(json.dumps(value, indent=2, sort_keys=True))


def test_of_anything_else_the_bytes_count(found) -> None:  # type: ignore[no-untyped-def]
    content = bytes(range(256)) * 10
    assert found(content) == Form("bytes", hashlib.sha256(content).hexdigest())
    assert found(gzip.compress(content)) == found(lzma.compress(content)) == found(content)
    parts = {"a.bin": content, "b.bin": content[1:]}
    one = found(_documents.packed(parts))
    assert one == found(_documents.packed(dict(reversed(parts.items())), compression=0))
    assert one.kind == "archive"
    assert one.sha256 != found(_documents.packed({"a.bin": content, "c.bin": content[1:]})).sha256


@given(st.sets(st.integers(0, 400), min_size=1), st.sets(st.integers(0, 400), min_size=1))
def test_a_sketch_tells_how_alike_sets_are(one: set[int], other: set[int]) -> None:
    sketches = [
        sketched(hashlib.sha256(bytes([n % 256, n // 256])).hexdigest()[:12] for n in each)[1] for each in (one, other)
    ]
    true = len(one & other) / len(one | other)
    estimate = similarity(*map(hashes_of, sketches))
    exact = len(one | other) <= SKETCH
    assert estimate == pytest.approx(true) if exact else abs(estimate - true) < 0.25
    assert hashes_of(sketches[0]) == sorted(hashes_of(sketches[0]))


def test_the_order_of_elements_does_not_count_and_their_number_does() -> None:
    assert form("table", ["x"], [b"1", b"2"]) == form("table", ["x"], [b"2", b"1"])
    assert form("table", ["x"], [b"1", b"2"]).sha256 != form("table", ["x"], [b"1", b"2", b"2"]).sha256
    assert form("table", ["x"], [b"1"]).sha256 != form("table", ["y"], [b"1"]).sha256


@pytest.mark.parametrize(
    "reply",
    [
        b"", b"[]", b"{}", b"\xff\n", b'{"kind": "table"}', b'{"kind": "odd", "sha256": ""}',
        b'{"kind": "none", "sha256": "' + b"a" * 64 + b'"}', b'{"kind": "table", "sha256": "x"}',
        b'{"kind": "table", "sha256": "' + b"a" * 64 + b'", "elements": -1}',
        b'{"kind": "table", "sha256": "' + b"a" * 64 + b'", "elements": "5"}',
        b'{"kind": "table", "sha256": "' + b"a" * 64 + b'", "sketch": "\'; DROP"}',
        b'{"kind": "table", "sha256": "' + b"a" * 64 + b'", "sketch": 5}',
    ],
)  # fmt: skip
def test_an_odd_reply_of_the_child_is_no_form(reply: bytes) -> None:
    assert _checked(reply) == Form("none", "", why="the process that parsed it gave no proper answer")
