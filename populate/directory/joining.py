"""Whose accounts are whose: logins of machines, several accounts of one person, and what follows when that changes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from populate.directory.known import Known
from populate.directory.picture import Entry
from schemas.identity import account_id, normal_login

SHARED = 4
"""More accounts with the same number of an employee are not one person's; it is a number for none."""

_STRICTNESS = {"closed": 3, "known": 2, "open": 1}


@dataclass(slots=True)
class Joined:
    """Whose every account is now.

    Attributes
    ----------
    person_of
        Account -> person, of all accounts that are known or new.
    new
        Accounts to add -> realm and login.
    moved
        Account -> person that it was thought to belong to.
    odd
        Sentences about accounts that were left as they are.
    """

    person_of: dict[str, str]
    new: dict[str, tuple[str, str]] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    odd: list[str] = field(default_factory=list)


class Joining:
    """Gives every account of a directory its person, and joins accounts that belong to the same one.

    Parameters
    ----------
    known
        What the tables hold.
    entries
        Account -> entry, of all directories as they are now.
    closed
        Accounts that are no longer there; what they were called may be somebody else's by now.
    machines
        Realm of the logins of the company's machines.
    join
        Fields of an entry that such logins are told by, and ``employee``.
    """

    def __init__(
        self, known: Known, entries: Mapping[str, Entry], closed: set[str], machines: str, join: Sequence[str]
    ) -> None:
        self._known = known
        self._entries = entries
        self._machines = normal_login(machines)
        self._fields = [name for name in join if name != "employee"]
        self._by_employee = "employee" in join
        self.found = Joined(dict(known.person_of))
        self._accounts_of: dict[str, set[str]] = defaultdict(set)
        for account, person in known.person_of.items():
            self._accounts_of[person].add(account)
        self._claimed: dict[str, set[str]] = defaultdict(set)
        for account in entries.keys() - closed:
            for alias in self._aliases(account):
                self._claimed[alias].add(account)
        self._closed = closed

    def add(self, account: str, realm: str, login: str) -> None:
        """Take an account of a directory in; one that is new becomes that of whoever has its machine login."""
        if account not in self.found.person_of:
            person = account
            for alias in self._aliases(account):
                owner = self.found.person_of.get(alias)
                if owner and self._claimed[alias] == {account} and not self._owns_another(owner, account, realm):
                    person = owner
                    break
            self._put(account, person, realm, login)

    def join(self, account: str, realm: str) -> None:
        """Join the machine logins of an account that was taken in."""
        if account in self._closed:
            return
        for alias, login in self._aliases(account).items():
            owner, person = self.found.person_of.get(alias), self.found.person_of[account]
            if owner == person:
                continue
            if self._claimed[alias] != {account}:
                self.found.odd.append(f"Several accounts say that the login {login} is theirs, so it is nobody's yet.")
            elif owner is None:
                self._put(alias, person, self._machines, login)
            elif self._owns_another(owner, account, realm) or self._is_somebody(owner):
                self.found.odd.append(f"The login {login} was somebody else's before, and stays theirs.")
            else:
                self._merge(person, owner)

    def join_employees(self) -> None:
        """Join new accounts with the same number of an employee, to each other or to the one person who had it before.

        In some directories people write the number themselves, so it never makes two known persons
        one, and says nothing about guests and services.
        """
        if not self._by_employee:
            return
        same: dict[str, set[str]] = defaultdict(set)
        for account in self._entries.keys() - self._closed:
            if (number := self._entries[account].employee) and account in self.found.person_of:
                same[number].add(account)
        for number, accounts in sorted(same.items()):
            if len(accounts) > SHARED:
                self.found.odd.append(f"{len(accounts)} accounts have the employee number {number}: it joins none.")
                continue
            self._join_alike(number, accounts)

    def _join_alike(self, number: str, accounts: set[str]) -> None:
        people = {account for account in accounts if self._entries[account].kind == "person"}
        persons = {self.found.person_of[account] for account in people}
        if any(self.found.person_of[account] not in persons for account in accounts - people) and len(accounts) > 1:
            self.found.odd.append(f"A guest or service has somebody's employee number {number}, and was not joined.")
        if len(persons & self._known.persons.keys()) > 1:
            self.found.odd.append(
                f"Several known people have the employee number {number}: it joins none. Correct it in the directory."
            )
            return
        first, *others = sorted(people) or [""]
        for other in others:
            if (a := self.found.person_of[first]) != (b := self.found.person_of[other]):
                self._merge(a, b)

    def _aliases(self, account: str) -> dict[str, str]:
        """Return the accounts of machines that an entry speaks of, with their logins."""
        entry = self._entries[account]
        logins = (normal_login(getattr(entry, name)) for name in self._fields)
        found = {account_id(self._machines, login): login for login in logins if login}
        found.pop(account, None)
        return found

    def _owns_another(self, person: str, account: str, realm: str) -> bool:
        """Tell whether a person has another account in a directory: then what looks like theirs is not new."""
        realms = (self._realm(other) for other in self._accounts_of[person] if other in self._entries)
        return person != self.found.person_of.get(account) and realm in realms

    def _is_somebody(self, person: str) -> bool:
        """Tell whether a person was known from a directory before; else no more than logins of machines is."""
        return any(account in self._known.entries for account in self._accounts_of[person])

    def _realm(self, account: str) -> str:
        return (self._known.accounts.get(account) or self.found.new[account])[0]

    def _put(self, account: str, person: str, realm: str, login: str) -> None:
        self.found.person_of[account] = person
        self.found.new[account] = (realm, login)
        self._accounts_of[person].add(account)

    def _merge(self, person: str, other: str) -> None:
        survivor, loser = (other, person) if self._weight(other) > self._weight(person) else (person, other)
        for account in sorted(self._accounts_of.pop(loser)):
            if account in self._known.person_of:
                self.found.moved.setdefault(account, self._known.person_of[account])
            self.found.person_of[account] = survivor
            self._accounts_of[survivor].add(account)

    def _weight(self, person: str) -> tuple[int, bool, bool]:
        """Who has chosen not to be found must not be found by a merger; else whom a directory knew first remains."""
        strictness = _STRICTNESS.get(self._known.choices.get(person, ""), 0)
        return strictness, self._is_somebody(person), person in self._known.persons

    def emptied(self) -> Iterator[str]:
        """Yield persons who have no account any more."""
        for person in sorted(set(self.found.moved.values())):
            if not self._accounts_of.get(person):
                yield person

    def accounts_of(self, person: str) -> set[str]:
        """Return the accounts of a person."""
        return self._accounts_of.get(person, set())
