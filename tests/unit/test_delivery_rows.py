"""Rows that fit their tables, whatever a record says."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readers.backlog import Noted
from readers.delivery import Column, _entries, columns, row, text
from schemas import identity
from schemas.declared import attributes
from schemas.sharing import Access, AccessRun

RUN = {"execution_id": "c" * 32, "started_at": "2026-01-02T03:04:05.000006", "host": "labhost", "dirty": True}
RECORD = {
    "event_id": "0123456789abcdef" * 2,
    "accessed_at": "2026-01-02T03:04:06.000007",
    "sequence": 7,
    "known_by": "machine",
    "url": "file:///srv/a.csv",
    "account_realm": "local",
    "account_login": "amy",
}


def noted(record: object, run: object = RUN) -> Noted:
    payload, run_payload = (
        value if isinstance(value, bytes) else json.dumps(value).encode() for value in (record, run)
    )
    return Noted("0-1-a.segment", 64, payload, run_payload)


def only(record: dict[str, Any], run: object = RUN) -> tuple[dict[str, Any], dict[str, Any]]:
    refused: list[str] = []
    (entry,) = _entries([noted(record, run)], lambda _, reason: refused.append(reason))
    assert refused == []
    return entry.row, entry.run


def test_every_column_of_the_tables_is_known() -> None:
    names = [column.name for column in columns(Access)]
    assert names == attributes(Access.definition)
    assert (names[0], names[-1], len(names)) == ("event_id", "set_path", 32)
    assert {column.kind for table in (Access, AccessRun) for column in columns(table)} == {
        "char",
        "varchar",
        "datetime",
        "int64",
        "bool",
    }
    widths = {column.name: column.width for column in columns(Access)}
    assert (widths["url"], widths["item_id"], widths["accessed_at"], widths["access_size"]) == (2048, 4096, 0, 0)


def test_a_bare_record_becomes_a_whole_row() -> None:
    access, run = only(RECORD)
    assert access == {column.name: access[column.name] for column in columns(Access)}
    assert access["execution_id"] == run["execution_id"] == "c" * 32
    assert access["accessed_at"] == datetime(2026, 1, 2, 3, 4, 6, 7)
    assert access["account_id"] == identity.account_id("local", "amy")
    assert (access["outcome"], access["access_size"], access["from_cache"]) == ("ok", -1, False)
    assert (access["file_id"], access["version_id"], access["message"]) == ("", "", "")
    assert run["started_at"] == datetime(2026, 1, 2, 3, 4, 5, 6)
    assert (run["host"], run["dirty"], run["argv"]) == ("labhost", True, "")


def test_identities_follow_from_the_facts() -> None:
    access, _ = only({**RECORD, "source_system": "file/h", "item_id": "/a", "revision": "r", "sha256": "d" * 64})
    assert access["file_id"] == identity.file_id("file/h", "/a")
    assert access["version_id"] == identity.version_id("r", "d" * 64)


def test_identities_that_the_record_brings_count() -> None:
    brought = {
        "item_id": "cut",
        "sha256": "d" * 64,
        "file_id": "1" * 32,
        "version_id": "2" * 32,
        "account_id": "3" * 32,
    }
    access, _ = only({**RECORD, **brought})
    assert (access["file_id"], access["version_id"], access["account_id"]) == ("1" * 32, "2" * 32, "3" * 32)


def test_identities_are_those_of_the_raw_text() -> None:
    name = "caf\udce9\ud800.csv"
    access, _ = only({**RECORD, "source_system": "file/h", "item_id": name})
    assert access["file_id"] == identity.file_id("file/h", name)
    access["item_id"].encode("utf-8")  # storable


def test_unknown_facts_are_left_out() -> None:
    access, run = only({**RECORD, "invented": 1, "batch_id": "x"}, {**RUN, "invented": []})
    assert "invented" not in access
    assert "batch_id" not in access
    assert "invented" not in run


def test_times_of_other_zones_become_utc() -> None:
    access, _ = only({**RECORD, "accessed_at": "2026-01-02T05:04:06.000007+02:00"})
    assert access["accessed_at"] == datetime(2026, 1, 2, 3, 4, 6, 7)


@pytest.mark.parametrize("run", [b"", b"{", b"[]", {}, {"execution_id": "short"}, {**RUN, "started_at": "soon"}])
def test_an_access_whose_run_is_unreadable_is_delivered_all_the_same(run: object) -> None:
    access, unknown = only(RECORD, run)
    assert access["execution_id"] == unknown["execution_id"] == identity.identity("execution", "0-1-a.segment")
    assert unknown["started_at"] == access["accessed_at"]


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"{",
        b"[1]",
        b"null",
        b"\xff",
        {},
        {**RECORD, "event_id": None},
        {**RECORD, "event_id": "0" * 31},
        {**RECORD, "event_id": "Z" * 32},
        {**RECORD, "event_id": 12},
        {**RECORD, "accessed_at": "yesterday"},
        {**RECORD, "accessed_at": 12},
        {**RECORD, "sequence": "many"},
        {**RECORD, "access_size": [1]},
        {**RECORD, "sha256": 12},
        b"[" * 100_000,
    ],
)
def test_a_record_that_makes_no_sense_is_set_aside_and_the_next_goes_on(record: object) -> None:
    refused: list[Noted] = []
    bad = noted(record)
    entries = _entries([bad, noted(RECORD)], lambda event, _: refused.append(event))
    assert refused == [bad]
    assert [entry.row["event_id"] for entry in entries] == [RECORD["event_id"]]


def test_an_access_that_is_there_twice_counts_once() -> None:
    assert len(_entries([noted(RECORD), noted(RECORD)], lambda *_: None)) == 1


@pytest.mark.parametrize(
    ("fact", "stored"),
    [
        (None, ""),
        ("", ""),
        ("plain", "plain"),
        ("a\0b", "a\\x00b"),
        ("caf\udce9", "caf\\xe9"),
        ("x" * 20, "x" * 10),
        ("ü" * 20, "ü" * 10),
        ("😀" * 20, "😀" * 10),
        (["a"], '["a"]'),
        (12, "12"),
    ],
)
def test_text_is_made_storable_and_cut(fact: object, stored: str) -> None:
    assert text(fact, 10) == stored


def test_numbers_stay_within_their_column() -> None:
    column = (Column("n", "int64", 0, None),)
    assert row(column, {"n": 10**30}) == {"n": 2**63 - 1}
    assert row(column, {"n": -(10**30)}) == {"n": -(2**63 - 1)}
    assert row(column, {}) == {"n": 0}


@given(st.dictionaries(st.sampled_from([c.name for c in columns(Access)]), st.none() | st.text() | st.integers()))
@settings(max_examples=200, deadline=None)
def test_whatever_a_record_says_its_row_fits_or_it_is_set_aside(facts: dict[str, Any]) -> None:
    refused: list[Noted] = []
    entries = _entries([noted({**RECORD, **facts})], lambda event, _: refused.append(event))
    assert len(entries) + len(refused) == 1
    for entry in entries:
        for column in columns(Access):
            value = entry.row[column.name]
            if column.width:
                assert len(value) <= column.width
                assert "\0" not in value
                value.encode("utf-8")
