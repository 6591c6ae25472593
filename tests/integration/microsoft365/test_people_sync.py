"""People and groups of Microsoft Entra: everything at first, then changes, whatever goes wrong on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from directory_world import SCOPES, Office, misplaced, noted, office, real
from servers.microsoft365 import Tenant
from servers.microsoft365.crowd import Staff, grow

from data_platform.errors import AccessDenied, DirectoryRefused, SourceError
from populate.directory.sync import TABLES
from schemas.binding import Binding
from schemas.directory import AccountState, FeedPosition, PersonName
from schemas.identity import account_id
from schemas.people import Account, AccountName, Departure, Membership, Person
from schemas.restrict import where

Open = Callable[..., Office]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, home: object) -> Iterator[Open]:
    with ExitStack() as stack:
        yield lambda world, scopes=SCOPES: stack.enter_context(office(monkeypatch, world, scopes))


def sizes() -> dict[str, int]:
    return {name: len(table()) for name, table in TABLES.items() if name != "FeedPosition"}


def test_ten_rounds_of_changes_leave_what_the_server_has(served: Open, binding: Binding) -> None:
    world = Tenant("contoso", seed=7)
    grow(world, users=150, sites=3, items=10)
    world.pages.users_most, world.pages.users_delta, world.pages.groups_delta = 999, 30, 20
    world.pages.delta_members = 10
    world.quirks.repeat_in_delta = True
    here = served(world)
    here.server.faults.throttle_every, here.server.faults.fail_every = 50, 97
    here.server.faults.wait_seconds = 0.02
    assert here.sync(binding).full
    assert noted(here, binding) == real(here)
    staff = Staff(world, seed=3)
    for number in range(10):
        staff.change(25)
        if number == 5:
            world.forget_directory_deltas()
        done = here.sync(binding, allow_drop=True)
        assert done.full == (number == 5)
        assert noted(here, binding) == real(here)
        assert misplaced(binding) == {}
    before = sizes()
    assert here.sync(binding, full=True).full
    assert sizes() == before  # everything once more adds nothing
    assert here.server.faults.throttled > 0
    gone = {row["person_id"] for row in Departure.to_dicts()}
    assert len(gone) > 0


def test_no_more_is_asked_than_has_to_be(served: Open, binding: Binding) -> None:
    world = Tenant("contoso", seed=7)
    grow(world, users=450, sites=1, items=1)
    world.pages.users_most = 999
    here = served(world)
    here.sync(binding)
    assert here.server.count("GET /v1.0/users") == 2  # where changes begin, and everybody
    assert here.server.count("GET /v1.0/groups") == 1
    assert here.server.count("GET /v1.0/") == 4
    here.sync(binding)
    assert here.server.count("GET /v1.0/") == 7


def test_a_person_s_life(served: Open, binding: Binding) -> None:
    world = Tenant("contoso", seed=7)
    others = [world.add_user(f"Person {number}", department="Physics") for number in range(8)]
    amy = world.add_user("Amy Ash", department="Chemistry", manager=others[0], jobTitle="Chemist")
    guest = world.invite_guest("zoe@fabrikam.com", "Zoe")
    here = served(world)
    here.sync(binding)
    person = here.account(amy.id)
    assert where(Person, person_id=here.account(guest.id)).fetch1("person_kind") == "guest"
    assert where(Person, person_id=here.account(here.app.id)).fetch1("person_kind") == "service"

    world.rename_user(amy, "Amy Elm", "amy.elm")
    assert here.sync(binding).renamed == 1
    assert where(Person, person_id=person).fetch1("full_name") == "Amy Elm"
    assert {row["person_name"] for row in where(PersonName, person_id=person).to_dicts()} == {"Amy Ash", "Amy Elm"}
    assert len(where(AccountName, account_id=person)) == 2

    world.update_user(amy, department=None)
    assert here.sync(binding).moved == 1
    world.disable(amy)
    assert here.sync(binding).left == 1
    world.enable(amy)
    assert here.sync(binding).back == 1
    world.delete_user(amy)
    done = here.sync(binding)
    assert (done.deleted, done.left) == (1, 1)
    world.restore_user(amy)
    done = here.sync(binding)
    assert (done.enabled, done.back) == (1, 1)
    world.purge_user(amy)
    assert here.sync(binding).deleted == 1
    assert len(where(AccountState, account_id=person)) == 6
    assert len(where(Departure, person_id=person)) == 3
    days = sorted(row["member_since"] for row in where(Membership, person_id=person).to_dicts())
    assert len(days) == len(set(days)) == 4


def test_whoever_read_before_the_directory_was_is_met_again(served: Open, binding: Binding) -> None:
    world = Tenant("contoso", seed=7)
    amy = world.add_user("Amy Ash", onPremisesSamAccountName="AMY")
    here = served(world)
    for realm, login in ((here.realm, amy.id), ("local", "amy")):
        key = account_id(realm, login)
        Person.insert1({"person_id": key, "full_name": login, "person_kind": "unknown"})
        Account.insert1({"account_id": key, "realm": realm, "login": login, "person_id": key})
    done = here.sync(binding)
    assert done.joined == 1
    assert {row["person_id"] for row in Account.to_dicts() if row["login"] in ("amy", amy.id)} == {here.account(amy.id)}
    assert where(Person, person_id=here.account(amy.id)).fetch1("full_name") == "Amy Ash"


def test_without_rights_for_groups_people_are_read_all_the_same(served: Open, binding: Binding) -> None:
    world = Tenant("contoso", seed=7)
    world.add_group("Chemists", world.add_user("Amy Ash"))
    here = served(world, "User.Read.All")
    done = here.sync(binding)
    assert (done.new, done.groups) == (1, 0)
    assert any("GroupMember.Read.All" in sentence for sentence in done.odd)
    assert any("Application.Read.All" in sentence for sentence in done.odd)


def test_nothing_is_written_unless_all_was_read(served: Open, binding: Binding) -> None:
    world = Tenant("contoso", seed=7)
    grow(world, users=60, sites=1, items=1)
    world.pages.users_most = 999
    here = served(world)
    here.sync(binding)
    before, positions = sizes(), len(FeedPosition())
    Staff(world, seed=1).change(10)
    here.server.faults.plan(403, "Authorization_RequestDenied", "GET /v1.0/users")
    with pytest.raises(AccessDenied):
        here.sync(binding)
    here.server.faults.plan(400, "Request_BadRequest", "GET /v1.0/servicePrincipals")
    with pytest.raises(SourceError):
        here.sync(binding)
    for user in list(world.users.values())[:40]:
        if user.deleted is None:
            world.disable(user)
    with pytest.raises(DirectoryRefused, match="--allow-drop"):
        here.sync(binding)
    assert (sizes(), len(FeedPosition())) == (before, positions)
    here.sync(binding, allow_drop=True)
    assert noted(here, binding) == real(here)


def test_a_week_without_a_worker_loses_nobody(served: Open, binding: Binding) -> None:
    world = Tenant("contoso", seed=7)
    people = [world.add_user(f"Person {number}") for number in range(10)]
    here = served(world)
    here.sync(binding)
    world.delete_user(people[0])
    world.add_user("Person 10", department="Physics")
    world.advance(days=8)
    assert here.sync(binding).full
    assert noted(here, binding) == real(here)
    here.server.faults.plan(404, "itemNotFound", "GET /v1.0/users/delta")  # has been seen in place of 410
    assert here.sync(binding).full
    assert noted(here, binding) == real(here)
