"""What the tables hold about accounts, people and groups, as of their latest rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from populate.directory.picture import Entry
from schemas import directory
from schemas.asking import PersonAskChoice
from schemas.binding import Binding
from schemas.conversation import MailAddress
from schemas.people import Account, AccountName, Department, Departure, Membership, Person

ENTRY_COLUMNS = {
    "entry_kind": "kind",
    "entry_name": "name",
    "entry_login": "login",
    "entry_mail": "mail",
    "entry_department": "department",
    "entry_title": "title",
    "entry_manager": "manager",
    "entry_machine_login": "machine_login",
    "entry_employee": "employee",
}


@dataclass(frozen=True, slots=True)
class Stint:
    """Where somebody works since a day."""

    since: date
    department: str
    title: str
    manager: str | None


@dataclass(slots=True)
class Known:
    """The latest rows, by account, person or group.

    Attributes
    ----------
    entries
        Account -> what its directory says; the manager is an account.
    states
        Account -> state.
    latest
        Table's name -> key -> moment or day of the latest row, after which the next one has to be.
    members, nested
        Group -> account, or inner group -> since when, of those that have not ended.
    """

    accounts: dict[str, tuple[str, str]] = field(default_factory=dict)
    person_of: dict[str, str] = field(default_factory=dict)
    persons: dict[str, tuple[str, str]] = field(default_factory=dict)
    choices: dict[str, str] = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    account_names: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    mails: dict[str, str] = field(default_factory=dict)
    stints: dict[str, Stint] = field(default_factory=dict)
    departures: dict[str, date] = field(default_factory=dict)
    departments: dict[str, str] = field(default_factory=dict)
    groups: dict[str, tuple[str, str]] = field(default_factory=dict)
    group_names: dict[str, str] = field(default_factory=dict)
    groups_gone: dict[str, datetime] = field(default_factory=dict)
    members: dict[str, dict[str, datetime]] = field(default_factory=dict)
    nested: dict[str, dict[str, datetime]] = field(default_factory=dict)
    latest: dict[str, dict[Any, Any]] = field(default_factory=dict)

    def gone(self, person: str) -> bool:
        """Tell whether a person has left, and has not come back."""
        left, stint = self.departures.get(person), self.stints.get(person)
        return left is not None and not (stint is not None and stint.since >= left)


def read_known(binding: Binding) -> Known:
    """Return what the tables hold. There is a row a person, not one a read: it fits into memory."""
    found = Known()
    for account, realm, login, person in _all(binding, Account, "account_id", "realm", "login", "person_id"):
        found.accounts[account], found.person_of[account] = (realm, login), person
    for person, name, kind in _all(binding, Person, "person_id", "full_name", "person_kind"):
        found.persons[person] = (name, kind)
    found.departments = {name.casefold(): name for (name,) in _all(binding, Department, "department")}
    choices = latest(binding, PersonAskChoice, ("person_id",), "chosen_at", "ask_choice")
    found.choices = {person: choice for person, _, choice in choices}
    _read_entries(binding, found)
    _read_people(binding, found)
    read_groups(binding, found)
    return found


def _read_entries(binding: Binding, found: Known) -> None:
    moments = found.latest.setdefault("DirectoryEntry", {})
    for account, since, *values in latest(
        binding, directory.DirectoryEntry, ("account_id",), "entry_since", *ENTRY_COLUMNS
    ):
        found.entries[account] = Entry(**dict(zip(ENTRY_COLUMNS.values(), values, strict=True)))
        moments[account] = since
    _keep(found, "AccountState", found.states,
          latest(binding, directory.AccountState, ("account_id",), "state_since", "account_state"))  # fmt: skip
    _keep(found, "AccountName", found.account_names,
          latest(binding, AccountName, ("account_id",), "named_on", "account_name", least="name_id"))  # fmt: skip
    moved = latest(binding, directory.AccountMoved, ("account_id",), "moved_at")
    found.latest["AccountMoved"] = dict(moved)


def _read_people(binding: Binding, found: Known) -> None:
    _keep(found, "PersonName", found.names,
          latest(binding, directory.PersonName, ("person_id",), "name_since", "person_name"))  # fmt: skip
    _keep(found, "MailAddress", found.mails,
          latest(binding, MailAddress, ("person_id",), "address_since", "mail_address"))  # fmt: skip
    columns = ("department", "title", "manager_id")
    for person, since, department, title, manager in latest(
        binding, Membership, ("person_id",), "member_since", *columns
    ):
        found.stints[person] = Stint(since, department, title, manager)
    found.departures = {row[0]: row[1] for row in latest(binding, Departure, ("person_id",), "departed_on")}


def read_groups(binding: Binding, found: Known) -> None:
    """Fill in what is known about groups."""
    for group, realm, key in _all(binding, directory.DirectoryGroup, "group_id", "group_realm", "group_key"):
        found.groups[group] = (realm, key)
    names = latest(binding, directory.GroupName, ("group_id",), "group_named_on", "group_name", least="name_id")
    _keep(found, "GroupName", found.group_names, names)
    gone = latest(binding, directory.GroupGone, ("group_id",), "group_gone_at")
    found.groups_gone = dict(gone)
    found.latest["GroupGone"] = dict(found.groups_gone)
    for table, ended, inner, moment, kept in (
        (directory.GroupMember, directory.GroupMemberEnded, "account_id", "joined_at", found.members),
        (directory.GroupNested, directory.GroupNestedEnded, "inner_id", "nested_at", found.nested),
    ):
        over = set(_all(binding, ended, "group_id", inner, moment))
        last = found.latest.setdefault(table.__name__, {})
        for group, member, since in _all(binding, table, "group_id", inner, moment):
            last[group, member] = max(since, last.get((group, member), since))
            if (group, member, since) not in over:
                kept.setdefault(group, {})[member] = since


def _keep(found: Known, name: str, values: dict[str, str], rows: Iterator[tuple[Any, ...]]) -> None:
    """Take rows of key, moment and value."""
    moments = found.latest.setdefault(name, {})
    for key, since, value in rows:
        moments[key], values[key] = since, value


def latest(
    binding: Binding, table: Any, key: tuple[str, ...], since: str, *columns: str, least: str = ""
) -> Iterator[tuple[Any, ...]]:
    """Yield key, moment and columns of the latest row of each key; of several the one with the `least` column."""
    quote = binding.connection.adapter.quote_identifier
    keys, names = ", ".join(map(quote, key)), ", ".join(map(quote, (*key, since, *columns)))
    order = f"{quote(since)} DESC" + (f", {quote(least)}" if least else "")
    statement = (
        f"SELECT {names} FROM (SELECT {names}, ROW_NUMBER() OVER (PARTITION BY {keys} ORDER BY {order}) AS place"  # noqa: S608
        f" FROM {table().full_table_name}) ranked WHERE place = 1"
    )
    yield from binding.connection.query(statement).fetchall()


def _all(binding: Binding, table: Any, *columns: str) -> list[tuple[Any, ...]]:
    names = ", ".join(map(binding.connection.adapter.quote_identifier, columns))
    return list(binding.connection.query(f"SELECT {names} FROM {table().full_table_name}").fetchall())  # noqa: S608
