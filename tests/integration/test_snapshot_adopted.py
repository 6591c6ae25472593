"""Snapshots cover files that nobody read: by what was taken in and what surveys found, and never otherwise later."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from deliveries import contents, hand_in, read_file

from populate.adopt.share import adopt
from populate.adopt.tables import AdoptBack, AdoptGone, AdoptSurvey, AdoptSurveyEnd, AdoptTaken
from populate.adoption.tables import Adoption
from populate.duplicates.tables import DuplicateSet
from populate.ingest import Ingest
from populate.silo import SiloMetric
from populate.snapshot import SnapshotAdopt, SnapshotSurvey, missing_days, take_snapshot
from schemas.binding import Binding
from schemas.catalogue import FileName, Version
from schemas.restrict import where

FIGURES = (DuplicateSet, DuplicateSet.Copy, DuplicateSet.Relation, Adoption, SiloMetric)
HELD = ("file_count", "bytes_logical", "bytes_distinct", "content_count", "content_backed_up")
PLATE, OTHER, NEWER = b"well,value\n" * 20, b"other\n" * 20, b"newer\n" * 30


@pytest.fixture
def share(tmp_path: Path) -> Path:
    """Three files, two of which say the same."""
    folder = tmp_path / "share"
    (folder / "copies").mkdir(parents=True)
    for name, data in {"a.csv": PLATE, "copies/b.csv": PLATE, "c.csv": OTHER}.items():
        (folder / name).write_bytes(data)
    return folder


def figures(number: int) -> dict[str, Any]:
    """Compute all figures of a snapshot, anew if they were there."""
    key = {"snapshot_no": number}
    for table in (DuplicateSet, Adoption, SiloMetric):
        (table() & key).delete(prompt=False)
        table.populate(key)
    return {name: [row for row in rows if row[0] == number] for name, rows in contents(*FIGURES).items()}


def held(number: int) -> tuple[int, ...]:
    """Return what `Adoption` says of `HELD`, and how many files hold copies."""
    row = (Adoption() & {"snapshot_no": number}).fetch1()
    copies = (DuplicateSet() & {"snapshot_no": number}).fetch1("copy_count")
    return (*(row[name] for name in HELD), copies)


def test_what_was_taken_in_unread_counts_from_the_next_snapshot_on(binding: Binding, share: Path) -> None:
    before = figures(take_snapshot(binding))
    adopt(share)
    assert {*Version.to_arrays("version_id")} == {*AdoptTaken.to_arrays("version_id")}
    second = figures(take_snapshot(binding))
    assert held(2) == (3, 2 * len(PLATE) + len(OTHER), len(PLATE) + len(OTHER), 2, 2, 2)
    assert (Adoption() & {"snapshot_no": 2}).fetch1("read_count", "automatic_entries") == (0, 0)
    assert {str(row["first_seen"]) for row in DuplicateSet.Copy.to_dicts()} == {str(AdoptSurvey.fetch1("surveyed_at"))}

    (share / "copies").rename(share.parent / "away")  # (the file itself would get another revision by that)
    adopt(share)
    third = figures(take_snapshot(binding))
    assert len(AdoptGone()) == 1
    assert held(3) == (2, len(PLATE) + len(OTHER), len(PLATE) + len(OTHER), 2, 2, 0)

    (share.parent / "away").rename(share / "copies")
    adopt(share)
    figures(take_snapshot(binding))
    assert len(AdoptBack()) == 1
    assert held(4) == held(2)
    assert [figures(number) for number in (1, 2, 3)] == [before, second, third]
    assert (len(SnapshotAdopt()), len(SnapshotSurvey())) == (1, 3)


def test_reads_and_surveys_of_a_file_are_one_history(binding: Binding, share: Path) -> None:
    adopt(share)
    (share / "a.csv").write_bytes(NEWER)
    today = AdoptSurvey.fetch1("surveyed_at").date()
    hand_in(binding, [read_file(share / "a.csv") | {"accessed_at": f"{today}T23:59:59.999999"}])
    Ingest.populate()
    figures(take_snapshot(binding, today))
    size = len(PLATE) + len(OTHER) + len(NEWER)
    assert held(1) == (3, size, size, 3, 2, 0)
    row = DuplicateSet.Relation.fetch1()
    changed, copy = (where(FileName, file_name=name).fetch1("file_id") for name in ("a.csv", "b.csv"))
    # Which of two files was there first no survey tells that met both.
    assert {row["file_id"], row["other_id"]} == {changed, copy}


def test_a_survey_that_broke_off_counts_once_another_has_ended(binding: Binding, share: Path) -> None:
    adopt(share)
    (share / "copies" / "b.csv").unlink()
    adopt(share)
    (AdoptSurveyEnd() & "survey = 2").delete_quick()
    figures(take_snapshot(binding))
    assert held(1)[0] == 3
    adopt(share)
    figures(take_snapshot(binding))
    assert held(2)[0] == 2
    assert len(SnapshotSurvey()) == 3


def test_there_are_daily_snapshots_of_a_share_that_nobody_reads(binding: Binding, share: Path) -> None:
    adopt(share)
    day = AdoptSurvey.fetch1("surveyed_at").date()
    assert missing_days(binding, day) == []
    assert missing_days(binding, day.fromordinal(day.toordinal() + 2)) == [
        day,
        day.fromordinal(day.toordinal() + 1),
    ]
