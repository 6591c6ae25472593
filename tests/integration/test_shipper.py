"""The shipper process: comes by itself, delivers, never doubles, and leaves nothing behind."""

from __future__ import annotations

import itertools
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from readers_at_work import (
    PATIENCE_SECONDS,
    an_outbox,
    delivered,
    listed,
    no_shipper_left,
    note,
    run,
    shipper_of,
    shipper_runs,
    start,
    wait_for,
)

from data_platform.errors import DatabaseUnavailable, SettingsError
from data_platform.settings import Settings, load, settings
from readers import flush as flushing
from readers import launch, shipper
from readers.backlog import Backlog, prepare
from readers.launch import ShipperWatch
from readers.outbox import Outbox, pending
from readers.shipper import Limits, Shipper, ensure_shipper, flush
from schemas.binding import Binding, bind
from schemas.locks import is_locked
from schemas.sharing import Access

QUICK = Limits(idle=0.0, linger=600.0, give_up=0.3, poll=0.05, longest_delay=0.1)


@pytest.fixture
def folder(home: Path) -> Iterator[Path]:
    """The outbox; whatever shipper it has is ended with the test."""
    with no_shipper_left(home / "outbox"):
        yield home / "outbox"


on_postgresql = pytest.mark.parametrize("backend", ["postgresql"])


@pytest.fixture
def soon(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let shippers that nobody needs end soon."""
    monkeypatch.setenv("DATA_PLATFORM_OUTBOX__IDLE_SECONDS", "0.5")
    settings.cache_clear()


def count() -> int:
    return len(Access())


# --- as a process


@pytest.mark.usefixtures("soon")
def test_a_read_is_in_the_embedded_database_soon_and_nothing_is_left_behind(folder: Path, home: Path) -> None:
    """Nothing is configured, nobody flushes."""
    ids = listed(run("print(json.dumps([note() for _ in range(20)]))"))
    wait_for(lambda: pending(folder) == 0, "the delivery")
    wait_for(lambda: not shipper_runs(folder), "the end of the shipper")
    wait_for(lambda: not list(folder.glob("*.segment")), "the last segment's end")
    wait_for(lambda: not (home / "postgres" / "postmaster.pid").exists(), "the end of the database server")
    bind()
    assert sorted(delivered()) == sorted(ids)


@pytest.mark.usefixtures("soon")
def test_processes_that_start_at_once_share_one_shipper(binding: Binding, folder: Path) -> None:
    code = "ids = [note()]; print('ready', flush=True); sys.stdin.readline(); print(json.dumps(ids + [note()]))"
    processes = [start(code) for _ in range(4)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    wait_for(lambda: count() == 4, "the delivery of what living processes noted")
    assert len(shipper_of(folder)) == 1
    ids = []
    for process in processes:
        out, err = process.communicate("\n", timeout=PATIENCE_SECONDS)
        assert process.returncode == 0, err
        ids += listed(out)
    wait_for(lambda: count() == 8, "the delivery of the rest")
    wait_for(lambda: not shipper_runs(folder), "the end of the shipper")
    assert sorted(delivered()) == sorted(ids)
    assert (folder / "shipper.log").read_text().count("starts") == 1
    assert list(folder.glob("*.segment")) == []


@on_postgresql
def test_a_shipper_that_is_killed_again_and_again_loses_and_doubles_nothing(binding: Binding, folder: Path) -> None:
    box = an_outbox(segment_bytes=8192)
    ids = note(box, 300)
    box.close()
    one_by_one = settings().model_copy(update={"outbox": settings().outbox.model_copy(update={"batch_events": 1})})
    for _ in range(2):
        before = count()
        assert ensure_shipper(one_by_one)
        (running,) = shipper_of(folder)
        wait_for(lambda before=before: count() > before, "a delivery")  # type: ignore[misc]
        os.kill(running, signal.SIGKILL)
        wait_for(lambda: not shipper_runs(folder), "the end of the shipper")
    assert 2 <= count() < 300
    assert ensure_shipper(settings())
    wait_for(lambda: pending(folder) == 0, "the delivery of the rest")
    assert sorted(delivered()) == sorted(ids)


@on_postgresql
def test_a_running_process_starts_another_shipper_when_one_was_killed(
    binding: Binding, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "LOOK_SECONDS", 0.0)
    box = Outbox(folder, settings().outbox, dict, ShipperWatch(settings()))
    for round_ in (1, 2):
        note(box, 1)
        wait_for(lambda round_=round_: count() == round_, "the delivery")  # type: ignore[misc]
        (running,) = shipper_of(folder)
        os.kill(running, signal.SIGKILL)
        wait_for(lambda: not shipper_runs(folder), "the end of the shipper")
    box.close()


@on_postgresql
def test_flushing_beside_the_shipper_delivers_each_access_once(binding: Binding, folder: Path) -> None:
    box = an_outbox(segment_bytes=8192)
    ensure_shipper(settings())
    ids, flushed = [], 0
    for _ in range(20):
        ids += note(box, 20)
        flushed += flush()
    box.close()
    flushed += flush()
    assert flushed <= 400
    assert pending(folder) == 0
    assert sorted(delivered()) == sorted(ids)


@on_postgresql
def test_the_shipper_is_detached_from_who_started_it(binding: Binding, folder: Path) -> None:
    box = an_outbox()
    note(box, 1)  # keeps it running
    with (folder / "private").open("w"):
        assert ensure_shipper(settings())
        assert not ensure_shipper(settings()), "a second one"
        (running,) = map(psutil.Process, shipper_of(folder))
        assert running.ppid() != os.getpid()
        assert os.getsid(running.pid) != os.getsid(0)
        wait_for(lambda: pending(folder) == 0, "the delivery")
        assert running.cwd() == "/"
        files = {file.path for file in running.open_files()}
        assert str(folder / "shipper.lock") in files
        assert str(folder / "private") not in files
    assert (folder / "shipper.log").stat().st_mode & 0o777 == 0o600
    running.terminate()
    wait_for(lambda: not shipper_runs(folder), "the end of the shipper")
    assert (folder / "shipper.log").read_text().rstrip().endswith(f"Shipper {running.pid} ends")
    box.close()


def test_secrets_reach_the_shipper_unseen(home: Path, folder: Path) -> None:
    """Settings that came from anywhere, here from arguments, and a database that is not there."""
    canary = "canary-hunter2"
    database = {"backend": "postgresql", "host": "127.0.0.1", "port": 1, "password": canary}
    mine = load(home=home, database=database, store={"url": f"s3://bucket?secret={canary}"})
    box = Outbox(mine.outbox_folder, mine.outbox, dict)
    note(box, 1)
    assert ensure_shipper(mine)
    log = folder / "shipper.log"
    wait_for(lambda: "Accesses wait" in log.read_text(), "an attempt to deliver")
    (running,) = map(psutil.Process, shipper_of(folder))
    assert "127.0.0.1:1" in log.read_text(), "it did not get these settings"
    shown = [*running.cmdline(), *running.environ().values(), log.read_text()]
    assert not [text for text in shown if canary in text]
    assert launch._plain(mine)["database"]["password"] == canary  # type: ignore[index]
    box.close()


def test_a_shipper_whose_outbox_is_deleted_ends(home: Path, folder: Path) -> None:
    mine = load(home=home, database={"backend": "postgresql", "host": "127.0.0.1", "port": 1})
    box = Outbox(mine.outbox_folder, mine.outbox, dict)
    note(box, 1)
    assert ensure_shipper(mine)
    wait_for(lambda: "Accesses wait" in (folder / "shipper.log").read_text(), "an attempt to deliver")
    (running,) = shipper_of(folder)
    (folder / "shipper.lock").unlink()
    wait_for(lambda: not psutil.pid_exists(running) or psutil.Process(running).status() == "zombie", "its end")
    box.close()


@on_postgresql
@pytest.mark.usefixtures("soon")
def test_a_shipper_by_hand_does_not_run_beside_another(binding: Binding, folder: Path) -> None:
    prepare(folder)
    lock = shipper._take_lock(settings())
    said = run("from readers.shipper import main; sys.argv[1:] = []; main()", status=1)
    os.close(lock)
    assert said == ""
    ids = note(box := an_outbox(), 3)
    box.close()
    run("from readers.shipper import main; sys.argv[1:] = []; main()")
    assert sorted(delivered()) == sorted(ids)


def test_no_shipper_is_started_where_it_is_switched_off(home: Path, folder: Path) -> None:
    run("note()", DATA_PLATFORM_OUTBOX__SHIP="false")
    assert not ensure_shipper(load(home=home, outbox={"ship": False}))
    assert not (folder / "shipper.lock").exists()
    assert pending(folder) == 1


def test_a_shipper_that_cannot_be_started_breaks_no_read(
    home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("sys.executable", "/bin/true")
    monkeypatch.setattr("sys.prefix", "/nowhere")
    box = Outbox(folder, settings().outbox, dict, ShipperWatch(settings()))
    note(box, 2)
    assert pending(folder) == 2
    assert caplog.text.count("data-platform flush") == 1
    assert not shipper_runs(folder)
    box.close()


def test_one_that_does_not_last_is_started_less_and_less_often(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, starts = [1000.0], []

    def started(_: Settings) -> bool:
        starts.append(now[0])
        return True

    monkeypatch.setattr(launch, "start_shipper", started)
    monkeypatch.setattr(launch, "monotonic", lambda: now[0])
    watch = ShipperWatch(settings())
    for _ in range(3600):
        watch.look()
        now[0] += 1.0
    pauses = [later - earlier for earlier, later in itertools.pairwise(starts)]
    assert pauses[:7] == [5, 10, 20, 40, 80, 160, 240]
    assert set(pauses[7:]) == {240}


# --- its loop, in this process


def a_shipper(limits: Limits, mine: Settings | None = None, kind: type[Shipper] = Shipper) -> Shipper:
    mine = mine or settings()
    return kind(mine, shipper._take_lock(mine), limits)


def unreachable(home: Path) -> Settings:
    return load(home=home, database={"backend": "postgresql", "host": "127.0.0.1", "port": 1})


def test_it_gives_up_when_the_database_stays_away_and_nobody_reads(home: Path) -> None:
    mine = unreachable(home)
    ids = note(box := an_outbox(), 3)
    box.close()
    a_shipper(QUICK, mine).run()
    assert pending(mine.outbox_folder) == len(ids)
    with pytest.raises(DatabaseUnavailable, match="3 accesses wait"):
        flush(mine)


@on_postgresql
def test_it_waits_for_the_database_as_long_as_somebody_reads(
    binding: Binding, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = note(box := an_outbox(), 3)
    attempts = []
    original = flushing._deliver

    def away_at_first(*arguments: Any) -> int:
        attempts.append(1)
        if len(attempts) < 10:
            raise DatabaseUnavailable("away")
        box.close()
        return original(*arguments)

    monkeypatch.setattr(flushing, "_deliver", away_at_first)
    a_shipper(Limits(idle=0.0, give_up=0.0, poll=0.01, longest_delay=0.01)).run()
    assert len(attempts) == 10
    assert sorted(delivered()) == sorted(ids)


def test_it_ends_at_once_when_retrying_cannot_help(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def wrong(*_: Any) -> int:
        raise SettingsError("The port is wrong. Set it.")

    note(box := an_outbox(), 1)
    monkeypatch.setattr(flushing, "_deliver", wrong)
    a_shipper(Limits(idle=600, linger=600, give_up=600, poll=600)).run()
    assert "The port is wrong. Set it." in caplog.text
    assert pending(box.folder) == 1
    box.close()


@on_postgresql
def test_it_stays_as_long_as_somebody_reads_and_ends_soon_after(binding: Binding, home: Path) -> None:
    box = an_outbox()
    note(box, 1)
    code = """
from readers.shipper import Limits, Shipper, _take_lock
Shipper(settings(), _take_lock(settings()), Limits(idle=0.0, poll=0.02)).run()
"""
    with start(code) as process:
        for expected in (1, 2, 3):
            wait_for(lambda expected=expected: count() == expected, "the delivery")  # type: ignore[misc]
            note(box, 1)
        wait_for(lambda: count() == 4, "the last delivery")
        assert process.poll() is None
        box.close()
        process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0


@on_postgresql
def test_it_does_not_linger_for_ever_beside_an_idle_reader(binding: Binding, home: Path) -> None:
    box = an_outbox()
    ids = note(box, 1)
    a_shipper(Limits(idle=600, linger=0.2, poll=0.02)).run()
    assert sorted(delivered()) == sorted(ids)
    assert Backlog(box.folder).in_use()
    box.close()


@on_postgresql
def test_what_is_noted_while_it_makes_up_its_mind_to_end_is_delivered(binding: Binding, home: Path) -> None:
    box = an_outbox()
    ids: list[str] = []

    class Surprised(Shipper):
        def _serve(self) -> bool:
            idle = super()._serve()
            if len(ids) < 3:
                ids.extend(note(box, 1))
            return idle

    a_shipper(Limits(idle=0.0, linger=0.05, poll=0.01), kind=Surprised).run()
    assert len(ids) == 3
    assert sorted(delivered()) == sorted(ids)
    box.close()


def test_only_one_delivers_at_a_time(home: Path) -> None:
    """Between threads too: each asks with a descriptor of its own."""
    backlog = Backlog(home / "outbox")
    order: list[str] = []

    def second() -> None:
        with Backlog(home / "outbox").exclusively():
            order.append("second")

    with backlog.exclusively():
        assert is_locked(home / "outbox" / "deliver.lock")
        thread = threading.Thread(target=second)
        thread.start()
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert not is_locked(home / "outbox" / "deliver.lock")
