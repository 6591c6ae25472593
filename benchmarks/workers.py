"""Backups of small files by 1, 2, 4 and 8 worker processes, and how job queues are filled.

The store is a real S3 server behind a proxy that adds 20 ms to each request, as one in another
place would. The processes are those of a worker: they reserve jobs from the embedded database,
fetch files, store them verified and record where they are. A worker overlaps the requests of a
batch, so one process hides most of the latency already; what more processes bring is therefore
measured twice, with one request at a time in each process and as the product runs.

Then the scheduler's refresh of a queue is compared with DataJoint's own, on the same keys.

Run as ``python -m benchmarks.workers [--small]``. The last line is a JSON object:

``speedup_8``, ``overlapping_speedup_8``
    files per second of 8 processes over those of 1: one request at a time in each, and as the product runs
``alone_per_second``, ``overlapping_per_second``
    files per second of one process, one request at a time, and as the product runs
``refresh_speedup``
    DataJoint's refresh over ours, in time; the least of the numbers of keys
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks._latency import far_away
from benchmarks._servers import deployed, s3_server
from benchmarks._timing import machine, show
from benchmarks.ingest import fill, timed_flush, timed_ingest
from data_platform.settings import Settings, StoreSettings
from populate.backup import contents
from populate.backup.tables import Backup, Placement
from populate.ingest import Ingest
from populate.lookup import add
from populate.pipeline import bind_all
from populate.store import open_store
from populate.work.jobs import queues
from populate.work.queue import Queue
from readers.event import Consumer, access_record
from readers.file import FileSource
from readers.source import Login
from schemas.identity import identity
from schemas.sharing import AccessBatch

SECONDS = 0.020  # added to each request
PROCESSES = (1, 2, 4, 8)
OVERLAP = contents.THREADS  # requests at a time in a worker
FILE_BYTES = 4096
MANY = 5000  # rows in a statement
IN_A_BATCH = {1: 8, OVERLAP: 40}  # files, by requests at a time
FILES = {False: {1: 400, OVERLAP: 800}, True: {1: 24, OVERLAP: 80}}  # for each process, by requests at a time
KEYS = {False: (10_000, 100_000), True: (1_000, 2_000)}


class Hand(NamedTuple):
    """A worker process, and the pipe that it gets its orders through."""

    process: multiprocessing.process.BaseProcess
    orders: Connection


@contextmanager
def hands(settings: Settings, number: int) -> Iterator[list[Hand]]:
    """Run processes that are bound and have opened the store, for the length of a block."""
    context, found = multiprocessing.get_context("spawn"), []
    try:
        for _ in range(number):
            ours, theirs = context.Pipe()
            found.append(Hand(context.Process(target=_work, args=(settings, theirs), daemon=True), ours))
            found[-1].process.start()
        for hand in found:
            hand.orders.recv()
        yield found
    finally:
        for hand in found:
            hand.process.kill()
            hand.process.join()


def _work(settings: Settings, orders: Connection) -> None:
    """Work off backups whenever told to, with as many requests at a time as told."""
    bind_all(settings)
    queue = next(queue for queue in queues(settings) if queue.name == "Backup")
    with open_store(settings).writer(hashlib.sha256(b"").hexdigest(), 0) as writer:
        writer.commit()  # finds out what the server enforces
    orders.send(True)
    while True:
        contents.THREADS = orders.recv()
        while queue.run(1):
            pass
        orders.send(True)


def prepare(settings: Settings, files: int, in_a_batch: int, numbers: Iterator[int]) -> None:
    """Let somebody read so many new files, and ingest that."""
    outbox = settings.outbox.model_copy(update={"batch_events": in_a_batch})
    settings = settings.model_copy(update={"outbox": outbox})
    folder = settings.home / "files"
    folder.mkdir(exist_ok=True)
    fill(settings, (_read(settings, folder / str(next(numbers))) for _ in range(files)))
    timed_flush(settings)
    timed_ingest()
    Queue(Backup()).refresh()


def _read(settings: Settings, path: Path) -> dict[str, object]:
    data = os.urandom(FILE_BYTES)
    path.write_bytes(data)
    source = FileSource(settings)
    item = source.resolve(str(path))
    return access_record(
        Consumer(Login("example.org", "amy"), "setting"),
        url=path.as_uri(),
        function="read_file",
        item=item,
        source_kind="file",
        revision=source.revision(item).token,
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
    )


def backups(settings: Settings, small: bool) -> dict[int, dict[int, float]]:
    """Return files per second, by requests at a time and number of processes."""
    numbers = count()
    found: dict[int, dict[int, float]] = {}
    with hands(settings, max(PROCESSES)) as all_hands:
        for overlap, for_each in FILES[small].items():
            for processes in PROCESSES:
                files = for_each * processes
                prepare(settings, files, IN_A_BATCH[overlap], numbers)
                before = len(Placement())
                seconds = _timed(all_hands[:processes], overlap)
                if len(Placement()) - before != files:
                    raise RuntimeError("Files were not backed up, so the figures mean nothing.")
                found.setdefault(overlap, {})[processes] = files / seconds
                print(f"  {processes} processes, {overlap} at a time: {files / seconds:.0f} files/s", flush=True)
    return found


def _timed(some: list[Hand], overlap: int) -> float:
    begin = time.perf_counter()
    for hand in some:
        hand.orders.send(overlap)
    for hand in some:
        hand.orders.recv()
    return time.perf_counter() - begin


def refreshes(keys: int) -> tuple[float, float]:
    """Return the seconds that our refresh and DataJoint's own take for so many keys that have no job."""
    now = datetime(2026, 1, 1)
    missing = range(len(AccessBatch() - Ingest()), keys)
    for first in range(missing.start, missing.stop, MANY):
        add(AccessBatch, [_batch(number, now) for number in range(first, min(first + MANY, missing.stop))])
    queue, jobs = Queue(Ingest()), Ingest().jobs
    # Ours thrice, because a short time is more easily disturbed.
    ours = sorted(_refreshed(jobs, keys, queue.refresh) for _ in range(3))[1]
    theirs = _refreshed(jobs, keys, lambda: jobs.refresh()["added"])
    print(f"  {keys:,} keys: {ours:.2f} s, DataJoint's own {theirs:.2f} s", flush=True)
    return ours, theirs


def _refreshed(jobs: Any, keys: int, refresh: Callable[[], int]) -> float:
    """Return the seconds that a refresh takes which has to add all jobs; they are removed again."""
    begin = time.perf_counter()
    added = refresh()
    seconds = time.perf_counter() - begin
    jobs.delete_quick()
    if added != keys:
        raise RuntimeError("Jobs are missing, so the figures mean nothing.")
    return seconds


def _batch(number: int, now: datetime) -> dict[str, object]:
    key = identity("refresh", str(number))
    return {"batch_id": key, "access_count": 1, "delivered_at": now, "delivered_from": "benchmark"}


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="ends within 40 seconds")
    small = parser.parse_args().small
    with (
        tempfile.TemporaryDirectory(prefix="benchmark-") as folder,
        s3_server(Path(folder)) as (server, kind),
        far_away(server.endpoint, SECONDS) as endpoint,
        deployed("postgresql", Path(folder)) as (_, plain),
    ):
        print(f"{kind}, {1000 * SECONDS:.0f} ms away; {machine()}", flush=True)
        store = {"url": "s3://backup/here", "endpoint": endpoint}
        keys = {"access_key": server.access_key, "secret_key": server.secret_key}
        settings = plain.model_copy(update={"store": StoreSettings.model_validate({**store, **keys})})
        speeds = backups(settings, small)
        times = {keys: refreshes(keys) for keys in KEYS[small]}
    report(speeds, times)


def report(speeds: dict[int, dict[int, float]], times: dict[int, tuple[float, float]]) -> None:
    """Print tables and the JSON object."""
    head = ["processes", *(f"{overlap} at a time, files/s" for overlap in speeds), *(f"x{o}" for o in speeds)]
    rows = [
        [str(n), *(f"{by[n]:.0f}" for by in speeds.values()), *(f"{by[n] / by[1]:.2f}" for by in speeds.values())]
        for n in PROCESSES
    ]
    show("backups of small files", head, rows)
    figures = {
        "speedup_8": round(speeds[1][8] / speeds[1][1], 2),
        "overlapping_speedup_8": round(speeds[OVERLAP][8] / speeds[OVERLAP][1], 2),
        "alone_per_second": round(speeds[1][1], 1),
        "overlapping_per_second": round(speeds[OVERLAP][1], 1),
        "refresh_speedup": round(min(theirs / ours for ours, theirs in times.values()), 1),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
