"""Rows that are to be added, and the few columns that are to be changed, as a plan makes them."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import date, datetime, timedelta
from typing import Any

from populate.directory.known import Known


class Rows:
    """Collects what is to be written.

    Attributes
    ----------
    tables
        Name of a table -> its new rows.
    moves
        Account -> person it belongs to from now on.
    called
        Person -> name and kind from now on.
    counts
        What happened, in the words of `SyncResult`.
    odd
        Sentences about what was left as it is.
    """

    def __init__(self, known: Known, now: datetime) -> None:
        self.known = known
        self.now = now
        self.today: date = now.date()
        self.tables: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.moves: dict[str, str] = {}
        self.called: dict[str, tuple[str, str]] = {}
        self.new_persons: dict[str, tuple[str, str]] = {}
        self.counts: Counter[str] = Counter()
        self.odd: list[str] = []
        self._departments = dict(known.departments)

    def add(self, table: str, **row: Any) -> None:
        """Add a row."""
        self.tables[table].append(row)

    def count(self, name: str, number: int = 1) -> None:
        """Count what happened; an empty name is not worth telling."""
        if name:
            self.counts[name] += number

    def day(self, table: str, key: Any) -> date:
        """Return today, or the first day after the latest row of `key`."""
        last = self.known.latest.get(table, {}).get(key)
        return self.today if last is None else max(self.today, last + timedelta(days=1))

    def moment(self, table: str, key: Any) -> datetime:
        """Return now, or the first moment after the latest row of `key`, should that be ahead of our clock."""
        last = self.known.latest.get(table, {}).get(key)
        return self.now if last is None else max(self.now, last + timedelta(microseconds=1))

    def department(self, name: str) -> str:
        """Return a department as it is known, which is unique without regard to case; a new one is added."""
        found = self._departments.get(name.casefold())
        if found is None:
            found = self._departments[name.casefold()] = name
            self.add("Department", department=name)
            self.count("departments" if name else "")
        return found

    def new_person(self, person: str, name: str) -> None:
        """Add somebody of whom no more than a login is known yet."""
        if person not in self.new_persons:
            self.new_persons[person] = (name, "unknown")

    def call(self, person: str, name: str, kind: str) -> None:
        """Change what a person is called, or what kind of account holder it is, if that is new."""
        if person in self.new_persons:
            self.new_persons[person] = (name, kind)
        elif self.known.persons[person] != (name, kind):
            self.called[person] = (name, kind)

    def move(self, account: str, before: str, after: str) -> None:
        """Give an account to somebody else."""
        self.moves[account] = after
        moved_at = self.moment("AccountMoved", account)
        self.add("AccountMoved", account_id=account, moved_at=moved_at, moved_from=before, moved_to=after)
        self.count("joined")

    def finished(self) -> dict[str, list[dict[str, Any]]]:
        """Return the rows of all tables, new persons included."""
        persons = [
            {"person_id": person, "full_name": name, "person_kind": kind}
            for person, (name, kind) in sorted(self.new_persons.items())
        ]
        return {"Person": persons, **self.tables}
