"""All kinds of duplicates as they are now."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from data_platform.errors import RestrictionError
from populate.duplicates.kinds import (
    DIVERGED,
    KINDS,
    NEAR,
    SAME_NAME,
    STALE,
    Known,
    Relation,
    by_history,
)
from populate.duplicates.live import NOBODY, Copy, Totals, exact_duplicates, exact_totals
from populate.duplicates.rows import (
    Owner,
    forms_in_parts,
    history_of,
    names_of,
    owners_of,
    present_in_parts,
    present_of,
)
from populate.duplicates.spool import Spool
from schemas.binding import Binding

EXACT = "exact"
ALL_KINDS = (EXACT, *KINDS)


@dataclass(frozen=True, slots=True)
class Party:
    """One of two files, in its present version; see `populate.duplicates.live.Copy`."""

    file_id: str
    version_id: str
    sha256: str
    size: int
    name: str
    path: str
    owner: Owner
    first_seen: datetime | None


@dataclass(frozen=True, slots=True)
class Pair:
    """Two files that are not the same and not independent.

    Attributes
    ----------
    kind
        ``stale``: `file` is a copy of an older version of `other`. ``diverged``: both once
        were the same. ``near``: they say the same, or almost, in other bytes. ``same name``:
        nothing but the name is known to be common.
    file, other
        `other` was met first.
    similarity
        Of near duplicates: 1 if they say the same, else the estimated share of rows, or of
        runs of five words, that they have in common. 0 for the other kinds.
    common
        SHA-256 of the content that both had (stale, diverged), or of what both say (near).
    """

    kind: str
    file: Party
    other: Party
    similarity: float
    common: str


@dataclass(frozen=True, slots=True)
class Found:
    """Exact duplicates, what all of them amount to, and pairs of the other kinds."""

    totals: Totals
    copies: list[Copy]
    pairs: list[Pair]


def duplicates(
    binding: Binding, kinds: Collection[str] = ALL_KINDS, *, min_bytes: int = 1, limit: int | None = None
) -> Found:
    """Return the duplicates of these kinds, over all sources, as they are now.

    Two files are of one kind only: exact before stale before diverged before near before
    same name. Near duplicates are known of contents that are backed up and whose form the
    worker has found.

    Parameters
    ----------
    binding
        With the tables of `populate.pipeline`.
    kinds
        Some of `ALL_KINDS`.
    min_bytes
        Only contents of at least so many bytes.
    limit
        At most so many exact contents, and so many pairs of each other kind.

    Raises
    ------
    RestrictionError
        If a kind is unknown.
    """
    if unknown := set(kinds) - set(ALL_KINDS):
        raise RestrictionError(f"Unknown kinds {', '.join(sorted(unknown))}. Name some of {', '.join(ALL_KINDS)}.")
    binding.ensure()
    copies = exact_duplicates(binding, min_bytes=min_bytes, limit=limit) if EXACT in kinds else []
    wanted = _relations(binding, set(kinds), max(1, min_bytes), limit)
    return Found(exact_totals(binding, min_bytes), copies, _pairs(binding, wanted))


def _relations(binding: Binding, kinds: set[str], min_bytes: int, limit: int | None) -> list[Relation]:
    """Return the relations of these kinds, in the order of `KINDS`, at most so many of each."""
    if not kinds - {EXACT}:
        return []
    connection = binding.connection
    history = by_history(history_of(connection, min_bytes=min_bytes))
    found = [one for kind in (STALE, DIVERGED) if kind in kinds for one in _of(history, kind)[:limit]]
    if wanted := [kind for kind in (NEAR, SAME_NAME) if kind in kinds]:
        with Spool() as spool:
            spool.relate(history)
            spool.fill(present_in_parts(connection, min_bytes=min_bytes), forms_in_parts(connection))
            found += [one for kind in wanted for one in spool.pairs(kind, limit)]
    return found


def _of(relations: Iterable[Relation], kind: str) -> list[Relation]:
    return sorted(relation for relation in relations if relation.kind == kind)


def _pairs(binding: Binding, relations: list[Relation]) -> list[Pair]:
    if not relations:
        return []
    files = {file for relation in relations for file in (relation.file_id, relation.other_id)}
    present = {version.file_id: version for version in present_of(binding.connection, files)}
    names, owners = names_of(binding.connection, files), owners_of(binding.connection, files)
    parties = {file: _party(version, names, owners) for file, version in present.items()}
    return [
        Pair(
            relation.kind,
            parties[relation.file_id],
            parties[relation.other_id],
            round(relation.similarity, 3),
            relation.common,
        )
        for relation in relations
        if relation.file_id in parties and relation.other_id in parties
    ]


def _party(version: Known, names: Mapping[str, tuple[str, str]], owners: Mapping[str, Owner]) -> Party:
    name, path = names.get(version.file_id, ("", ""))
    owner = owners.get(version.file_id, NOBODY)
    return Party(
        version.file_id, version.version_id, version.sha256, version.size, name, path, owner, version.first_seen
    )


__all__ = ["ALL_KINDS", "DIVERGED", "EXACT", "NEAR", "SAME_NAME", "STALE", "Found", "Pair", "Party", "duplicates"]
