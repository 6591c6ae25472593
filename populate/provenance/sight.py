"""What the asker may know of files, runs and people, asked from the tables."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple

from populate.lookup import lookup
from populate.provenance.statements import statement
from populate.who.asker import Asker
from populate.who.whom import printable
from schemas.people import Account

MOST = 1000
"""Rows that a look-up brings, at most; what may not be known is left out before."""


class Content(NamedTuple):
    """A file with certain bytes."""

    file_id: str
    sha256: str


class Step(NamedTuple):
    """A run read or wrote bytes: when first, in which of its functions, and for which account."""

    execution_id: str
    content: Content
    at: datetime
    function: str
    account_id: str


class Name(NamedTuple):
    """What the asker knows a file by."""

    name: str
    path: str
    source_system: str


class Run(NamedTuple):
    """A run that the asker may know."""

    execution_id: str
    entry_point: str
    repository: str
    commit_id: str
    dirty: bool
    started_at: datetime


class Sight:
    """Answers what there is, as one asker may know it.

    Parameters
    ----------
    shown
        Files that the source itself lets the asker open just now.
    """

    def __init__(self, asker: Asker, shown: dict[str, Name] | None = None) -> None:
        self.asker = asker
        self.cut = False
        self._names: dict[str, Name | None] = dict(shown or {})

    def ask(self, name: str, **values: Any) -> list[tuple[Any, ...]]:
        """Return the rows of one of `populate.provenance.statements`; no values mean no rows."""
        if any(value == () for value in values.values()):
            return []
        binding, text = self.asker.binding, statement(name)
        binding.ensure()
        rows = list(binding.connection.query(text, values | self.asker.values | {"most": MOST}).fetchall())
        # Of the others, what may not be known is left out only later, and must not show in this.
        self.cut = self.cut or ("%(most)s" in text and len(rows) >= MOST)
        return rows

    def names(self, files: Collection[str]) -> dict[str, Name]:
        """Return those of `files` that the asker may know, with the name that they know each by."""
        wanted = tuple(sorted(set(files) - set(self._names) - {""}))
        if wanted:
            self._names.update(dict.fromkeys(wanted))
            rows = [*self.ask("own_names", files=wanted), *self.ask("names", files=wanted)]
            for file_id, name, path, system in rows:
                self._names[file_id] = Name(printable(name), printable(path), system)
        return {file_id: found for file_id in files if (found := self._names.get(file_id)) is not None}

    def known(self, contents: Collection[Content]) -> list[Content]:
        """Return those of files that the asker may know."""
        names = self.names({content.file_id for content in contents})
        return sorted(content for content in set(contents) if content.file_id in names)

    def steps(self, name: str, **values: Any) -> list[Step]:
        """Return what runs read or wrote."""
        return [
            Step(run, Content(file, sha), at, function or "", account)
            for run, file, sha, at, function, account in self.ask(name, **values)
        ]

    def runs(self, ids: Collection[str]) -> dict[str, Run]:
        """Return the runs of these ids, which the asker is known to be allowed to know."""
        rows = self.ask("runs_named", runs=tuple(sorted(ids)))
        return {row[0]: Run(*row)._replace(dirty=bool(row[4])) for row in rows}

    def persons(self, accounts: Collection[str]) -> dict[str, str]:
        """Return whose accounts these are."""
        return dict(lookup(Account, "account_id", "person_id", account_id=set(accounts)))

    def people(self, ids: Collection[str]) -> dict[str, str]:
        """Return the names of those people who may be named, and of the asker."""
        found = {person: colleague.name for person, colleague in self.asker.colleagues(ids).items()}
        if self.asker.person_id in ids:
            found.setdefault(self.asker.person_id, "you")
        return found
