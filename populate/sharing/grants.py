"""From what a source lists as permissions of an item to grants, one for each who may do something.

What the vendor prints in one place contradicts what it prints in another, so every field may
be missing: a link may have neither scope nor type, an invitation nobody who accepted it, and
that nothing says a permission is inherited does not mean that it is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from populate.sharing.parsing import NEVER, Json, moment, part, several, text
from schemas.identity import account_id, identity

MAIL_REALM = "mail"
"""Directory of those who are known by nothing but their address."""

NO_LINK = "existingaccess"  # leads those to the item who may see it anyway
_LEVELS = ("read", "write", "sp.full control", "owner")
_OF_TYPE = {"view": "read", "embed": "read", "blocksdownload": "read", "edit": "write"}
_BEGINNING = datetime(1, 1, 2)
_GUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_GROUP = re.compile(rf"c:0(?:t\.c\|tenant|o\.c\|federateddirectoryclaimprovider)\|({_GUID})")


class Grantee(NamedTuple):
    """Who was granted something; `realm` and `login` are empty unless it is an account."""

    grantee_id: str
    kind: str
    label: str
    realm: str = ""
    login: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """What one grantee may do with an item."""

    grantee: Grantee
    level: str
    source_permission: str = ""
    link_scope: str = ""
    link_type: str = ""
    expires_at: datetime = NEVER
    inherited: bool = False
    invitation: bool = False

    @property
    def strength(self) -> tuple[int, str]:
        """Orders levels; those that are unknown are the least."""
        return (_LEVELS.index(self.level) if self.level in _LEVELS else -1, self.level)


def grants(permissions: Iterable[object], realm: str, site: str = "") -> list[Grant]:
    """Return the grants that `permissions` amount to, one a grantee, in the order of their ids.

    Parameters
    ----------
    permissions
        As the source lists them.
    realm
        Directory of the accounts that it names.
    site
        Tells sites apart, for each counts its own groups from one.
    """
    found: dict[str, Grant] = {}
    for permission in permissions:
        for grant in _grants_of(part({"one": permission}, "one"), realm, site):
            known = found.get(grant.grantee.grantee_id)
            found[grant.grantee.grantee_id] = grant if known is None else _joined(known, grant)
    return [found[key] for key in sorted(found)]


def _joined(one: Grant, other: Grant) -> Grant:
    """Return what two grants to the same one amount to: the greater level, for as long as either holds."""
    first, second = sorted((one, other), key=lambda grant: (grant.strength, grant.source_permission))
    return replace(
        second,
        expires_at=max(one.expires_at, other.expires_at),
        inherited=one.inherited and other.inherited,
        invitation=first.invitation or second.invitation,
    )


def _grants_of(permission: Json, realm: str, site: str) -> Iterator[Grant]:
    link = part(permission, "link")
    scope = text(link, "scope")
    if scope.lower() == NO_LINK:
        return
    about = Grant(
        Grantee("", "", ""),
        _level(permission, link),
        source_permission=text(permission, "id")[:512],
        link_scope=scope[:32],
        link_type=text(link, "type")[:32],
        expires_at=_expiry(permission),
        inherited=bool(part(permission, "inheritedFrom")),
        invitation=bool(part(permission, "invitation")),
    )
    named = list(_grantees(permission, realm, site))
    if link:
        label = scope or ("users" if named else "unknown")
        yield replace(about, grantee=Grantee(identity("link", text(permission, "id")), "link", label[:255]))
    elif not named and (address := text(permission, "invitation", "email")):
        named = [_by_mail(address)]
    for grantee in named:
        yield replace(about, grantee=grantee)


def _level(permission: Json, link: Json) -> str:
    listed = permission.get("roles")
    roles = [role.lower() for role in listed if isinstance(role, str)] if isinstance(listed, list) else []
    known = [role for role in _LEVELS if role in roles]
    if known:
        return known[-1]
    return (min(roles) if roles else _OF_TYPE.get(text(link, "type").lower(), "read"))[:32]


def _expiry(permission: Json) -> datetime:
    """Return when it runs out; the vendor writes the year 1 where it never does."""
    told = moment(text(permission, "expirationDateTime"))
    return NEVER if told is None or told < _BEGINNING else told


def _grantees(permission: Json, realm: str, site: str) -> Iterator[Grantee]:
    one = part(permission, "grantedToV2") or part(permission, "grantedTo")
    many = several(permission, "grantedToIdentitiesV2") or several(permission, "grantedToIdentities")
    for identities in (one, *many):
        if identities and (grantee := _grantee(identities, realm, site)) is not None:
            yield grantee


def _grantee(identities: Json, realm: str, site: str) -> Grantee | None:
    """Return who is meant by a set of identities, which tells of one and the same in several ways."""
    user, group = part(identities, "user"), part(identities, "group")
    if user_id := text(user, "id"):
        return _account(realm, user_id.lower(), text(user, "email") or text(user, "displayName"))
    if group_id := text(group, "id") or _claimed_group(part(identities, "siteUser")):
        return Grantee(group_identity(realm, group_id), "group", _name(identities, group_id))
    if address := text(user, "email") or _address(part(identities, "siteUser")):
        return _by_mail(address)
    for kind in ("siteGroup", "application", "device"):
        one = part(identities, kind)
        if own_id := text(one, "id") or text(one, "displayName"):
            label = (text(one, "displayName") or own_id)[:255]
            if kind == "siteGroup":
                return Grantee(site_group_identity(realm, site, own_id), "group", label)
            return Grantee(identity(kind, realm, own_id.lower()), kind, label)
    name = text(user, "displayName") or text(group, "displayName") or text(identities, "siteUser", "displayName")
    return Grantee(identity("named", realm, name), "unknown", name[:255]) if name else None


def _address(site_user: Json) -> str:
    """Return the principal name within a login of SharePoint's, as ``i:0#.f|membership|amy@contoso.com``."""
    name = text(site_user, "loginName").rpartition("|")[2]
    return name if "@" in name else text(site_user, "email")


def _claimed_group(site_user: Json) -> str:
    """Return the id of the directory's group within a login of SharePoint's, as ``c:0t.c|tenant|GUID``."""
    found = _GROUP.fullmatch(text(site_user, "loginName").lower())
    return found[1] if found else ""


def _name(identities: Json, otherwise: str) -> str:
    return (text(identities, "group", "displayName") or text(identities, "siteUser", "displayName") or otherwise)[:255]


def _by_mail(address: str) -> Grantee:
    return _account(MAIL_REALM, address, address)


def _account(realm: str, login: str, shown: str) -> Grantee:
    return Grantee(account_id(realm, login), "account", (shown or login)[:255], realm, login)


def group_identity(realm: str, group_id: str) -> str:
    """Return the identity of a group of a directory."""
    return identity("group", realm, group_id.lower())


def site_group_identity(realm: str, site: str, group_id: str) -> str:
    """Return the identity of a group that a site has for itself; nobody tells who is in it."""
    return identity("sitegroup", realm, site, group_id.lower())
