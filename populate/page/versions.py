"""Versions of a file: when each was made, by whom, and who read it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from populate.lookup import lookup
from populate.page.shape import VersionRow
from populate.page.statements import ask
from populate.sharing.history import REVISION
from populate.who.asker import Asker
from populate.who.whom import printable
from schemas.identity import account_id
from schemas.people import Account

OLDER = "read_version"
"""The function of reads that asked for an older version: they do not say what was in force then."""


class Read(NamedTuple):
    """Reads of a version by a person: first and last, how many; whether any was of what was in force then."""

    version_id: str
    person_id: str
    first: datetime
    last: datetime
    times: int
    current: bool


class Made(NamedTuple):
    """What is told of how a version came about."""

    author: str = ""
    at: datetime | None = None
    label: str = ""


def reads_of(asker: Asker, file_id: str) -> list[Read]:
    """Return who read the file: of people that are known, also by whom it was read for."""
    rows = ask(asker, "reads", file=file_id)
    readers = [account_id(realm, behalf or login) for _, realm, login, behalf, *_ in rows]
    person_of = dict(lookup(Account, "account_id", "person_id", account_id=set(readers)))
    return [
        Read(row[0], person_of[reader], row[5], row[6], int(row[7]), row[4] != OLDER)
        for row, reader in zip(rows, readers, strict=True)
        if reader in person_of  # else what was forged, or not ingested yet
    ]


def versions_of(
    asker: Asker, file_id: str, reads: Iterable[Read], contents: Collection[str] | None
) -> tuple[VersionRow, ...]:
    """Return the versions of a file, the newest first.

    Parameters
    ----------
    contents
        SHA-256 of the bytes that the asker may know; None = all.
    """
    rows = ask(asker, "versions", file=file_id)
    rows = [row for row in rows if contents is None or row[1] in contents]
    of_version: defaultdict[str, list[Read]] = defaultdict(list)
    for read in reads:
        of_version[read.version_id].append(read)
    made = _made(asker, file_id, rows)
    order = sorted(rows, key=lambda row: _age(of_version[row[0]], made[row[0]].at, row[0]), reverse=True)
    names = _names(asker, {read.person_id for row in rows for read in of_version[row[0]]})
    return tuple(_row(row, of_version[row[0]], made[row[0]], names, row is order[0]) for row in order)


def _age(reads: Iterable[Read], made: datetime | None, version_id: str) -> tuple[datetime, datetime, str]:
    """Return what versions are ordered by: when each was first met as the present one, else when it was made."""
    met = min((read.first for read in reads if read.current), default=None)
    return met or made or datetime.min, made or datetime.min, version_id


def _names(asker: Asker, people: Collection[str]) -> dict[str, str]:
    found = {person: printable(colleague.name) for person, colleague in asker.colleagues(people).items()}
    return found | ({asker.person_id: "you"} if asker.person_id in people else {})


def _row(
    row: tuple[str, str, int, str, int, int],
    reads: Collection[Read],
    made: Made,
    names: Mapping[str, str],
    newest: bool,
) -> VersionRow:
    version_id, sha256, size, _, placed, erased = row
    return VersionRow(
        version_id=version_id,
        sha256=sha256,
        size=int(size),
        label=made.label,
        author=made.author,
        modified=made.at,
        first_read=min((read.first for read in reads), default=None),
        last_read=max((read.last for read in reads), default=None),
        reads=sum(read.times for read in reads),
        readers=tuple(sorted({names[read.person_id] for read in reads if read.person_id in names})),
        backed_up=bool(placed),
        erased=bool(erased),
        newest=newest,
    )


def _made(asker: Asker, file_id: str, rows: Collection[tuple[Any, ...]]) -> dict[str, Made]:
    """Return for each version what is told of its making: by a run that wrote it, its source, or its time there."""
    history = ask(asker, "history", file=file_id)
    told = {label: (at, author) for label, at, author, _ in history}
    labels = {version: label for label, _, _, version in history if version}
    labels |= {row[0]: row[3].removeprefix(REVISION) for row in rows if row[3].startswith(REVISION)}
    written = {sha256: (person, at) for sha256, person, at in reversed(ask(asker, "written", file=file_id))}
    authors = _authors(asker, {author for _, author in told.values()} - {""})
    names = _names(asker, {person for person, _ in written.values()})
    found = {}
    for version_id, sha256, _, revision, *_ in rows:
        label = labels.get(version_id, "")
        at, author = told.get(label, (None, ""))
        person, written_at = written.get(sha256, ("", None))
        found[version_id] = Made(
            names.get(person, authors.get(author, "")), written_at or at or _of_token(revision), label
        )
    return found


def _authors(asker: Asker, names: Collection[str]) -> dict[str, str]:
    """Return what to call those whom a source names as authors; whoever may not be named is left out."""
    people: defaultdict[str, set[str]] = defaultdict(set)
    for name, person in ask(asker, "called", names=tuple(sorted({*names, *map(str.lower, names)}))):
        people[name.lower()].add(person)
    shown = _names(asker, {person for found in people.values() for person in found})
    return {name: _author(name, people.get(name.lower(), set()), shown) for name in names}


def _author(name: str, people: Collection[str], shown: Mapping[str, str]) -> str:
    if not people:
        return printable(name)
    called = {shown[person] for person in people if person in shown}
    return called.pop() if len(called) == len(people) == 1 else ""


def _of_token(revision: str) -> datetime | None:
    """Return when a file of a share was last changed, which its revision tells."""
    parts = revision.split("-")
    if len(parts) != 4:
        return None
    try:
        return datetime.fromtimestamp(int(parts[1], 16) // 10**9, UTC).replace(tzinfo=None)
    except (ValueError, OverflowError, OSError):  # some other token, or a time beyond the years 1 to 9999
        return None
