"""Whoever follows the stand-in's deltas, changes in the midst of them or not, has its state in the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from servers.microsoft365 import Tenant
from servers.microsoft365.changes import Busy
from servers.microsoft365.crowd import Staff, grow
from servers.microsoft365.server import Server
from standin_client import Client

SCOPES = "Files.Read.All User.Read.All GroupMember.Read.All"
State = dict[str, Any]
ROUNDS = 10


@pytest.fixture
def tenant() -> Tenant:
    found = Tenant("contoso", seed=7)
    grow(found, users=120, sites=4, items=300)
    found.pages.users_delta, found.pages.groups_delta, found.pages.drive_delta = 40, 20, 50
    found.pages.delta_members = 10
    return found


@pytest.fixture
def server(tenant: Tenant) -> Iterator[Server]:
    with tenant.serve() as running:
        yield running


@pytest.fixture
def worker(tenant: Tenant, server: Server) -> Client:
    return Client(server, server.token(tenant.add_application("Data Platform", application=SCOPES)))


def follow(worker: Client, link: str, take: Callable[[Any], None], meanwhile: Callable[[], None]) -> str:
    """Take in every page; return the link to go on with. In between, the world goes on."""
    while True:
        body = worker.get(link).json
        for value in body["value"]:
            take(value)
        if "@odata.deltaLink" in body:
            return str(body["@odata.deltaLink"])
        link = body["@odata.nextLink"]
        meanwhile()


def test_users_and_groups(tenant: Tenant, worker: Client) -> None:
    users: State = {}
    managers: dict[str, str | None] = {}
    groups: dict[str, set[str]] = {}

    def take_user(value: Any) -> None:
        if "@removed" in value:
            users.pop(value["id"], None)
            return
        for change in value.pop("manager@delta", []):
            if "@removed" not in change:
                managers[value["id"]] = change["id"]
            elif managers.get(value["id"]) == change["id"]:
                managers[value["id"]] = None
        users[value["id"]] = value

    def take_group(value: Any) -> None:
        if "@removed" in value:
            groups.pop(value["id"], None)
            return
        members = groups.setdefault(value["id"], set())
        for change in value.get("members@delta", []):
            (members.discard if "@removed" in change else members.add)(change["id"])

    staff = Staff(tenant)
    links = ["/users/delta?$select=displayName,department,accountEnabled,manager", "/groups/delta?$select=id,members"]
    for number in range(ROUNDS):
        tenant.quirks.repeat_in_delta = number % 2 == 0
        links[0] = follow(worker, links[0], take_user, lambda: staff.change(5))
        links[1] = follow(worker, links[1], take_group, lambda: staff.change(5))
        staff.change(30)
    for position, take in enumerate((take_user, take_group)):
        follow(worker, links[position], take, lambda: None)
    present = {user.id: user for user in tenant.users.values() if user.deleted is None}
    assert users.keys() == present.keys()
    for key, user in present.items():
        assert users[key]["displayName"] == user.name
        assert users[key]["accountEnabled"] == user.enabled
        assert managers.get(key) == user.manager
    assert groups == {group.id: set(group.members) for group in tenant.groups.values() if group.deleted is None}


def test_items(tenant: Tenant, worker: Client) -> None:
    busy = Busy(tenant, list(tenant.users.values())[:10], seed=3)
    drives = list(tenant.drives.values())[:3]
    links = {drive.id: f"/drives/{drive.id}/root/delta" for drive in drives}
    found: dict[str, State] = {drive.id: {} for drive in drives}
    for number in range(ROUNDS + 1):
        for drive in drives:
            items = found[drive.id]

            def take(value: Any, items: State = items) -> None:
                if "deleted" in value:
                    items.pop(value["id"], None)
                else:
                    items[value["id"]] = (value["name"], value["eTag"], value["parentReference"].get("id"))

            meanwhile = partial(busy.change, drives, 3 if number < ROUNDS else 0)
            links[drive.id] = follow(worker, links[drive.id], take, meanwhile)
        busy.change(drives, 20 if number < ROUNDS else 0)
    for drive in drives:
        real = {i.id: (i.name, i.e_tag, i.parent.id if i.parent else None) for i in drive.items.values()}
        assert found[drive.id] == real


def test_a_large_company_is_the_same_each_time() -> None:
    made = []
    for _ in range(2):
        tenant = Tenant("contoso", seed=3)
        grow(tenant, users=60, sites=3, items=200)
        made.append(
            ({user.upn for user in tenant.users.values()}, {k for d in tenant.drives.values() for k in d.items})
        )
        assert sum(len(drive.items) for drive in tenant.drives.values()) == 200
        assert tenant.journal == []
    assert made[0] == made[1]
