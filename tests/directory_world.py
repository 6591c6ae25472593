"""A company in the stand-in, and what its directory holds beside what our tables say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from servers.microsoft365 import Tenant
from servers.microsoft365.people import Group
from servers.microsoft365.server import Server

from data_platform.settings import Settings, load
from populate.directory.entra import read_entra
from populate.directory.group_rows import group_id
from populate.directory.known import Known, read_known
from populate.directory.members import members_of
from populate.directory.sync import SyncResult, take_in
from readers.transport import tls_context
from schemas.binding import Binding
from schemas.identity import account_id

SCOPES = "User.Read.All GroupMember.Read.All Application.Read.All"
DAY = datetime(2026, 5, 20, 9)


class Office:
    """A tenant, its server, and an application that may read the directory."""

    def __init__(self, world: Tenant, server: Server, scopes: str) -> None:
        self.world, self.server = world, server
        self.app = world.add_application("Data Platform", application=scopes)
        self.now = DAY

    def settings(self) -> Settings:
        return load(**self.server.settings(self.app))

    @property
    def realm(self) -> str:
        return f"entra/{self.world.tenant_id}"

    def sync(self, binding: Binding, *, full: bool = False, **options: Any) -> SyncResult:
        """Sync an hour after the last time, and see that nobody asked while told to wait."""
        self.now += timedelta(hours=1)
        wanted = self.settings()
        done = take_in(
            binding, "entra", lambda positions: read_entra(wanted, positions, full=full), now=self.now, **options
        )
        assert self.server.faults.impatient == []
        return done

    def account(self, key: str) -> str:
        return account_id(self.realm, key)


@contextmanager
def office(patch: pytest.MonkeyPatch, world: Tenant, scopes: str = SCOPES) -> Iterator[Office]:
    """Serve a company, whose certificates are trusted here."""
    with world.serve() as server, patch.context() as inner:
        inner.setenv("SSL_CERT_FILE", str(server.ca))
        tls_context.cache_clear()
        yield Office(world, server, scopes)
    tls_context.cache_clear()


def real(office: Office) -> dict[str, dict[str, Any]]:
    """Return what the directory holds: users and applications, where people work, groups and who is in them."""
    world = office.world
    users = {user.id: user for user in world.users.values() if user.deleted is None}
    groups = {group.id: group for group in world.groups.values() if group.deleted is None}
    people: dict[str, Any] = {}
    for user in users.values():
        said = user.properties
        people[office.account(user.id)] = (
            user.name,
            user.upn,
            user.mail or "",
            said.get("department") or "",
            said.get("jobTitle") or "",
            office.account(user.manager) if user.manager else "",
            "guest" if user.guest else "person",
            "enabled" if user.enabled else "disabled",
        )
    for app in world.applications.values():
        people[office.account(app.id)] = (app.name, "", "", "", "", "", "service", "enabled")
    known = {**users, **groups, **{app.id: app for app in world.applications.values()}}
    members = {
        group_id(office.realm, group.id): (
            group.name,
            frozenset(office.account(one) for one in group.members if one in known and one not in groups),
            frozenset(group_id(office.realm, one) for one in group.members if one in groups),
        )
        for group in groups.values()
    }
    everybody = {
        group_id(office.realm, key): frozenset(
            office.account(one) for inner in _within(groups, key) for one in groups[inner].members if one in users
        )
        for key in groups
    }
    return {"people": people, "groups": members, "everybody": everybody}


def _within(groups: dict[str, Group], key: str) -> set[str]:
    """Return the ids of a group and of those that are in it, be it through others."""
    found: set[str] = set()
    new = {key}
    while new:
        found |= new
        new = {one for group in new for one in groups[group].members if one in groups} - found
    return found


def noted(office: Office, binding: Binding) -> dict[str, dict[str, Any]]:
    """Return the same by our tables, of the latest rows."""
    known = read_known(binding)
    people = {
        account: (
            *(entry.name, known.account_names.get(account, ""), entry.mail, entry.department, entry.title),
            *(entry.manager, entry.kind, known.states[account]),
        )
        for account, entry in known.entries.items()
        if known.states[account] != "deleted"
    }
    there = [group for group in known.groups if _there(known, group)]
    members = {
        group: (
            known.group_names[group],
            frozenset(known.members.get(group, ())),
            frozenset(known.nested.get(group, ())),
        )
        for group in there
    }
    accounts = {account for account, told in people.items() if told[6] != "service"}
    everybody = {group: found & accounts for group, found in members_of(binding, there).items()}
    return {"people": people, "groups": members, "everybody": everybody}


def _there(known: Known, group: str) -> bool:
    return group not in known.groups_gone or bool(known.members.get(group) or known.nested.get(group))


def misplaced(binding: Binding) -> dict[str, Any]:
    """Return the people in use whose latest membership is not what their account says, with both."""
    known = read_known(binding)
    found = {}
    for account, entry in known.entries.items():
        person = known.person_of[account]
        if known.states[account] != "enabled" or entry.kind == "service":
            continue
        stint = known.stints.get(person)
        manager = known.person_of.get(entry.manager)
        says = (entry.department, entry.title, None if manager == person else manager)
        holds = (stint.department, stint.title, stint.manager) if stint else ("", "", None)
        if says != holds or known.gone(person):
            found[person] = (says, holds)
    return found
