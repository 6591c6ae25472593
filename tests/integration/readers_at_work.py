"""Processes that note down accesses, for tests of what becomes of these."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from data_platform.settings import OutboxSettings, settings
from readers.backlog import Backlog
from readers.event import access_record, consumer
from readers.outbox import Outbox
from readers.run import run_record
from readers.segment import HEADER, alive, records
from schemas.locks import is_locked
from schemas.sharing import Access, AccessBatch, AccessRun

PATIENCE_SECONDS = 120.0

PRELUDE = """
import json, os, signal, sys, threading, time, warnings
from data_platform.settings import settings
from readers.event import access_record, consumer
from readers.outbox import missed, outbox, pending

def note(number=0):
    record = access_record(consumer(settings(), None), url=f"file:///data/{number}", function="read")
    outbox().append(record)
    return record["event_id"]
"""


def an_access(number: int = 0) -> dict[str, object]:
    """Return the record of an access, each with an identity of its own."""
    return access_record(consumer(settings(), None), url=f"file:///data/{number}", function="read")


def an_outbox(**options: object) -> Outbox:
    """Return an outbox of the home in force, which starts no shipper."""
    return Outbox(settings().outbox_folder, OutboxSettings.model_validate(options), run_record)


def note(box: Outbox, count: int) -> list[str]:
    """Note down `count` accesses; return their ids."""
    records = [an_access(number) for number in range(count)]
    for record in records:
        box.append(record)
    return [str(record["event_id"]) for record in records]


def start(code: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start a Python process that runs `code` after `PRELUDE`; it may be talked to."""
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + code, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )


def run(code: str, *arguments: str, status: int = 0, **environment: str) -> str:
    """Run such a process to its end; return what it printed."""
    with start(code, *arguments, **environment) as process:
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == status, err
    return out


def listed(printed: str) -> list[str]:
    """Return the ids that a process printed, a JSON list a line."""
    return [each for line in printed.splitlines() for each in json.loads(line)]


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Poll until `condition` holds."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen in time"
        time.sleep(0.05)


def noted(folder: Path | None = None) -> list[str]:
    """Return the ids of the accesses that wait in the outbox, those of a segment in their order."""
    backlog = Backlog(folder or settings().outbox_folder)
    done = backlog._load().delivered
    return [
        json.loads(record.payload)["event_id"]
        for path in backlog.segments()
        for record in records(path, done.get(path.name, HEADER), complete=not alive(path))
        if record.payload is not None and record.start != HEADER
    ]


def delivered() -> list[str]:
    """Return the ids of the accesses in the database, having checked that their batches and runs are whole."""
    rows = Access.to_dicts()
    batches = {row["batch_id"]: row["access_count"] for row in AccessBatch.to_dicts()}
    assert batches == Counter(row["batch_id"] for row in rows)
    runs = {(row["batch_id"], row["execution_id"]) for row in AccessRun.to_dicts()}
    assert runs == {(row["batch_id"], row["execution_id"]) for row in rows}
    return [row["event_id"] for row in rows]


def shipper_runs(folder: Path | None = None) -> bool:
    """Tell whether the outbox has a shipper."""
    return is_locked((folder or settings().outbox_folder) / "shipper.lock")


@contextmanager
def no_shipper_left(folder: Path) -> Iterator[None]:
    """See to it that no shipper outlives the block: it ends when its lock is gone."""
    try:
        yield
    finally:
        wait_for_end = shipper_of(folder)
        (folder / "shipper.lock").unlink(missing_ok=True)
        wait_for(lambda: not any(map(_runs, wait_for_end)), "the end of the shipper")


def shipper_of(folder: Path) -> list[int]:
    """Return the process ids of the shippers that hold the lock file of this outbox open."""
    return [process.pid for process in psutil.process_iter() if _ships(process, folder)]


def _ships(process: psutil.Process, folder: Path) -> bool:
    try:
        *_, code, _, lock = ("", "", "", *process.cmdline())
        held = Path(f"/proc/{process.pid}/fd/{lock}")
        return code.endswith("main()") and str(held.readlink()).startswith(str(folder / "shipper.lock"))
    except (psutil.Error, OSError):
        return False


def _runs(process: int) -> bool:
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
