"""Users, groups and applications as Graph writes them. Any property may be missing, null or unknown."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from populate.directory.picture import GroupSaid, Said, fitting
from schemas.identity import normal_login

Json = dict[str, Any]

_FIELDS = {
    "displayName": "name",
    "userPrincipalName": "login",
    "mail": "mail",
    "department": "department",
    "jobTitle": "title",
    "employeeId": "employee",
    "onPremisesSamAccountName": "machine_login",
}
_ACCOUNTS = {"", "#microsoft.graph.user", "#microsoft.graph.serviceprincipal"}
_GROUP = "#microsoft.graph.group"


def identifier(found: Json) -> str:
    """Return an object's id; empty if it has none."""
    return fitting("id", normal_login(found["id"])) if isinstance(found.get("id"), str) else ""


def removed(found: Json) -> bool:
    """Tell whether a list of changes says that an object is no longer there."""
    return "@removed" in found


def said_of(found: Json, *, everything: bool = False) -> Said:
    """Return what is said about a user.

    Parameters
    ----------
    everything
        Properties that are left out have no value, rather than the one they had.
    """
    if removed(found):
        return Said(state="deleted")
    fields = {field: fitting(field, found[name]) for name, field in _FIELDS.items() if name in found}
    if (kind := found.get("userType")) is not None or everything:
        fields["kind"] = "guest" if str(kind).casefold() == "guest" else "person"
    if (manager := _manager(found)) is not None:
        fields["manager"] = manager
    if everything:
        fields = dict.fromkeys((*_FIELDS.values(), "manager"), "") | fields
    return Said(fields, _state(found), _day(found.get("createdDateTime")))


def service_said(found: Json) -> Said:
    """Return what is said about a service principal."""
    fields = {"kind": "service", "name": fitting("name", found.get("displayName")), "login": ""}
    return Said(fields, _state(found) or "enabled")


def group_said(group: GroupSaid, found: Json, *, everything: bool = False) -> None:
    """Add what is said about a group; its members may be told in parts."""
    if removed(found):
        group.gone = True
        return
    group.gone, group.complete = False, group.complete or everything
    if isinstance(found.get("displayName"), str):
        group.name = found["displayName"]
    for member in _listed(found.get("members@delta")):
        _member(group, member)


def members(listed: Json) -> GroupSaid:
    """Return all members of a group, from a list of them."""
    group = GroupSaid(complete=True)
    for member in _listed(listed.get("value")):
        _member(group, member)
    return group


def _member(group: GroupSaid, member: Json) -> None:
    key, kind = identifier(member), str(member.get("@odata.type") or "").casefold()
    if not key:
        return
    if kind == _GROUP or (not kind and key in group.nested):
        group.nested[key] = not removed(member)
    elif kind in _ACCOUNTS:  # devices and contacts read nothing
        group.members[key] = not removed(member)
    if removed(member) and not kind:
        group.nested.setdefault(key, False)


def _manager(found: Json) -> str | None:
    """Return the manager's id, empty for none; None if nothing is said."""
    if "manager@delta" in found:
        now = [each for each in _listed(found["manager@delta"]) if not removed(each)]
        return identifier(now[-1]) if now else ""
    if "manager" in found:
        manager = found["manager"]
        return identifier(manager) if isinstance(manager, dict) else ""
    return None


def _state(found: Json) -> str:
    enabled = found.get("accountEnabled")
    return "" if not isinstance(enabled, bool) else "enabled" if enabled else "disabled"


def _day(text: object) -> date | None:
    try:
        return datetime.fromisoformat(str(text)).astimezone(UTC).date() if isinstance(text, str) else None
    except (ValueError, OverflowError):
        return None


def _listed(found: object) -> list[Json]:
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
