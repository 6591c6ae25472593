"""What is to be added about groups."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, NamedTuple

from populate.directory.known import Known
from populate.directory.picture import GroupSaid, Picture, fitting
from populate.directory.rows import Rows
from schemas.identity import account_id, identity, name_id, normal_login


class Within(NamedTuple):
    """A table of what is in a group, with its columns, and since when it holds what has not ended."""

    table: str
    inner: str
    since: str
    until: str


MEMBER = Within("GroupMember", "account_id", "joined_at", "left_at")
NESTED = Within("GroupNested", "inner_id", "nested_at", "unnested_at")


def group_id(realm: str, key: str) -> str:
    """Identity of a group within its directory."""
    return identity("group", normal_login(realm), normal_login(key))


def memberships(known: Known, realm: str, closed: Collection[str]) -> list[tuple[str, str]]:
    """Return group and account of whoever is in a group of a directory, but for accounts that are closed."""
    return [
        (group, account)
        for group, members in known.members.items()
        if known.groups[group][0] == realm
        for account in members
        if account not in closed
    ]


def unspoken(held: Iterable[tuple[str, str]], picture: Picture, realm: str) -> list[tuple[str, str]]:
    """Return the memberships of `held` that would end only because nothing was said about them."""
    groups = {group_id(realm, key): said for key, said in picture.groups.items()}
    named = {group: {account_id(realm, key) for key in said.members} for group, said in groups.items()}

    def is_unspoken(group: str, account: str) -> bool:
        if (said := groups.get(group)) is None:
            return picture.groups_complete
        return said.complete and not said.gone and account not in named[group]

    return [(group, account) for group, account in held if is_unspoken(group, account)]


def plan_groups(rows: Rows, picture: Picture, realm: str) -> set[str]:
    """Add what has changed about groups; return the accounts, by stable id, that have been named as members.

    Members of whom nothing is known yet get an account, so that what is told about them later finds it.
    """
    named: set[str] = set()
    for key, said in sorted(picture.groups.items()):
        group = group_id(realm, key)
        if said.gone:
            _vanish(rows, group)
            continue
        _identify(rows, group, realm, key)
        _call(rows, group, said.name)
        named |= _members(rows, group, realm, said)
        _nested(rows, group, realm, said)
    if picture.groups_complete:
        inner = {key for said in picture.groups.values() for key, is_in in said.nested.items() if is_in}
        said_now = {group_id(realm, key) for key in picture.groups.keys() | inner}
        for group, (of_realm, _) in sorted(rows.known.groups.items()):
            if of_realm == realm and group not in said_now:
                _vanish(rows, group)
    return named


def _identify(rows: Rows, group: str, realm: str, key: str) -> None:
    if group not in rows.known.groups:
        rows.known.groups[group] = (realm, key)
        rows.add("DirectoryGroup", group_id=group, group_realm=realm, group_key=key[:255])
        rows.count("groups")


def _call(rows: Rows, group: str, name: str | None) -> None:
    name = fitting("name", name)
    if name and name != rows.known.group_names.get(group):
        named_on = rows.day("GroupName", group)
        identifier = name_id(name)
        rows.add("GroupName", group_id=group, group_named_on=named_on, name_id=identifier, group_name=name)


def _members(rows: Rows, group: str, realm: str, said: GroupSaid) -> set[str]:
    wanted = {account_id(realm, key): is_in for key, is_in in said.members.items()}
    _change(rows, MEMBER, group, wanted, said.complete)
    return {key for key, is_in in said.members.items() if is_in}


def _nested(rows: Rows, group: str, realm: str, said: GroupSaid) -> None:
    wanted = {}
    for key, is_in in said.nested.items():
        inner = group_id(realm, key)
        wanted[inner] = is_in
        if is_in:
            _identify(rows, inner, realm, key)
    _change(rows, NESTED, group, wanted, said.complete)


def _change(rows: Rows, within: Within, group: str, wanted: dict[str, bool], complete: bool) -> None:
    held = rows.known.members if within is MEMBER else rows.known.nested
    ours = held.get(group, {})
    for member, is_in in sorted(wanted.items()):
        if is_in and member not in ours:
            since = rows.moment(within.table, (group, member))
            rows.add(within.table, group_id=group, **{within.inner: member, within.since: since})
            rows.count("members_joined" if within is MEMBER else "")
    over = {member for member, is_in in wanted.items() if not is_in}
    if complete:
        over |= ours.keys() - wanted.keys()
    for member in sorted(over & ours.keys()):
        _end(rows, within, (group, member), ours.pop(member))


def _end(rows: Rows, within: Within, pair: tuple[str, str], begun: datetime) -> None:
    group, member = pair
    row: dict[str, Any] = {within.inner: member, within.since: begun, within.until: max(rows.now, begun)}
    rows.add(f"{within.table}Ended", group_id=group, **row)
    rows.count("members_left" if within is MEMBER else "")


def _vanish(rows: Rows, group: str) -> None:
    """End everything about a group that is no longer there."""
    members, nested = rows.known.members.pop(group, {}), rows.known.nested.pop(group, {})
    within = [(outer, held) for outer, held in sorted(rows.known.nested.items()) if group in held]
    if group not in rows.known.groups or (group in rows.known.groups_gone and not (members or nested or within)):
        return
    rows.add("GroupGone", group_id=group, group_gone_at=rows.moment("GroupGone", group))
    rows.count("groups_gone")
    for member, begun in sorted(members.items()):
        _end(rows, MEMBER, (group, member), begun)
    for inner, begun in sorted(nested.items()):
        _end(rows, NESTED, (group, inner), begun)
    for outer, held in within:
        _end(rows, NESTED, (outer, group), held.pop(group))
