"""Who is in a group, be it by way of another group."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping

from populate.directory.known import Known, read_groups
from schemas.binding import Binding


def members_of(binding: Binding, groups: Collection[str]) -> dict[str, frozenset[str]]:
    """Return the accounts that are in each of the groups now, by ids; groups may contain each other in circles."""
    known = Known()
    read_groups(binding, known)
    return {group: _everybody(group, known.members, known.nested) for group in groups}


def groups_of(binding: Binding, accounts: Collection[str]) -> dict[str, frozenset[str]]:
    """Return the groups that each of the accounts is in now, by their ids."""
    known = Known()
    read_groups(binding, known)
    outer: dict[str, set[str]] = defaultdict(set)
    for group, inner in known.nested.items():
        for one in inner:
            outer[one].add(group)
    direct: dict[str, set[str]] = defaultdict(set)
    for group, members in known.members.items():
        for account in members:
            direct[account].add(group)
    return {account: frozenset(_reached(direct.get(account, set()), outer)) for account in accounts}


def _everybody(
    group: str, members: Mapping[str, Collection[str]], nested: Mapping[str, Collection[str]]
) -> frozenset[str]:
    return frozenset(account for one in _reached({group}, nested) for account in members.get(one, ()))


def _reached(start: Collection[str], leads_to: Mapping[str, Collection[str]]) -> set[str]:
    found: set[str] = set()
    new = set(start)
    while new:
        found |= new
        new = {one for group in new for one in leads_to.get(group, ())} - found
    return found
