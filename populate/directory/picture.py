"""What a directory says, in one form for all directories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from schemas.identity import display_text

KINDS = frozenset({"person", "guest", "service"})
"""Kinds of accounts."""
WIDTHS = {"name": 255, "login": 255, "mail": 254, "department": 128, "title": 255, "machine_login": 255, "employee": 64}


@dataclass(frozen=True, slots=True)
class Entry:
    """What a directory says about one account.

    Attributes
    ----------
    kind
        person | guest | service
    name
        For people to read.
    login
        That people sign in with, where the account's own login is an id.
    manager
        The manager's stable id in the same directory; empty = none.
    machine_login
        Login at the company's machines.
    employee
        Number of the employee, by which accounts of one person are told to belong together.
    """

    kind: str = "person"
    name: str = ""
    login: str = ""
    mail: str = ""
    department: str = ""
    title: str = ""
    manager: str = ""
    machine_login: str = ""
    employee: str = ""

    def told(self, said: Mapping[str, str]) -> Entry:
        """Return it with what was said anew, cut to what the tables hold."""
        return replace(self, **{name: fitting(name, value) for name, value in said.items()})


@dataclass(slots=True)
class Said:
    """What is said about an account this time.

    Attributes
    ----------
    fields
        Of `Entry`, by name; what is left out has not changed.
    state
        enabled | disabled | deleted; empty = as before, and of one never heard of: enabled.
    since
        First day of what is said, where the directory knows it.
    """

    fields: dict[str, str] = field(default_factory=dict)
    state: str = ""
    since: date | None = None

    def then(self, later: Said) -> None:
        """Take in what was said later about the same account."""
        self.fields |= later.fields
        self.state = later.state or self.state
        self.since = later.since or self.since


@dataclass(slots=True)
class GroupSaid:
    """What is said about a group this time.

    Attributes
    ----------
    name
        None = as before.
    members, nested
        Stable ids of accounts, and of groups -> whether it is in the group now.
    complete
        Whoever is not named in these is not in the group.
    gone
        The group is no longer there.
    """

    name: str | None = None
    members: dict[str, bool] = field(default_factory=dict)
    nested: dict[str, bool] = field(default_factory=dict)
    complete: bool = False
    gone: bool = False


@dataclass(slots=True)
class Picture:
    """Everything that a directory said this time.

    Attributes
    ----------
    realm
        That the accounts belong to; their logins are the directory's stable ids.
    people, groups
        By stable id.
    complete
        Kinds of which accounts that are not in it are no longer there.
    groups_complete
        Whether groups that are not in it are no longer there.
    positions
        Feed -> where to go on next time.
    odd
        Sentences about what could not be understood and was left out.
    """

    realm: str
    people: dict[str, Said] = field(default_factory=dict)
    groups: dict[str, GroupSaid] = field(default_factory=dict)
    complete: frozenset[str] = KINDS
    groups_complete: bool = True
    positions: dict[str, str] = field(default_factory=dict)
    odd: list[str] = field(default_factory=list)

    def person(self, key: str, said: Said) -> None:
        """Add what is said about an account, after what was said about it before."""
        if key in self.people:
            self.people[key].then(said)
        else:
            self.people[key] = said

    def group(self, key: str) -> GroupSaid:
        """Return what is said about a group, to be added to."""
        return self.groups.setdefault(key, GroupSaid())


def fitting(name: str, value: Any) -> str:
    """Return `value` as the field of an entry holds it; what is no text is none."""
    text = display_text(value).strip() if isinstance(value, str) else ""
    return text[: WIDTHS.get(name, 255)].strip()
