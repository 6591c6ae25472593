"""Noting accesses down: threads, forks, signals, limits. No database is needed for any of it."""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType

import pytest
from readers_at_work import an_access, an_outbox, listed, note, noted, run, start, wait_for

from data_platform.settings import OutboxSettings, load, settings
from readers import outbox as outbox_module
from readers import segment
from readers.backlog import Backlog
from readers.outbox import Outbox, missed, outbox, pending

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture(autouse=True)
def _no_shipper(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("DATA_PLATFORM_OUTBOX__SHIP", "false")
    settings.cache_clear()
    yield
    if outbox_module._current is not None:
        outbox_module._current[1].close()


@pytest.fixture(params=["mapped", "written"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(outbox_module, "_mappable", lambda _: request.param == "mapped")
    return str(request.param)


def test_what_is_noted_waits_with_its_run(kind: str) -> None:
    box = an_outbox()
    ids = note(box, 3)
    assert pending(box.folder) == 3
    assert sorted(noted()) == sorted(ids)
    box.close()
    (path,) = Backlog(box.folder).segments()
    assert json.loads(segment.first_payload(path)).keys() >= {"execution_id", "started_at", "host"}


def test_several_accesses_are_noted_at_once(kind: str) -> None:
    box = an_outbox()
    records = [an_access(n) for n in range(100)]
    box.append(*records)
    assert sorted(noted()) == sorted(str(record["event_id"]) for record in records)
    box.close()


def test_full_segments_are_followed_by_others_each_with_the_run(kind: str) -> None:
    box = an_outbox(segment_bytes=4096)
    ids = note(box, 100)
    box.close()
    paths = Backlog(box.folder).segments()
    assert len(paths) > 5
    assert len({segment.first_payload(path) for path in paths}) == 1
    assert sorted(noted()) == sorted(ids)


def test_an_access_larger_than_a_segment_gets_a_larger_one(kind: str) -> None:
    box = an_outbox(segment_bytes=4096)
    ids = note(box, 1)
    large = {**an_access(), "message": "m" * 100_000}
    box.append(large)
    ids += [str(large["event_id"]), *note(box, 1)]
    box.close()
    assert sorted(noted()) == sorted(ids)


def test_what_json_does_not_know_is_noted_as_text() -> None:
    box = an_outbox()
    box.append({**an_access(), "message": Path("/x"), "url": "caf\udce9\0"})
    assert pending(box.folder) == 1
    box.close()


def test_a_record_is_noted_as_it_is() -> None:
    record = {**an_access(), "from_cache": True, "access_size": -1, "message": 'ü \U0001f600 \0 \\ "'}
    box = an_outbox()
    box.append({**record, "url": Path("/x")}, MappingProxyType({**record, "access_size": 1 << 70}))
    box.close()
    (path,) = Backlog(box.folder).segments()
    _, first, second = (
        json.loads(found.payload or b"") for found in segment.records(path, segment.HEADER, complete=True)
    )
    assert first == {**record, "url": "/x"}
    assert second == {**record, "access_size": 1 << 70}


def test_an_access_is_noted_even_if_its_run_cannot_be_described(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> dict[str, object]:
        raise RuntimeError("no idea")

    box = Outbox(settings().outbox_folder, OutboxSettings(), broken)
    note(box, 1)
    assert pending(box.folder) == 1
    assert "no idea" in caplog.text
    box.close()


def test_nobody_else_can_read_the_outbox() -> None:
    box = an_outbox()
    note(box, 1)
    assert box.folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in box.folder.iterdir()} == {0o600}
    box.close()


def test_threads_share_a_segment_and_lose_nothing(kind: str) -> None:
    box = an_outbox(segment_bytes=16384)
    ids: list[list[str]] = []
    threads = [threading.Thread(target=lambda: ids.append(note(box, 500))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    box.close()
    assert sorted(noted()) == sorted(each for some in ids for each in some)


def test_a_forked_child_has_a_segment_of_its_own_and_leaves_its_parents_alone(kind: str) -> None:
    printed = run(
        """
import readers.outbox
readers.outbox._mappable = lambda _: sys.argv[1] == "mapped"
def say(ids):
    os.write(1, (json.dumps(ids) + "\\n").encode())
first = [note() for _ in range(10)]
children = []
for _ in range(4):
    child = os.fork()
    if not child:
        say([note() for _ in range(10)])
        if os.fork() == 0:
            say([note() for _ in range(10)])
            os._exit(0)
        os.wait()
        os._exit(0)
    children.append(child)
say(first + [note() for _ in range(10)])
for child in children:
    os.waitpid(child, 0)
say([note()])
""",
        kind,
    )
    ids = listed(printed)
    assert len(ids) == 20 + 4 * 20 + 1
    assert sorted(noted()) == sorted(ids)
    assert len(Backlog(settings().outbox_folder).segments()) == 9


def test_a_fork_while_another_thread_appends_does_not_block_the_child() -> None:
    printed = run("""
stop = threading.Event()
ids = [note()]  # before the first fork: reading the settings is not safe against a fork by another thread
def busy():
    while not stop.is_set():
        ids.append(note())
threads = [threading.Thread(target=busy) for _ in range(3)]
for thread in threads:
    thread.start()
warnings.simplefilter("ignore")  # newer Pythons warn of forks with threads; that is what is tried here
for _ in range(30):
    if not (child := os.fork()):
        os.write(1, (json.dumps([note()]) + "\\n").encode())
        os._exit(0)
    os.waitpid(child, 0)
stop.set()
for thread in threads:
    thread.join()
os.write(1, (json.dumps(ids) + "\\n").encode())
""")
    assert sorted(noted()) == sorted(listed(printed))


def test_a_fork_that_tells_python_nothing_is_noticed() -> None:
    """C libraries fork without the hooks of the interpreter; two writers of a segment would overwrite each other."""
    printed = run("""
import ctypes
first = [note()]
child = ctypes.PyDLL(None).fork()
mine = [note() for _ in range(50)]
os.write(1, (json.dumps(mine if child == 0 else first + mine) + "\\n").encode())
if child == 0:
    os._exit(0)
os.waitpid(child, 0)
""")
    assert len(listed(printed)) == 101
    assert sorted(noted()) == sorted(listed(printed))


def test_a_signal_handler_that_reads_does_not_block_or_lose() -> None:
    printed = run("""
ids, late = [note()], []
def handler(*_):
    late.append(note())
    if len(late) < 200:
        signal.setitimer(signal.ITIMER_REAL, 0.0003)
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.0003)
while len(late) < 200:
    ids.append(note())
os.write(1, (json.dumps(ids + late) + "\\n").encode())
""")
    assert sorted(noted()) == sorted(listed(printed))


def test_reading_within_an_append_is_noted_behind_it() -> None:
    """What a signal handler or finaliser does at the worst moment, without waiting for one."""
    box = an_outbox()
    inner = an_access(1)

    original = segment.MappedSegment.append

    def interrupted(writer: segment.MappedSegment, payload: bytes) -> bool:
        if b"outer" in payload:
            box.append(inner)
        return original(writer, payload)

    note(box, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segment.MappedSegment, "append", interrupted)
        box.append(outer := {**an_access(), "message": "outer"})
    assert noted()[1:] == [outer["event_id"], inner["event_id"]]
    box.close()


def test_an_interrupted_append_leaves_the_outbox_usable() -> None:
    printed = run("""
class Interrupt(BaseException):
    pass
def interrupt(*_):
    raise Interrupt
signal.signal(signal.SIGALRM, interrupt)
kept, interrupts = [note()], 0
while interrupts < 200:
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0003)
        for _ in range(2000):  # not for ever: an exception that strikes within a finaliser is swallowed
            kept.append(note())
    except Interrupt:
        interrupts += 1
print(json.dumps(kept))
""")
    kept, found = listed(printed), noted()
    assert set(kept) <= set(found)  # an append that was interrupted may count
    assert len(found) == len(set(found)) <= len(kept) + 200


def test_a_process_that_ends_without_a_word_leaves_its_accesses() -> None:
    printed = run("print(json.dumps([note() for _ in range(5)]), flush=True); os._exit(0)")
    assert sorted(noted()) == sorted(listed(printed))
    assert not Backlog(settings().outbox_folder).in_use()


def test_a_process_that_ends_gives_back_the_room_that_it_did_not_use() -> None:
    run("note()")
    (path,) = Backlog(settings().outbox_folder).segments()
    assert path.stat().st_size < 8192


def test_new_settings_mean_another_outbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = outbox()
    assert outbox() is first
    note(first, 1)
    monkeypatch.setenv("DATA_PLATFORM_HOME", str(tmp_path / "other"))
    settings.cache_clear()
    second = outbox()
    assert second.folder == tmp_path / "other" / "outbox"
    assert not Backlog(first.folder).in_use()
    note(second, 1)
    assert (pending(first.folder), pending(second.folder)) == (1, 1)
    second.close()


def test_a_folder_that_cannot_be_made_warns_once_and_never_raises(caplog: pytest.LogCaptureFixture) -> None:
    """By a warning alone: what is logged besides would tell a user everything twice."""
    settings().home.mkdir()
    settings().outbox_folder.write_text("in the way")
    box = an_outbox()
    with pytest.warns(RuntimeWarning, match="could not be noted") as told:
        note(box, 5)
    assert len(told) == 1
    assert [record.levelno for record in caplog.records].count(logging.ERROR) == 0
    settings().outbox_folder.unlink()
    ids = note(box, 2)
    assert sorted(noted()) == sorted(ids)
    box.close()
    assert missed(box.folder) == 5


def test_a_read_goes_on_where_warnings_are_errors() -> None:
    settings().home.mkdir()
    settings().outbox_folder.write_text("in the way")
    box = an_outbox()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        note(box, 2)


def test_a_backlog_over_its_limit_is_reported_and_counted_and_goes_on_when_delivered() -> None:
    box = an_outbox(segment_bytes=4096, max_bytes=16384)
    with pytest.warns(RuntimeWarning, match=r"outbox\.max_bytes \(16384\).*data-platform flush") as told:
        note(box, 100)
    assert len(told) == 1
    kept = len(noted())
    assert 0 < kept < 100
    assert missed(box.folder) == 100 - kept
    assert sum(path.stat().st_size for path in box.folder.glob("*.segment")) <= 16384
    backlog = Backlog(box.folder)
    backlog.done(backlog.take(1000))
    backlog.sweep()
    ids = note(box, 10)
    assert sorted(noted()) == sorted(ids)
    assert missed(box.folder) == 100 - kept
    box.close()


def test_misses_of_several_processes_add_up() -> None:
    code = """
warnings.simplefilter("ignore")
for _ in range(100):
    note()
"""
    limits = {"DATA_PLATFORM_OUTBOX__MAX_BYTES": "4096", "DATA_PLATFORM_OUTBOX__SEGMENT_BYTES": "4096"}
    processes = [start(code, **limits) for _ in range(3)]
    for process in processes:
        _, err = process.communicate()
        assert process.returncode == 0, err
    folder = settings().outbox_folder
    assert missed(folder) > 200
    assert missed(folder) + pending(folder) == 300


def test_nothing_was_missed_in_a_folder_that_nobody_used() -> None:
    assert missed(settings().outbox_folder) == 0


def test_a_segment_is_alive_exactly_as_long_as_its_process() -> None:
    """However that ends, and whatever programs it started run on."""
    code = """
import subprocess
note()
program = subprocess.Popen(["sleep", "600"])
print(program.pid, flush=True)
time.sleep(600)
"""
    backlog = Backlog(settings().outbox_folder)
    with start(code) as process:
        assert process.stdout is not None
        program = int(process.stdout.readline())
        try:
            assert backlog.in_use()
            process.kill()
            process.wait()
            wait_for(lambda: not backlog.in_use(), "the end of the segment")
            os.kill(program, 0)  # still there
        finally:
            os.kill(program, signal.SIGKILL)


def test_settings_given_by_hand_are_those_of_the_outbox(tmp_path: Path) -> None:
    mine = load(home=tmp_path / "mine")
    box = Outbox(mine.outbox_folder, mine.outbox, dict)
    note(box, 1)
    assert pending(tmp_path / "mine" / "outbox") == 1
    box.close()
