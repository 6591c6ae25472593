"""Backup with real files, a real store and a real database: only the bytes that were read, or a clear word why not."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from deliveries import Record, hand_in, read, read_file, sha256, stored
from ledger_source import SYSTEM, LedgerSource
from small_disk import small_disk

from data_platform.settings import load, settings
from populate.backup.contents import GIVE_UP_AFTER
from populate.backup.tables import Backup, BackupFailure, ContentStore, StoreProbe
from populate.ingest import BackupBatch, BackupMember, Ingest
from populate.store import open_store
from populate.work.queue import Queue
from populate.work.retries import retry_due, retry_failed, unresolved
from readers import registry
from readers.cache import Cache
from readers.fileset import manifest
from readers.source import Item
from schemas.binding import Binding
from schemas.identity import file_id, version_id


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "lab"
    made.mkdir()
    return made


@pytest.fixture
def ledger(folder: Path, monkeypatch: pytest.MonkeyPatch) -> type[LedgerSource]:
    monkeypatch.setitem(registry.BUILT_IN, "ledger", "ledger_source:LedgerSource")
    LedgerSource.asked.clear()
    return LedgerSource


def back_up() -> Queue:
    """Ingest and back up everything in this process."""
    for table in (Ingest, Backup):
        queue = Queue(table())
        queue.refresh()
        while queue.run(50):
            pass
    return queue


def backed_up(binding: Binding, *records: Record) -> list[dict[str, object]]:
    """Deliver and work off `records`; return the failures."""
    hand_in(binding, records)
    assert back_up().failed() == 0
    return BackupFailure.to_dicts()


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def ledger_read(path: Path, data: bytes, revision: str) -> Record:
    return read(Item(SYSTEM, str(path), path.name, str(path), f"ledger:{path}"), "amy", data, revision, kind="ledger")


def test_the_bytes_that_were_read_are_in_the_store(binding: Binding, folder: Path) -> None:
    contents = {"a.csv": b"1,2\n", "leer": b"", "µ 细胞.bin": os.urandom(3_000_000)}
    failures = backed_up(binding, *(read_file(write(folder / name, data)) for name, data in contents.items()))
    assert failures == []
    assert sorted(stored().values()) == sorted(contents.values())
    assert ContentStore.to_arrays("store_name").tolist() == [open_store(settings()).name]
    assert len(Backup()) == len(BackupBatch()) == 1


def test_content_is_stored_once_whoever_holds_it(binding: Binding, folder: Path) -> None:
    copies = [read_file(write(folder / name, b"same")) for name in ("a", "b", "c")]
    assert backed_up(binding, *copies[:2]) == []
    assert backed_up(binding, copies[2]) == []
    assert stored() == {sha256(b"same"): b"same"}
    assert len(BackupMember()) == 3


def test_a_file_that_is_gone_comes_from_the_cache(binding: Binding, folder: Path) -> None:
    record = read_file(write(folder / "a", b"kept here"))
    limits = load().cache
    with Cache(load().cache_folder, limits.max_bytes, limits.keep_seconds).receive() as incoming:
        incoming.write(b"kept here")
        incoming.commit()
    (folder / "a").unlink()
    assert backed_up(binding, record) == []
    assert list(stored().values()) == [b"kept here"]


def test_a_touched_file_is_the_same_content(binding: Binding, folder: Path) -> None:
    record = read_file(write(folder / "a", b"same bytes"))
    os.utime(folder / "a", (1, 1))
    assert backed_up(binding, record) == []
    assert list(stored().values()) == [b"same bytes"]


@pytest.mark.parametrize("change", [b"longer than before", b"BEFORE"])
def test_a_file_that_has_changed_is_never_passed_off(binding: Binding, folder: Path, change: bytes) -> None:
    record = read_file(write(folder / "a", b"before"))
    write(folder / "a", change)
    others = [read_file(write(folder / "b", b"another"))]
    failures = backed_up(binding, record, *others)
    assert [(row["failure"], row["failure_permanent"]) for row in failures] == [("VersionUnavailable", True)]
    assert "moved on" in str(failures[0]["failure_message"])
    assert list(stored().values()) == [b"another"]


def test_a_swapped_symlink_gets_nothing_else_in(binding: Binding, folder: Path, tmp_path: Path) -> None:
    record = read_file(write(folder / "a", b"public"))
    secret = write(tmp_path / "secret", b"secret")
    (folder / "a").unlink()
    (folder / "a").symlink_to(secret)
    failures = backed_up(binding, record)
    assert [(row["failure"], row["failure_permanent"]) for row in failures] == [("UnsafeLink", True)]
    assert stored() == {}


def test_a_failed_member_does_not_fail_its_batch(binding: Binding, folder: Path) -> None:
    records = [read_file(write(folder / str(number), str(number).encode())) for number in range(20)]
    (folder / "7").unlink()
    failures = backed_up(binding, *records)
    assert [(row["failure"], row["failure_permanent"]) for row in failures] == [("SourceNotFound", True)]
    assert len(stored()) == 19


def test_the_history_of_the_source_is_asked(binding: Binding, folder: Path, ledger: type[LedgerSource]) -> None:
    item = folder / "table"
    item.mkdir()
    write(item / "v1", b"first")
    write(item / "v2", b"other")
    assert backed_up(binding, ledger_read(item, b"first", "v1")) == []
    assert list(stored().values()) == [b"first"]
    failures = backed_up(binding, ledger_read(item, b"zeroth", "v0"))
    assert [row["failure"] for row in failures] == ["VersionUnavailable"]


def test_other_bytes_under_the_same_revision_are_not_the_version(
    binding: Binding, folder: Path, ledger: type[LedgerSource]
) -> None:
    item = folder / "table"
    item.mkdir()
    write(item / "v1", b"other")
    failures = backed_up(binding, ledger_read(item, b"first", "v1"))
    assert [(row["failure"], row["failure_permanent"]) for row in failures] == [("SourceChanged", False)]
    assert stored() == {}


def test_a_source_that_does_not_answer_is_asked_a_few_times_only(
    binding: Binding, folder: Path, ledger: type[LedgerSource]
) -> None:
    records = [ledger_read(folder / f"{n:03}", str(n).encode(), "v1") for n in range(60)]
    failures = backed_up(binding, *records, read_file(write(folder / "x", b"x")))
    assert {row["failure"] for row in failures} == {"SourceUnavailable"}
    assert not any(row["failure_permanent"] for row in failures)
    assert "s3cr3t" not in str(failures)
    assert len(failures) == 60
    assert GIVE_UP_AFTER <= sum(ledger.asked.values()) < 30
    assert list(stored().values()) == [b"x"]


def test_what_may_pass_is_tried_again_after_a_while(binding: Binding, folder: Path, ledger: type[LedgerSource]) -> None:
    late, gone = folder / "late", read_file(write(folder / "gone", b"gone"))
    (folder / "gone").unlink()
    assert len(backed_up(binding, ledger_read(late, b"at last", "v1"), gone)) == 2
    assert retry_due(binding) == 0
    let_time_pass(binding, minutes=2)
    assert retry_due(binding) == 1  # what is gone stays gone
    assert retry_due(binding) == 0  # once
    back_up()
    assert len(unresolved(binding)) == 2
    assert BackupBatch.to_arrays("attempt").tolist() == [1, 2]
    late.mkdir()
    write(late / "v1", b"at last")
    let_time_pass(binding, minutes=2)
    assert retry_due(binding) == 0  # longer after the second failure
    let_time_pass(binding, minutes=4)
    assert retry_due(binding) == 1
    back_up()
    assert list(stored().values()) == [b"at last"]
    assert [row.failure for row in unresolved(binding)] == ["SourceNotFound"]


def test_a_person_who_mended_the_cause_has_everything_tried_again(binding: Binding, folder: Path) -> None:
    record = read_file(write(folder / "a", b"back"))
    (folder / "a").rename(folder / "b")
    assert [row["failure_permanent"] for row in backed_up(binding, record)] == [True]
    (folder / "b").rename(folder / "a")
    assert retry_failed(binding) == 1
    back_up()
    assert list(stored().values()) == [b"back"]
    assert retry_failed(binding) == 0


def let_time_pass(binding: Binding, minutes: int) -> None:
    table = Backup().full_table_name
    binding.connection.query(f"UPDATE {table} SET backed_up_at = backed_up_at - INTERVAL '{minutes}' MINUTE")


def test_a_manifest_is_made_anew_from_the_members(binding: Binding, folder: Path) -> None:
    members = [read_file(write(folder / name, name.encode())) for name in ("a", "b c")]
    text = manifest((Path(str(row["item_id"])).name, str(row["sha256"])) for row in members)
    whole = read(Item(str(members[0]["source_system"]), str(folder), "lab", str(folder), "file:"), data=text)
    whole["revision"] = sha256(text)
    key = (file_id(str(members[0]["source_system"]), str(folder)), version_id(sha256(text), sha256(text)))
    for row in members:
        row |= {"set_file_id": key[0], "set_version_id": key[1], "set_path": Path(str(row["item_id"])).name}
    failures = backed_up(binding, whole, members[0])
    assert [(row["failure"], row["failure_permanent"]) for row in failures] == [("IncompleteDownload", False)]
    hand_in(binding, members[1:])
    assert retry_failed(binding) == 1
    back_up()
    assert sorted(stored().values()) == sorted([b"a", b"b c", text])


def test_a_full_store_keeps_what_fits_and_takes_the_rest_later(
    binding: Binding, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [write(folder / str(number), os.urandom(300_000)) for number in range(8)]
    with small_disk(tmp_path / "disk", "size=1m") as disk:
        monkeypatch.setenv("DATA_PLATFORM_STORE__URL", str(disk / "store"))
        settings.cache_clear()
        failures = backed_up(binding, *map(read_file, files))
        kept = stored()
        assert {row["failure"] for row in failures} == {"StoreFull"}
        assert not any(row["failure_permanent"] for row in failures)
        assert 0 < len(kept) < 4
        assert len(kept) + len(failures) == 8
        subprocess.run(["mount", "-o", "remount,size=8m", str(disk)], check=True)
        assert retry_failed(binding) == len(failures)
        back_up()
        assert sorted(stored().values()) == sorted(file.read_bytes() for file in files)


def test_nothing_is_given_up_while_there_is_no_store(
    binding: Binding, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = write(tmp_path / "store", b"a file where a folder should be")
    monkeypatch.setenv("DATA_PLATFORM_STORE__URL", str(place))
    settings.cache_clear()
    hand_in(binding, [read_file(write(folder / "a", b"waits"))])
    queue = back_up()
    assert queue.failed() == 1
    assert not BackupFailure()
    place.unlink()
    queue.clean()
    assert queue.run(1) == 0  # not yet
    binding.connection.query(
        f"UPDATE {Backup().jobs.full_table_name} SET completed_time = completed_time - INTERVAL '6' SECOND"
    )
    queue.clean()
    assert queue.run(1) == 1
    assert list(stored().values()) == [b"waits"]


def test_what_the_store_enforces_is_recorded_once(binding: Binding, folder: Path) -> None:
    for number in range(2):
        assert backed_up(binding, read_file(write(folder / str(number), bytes([number])))) == []
    (row,) = StoreProbe.to_dicts()
    traits = open_store(settings()).traits()._asdict()
    assert {name: bool(row[name]) for name in traits} == traits
