"""From what is known and what a directory says to the rows that are to be added. Nothing here touches a database.

Days and moments of a thing only ever rise: what changes twice on a day gets the next day that is
free, so that the latest row is always what the directory said last, and none is overwritten.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from populate.directory.group_rows import memberships, plan_groups, unspoken
from populate.directory.guard import refuse_sudden_drop, refuse_sudden_exodus
from populate.directory.joining import Joined, Joining
from populate.directory.known import ENTRY_COLUMNS, Known, Stint
from populate.directory.picture import Entry, Picture, Said
from populate.directory.rows import Rows
from schemas.identity import account_id, name_id, normal_login

ENABLED, DELETED = "enabled", "deleted"
TEXT = 255


@dataclass(slots=True)
class Wanted:
    """How a directory is to be taken in."""

    machines: str
    join: tuple[str, ...] = ("machine_login", "employee")
    max_drop: float = 1.0


@dataclass(slots=True)
class _Now:
    """All accounts of directories as they will be."""

    entries: dict[str, Entry]
    states: dict[str, str]
    stated: dict[str, Said] = field(default_factory=dict)
    logins: dict[str, tuple[str, str]] = field(default_factory=dict)
    since: dict[str, date] = field(default_factory=dict)

    @property
    def closed(self) -> set[str]:
        return {account for account, state in self.states.items() if state != ENABLED}


def plan(known: Known, picture: Picture, now: datetime, wanted: Wanted) -> Rows:
    """Return the rows to add, the same whoever asks.

    Parameters
    ----------
    now
        UTC, without a zone.

    Raises
    ------
    DirectoryRefused
        If too many people would be gone at once, or out of their groups.
    """
    rows = Rows(known, now)
    realm = normal_login(picture.realm)[:TEXT]
    after = _after(known, picture, realm)
    _guard(known, after, realm, wanted.max_drop)
    held = memberships(known, realm, after.closed)
    refuse_sudden_exodus(len(held), len(unspoken(held, picture, realm)), wanted.max_drop)
    members = plan_groups(rows, picture, realm)
    for key in members:  # of whom the directory has told nothing else yet
        after.logins.setdefault(account_id(realm, key), (realm, normal_login(key)[:TEXT]))
    joining = Joining(known, after.entries, after.closed, wanted.machines, wanted.join)
    for account, (of_realm, login) in sorted(after.logins.items()):
        if account in after.entries:
            joining.add(account, of_realm, login)
    for account in sorted(after.stated):
        if account in after.entries:
            joining.join(account, realm)
    joining.join_employees()
    for account, (of_realm, login) in sorted(after.logins.items()):
        joining.found.person_of.setdefault(account, account)
        if account not in known.accounts:
            joining.found.new.setdefault(account, (of_realm, login))
    _accounts(rows, after, joining.found)
    _entries(rows, after)
    for person in sorted({joining.found.person_of[account] for account in after.entries}):
        _person(rows, person, joining, after)
    for person in joining.emptied():
        _leave(rows, person)
    rows.odd += picture.odd + sorted(set(joining.found.odd))
    return rows


def _after(known: Known, picture: Picture, realm: str) -> _Now:
    after = _Now(dict(known.entries), dict(known.states))
    for key, said in picture.people.items():
        account = account_id(realm, key)
        if account not in known.accounts and not said.fields:
            continue  # somebody was deleted of whom we have never heard
        after.stated[account] = said
        after.logins[account] = (realm, normal_login(key)[:TEXT])
        if said.since:
            after.since[account] = said.since
        fields = dict(said.fields)
        if manager := fields.get("manager"):
            fields["manager"] = account_id(realm, manager)
        if fields or account in known.entries:
            after.entries[account] = known.entries.get(account, Entry()).told(fields)
        before = known.states.get(account, ENABLED)
        after.states[account] = said.state or (ENABLED if before == DELETED else before)  # told of: it is back
    for account in known.entries.keys() - after.stated.keys():
        if known.accounts[account][0] == realm and known.entries[account].kind in picture.complete:
            after.states[account] = DELETED
    return after


def _guard(known: Known, after: _Now, realm: str, share: float) -> None:
    used = [
        account
        for account, state in known.states.items()
        if state == ENABLED and account in known.entries and known.accounts[account][0] == realm
    ]
    refuse_sudden_drop(len(used), sum(after.states[account] != ENABLED for account in used), share)


def _accounts(rows: Rows, after: _Now, joined: Joined) -> None:
    """Add accounts, with a person for each that is nobody's yet, and what of them turned out to be somebody else's."""
    for account in sorted(joined.new):
        person = joined.person_of[account]
        if person not in rows.known.persons:
            rows.new_person(person, joined.new[account][1])
    for account, (realm, login) in sorted(joined.new.items()):
        person = joined.person_of[account]
        rows.add("Account", account_id=account, realm=realm, login=login, person_id=person)
    for account, before in sorted(joined.moved.items()):
        if (person := joined.person_of[account]) != before:
            rows.move(account, before, person)


def _entries(rows: Rows, after: _Now) -> None:
    for account in sorted(after.entries):
        entry, before = after.entries[account], rows.known.entries.get(account)
        if entry != before:
            since = rows.moment("DirectoryEntry", account)
            values = {column: getattr(entry, name) for column, name in ENTRY_COLUMNS.items()}
            rows.add("DirectoryEntry", account_id=account, entry_since=since, **values)
            rows.count("new" if before is None else "changed")
        if entry.login and entry.login != rows.known.account_names.get(account):
            if account in rows.known.account_names:
                rows.count("renamed")
            named_on, name = rows.day("AccountName", account), name_id(entry.login)
            rows.add("AccountName", account_id=account, named_on=named_on, name_id=name, account_name=entry.login)
    for account, state in sorted(after.states.items()):
        if state != rows.known.states.get(account):
            since = rows.moment("AccountState", account)
            rows.add("AccountState", account_id=account, state_since=since, account_state=state)
            rows.count(state if account in rows.known.states or state != ENABLED else "")


def _person(rows: Rows, person: str, joining: Joining, after: _Now) -> None:
    """Add what follows for a person from all of their accounts in directories."""
    accounts = [account for account in joining.accounts_of(person) if account in after.entries]
    account = min(accounts, key=lambda one: _rank(one, after))
    entry = after.entries[account]
    _name(rows, person, entry, rows.known.entries.get(account))
    if entry.mail and "@" in entry.mail and entry.mail != rows.known.mails.get(person):
        rows.add(
            "MailAddress", person_id=person, address_since=rows.day("MailAddress", person), mail_address=entry.mail
        )
    if all(one in after.closed for one in accounts):
        _leave(rows, person)
    elif entry.kind != "service":
        manager = joining.found.person_of.get(entry.manager)
        _work(rows, person, entry, None if manager == person else manager, after.since.get(account))


def _rank(account: str, after: _Now) -> tuple[bool, bool, bool, str]:
    """Order a person's accounts: what the least one says about the person holds."""
    entry = after.entries[account]
    return after.states.get(account) != ENABLED, entry.kind != "person", not entry.department, account


def _name(rows: Rows, person: str, entry: Entry, before: Entry | None) -> None:
    full_name, kind = rows.known.persons.get(person) or rows.new_persons[person]
    if (name := entry.name or entry.login) and name != rows.known.names.get(person):
        rows.add("PersonName", person_id=person, name_since=rows.day("PersonName", person), person_name=name)
        full_name = name
    if kind == "unknown" or (before is not None and before.kind != entry.kind):
        kind = entry.kind  # what a steward made of it stays until the directory says something else
    rows.call(person, full_name, kind)


def _work(rows: Rows, person: str, entry: Entry, manager: str | None, since: date | None) -> None:
    """Add where somebody works, if it is not where they are known to work."""
    department, stint = rows.department(entry.department), rows.known.stints.get(person)
    gone = rows.known.gone(person)
    here = (department, entry.title, manager)
    if stint is None and not gone and here == ("", "", None):
        return
    if stint is not None and not gone and here == (stint.department, stint.title, stint.manager):
        return
    begins = _begins(rows, person, stint, since)
    if gone:
        rows.count("back")
    elif stint is not None and stint.department != department:
        rows.count("moved")
    values: Mapping[str, Any] = {"department": department, "title": entry.title, "manager_id": manager}
    rows.add("Membership", person_id=person, member_since=begins, **values)


def _begins(rows: Rows, person: str, stint: Stint | None, since: date | None) -> date:
    """Return the first day of a membership: as told, of the first one at all, else the next one that is free."""
    left = rows.known.departures.get(person)
    if stint is None and left is None:
        return min(since, rows.today) if since else rows.today
    free = stint.since + timedelta(days=1) if stint else date.min
    earliest = max(left or date.min, free)
    return since if since is not None and since >= earliest else max(rows.today, earliest)


def _leave(rows: Rows, person: str) -> None:
    if rows.known.gone(person):
        return
    stint, left = rows.known.stints.get(person), rows.known.departures.get(person)
    last = max(stint.since if stint else date.min, left or date.min)
    rows.add("Departure", person_id=person, departed_on=max(rows.today, last + timedelta(days=1)))
    rows.count("left")
