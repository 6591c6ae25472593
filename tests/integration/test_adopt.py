"""A share that was there before: catalogued whole, without an access, again and again, whatever is in the way."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from adopting import noted_downloads, quietly
from deliveries import contents, hand_in, read_file, sha256, stored
from servers.sessions import another_binding, others
from waiting import wait_until

from data_platform.errors import AccessDenied, DataPlatformError, SettingsError, SourceNotFound, UnsupportedItem
from data_platform.settings import settings
from populate.adopt import plan as adopt_plan
from populate.adopt.tables import (
    Adopt,
    AdoptBatch,
    AdoptFailure,
    AdoptFile,
    AdoptMember,
    AdoptRefusal,
    AdoptRoot,
    AdoptSurvey,
    AdoptSurveyEnd,
    AdoptTaken,
)
from populate.backup.erased import Erasure
from populate.backup.tables import Backup, Placement
from populate.ingest import BackupBatch, Ingest
from populate.work.jobs import queues, work
from populate.work.lease import Lease
from populate.work.queue import Queue, Urgency
from populate.work.worker import run_worker
from readers import file as file_reader
from readers import file_walk
from readers.file import FileSource
from schemas.binding import Binding
from schemas.catalogue import Blob, File, FileGone, FileName, FileOwner, SourceSystem, Version
from schemas.identity import file_id
from schemas.people import Account, Person
from schemas.sharing import Access, AccessBatch, AccessRun, Execution, ShareEdge

CATALOGUE = (SourceSystem, Person, Account, File, FileName, FileOwner, FileGone, Blob, Version)
PLANS = (
    *(AdoptRoot, AdoptFile, AdoptSurvey, AdoptSurveyEnd, AdoptBatch, AdoptMember, Adopt, AdoptTaken),
    *(AdoptFailure, AdoptRefusal),
)
NOBODY_READ = (AccessBatch, AccessRun, Access, Ingest, Execution, ShareEdge, BackupBatch, Backup)


@pytest.fixture
def share(tmp_path: Path) -> Path:
    """Return a folder with files that it takes some care to catalogue."""
    files = {
        "plates/p1.csv": b"1,2\n",
        "plates/p2.csv": b"3,4\n",
        "plates/old/copy of p1.csv": b"1,2\n",
        "empty": b"",
        "µ 细胞.txt": "µ".encode(),
        "raw.bin": os.urandom(5_000_000),
    }
    for name, data in files.items():
        write(tmp_path / "share" / name, data)
    write(Path(os.fsdecode(os.fsencode(tmp_path) + b"/share/caf\xe9")), b"odd name")
    os.mkfifo(tmp_path / "share" / "pipe")
    (tmp_path / "share" / "link").symlink_to("plates/p1.csv")
    return tmp_path / "share"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the paths of files whose bytes were asked for, as it happens."""
    return noted_downloads(monkeypatch)


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def some_files(folder: Path, number: int) -> Path:
    for one in range(number):
        if not (path := folder / f"d{one % 7}" / f"{one}.txt").exists():
            write(path, f"{one}\n".encode())
    return folder


def bytes_below(folder: Path) -> list[bytes]:
    return sorted({path.read_bytes() for path in folder.rglob("*") if path.is_file()})


def test_a_folder_is_catalogued_and_kept_and_nobody_has_read_it(binding: Binding, share: Path) -> None:
    done = quietly(share)
    assert (done.found.files, done.found.new, done.taken, done.left, done.unread) == (7, 7, 7, 0, [])
    assert done.found.bytes == done.taken_bytes == sum(p.stat().st_size for p in share.rglob("*") if p.is_file()) - 4
    assert sorted(stored().values()) == bytes_below(share)
    assert {name: rows for name, rows in contents(*NOBODY_READ).items() if rows} == {}
    names = set(FileName.to_arrays("file_path"))
    assert {str(share / "plates/p1.csv"), str(share / "µ 细胞.txt"), f"{share}/caf\\xe9"} <= names
    assert len(FileOwner()) == len(AdoptFile()) == len(File()) == len(Version()) == 7
    assert len(AdoptBatch()) == len(AdoptSurveyEnd()) == 1


@pytest.mark.parametrize("backend", ["postgresql"])
def test_what_was_erased_does_not_come_back_however_large(binding: Binding, share: Path) -> None:
    erased = [sha256((share / name).read_bytes()) for name in ("raw.bin", "plates/p1.csv")]
    large = write(share / "more.bin", os.urandom(4_500_000))
    write(share / "the same.bin", large.read_bytes())
    order = {"erased_at": "2026-05-04 08:00:00", "erased_by": "acme/amy", "erase_reason": "x"}
    Blob.insert([{"sha256": one, "blob_size": size} for one, size in zip(erased, (5_000_000, 4), strict=True)])
    Erasure.insert([{"sha256": one, **order} for one in erased])
    done = quietly(share)
    assert (done.taken, done.left, done.unread) == (9, 0, [])
    kept = {sha256(content) for content in stored().values()}
    assert set(Placement.to_arrays("sha256").tolist()) == kept
    assert sha256(large.read_bytes()) in kept
    assert not kept & set(erased)
    assert list((settings().home / "store").rglob("incoming/*")) == []


def test_a_later_read_of_an_adopted_file_leads_to_the_same_rows(binding: Binding, share: Path) -> None:
    quietly(share)
    kept = contents(SourceSystem, File, Blob, Version, Placement)
    paths = [path for path in share.rglob("*") if path.is_file() and not path.is_symlink()]
    hand_in(binding, [read_file(path) for path in paths])
    run_worker(settings(), once=True)
    assert len(Access()) == len(paths) == 7
    assert contents(SourceSystem, File, Blob, Version, Placement) == kept


def test_adopting_files_that_were_read_leads_to_the_same_rows_and_reads_no_byte(
    binding: Binding, share: Path, opened: list[str]
) -> None:
    hand_in(binding, [read_file(path) for path in (share / "plates/p1.csv", share / "empty")])
    run_worker(settings(), once=True)
    opened.clear()
    kept = contents(File, Version)
    done = quietly(share)
    assert (done.found.known, done.found.new, done.taken) == (2, 5, 5)
    assert not {str(share / "plates/p1.csv"), str(share / "empty")} & set(opened)
    after = contents(File, Version)
    assert all(set(kept[name]) <= set(after[name]) and len(after[name]) == 7 for name in kept)
    assert len(AdoptFile()) == 7


def test_a_second_run_reads_only_what_changed_and_notes_what_vanished(
    binding: Binding, share: Path, opened: list[str]
) -> None:
    quietly(share)
    before = contents(*CATALOGUE, *PLANS, Placement)
    opened.clear()
    again = quietly(share)
    assert (again.found.known, again.taken, opened) == (7, 0, [])
    after = contents(*CATALOGUE, *PLANS, Placement)
    surveys = {"AdoptSurvey", "AdoptSurveyEnd"}
    assert [name for name in before if before[name] != after[name]] == sorted(surveys)

    write(share / "plates/p2.csv", b"5,6\n")
    write(share / "new.csv", b"7\n")
    (share / "empty").unlink()
    third = quietly(share)
    assert (third.found.changed, third.found.new, third.found.gone, third.taken) == (1, 1, 1, 2)
    assert sorted(opened) == [str(share / "new.csv"), str(share / "plates/p2.csv")]
    gone = [row["file_path"] for row in (FileGone * FileName).to_dicts()]
    assert gone == [str(share / "empty")]
    assert sorted(stored()) == sorted({*map(sha256, bytes_below(share)), sha256(b"3,4\n"), sha256(b"")})

    assert quietly(share).found.gone == 0
    assert len(FileGone()) == 1
    write(share / "empty", b"")
    assert quietly(share).taken == 1


def test_a_list_of_nothing_is_no_reason_to_call_everything_gone(binding: Binding, tmp_path: Path) -> None:
    share = some_files(tmp_path / "share", 3)
    quietly(share)
    share.rename(tmp_path / "unmounted")
    share.mkdir()
    assert quietly(share).found.gone == 0
    assert not FileGone()


def test_a_dry_run_counts_and_writes_nothing(binding: Binding, share: Path, opened: list[str]) -> None:
    dry = quietly(share, dry_run=True)
    assert (dry.found.files, dry.found.new, dry.found.bytes_to_read) == (7, 7, dry.found.bytes)
    assert {name: rows for name, rows in contents(*CATALOGUE, *PLANS).items() if rows} == {}
    quietly(share)
    (share / "empty").unlink()
    write(share / "plates/p1.csv", b"9\n")
    before = contents(*CATALOGUE, *PLANS)
    opened.clear()
    dry = quietly(share, dry_run=True)
    assert (dry.found.files, dry.found.changed, dry.found.known, dry.found.gone) == (6, 1, 5, 1)
    assert dry.found.bytes_to_read == 2
    assert contents(*CATALOGUE, *PLANS) == before
    assert opened == []


def test_what_cannot_be_read_is_listed_and_tried_again(
    binding: Binding, share: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(function: Callable[..., Any], end: str) -> Callable[..., Any]:
        """Return `function` for an account that may not read what ends so; the tests may run as root, who may."""

        def refusing(path: str, *arguments: Any) -> Any:
            if path.endswith(end):
                raise AccessDenied(f"This account may not read {path}. Ask its owner for access.")
            return function(path, *arguments)

        return refusing

    with monkeypatch.context() as patch:
        patch.setattr(file_walk, "entries_of", refuse(file_walk.entries_of, "/plates/old/"))
        patch.setattr(file_reader, "opened", refuse(file_reader.opened, "/raw.bin"))
        done = quietly(share)
        assert [(one.path, one.failure) for one in done.unread] == [
            (f"{share}/plates/old/", "AccessDenied"),
            (f"{share}/raw.bin", "AccessDenied"),
        ]
        assert "Ask its owner" in done.unread[1].message
        assert (done.taken, done.found.refused, len(AdoptFailure()), len(AdoptRefusal())) == (5, 1, 1, 1)
        assert quietly(share).found.gone == 0
        assert len(AdoptBatch()) == 2  # the second attempt at what failed
    done = quietly(share)
    assert (done.taken, done.unread) == (2, [])
    assert sorted(stored().values()) == bytes_below(share)


# What a server says to the one of two that it ends.
BREAK_OFF = {
    "postgresql": "DO $$ BEGIN RAISE EXCEPTION 'deadlock detected' USING ERRCODE = '40P01'; END $$",
    "mysql": "SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213, MESSAGE_TEXT = 'Deadlock found'",
}

KILLED = """
import sys
from populate.adopt import plan as adopt_plan
from populate.adopt.share import adopt
adopt_plan.MEMBERS = 20
adopt(sys.argv[1], files_per_second=float(sys.argv[2]))
"""


def test_killed_at_any_time_it_goes_on_and_nothing_is_doubled(binding: Binding, tmp_path: Path) -> None:
    share = some_files(tmp_path / "share", 200)
    for table, rate in ((AdoptBatch, 0), (Adopt, 100)):  # while it plans, and while it takes in
        with subprocess.Popen([sys.executable, "-c", KILLED, str(share), str(rate)], stderr=subprocess.PIPE) as process:
            wait_until(lambda table=table: len(table()) or process.poll() is not None)  # type: ignore[misc]
            process.kill()
        wait_until(lambda: not others(binding))
    done = quietly(share)
    assert (done.left, done.failed, done.unread) == (0, 0, [])
    assert set(Counter(AdoptMember.to_arrays("file_id").tolist()).values()) == {1}
    assert len(File()) == len(Version()) == len(Placement()) == len(AdoptFile()) == 200
    assert sum(Adopt.to_arrays("files_taken")) == 200
    assert sorted(stored().values()) == bytes_below(share)
    assert quietly(share).taken == 0


def test_a_fresh_read_is_worked_before_a_back_fill(
    binding: Binding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adopt_plan, "MEMBERS", 2)
    share = some_files(tmp_path / "share", 20)
    planned = quietly(share, work=False)
    assert (planned.left, planned.taken, len(AdoptBatch())) == (10, 0, 10)
    lines = queues(settings())

    def turn() -> tuple[int, int, int]:
        for queue in lines:
            queue.refresh()
        work(lines)
        return len(Ingest()), len(Backup()), len(Adopt())

    assert turn() == (0, 0, 1)
    hand_in(binding, [read_file(write(tmp_path / "fresh.csv", b"fresh"))])
    assert turn() == (1, 0, 1)
    assert turn() == (1, 1, 1)
    assert turn() == (1, 1, 2)
    urgencies = {table: set(table().jobs.to_arrays("priority").tolist()) for table in (Adopt, Ingest)}
    assert urgencies[Adopt] == {Urgency.BACK_FILL}
    assert Urgency.FRESH < Urgency.BACK_FILL
    run_worker(settings(), once=True)
    assert (len(Adopt()), len(Version())) == (10, 21)


@pytest.mark.parametrize("backend", ["mysql"])
def test_many_workers_make_the_rows_that_one_makes(
    binding: Binding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adopt_plan, "MEMBERS", 4)
    share = some_files(tmp_path / "share", 60)
    for number in range(20):  # contents that several batches bring
        write(share / "copies" / str(number), b"alike")
    quietly(share)
    alone = contents(*CATALOGUE, AdoptFile, AdoptBatch, AdoptMember, Adopt, Placement)
    for table in (Adopt().jobs, Placement(), AdoptTaken(), Adopt(), Version(), Blob()):
        binding.connection.query(f"DELETE FROM {table.full_table_name}")
    assert run_worker(settings(), once=True, processes=3).failed_jobs == 0
    assert contents(*CATALOGUE, AdoptFile, AdoptBatch, AdoptMember, Adopt, Placement) == alone


def test_of_batches_that_keep_a_rate_one_is_taken_at_a_time(
    binding: Binding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    share = some_files(tmp_path / "share", 9)
    monkeypatch.setattr(adopt_plan, "BATCH_SECONDS", 0.1)
    assert quietly(share, work=False, files_per_second=40).left == 3
    assert quietly(some_files(share, 11), work=False, files_per_second=40).found.waiting == 9
    queue = Queue(Adopt(), Urgency.BACK_FILL)
    assert [queue.refresh(), queue.busy()] == [1, 1]
    begun = time.monotonic()
    assert quietly(share, files_per_second=40).taken == 11
    assert time.monotonic() - begun >= 11 / 40
    members = (AdoptBatch * AdoptMember).to_dicts()
    assert Counter((row["survey"], row["part"]) for row in members) == {(1, 0): 4, (1, 1): 4, (1, 2): 1, (2, 0): 2}
    chain = {(row["survey"], row["part"]): (row["after_survey"], row["after_part"]) for row in members}
    assert chain == {(1, 0): (-1, -1), (1, 1): (1, 0), (1, 2): (1, 1), (2, 0): (1, 2)}


def test_a_share_that_is_away_says_nothing_about_its_files(binding: Binding, tmp_path: Path) -> None:
    share = some_files(tmp_path / "share", 5)
    quietly(share, work=False)
    share.rename(tmp_path / "unmounted")
    queue = Queue(Adopt(), Urgency.BACK_FILL)
    queue.refresh()
    assert (queue.run(1), queue.busy(), queue.unfinished(), len(Adopt()), len(AdoptFailure())) == (0, 0, 0, 0, 0)
    assert (queue.state().waiting, queue.failed()) == (1, 0)
    (tmp_path / "unmounted").rename(share)
    done = quietly(share)
    assert (done.found.waiting, done.taken, done.failed) == (5, 5, 0)


def test_two_do_not_survey_a_root_at_once(binding: Binding, share: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("populate.adopt.share.LOCK_SECONDS", 0.0)
    with another_binding(binding) as other, Lease(other, f"adopt_{root_of(share)}").held() as held:
        assert held
        with pytest.raises(DataPlatformError, match="Somebody else is surveying"):
            quietly(share)
    assert not AdoptSurvey()


def root_of(share: Path) -> str:
    return adopt_plan.root_id_of(FileSource(settings()).resolve(str(share)))


def test_a_batch_that_lost_a_lock_to_a_worker_is_written_again(binding: Binding, tmp_path: Path) -> None:
    share = some_files(tmp_path / "share", 2)
    plan = adopt_plan.WrittenPlan(binding, FileSource(settings()).resolve(str(share)), "file", adopt_plan.Rate())
    source = FileSource(settings())
    items = [item for _, item in source.list(source.resolve(str(share)))]
    found = [adopt_plan.Found(file_id(i.source_system, i.item_id), i, source.revision(i)) for i in items]
    broken_off: list[int] = []
    write_files = plan._write_files

    def breaking_off(found: Any) -> None:
        write_files(found)
        if not broken_off:
            broken_off.append(1)
            binding.connection.query(BREAK_OFF[binding.backend])

    plan._write_files = breaking_off  # type: ignore[method-assign]
    plan.add(found)
    plan.flush()
    assert broken_off
    assert (len(AdoptBatch()), len(AdoptMember()), len(File())) == (1, 2, 2)


@pytest.mark.parametrize("backend", ["postgresql"])
@pytest.mark.parametrize("name", ["store", "my störe"])
def test_what_the_product_keeps_for_itself_is_left_out(
    binding: Binding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path, name: str
) -> None:
    monkeypatch.setenv("DATA_PLATFORM_STORE__URL", str(tmp_path / "around" / name))
    monkeypatch.setenv("DATA_PLATFORM_STORE__REPLICA_URL", str(tmp_path / "around" / f"{name} 2"))
    settings.cache_clear()
    some_files(tmp_path / "around" / "share", 3)
    write(tmp_path / "around" / f"{name} 2" / "objects" / "x", b"ours")
    write(home / "cache" / "x", b"ours")
    for _ in range(2):
        assert quietly(tmp_path).found.files == 3
    assert any((tmp_path / "around" / name / "objects").iterdir())
    for own in (home, home / "cache", *(tmp_path / "around" / store for store in (name, f"{name} 2"))):
        with pytest.raises(UnsupportedItem, match="keeps its own files"):
            quietly(own)


@pytest.mark.parametrize("backend", ["postgresql"])
def test_what_cannot_be_adopted_is_said_before_anything_is_written(binding: Binding, share: Path) -> None:
    for url, error, text in (
        (share / "empty", UnsupportedItem, "is a file"),
        (share / "nowhere", SourceNotFound, "nowhere"),
        ("https://data.example.org/x/", UnsupportedItem, "http links lead to single files"),
    ):
        with pytest.raises(error, match=text):
            quietly(url)
    for rate in (-1.0, float("nan"), float("inf")):
        with pytest.raises(SettingsError, match="rate"):
            quietly(share, bytes_per_second=rate)
    assert not AdoptRoot()


def test_a_file_that_vanishes_before_its_turn_is_a_failure_of_its_own(binding: Binding, tmp_path: Path) -> None:
    share = some_files(tmp_path / "share", 3)
    quietly(share, work=False)
    (share / "d1" / "1.txt").unlink()
    done = quietly(share)
    assert [(one.path, one.failure) for one in done.unread] == [(str(share / "d1" / "1.txt"), "SourceNotFound")]
    assert (done.found.gone, done.taken, len(FileGone()), len(Version())) == (1, 2, 1, 2)
