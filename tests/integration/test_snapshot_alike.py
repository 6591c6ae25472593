"""What snapshots keep of near duplicates and namesakes: by the forms they cover, in parts, never otherwise later."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
from deliveries import contents, hand_in, read_file

from populate.adopt.share import adopt
from populate.backup.tables import Backup
from populate.duplicates.tables import Canonical, CanonicalAdopted, DuplicateSet
from populate.ingest import Ingest
from populate.snapshot import take_snapshot
from schemas.binding import Binding
from schemas.catalogue import FileName

TABLE = b"well,signal\n" + b"".join(b"A%d,%d\n" % (n, n * 7) for n in range(50))
FILES = {
    "signals.csv": TABLE,
    "packed/signals.csv.gz": gzip.compress(TABLE),
    "plate 7.csv": b"one\n" * 30,
    "old/Plate 7.csv": b"another\n" * 30,
}


@pytest.fixture
def share(tmp_path: Path) -> Path:
    for name, data in FILES.items():
        (tmp_path / "share" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "share" / name).write_bytes(data)
    return tmp_path / "share"


def alike(number: int) -> tuple[Any, ...]:
    """Compute the row of a snapshot anew; return its counts, and kind and names of each pair."""
    key = {"snapshot_no": number}
    (DuplicateSet() & key).delete(prompt=False)
    DuplicateSet.populate(key)
    names = dict(zip(*FileName.to_arrays("file_id", "file_name"), strict=True))
    rows = (DuplicateSet.Alike() & key).to_dicts(order_by="alike_kind, file_id")
    pairs = [(row["alike_kind"], {names[row["file_id"]], names[row["other_id"]]}, row["similarity"]) for row in rows]
    counted = (DuplicateSet.AlikeCount() & key).fetch1("near_count", "same_name_count")
    return (*counted, pairs)


NEAR = ("near", {"signals.csv", "signals.csv.gz"}, 1.0)
NAMESAKES = ("same name", {"plate 7.csv", "Plate 7.csv"}, 0.0)


def test_forms_count_from_the_snapshot_on_that_covers_them(
    binding: Binding, share: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adopt(share)
    take_snapshot(binding)
    assert alike(1) == (None, 1, [NAMESAKES])
    CanonicalAdopted.populate()
    assert alike(1) == (None, 1, [NAMESAKES])
    take_snapshot(binding)
    assert alike(2) == (1, 1, [NEAR, NAMESAKES])
    whole = contents(DuplicateSet.Alike)
    monkeypatch.setattr("populate.duplicates.rows.FILES", 1)
    monkeypatch.setattr("populate.duplicates.rows.MANY", 1)
    assert alike(2) == (1, 1, [NEAR, NAMESAKES])
    assert contents(DuplicateSet.Alike) == whole
    monkeypatch.setattr("populate.duplicates.covered.MOST_KEPT", 1)
    assert alike(2) == (1, 1, [NAMESAKES])  # the counts are of all
    assert alike(1) == (None, 1, [NAMESAKES])


def test_so_do_those_of_what_was_read(binding: Binding, share: Path) -> None:
    hand_in(binding, [read_file(share / name) for name in FILES])
    for table in (Ingest, Backup):
        table.populate()
    take_snapshot(binding)
    assert alike(1) == (None, 1, [NAMESAKES])
    Canonical.populate()
    take_snapshot(binding)
    assert [alike(number)[0] for number in (1, 2)] == [None, 1]
