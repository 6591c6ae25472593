"""What duplicates are judged by, fetched from the catalogue: copies, owners, names, readings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from populate.duplicates.kinds import Known, Said
from populate.duplicates.origin import Reading
from populate.duplicates.statements import NOW, SNAPSHOT, statement
from populate.duplicates.tables import METHOD
from populate.lookup import lookup
from schemas.connection import Connection
from schemas.identity import account_id
from schemas.people import Account

MANY = 5000  # values in a statement
FILES = 50_000  # about so many present files are looked at together
PARTS = 16**4
_account_id = lru_cache(maxsize=10_000)(account_id)  # the same few people all the time


@dataclass(frozen=True, slots=True)
class Owner:
    """Whom the source named last as a file's owner; all empty if nobody was named."""

    account_id: str = ""
    realm: str = ""
    login: str = ""
    person_id: str = ""
    full_name: str = ""
    department: str = ""


class Held(NamedTuple):
    """A file that holds a content which another file holds, too."""

    sha256: str
    size: int
    file_id: str
    version_id: str
    revision: str
    first_seen: datetime | None
    source_system: str
    source_kind: str

    @property
    def modified(self) -> datetime | None:
        """When it was last changed, UTC, where the revision's token tells: for files and shares."""
        parts = self.revision.split("-")
        if self.source_kind != "file" or len(parts) != 4:
            return None
        try:
            return datetime.fromtimestamp(int(parts[1], 16) // 10**9, UTC).replace(tzinfo=None)
        except (ValueError, OverflowError, OSError):  # a time beyond the years 1 to 9999
            return None


def copies_of(
    connection: Connection, scope: str = NOW, *, contents: Collection[str] | None = None, **values: Any
) -> dict[str, list[Held]]:
    """Return for each content that several files hold, of all or of these, its files, by `file_id`."""
    if contents is None:
        rows = iter(connection.query(statement("copies", scope), values).fetchall())
    else:
        rows = _copies_of_few(connection, contents, scope, values)
    sets: defaultdict[str, list[Held]] = defaultdict(list)
    for row in rows:
        sets[row[0]].append(Held(*row))
    return {sha256: sorted(held, key=lambda one: one.file_id) for sha256, held in sets.items()}


def _copies_of_few(
    connection: Connection, contents: Collection[str], scope: str, values: Mapping[str, Any]
) -> Iterator[tuple[Any, ...]]:
    for part in _parts(contents):
        given = {**values, "among": part}
        if files := tuple(row[0] for row in connection.query(statement("involved_in_few", scope), given).fetchall()):
            yield from connection.query(statement("copies_of_few", scope), {**given, "files": files}).fetchall()


def owners_of(connection: Connection, file_ids: Collection[str]) -> dict[str, Owner]:
    """Return the present owners of those of the files that have one."""
    return {row[0]: Owner(*row[1:]) for row in _in_parts(connection, "owners", file_ids)}


def names_of(connection: Connection, file_ids: Collection[str]) -> dict[str, tuple[str, str]]:
    """Return the present name and path of the files."""
    return {row[0]: (row[1], row[2]) for row in _in_parts(connection, "names", file_ids)}


def owners_then(connection: Connection, file_ids: Collection[str], **values: Any) -> dict[str, str]:
    """Return the accounts that owned the files by a snapshot."""
    rows = _in_parts(connection, "owners_then", file_ids, SNAPSHOT, **values)
    return {file_id: _account_id(realm, login) for file_id, realm, login in rows}


def history_of(connection: Connection, scope: str = NOW, **values: Any) -> list[Known]:
    """Return all versions of the files that ever had a content in common with another one."""
    return _known(connection, "history", scope, values)


def present_in_parts(
    connection: Connection, scope: str = NOW, **values: Any
) -> Iterator[tuple[list[Known], dict[str, str]]]:
    """Yield the present versions of some files at a time, and what these are called, until all files are through."""
    for limits in _limits(connection, "file_count", FILES):
        present = _known(connection, "present", scope, {**values, **limits})
        if scope == NOW:
            names = {file_id: name for file_id, (name, _) in names_of(connection, {one[0] for one in present}).items()}
        else:
            found = connection.query(statement("names_then", scope), {**values, **limits}).fetchall()
            names = {file_id: name.rpartition("/")[2] for file_id, name in found}
        yield present, names


def present_of(connection: Connection, file_ids: Collection[str]) -> list[Known]:
    """Return the present versions of these files."""
    parts = ({"min_bytes": 0, "among": part} for part in _parts(file_ids))
    return [known for values in parts for known in _known(connection, "present_among", NOW, values)]


def forms_in_parts(connection: Connection, scope: str = NOW, **values: Any) -> Iterator[list[Said]]:
    """Yield what contents say that have a form, some of them at a time."""
    method = METHOD if scope == NOW else method_then(connection, **values)
    if method is None:
        return
    for limits in _limits(connection, "form_count", MANY):
        found = connection.query(statement("forms", scope), {**values, **limits, "method_no": method}).fetchall()
        yield [Said(*row) for row in found]


def method_then(connection: Connection, **values: Any) -> int | None:
    """Return the method by which a snapshot compares forms; None if it knows of no form."""
    method: int | None = connection.query(statement("method", SNAPSHOT), values).fetchone()[0]
    return method


def _limits(connection: Connection, count: str, most: int) -> Iterator[dict[str, str]]:
    """Yield where parts of about so many rows begin and end, by identities, which are spread evenly."""
    (rows,) = connection.query(statement(count)).fetchone()
    parts = min(PARTS, int(rows) // most + 1)
    ends = [f"{PARTS * number // parts:04x}" for number in range(1, parts)]
    for first, beyond in zip(["", *ends], [*ends, "g"], strict=True):
        yield {"first": first, "beyond": beyond}


def _known(connection: Connection, name: str, scope: str, values: Mapping[str, Any]) -> list[Known]:
    rows = connection.query(statement(name, scope), values).fetchall()
    return [Known(file, version, sha256, size, seen, bool(now)) for file, version, sha256, size, seen, now in rows]


def readings_of(
    connection: Connection,
    contents: Collection[str],
    scope: str = NOW,
    *,
    files: Collection[str] | None = None,
    **values: Any,
) -> Mapping[str, list[Reading]]:
    """Return for each content who read it from which files, of all or of these, and when first.

    Now these are persons; by a snapshot accounts, as whom an account belongs to may be mended.
    """
    name = "reads" if files is None else "reads_of_few"
    rows = list(_in_parts(connection, name, contents, scope, **values, files=tuple(files or ())))
    readers = {(realm, login, behalf): _account_id(realm, behalf or login) for _, _, realm, login, behalf, _ in rows}
    person_of: dict[str, str] = dict(_persons(set(readers.values()))) if scope == NOW else {}
    found: defaultdict[str, list[Reading]] = defaultdict(list)
    for file_id, sha256, realm, login, behalf, read_at in rows:
        account = readers[realm, login, behalf]
        found[sha256].append(Reading(file_id, person_of.get(account, account), read_at))
    return found


def _persons(accounts: Collection[str]) -> Iterator[tuple[Any, ...]]:
    for part in _parts(accounts):
        yield from lookup(Account, "account_id", "person_id", account_id=part)


def _in_parts(
    connection: Connection, name: str, among: Collection[str], scope: str = NOW, **values: Any
) -> Iterator[tuple[Any, ...]]:
    for part in _parts(among):
        yield from connection.query(statement(name, scope), {**values, "among": part}).fetchall()


def _parts(values: Collection[str]) -> Iterator[tuple[str, ...]]:
    ordered = sorted(values)
    for start in range(0, len(ordered), MANY):
        yield tuple(ordered[start : start + MANY])
