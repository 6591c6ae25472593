"""Every kind of duplicates on files of which it is known how they came about, through the whole catalogue."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from deliveries import hand_in

from benchmarks._corpus import Corpus, corpus
from benchmarks._labelled import pairs_by_kind, records, scores
from data_platform.settings import load
from populate.backup.tables import Backup
from populate.duplicates.find import ALL_KINDS, duplicates
from populate.duplicates.tables import Canonical, CanonicalContent, DuplicateSet
from populate.ingest import Ingest
from populate.snapshot import take_snapshot
from schemas.binding import Binding

PRECISE = 0.98


@pytest.fixture(scope="module")
def made() -> Corpus:
    return corpus(tables=2)


def test_what_is_called_a_duplicate_is_one(binding: Binding, made: Corpus, tmp_path: Path) -> None:
    folder = tmp_path / "share"
    hand_in(binding, records(made, folder, load()))
    for table in (Ingest, Backup, Canonical):
        table.populate()
    assert not CanonicalContent & {"form_kind": "none"}
    found = duplicates(binding)
    groups: dict[str, set[str]] = {}
    for copy in found.copies:
        groups.setdefault(copy.sha256, set()).add(os.path.relpath(copy.path, folder))
    assert groups == by_hash(folder)
    result = scores(made, groups.values(), pairs_by_kind(found.pairs, folder))
    assert set(result) == set(ALL_KINDS)
    for kind, score in result.items():
        assert score.precision >= PRECISE, (kind, score.wrong)
        assert score.recall >= (0.75 if kind == "near" else 1), kind
    _check_the_snapshot(binding, made)


def by_hash(folder: Path) -> dict[str, set[str]]:
    """Return the files of a folder that have the same bytes, by their SHA-256."""
    found: dict[str, set[str]] = {}
    for path in folder.rglob("*"):
        if path.is_file():
            found.setdefault(hashlib.sha256(path.read_bytes()).hexdigest(), set()).add(str(path.relative_to(folder)))
    return {sha256: paths for sha256, paths in found.items() if len(paths) > 1}


def _check_the_snapshot(binding: Binding, made: Corpus) -> None:
    take_snapshot(binding)
    DuplicateSet.populate()
    row: dict[str, Any] = DuplicateSet.fetch1()
    live = duplicates(binding)
    assert row["copy_count"] == len(live.copies) == len(DuplicateSet.Copy())
    assert row["content_count"] == sum(DuplicateSet.Copy.to_arrays("is_origin"))
    assert (row["stale_count"], row["diverged_count"]) == (len(made.truth["stale"]), len(made.truth["diverged"]))
    kept = [(one["relation_kind"], one["file_id"], one["other_id"]) for one in DuplicateSet.Relation.to_dicts()]
    kept += [(one["alike_kind"], one["file_id"], one["other_id"]) for one in DuplicateSet.Alike.to_dicts()]
    assert len(kept) == len(set(kept))
    assert {(pair.kind, pair.file.file_id, pair.other.file_id) for pair in live.pairs} == set(kept)
    number = Counter(kind for kind, *_ in kept)
    counted = DuplicateSet.AlikeCount.fetch1()
    assert (counted["near_count"], counted["same_name_count"]) == (number["near"], number["same name"])
