"""Duplicates among what a snapshot covers: the rows of `DuplicateSet`.

Everything is computed from the accesses of the snapshot's batches, from what was taken in and
understood by then, and from rows that their key determines, so it comes out the same whenever it
is computed. What a file is called now and whose it is is looked up when it is shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

from populate.duplicates.kinds import NEAR, SAME_NAME, STALE, Known, Relation, by_history
from populate.duplicates.origin import Holder, judge_all
from populate.duplicates.rows import (
    Held,
    copies_of,
    forms_in_parts,
    history_of,
    method_then,
    owners_then,
    present_in_parts,
    readings_of,
)
from populate.duplicates.spool import Spool
from populate.duplicates.statements import SNAPSHOT
from populate.snapshot import Snapshot
from schemas.connection import Connection

Row = dict[str, Any]
MOST_KEPT = 10_000
"""Contents, and relations, that have rows of their own: there is a snapshot a day, and the totals count all."""


class SetRows(NamedTuple):
    """The row of `DuplicateSet` and those of its parts, without the snapshot."""

    totals: Row
    copies: list[Row]
    relations: list[Row]
    alike_count: Row
    alike: list[Row]


def set_rows(connection: Connection, snapshot_no: int) -> SetRows:
    """Return the duplicates that snapshot `snapshot_no` knows of."""
    last: date = (Snapshot() & {"snapshot_no": snapshot_no}).fetch1("snapshot_day")
    scope: Row = {"snapshot_no": snapshot_no, "until": last + timedelta(days=1), "min_bytes": 1}
    sets = copies_of(connection, SNAPSHOT, **scope)
    known = history_of(connection, SNAPSHOT, **scope)
    relations = by_history(known)
    most = sorted(sets, key=lambda sha256: (-sets[sha256][0].size * (len(sets[sha256]) - 1), sha256))[:MOST_KEPT]
    copies = _copies(connection, {sha256: sets[sha256] for sha256 in most}, scope)
    kept = _relations(known, fair_part(relations, MOST_KEPT))
    return SetRows(_totals(sets, relations), copies, kept, *_alike(connection, relations, scope))


def fair_part(relations: Sequence[Relation], most: int) -> list[Relation]:
    """Return at most so many relations, in order: as many of each kind as there is room for, the first of each."""
    places = Counter[str]()
    ranked: list[tuple[int, Relation]] = []
    for relation in sorted(relations):
        ranked.append((places[relation.kind], relation))
        places[relation.kind] += 1
    return sorted(relation for _, relation in sorted(ranked)[:most])


def _copies(connection: Connection, sets: Mapping[str, Sequence[Held]], scope: Row) -> list[Row]:
    owners = owners_then(connection, {one.file_id for held in sets.values() for one in held}, **scope)
    holders = {
        sha256: [Holder(one.file_id, owners.get(one.file_id, ""), one.first_seen, one.modified) for one in held]
        for sha256, held in sets.items()
    }
    verdicts = judge_all(holders, lambda contents: readings_of(connection, contents, SNAPSHOT, **scope))
    return [
        {
            "file_id": one.file_id,
            "version_id": one.version_id,
            "sha256": sha256,
            "first_seen": one.first_seen,
            **verdicts[sha256][one.file_id]._asdict(),
        }
        for sha256, held in sets.items()
        for one in held
    ]


def _alike(connection: Connection, related: Sequence[Relation], scope: Row) -> tuple[Row, list[Row]]:
    """Return how many pairs are near or have their names in common, and the rows of as many as there is room for."""
    with Spool() as spool:
        spool.relate(related)
        spool.fill(present_in_parts(connection, SNAPSHOT, **scope), forms_in_parts(connection, SNAPSHOT, **scope))
        counts = {kind: spool.count(kind) for kind in (NEAR, SAME_NAME)}
        room = {NEAR: max(MOST_KEPT // 2, MOST_KEPT - counts[SAME_NAME])}
        room[SAME_NAME] = MOST_KEPT - min(room[NEAR], counts[NEAR])
        pairs = [pair for kind in (NEAR, SAME_NAME) for pair in spool.pairs(kind, room[kind])]
        versions = spool.versions(pairs)
    known = None if method_then(connection, **scope) is None else counts[NEAR]
    rows = [
        {
            "file_id": pair.file_id,
            "version_id": versions[pair.file_id],
            "other_id": pair.other_id,
            "other_version": versions[pair.other_id],
            "alike_kind": pair.kind,
            "similarity": pair.similarity,
            "alike_form": pair.common,
        }
        for pair in pairs
    ]
    return {"near_count": known, "same_name_count": counts[SAME_NAME]}, rows


def _totals(sets: Mapping[str, Sequence[Held]], relations: Sequence[Relation]) -> Row:
    stale = {relation.file_id for relation in relations if relation.kind == STALE}
    return {
        "content_count": len(sets),
        "copy_count": sum(map(len, sets.values())),
        "bytes_logical": sum(one.size for held in sets.values() for one in held),
        "bytes_distinct": sum(held[0].size for held in sets.values()),
        "stale_count": len(stale),
        "diverged_count": sum(relation.kind != STALE for relation in relations),
    }


def _relations(known: Sequence[Known], relations: Sequence[Relation]) -> list[Row]:
    present = {version.file_id: version.version_id for version in known if version.present}
    return [
        {
            "file_id": relation.file_id,
            "version_id": present[relation.file_id],
            "other_id": relation.other_id,
            "other_version": present[relation.other_id],
            "relation_kind": relation.kind,
            "common_sha256": relation.common,
        }
        for relation in relations
    ]
