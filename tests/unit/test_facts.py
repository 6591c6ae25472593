"""Rows from accesses: what each table gets, and that neither order nor odd records change it."""

from __future__ import annotations

import random
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from populate import facts
from schemas.identity import account_id, file_id, name_id, version_id

SHA = "a" * 64


def access(**changes: Any) -> dict[str, Any]:
    """Return a sound access: Amy read Brendan's file."""
    row = {
        "accessed_at": datetime(2026, 3, 1, 23, 59, 59, 999999),
        "outcome": "ok",
        "account_realm": "acme",
        "account_login": "amy",
        "on_behalf_of": "",
        "source_system": "file/lab",
        "source_kind": "file",
        "item_id": "/data/plate 1.csv",
        "file_id": file_id("file/lab", "/data/plate 1.csv"),
        "file_name": "plate 1.csv",
        "file_path": "/data/plate 1.csv",
        "owner_realm": "acme",
        "owner_login": "brendan",
        "revision": "r1",
        "version_id": version_id("r1", SHA),
        "sha256": SHA,
        "access_size": 12,
        "set_file_id": "",
        "set_version_id": "",
        "set_path": "",
    } | changes
    return facts.sound(row)


def run(**changes: Any) -> dict[str, Any]:
    return {
        "batch_id": "b" * 32,
        "execution_id": "e" * 32,
        "started_at": datetime(2026, 3, 1),
        "run_realm": "lab",
        "run_login": "amy",
        "host": "lab-1",
        "dirty": 1,
    } | changes


def test_one_read_makes_a_row_in_each_table() -> None:
    reads = [access()]
    amy, brendan = account_id("acme", "amy"), account_id("acme", "brendan")
    file = reads[0]["file_id"]
    assert facts.accounts(reads, []) == sorted(
        [
            {"account_id": amy, "realm": "acme", "login": "amy", "person_id": amy},
            {"account_id": brendan, "realm": "acme", "login": "brendan", "person_id": brendan},
        ],
        key=lambda row: row["account_id"],
    )
    assert facts.source_systems(reads) == [{"source_system": "file/lab", "source_kind": "file"}]
    assert facts.files(reads) == [
        {"file_id": file, "source_system": "file/lab", "item_id": "/data/plate 1.csv"},
    ]
    assert facts.file_names(reads) == [
        {
            "file_id": file,
            "named_on": date(2026, 3, 1),
            "name_id": name_id("/data/plate 1.csv"),
            "file_name": "plate 1.csv",
            "file_path": "/data/plate 1.csv",
        }
    ]
    assert facts.file_owners(reads) == [{"file_id": file, "owner_since": date(2026, 3, 1), "account_id": brendan}]
    assert facts.blobs(reads) == [{"sha256": SHA, "blob_size": 12}]
    assert facts.versions(reads) == [
        {"file_id": file, "version_id": version_id("r1", SHA), "sha256": SHA, "revision": "r1"}
    ]
    assert facts.share_edges(reads) == [
        {
            "producer_id": brendan,
            "consumer_id": amy,
            "file_id": file,
            "shared_on": date(2026, 3, 1),
            "channel": "read",
        }
    ]
    assert facts.files_gone(reads) == facts.file_sets(reads) == facts.file_set_members(reads) == []


def test_spelling_of_a_login_does_not_matter() -> None:
    spellings = [access(account_login=login, account_realm="ACME") for login in ("amy", "AMY ", "Amy")]
    rows = {tuple(sorted(row.items())) for read in spellings for row in facts.accounts([read], [])}
    assert len(rows) == 2  # Amy and Brendan
    assert {row["login"] for row in facts.accounts(spellings, [])} == {"amy", "brendan"}


def test_logins_fit_their_columns() -> None:
    rows = facts.accounts([access(account_login="ß" * 255)], [])  # twice as long without case
    assert max(len(row["login"]) for row in rows) == 255
    assert max(len(row["full_name"]) for row in facts.persons(rows)) == 255


def test_what_accounts_are_called_is_kept_by_day_and_is_no_part_of_who_they_are() -> None:
    reads = [access(account_name="amy@acme.example", owner_name="Brendan"), access(account_name="amy.w@acme.example")]
    amy, brendan = account_id("acme", "amy"), account_id("acme", "brendan")
    named = facts.account_names([*reads, access(account_name="")])
    assert {(row["account_id"], row["account_name"]) for row in named} == {
        (amy, "amy@acme.example"),
        (amy, "amy.w@acme.example"),
        (brendan, "Brendan"),
    }
    assert {row["named_on"] for row in named} == {date(2026, 3, 1)}
    assert facts.accounts(reads, []) == facts.accounts([access()], [])
    assert facts.account_names([access()]) == []


def test_nobody_shares_with_themselves() -> None:
    assert facts.share_edges([access(owner_login="AMY")]) == []


def test_a_service_account_reads_for_somebody() -> None:
    reads = [access(account_login="svc", on_behalf_of="carol")]
    carol = account_id("acme", "carol")
    assert [edge["consumer_id"] for edge in facts.share_edges(reads)] == [carol]
    assert carol in {row["account_id"] for row in facts.accounts(reads, [])}
    assert facts.share_edges([access(account_login="svc", on_behalf_of="brendan")]) == []


def test_a_source_without_owners_makes_no_edge() -> None:
    reads = [access(owner_realm="", owner_login="")]
    assert facts.share_edges(reads) == facts.file_owners(reads) == []


@pytest.mark.parametrize("outcome", ["AccessDenied", "SourceNotFound", "SourceChanged"])
def test_a_failed_read_shares_nothing(outcome: str) -> None:
    reads = [access(outcome=outcome)]
    assert facts.share_edges(reads) == facts.versions(reads) == facts.blobs(reads) == []
    assert len(facts.files(reads)) == 1
    gone = [{"file_id": reads[0]["file_id"], "gone_on": date(2026, 3, 1)}] if outcome == "SourceNotFound" else []
    assert facts.files_gone(reads) == gone


def test_a_failed_read_without_an_item_is_of_its_reader_only() -> None:
    reads = [access(outcome="SourceNotFound", file_id="", source_system="", item_id="", owner_login="", sha256="")]
    assert facts.files(reads) == facts.files_gone(reads) == facts.file_names(reads) == facts.source_systems(reads) == []
    assert len(facts.accounts(reads, [])) == 1


@pytest.mark.parametrize(
    "oddity",
    [
        {"version_id": "short"},
        {"version_id": "G" * 32},
        {"sha256": "A" * 64},
        {"sha256": ""},
        {"access_size": -1},
        {"file_id": "f" * 31},
        {"source_system": ""},
    ],
)
def test_ids_that_are_not_whole_make_no_version(oddity: dict[str, Any]) -> None:
    reads = [access(set_file_id="a" * 32, set_version_id="b" * 32, set_path="x", **oddity)]
    assert facts.versions(reads) == facts.blobs(reads) == facts.file_set_members(reads) == []


def test_a_name_counts_where_the_path_does_not_tell_it() -> None:
    plain = facts.file_names([access()])
    served = [access(file_path="/download", file_name=name) for name in ("a.csv", "b.csv")]
    assert plain[0]["name_id"] == name_id("/data/plate 1.csv")
    assert len(facts.file_names(served)) == 2


def test_members_of_a_set() -> None:
    reads = [
        access(set_file_id="a" * 32, set_version_id="b" * 32, set_path=path, file_id=owner * 32)
        for path, owner in (("x/1.csv", "1"), ("x/2.csv", "2"), ("x/2.csv", "2"))
    ]
    assert facts.sets_of(reads) == {("a" * 32, "b" * 32)}
    assert facts.file_sets(reads) == [{"file_id": "a" * 32}]
    members = facts.file_set_members(reads)
    assert sorted((row["member_path"], row["member_id"]) for row in members) == [
        ("x/1.csv", "1" * 32),
        ("x/2.csv", "2" * 32),
    ]
    assert {(row["file_id"], row["version_id"]) for row in members} == {("a" * 32, "b" * 32)}


def test_a_run_becomes_an_execution_of_its_account() -> None:
    lab_amy = account_id("lab", "amy")
    assert facts.executions([run(), run()]) == [
        {
            "execution_id": "e" * 32,
            "started_at": datetime(2026, 3, 1),
            "host": "lab-1",
            "dirty": 1,
            "account_id": lab_amy,
        }
    ]
    assert [row["account_id"] for row in facts.accounts([], [run()])] == [lab_amy]


@given(seed=st.integers(), count=st.integers(1, 40))
def test_order_and_repetition_change_nothing(seed: int, count: int) -> None:
    chance = random.Random(seed)
    reads = [
        access(
            account_login=chance.choice(["amy", "Amy", "ben"]),
            owner_login=chance.choice(["ben", "carol", ""]),
            file_id=chance.choice("123") * 32,
            sha256=chance.choice("abc") * 64,
            version_id=chance.choice("def") * 32,
            outcome=chance.choice(["ok", "ok", "SourceNotFound"]),
            accessed_at=datetime(2026, 1, chance.randint(1, 3)),
        )
        for _ in range(count)
    ]
    shuffled = [*reads, *reads[: count // 2]]
    chance.shuffle(shuffled)
    for rows_of in (facts.files, facts.file_names, facts.file_owners, facts.blobs, facts.versions, facts.share_edges):
        assert rows_of(shuffled) == rows_of(reads)
    assert facts.accounts(shuffled, []) == facts.accounts(reads, [])


@given(sizes=st.lists(st.integers(0, 3 * facts.MEMBER_BYTES), max_size=60))
def test_parts_of_a_backup_are_limited(sizes: list[int]) -> None:
    versions = [{"file_id": f"{n:032x}", "version_id": "v" * 32, "sha256": f"{n:064x}"} for n in range(len(sizes))]
    by_hash = {version["sha256"]: size for version, size in zip(versions, sizes, strict=True)}
    members = facts.backup_members("b" * 32, versions, by_hash)
    assert [row["file_id"] for row in members] == [version["file_id"] for version in versions]
    totals: dict[int, list[int]] = {}
    for row, size in zip(members, sizes, strict=True):
        totals.setdefault(row["part"], []).append(size)
    assert list(totals) == list(range(len(totals)))
    assert all(len(part) == 1 or sum(part) <= facts.MEMBER_BYTES for part in totals.values())
    assert [row["part"] for row in facts.backup_batches(members)] == list(totals)


def test_a_part_has_at_most_a_thousand_members() -> None:
    versions = [{"file_id": f"{n:032x}", "version_id": "v" * 32, "sha256": SHA} for n in range(2500)]
    members = facts.backup_members("b" * 32, versions, {SHA: 1})
    parts = [row["part"] for row in members]
    assert [parts.count(part) for part in range(3)] == [1000, 1000, 500]
