"""What the tables say about files, for search; and noting down of which files that has changed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from populate.lookup import add
from populate.profile.tables import METHOD
from populate.search import labels
from populate.search.statements import statement
from populate.search.tables import DocumentChange, DocumentLook, now
from populate.search.views import Document, Facts, Name, account_term, document, group_term
from populate.who.asker import FOREVER, default_choice
from schemas.identity import account_id

MANY = 1000
"""Files described at a time."""

OVERLAP = timedelta(minutes=10)
"""How much later than its time a row may become visible: clocks differ, and transactions last."""

Rows = list[tuple[Any, ...]]


class Tables:
    """Answers what the tables say at a moment.

    Parameters
    ----------
    connection
        The binding's.
    at
        UTC, naive.
    """

    def __init__(self, connection: Any, at: datetime | None = None) -> None:
        self._connection = connection
        self.at = at or now()
        self._default = default_choice(self.at)

    def ask(self, name: str, **values: Any) -> Rows:
        """Return the rows of one of `populate.search.statements`; no values mean no rows."""
        if any(value == () for value in values.values()):
            return []
        values |= {"now": self.at, "today": self.at.date(), "default": self._default, "method": METHOD}
        return list(self._connection.query(statement(name), values).fetchall())

    def documents(self, files: Collection[str]) -> dict[str, Document]:
        """Return what is indexed of those of the files that are there, by id."""
        wanted = tuple(sorted(files))
        found: dict[str, Document] = {}
        for start in range(0, len(wanted), MANY):
            found |= self._documents(wanted[start : start + MANY])
        return found

    def _documents(self, files: tuple[str, ...]) -> dict[str, Document]:
        names: dict[str, list[Name]] = defaultdict(list)
        for file_id, since, name, path in self.ask("names", files=files):
            names[file_id].append(Name(since, name, path))
        sets = {row[0] for row in self.ask("sets", files=files)}
        people, told = _People(self, files), labels.of_files(self, files)
        contents, runs = labels.of_contents(self, people.contents), labels.runs_of(self, files)
        return {
            file_id: document(
                Facts(
                    file_id,
                    system,
                    tuple(names[file_id]),
                    is_set=file_id in sets,
                    labels=told.get(file_id, ()),
                    contents=contents,
                    runs=runs.get(file_id, ()),
                    **people.of(file_id),
                )
            )
            for file_id, system in sorted(self.ask("files", files=files))  # in the order of `all_files`
        }


class _People:
    """Who may know each of some files, who owns and who reads them."""

    def __init__(self, tables: Tables, files: tuple[str, ...]) -> None:
        reads, owners = tables.ask("reads", files=files), tables.ask("owners", files=files)
        self._audience = _audiences(reads, tables.ask("edges", files=files), tables.ask("grants", files=files), owners)
        self._content = _newest(reads, tables.ask("versions", files=files))
        self.contents = {content for told in self._audience.values() for _, content in told.values()} - {""}
        self.contents |= set(self._content.values())
        self._owning: dict[str, set[str]] = defaultdict(set)
        for file_id, account, *_ in owners:
            self._owning[file_id].add(account_term(account))
        self._owners = {file_id: (person, choice) for file_id, _, person, choice in owners}
        self._read: dict[str, dict[str, datetime]] = defaultdict(dict)  # file -> account -> last
        for file_id, _, realm, login, on_behalf_of, last, _ in reads:
            account = account_id(realm, on_behalf_of or login)
            self._read[file_id][account] = max(last, self._read[file_id].get(account, last))
        accounts = {account for readers in self._read.values() for account in readers}
        self._persons = {row[0]: row[1:] for row in tables.ask("persons", accounts=tuple(sorted(accounts)))}
        wanted = {row[0] for row in self._persons.values()} | {person for person, _ in self._owners.values()}
        self._nameable = {row[0]: row[1:] for row in tables.ask("nameable", people=tuple(sorted(wanted)))}

    def of(self, file_id: str) -> dict[str, Any]:
        owner, choice = self._owners.get(file_id, ("", ""))
        name, department = self._nameable.get(owner, ("", ""))
        last: dict[str, datetime] = {}
        departments: dict[str, str] = {}
        for account, at in self._read[file_id].items():
            person, kind, works = self._persons.get(account, ("", "service", ""))
            if kind != "service":
                last[person] = max(at, last.get(person, at))
                departments[person] = works
        order = sorted(last, key=lambda person: (-last[person].toordinal(), person))
        return {
            "audience": self._audience[file_id],
            "content": self._content.get(file_id, ""),
            "choice": choice if choice in ("open", "default") else "",
            "owning": frozenset(self._owning[file_id]),
            "owner_id": owner if name else "",
            "owner": name,
            "department": department,
            "readers": dict(sorted(Counter(departments.values()).items())),
            "people": tuple(self._nameable[person][0] for person in order if person in self._nameable),
            "last_read": max(last.values()).date() if last else None,
        }


def _audiences(reads: Rows, edges: Rows, grants: Rows, owners: Rows) -> Mapping[str, dict[str, tuple[date, str]]]:
    """Return, for each file, who may know it, until when they could see what it is called, and what they read last."""
    found: dict[str, dict[str, tuple[date, str]]] = defaultdict(dict)

    def may_know(file_id: str, term: str, until: date, content: str) -> None:
        before, seen = found[file_id].get(term, (date.min, ""))
        found[file_id][term] = (max(before, until), content or seen)

    for file_id, account, *_, last, sha256 in sorted(reads, key=lambda row: row[-2:]):
        may_know(file_id, account_term(account), last.date(), sha256)
    for file_id, account, last in edges:
        may_know(file_id, account_term(account), last, "")
    for file_id, grantee, kind in grants:
        may_know(file_id, account_term(grantee) if kind == "account" else group_term(grantee), FOREVER, "")
    for file_id, account, *_ in owners:
        may_know(file_id, account_term(account), FOREVER, "")
    return found


def _newest(reads: Rows, versions: Rows) -> dict[str, str]:
    """Return the content that each file was met with last; of files that nobody read, the one they have."""
    return dict(sorted(versions)) | {row[0]: row[-1] for row in sorted(reads, key=lambda row: row[-2:])}


def describe(connection: Any, files: Collection[str], at: datetime | None = None) -> int:
    """Note down which of the files are to be indexed anew, and return how many."""
    tables = Tables(connection, at)
    documents = tables.documents(files)
    before: dict[str, tuple[datetime, str]] = {}
    for some in _portions(documents):
        for file_id, described_at, digest in tables.ask("described", files=some):
            before[file_id] = max(before.get(file_id, (datetime.min, "")), (described_at, digest))
    rows = [
        {
            "file_id": file_id,
            # Later than the one before, whatever the clock of the machine that wrote that.
            "described_at": max(tables.at, before.get(file_id, (datetime.min, ""))[0] + timedelta(microseconds=1)),
            "document_sha256": found.digest,
        }
        for file_id, found in sorted(documents.items())
        if before.get(file_id, (datetime.min, ""))[1] != found.digest
    ]
    for start in range(0, len(rows), MANY):
        add(DocumentChange, rows[start : start + MANY])
    return len(rows)


def look(connection: Any, at: datetime | None = None) -> int:
    """Describe files of which something has changed since the last look, other than that they were read or taken in.

    Such are names, permissions and their ends, what their people chose or became, and labels.
    Returns of how many files the description is another one now.
    """
    tables = Tables(connection, at)
    last = max((row["looked_at"] for row in DocumentLook().to_dicts(order_by="looked_at DESC", limit=1)), default=None)
    since = (last or datetime(1970, 1, 1)) - OVERLAP if last else datetime(1970, 1, 1)
    files = {row[0] for row in tables.ask("touched", since=since)}
    day = (last or since).date()
    people = {row[0] for row in tables.ask("changed_people", since=since, day=day)}
    if last:  # at the first look there is nobody of whom anything was described otherwise
        files |= {row[0] for row in tables.ask("of_people", people=tuple(sorted(people)))}
    count = sum(describe(connection, some, at) for some in _portions(files))
    if count or last is None or tables.at - last > OVERLAP:
        DocumentLook.insert1({"looked_at": tables.at, "look_count": count}, skip_duplicates=True)
    return count


def all_files(tables: Tables, after: str = "", many: int = 0) -> Iterator[list[str]]:
    """Yield the ids of all files after one, in order, so many at a time; 0 is as many as are described at a time."""
    while some := [row[0] for row in tables.ask("next_files", after=after, many=many or MANY)]:
        yield some
        after = some[-1]


def _portions(files: Iterable[str]) -> Iterator[tuple[str, ...]]:
    wanted = sorted(files)
    for start in range(0, len(wanted), MANY):
        yield tuple(wanted[start : start + MANY])
