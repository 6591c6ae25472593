"""Reading backups back: what is whole is proven, what is lost is told and fetched again, and nothing is dropped."""

from __future__ import annotations

import math
import random
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest
from deliveries import hand_in, read_file, sha256, stored, work_off

from data_platform import face
from data_platform.errors import StoreUnavailable
from data_platform.settings import load, settings
from populate.backup import proving
from populate.backup.proof import oldest_unproven_days
from populate.backup.proving import plan_due, prove
from populate.backup.tables import Backup, Placement, ready_store
from populate.backup.verification import Damage, DamageMended, Verification, VerificationBatch, Verify
from populate.ingest import Ingest
from populate.store import content_of, open_store
from populate.store.folder import FolderStore
from populate.watch.status import needs, status, try_again
from populate.work.scheduler import Keeper
from schemas.binding import Binding

DAY = date(2026, 5, 4)
on_postgresql = pytest.mark.parametrize("backend", ["postgresql"])  # where no statement differs


@pytest.fixture
def files(binding: Binding, tmp_path: Path) -> list[Path]:
    """Files of 1, 2, 3 … bytes that are backed up, each in an object of its own."""
    found = [tmp_path / f"{number}.bin" for number in range(1, 13)]
    for number, path in enumerate(found, start=1):
        path.write_bytes(bytes([number]) * number)
    hand_in(binding, [read_file(path) for path in found])
    work_off(Ingest, Backup)
    return found


def object_of(path: Path) -> Path:
    """Return where the content of a file is kept, made writable."""
    store = open_store(load())
    assert isinstance(store, FolderStore)
    rows = {row["sha256"]: row["object_name"] for row in Placement.to_dicts()}
    found = store.root / str(rows[sha256(path.read_bytes())])
    found.chmod(0o600)
    return found


def spoil(path: Path) -> None:
    kept = object_of(path)
    kept.write_bytes(bytes(len(kept.read_bytes())))


def verify_all(binding: Binding, first: date = DAY, days: int = 4) -> None:
    """Let a whole rotation of `days` days pass."""
    for number in range(days):
        plan_due(binding, days, first + timedelta(days=number))
        work_off(Verify)


def test_every_content_is_read_back_once_in_a_rotation(
    binding: Binding, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proving, "CONTENTS", 2)
    before = status(binding, settings())
    assert (before["proven_bytes"], before["contents_unproven"]) == (0, len(files))
    verify_all(binding)
    assert sorted(Verification.to_arrays("sha256")) == sorted(sha256(path.read_bytes()) for path in files)
    assert sum(Verify.to_arrays("verify_contents")) == len(files)
    assert sum(Verify.to_arrays("verify_bytes")) == sum(path.stat().st_size for path in files)
    assert max(Verify.to_arrays("verify_contents")) <= 2
    after = status(binding, settings())
    assert (after["proven_bytes"], after["contents_unproven"]) == (after["stored_bytes"], 0)
    assert oldest_unproven_days(binding.connection) == after["oldest_unproven_days"] == 0
    took, size = sum(Verify.to_arrays("verify_milliseconds")), sum(Verify.to_arrays("verify_bytes"))
    assert before["restore_seconds"] == -1
    assert after["restore_seconds"] == math.ceil(int(after["blob_bytes"]) * int(took) / int(size) / 1000)
    assert plan_due(binding, 4, DAY + timedelta(days=3)) == 0  # that day is done


@on_postgresql
def test_days_that_were_missed_are_made_up_for_and_what_waits_is_not_planned_twice(
    binding: Binding, files: list[Path]
) -> None:
    plan_due(binding, 4, DAY)
    planned = len(VerificationBatch())
    assert plan_due(binding, 4, DAY + timedelta(days=1)) == 0  # the day before waits
    assert len(VerificationBatch()) == planned
    work_off(Verify)
    plan_due(binding, 4, DAY + timedelta(days=30))
    work_off(Verify)
    assert len({*Verification.to_arrays("sha256")}) == len(files)


@on_postgresql
def test_what_was_never_read_back_waits_since_it_was_stored(binding: Binding, files: list[Path]) -> None:
    today = min(Backup.to_arrays("backed_up_at").tolist()).date()
    assert oldest_unproven_days(binding.connection, today + timedelta(days=7)) == 7


def test_a_damaged_or_missing_object_is_fetched_again(binding: Binding, files: list[Path]) -> None:
    spoil(files[3])
    object_of(files[4]).unlink()
    object_of(files[5]).write_bytes(files[5].read_bytes() + b"bytes after the end do no harm")
    verify_all(binding)
    assert sorted(Damage.to_arrays("damage")) == ["damaged", "missing"]
    assert {*DamageMended.to_arrays("mended_how")} == {"fetched again"}
    assert len(DamageMended()) == 2
    assert len(stored()) == len(files)  # each compared with its hash
    numbers = status(binding, settings())
    assert (numbers["contents_damaged"], numbers["needs_person"], numbers["contents_unproven"]) == (0, 0, 2)


def test_what_no_source_has_any_more_is_told_until_somebody_puts_it_back(binding: Binding, files: list[Path]) -> None:
    lost, kept = files[3], object_of(files[3])
    content, name = lost.read_bytes(), sha256(lost.read_bytes())
    kept.unlink()
    lost.unlink()
    verify_all(binding)
    assert [row["sha256"] for row in Damage.to_dicts()] == [name]
    assert len(Placement()) == len(files)
    (need,) = needs(binding)
    assert (need.what, need.key["sha256"]) == ("Damage", name)
    assert need.reason.startswith("missing: ")
    assert status(binding, settings())["needs_person"] == 1

    assert try_again(binding)["damaged"] == 1
    work_off(Verify)
    assert len(Damage()) == 1  # and no second row
    assert DamageMended().to_dicts() == []

    kept.write_bytes(content)
    assert try_again(binding)["damaged"] == 1
    work_off(Verify)
    assert DamageMended.to_arrays("mended_how").tolist() == ["found whole"]
    assert needs(binding) == []
    assert try_again(binding)["damaged"] == 0


def test_a_sample_and_what_was_not_read_for_long(
    binding: Binding, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(load())
    monkeypatch.setattr(random, "random", lambda: 0.9)
    looked: list[int] = []
    assert list(prove(binding, store, sample=0.5, progress=looked.append)) == []
    half = len(Verification())
    expected = [path for path in files if not 0.4 <= int(sha256(path.read_bytes())[:8], 16) / 16**8 < 0.9]
    assert half == len(looked) == len(expected)
    assert 0 < half < len(files)
    looked.clear()
    assert list(prove(binding, store, older_than=timedelta(days=30), progress=looked.append)) == []
    assert len(looked) == len(files) - half
    assert len(Verification()) == len(files)


@on_postgresql
def test_a_command_proves_and_repairs_nothing(binding: Binding, files: list[Path]) -> None:
    spoil(files[7])
    name = content_of(str(object_of(files[7]).relative_to(load().home / "store")))
    for extra in ([], ["--sample", "100%", "--older-than", "30d"]):
        command = [sys.executable, "-m", "data_platform", "check", "--verify-data", *extra]
        done = subprocess.run(command, capture_output=True, text=True, timeout=280)
        assert (done.returncode, done.stdout.count("damaged: ")) == (1, 1), done.stderr
        assert f"damaged: {name}" in done.stdout
    assert len(Verification()) == len(files) - 1
    assert Damage.to_arrays("sha256").tolist() == [name]
    assert len(DamageMended()) == 0
    wrong = [sys.executable, "-m", "data_platform", "check", "--sample", "1%"]
    assert subprocess.run(wrong, capture_output=True, timeout=280).returncode == 2


@on_postgresql
def test_a_keeper_plans_and_its_worker_verifies(binding: Binding, files: list[Path]) -> None:
    keeper = Keeper(binding, snapshots=True)
    keeper.tend()
    assert keeper.failure is None
    planned = len(VerificationBatch())
    Keeper(binding, snapshots=False).tend()
    assert len(VerificationBatch()) == planned
    work_off(Verify)
    assert len(Verify()) == planned


@on_postgresql
def test_what_a_plain_check_misses_is_fetched_again_as_it_says(binding: Binding, files: list[Path]) -> None:
    object_of(files[4]).unlink()
    (problem,) = face.check()
    assert "data-platform retry" in problem.detail
    assert len(Verification()) == 0  # nothing was read back
    assert try_again(binding)["damaged"] == 1
    work_off(Verify)
    assert len(stored()) == len(files)
    assert list(face.check()) == []


@on_postgresql
def test_an_empty_folder_in_the_place_of_the_store_takes_nothing(binding: Binding, files: list[Path]) -> None:
    objects = load().home / "store" / "objects"
    objects.rename(objects.with_name("on the disk"))
    with pytest.raises(StoreUnavailable, match="Mount its disk"):
        ready_store(load())
    objects.rmdir()
    objects.with_name("on the disk").rename(objects)
    assert ready_store(load()).name
