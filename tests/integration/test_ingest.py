"""Ingest on a real database: the same rows, however deliveries are ordered, repeated and worked off."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import psycopg2
import pytest
from deliveries import Record, contents, hand_in, item, read, sha256, shuffled, some_reads

from data_platform.settings import load
from populate.facts import MEMBERS
from populate.ingest import BackupBatch, BackupMember, Ingest
from populate.work.queue import Queue
from schemas.binding import Binding
from schemas.catalogue import Blob, File, FileGone, FileName, FileOwner, FileSet, FileSetMember, SourceSystem, Version
from schemas.identity import account_id, file_id, version_id
from schemas.people import Account, Person
from schemas.sharing import Access, AccessBatch, Execution, ShareEdge

TABLES = (
    SourceSystem,
    Person,
    Account,
    File,
    FileName,
    FileOwner,
    FileGone,
    Blob,
    Version,
    FileSet,
    FileSetMember,
    Execution,
    ShareEdge,
)


def ingest() -> Queue:
    """Work everything off in this process."""
    queue = Queue(Ingest())
    queue.refresh()
    while queue.run(50):
        pass
    assert queue.failed() == 0, queue.table.jobs.errors.to_dicts()
    return queue


def test_a_read_arrives_in_every_table(binding: Binding) -> None:
    hand_in(binding, [read(item("/data/a b\\ü.csv", "Brendan"), "Amy", b"1,2")])
    ingest()
    rows = contents(*TABLES)
    amy, brendan = account_id("acme", "amy"), account_id("acme", "brendan")
    file = file_id("file/lab", "/data/a b\\ü.csv")
    version = version_id("r1", sha256(b"1,2"))
    assert rows["SourceSystem"] == [("file/lab", "file")]
    assert rows["File"] == [(file, "file/lab", "/data/a b\\ü.csv")]
    assert rows["Blob"] == [(sha256(b"1,2"), 3)]
    assert rows["Version"] == [(file, version, sha256(b"1,2"), "r1")]
    assert [row[:3] for row in rows["ShareEdge"]] == [(brendan, amy, file)]
    assert {(row[0], row[2]) for row in rows["Account"]} >= {(amy, "amy"), (brendan, "brendan")}
    assert len(rows["Person"]) == len(rows["Account"]) == 3  # and the login of this machine
    assert len(rows["Execution"]) == len(rows["FileName"]) == len(rows["FileOwner"]) == 1
    assert (BackupMember * BackupBatch).to_dicts() == [
        {
            "batch_id": AccessBatch.fetch1("batch_id"),
            "part": 0,
            "attempt": 1,
            "file_id": file,
            "version_id": version,
        }
    ]


def test_known_people_stay_who_they_are(binding: Binding) -> None:
    Person.insert1({"person_id": "p" * 32, "full_name": "Amy Adams", "person_kind": "person"})
    amy = account_id("acme", "amy")
    Account.insert1({"account_id": amy, "realm": "ACME", "login": "Amy", "person_id": "p" * 32})
    hand_in(binding, [read(item("/a.csv"), "amy")])
    ingest()
    assert (Account & {"account_id": amy}).fetch1("person_id", "login") == ("p" * 32, "Amy")
    assert not Person & {"person_id": amy}


def test_the_same_delivery_twice_changes_nothing(binding: Binding) -> None:
    reads = some_reads(1, 60)
    assert hand_in(binding, reads) == len(reads)
    ingest()
    before = contents(*TABLES, Access, BackupBatch, BackupMember)
    assert hand_in(binding, reads) == 0
    assert hand_in(binding, shuffled(reads, 7)[:30]) == 0
    ingest()
    assert contents(*TABLES, Access, BackupBatch, BackupMember) == before
    assert len(before["Access"]) == len(reads)


def test_an_odd_record_does_not_stop_its_batch(binding: Binding) -> None:
    odd: list[Record] = [
        read(item("/a.csv")) | {"sha256": "not a hash"},
        read(item("/b.csv")) | {"access_size": -1},
        read(item("/c.csv")) | {"set_file_id": "x", "set_version_id": "y"},
        read(item("/d.csv"), "ß" * 255),
        read(None, error=FileNotFoundError("x")),
    ]
    hand_in(binding, odd)
    ingest()
    assert len(File()) == 4
    assert len(Version()) == 2


def test_a_file_set_whose_members_span_deliveries(binding: Binding) -> None:
    folder = item("/data")
    manifest = b"manifest"
    whole = (file_id("file/lab", "/data"), version_id("r1", sha256(manifest)))
    members = [read(item(f"/data/{n}.csv"), data=str(n).encode(), part_of=(*whole, f"{n}.csv")) for n in range(5)]
    hand_in(binding, [read(folder, data=manifest), *members[:2]])
    hand_in(binding, members[2:])
    # The members that came without their set first: what it is stands in the inbox.
    queue = Queue(Ingest())
    queue.refresh()
    later = (AccessBatch - (Access & {"file_id": whole[0]})).fetch1("batch_id")
    binding.connection.query(f"UPDATE {Ingest().jobs.full_table_name} SET priority = 1 WHERE batch_id = %s", (later,))
    assert queue.run(1) == 1
    assert Ingest.fetch1("batch_id") == later
    assert sorted(FileSetMember.to_arrays("member_path")) == ["2.csv", "3.csv", "4.csv"]
    ingest()
    assert FileSet.to_dicts() == [{"file_id": whole[0]}]
    rows = FileSetMember.to_dicts()
    assert {(row["file_id"], row["version_id"]) for row in rows} == {whole}
    assert sorted(row["member_path"] for row in rows) == [f"{n}.csv" for n in range(5)]


def test_a_large_delivery_is_backed_up_in_parts(binding: Binding) -> None:
    hand_in(binding, [read(item(f"/{n}.csv"), data=str(n).encode()) for n in range(MEMBERS + 5)])
    ingest()
    parts = BackupMember.to_arrays("part").tolist()
    assert [parts.count(part) for part in range(2)] == [MEMBERS, 5]


BATCHES = [some_reads(seed, 200, files=150) for seed in range(6)]

WORK = """
from populate.ingest import Ingest
from populate.work.queue import Queue
from populate.pipeline import bind_all
bind_all()
queue = Queue(Ingest())
while queue.run(1):
    pass
"""


@pytest.mark.parametrize("backend", ["postgresql"])
def test_rows_depend_neither_on_order_nor_on_the_number_of_workers(binding: Binding) -> None:
    hand_in_all(binding, BATCHES)
    ingest()
    expected = contents(*TABLES, Access, BackupBatch, BackupMember)
    assert all(expected[table.__name__] for table in TABLES if table not in (FileSet, FileSetMember))
    for seed, work in enumerate((ingest, lambda: ingest_with(3, binding))):
        clear(binding)
        hand_in_all(binding, shuffled(BATCHES, seed))
        work()
        assert contents(*TABLES, Access, BackupBatch, BackupMember) == expected


def hand_in_all(binding: Binding, batches: Sequence[Sequence[Record]]) -> None:
    for batch in batches:
        hand_in(binding, batch, run=str(batch[0]["event_id"]))


def clear(binding: Binding) -> None:
    names = ", ".join(table().full_table_name for table in (*TABLES, AccessBatch))
    binding.connection.query(f"TRUNCATE TABLE {names} CASCADE")
    assert not Access()
    assert not BackupMember()
    assert not Ingest()


def ingest_with(workers: int, binding: Binding) -> None:
    """Work everything off in processes that are all in the midst of a batch at one moment."""
    queue = Queue(Ingest())
    queue.refresh()
    with ExitStack() as stack:
        gate = stack.enter_context(closed_gate(binding))
        processes = [stack.enter_context(started()) for _ in range(workers)]
        wait_until(lambda: waiting(binding) == workers, processes)
        gate.commit()
    assert [process.returncode for process in processes] == [0] * workers
    assert queue.failed() == queue.unfinished() == 0


@contextmanager
def started() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", WORK])
    try:
        yield process
        process.wait(120)
    finally:
        process.kill()
        process.wait()


@contextmanager
def closed_gate(binding: Binding) -> Iterator[Any]:
    """Hold the rows of the source systems, which every batch needs first."""
    settings = load().database
    gate = psycopg2.connect(
        host=settings.host,
        port=settings.port,
        user=settings.user,
        password=settings.password.get_secret_value(),
        dbname=settings.name,
    )
    with closing(gate), gate.cursor() as cursor:
        for system in ("file/lab", "nfs/filer"):
            cursor.execute(f"INSERT INTO {SourceSystem().full_table_name} VALUES (%s, 'file')", (system,))
        yield gate


def waiting(binding: Binding) -> int:
    query = "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE %s"
    return int(binding.connection.query(query, (f"INSERT INTO {SourceSystem().full_table_name}%",)).fetchone()[0])


def wait_until(condition: Callable[[], bool], processes: Sequence[subprocess.Popen[bytes]]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert all(process.poll() is None for process in processes), "a worker ended too early"
        assert time.monotonic() < deadline
        time.sleep(0.02)
