"""Workers of which some see a share and others do not: these leave its batches to those, for as long as it takes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import pytest
from deliveries import contents, hand_in, read_file

from data_platform.settings import settings
from populate.adopt import plan as adopt_plan
from populate.adopt.progress import Lines
from populate.adopt.share import Adopted, adopt
from populate.adopt.tables import Adopt, AdoptBatch, AdoptFailure
from populate.backup.tables import Backup
from populate.watch.status import queue_states
from populate.work.jobs import queues, work
from populate.work.queue import Queue, State, Urgency
from populate.work.worker import run_worker
from schemas.binding import Binding
from schemas.catalogue import SourceSystem, Version

PATIENCE = 240.0
FILES, BATCHES = 12, 6
WAITING = State("Adopt", waiting=BATCHES, in_hand=0, failed=0, stuck=0, oldest_seconds=0.0)


@pytest.fixture
def share(tmp_path: Path) -> Path:
    folder = tmp_path / "share"
    folder.mkdir()
    for number in range(FILES):
        (folder / f"{number}.csv").write_text(f"{number}\n")
    return folder


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Return a function that makes this the machine of a name, as a container is told by the setting."""

    def move(host: str) -> None:
        monkeypatch.setenv("DATA_PLATFORM_FILE__HOST", host)
        settings.cache_clear()

    yield move
    settings.cache_clear()


def plan(share: Path, monkeypatch: pytest.MonkeyPatch) -> Adopted:
    """Plan a back-fill and leave it to workers."""
    monkeypatch.setattr(adopt_plan, "MEMBERS", FILES // BATCHES)
    return adopt(share, work=False, progress=Lines(StringIO()))


def waiting() -> State:
    """Return how much of it waits, whenever that began."""
    (state,) = (state for state in queue_states() if state.table == "Adopt")
    return state._replace(oldest_seconds=0.0)


@contextmanager
def a_worker(host: str, folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Run a worker that stays, on a machine of that name; what it says goes to a file."""
    environment = os.environ | {"DATA_PLATFORM_FILE__HOST": host, "DATA_PLATFORM_HOME": str(folder / host)}
    log = folder / f"{host}.log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "populate.work.worker"]
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            yield process, log
        finally:
            process.kill()
            process.wait()


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


@pytest.mark.timeout(900)
def test_who_does_not_see_the_share_leaves_it_to_who_does(
    binding: Binding, share: Path, tmp_path: Path, on: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    on("lab")
    assert plan(share, monkeypatch).left == len(AdoptBatch()) == BATCHES
    monkeypatch.setenv("DATA_PLATFORM_STORE__URL", str(tmp_path / "store"))
    with a_worker("desk", tmp_path) as (process, log):
        wait_until(lambda: "left to other workers" in log.read_text() and waiting() == WAITING, process, log)
        on("lab")
        assert run_worker(settings(), once=True).failed_jobs == 0
        assert (len(Adopt()), len(Version()), len(AdoptFailure())) == (BATCHES, FILES, 0)
        assert process.poll() is None
        assert log.read_text().count("left to other workers") == 1  # it asked, and did not try
    assert contents(SourceSystem) == {"SourceSystem": [("file/lab", "file")]}


def test_a_worker_that_is_alone_and_does_not_see_the_share_ends_and_spoils_nothing(
    binding: Binding, share: Path, on: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    on("lab")
    plan(share, monkeypatch)
    on("desk")
    for processes in (1, 2):
        assert run_worker(settings(), once=True, processes=processes).failed_jobs == 0
    assert waiting() == WAITING
    assert set(Adopt().jobs.to_arrays("priority").tolist()) == {Urgency.BACK_FILL}
    on("lab")
    assert adopt(share, progress=Lines(StringIO())).taken == FILES


@pytest.mark.parametrize("backend", ["postgresql"])
def test_what_waits_for_others_does_not_keep_a_worker_busy_or_from_other_work(
    binding: Binding, share: Path, tmp_path: Path, on: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    on("lab")
    plan(share, monkeypatch)
    on("desk")
    lines = queues(settings())
    for queue in lines:
        queue.refresh()
    assert [work(lines) for _ in range(20)] == [0] * 20
    (tmp_path / "own.csv").write_text("own")
    hand_in(binding, [read_file(tmp_path / "own.csv")])
    run_worker(settings(), once=True)
    assert (len(Backup()), len(Version())) == (1, 1)
    assert waiting() == WAITING


@pytest.mark.parametrize("backend", ["postgresql"])
def test_a_share_that_goes_away_under_a_batch_costs_it_nothing(
    binding: Binding, share: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan(share, monkeypatch)
    queue = Queue(Adopt(), Urgency.BACK_FILL)
    queue.refresh()
    assert queue.run(1) == 1
    share.rename(share.with_name("unmounted"))
    assert queue.run(1) == 1  # it was there a moment ago
    queue.clean()
    assert [queue.run(1) for _ in range(10)] == [0] * 10
    assert waiting() == WAITING._replace(waiting=BATCHES - 1)
    assert set(Adopt().jobs.to_arrays("priority").tolist()) == {Urgency.BACK_FILL}
    share.with_name("unmounted").rename(share)
    assert run_worker(settings(), once=True).failed_jobs == 0
    assert (len(Adopt()), len(AdoptFailure())) == (BATCHES, 0)


@pytest.mark.parametrize("backend", ["postgresql"])
def test_adopt_itself_ends_when_the_share_goes_away(
    binding: Binding, share: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Unmounting(Lines):
        """Takes the share away once everything is planned."""

        def taken(self, files: int, total: int) -> None:
            if share.exists():
                share.rename(share.with_name("unmounted"))

    monkeypatch.setattr(adopt_plan, "MEMBERS", FILES // BATCHES)
    done = adopt(share, progress=Unmounting(StringIO()))
    assert (done.taken, done.left, done.failed, done.stopped) == (0, BATCHES, 0, False)
    share.with_name("unmounted").rename(share)
    assert adopt(share, progress=Lines(StringIO())).taken == FILES
