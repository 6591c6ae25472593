"""What a directory says, compared with what is known, without a database."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from data_platform.errors import DirectoryRefused
from populate.directory.group_rows import group_id
from populate.directory.known import Known, Stint
from populate.directory.picture import Picture, Said
from populate.directory.plan import Wanted, plan
from populate.directory.rows import Rows
from schemas.identity import account_id

NOW = datetime(2026, 5, 4, 12)
TODAY = NOW.date()
REALM, MACHINES = "entra/t", "lab"


def said(state: str = "enabled", since: date | None = None, **fields: str) -> Said:
    return Said(fields, state, since)


def picture(**people: Said) -> Picture:
    return Picture(realm=REALM, people=dict(people))


def ours(key: str) -> str:
    return account_id(REALM, key)


def machine(login: str) -> str:
    return account_id(MACHINES, login)


def known_of(rows: Rows) -> Known:
    """Return what is known once `rows` are written, as far as these tests go."""
    found, after = rows.finished(), rows.known
    for row in found.get("Person", []):
        after.persons[row["person_id"]] = (row["full_name"], row["person_kind"])
    for row in found.get("Account", []):
        after.accounts[row["account_id"]] = (row["realm"], row["login"])
        after.person_of[row["account_id"]] = row["person_id"]
    after.person_of |= rows.moves
    after.persons |= rows.called
    from populate.directory.known import ENTRY_COLUMNS
    from populate.directory.picture import Entry

    for row in found.get("DirectoryEntry", []):
        after.entries[row["account_id"]] = Entry(**{name: row[column] for column, name in ENTRY_COLUMNS.items()})
        after.latest.setdefault("DirectoryEntry", {})[row["account_id"]] = row["entry_since"]
    for table, values, key, since, value in (
        ("AccountState", after.states, "account_id", "state_since", "account_state"),
        ("AccountName", after.account_names, "account_id", "named_on", "account_name"),
        ("PersonName", after.names, "person_id", "name_since", "person_name"),
        ("MailAddress", after.mails, "person_id", "address_since", "mail_address"),
        ("GroupName", after.group_names, "group_id", "group_named_on", "group_name"),
    ):
        for row in found.get(table, []):
            values[row[key]] = row[value]
            after.latest.setdefault(table, {})[row[key]] = row[since]
    for row in found.get("Membership", []):
        after.stints[row["person_id"]] = Stint(row["member_since"], row["department"], row["title"], row["manager_id"])
    for row in found.get("Departure", []):
        after.departures[row["person_id"]] = row["departed_on"]
    for row in found.get("Department", []):
        after.departments[row["department"].casefold()] = row["department"]
    for row in found.get("GroupMember", []):
        after.members.setdefault(row["group_id"], {})[row["account_id"]] = row["joined_at"]
    for row in found.get("GroupNested", []):
        after.nested.setdefault(row["group_id"], {})[row["inner_id"]] = row["nested_at"]
    return after


def planned(known: Known, told: Picture, now: datetime = NOW, **wanted: Any) -> Rows:
    return plan(known, told, now, Wanted(MACHINES, **wanted))


def tables(rows: Rows) -> dict[str, int]:
    return {name: len(found) for name, found in rows.finished().items() if found}


AMY: dict[str, Any] = {"name": "Amy Ash", "login": "amy@lab.example", "department": "Chemistry", "title": "Chemist"}
BOB: dict[str, Any] = {"name": "Bob Bay", "login": "bob@lab.example", "department": "Physics", "manager": "a1"}


def company(known: Known | None = None) -> Known:
    return known_of(planned(known or Known(), picture(a1=said(since=date(2020, 1, 1), **AMY), b1=said(**BOB))))


def test_a_first_reading_adds_everybody() -> None:
    rows = planned(Known(), picture(a1=said(since=date(2020, 1, 1), **AMY), b1=said(**BOB)))
    assert [(row["full_name"], row["person_kind"]) for row in rows.finished()["Person"]] in (
        [("Amy Ash", "person"), ("Bob Bay", "person")],
        [("Bob Bay", "person"), ("Amy Ash", "person")],
    )
    stints = {row["person_id"]: row for row in rows.tables["Membership"]}
    assert stints[ours("a1")]["member_since"] == date(2020, 1, 1)
    assert stints[ours("b1")] == {
        "person_id": ours("b1"),
        "member_since": TODAY,
        "department": "Physics",
        "title": "",
        "manager_id": ours("a1"),
    }
    assert {row["account_name"] for row in rows.tables["AccountName"]} == {"amy@lab.example", "bob@lab.example"}
    assert rows.counts["new"] == 2


def test_the_same_again_adds_nothing() -> None:
    again = planned(company(), picture(a1=said(since=date(2020, 1, 1), **AMY), b1=said(**BOB)), NOW + timedelta(days=3))
    assert tables(again) == {}
    assert again.called == {}
    assert again.moves == {}


def test_what_is_left_out_of_a_change_stays() -> None:
    known = company()
    told = picture(b1=Said({"title": "Physicist"}))
    told.complete = frozenset()
    rows = planned(known, told, NOW + timedelta(days=1))
    assert tables(rows) == {"DirectoryEntry": 1, "Membership": 1}
    (stint,) = rows.tables["Membership"]
    assert (stint["department"], stint["title"], stint["manager_id"]) == ("Physics", "Physicist", ours("a1"))
    assert stint["member_since"] == TODAY + timedelta(days=1)


def test_two_changes_on_a_day_get_a_day_each() -> None:
    known = company()
    for number, department in enumerate(("Biology", "Geology", "Botany"), start=1):
        told = picture(b1=Said({"department": department}))
        told.complete = frozenset()
        rows = planned(known, told, NOW + timedelta(minutes=number))
        (stint,) = rows.tables["Membership"]
        assert (stint["department"], stint["member_since"]) == (department, TODAY + timedelta(days=number))
        known = known_of(rows)


def test_departments_are_one_without_regard_to_case() -> None:
    rows = planned(company(), picture(a1=said(**AMY), b1=said(**BOB), c1=said(name="Cy", department="CHEMISTRY")))
    assert "Department" not in rows.tables
    assert rows.tables["Membership"][0]["department"] == "Chemistry"


def test_who_is_disabled_leaves_and_comes_back_even_on_the_same_day() -> None:
    known = company()
    days = []
    for state in ("disabled", "enabled", "disabled", "enabled"):
        told = picture(b1=Said({}, state))
        told.complete = frozenset()
        rows = planned(known, told, NOW + timedelta(hours=1))
        days += [row["departed_on"] for row in rows.tables["Departure"]]
        days += [row["member_since"] for row in rows.tables["Membership"]]
        known = known_of(rows)
        assert known.gone(ours("b1")) == (state == "disabled")
    assert days == sorted(days)


def test_who_is_not_in_a_complete_picture_is_gone_and_not_in_an_incomplete_one() -> None:
    told = picture(a1=said(**AMY))
    told.complete = frozenset()
    assert tables(planned(company(), told)) == {}
    rows = planned(company(), picture(a1=said(**AMY)))
    assert [(row["account_id"], row["account_state"]) for row in rows.tables["AccountState"]] == [
        (ours("b1"), "deleted")
    ]
    assert [row["person_id"] for row in rows.tables["Departure"]] == [ours("b1")]


def test_too_many_at_once_are_not_believed() -> None:
    known = known_of(planned(Known(), picture(**{f"p{n}": said(name=f"P{n}") for n in range(10)})))
    told = picture(**{f"p{n}": said(name=f"P{n}") for n in range(7)})
    with pytest.raises(DirectoryRefused, match=r"3 of 10 accounts .* --allow-drop"):
        planned(known, told, max_drop=0.2)
    assert planned(known, told, max_drop=0.3).counts["deleted"] == 3
    for n in range(7):
        told.people[f"p{n}"].state = "disabled"
    with pytest.raises(DirectoryRefused):
        planned(known, told, max_drop=0.9)


def test_a_rename_keeps_the_person_and_what_was() -> None:
    told = picture(a1=said(**AMY | {"name": "Amy Elm", "login": "amy.elm@lab.example"}), b1=said(**BOB))
    rows = planned(company(), told, NOW + timedelta(days=1))
    assert tables(rows) == {"AccountName": 1, "DirectoryEntry": 1, "PersonName": 1}
    assert rows.called == {ours("a1"): ("Amy Elm", "person")}
    assert rows.counts["renamed"] == 1


def reader(login: str) -> Known:
    """Somebody who has read already, whom no directory has told of."""
    account = machine(login)
    return Known(
        accounts={account: (MACHINES, login)}, person_of={account: account}, persons={account: (login, "unknown")}
    )


def test_whoever_has_read_already_gets_the_name_of_the_directory() -> None:
    rows = planned(reader("amy"), picture(a1=said(**AMY, machine_login="AMY")))
    assert rows.called == {machine("amy"): ("Amy Ash", "person")}
    assert [row["person_id"] for row in rows.tables["Account"]] == [machine("amy")]
    assert rows.moves == {}
    assert tables(planned(known_of(rows), picture(a1=said(**AMY, machine_login="AMY")))) == {}


def test_a_login_that_is_not_to_be_joined_stays_alone() -> None:
    rows = planned(reader("amy"), picture(a1=said(**AMY, machine_login="amy")), join=())
    assert [row["person_id"] for row in rows.tables["Account"]] == [ours("a1")]


def test_accounts_that_turn_out_to_be_one_person_s_are_moved_and_the_emptied_person_leaves() -> None:
    known = company(reader("amy"))
    rows = planned(known, picture(a1=said(**AMY, machine_login="amy"), b1=said(**BOB)))
    assert rows.moves == {machine("amy"): ours("a1")}
    assert [(row["moved_from"], row["moved_to"]) for row in rows.tables["AccountMoved"]] == [
        (machine("amy"), ours("a1"))
    ]
    assert [row["person_id"] for row in rows.tables["Departure"]] == [machine("amy")]
    assert tables(planned(known_of(rows), picture(a1=said(**AMY, machine_login="amy"), b1=said(**BOB)))) == {}


def test_who_does_not_want_to_be_found_is_not_found_after_a_merger() -> None:
    known = company(reader("amy"))
    known.choices[machine("amy")] = "closed"
    rows = planned(known, picture(a1=said(**AMY, machine_login="amy"), b1=said(**BOB)))
    assert rows.moves == {ours("a1"): machine("amy")}


def test_a_login_that_two_claim_is_nobody_s() -> None:
    told = picture(a1=said(**AMY, machine_login="x"), b1=said(**BOB, machine_login="X"))
    rows = planned(reader("x"), told)
    assert rows.moves == {}
    assert {row["person_id"] for row in rows.tables["Account"]} == {ours("a1"), ours("b1")}
    assert "x" in rows.odd[0]


def test_a_login_that_was_somebody_else_s_before_stays_theirs() -> None:
    known = known_of(planned(Known(), picture(a1=said(**AMY, machine_login="amy"))))
    told = picture(a1=said("deleted"), a2=said(name="Amy Oak", machine_login="amy"))
    rows = planned(known, told)
    assert machine("amy") not in rows.moves
    assert "before" in rows.odd[0]


def test_accounts_with_one_employee_number_are_one_person_s_unless_it_is_a_number_for_none() -> None:
    told = picture(a1=said(**AMY, employee="17"), a2=said(name="Amy (admin)", employee="17"))
    rows = planned(Known(), told)
    assert len({row["person_id"] for row in rows.tables["Account"]}) == 1
    many = picture(**{f"p{n}": said(name=f"P{n}", employee="0000") for n in range(6)})
    rows = planned(Known(), many)
    assert len({row["person_id"] for row in rows.tables["Account"]}) == 6
    assert "0000" in rows.odd[0]


def test_a_number_that_somebody_takes_does_not_make_them_a_colleague() -> None:
    known = company(known_of(planned(Known(), picture(a1=said(**AMY, employee="17"), b1=said(**BOB)))))
    rows = planned(known, picture(a1=said(**AMY, employee="17"), b1=said(**BOB, employee="17")))
    assert rows.moves == {}
    assert "17" in rows.odd[0]
    late = picture(
        a1=said(**AMY, employee="17"), b1=said(**BOB, employee="17"), c1=said(name="Amy (admin)", employee="17")
    )
    rows = planned(known_of(rows), late)  # nobody can tell whose this one is
    assert (rows.moves, [row["person_id"] for row in rows.tables["Account"]]) == ({}, [ours("c1")])


def test_a_new_account_joins_the_one_who_had_its_number_before() -> None:
    known = known_of(planned(Known(), picture(a1=said(**AMY, employee="17"))))
    rows = planned(known, picture(a1=said(**AMY, employee="17"), a2=said(name="Amy (admin)", employee="17")))
    assert [row["person_id"] for row in rows.tables["Account"]] == [ours("a1")]
    assert rows.odd == []


@pytest.mark.parametrize("kind", ["guest", "service"])
def test_guests_and_services_have_no_number_of_an_employee(kind: str) -> None:
    rows = planned(Known(), picture(a1=said(**AMY, employee="17"), a2=said(name="X", kind=kind, employee="17")))
    assert {row["person_id"] for row in rows.tables["Account"]} == {ours("a1"), ours("a2")}
    assert "17" in rows.odd[0]


def test_a_machine_login_of_somebody_in_another_directory_stays_theirs() -> None:
    amy = known_of(planned(Known(), picture(a1=said(**AMY, machine_login="amy"))))
    told = Picture(realm="csv", people={"b1": said(**BOB)})
    known = known_of(planned(amy, told))
    known.entries[ours("a1")] = replace(known.entries[ours("a1")], machine_login="")
    rows = planned(known, Picture(realm="csv", people={"b1": said(**BOB, machine_login="amy")}))
    assert rows.moves == {}
    assert "amy" in rows.odd[0]


def test_a_person_has_left_when_all_accounts_are_closed() -> None:
    told = picture(a1=said(**AMY, employee="17"), a2=said(name="Amy (admin)", employee="17"))
    known = known_of(planned(Known(), told))
    told = picture(a1=said(**AMY, employee="17"), a2=said("disabled", name="Amy (admin)", employee="17"))
    rows = planned(known, told)
    assert "Departure" not in rows.tables
    known = known_of(rows)
    assert len(planned(known, picture(a1=said("disabled"), a2=said("disabled"))).tables["Departure"]) == 1


def test_kinds_are_told_and_services_work_nowhere() -> None:
    rows = planned(
        Known(), picture(g1=said(name="Guest", kind="guest"), s1=said(name="Robot", kind="service", department="IT"))
    )
    assert {row["full_name"]: row["person_kind"] for row in rows.finished()["Person"]} == {
        "Guest": "guest",
        "Robot": "service",
    }
    assert "Membership" not in rows.tables


def grouped(
    known: Known,
    now: datetime = NOW,
    *,
    people: Picture | None = None,
    max_drop: float = 1.0,
    **groups: set[str] | None,
) -> Rows:
    told = people or picture(a1=said(**AMY), b1=said(**BOB))
    for key, members in groups.items():
        group = told.group(key)
        group.complete, group.gone, group.name = True, members is None, key.title()
        for member in members or ():
            (group.nested if member.startswith("g") else group.members)[member] = True
    return planned(known, told, now, max_drop=max_drop)


def test_members_join_and_leave_groups() -> None:
    rows = grouped(Known(), g1={"a1", "g2"}, g2={"b1"})
    assert rows.counts["groups"] == 2
    assert rows.counts["members_joined"] == 2
    known = known_of(rows)
    assert tables(grouped(known, g1={"a1", "g2"}, g2={"b1"})) == {}
    rows = grouped(known, NOW + timedelta(hours=1), g1={"b1"}, g2={"b1"})
    assert (rows.counts["members_joined"], rows.counts["members_left"]) == (1, 1)
    assert [row["inner_id"] for row in rows.tables["GroupNestedEnded"]] == [group_id(REALM, "g2")]


def test_a_group_that_is_gone_has_nobody() -> None:
    known = known_of(grouped(Known(), g1={"a1", "b1"}, g2={"g1"}))
    rows = grouped(known, NOW + timedelta(hours=1), g2=set())
    assert [row["group_id"] for row in rows.tables["GroupGone"]] == [group_id(REALM, "g1")]
    assert rows.counts["members_left"] == 2
    assert len(rows.tables["GroupNestedEnded"]) == 1


@pytest.mark.parametrize("seen", [{}, {"g1": {"a1"}, "g2": set()}])
def test_who_may_not_see_groups_any_more_ends_no_memberships(seen: dict[str, Any]) -> None:
    known = known_of(grouped(Known(), g1={"a1", "b1"}, g2={"a1", "b1"}))
    with pytest.raises(DirectoryRefused, match=r"of 4 memberships .* --allow-drop"):
        grouped(known, max_drop=0.5, **seen)
    assert grouped(known, max_drop=1.0, **seen).counts["members_left"] == 4 - len(seen.get("g1") or ())


def test_what_is_said_of_groups_is_believed_and_so_is_who_left_the_company() -> None:
    known = known_of(grouped(Known(), g1={"a1", "b1"}, g2={"a1", "b1"}))
    rows = grouped(known, max_drop=0.1, people=picture(a1=said(**AMY), b1=said("disabled")), g1={"a1"}, g2={"a1"})
    assert rows.counts["members_left"] == 2
    known = known_of(grouped(Known(), g1={"a1", "b1"}, g2={"a1", "b1"}))
    assert grouped(known, max_drop=0.1, g1=None, g2=None).counts["members_left"] == 4


def test_a_member_whom_the_directory_has_not_told_of_yet_is_met_again() -> None:
    told = picture(a1=said(**AMY))
    rows = grouped(Known(), people=told, g1={"a1", "z9"})
    assert {row["account_id"] for row in rows.tables["Account"]} == {ours("a1"), ours("z9")}
    later = Picture(realm=REALM, people={"z9": said(name="Zoe")}, complete=frozenset(), groups_complete=False)
    rows = planned(known_of(rows), later)
    assert "Account" not in rows.tables
    assert rows.called == {ours("z9"): ("Zoe", "person")}
