"""What must not happen to an access whatever fails: be lost, be doubled, or break the read."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from own_server import OwnServer
from readers_at_work import PATIENCE_SECONDS, an_outbox, delivered, listed, note, noted, run, start, wait_for
from small_disk import small_disk

from data_platform.errors import DatabaseUnavailable
from data_platform.settings import settings
from readers.backlog import Backlog
from readers.outbox import missed, pending
from readers.shipper import flush
from schemas.binding import Binding, bind, unbind
from schemas.sharing import Access

pytestmark = pytest.mark.slow

on_postgresql = pytest.mark.parametrize("backend", ["postgresql"])


@pytest.fixture(autouse=True)
def _no_shipper(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only these tests deliver."""
    monkeypatch.setenv("DATA_PLATFORM_OUTBOX__SHIP", "false")
    settings.cache_clear()


@pytest.fixture
def own(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OwnServer]:
    server = OwnServer(monkeypatch)
    bind(deploy=True)
    yield server
    unbind()
    server.remove()


# --- kill -9

KILLED_READERS = """
import readers.outbox
from pathlib import Path
from data_platform import read_file
settings()
for number in range(120):
    ends, tell = os.pipe()
    child = os.fork()
    if not child:
        if number % 6 == 5:
            readers.outbox._mappable = lambda _: False
        names = []
        for n in range(number % 7 + 1):
            path = read_file(Path(sys.argv[1]) / f"{number}-{n}.csv")
            names.append(path.name)
        os.write(tell, (json.dumps(names) + "\\n").encode())
        os.kill(os.getpid(), signal.SIGKILL)
    os.close(tell)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    with os.fdopen(ends) as told:
        sys.stdout.write(told.read())
"""


@on_postgresql
def test_readers_killed_right_after_their_reads_lose_nothing(binding: Binding, tmp_path: Path) -> None:
    """100 with mapped segments, 20 with written ones."""
    for number in range(120):
        for n in range(number % 7 + 1):
            (tmp_path / f"{number}-{n}.csv").write_text(f"{number},{n}\n")
    acknowledged = listed(run(KILLED_READERS, str(tmp_path)))
    assert len(acknowledged) == sum(number % 7 + 1 for number in range(120))
    assert flush() == len(acknowledged)
    assert sorted(Access.to_arrays("file_name")) == sorted(acknowledged)
    assert len(set(Access.to_arrays("sha256"))) == len(acknowledged)
    assert Backlog(settings().outbox_folder).segments() == []


KILLED_AT_RANDOM = """
import random
settings()
chance = random.Random(int(sys.argv[1]))
for _ in range(30):
    ends, tell = os.pipe()
    child = os.fork()
    if not child:
        while True:
            os.write(tell, (json.dumps([note()]) + "\\n").encode())
    os.close(tell)
    with os.fdopen(ends) as told:
        first = told.readline()
        time.sleep(chance.random() * 0.005)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        sys.stdout.write(first + "".join(line for line in told if line.endswith("\\n")))
"""


@on_postgresql
def test_readers_killed_at_any_moment_lose_nothing_that_was_acknowledged(binding: Binding) -> None:
    acknowledged = listed(run(KILLED_AT_RANDOM, "1"))
    flush()
    found = delivered()
    assert len(found) == len(set(found))
    assert set(acknowledged) <= set(found)
    assert len(found) <= len(acknowledged) + 30  # noted, and killed before it could say so
    assert pending(settings().outbox_folder) == 0


KILLED_DELIVERIES = """
import inspect
import readers.backlog, readers.delivery, schemas.sharing
from readers.shipper import flush
from schemas.binding import bind

POINTS = [
    (readers.delivery, "deliver", "before"),  # the attempt is noted
    (schemas.sharing.AccessRun, "insert", "after"),  # within the transaction
    (readers.delivery, "deliver", "after"),  # after the commit
    (readers.backlog.Backlog, "done", "before"),
    (readers.backlog.Backlog, "done", "after"),
    (readers.backlog.Backlog, "sweep", "after"),
]

def deliver_and_die(owner, name, when):
    original, calls = inspect.getattr_static(owner, name), []
    def killing(*arguments, **options):
        calls.append(name)
        if when == "before" and len(calls) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*arguments, **options)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    setattr(owner, name, killing)
    flush()
    os._exit(1)

for point in POINTS:
    child = os.fork()
    if not child:
        deliver_and_die(*point)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, point
"""


def test_deliveries_killed_anywhere_are_completed_by_the_next(binding: Binding) -> None:
    """Each is killed in its second batch and leaves the next to go on from there."""
    box = an_outbox(segment_bytes=4096)
    ids = note(box, 90)
    box.close()
    run(KILLED_DELIVERIES, DATA_PLATFORM_OUTBOX__BATCH_EVENTS="5")
    done = len(delivered())
    assert 30 <= done <= 60
    assert flush() == 90 - done
    assert sorted(delivered()) == sorted(ids)
    assert pending(box.folder) == 0


# --- several at once


@on_postgresql
def test_processes_threads_and_forks_at_once_while_others_flush(binding: Binding) -> None:
    reader = """
def some(count):
    ids = [note(n) for n in range(count)]
    os.write(1, (json.dumps(ids) + "\\n").encode())
some(1)
children = []
for _ in range(2):
    child = os.fork()
    if not child:
        threads = [threading.Thread(target=some, args=(30,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        os._exit(0)
    children.append(child)
some(30)
for child in children:
    assert os.waitpid(child, 0)[1] == 0
"""
    flusher = """
from readers.shipper import flush
total = 0
for _ in sys.stdin:
    total += flush()
    print(total, flush=True)
"""
    sizes = {"DATA_PLATFORM_OUTBOX__SEGMENT_BYTES": "8192", "DATA_PLATFORM_OUTBOX__BATCH_EVENTS": "50"}
    readers = [start(reader, **sizes) for _ in range(2)]
    flushers = [start(flusher, **sizes) for _ in range(2)]
    totals = [0, 0]
    ids: list[str] = []
    while any(process.poll() is None for process in readers):
        for number, process in enumerate(flushers):
            totals[number] = _told(process)
    for process in readers:
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0, err
        ids += listed(out)
    for process in flushers:
        _, err = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0, err
    assert len(ids) == 2 * (1 + 30 + 2 * 3 * 30)
    assert sum(totals) + flush() == len(ids)
    assert sorted(delivered()) == sorted(ids)
    assert Backlog(settings().outbox_folder).segments() == []


def _told(process: subprocess.Popen[str]) -> int:
    """Let a flusher flush once more; return how many accesses it delivered so far."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return int(process.stdout.readline())


# --- the disk is full

FILL_UP = """
told = []
warnings.showwarning = lambda message, *_: told.append(str(message))
limit = int(sys.argv[1])
if limit:
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
import readers.outbox
if sys.argv[2] == "written":
    readers.outbox._mappable = lambda _: False
ids = [note(n) for n in range(3000)]
print(json.dumps([ids, told]), flush=True)
sys.stdin.readline()
print(json.dumps([[note(n) for n in range(10)], told]), flush=True)
"""


@on_postgresql
@pytest.mark.parametrize("kind", ["mapped", "written"])
def test_a_full_disk_warns_once_breaks_no_read_and_loses_nothing_noted(
    binding: Binding, home: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.mkdir(parents=True, exist_ok=True)
    with small_disk(home / "outbox", "size=600k"):
        ballast = home / "outbox" / "ballast"
        ballast.write_bytes(bytes(200 * 1024))
        with start(FILL_UP, "0", kind, DATA_PLATFORM_OUTBOX__SEGMENT_BYTES="65536") as process:
            ids, told = _answer(process)
            assert len(ids) == 3000
            assert len(told) == 1
            assert "could not be noted" in told[0]
            assert "No space left on device" in told[0]
            kept = noted()
            assert 0 < len(kept) < 3000
            assert set(kept) <= set(ids)
            assert missed(home / "outbox") == 3000 - len(kept)
            ballast.unlink()
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
            later, told = _answer(process)
            assert len(told) == 1
        assert process.returncode == 0
        assert sorted(noted()) == sorted(kept + later)
        assert flush() == len(kept) + 10
        assert sorted(delivered()) == sorted(kept + later)
        assert not (home / "outbox" / "set-aside").exists()


@on_postgresql
def test_a_full_disk_does_not_stop_the_delivery_which_makes_room(binding: Binding, home: Path) -> None:
    home.mkdir(parents=True, exist_ok=True)
    with small_disk(home / "outbox", "size=600k"):
        box = an_outbox(segment_bytes=65536)
        ids = note(box, 800)
        box.close()
        _fill(home / "outbox" / "ballast")
        assert flush() == 800
        assert sorted(delivered()) == sorted(ids)
        assert Backlog(box.folder).segments() == []


def _fill(path: Path) -> None:
    """Write until the disk is full."""
    with path.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        file.writelines(itertools.repeat(bytes(1024)))
    assert shutil.disk_usage(path.parent).free == 0


def _answer(process: subprocess.Popen[str]) -> tuple[list[str], list[str]]:
    assert process.stdout is not None
    assert process.stderr is not None
    line = process.stdout.readline()
    assert line, process.stderr.read()
    ids, told = json.loads(line)
    return ids, told


@pytest.mark.parametrize("kind", ["mapped", "written"])
def test_a_limit_on_the_size_of_files_warns_once_and_breaks_no_read(home: Path, kind: str) -> None:
    """The same fault where no disk can be mounted."""
    with start(FILL_UP, "20000", kind, DATA_PLATFORM_OUTBOX__SEGMENT_BYTES="65536") as process:
        ids, told = _answer(process)
        process.communicate("\n", timeout=PATIENCE_SECONDS)
    assert process.returncode == 0
    assert len(told) == 1
    # Whichever comes first: where the disk is shared, it may be full at that very moment.
    assert "File too large" in told[0] or "No space left on device" in told[0]
    assert len(ids) == 3000
    assert len(noted()) + missed(settings().outbox_folder) == 3010


# --- the database is away


def test_accesses_noted_while_the_database_is_down_are_delivered_once_when_it_is_back(own: OwnServer) -> None:
    box = an_outbox()
    ids = note(box, 100)
    assert flush() == 100
    own.stop()
    ids += note(box, 1000)
    for _ in range(2):
        with pytest.raises(DatabaseUnavailable, match=r"(?s)1,000 accesses wait in .*data-platform flush"):
            flush()
    assert pending(box.folder) == 1000
    own.start()
    assert flush() == 1000
    assert sorted(delivered()) == sorted(ids)
    box.close()


def test_a_database_that_is_killed_in_the_middle_of_deliveries_gets_everything_once(own: OwnServer) -> None:
    code = """
from readers.shipper import flush
from data_platform.errors import DatabaseUnavailable
while True:
    try:
        flush()
    except DatabaseUnavailable:
        print("unavailable", flush=True)
        if not sys.stdin.readline():
            break
    else:
        print("done", flush=True)
        break
"""
    box = an_outbox(segment_bytes=8192)
    ids = note(box, 200)
    box.close()
    kills = 0
    with start(code, DATA_PLATFORM_OUTBOX__BATCH_EVENTS="1") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for _ in range(3):
            _wait_for_more_than(_count())
            own.kill()
            kills += process.stdout.readline() == "unavailable\n"
            own.start()
            process.stdin.write("\n")
            process.stdin.flush()
        assert process.stdout.readline() == "done\n"
    assert kills == 3
    assert flush() == 0
    assert sorted(delivered()) == sorted(ids)


def _wait_for_more_than(count: int) -> None:
    wait_for(lambda: _count() > count, "a delivery")


def _count() -> int:
    bind().ensure()
    return len(Access())


def test_the_embedded_database_killed_between_reads_is_recovered_by_the_next_delivery(home: Path) -> None:
    box = an_outbox()
    ids = note(box, 5)
    assert flush() == 5
    postmaster = (home / "postgres").resolve() / "postmaster.pid"
    os.kill(int(postmaster.read_text().splitlines()[0]), signal.SIGKILL)
    ids += note(box, 5)
    assert flush() == 5
    assert sorted(delivered()) == sorted(ids)
    box.close()


@on_postgresql
def test_a_disk_with_no_room_for_a_segment_takes_a_small_one(binding: Binding, home: Path) -> None:
    home.mkdir(parents=True, exist_ok=True)
    with small_disk(home / "outbox", "size=300k"), start(FILL_UP, "0", "mapped") as process:
        ids, told = _answer(process)
        kept = noted()
        assert 100 < len(kept) < len(ids)
        assert set(kept) <= set(ids)
        assert "No space left on device" in told[0]
        process.communicate("\n")
        assert process.returncode == 0
