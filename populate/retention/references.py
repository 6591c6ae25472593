"""Everything that refers to a content, of many contents at once: what `populate.retention.rules` judges by.

Asked in the order in which references come into being, from a delivery to a version, so that one that
is on its way from one table to the next is met in at least one of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, time
from typing import Any

from populate.adopt.tables import Adopt, AdoptMember, AdoptTaken
from populate.backup.tables import Backup
from populate.ingest import BackupMember, Ingest
from populate.lookup import lookup
from populate.retention.owned import facts_of
from populate.retention.rules import FileFacts, Known, State
from populate.sharing.history import History, HistoryContent, HistoryMember
from schemas.binding import Binding
from schemas.catalogue import FileSetMember, Version
from schemas.following import SourceVersion
from schemas.output import Output
from schemas.sharing import Access, AccessBatch, SourceRead

Pair = tuple[str, str]
"""File and version."""

_UNINGESTED = """
SELECT b.batch_id FROM {AccessBatch} AS b
WHERE NOT EXISTS (SELECT 1 FROM {Ingest} AS i WHERE i.batch_id = b.batch_id)
"""
_TO_BACK_UP = """
SELECT m.file_id, m.version_id FROM {BackupMember} AS m WHERE m.file_id IN ({marks}) AND NOT EXISTS (
    SELECT 1 FROM {Backup} AS b WHERE b.batch_id = m.batch_id AND b.part = m.part AND b.attempt = m.attempt
)
"""
_TO_ADOPT = """
SELECT m.file_id FROM {AdoptMember} AS m WHERE m.file_id IN ({marks}) AND NOT EXISTS (
    SELECT 1 FROM {Adopt} AS a WHERE a.root_id = m.root_id AND a.survey = m.survey AND a.part = m.part
)
UNION SELECT m.file_id FROM {HistoryMember} AS m WHERE m.file_id IN ({marks})
AND NOT EXISTS (SELECT 1 FROM {History} AS h WHERE h.history_id = m.history_id)
"""
# When a version was met as the present state of its file, and when it was last used. A reader met it before that was
# taken in, whatever its clock says: else one that is ahead would make an old version the latest for years.
_MET = """
SELECT a.file_id, a.version_id, MAX(CASE WHEN a.function_name <> 'read_version'
    THEN LEAST(a.accessed_at, COALESCE(i.ingested_at, a.accessed_at)) END), MAX(a.accessed_at)
FROM {Access} AS a LEFT JOIN {Ingest} AS i ON i.batch_id = a.batch_id
WHERE a.file_id IN ({marks}) AND a.outcome = 'ok' GROUP BY a.file_id, a.version_id
UNION ALL
SELECT t.file_id, t.version_id, MAX(d.adopted_at), MAX(d.adopted_at) FROM {AdoptTaken} AS t
JOIN {Adopt} AS d ON d.root_id = t.root_id AND d.survey = t.survey AND d.part = t.part
WHERE t.file_id IN ({marks}) GROUP BY t.file_id, t.version_id
UNION ALL
SELECT v.file_id, v.version_id, MAX(d.adopted_at), MAX(d.adopted_at) FROM {AdoptMember} AS m
JOIN {Adopt} AS d ON d.root_id = m.root_id AND d.survey = m.survey AND d.part = m.part
JOIN {Version} AS v ON v.file_id = m.file_id AND v.revision = m.seen_revision
WHERE m.file_id IN ({marks}) GROUP BY v.file_id, v.version_id
UNION ALL
SELECT c.file_id, c.version_id, MAX(s.version_modified_at), MAX(h.history_taken_at) FROM {HistoryContent} AS c
JOIN {SourceVersion} AS s ON s.file_id = c.file_id AND s.version_label = c.version_label
JOIN {HistoryMember} AS m ON m.file_id = c.file_id AND m.version_label = c.version_label
JOIN {History} AS h ON h.history_id = m.history_id
WHERE c.file_id IN ({marks}) GROUP BY c.file_id, c.version_id
"""
_TABLES: tuple[Any, ...] = (
    *(Access, AccessBatch, Adopt, AdoptMember, AdoptTaken, Backup, BackupMember, History, HistoryContent),
    *(HistoryMember, Ingest, SourceVersion, Version),
)


def known_of(binding: Binding, hashes: Collection[str], today: date) -> dict[str, Known]:
    """Return what refers to each of some contents, by SHA-256.

    Parameters
    ----------
    binding
        With the tables of `populate.pipeline`.
    hashes
        SHA-256, some hundreds.
    today
        UTC; tells in which department owners work.
    """
    elsewhere = _delivered(binding, hashes)  # before versions: what is ingested meanwhile is met there
    versions = _containing(lookup(Version, "file_id", "version_id", "sha256", sha256=hashes))
    files = {file_id for found in versions.values() for file_id, _ in found}
    seen = _Seen(binding, files)
    facts = facts_of(files, today)
    for sha256, file_id in lookup(Output, "sha256", "file_id", sha256=hashes):
        if not any(file_id == file for file, _ in versions[sha256]):
            elsewhere[sha256].add("a run names it as its output")
    return {
        sha256: Known([seen.state(pair, facts[pair[0]]) for pair in sorted(versions[sha256])], elsewhere[sha256])
        for sha256 in hashes
    }


def _delivered(binding: Binding, hashes: Collection[str]) -> defaultdict[str, set[str]]:
    """Return what deliveries mention that are not ingested: the versions in these are not known yet."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    batches = {batch_id for (batch_id,) in _ask(binding, _UNINGESTED)}
    for (sha256,) in lookup(Access, "sha256", sha256=hashes, batch_id=batches):
        found[sha256].add("it was read just now")
    return found


def _containing(rows: Iterable[tuple[str, str, str]]) -> defaultdict[str, set[Pair]]:
    """Return the versions that have a content, and those of file sets that contain such, by SHA-256."""
    found: defaultdict[str, set[Pair]] = defaultdict(set)
    for file_id, version_id, sha256 in rows:
        found[sha256].add((file_id, version_id))
    contained = {pair: {pair} for pairs in found.values() for pair in pairs}
    outer = set(contained)
    while outer:
        sets = lookup(
            FileSetMember,
            *("member_id", "member_version", "file_id", "version_id"),
            member_id={file_id for file_id, _ in outer},
        )
        parents: dict[Pair, set[Pair]] = defaultdict(set)
        for member_id, member_version, file_id, version_id in sets:
            if (member_id, member_version) in outer:
                parents[member_id, member_version].add((file_id, version_id))
        grown = set()
        for pairs in contained.values():
            new = {parent for pair in pairs for parent in parents.get(pair, ())} - pairs
            pairs.update(new)
            grown |= new
        outer = grown  # sets of sets
    return defaultdict(set, {sha256: set().union(*(contained[p] for p in pairs)) for sha256, pairs in found.items()})


class _Seen:
    """When the contents of some files were met and used."""

    def __init__(self, binding: Binding, files: Collection[str]) -> None:
        rows = lookup(Version, "file_id", "version_id", "sha256", file_id=files)
        self._content: dict[Pair, str] = {(file_id, version_id): sha256 for file_id, version_id, sha256 in rows}
        self._met: dict[Pair, datetime] = {}
        self._used: dict[Pair, datetime] = {}
        for file_id, version_id, met_at, used_at in _ask(binding, _MET, files):
            content = self._content.get((file_id, version_id))
            if content is not None:
                _raise(self._met, (file_id, content), met_at)
                _raise(self._used, (file_id, content), used_at)
        for file_id, sha256, at in lookup(Output, "file_id", "sha256", "written_at", file_id=files):
            _raise(self._used, (file_id, sha256), at)
        self._read: dict[str, datetime] = {}  # by the source's own log, which does not tell the version
        for file_id, day in lookup(SourceRead, "file_id", "source_read_on", file_id=files):
            _raise(self._read, file_id, datetime.combine(day, time.max))
        self._pending = {(file_id, version_id) for file_id, version_id in _ask(binding, _TO_BACK_UP, files)}
        self._adopted = {file_id for (file_id,) in _ask(binding, _TO_ADOPT, files)}
        self._moments: dict[str, list[datetime]] = defaultdict(list)
        for (file_id, _), at in self._met.items():
            self._moments[file_id].append(at)

    def state(self, pair: Pair, file: FileFacts) -> State:
        file_id = pair[0]
        content = (file_id, self._content.get(pair, ""))
        met = self._met.get(content)
        used = [at for at in (self._used.get(content), met) if at is not None]
        read = self._read.get(file_id)
        return State(
            file,
            newer=None if met is None else sum(at > met for at in self._moments[file_id]),
            used_at=max([*used, *([read] if read else [])]) if used else None,
            pending=pair in self._pending or file_id in self._adopted,
        )


def _raise(moments: dict[Any, datetime], key: object, at: datetime | None) -> None:
    if at is not None:
        moments[key] = max(at, moments.get(key, at))


def _ask(binding: Binding, statement: str, files: Collection[str] = ()) -> Sequence[Sequence[Any]]:
    times = statement.count("{marks}")
    if times and not files:
        return []
    names: Mapping[str, str] = {table.__name__: table().full_table_name for table in _TABLES}
    filled = statement.format(**names, marks=", ".join(["%s"] * len(files)))
    return list(binding.connection.query(filled, args=[*files] * times).fetchall())
