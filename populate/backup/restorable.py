"""Which files there were at a moment, whose they were, and which bytes they had: what many files are restored from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from data_platform.errors import VersionUnavailable
from populate.adopt.tables import Adopt, AdoptMember, AdoptTaken
from readers.cache_names import safe_name
from readers.file import FileSource, modified_ns
from schemas.binding import Binding
from schemas.catalogue import Blob, File, FileGone, FileName, FileOwner, FileSet, FileSetMember, SourceSystem, Version
from schemas.people import Account, AccountName, Person
from schemas.sharing import Access

PAGE = 1000
"""Files that are looked up at once."""

# The version of each file that the last read, or the last look at a share, up to a moment found.
_IN_FORCE = """
WITH seen AS (
    SELECT v.file_id, v.version_id, a.accessed_at AS seen_at
    FROM {Access} AS a JOIN {Version} AS v ON v.file_id = a.file_id AND v.version_id = a.version_id
    WHERE a.file_id IN ({files}) AND a.outcome = 'ok' AND a.function_name <> 'read_version' AND a.accessed_at <= %s
    UNION ALL
    SELECT t.file_id, t.version_id, d.adopted_at AS seen_at
    FROM {AdoptTaken} AS t
    JOIN {Adopt} AS d ON d.root_id = t.root_id AND d.survey = t.survey AND d.part = t.part
    WHERE t.file_id IN ({files}) AND d.adopted_at <= %s
    UNION ALL
    SELECT v.file_id, v.version_id, d.adopted_at AS seen_at
    FROM {AdoptMember} AS m
    JOIN {Adopt} AS d ON d.root_id = m.root_id AND d.survey = m.survey AND d.part = m.part
    JOIN {Version} AS v ON v.file_id = m.file_id AND v.revision = m.seen_revision
    WHERE m.file_id IN ({files}) AND d.adopted_at <= %s AND NOT EXISTS (
        SELECT 1 FROM {AdoptTaken} AS t
        WHERE t.root_id = m.root_id AND t.survey = m.survey AND t.part = m.part AND t.file_id = m.file_id
    )
),
latest AS (
    SELECT s.file_id, MAX(s.version_id) AS version_id, MAX(s.seen_at) AS seen_at
    FROM seen AS s
    JOIN (SELECT file_id, MAX(seen_at) AS seen_at FROM seen GROUP BY file_id) AS l
        ON l.file_id = s.file_id AND l.seen_at = s.seen_at
    GROUP BY s.file_id
)
SELECT f.file_id, f.source_system, y.source_kind, n.file_path, v.sha256, b.blob_size, v.revision, l.seen_at,
    (SELECT MAX(g.gone_on) FROM {FileGone} AS g WHERE g.file_id = f.file_id AND g.gone_on <= %s) AS gone_on
FROM latest AS l
JOIN {File} AS f ON f.file_id = l.file_id
JOIN {SourceSystem} AS y ON y.source_system = f.source_system
JOIN {Version} AS v ON v.file_id = l.file_id AND v.version_id = l.version_id
JOIN {Blob} AS b ON b.sha256 = v.sha256
JOIN {FileName} AS n ON n.file_id = f.file_id
WHERE n.name_id = (
    SELECT o.name_id FROM {FileName} AS o WHERE o.file_id = f.file_id AND o.named_on <= %s
    ORDER BY o.named_on DESC, o.name_id LIMIT 1
) AND n.named_on = (
    SELECT MAX(o.named_on) FROM {FileName} AS o
    WHERE o.file_id = f.file_id AND o.name_id = n.name_id AND o.named_on <= %s
)
ORDER BY f.file_id
"""
_FILES = """
SELECT f.file_id FROM {File} AS f
WHERE f.file_id > %s AND NOT EXISTS (SELECT 1 FROM {FileSet} AS s WHERE s.file_id = f.file_id) {condition}
ORDER BY f.file_id LIMIT {page}
"""
_OWNED = """
AND EXISTS (
    SELECT 1 FROM {FileOwner} AS w JOIN {Account} AS c ON c.account_id = w.account_id
    WHERE w.file_id = f.file_id AND c.person_id = %s AND w.owner_since = (
        SELECT MAX(o.owner_since) FROM {FileOwner} AS o WHERE o.file_id = f.file_id AND o.owner_since <= %s
    )
)
"""
_MEMBERS = """
SELECT s.member_path, v.sha256, b.blob_size, y.source_kind, v.revision, v.file_id
FROM {FileSetMember} AS s
JOIN {Version} AS w ON w.file_id = s.file_id AND w.version_id = s.version_id
JOIN {Version} AS v ON v.file_id = s.member_id AND v.version_id = s.member_version
JOIN {Blob} AS b ON b.sha256 = v.sha256
JOIN {File} AS f ON f.file_id = v.file_id
JOIN {SourceSystem} AS y ON y.source_system = f.source_system
WHERE w.sha256 = %s AND w.file_id = (
    SELECT MIN(x.file_id) FROM {Version} AS x
    JOIN {FileSetMember} AS m ON m.file_id = x.file_id AND m.version_id = x.version_id WHERE x.sha256 = %s
)
ORDER BY s.member_path
"""
_TABLES = (
    Access,
    Account,
    Adopt,
    AdoptMember,
    AdoptTaken,
    Blob,
    File,
    FileGone,
    FileName,
    FileOwner,
    FileSet,
    FileSetMember,
    SourceSystem,
    Version,
)


class Entry(NamedTuple):
    """A file that is to be restored.

    Attributes
    ----------
    path
        Where to put it, relative, of names that are safe on any machine.
    sha256, size
        Its content, and the bytes of that.
    modified_ns
        When it was last modified, in nanoseconds since 1970; -1 if the catalogue does not know.
    file_id
        Tells it apart from another file of the same path.
    """

    path: str
    sha256: str
    size: int
    modified_ns: int
    file_id: str


def files_at(
    binding: Binding,
    moment: datetime,
    *,
    owner: str = "",
    source: str = "",
    below: str = "",
    gone: bool = False,
) -> Iterator[Entry]:
    """Yield the files that there were at a moment, with the bytes that they had then.

    What is known of a moment is what people had read by then, and what `adopt` had found.

    Parameters
    ----------
    binding
        With the tables of `populate.pipeline`.
    moment
        UTC, naive.
    owner
        Only files of this person then: a login, or a name in full.
    source
        Only files of this source system.
    below
        Only the file of this path, or what was below it; as the source shows paths.
    gone
        Yield files that were no longer there, too, as they were last.

    Raises
    ------
    VersionUnavailable
        If there is no such person, or several.
    """
    binding.ensure()
    condition, arguments = "", list[object]()
    if source:
        condition, arguments = condition + " AND f.source_system = %s", [*arguments, source.lower()]
    if owner:
        condition, arguments = condition + _OWNED, [*arguments, person_called(owner), moment.date()]
    last, folder = "", below.rstrip("/")
    while page := _ask(binding, _FILES, [last, *arguments], condition=_named(condition), page=str(PAGE)):
        file_ids = [row[0] for row in page]
        last = file_ids[-1]
        for row in _in_force(binding, file_ids, moment):
            if (gone or not _was_gone(row)) and (not folder or row[3] == folder or row[3].startswith(f"{folder}/")):
                yield _entry(row)


def files_of_set(binding: Binding, sha256: str) -> Iterator[Entry]:
    """Yield the members of a file set as it was, by the SHA-256 of that version, which is its manifest's.

    Raises
    ------
    VersionUnavailable
        If no version of a file set has this hash.
    """
    binding.ensure()
    rows = _ask(binding, _MEMBERS, (sha256, sha256))
    for path, content, size, kind, revision, file_id in rows:
        yield Entry(safe_path(path), content, int(size), _modified(kind, revision), file_id)
    if rows:
        return
    raise VersionUnavailable(
        f"No version of a file set has the SHA-256 {sha256[:64]}. Give all 64 digits of what reading the set recorded."
    )


def person_called(name: str) -> str:
    """Return the id of the person with a login or a name, without regard to case.

    Raises
    ------
    VersionUnavailable
        If there is none, or several.
    """
    wanted = name.strip().casefold()
    accounts = (Account.proj("login", "person_id")).to_dicts()
    called = {row["account_id"] for row in AccountName.to_dicts() if row["account_name"].casefold() == wanted}
    found = {row["person_id"] for row in accounts if row["login"].casefold() == wanted or row["account_id"] in called}
    found |= {row["person_id"] for row in Person.to_dicts() if row["full_name"].casefold() == wanted}
    if len(found) == 1:
        return str(found.pop())
    what = "Nobody is" if not found else f"{len(found)} people are"
    raise VersionUnavailable(f"{what} called {name[:80]!r}. Give the login of one person, as the dashboard shows it.")


def safe_path(path: str, *outer: str) -> str:
    """Return a relative path whose parts are those of `path`, each made safe, within folders called `outer`."""
    parts = (*outer, *(part for part in path.replace("\\", "/").split("/") if part not in ("", ".")))
    return "/".join(map(safe_name, parts)) or "_"


def _entry(row: Sequence[Any]) -> Entry:
    file_id, system, kind, path, sha256, size, revision, _, _ = row
    return Entry(safe_path(path, system.replace("/", "_")), sha256, int(size), _modified(kind, revision), file_id)


def _modified(kind: str, revision: str) -> int:
    return modified_ns(revision) if kind == FileSource.kind else -1


def _was_gone(row: Sequence[Any]) -> bool:
    """Tell whether the source had said that a file is gone after it was seen last; of the same day nobody knows."""
    seen_at, gone_on = row[7], row[8]
    return isinstance(gone_on, date) and gone_on > seen_at.date()


def _in_force(binding: Binding, file_ids: Sequence[str], moment: datetime) -> Sequence[Sequence[Any]]:
    day = moment.date()
    arguments = [*file_ids, moment, *file_ids, moment, *file_ids, moment, day, day, day]
    return _ask(binding, _IN_FORCE, arguments, files=", ".join(["%s"] * len(file_ids)))


def _named(statement: str) -> str:
    return statement.format(**{table.__name__: table().full_table_name for table in _TABLES})


def _ask(binding: Binding, statement: str, arguments: Sequence[object], **names: str) -> Sequence[Sequence[Any]]:
    tables = {table.__name__: table().full_table_name for table in _TABLES}
    return list(binding.connection.query(statement.format(**tables, **names), args=arguments).fetchall())


def in_utc(moment: datetime) -> datetime:
    """Return a moment in UTC, naive as the database keeps it; what names no zone is UTC already."""
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def now() -> datetime:
    """Return the present moment, UTC and naive."""
    return datetime.now(UTC).replace(tzinfo=None)
