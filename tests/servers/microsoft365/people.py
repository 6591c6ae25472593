"""Users, groups and applications of the tenant, and what changes about them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from servers.microsoft365.world import Json, World, changing, stamp

USER_BOUND = "#EXT#"


@dataclass(slots=True, eq=False)
class User:
    """A user object; `properties` are those of Graph by their names."""

    id: str
    properties: Json
    manager: str | None = None
    deleted: datetime | None = None
    purged: bool = False
    born: int = 0
    change: int = 0
    touched: dict[str, int] = field(default_factory=dict)
    managers_before: list[tuple[int, str]] = field(default_factory=list)
    groups_before: list[str] = field(default_factory=list)

    @property
    def upn(self) -> str:
        return str(self.properties["userPrincipalName"])

    @property
    def name(self) -> str:
        return str(self.properties["displayName"])

    @property
    def mail(self) -> str | None:
        return self.properties.get("mail")

    @property
    def guest(self) -> bool:
        return self.properties.get("userType") == "Guest"

    @property
    def enabled(self) -> bool:
        return bool(self.properties["accountEnabled"])


@dataclass(slots=True, eq=False)
class Group:
    """A group; members are ids of users, groups and service principals."""

    id: str
    properties: Json
    members: dict[str, None] = field(default_factory=dict)
    owners: dict[str, None] = field(default_factory=dict)
    deleted: datetime | None = None
    purged: bool = False
    born: int = 0
    change: int = 0
    touched: dict[str, int] = field(default_factory=dict)
    member_changes: dict[str, tuple[int, bool]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return str(self.properties["displayName"])


@dataclass(slots=True, eq=False)
class Application:
    """A registration and its service principal (`id`); permissions are those an administrator consented to."""

    client_id: str
    id: str
    name: str
    secret: str = ""
    certificates: list[bytes] = field(default_factory=list)
    application: frozenset[str] = frozenset()
    delegated: frozenset[str] = frozenset()
    created: str = ""


class People(World):
    """The directory. Each change gets a number; the logs say which object changed with which number."""

    def __init__(self, name: str = "contoso", seed: int = 1) -> None:
        super().__init__(name, seed)
        self.users: dict[str, User] = {}
        self.groups: dict[str, Group] = {}
        self.applications: dict[str, Application] = {}
        self.user_log: list[str] = []
        self.group_log: list[str] = []
        self._by_upn: dict[str, str] = {}
        self.directory_epoch = 0

    @changing
    def add_user(self, name: str, *, login: str = "", manager: User | None = None, **properties: Any) -> User:
        """Hire somebody; further properties by their names in Graph, as ``department="Chemistry"``."""
        given, _, surname = name.partition(" ")
        login = login or name.lower().replace(" ", ".")
        upn = login if "@" in login else f"{login}@{self.domain}"
        found = {
            "accountEnabled": True,
            "createdDateTime": stamp(self.now()),
            "creationType": None,
            "displayName": name,
            "givenName": given,
            "mail": upn,
            "surname": surname,
            "userPrincipalName": upn,
            "userType": "Member",
            **properties,
        }
        if upn.lower() in self._by_upn:
            raise ValueError(f"there is a user {upn} already")
        user = User(self.new_guid(), found, manager.id if manager else None)
        self.users[user.id] = user
        self._by_upn[upn.lower()] = user.id
        self._log_user(user)
        user.born = len(self.user_log)
        return user

    def user(self, key: str) -> User | None:
        """Return the user with this id or login, unless deleted."""
        found = self.users.get(key.lower()) or self.users.get(self._by_upn.get(key.lower(), ""))
        return found if found is not None and found.deleted is None else None

    @changing
    def update_user(self, user: User, **properties: Any) -> None:
        """Change properties, by their names in Graph."""
        if "userPrincipalName" in properties:
            del self._by_upn[user.upn.lower()]
            self._by_upn[str(properties["userPrincipalName"]).lower()] = user.id
        user.properties |= properties
        self._log_user(user, *properties)

    def rename_user(self, user: User, name: str, login: str = "") -> None:
        """Give somebody another name and, where given, another login and address."""
        given, _, surname = name.partition(" ")
        changed: Json = {"displayName": name, "givenName": given, "surname": surname}
        if login:
            upn = login if "@" in login else f"{login}@{self.domain}"
            changed |= {"userPrincipalName": upn, "mail": upn}
        self.update_user(user, **changed)

    def disable(self, user: User) -> None:
        self.update_user(user, accountEnabled=False)

    def enable(self, user: User) -> None:
        self.update_user(user, accountEnabled=True)

    @changing
    def set_manager(self, user: User, manager: User | None) -> None:
        if user.manager:
            user.managers_before.append((len(self.user_log) + 1, user.manager))
        user.manager = manager.id if manager else None
        self._log_user(user, "manager")

    @changing
    def delete_user(self, user: User) -> None:
        """Move an account to the deleted items, from where it can be restored for 30 days."""
        user.deleted = self.now()
        del self._by_upn[user.upn.lower()]
        for group in self.groups.values():
            if user.id in group.members:
                user.groups_before.append(group.id)
                self.remove_member(group, user)
        self._log_user(user)

    @changing
    def restore_user(self, user: User) -> None:
        user.deleted = None
        self._by_upn[user.upn.lower()] = user.id
        self._log_user(user)
        user.born = user.change
        for key in user.groups_before:
            self.add_member(self.groups[key], user)
        user.groups_before.clear()

    @changing
    def purge_user(self, user: User) -> None:
        """Delete an account for good."""
        if user.deleted is None:
            self.delete_user(user)
        user.purged = True
        self._log_user(user)

    @changing
    def invite_guest(self, email: str, name: str = "") -> User:
        """Invite somebody from elsewhere to the directory; mail stays as it is, the login is made from it."""
        login = f"{email.replace('@', '_')}{USER_BOUND}@{self.domain}"
        return self.add_user(
            name or email,
            login=login,
            mail=email,
            userType="Guest",
            creationType="Invitation",
            externalUserState="PendingAcceptance",
        )

    def accept_invitation(self, user: User) -> None:
        self.update_user(user, externalUserState="Accepted")

    @changing
    def add_group(self, name: str, *members: User | Group | Application, **properties: Any) -> Group:
        """Make a security group; ``groupTypes=["Unified"]`` makes it one of Microsoft 365."""
        found = {
            "createdDateTime": stamp(self.now()),
            "description": None,
            "displayName": name,
            "groupTypes": [],
            "mail": None,
            "mailEnabled": False,
            "securityEnabled": True,
            **properties,
        }
        group = Group(self.new_guid(), found, dict.fromkeys(member.id for member in members))
        self.groups[group.id] = group
        self._log_group(group)
        group.born = len(self.group_log)
        return group

    @changing
    def update_group(self, group: Group, **properties: Any) -> None:
        group.properties |= properties
        self._log_group(group, *properties)

    @changing
    def add_member(self, group: Group, member: User | Group | Application) -> None:
        group.members[member.id] = None
        self._log_group(group)
        group.member_changes[member.id] = (len(self.group_log), True)

    @changing
    def remove_member(self, group: Group, member: User | Group | Application) -> None:
        del group.members[member.id]
        self._log_group(group)
        group.member_changes[member.id] = (len(self.group_log), False)

    @changing
    def delete_group(self, group: Group, *, purge: bool = False) -> None:
        group.deleted, group.purged = self.now(), purge
        self._log_group(group)

    @changing
    def add_application(
        self, name: str, *, application: str = "", delegated: str = "", secret: str = ""
    ) -> Application:
        """Register an application, with the permissions (names with spaces between) that an administrator granted."""
        app = Application(
            self.new_guid(),
            self.new_guid(),
            name,
            secret or self.new_token(),
            application=frozenset(application.split()),
            delegated=frozenset(delegated.split()),
            created=stamp(self.now()),
        )
        self.applications[app.client_id] = app
        return app

    @changing
    def forget_directory_deltas(self) -> None:
        """Make positions in deltas of users and groups that were given out so far worthless."""
        self.directory_epoch += 1

    def member_of(self, member_id: str) -> set[str]:
        """Return the ids of the groups that somebody is in, be it through other groups."""
        found: set[str] = set()
        new = {member_id}
        while new:
            new = {g.id for g in self.groups.values() if g.deleted is None and not new.isdisjoint(g.members)} - found
            found |= new
        return found

    def _log_user(self, user: User, *properties: str) -> None:
        self.user_log.append(user.id)
        user.change = len(self.user_log)
        user.touched |= dict.fromkeys(properties, len(self.user_log))

    def _log_group(self, group: Group, *properties: str) -> None:
        self.group_log.append(group.id)
        group.change = len(self.group_log)
        group.touched |= dict.fromkeys(properties, len(self.group_log))
