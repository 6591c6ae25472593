"""Exact duplicates over the catalogue's rows: what counts as one, whose it is, and what it costs."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from deliveries import MORNING, Record, hand_in, item, read, sha256

from data_platform.cli import main
from data_platform.errors import RestrictionError
from populate.adopt.share import adopt
from populate.adopt.tables import AdoptSurvey
from populate.duplicates.find import duplicates
from populate.duplicates.live import Copy, exact_duplicates, exact_sets, totals
from populate.duplicates.overview import overview
from populate.duplicates.tables import CanonicalAdopted, DuplicateSet
from populate.ingest import Ingest
from populate.snapshot import take_snapshot
from readers.source import Item
from schemas.binding import Binding
from schemas.catalogue import FileGone
from schemas.identity import account_id, file_id, version_id
from schemas.people import Account, Department, Membership, Person

A, B, COPY = item("/brendan/plate.csv"), item("/brendan/other.csv"), item("/amy/copy of plate.csv", "amy")
PLATE = b"well,value\nA1,3\n"


def catalogue(binding: Binding, *records: Record, run: str = "run") -> None:
    hand_in(binding, records, run)
    Ingest.populate()


def sets(binding: Binding, **options: int) -> list[set[str]]:
    return [set(files) for files in exact_sets(binding, **options).values()]


def ids(*items: Item) -> set[str]:
    return {file_id(one.source_system, one.item_id) for one in items}


def test_who_holds_copies_and_which_is_the_origin(binding: Binding) -> None:
    person = account_id("acme", "amy")
    Department.insert1({"department": "Screening"})
    Person.insert1({"person_id": person, "full_name": "Amy Adams", "person_kind": "person"})
    Account.insert1({"account_id": person, "realm": "acme", "login": "amy", "person_id": person})
    Membership.insert1({"person_id": person, "member_since": "2024-01-01", "department": "Screening"})
    s3 = Item("s3/store/bucket", "k", "plate.csv", "s3://bucket/k", "s3://bucket/k")
    catalogue(
        binding,
        read(A, "amy", PLATE),
        read(A, "carol", PLATE, day=1),
        read(COPY, "amy", PLATE, day=2),
        read(s3, "carol", PLATE, day=3, kind="s3"),
    )
    origin, copy, other = exact_duplicates(binding)
    assert (origin.path, origin.is_origin, origin.evidence) == ("/brendan/plate.csv", True, "read")
    assert (copy.path, copy.is_origin, copy.evidence) == ("/amy/copy of plate.csv", False, "read")
    assert (other.source, other.owner.login, other.evidence) == ("s3/store/bucket", "", "seen")
    assert (origin.sha256, origin.size, copy.name) == (sha256(PLATE), len(PLATE), "copy of plate.csv")
    assert copy.first_seen == MORNING + timedelta(days=2)
    assert (copy.owner.full_name, copy.owner.department, copy.owner.person_id) == ("Amy Adams", "Screening", person)
    assert (origin.owner.realm, origin.owner.login) == ("acme", "brendan")
    assert totals([origin, copy, other]) == (1, 3, 3 * len(PLATE), 0, 2 * len(PLATE))


def test_one_file_that_many_read_is_no_duplicate(binding: Binding) -> None:
    renamed = Item("file/lab", A.item_id, "new name.csv", "/brendan/new name.csv", A.url, owner=A.owner)
    catalogue(binding, read(A, "amy"), read(A, "carol", day=1), read(renamed, "dora", day=2), read(A, revision="r2"))
    assert exact_duplicates(binding) == []


def test_only_present_versions_of_files_that_are_there_count(binding: Binding) -> None:
    gone, back, told = item("/gone.csv"), item("/back.csv"), item("/told.csv")
    missing = {"error": FileNotFoundError("gone")}
    catalogue(
        binding,
        read(A, data=PLATE),
        read(COPY, data=PLATE),
        read(B, data=PLATE),
        read(B, data=b"newer", day=1, revision="r2"),
        read(gone, data=PLATE),
        read(gone, day=1, **missing) | {"outcome": "SourceNotFound"},
        read(back, data=PLATE),
        read(back, day=1, **missing) | {"outcome": "SourceNotFound"},
        read(back, data=PLATE, day=2),
        read(told, data=PLATE),
    )
    assert sets(binding) == [ids(A, COPY, back, told)]
    FileGone.insert1({"file_id": file_id("file/lab", "/told.csv"), "gone_on": (MORNING + timedelta(days=3)).date()})
    assert sets(binding) == [ids(A, COPY, back)]
    catalogue(binding, read(B, data=PLATE, day=4, revision="r3"), run="restored")
    assert sets(binding) == [ids(A, B, COPY, back)]


def test_new_revisions_of_the_same_bytes_are_no_new_contents(binding: Binding) -> None:
    catalogue(
        binding,
        read(A, "brendan", PLATE),
        read(COPY, "amy", PLATE, day=1),
        read(A, "amy", PLATE, day=2),
        read(COPY, "brendan", PLATE, day=2),
        read(A, "brendan", PLATE, day=3, revision="r2"),
        read(COPY, "amy", PLATE, day=3, revision="r2"),
    )
    found = exact_duplicates(binding)
    assert [(copy.path, copy.is_origin, copy.evidence) for copy in found] == [
        (A.path, True, "seen"),
        (COPY.path, False, "seen"),
    ]
    assert [copy.first_seen for copy in found] == [MORNING, MORNING + timedelta(days=1)]
    take_snapshot(binding, (MORNING + timedelta(days=5)).date())
    DuplicateSet.populate()
    kept = DuplicateSet.Copy.to_dicts(order_by="first_seen")
    assert [(copy["first_seen"], bool(copy["is_origin"])) for copy in kept] == [
        (copy.first_seen, copy.is_origin) for copy in found
    ]


def test_a_file_that_is_told_to_be_gone_on_the_day_of_its_last_read_is_gone(binding: Binding) -> None:
    told, back = item("/told.csv"), item("/back.csv")
    later = (MORNING + timedelta(hours=1)).isoformat()
    catalogue(
        binding,
        *(read(one, data=PLATE) for one in (A, COPY, told)),
        read(back, error=FileNotFoundError("gone")) | {"outcome": "SourceNotFound"},
        read(back, data=PLATE) | {"accessed_at": later},
    )
    assert sets(binding) == [ids(A, COPY, told, back)]
    FileGone.insert1({"file_id": file_id("file/lab", "/told.csv"), "gone_on": MORNING.date()})
    assert sets(binding) == [ids(A, COPY, back)]


def test_empty_files_and_file_sets_are_no_duplicates(binding: Binding) -> None:
    whole, other = item("/data"), item("/copy of data")
    manifest = b"x" * 64
    members = [
        read(
            item(f"{folder.path}/a.csv"),
            data=PLATE,
            part_of=(*ids(folder), version_id("r1", sha256(manifest)), "a.csv"),
        )
        for folder in (whole, other)
    ]
    catalogue(binding, read(whole, data=manifest), read(other, data=manifest), *members)
    catalogue(binding, read(item("/0.csv"), data=b""), read(item("/1.csv"), data=b""), run="empty")
    assert sets(binding) == [ids(item("/data/a.csv"), item("/copy of data/a.csv"))]
    assert sets(binding, min_bytes=len(PLATE) + 1) == []


def test_the_largest_waste_comes_first_and_questions_can_be_narrowed(binding: Binding) -> None:
    big = b"y" * 1000
    catalogue(
        binding,
        read(A, data=PLATE),
        read(COPY, data=PLATE),
        read(item("/x"), data=big),
        read(item("/y", "zoe"), data=big),
    )
    found = exact_duplicates(binding)
    assert [copy.size for copy in found] == [1000, 1000, len(PLATE), len(PLATE)]
    assert _contents(exact_duplicates(binding, limit=1)) == {sha256(big)}
    assert _contents(exact_duplicates(binding, file_id=min(ids(A)))) == {sha256(PLATE)}
    assert _contents(exact_duplicates(binding, person_id=account_id("acme", "zoe"))) == {sha256(big)}
    assert _contents(exact_duplicates(binding, min_bytes=500)) == {sha256(big)}
    assert exact_duplicates(binding, contents=[sha256(PLATE)]) == found[2:]
    assert exact_duplicates(binding, contents=[sha256(PLATE)], person_id=account_id("acme", "zoe")) == []
    assert exact_duplicates(binding, contents=[sha256(b"unknown")]) == []


def test_a_snapshot_counts_all_and_keeps_those_that_most_could_be_saved_of(
    binding: Binding, monkeypatch: pytest.MonkeyPatch
) -> None:
    big = b"y" * 1000
    catalogue(
        binding,
        *(read(item(f"/{name}"), data=PLATE) for name in "ab"),
        *(read(item(f"/{name}", name), data=big, day=day) for day, name in enumerate("xyz")),
        read(item("/x", "x"), "y", data=big),
    )
    catalogue(binding, read(item("/later"), data=PLATE, day=9), run="later")
    monkeypatch.setattr("populate.duplicates.covered.MOST_KEPT", 1)
    take_snapshot(binding, (MORNING + timedelta(days=5)).date())
    DuplicateSet.populate()
    row = DuplicateSet.fetch1()
    assert (row["content_count"], row["copy_count"]) == (2, 5)
    assert (row["bytes_logical"], row["bytes_distinct"]) == (3000 + 2 * len(PLATE), 1000 + len(PLATE))
    copies = DuplicateSet.Copy.to_dicts(order_by="first_seen")
    assert [(copy["sha256"], bool(copy["is_origin"]), copy["evidence"]) for copy in copies] == [
        (sha256(big), True, "read"),
        (sha256(big), False, "read"),
        (sha256(big), False, "seen"),
    ]

    # Whoever must not wait is told the same, by the snapshot where all would take long, but of files as they are now.
    found = overview(binding)
    assert (found.day, found.contents, found.copies) == (None, 2, 6)
    assert (found.bytes_logical, found.bytes_saved) == (3000 + 3 * len(PLATE), 2000 + 2 * len(PLATE))
    assert found.largest == exact_duplicates(binding)
    assert _contents(overview(binding, most=1).largest) == {sha256(big)}
    monkeypatch.setattr("populate.duplicates.overview.MOST_AT_ONCE", 12)  # files and accesses
    FileGone.insert1({"file_id": file_id("file/lab", "/z"), "gone_on": (MORNING + timedelta(days=3)).date()})
    standing = overview(binding)
    assert (standing.day, standing.contents, standing.copies) == ((MORNING + timedelta(days=5)).date(), 2, 5)
    assert (standing.bytes_logical, standing.bytes_saved) == (3000 + 2 * len(PLATE), 2000 + len(PLATE))
    assert [copy.path for copy in standing.largest] == ["/x", "/y"]
    (DuplicateSet() & {"snapshot_no": row["snapshot_no"]}).delete(prompt=False)
    assert (overview(binding).day, overview(binding).copies) == (None, 5)


def test_files_that_nobody_read_are_known_since_they_were_taken_in(binding: Binding, tmp_path: Path) -> None:
    share = tmp_path / "share"
    table = b"well,signal\n" + b"".join(b"A%d,%d\n" % (n, n * 7) for n in range(50))
    contents = {"a.csv": table, "old/a copy.csv": table, "a.csv.gz": gzip.compress(table), "b.csv": b"earlier\n" * 20}
    for name, content in contents.items():
        (share / name).parent.mkdir(parents=True, exist_ok=True)
        (share / name).write_bytes(content)
    adopt(share)
    CanonicalAdopted.populate()
    found = duplicates(binding)
    assert {copy.path for copy in found.copies} == {str(share / "a.csv"), str(share / "old" / "a copy.csv")}
    assert {copy.first_seen for copy in found.copies} == set(AdoptSurvey.to_arrays("surveyed_at").tolist())
    assert found.totals.bytes_stored == len(table)
    (pair,) = found.pairs
    assert (pair.kind, pair.similarity) == ("near", 1.0)
    assert str(share / "a.csv.gz") in (pair.file.path, pair.other.path)
    # One that was changed since is known in its present state once it was looked at again.
    (share / "b.csv").write_bytes(table)
    adopt(share)
    assert len(exact_duplicates(binding)) == 3


def command(*arguments: str) -> str:
    done = CliRunner().invoke(main, ["duplicates", *arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_command_tells_it_to_people_and_to_programs(binding: Binding) -> None:
    big, newer = b"plate\n" * 300, b"plate\n" * 299
    old = item("/carol/plate.csv", "carol")
    catalogue(
        binding,
        read(A, data=big),
        read(COPY, "amy", big, day=1),
        read(old, "carol", newer, day=2),
        read(B, data=newer, day=1),
        read(B, data=PLATE, day=3, revision="r2"),
    )
    text = command()
    assert text.startswith(
        "1 contents are held 2 times: 3.6 kB with their owners, 0 bytes in the content store, 1.8 kB"
    )
    assert "original  /brendan/plate.csv" in text
    assert "stale" in text
    told = json.loads(command("--json", "--kind", "stale", "--kind", "exact"))
    assert [copy["is_origin"] for copy in told["copies"]] == [True, False]
    assert [(pair["kind"], pair["file"]["path"], pair["other"]["path"]) for pair in told["pairs"]] == [
        ("stale", "/carol/plate.csv", "/brendan/other.csv")
    ]
    assert told["totals"]["bytes_saved"] == len(big)
    assert json.loads(command("--json", "--kind", "near"))["copies"] == []
    assert json.loads(command("--json", "--min-bytes", "5000")) == {
        "totals": dict.fromkeys(told["totals"], 0),
        "copies": [],
        "pairs": [],
    }
    with pytest.raises(RestrictionError):
        duplicates(binding, ["exakt"])


def _contents(copies: list[Copy]) -> set[str]:
    return {copy.sha256 for copy in copies}
