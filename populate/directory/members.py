"""Who is in a group, be it by way of another group."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping

from populate.directory.known import Known, read_groups
from populate.lookup import lookup
from schemas.binding import Binding
from schemas.directory import GroupMember, GroupMemberEnded, GroupNested, GroupNestedEnded


def members_of(binding: Binding, groups: Collection[str]) -> dict[str, frozenset[str]]:
    """Return the accounts that are in each of the groups now, by ids; groups may contain each other in circles."""
    known = Known()
    read_groups(binding, known)
    return {group: _everybody(group, known.members, known.nested) for group in groups}


def groups_of(accounts: Collection[str]) -> frozenset[str]:
    """Return the groups that any of the accounts is in now, by their ids."""
    wanted = tuple(accounts)
    over = set(lookup(GroupMemberEnded, "group_id", "account_id", "joined_at", account_id=wanted))
    held = set(lookup(GroupMember, "group_id", "account_id", "joined_at", account_id=wanted)) - over
    ended = set(zip(*GroupNestedEnded.to_arrays("group_id", "inner_id", "nested_at"), strict=True))
    outer: dict[str, set[str]] = defaultdict(set)
    for group, inner, since in zip(*GroupNested.to_arrays("group_id", "inner_id", "nested_at"), strict=True):
        if (group, inner, since) not in ended:
            outer[inner].add(group)
    return frozenset(_reached({row[0] for row in held}, outer))


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
