"""What the dashboard's pages ask, on a catalogue that real reads have made."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from colleagues import REALM, Colleagues

from dashboard.queries import files as queries
from dashboard.queries.file_statements import statement
from data_platform.errors import SourceError
from schemas.binding import Binding
from schemas.catalogue import FileName
from schemas.identity import account_id
from schemas.people import Account, Department, Membership, Person

MARKUP = "![x](https://evil.example/p.png) <img src=x onerror=alert(1)> 100%_!.csv"
TRIAL, COPY, LOG = "maria/trial.csv", "chen/Copy of trial.csv", f"chen/{MARKUP.replace('/', '∕')}"


@pytest.fixture
def colleagues(binding: Binding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Colleagues:
    """Maria's trial in two versions, Chen's copy of the first, and a file with an odd name, all worked off."""
    people = Colleagues(tmp_path / "shares", monkeypatch)
    _employ(binding, "aiko", "Aiko Tanaka", "Biostatistics")
    people.put(TRIAL, b"first")
    people.put(COPY, b"first")
    people.put(LOG, b"")
    people.read("aiko", TRIAL)
    people.read("maria", TRIAL)
    people.read("aiko", COPY)
    people.read("chen", LOG)
    people.put(TRIAL, b"second, longer")
    people.read("aiko", TRIAL)
    os.mkfifo(people.shares / "maria" / "live")
    with pytest.raises(SourceError):
        people.read("aiko", "maria/live")
    people.work()
    return people


def _employ(binding: Binding, login: str, name: str, department: str) -> None:
    identity = account_id(REALM, login)
    Department.insert1({"department": department})
    Person.insert1({"person_id": identity, "full_name": name, "person_kind": "person"})
    Account.insert1({"account_id": identity, "realm": REALM, "login": login, "person_id": identity})
    Membership.insert1({"person_id": identity, "member_since": date(2026, 1, 1), "department": department})


def listed(binding: Binding, **filters: object) -> pd.DataFrame:
    return queries.files(binding, **filters).set_index("file_name")  # type: ignore[arg-type]


def test_files_with_owner_readers_versions_size_and_backup(binding: Binding, colleagues: Colleagues) -> None:
    files = listed(binding)
    trial = files.loc["trial.csv"]
    assert trial["owner"] == "maria"
    assert trial["readers"] == ["Aiko Tanaka", "maria"]
    assert trial["versions"] == 2
    assert trial["size"] == len(b"second, longer")
    assert trial["backup"] == "backed up"
    assert trial["members"] == 0
    assert trial["file_path"].endswith(TRIAL)
    assert files["reason"].eq("").all()
    assert files.loc["Copy of trial.csv"]["owner"] == "chen"
    assert queries.count_files(binding) == len(files) == 3


def test_numbers_at_the_top(binding: Binding, colleagues: Colleagues) -> None:
    numbers = queries.headline(binding)
    assert numbers["read_count"] == 6
    assert numbers["versions"] == 4
    assert numbers["bytes_in"] == 2 * len(b"first") + len(b"second, longer")
    assert numbers["bytes_kept"] == numbers["bytes_distinct"] == len(b"first") + len(b"second, longer")
    assert not queries.is_demo(binding)


ANYWHERE: dict[str, set[str]] = {
    "TRIAL": {"trial.csv", "Copy of trial.csv"},
    "100%_!": {Path(LOG).name},
    "%": {Path(LOG).name},
    "tria_.csv": set(),
    "maria%csv": set(),
    "maria": {"trial.csv"},
    "' OR 1=1 --": set(),
    "\\": set(),
    "\x00": set(),
    "%s": set(),
}
AT_THE_START: dict[str, set[str]] = {
    "TRIAL": {"trial.csv"},
    "copy OF": {"Copy of trial.csv"},
    "of trial": set(),
    "maria": set(),
    "": {"trial.csv", "Copy of trial.csv", Path(LOG).name},
    Path(LOG).name[:9]: {Path(LOG).name},
    "%": set(),
    "tria_": set(),
    "' OR 1=1 --": set(),
    "trial.csv" * 100: set(),
}


def test_search_is_plain_text_without_case(binding: Binding, colleagues: Colleagues) -> None:
    for anywhere, expected in ((True, ANYWHERE), (False, AT_THE_START)):
        for search, names in expected.items():
            assert set(listed(binding, search=search, anywhere=anywhere).index) == names, search
            assert queries.count_files(binding, search=search, anywhere=anywhere) == len(names), search


def test_a_start_can_be_looked_up_in_an_index(binding: Binding) -> None:
    query, explain = binding.connection.query, "EXPLAIN "
    if binding.backend == "postgresql":
        query("SET enable_seqscan = off")  # else it goes through a table without rows
    else:
        explain = "EXPLAIN FORMAT=TRADITIONAL "
    asked = {"start": "é", "beyond": "é\U0010ffff", "limit": 9}
    plan = query(explain + statement("starting", starting=binding.backend), asked).fetchall()
    assert "file_name_file_name_start" in str(plan)


def test_names_are_found_by_what_they_are_now(
    binding: Binding, colleagues: Colleagues, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = listed(binding).loc["trial.csv"]["file_id"]
    later = {"file_id": trial, "named_on": date(2100, 1, 1), "name_id": "f" * 32}
    FileName.insert1({**later, "file_name": "Étude.csv", "file_path": "/Étude.csv"})
    assert listed(binding, search="trial", anywhere=False).empty
    assert list(listed(binding, search="étu", anywhere=False).index) == ["Étude.csv"]
    assert len(queries.files(binding, search="c", anywhere=False, sort="name")) == 1
    monkeypatch.setattr(queries, "MOST_NAMES", 1)
    assert len(queries.files(binding, search="c", anywhere=False)) == 1


def test_order_and_pages_are_the_databases_work(binding: Binding, colleagues: Colleagues) -> None:
    whole = queries.files(binding, sort="size", descending=False)
    assert list(whole["size"]) == sorted(whole["size"])
    pages = [queries.files(binding, sort="size", descending=False, limit=1, offset=n) for n in range(4)]
    assert [len(page) for page in pages] == [1, 1, 1, 0]
    assert [file_id for page in pages for file_id in page["file_id"]] == list(whole["file_id"])
    assert list(pages[3].columns) == list(whole.columns)
    for sort in queries.SORTS:
        assert len(queries.files(binding, sort=sort)) == 3
    with pytest.raises(KeyError):
        queries.files(binding, sort="size; DROP TABLE x")


def test_a_search_among_few_files_and_among_all_finds_the_same(
    binding: Binding, colleagues: Colleagues, monkeypatch: pytest.MonkeyPatch
) -> None:
    among_few = [queries.files(binding, search="trial", sort=sort) for sort in queries.SORTS]
    monkeypatch.setattr(queries, "FEW", 1)
    for sort, few in zip(queries.SORTS, among_few, strict=True):
        pd.testing.assert_frame_equal(queries.files(binding, search="trial", sort=sort), few)
    assert queries.count_files(binding, search="trial") == 2


def test_what_was_read_last_is_found_among_the_latest_reads(
    binding: Binding, colleagues: Colleagues, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = queries.files(binding)
    assert whole["last_read"].is_monotonic_decreasing
    monkeypatch.setattr(queries, "LOOKED_AT_FIRST", 1)  # two pages need more than one window
    pages = [queries.files(binding, limit=1, offset=n) for n in range(3)]
    assert [file_id for page in pages for file_id in page["file_id"]] == list(whole["file_id"])


def test_my_files_and_what_i_read_last(binding: Binding, colleagues: Colleagues) -> None:
    mine = queries.files_of(binding, account_id(REALM, "maria"))
    assert list(mine["file_name"]) == ["trial.csv"]
    assert list(mine["versions"]) == [2]
    read = queries.read_by(binding, account_id(REALM, "aiko"))
    assert list(read["file_name"]) == ["trial.csv", "Copy of trial.csv"]
    assert read["last_read"].is_monotonic_decreasing
    assert queries.files_of(binding, "0" * 32).empty
    assert queries.read_by(binding, "0" * 32).empty


def test_reads_under_all_logins_of_a_person_are_found_step_by_step(
    binding: Binding, colleagues: Colleagues, monkeypatch: pytest.MonkeyPatch
) -> None:
    aiko = account_id(REALM, "aiko")
    for _ in range(5):
        colleagues.read("aiko", TRIAL)  # more often than the first steps look
    colleagues.catalogue_only()
    Account.update1({"account_id": account_id(REALM, "chen"), "person_id": aiko})
    whole = queries.read_by(binding, aiko)
    assert list(whole["file_name"]) == ["trial.csv", Path(LOG).name, "Copy of trial.csv"]
    monkeypatch.setattr(queries, "LOOKED_AT_FIRST", 1)
    monkeypatch.setattr(queries, "STEP", 2)
    for limit in (1, 2, 3):
        pd.testing.assert_frame_equal(queries.read_by(binding, aiko, limit=limit), whole.head(limit))


def test_details_of_a_file(binding: Binding, colleagues: Colleagues) -> None:
    identity = listed(binding).loc["trial.csv"]["file_id"]
    versions = queries.versions(binding, identity)
    assert list(versions["size"]) == [len(b"second, longer"), len(b"first")]
    assert set(versions["backup"]) == {"backed up"}
    assert (versions["first_read"] <= versions["last_read"]).all()
    readers = queries.readers(binding, identity).set_index("reader")
    assert readers.loc["Aiko Tanaka"]["department"] == "Biostatistics"
    assert readers.loc["Aiko Tanaka"]["read_count"] == 2
    assert readers.loc["maria"]["department"] == ""
    copies = queries.copies(binding, identity)
    assert list(copies["file_name"]) == ["Copy of trial.csv"]
    known = queries.file(binding, identity)
    assert known is not None
    assert known["owner"] == "maria"
    assert queries.file(binding, "0" * 32) is None
    assert queries.versions(binding, "0" * 32).empty


def test_a_backup_that_waits_or_failed_is_said(binding: Binding, colleagues: Colleagues) -> None:
    kept = listed(binding, state="backed up")
    assert len(kept) == 3
    assert listed(binding, state="waiting").empty
    colleagues.put("maria/new.csv", b"nobody has backed this up")
    colleagues.read("aiko", "maria/new.csv")
    colleagues.catalogue_only()
    assert list(listed(binding, state="waiting").index) == ["new.csv"]
    colleagues.lose("maria/new.csv")
    colleagues.work()
    failed = listed(binding, state="failed")
    assert list(failed.index) == ["new.csv"]
    assert failed.iloc[0]["reason"]


def test_an_empty_catalogue_has_columns_and_zeros(binding: Binding) -> None:
    assert queries.count_files(binding) == 0
    assert queries.files(binding).empty
    assert "readers" in queries.files(binding).columns
    assert set(queries.headline(binding).values()) == {0}
