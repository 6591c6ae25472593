"""The worker finds what contents say, and says nothing of bytes that are not what was read."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from deliveries import hand_in, read_file

from data_platform.settings import load
from populate.backup.tables import Backup, Placement
from populate.duplicates.tables import METHOD, Canonical, CanonicalContent, DuplicateSet
from populate.ingest import Ingest
from populate.snapshot import take_snapshot
from populate.work.worker import run_worker
from schemas.binding import Binding

pytestmark = pytest.mark.parametrize("backend", ["postgresql"])

CONTENTS = {
    "a.json": json.dumps({"a": 1, "b": [2]}),
    "a copy.json": json.dumps({"b": [2], "a": 1}, indent=1),
    "b.txt": "b",
}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    found = {name: tmp_path / name for name in CONTENTS}
    for name, path in found.items():
        path.write_text(CONTENTS[name])
    return found


def forms() -> dict[str, str]:
    """Return the kind of form of each content, by its hash."""
    rows: list[dict[str, Any]] = CanonicalContent.to_dicts()
    return {row["sha256"]: row["form_kind"] for row in rows}


def hash_of(name: str) -> str:
    return hashlib.sha256(CONTENTS[name].encode()).hexdigest()


def test_a_worker_finds_forms_and_keeps_a_snapshots_duplicates(binding: Binding, files: dict[str, Path]) -> None:
    hand_in(binding, [read_file(path) for path in files.values()])
    take_snapshot(binding)
    assert run_worker(load(), once=True).failed_jobs == 0
    assert forms() == {hash_of("a.json"): "json", hash_of("a copy.json"): "json", hash_of("b.txt"): "text"}
    assert len(set((CanonicalContent & {"form_kind": "json"}).to_arrays("form_sha256"))) == 1
    assert Canonical.fetch1("form_count") == 3
    assert DuplicateSet.fetch1("content_count") == 0


def test_of_bytes_that_the_store_lost_or_changed_nothing_is_said(binding: Binding, files: dict[str, Path]) -> None:
    hand_in(binding, [read_file(path) for path in files.values()])
    for table in (Ingest, Backup):
        table.populate()
    places = {row["sha256"]: Path(load().store_url) / row["object_name"] for row in Placement.to_dicts()}
    places[hash_of("b.txt")].unlink()
    damaged = places[hash_of("a.json")]
    damaged.chmod(0o600)
    damaged.write_bytes(damaged.read_bytes().replace(b"1", b"7"))
    Canonical.populate()
    assert forms() == {hash_of("a copy.json"): "json"}


def test_another_method_finds_forms_anew(binding: Binding, files: dict[str, Path]) -> None:
    hand_in(binding, [read_file(path) for path in files.values()])
    for table in (Ingest, Backup, Canonical):
        table.populate()
    key = Canonical().keys()[0]
    fetched = Canonical().make_fetch(key)
    for method, expected in ((METHOD, 0), (METHOD + 1, len(CONTENTS))):
        count, rows = Canonical().make_compute(key | {"method_no": method}, *fetched)
        assert (count, len(rows)) == (len(CONTENTS), expected)


def test_contents_of_another_store_wait_for_nobody(
    binding: Binding, files: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hand_in(binding, [read_file(files["b.txt"])])
    for table in (Ingest, Backup):
        table.populate()
    worker = Canonical()
    worker.settings = load(store={"url": str(tmp_path / "other store")})
    worker.populate()
    assert len(Canonical()) == 1
    assert forms() == {}
    assert "is kept in folder:" in caplog.text
