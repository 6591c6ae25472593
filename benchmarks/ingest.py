"""Accesses per second from the outbox to typed tables, and what batches save over one row per ``make()``.

Everything is real: the outbox, its delivery, the embedded database with its fsyncs, DataJoint's
job reservation, one worker. For the comparison the same table works off batches of a single
access, as a table with one row per ``make()`` would.

Run as ``python -m benchmarks.ingest [--small]``. The last line is a JSON object:

``rows_per_second``
    accesses per second, delivery and ingest together
``deliver_per_second``, ``ingest_per_second``
    each alone
``speedup_over_row_makes``
    ingest of one access alone over ingest of one access in a batch, in time
``row_make_milliseconds``
    ingest of one access alone
``typed_rows``
    rows that were made of the accesses
``peak_mib``, ``early_peak_mib``
    most memory of the process at the end, and after a tenth of the deliveries
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from data_platform.settings import Settings, load
from populate.ingest import BackupMember, Ingest
from populate.pipeline import bind_all
from populate.work.queue import Queue
from readers.event import Consumer, access_record
from readers.outbox import Outbox
from readers.run import run_record
from readers.shipper import flush
from readers.source import Item, Login
from schemas.binding import unbind
from schemas.catalogue import Blob, File, FileName, FileOwner, Version
from schemas.embedded import EmbeddedServer
from schemas.identity import identity
from schemas.people import Account
from schemas.sharing import Access, ShareEdge

SIZES = {False: (1_000_000, 100_000, 500), True: (5_000, 1_000, 60)}  # accesses, files, single accesses
PEOPLE = 200
DAYS = 30
FIRST_DAY = datetime(2026, 1, 1)
TYPED = (Account, File, FileName, FileOwner, Blob, Version, ShareEdge, BackupMember)


def records(seed: int, accesses: int, files: int, prefix: str) -> Iterator[dict[str, object]]:
    """Yield reads of `files` files by `PEOPLE` people on `DAYS` days."""
    chance = random.Random(seed)
    for number in range(accesses):
        file = number if number < files else chance.randrange(files)
        path = f"/srv/{prefix}/group {file % 97}/run {file % 1009}/measurement {file}.parquet"
        owner = Login("example.org", f"person{file % PEOPLE}@example.org")
        record = access_record(
            Consumer(Login("example.org", f"person{chance.randrange(PEOPLE)}@example.org"), "setting"),
            url=f"file://{path}",
            function="read_file",
            item=Item(f"nfs/filer/{prefix}", path, path.rpartition("/")[2], path, f"file://{path}", owner=owner),
            source_kind="file",
            revision=f"{file:x}-{number // max(files, accesses // 3):x}",
            sha256=identity("benchmark", str(file)) * 2,
            size=1000 + file,
        )
        day = FIRST_DAY + timedelta(days=chance.randrange(DAYS), seconds=number % 86_400)
        yield record | {"accessed_at": day.isoformat()}


def fill(settings: Settings, notes: Iterator[dict[str, object]]) -> None:
    """Note accesses down as readers do."""
    outbox = Outbox(settings.outbox_folder, settings.outbox, run_record)
    for record in notes:
        outbox.append(record)
    outbox.close()


def timed_flush(settings: Settings) -> tuple[int, float]:
    """Deliver what waits; return the number of accesses, and seconds."""
    start = time.perf_counter()
    delivered = flush(settings)
    return delivered, time.perf_counter() - start


def timed_ingest() -> tuple[int, float]:
    """Work off every delivery; return their number, and seconds."""
    start = time.perf_counter()
    queue = Queue(Ingest())
    batches = queue.refresh()
    while queue.run(20):
        pass
    if queue.failed():
        raise RuntimeError(f"{queue.failed()} batches failed: {queue.table.jobs.errors.to_dicts(limit=1)}")
    return batches, time.perf_counter() - start


def peak_mib() -> float:
    """Return the most memory that this process has ever held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak) / (1024**2 if sys.platform == "darwin" else 1024)


@dataclass
class Batched:
    """Accesses worked off in batches."""

    accesses: int = 0
    deliver_seconds: float = 0.0
    ingest_seconds: float = 0.0
    early_peak: float = 0.0

    def run(self, settings: Settings, accesses: int, files: int) -> None:
        """Deliver and ingest in ten rounds, so that growth of memory or time would show."""
        notes = records(1, accesses, files, "batched")
        for part in range(10):
            fill(settings, (next(notes) for _ in range(accesses // 10)))
            delivered, seconds = timed_flush(settings)
            self.accesses += delivered
            self.deliver_seconds += seconds
            self.ingest_seconds += timed_ingest()[1]
            self.early_peak = self.early_peak or peak_mib()
            print(f"{self.accesses:>9,} accesses, {peak_mib():.0f} MiB, part {part + 1} of 10", flush=True)


def alone(settings: Settings, accesses: int) -> float:
    """Return the seconds that ``make()`` takes for an access that is a batch of its own."""
    single = settings.model_copy(update={"outbox": settings.outbox.model_copy(update={"batch_events": 1})})
    fill(single, records(2, accesses, accesses, "alone"))
    flush(single)
    batches, seconds = timed_ingest()
    return seconds / batches


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="ends within 40 seconds")
    accesses, files, singles = SIZES[parser.parse_args().small]
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        settings = load(home=Path(folder) / "home")
        try:
            bind_all(settings)
            print(json.dumps(measured(settings, accesses, files, singles)))
        finally:
            unbind()
            EmbeddedServer(settings.home).remove()


def measured(settings: Settings, accesses: int, files: int, singles: int) -> dict[str, float]:
    """Return the figures."""
    batched = Batched()
    batched.run(settings, accesses, files)
    if len(Access()) != accesses or len(File()) != files:
        raise RuntimeError("Accesses or files are missing, so the figures mean nothing.")
    typed_rows = sum(len(table()) for table in TYPED)
    row_seconds = alone(settings, singles)
    return {
        "accesses": accesses,
        "files": files,
        "typed_rows": typed_rows,
        "rows_per_second": round(accesses / (batched.deliver_seconds + batched.ingest_seconds)),
        "deliver_per_second": round(accesses / batched.deliver_seconds),
        "ingest_per_second": round(accesses / batched.ingest_seconds),
        "row_make_milliseconds": round(1000 * row_seconds, 2),
        "speedup_over_row_makes": round(row_seconds * accesses / batched.ingest_seconds, 1),
        "early_peak_mib": round(batched.early_peak, 1),
        "peak_mib": round(peak_mib(), 1),
    }


if __name__ == "__main__":
    main()
