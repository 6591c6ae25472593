"""People from a table: what the catalogue says afterwards, and that silos are measured for departments from one."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from small_company import MONDAY, NOW, REALM, asking, deliver, person

from data_platform.errors import DirectoryRefused
from data_platform.settings import settings
from populate.directory.csv_file import read_csv
from populate.directory.sync import TABLES, SyncResult, take_in
from populate.insight.window import read_window
from populate.snapshot import take_snapshot
from populate.who.whom import about_text
from schemas.binding import Binding
from schemas.conversation import MailAddress
from schemas.directory import AccountState, DirectoryEntry, PersonName
from schemas.people import Account, Department, Departure, Membership, Person
from schemas.restrict import where

HEAD = "Login;Full Name;E-Mail;Department;Job title;Manager;Since\n"
AMY = "amy;Amy Ash;amy@lab.example;Chemistry;Chemist;maria;2024-01-01\n"
BEN = "ben;Ben Bay;;Physics;;maria;2024-03-01\n"
MARIA = "MARIA;María Cruz;;Physics;Head;;2020-01-01\n"
DAY = datetime(2026, 5, 20, 9)


@pytest.fixture(autouse=True)
def _realm(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_PLATFORM_REALM", REALM)
    settings.cache_clear()


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    path.write_text("\ufeff" + HEAD + AMY + BEN + MARIA, encoding="utf-8")
    return path


def sync(binding: Binding, path: Path, now: datetime = DAY, **options: Any) -> SyncResult:
    return take_in(binding, "csv", lambda positions: read_csv(path, REALM), now=now, **options)


def contents() -> dict[str, list[dict[str, Any]]]:
    """Return all rows that a directory told, but for how far it was read."""
    return {
        name: sorted(table.to_dicts(), key=repr)
        for name, table in TABLES.items()
        if name not in ("Feed", "FeedPosition")
    }


def test_a_table_becomes_people(binding: Binding, table: Path) -> None:
    done = sync(binding, table)
    assert (done.told, done.new, done.departments, done.odd) == (3, 3, 2, [])
    assert {row["login"]: row["person_id"] for row in Account.to_dicts()} == {
        login: person(login) for login in ("amy", "ben", "maria")
    }
    assert where(Person, person_id=person("maria")).fetch1("full_name", "person_kind") == ("María Cruz", "person")
    stint = where(Membership, person_id=person("amy")).fetch1()
    assert (stint["member_since"], stint["department"], stint["title"], stint["manager_id"]) == (
        date(2024, 1, 1),
        "Chemistry",
        "Chemist",
        person("maria"),
    )
    assert [row["mail_address"] for row in MailAddress.to_dicts()] == ["amy@lab.example"]
    before = contents()
    assert sync(binding, table, DAY + timedelta(days=1)).changed == 0
    assert contents() == before


def test_a_change_adds_rows_and_leaves_those_that_were(binding: Binding, table: Path) -> None:
    sync(binding, table)
    before = contents()
    table.write_text(HEAD + AMY.replace("Amy Ash", "Amy Elm").replace("Chemistry", "Biology") + MARIA)
    done = sync(binding, table, DAY + timedelta(days=1))
    assert (done.changed, done.moved, done.deleted, done.left) == (1, 1, 1, 1)
    after = contents()
    for name, rows in before.items():
        kept = [row for row in rows if row in after[name]]
        assert kept == rows or (name == "Person" and len(after[name]) == 3)  # whose names are those of now
    names = {row["person_name"]: row["name_since"] for row in PersonName.to_dicts()}
    assert names["Amy Elm"] - names["Amy Ash"] == timedelta(days=1)
    assert [(row["person_id"], row["departed_on"]) for row in Departure.to_dicts()] == [
        (person("ben"), DAY.date() + timedelta(days=1))
    ]
    table.write_text(HEAD + AMY + BEN + MARIA)
    done = sync(binding, table, DAY + timedelta(days=30))
    assert (done.enabled, done.back) == (1, 1)
    assert len(where(AccountState, account_id=person("ben"))) == 3


def test_a_dry_run_changes_nothing(binding: Binding, table: Path) -> None:
    before = contents()
    assert sync(binding, table, dry_run=True).new == 3
    assert contents() == before


def test_too_many_gone_at_once_are_refused_and_nothing_changes(binding: Binding, table: Path) -> None:
    sync(binding, table)
    before = contents()
    table.write_text(HEAD + AMY)
    with pytest.raises(DirectoryRefused, match="--allow-drop"):
        sync(binding, table)
    assert contents() == before
    assert sync(binding, table, allow_drop=True).deleted == 2


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no column `login`"),
        ("name\nAmy\n", "no column `login`"),
        ("login,name,full name\n", "two columns"),
        ("login\n", "names nobody"),
        ("login\namy\nAMY\n", "Line 3: the login amy"),
        ("login,name\n,Amy\n", "Line 2 has no login"),
        ("login,kind\namy,robot\n", "Line 2: kind"),
        ("login,state\namy,gone\n", "Line 2: state"),
        ("login,since\namy,01.02.2026\n", "not a day"),
        ("login,name\namy,Amy,Chemistry\n", "more cells"),
        ('login,name\namy,"Amy\n', "line 2"),
        ("login\namy\0\n", "NUL"),
    ],
)
def test_a_table_that_is_not_understood_says_where(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "people.csv"
    path.write_text(text)
    with pytest.raises(DirectoryRefused, match=reason):
        read_csv(path, REALM)


def test_a_table_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(DirectoryRefused, match="cannot be read"):
        read_csv(tmp_path / "nothing.csv", REALM)
    (tmp_path / "latin.csv").write_bytes("login\namé\n".encode("latin-1"))
    with pytest.raises(DirectoryRefused, match="UTF-8"):
        read_csv(tmp_path / "latin.csv", REALM)


def test_a_manager_without_a_row_is_left_out(binding: Binding, table: Path) -> None:
    table.write_text(HEAD + AMY)
    done = sync(binding, table)
    assert "maria" in done.odd[0]
    assert where(DirectoryEntry, account_id=person("amy")).fetch1("entry_manager") == ""


def test_silos_are_measured_for_departments_from_a_table(binding: Binding, table: Path) -> None:
    deliver(
        binding, [("amy", "/a.csv", "ben", 1), ("maria", "/b.csv", "amy", 2), ("ben", "/c.csv", "maria", 3)], batch="1"
    )
    assert {row["full_name"] for row in Person.to_dicts()} == {"amy", "ben", "maria"}
    sync(binding, table)  # they have read before anybody told who they are
    assert {row["full_name"] for row in Person.to_dicts()} == {"Amy Ash", "Ben Bay", "María Cruz"}
    number = take_snapshot(binding, MONDAY.date() + timedelta(days=7))
    window = read_window(binding.connection, number, 30)
    assert sorted(window.people["department"]) == ["Chemistry", "Physics", "Physics"]
    ties = {(row["producer"].split("@")[1], row["consumer"].split("@")[1]) for row in window.ties.to_dict("records")}
    assert ties == {("Physics", "Chemistry"), ("Chemistry", "Physics"), ("Physics", "Physics")}
    assert window.left_out == {}


def test_whom_to_ask_names_people_as_the_table_does_until_they_leave(binding: Binding, table: Path) -> None:
    deliver(binding, [("ben", "/flow plate.csv", "amy", 1), ("maria", "/flow plate.csv", "amy", 2)], batch="1")
    sync(binding, table)
    found = about_text(asking(binding, "ben", NOW), "flow plate", 5)
    assert ("Amy Ash", "Chemistry") in [(one.name, one.department) for one in found]
    table.write_text(HEAD + BEN + MARIA)
    sync(binding, table, DAY + timedelta(days=1), allow_drop=True)
    assert "Amy Ash" not in [one.name for one in about_text(asking(binding, "ben", NOW), "flow plate", 5)]
    table.write_text(HEAD + AMY + BEN + MARIA)
    sync(binding, table, DAY + timedelta(days=1))  # comes back on the day of leaving
    assert "Amy Ash" in [one.name for one in about_text(asking(binding, "ben", NOW), "flow plate", 5)]


def test_no_department_is_none(binding: Binding, table: Path) -> None:
    sync(binding, table)
    table.write_text(HEAD + AMY.replace("Chemistry", "") + BEN + MARIA)
    sync(binding, table, DAY + timedelta(days=1))
    assert {row["department"] for row in Department.to_dicts()} == {"Chemistry", "Physics", ""}
    deliver(binding, [("amy", "/b.csv", "ben", 20)], batch="1")
    number = take_snapshot(binding, MONDAY.date() + timedelta(days=25))
    window = read_window(binding.connection, number, 6)
    assert sorted(window.people["department"]) == ["Physics", "Physics"]
    assert window.left_out == {"unattributed": 1}
