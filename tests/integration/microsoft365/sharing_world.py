"""A company in the stand-in, and its state beside ours: what every followed item is, and who may see it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any
from uuid import UUID

import deliveries
import pytest
from servers.microsoft365 import Tenant
from servers.microsoft365.library import Drive, Item, Permission
from servers.microsoft365.people import Application, User
from servers.microsoft365.server import Server

from data_platform.settings import Settings, load
from populate.ingest import Ingest
from populate.sharing.grants import site_group_identity
from populate.sharing.permissions import held
from populate.sharing.progress import Silent
from populate.sharing.sync import Synced, sync_sharing
from readers.source import Item as Read
from readers.source import Login
from readers.transport import tls_context
from schemas.binding import Binding
from schemas.following import FollowedDrive, ItemState
from schemas.identity import account_id, file_id, identity, name_id
from schemas.people import Account, AccountName, Person

WORKER = "Files.Read.All Sites.FullControl.All User.Read.All GroupMember.Read.All"
_STRENGTH = ("read", "write", "sp.full control", "owner")


class Company:
    """A tenant with its worker's application, and the settings that lead to it."""

    def __init__(self, world: Tenant, server: Server, app: Application) -> None:
        self.world, self.server, self.app = world, server, app
        self.follow: list[str] = []

    def settings(self) -> Settings:
        given = self.server.settings(self.app)
        given["microsoft365"]["follow"] = tuple(self.follow)
        return load(**given)

    @property
    def realm(self) -> str:
        return f"entra/{self.world.tenant_id}"

    def sync(self, binding: Binding, *, full: bool = False) -> Synced:
        """Sync as the worker does, and see that nobody asked while told to wait."""
        done = sync_sharing(binding, self.settings(), full=full, progress=Silent())
        assert self.server.faults.impatient == []
        return done

    def name(self, *users: User) -> None:
        """Let the catalogue know what people are called, as a sync of the directory does."""
        for user in users:
            key = self.person(user)
            Person.insert1({"person_id": key, "full_name": user.name, "person_kind": "person"}, skip_duplicates=True)
            account = {"account_id": key, "realm": self.realm, "login": user.id, "person_id": key}
            Account.insert1(account, skip_duplicates=True)
            row = {"account_id": key, "named_on": date(2026, 1, 1), "name_id": name_id(user.upn)}
            AccountName.insert1(row | {"account_name": user.upn}, skip_duplicates=True)

    def person(self, user: User) -> str:
        """Return the account of somebody."""
        return account_id(self.realm, user.id)

    def read(self, binding: Binding, item: Item, by: User) -> str:
        """Deliver a read of an item as the reader notes it down, and return the file."""
        host = f"microsoft365/{item.drive.site.host}"
        owner = item.drive.owner if isinstance(item.drive.owner, User) else item.by
        login = Login(self.realm, owner.id) if isinstance(owner, User) else None
        found = Read(host, f"{item.drive.id}/{item.id}", item.name, "/".join(item.parts), item.url, owner=login)
        record = deliveries.read(found, kind="microsoft365", revision=item.c_tag or item.e_tag)
        record |= {"account_realm": self.realm, "account_login": by.id, "account_name": by.upn}
        record.pop("account_id", None)
        deliveries.hand_in(binding, [record], run=f"{item.id} {by.id}")
        Ingest.populate()
        return file_id(found.source_system, found.item_id)


@contextmanager
def company(patch: pytest.MonkeyPatch) -> Iterator[Company]:
    """Serve an empty company, whose certificates are trusted here."""
    world = Tenant("contoso", seed=7)
    app = world.add_application("Data Platform", application=f"{WORKER} ActivityFeed.Read")
    with world.serve() as server, patch.context() as inner:
        inner.setenv("SSL_CERT_FILE", str(server.ca))
        tls_context.cache_clear()
        yield Company(world, server, app)
    tls_context.cache_clear()


def noted_items(drives: Iterable[Drive]) -> dict[str, tuple[str, str, str, int]]:
    """Return path, kind, token and size of each item that is there, by our rows alone."""
    wanted = {drive.id for drive in drives}
    keys = {row["drive_key"]: row["source_drive"] for row in FollowedDrive.to_dicts()}
    latest: dict[str, dict[str, Any]] = {}
    for row in ItemState.to_dicts(order_by="state_since"):
        if keys[row["drive_key"]] in wanted:
            latest[row["item_key"]] = row

    def path(key: str) -> str:
        row = latest[key]
        outer = path(row["parent_key"]) if row["parent_key"] != key else ""
        return f"{outer}/{row['item_name']}".strip("/") if row["parent_key"] != key else ""

    return {
        key: (path(key), row["item_kind"], row["item_token"], row["item_size"])
        for key, row in latest.items()
        if row["item_kind"] != "gone"
    }


def real_items(drives: Iterable[Drive]) -> dict[str, tuple[str, str, str, int]]:
    """Return the same as the server has it."""
    found = {}
    for drive in drives:
        for item in drive.items.values():
            key = file_id(f"microsoft365/{drive.site.host}", f"{drive.id}/{item.id}")
            kind = "folder" if item.children is not None else "file" if item.is_file else "package"
            size = item.size if item.is_file else -1
            found[key] = ("/".join(item.parts), kind, item.e_tag, size)
    return found


def noted_grants(file_ids: Iterable[str]) -> dict[str, dict[str, tuple[str, datetime]]]:
    """Return level and end of every grant in force, by file and grantee."""
    wanted = set(file_ids)
    return {
        key: {grantee: (one.level, one.expires_at) for grantee, one in held([key]).get(key, {}).items()}
        for key in wanted
    }


def real_grants(company: Company, item: Item) -> dict[str, tuple[str, datetime]]:
    """Return the same as the server has it, worked out from its objects and not from its answers."""
    found: dict[str, tuple[str, datetime]] = {}
    for permission, _ in company.world.of(item):
        end = permission.expires.replace(tzinfo=None, microsecond=0) if permission.expires else datetime(9999, 12, 31)
        for grantee in _grantees(company, permission):
            level, before = permission.roles[0], found.get(grantee)
            if before is not None:
                level = max(level, before[0], key=_STRENGTH.index)
                end = max(end, before[1])
            found[grantee] = (level, end)
    return found


def _grantees(company: Company, permission: Permission) -> Iterator[str]:
    if permission.link is not None:
        yield identity("link", permission.id)
        keys = [*permission.link.people, *permission.link.redeemed]
    else:
        keys = [permission.grantee or permission.email]
    for key in keys:
        if key in company.world.groups:
            yield identity("group", company.realm, key)
        elif (own := company.world.site_groups.get(key)) is not None:
            yield site_group_identity(company.realm, UUID(own.site.guid).bytes_le.hex(), str(own.number))
        elif key in company.world.users:
            yield account_id(company.realm, key)
        else:
            yield account_id("mail", key)
