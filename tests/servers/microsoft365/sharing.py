"""Giving access to items and taking it away, and who may use what."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from servers.microsoft365.files import Files
from servers.microsoft365.journal import SHARING_OPERATION
from servers.microsoft365.library import PERSONAL, Actor, Item, Link, Permission, SiteGroup
from servers.microsoft365.people import Application, Group, User
from servers.microsoft365.world import changing

_LETTERS = {"xlsx": "x", "docx": "w", "pptx": "p", "pdf": "b", "txt": "t", "csv": "x", "mp4": "v", "png": "i"}
_LINKED = {"anonymous": "AnonymousLinkCreated", "organization": "CompanyLinkCreated", "users": "SecureLinkCreated"}
_UNLINKED = {"anonymous": "AnonymousLinkRemoved", "organization": "CompanyLinkRemoved", "users": "SecureLinkDeleted"}
WRITES = frozenset({"write", "owner", "sp.full control"})


class Sharing(Files):
    """Permissions of items."""

    @changing
    def share(
        self,
        item: Item,
        by: Actor,
        *grantees: User | Group | SiteGroup | str,
        role: str = "read",
        expires: datetime | None = None,
    ) -> list[Permission]:
        """Give people, groups or addresses of people elsewhere access, as "Share" with their names does.

        Somebody who is invited by address has no account yet: the permission has an invitation
        only, until `redeem`.
        """
        return [self._share(item, by, grantee, role, expires) for grantee in grantees]

    @changing
    def link(
        self,
        item: Item,
        by: Actor,
        *people: User | str,
        scope: str = "organization",
        kind: str = "view",
        expires: datetime | None = None,
    ) -> Permission:
        """Make a sharing link; people are those whom a link of scope ``users`` is for."""
        keys = dict.fromkeys(person if isinstance(person, str) else person.id for person in people)
        link = Link(scope, kind, self._link_url(item), keys)
        found = Permission(self.new_guid(), [_role(kind)], self.now(), link=link, expires=expires)
        found.share_id = "u!" + self.new_token(24)
        item.permissions.append(found)
        self.links[found.share_id] = self.links[link.url.partition("?")[0]] = (item, found)
        correlation = self.new_guid()
        self._note(_LINKED[scope], by, item, correlation, UniqueSharingId=found.id)
        if scope == "users":
            self._note_link_group(by, item, found, correlation)
            for person in people:
                self._note_person("AddedToSecureLink", by, item, person, correlation, UniqueSharingId=found.id)
        item.drive.log_change(item, shared=True)
        return found

    @changing
    def add_to_link(self, item: Item, permission: Permission, by: Actor, *people: User | str) -> None:
        """Let further people use a link of scope ``users``."""
        assert permission.link is not None
        for person in people:
            permission.link.people[person if isinstance(person, str) else person.id] = None
            self._note_person("AddedToSecureLink", by, item, person, self.new_guid(), UniqueSharingId=permission.id)
        item.drive.log_change(item, shared=True)

    @changing
    def revoke(self, item: Item, permission: Permission, by: Actor) -> None:
        """Take a permission away, or a link."""
        item.permissions.remove(permission)
        if permission.link is not None:
            del self.links[permission.share_id], self.links[permission.link.url.partition("?")[0]]
            self._note(_UNLINKED[permission.link.scope], by, item, self.new_guid(), UniqueSharingId=permission.id)
        else:
            grantee = self._named(permission.grantee) or permission.email
            self._note_person("SharingRevoked", by, item, grantee, self.new_guid())
        item.drive.log_change(item, shared=True)

    @changing
    def redeem(self, item: Item, permission: Permission, user: User) -> None:
        """Let somebody accept an invitation, or open a link in the browser: it holds for good."""
        if permission.link is not None:
            permission.link.redeemed[user.id] = None
        else:
            permission.grantee = user.id
            self._note("SharingInvitationAccepted", user, item, self.new_guid())
        item.drive.log_change(item, shared=True)

    def of(self, item: Item) -> Iterator[tuple[Permission, Item]]:
        """Yield each permission that holds for an item, with the item that it was given on."""
        for holder in item.chain():
            for permission in holder.permissions:
                if permission.expires is None or permission.expires > self.now():
                    yield permission, holder

    def may(self, user: User, item: Item, *, write: bool = False) -> bool:
        """Tell whether somebody may use an item."""
        keys = {user.id, *self.member_of(user.id)}
        return any(
            self.applies(permission, user, keys) and (not write or not WRITES.isdisjoint(permission.roles))
            for permission, _ in self.of(item)
        )

    def applies(self, permission: Permission, user: User, keys: set[str]) -> bool:
        """Tell whether a permission is one of somebody, who is a member of the groups in `keys`."""
        if permission.link is None:
            return permission.grantee in keys
        return user.id in permission.link.redeemed or self._invited(permission.link, user)

    def opens(self, permission: Permission, user: User | None) -> bool:
        """Tell whether somebody may use a link."""
        link = permission.link
        if link is None:
            return user is not None and permission.grantee in {user.id, *self.member_of(user.id)}
        if link.scope == "anonymous":
            return True
        if user is None:
            return False
        return not user.guest if link.scope == "organization" else self._invited(link, user)

    @staticmethod
    def _invited(link: Link, user: User) -> bool:
        return link.scope == "users" and not link.people.keys().isdisjoint({user.id, user.mail, user.upn})

    def _share(
        self, item: Item, by: Actor, grantee: User | Group | SiteGroup | str, role: str, expires: datetime | None
    ) -> Permission:
        permission = Permission(self.new_token(24), [role], self.now(), expires=expires)
        correlation = self.new_guid()
        if isinstance(grantee, str):
            permission.email, permission.invited_by = grantee, by.id if isinstance(by, User) else ""
            self._note_person("AccessInvitationCreated", by, item, grantee, correlation)
        else:
            permission.grantee = grantee.id
            self._note_person("SharingSet", by, item, grantee, correlation, EventData=_event_data(role))
        item.permissions.append(permission)
        # One act leaves several records: people and systems see different parts of it.
        if item.drive.kind != PERSONAL:
            self._note_system(by, item, correlation)
        item.drive.log_change(item, shared=True)
        return permission

    def _note(self, operation: str, by: Actor, item: Item, correlation: str, **more: Any) -> None:
        self.record(operation, by, item, kind=SHARING_OPERATION, correlation=correlation, **more)

    def _note_person(
        self,
        operation: str,
        by: Actor,
        item: Item,
        person: User | Group | SiteGroup | Application | str | None,
        correlation: str,
        **more: Any,
    ) -> None:
        name, sort = _target(person)
        self._note(operation, by, item, correlation, TargetUserOrGroupName=name, TargetUserOrGroupType=sort, **more)

    def _note_system(self, by: Actor, item: Item, correlation: str) -> None:
        self._note(
            "SharingSet",
            by,
            item,
            correlation,
            TargetUserOrGroupName="Limited Access System Group",
            TargetUserOrGroupType="SharePointGroup",
            EventData="<Permissions granted>System.LimitedEdit</Permissions granted>",
        )

    def _note_link_group(self, by: Actor, item: Item, permission: Permission, correlation: str) -> None:
        assert permission.link is not None
        kind = "Flexible" if permission.link.scope == "users" else "Organization"
        self._note(
            "SharingSet",
            by,
            item,
            correlation,
            TargetUserOrGroupName=f"SharingLinks.{item.guid}.{kind}.{permission.id}",
            TargetUserOrGroupType="SharePointGroup",
            EventData=_event_data(permission.roles[0]),
            UniqueSharingId=permission.id,
        )

    def _named(self, key: str) -> User | Group | SiteGroup | Application | None:
        app = next((app for app in self.applications.values() if app.id == key), None)
        return self.users.get(key) or self.groups.get(key) or self.site_groups.get(key) or app

    def _link_url(self, item: Item) -> str:
        if item.drive.kind == PERSONAL:
            letter = "f" if item.children is not None else "x"
            return f"https://1drv.ms/{letter}/s!A{self.new_token(15)}?e={self.new_token(4)}"
        letter = "f" if item.children is not None else _LETTERS.get(item.name.rpartition(".")[2].lower(), "u")
        site = item.drive.site
        kind, _, rest = site.path.strip("/").partition("/")
        short = {"sites": "s/", "teams": "t/", "personal": "g/personal/", "": "s"}[kind]
        return f"https://{site.host}/:{letter}:/{short}{rest}/E{self.new_token(30)}?e={self.new_token(4)}"


def _role(kind: str) -> str:
    return "write" if kind == "edit" else "read"


def _event_data(role: str) -> str:
    # Not well-formed, and the real records are not either.
    return f"<Permissions granted>{'Contribute' if role == 'write' else 'Read'}</Permissions granted>"


def _target(person: User | Group | SiteGroup | Application | str | None) -> tuple[str, str]:
    if isinstance(person, User):
        return person.upn, "Guest" if person.guest else "Member"
    if isinstance(person, Group):
        return person.name, "SecurityGroup"
    if isinstance(person, SiteGroup):
        return person.name, "SharePointGroup"
    return (person, "Guest") if isinstance(person, str) else (person.name if person else "", "Member")
