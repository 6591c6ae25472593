"""The stand-in's directory: users, groups, and deltas of both."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from servers.microsoft365 import Tenant
from servers.microsoft365.server import Server
from standin_client import Client

SCOPES = "User.Read.All GroupMember.Read.All Application.Read.All"


@pytest.fixture
def worker(tenant: Tenant, server: Server) -> Client:
    return Client(server, server.token(tenant.add_application("Data Platform", application=SCOPES)))


def test_users_come_in_pages_with_the_properties_asked_for(tenant: Tenant, worker: Client) -> None:
    boss = tenant.add_user("Cara Chief", department="Chemistry")
    people = [boss, *(tenant.add_user(f"Person {n}", department="Chemistry", manager=boss) for n in range(6))]
    target = "/users?$select=id,department,accountEnabled&$top=3&$expand=manager($select=id)"
    values, _, pages = worker.pages(target)
    assert ({value["id"] for value in values}, pages) == ({user.id for user in people}, 3)
    assert [value["manager"]["id"] for value in values if "manager" in value] == [boss.id] * 6
    assert "department" not in worker.get("/users").json["value"][0]
    assert worker.get("/users?$select=aboutMe").status == 501
    assert worker.get("/users?$top=1000").status == 400
    assert worker.get("/users?$skip=2").status == 400
    assert worker.get(f"/users/{boss.id}/manager").status == 404


def test_counting_needs_eventual_consistency(tenant: Tenant, worker: Client) -> None:
    boss = tenant.add_user("Cara Chief")
    middle = tenant.add_user("Mia Middle", manager=boss)
    tenant.add_user("Amy Adams", manager=middle)
    target = "/users?$count=true&$top=2&$expand=manager($levels=max;$select=displayName)"
    assert worker.get(target).status == 400
    first = worker.get(target, consistencylevel="eventual").json
    assert first["@odata.count"] == 3
    assert worker.get(first["@odata.nextLink"]).status == 400
    values = worker.pages(target, consistencylevel="eventual")[0]
    [lowest] = [value for value in values if value["displayName"] == "Amy Adams"]
    assert lowest["manager"]["manager"]["displayName"] == "Cara Chief"


def test_a_guest_s_login_needs_its_number_sign_encoded(tenant: Tenant, server: Server, worker: Client) -> None:
    guest = tenant.invite_guest("eve@fabrikam.com", "Eve")
    assert worker.get(f"/users/{quote(guest.upn)}").json["id"] == guest.id
    assert worker.get(f"/users/{guest.upn}").status == 404
    app = tenant.add_application("Other", delegated="User.Read.All")
    assert Client(server, server.token(app, guest)).get("/users").status == 403


def by_id(values: list[Any]) -> dict[str, Any]:
    return {value["id"]: value for value in values}


def test_user_deltas_tell_what_became_of_people(tenant: Tenant, worker: Client) -> None:
    boss, other = tenant.add_user("Cara Chief"), tenant.add_user("Olga Other")
    amy = tenant.add_user("Amy Adams", manager=boss)
    bob = tenant.add_user("Bob Brown")
    tenant.pages.users_delta = 2
    target = "/users/delta?$select=displayName,department,manager"
    values, delta, pages = worker.pages(target)
    assert pages == 2
    assert by_id(values)[amy.id]["manager@delta"] == [{"@odata.type": "#microsoft.graph.user", "id": boss.id}]
    tenant.set_manager(amy, other)
    tenant.update_user(amy, department="Physics")
    tenant.delete_user(bob)
    found = by_id(worker.pages(delta)[0])
    assert found[bob.id] == {"id": bob.id, "@removed": {"reason": "changed"}}
    assert [one["id"] for one in found[amy.id]["manager@delta"]] == [boss.id, other.id]
    assert "@removed" in found[amy.id]["manager@delta"][0]
    least = by_id(worker.pages(delta, prefer="return=minimal")[0])
    assert set(least[amy.id]) == {"id", "department", "manager@delta"}
    [gone] = worker.get("/directory/deletedItems/microsoft.graph.user").json["value"]
    assert gone["id"] == bob.id
    tenant.purge_user(bob)
    assert by_id(worker.pages(delta)[0])[bob.id]["@removed"] == {"reason": "deleted"}
    assert worker.get("/directory/deletedItems/microsoft.graph.user").json["value"] == []
    assert worker.get("/users/delta?$top=3").status == 400


def test_positions_in_the_directory_last_seven_days(tenant: Tenant, worker: Client) -> None:
    amy = tenant.add_user("Amy Adams")
    delta = worker.pages("/users/delta?$select=displayName")[1]
    token = worker.token
    tenant.advance(days=8)
    assert worker.get(delta).status == 401
    fresh = Client(worker.server, worker.server.token(worker.server.tokens.access[token].application))
    gone = fresh.get(delta)
    assert gone.status == 410
    assert by_id(fresh.pages(gone.headers["location"])[0]).keys() == {amy.id}


def test_group_deltas_tell_members_in_parts(tenant: Tenant, worker: Client) -> None:
    people = [tenant.add_user(f"Person {n}") for n in range(5)]
    inner = tenant.add_group("Inner", people[0])
    outer = tenant.add_group("Outer", inner, *people[1:])
    tenant.pages.delta_members = 2
    values, delta, _ = worker.pages("/groups/delta?$select=displayName,members")
    told = [member["id"] for value in values if value["id"] == outer.id for member in value["members@delta"]]
    assert sorted(told) == sorted(outer.members)
    tenant.remove_member(outer, people[1])
    tenant.add_member(inner, people[1])
    tenant.delete_user(people[2])
    found = by_id(worker.pages(delta)[0])
    assert {one["id"]: "@removed" in one for one in found[outer.id]["members@delta"]} == {
        people[1].id: True,
        people[2].id: True,
    }
    assert [one["id"] for one in found[inner.id]["members@delta"]] == [people[1].id]
    everybody = worker.get(f"/groups/{outer.id}/transitiveMembers/microsoft.graph.user").json["value"]
    assert {one["id"] for one in everybody} == {people[n].id for n in (0, 1, 3, 4)}
    assert worker.get(f"/users/{people[1].id}/transitiveMemberOf").json["value"][0]["displayName"]


def test_applications_are_listed(tenant: Tenant, worker: Client) -> None:
    [found] = worker.get("/servicePrincipals").json["value"]
    assert found["appId"] in tenant.applications
