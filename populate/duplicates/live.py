"""Exact duplicates as they are now: a query over the rows, never stored."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from populate.backup.tables import Placement
from populate.duplicates.origin import Holder, Verdict, judge_all
from populate.duplicates.rows import MANY, Held, Owner, copies_of, names_of, owners_of, readings_of
from populate.duplicates.statements import statement
from populate.lookup import lookup
from schemas.binding import Binding

Sets = Mapping[str, Sequence[Held]]
NOBODY = Owner()


@dataclass(frozen=True, slots=True)
class Copy:
    """A file that holds a content which another file holds, too.

    Attributes
    ----------
    sha256, size
        The content, and its bytes.
    file_id, version_id
        The file and its present version, as in `schemas.catalogue.Version`.
    name, path, source
        As its source shows it, and the source system.
    owner
        Whose it is: account_id, realm, login, person_id, full_name, department.
    first_seen
        When the file was first met with this content, UTC; None if it was never read.
    modified
        When its source says it was last changed, UTC; None where it does not say.
    is_origin
        This is the original, of which the others are copies: exactly one of each content.
    evidence
        For an origin why it is one, for a copy why it is one of the origin: ``read``,
        ``modified``, ``seen`` or ``none``; see `populate.duplicates.origin`.
    """

    sha256: str
    size: int
    file_id: str
    version_id: str
    name: str
    path: str
    source: str
    owner: Owner
    first_seen: datetime | None
    modified: datetime | None
    is_origin: bool
    evidence: str


class Totals(NamedTuple):
    """What duplicates amount to; bytes as people see them, as the store keeps them, and what it saves."""

    contents: int
    copies: int
    bytes_logical: int
    bytes_stored: int
    bytes_saved: int


def exact_duplicates(
    binding: Binding,
    *,
    contents: Collection[str] | None = None,
    file_id: str | None = None,
    person_id: str | None = None,
    min_bytes: int = 1,
    limit: int | None = None,
) -> list[Copy]:
    """Return the files whose present versions have the very same bytes, over all sources.

    A file that several people read, or that had several names, is one file and no
    duplicate; older versions, files that are gone, file sets and empty files do not count.

    Parameters
    ----------
    binding
        With the tables of `populate.pipeline`.
    contents
        Only these, by their SHA-256; no other one is looked at.
    file_id
        Only contents that this file holds.
    person_id
        Only contents of which a copy belongs to this person.
    min_bytes
        Only contents of at least so many bytes; at least 1.
    limit
        At most so many contents.

    Returns
    -------
    list of Copy
        The content that most could be saved of first (bytes of all copies but one); of each
        content the origin first, then the others in the order in which they were met.
    """
    binding.ensure()
    sets: Sets = copies_of(binding.connection, contents=contents, min_bytes=max(1, min_bytes))
    if file_id is not None:
        sets = {content: held for content, held in sets.items() if any(one.file_id == file_id for one in held)}
    if person_id is not None:
        owners = owners_of(binding.connection, _files(sets))
        mine = {file for file, owner in owners.items() if owner.person_id == person_id}
        sets = {content: held for content, held in sets.items() if any(one.file_id in mine for one in held)}
    return copies_in(binding, largest_of(sets, limit))


def largest_of(sets: Sets, most: int | None = None) -> Sets:
    """Return the sets of copies that most could be saved of, in order."""
    order = sorted(sets, key=lambda content: (-sets[content][0].size * (len(sets[content]) - 1), content))
    return {content: sets[content] for content in order[:most]}


def copies_in(binding: Binding, sets: Sets) -> list[Copy]:
    """Return what is known of the files in sets, of each content the origin first."""
    return list(_copies(binding, sets, owners_of(binding.connection, _files(sets))))


def exact_sets(binding: Binding, min_bytes: int = 1) -> dict[str, list[str]]:
    """Return the ids of the files that hold each content which several hold, and nothing else."""
    binding.ensure()
    sets: defaultdict[str, list[str]] = defaultdict(list)
    values = {"min_bytes": max(1, min_bytes)}
    for sha256, file_id in binding.connection.query(statement("sets"), values).fetchall():
        sets[sha256].append(file_id)
    return {sha256: sorted(files) for sha256, files in sorted(sets.items())}


def totals(copies: Iterable[Copy | Held]) -> Totals:
    """Return what `copies` amount to; a content that has a place in the content store counts as kept."""
    held = list(copies)
    sizes = {copy.sha256: copy.size for copy in held}
    logical = sum(copy.size for copy in held)
    hashes = sorted(sizes)
    parts = (hashes[start : start + MANY] for start in range(0, len(hashes), MANY))
    kept = {sha256 for part in parts for (sha256,) in lookup(Placement, "sha256", sha256=part)}
    stored = sum(sizes[sha256] for sha256 in kept)
    return Totals(len(sizes), len(held), logical, stored, logical - sum(sizes.values()))


def exact_totals(binding: Binding, min_bytes: int = 1) -> Totals:
    """Return what all exact duplicates amount to."""
    binding.ensure()
    return totals(one for held in copies_of(binding.connection, min_bytes=max(1, min_bytes)).values() for one in held)


def _files(sets: Sets) -> set[str]:
    return {one.file_id for held in sets.values() for one in held}


def _copies(binding: Binding, sets: Sets, owners: Mapping[str, Owner]) -> Iterator[Copy]:
    files = _files(sets)
    names, few = names_of(binding.connection, files), files if len(files) <= MANY else None
    holders = {
        sha256: [
            Holder(one.file_id, owners.get(one.file_id, NOBODY).person_id, one.first_seen, one.modified) for one in held
        ]
        for sha256, held in sets.items()
    }
    verdicts = judge_all(holders, lambda contents: readings_of(binding.connection, contents, files=few))
    for sha256, held in sets.items():
        made = [_copy(one, names, owners, verdicts[sha256][one.file_id]) for one in held]
        yield from sorted(made, key=lambda copy: (not copy.is_origin, copy.first_seen or datetime.max, copy.file_id))


def _copy(one: Held, names: Mapping[str, tuple[str, str]], owners: Mapping[str, Owner], verdict: Verdict) -> Copy:
    name, path = names.get(one.file_id, ("", ""))
    owner = owners.get(one.file_id, NOBODY)
    return Copy(
        one.sha256, one.size, one.file_id, one.version_id, name, path, one.source_system, owner,
        one.first_seen, one.modified, verdict.is_origin, verdict.evidence,
    )  # fmt: skip
