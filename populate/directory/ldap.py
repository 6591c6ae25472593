"""People and groups from LDAP: OpenLDAP and its kin, and Active Directory.

Everything is asked for page by page. Unless the server says of each page that it was answered
in full, nothing of the answer is used: a server's limit must not look like people who have left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from uuid import UUID

from data_platform.errors import DirectoryRefused, SettingsError
from data_platform.settings import Settings
from populate.directory.ldap_search import Attributes, connected
from populate.directory.picture import Picture, Said, fitting
from schemas.identity import normal_login

from ldap3.core.exceptions import LDAPException  # isort: skip  (after the quiet import)
from ldap3.utils.dn import safe_dn  # isort: skip

Say = Callable[[str], object]

PEOPLE = "(|(objectClass=inetOrgPerson)(objectClass=person)(objectClass=posixAccount))"
GROUPS = "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=posixGroup)(objectClass=group))"

FIELDS: Mapping[str, tuple[str, ...]] = {
    "name": ("displayName", "cn"),
    "login": ("userPrincipalName", "uid"),
    "mail": ("mail",),
    "department": ("department", "departmentNumber", "ou"),
    "title": ("title",),
    "machine_login": ("sAMAccountName", "uid"),
    "employee": ("employeeID", "employeeNumber"),
}
"""Field of an entry -> attributes that tell it, the first one that is there."""
_STATES = ("userAccountControl", "nsAccountLock", "pwdAccountLockedTime", "loginDisabled")
_KEYS = ("objectGUID", "entryUUID", "nsUniqueId", "GUID")
_MEMBERS = ("member", "uniqueMember", "memberUid")
_SINCE = ("whenCreated", "createTimestamp")
_COMPUTER = "computer"  # which is a person, too, in Active Directory
_DISABLED = 0x2  # bit of userAccountControl


def read_ldap(settings: Settings, say: Say = lambda text: None) -> Picture:
    """Return everybody in the directory, and the groups if the settings want them.

    Raises
    ------
    SettingsError
        If the settings do not say which directory.
    DirectoryUnavailable
        If it does not answer, or does not let us in.
    DirectoryIncomplete
        If it does not tell everything, say for a size limit.
    """
    wanted = settings.directory
    if not wanted.ldap_url or not wanted.ldap_base:
        raise SettingsError("Set directory.ldap_url and directory.ldap_base, see docs/how-to/people.md.")
    realm = f"ldap/{wanted.ldap_base}"
    picture = Picture(realm=realm, positions={realm: ""}, groups_complete=wanted.groups)
    with connected(wanted) as directory:
        attributes = [*_KEYS, *_STATES, *_SINCE, "manager", *(name for names in FIELDS.values() for name in names)]
        people = directory.all(wanted.ldap_filter or PEOPLE, sorted(set(attributes)))
        say(f"{len(people)} people are in the directory")
        key_of = _take_people(picture, people)
        if wanted.groups:
            groups = directory.all(wanted.ldap_group_filter or GROUPS, [*_KEYS, "cn", *_MEMBERS])
            say(f"{len(groups)} groups are in the directory")
            _take_groups(picture, groups, key_of)
    if not picture.people:
        raise DirectoryRefused("The directory names nobody. Check directory.ldap_base and directory.ldap_filter.")
    return picture


def _take_people(picture: Picture, people: Sequence[tuple[str, Attributes]]) -> dict[str, str]:
    """Add the people; return the stable id by distinguished name, and by ``uid=…`` for lists of logins."""
    key_of: dict[str, str] = {}
    kept = []
    for name, raw in people:
        values = {attribute.casefold(): found for attribute, found in raw.items() if found}
        if _COMPUTER in {_text(kind).casefold() for kind in values.get("objectclass", ())}:
            continue  # a filter cannot say so: servers that know no such class would find nobody
        if not (key := _key(values)):
            picture.odd.append(f"{name[:200]} has no stable id (entryUUID or objectGUID), and was left out.")
            continue
        key_of[_normal(name)] = key
        if login := _first(values, ("uid", "sAMAccountName")):
            key_of[f"uid={normal_login(login)}"] = key
        kept.append((key, values))
    for key, values in kept:
        fields = {field: fitting(field, _first(values, names)) for field, names in FIELDS.items()}
        manager = _first(values, ("manager",))
        fields |= {"kind": "person", "manager": key_of.get(_normal(manager), "") if manager else ""}
        picture.person(key, Said(fields, "disabled" if _disabled(values) else "enabled", _since(values)))
    return key_of


def _take_groups(picture: Picture, groups: Sequence[tuple[str, Attributes]], key_of: Mapping[str, str]) -> None:
    found = []
    for name, raw in groups:
        values = {attribute.casefold(): held for attribute, held in raw.items() if held}
        if key := _key(values):
            found.append((name, key, values))
    groups_by_name = {_normal(name): key for name, key, _ in found}
    for _, key, values in found:
        group = picture.group(key)
        group.name, group.complete = _first(values, ("cn",)), True
        for member in (*values.get("member", ()), *values.get("uniquemember", ())):
            name = _normal(_text(member))
            if name in key_of:
                group.members[key_of[name]] = True
            elif name in groups_by_name:
                group.nested[groups_by_name[name]] = True
        for login in values.get("memberuid", ()):
            if account := key_of.get(f"uid={normal_login(_text(login))}"):
                group.members[account] = True


def _key(values: Attributes) -> str:
    """Return the directory's own id of an object, which stays when the object is renamed or moved."""
    for name in _KEYS:
        for value in values.get(name.casefold(), ())[:1]:
            if name == "objectGUID" and len(value) == 16:
                return str(UUID(bytes_le=bytes(value)))
            return fitting("login", _text(value)).lower()
    return ""


def _first(values: Attributes, names: Sequence[str]) -> str:
    for name in names:
        if held := values.get(name.casefold()):
            return _text(held[0])
    return ""


def _text(value: bytes) -> str:
    return bytes(value).decode("utf-8", "replace")


def _normal(name: str) -> str:
    """Return a distinguished name as it is compared."""
    try:
        return str(safe_dn(name)).casefold()
    except LDAPException:
        return name.casefold()


def _disabled(values: Attributes) -> bool:
    control = _first(values, ("userAccountControl",))
    if control.lstrip("-").isdigit() and int(control) & _DISABLED:
        return True
    if _first(values, ("nsAccountLock", "loginDisabled")).casefold() == "true":
        return True
    return _first(values, ("pwdAccountLockedTime",)) == "000001010000Z"  # for ever, until an administrator opens it


def _since(values: Attributes) -> date | None:
    try:
        return datetime.strptime(_first(values, _SINCE)[:8], "%Y%m%d").replace(tzinfo=UTC).date()
    except ValueError:
        return None
