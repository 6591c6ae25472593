"""Two readers, a worker and a dashboard on one home at once: none stops the database under another."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
PROGRAM = [sys.executable, "-m", "data_platform"]
# Says each read in a file that a kill cannot take back, as a scientist who has got the path.
READER = """
import sys, time
from pathlib import Path
from data_platform import read
folder, said, stop = map(Path, sys.argv[1:])
number = 0
with said.open("ab", buffering=0) as out:
    while not stop.exists():
        number += 1
        file = folder / f"{said.name} {number % 7}.csv"
        file.write_text(f"{number}")
        assert read(file).read_text() == f"{number}"
        out.write(b"read\\n")
"""
# What the pages of a dashboard do between two clicks, in a process of its own.
DASHBOARD = """
import sys, time
from pathlib import Path
from dashboard.queries import files as queries
from dashboard.catalogue import Catalogue
from data_platform.settings import settings
from populate.pipeline import bind_all
said, stop = map(Path, sys.argv[1:])
known = Catalogue(bind_all(settings()))
with said.open("ab", buffering=0) as out:
    while not stop.exists():
        known.figures.latest()
        known.ask(queries.files)
        out.write(b"shown\\n")
"""


@contextmanager
def started(*command: str | Path, account: str = "") -> Iterator[subprocess.Popen[str]]:
    env = os.environ | ({"DATA_PLATFORM_ACCOUNT": account} if account else {})
    with subprocess.Popen([*map(str, command)], env=env, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def lines(file: Path) -> int:
    return len(file.read_bytes().splitlines()) if file.exists() else 0


def ended(process: subprocess.Popen[str]) -> None:
    _, told = process.communicate(timeout=600)
    assert process.returncode == 0, told


def test_all_at_once_on_one_home(home: Path, tmp_path: Path) -> None:
    amy, colin, shown, stop = (tmp_path / name for name in ("amy", "colin", "shown", "stop"))
    python = (sys.executable, "-c")
    with (
        started(*PROGRAM, "worker") as worker,
        started(*python, READER, tmp_path, amy, stop, account="amy") as first,
        started(*python, READER, tmp_path, colin, stop, account="colin") as second,
        started(*python, DASHBOARD, shown, stop) as dashboard,
    ):
        wait_until(lambda: min(map(lines, (amy, colin, shown))) >= 3)
        assert [process.poll() for process in (worker, first, second, dashboard)] == [None] * 4
        first.kill()  # it may hold the database that it has started, and its outbox is not empty
        first.wait()
        _go_on(colin, shown)
        worker.send_signal(signal.SIGTERM)
        ended(worker)
        _go_on(colin, shown)
        stop.touch()
        ended(second)
        ended(dashboard)
    _all_is_there(amy, colin)
    wait_until(lambda: not list(home.rglob("postmaster.pid")))  # whoever was last stopped it


def _go_on(*said: Path) -> None:
    before = [lines(file) for file in said]
    wait_until(lambda: all(lines(file) >= count + 3 for file, count in zip(said, before, strict=True)))


def _all_is_there(amy: Path, colin: Path) -> None:
    """What was read is in the catalogue, and one read at most more: that which the kill interrupted."""
    for verb in (["flush"], ["worker", "--once"]):
        subprocess.run([*PROGRAM, *verb], check=True, capture_output=True, timeout=600)
    told = json.loads(subprocess.run([*PROGRAM, "status", "--json"], check=True, capture_output=True).stdout)
    assert 0 <= told["accesses"] - lines(amy) - lines(colin) <= 1
    assert told["outbox_pending"] == told["backups_failed"] == 0
