"""What a logged read costs on the caller's path, beside the same read without logging.

The read is that of a warm cache, where the cost shows most. The two kinds take turns. The
database is not involved: nothing on the caller's path touches it (`one-row insert` shows
what that would cost). The shipper is off, so that its work on the same cores does not count
as the caller's.

Run as ``python -m benchmarks.read_overhead [--small]``. The last line is a JSON object:

``added_median_ms``, ``added_p99_ms``
    median (99th percentile) of logged reads less that of reads that are not logged
``added_calm_p99_ms``
    the same of reads during which the kernel did not hand the core to somebody else, which on
    a loaded machine is what the 99th percentile shows
``busy_WHAT_median_ms``, ``busy_WHAT_p99_ms``
    beside a thread that keeps the interpreter busy: ``note`` (make a record and append it),
    ``append`` (a record that is made), ``dumps`` (`json.dumps` of it)
``mlflow_log_input_ms``, ``one_row_insert_ms``, ``note_ms``
    medians side by side: MLflow on its file store, an insert into the embedded PostgreSQL, ours
``memory_growth_kib``
    of the process over all logged reads
``hit_KIND_ms``, ``hit_over_filecache_KIND``
    a warm cache hit and its ratio to that of fsspec's filecache, for files of 1 KB, 1 MB, 100 MB
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks._timing import Times, interleaved, machine, show
from data_platform.settings import settings
from readers import reading
from readers.event import Handed, access_payload, access_record, consumer
from readers.outbox import outbox
from readers.source import Item, Login

Figures = dict[str, float]
FILES = 100
SIZES = {"1KB": 1_000, "1MB": 1_000_000, "100MB": 100_000_000}


@dataclass(frozen=True)
class Rounds:
    """How often each thing is done."""

    reads: int
    notes: int
    inserts: int
    hits: int


FULL = Rounds(reads=10_000, notes=10_000, inserts=500, hits=2_000)
SMALL = Rounds(reads=1_500, notes=1_000, inserts=40, hits=200)


class _Unlogged(reading._Reading):
    """The same read without the record."""

    def note(self, outcome: object) -> None:
        pass


def read_unlogged(path: Path) -> Path:
    """Do all that `readers.reading.read` does but for noting it down."""
    logged = reading._Reading
    reading._Reading = _Unlogged  # type: ignore[misc]
    try:
        return reading.read(path)
    finally:
        reading._Reading = logged  # type: ignore[misc]


def an_item(number: int) -> Item:
    """Return what a source says of a file on a share."""
    path = f"/srv/share/group 7/run {number}/measurement.parquet"
    return Item(
        "nfs/filer/export", path, "measurement.parquet", path, f"file://{path}", owner=Login("local", "brendan")
    )


HANDED: Handed = ("file", "5b8f-1c2b", "ab" * 32, 1000, True, "")


def an_access(item: Item) -> dict[str, object]:
    """Return the record that a read of it leaves, of about 500 bytes."""
    kind, revision, sha256, size, from_cache, _ = HANDED
    facts = {"source_kind": kind, "revision": revision, "sha256": sha256, "size": size, "from_cache": from_cache}
    return access_record(consumer(settings(), None), url=item.url, function="read_file", item=item, **facts)  # type: ignore[arg-type]


def note(item: Item) -> None:
    """Do what a read does for the record."""
    outbox().append(access_payload(consumer(settings(), None), item.url, "read_file", item, HANDED))


def read_overhead(folder: Path, rounds: Rounds) -> Figures:
    """Logged against unlogged reads, and what all of them leave in memory."""
    paths = [folder / f"file {number}.csv" for number in range(FILES)]
    for path in paths:
        path.write_text(f"{path}\n" * 20)
        reading.read(path)
    work: dict[str, Callable[[int], object]] = {
        "logged": lambda number: reading.read(paths[number % FILES]),
        "not logged": lambda number: read_unlogged(paths[number % FILES]),
    }
    interleaved(work, 200)
    before = psutil.Process().memory_info().rss
    times = interleaved(work, rounds.reads)
    grown = (psutil.Process().memory_info().rss - before) / 1024
    added = {
        "added_median_ms": times["logged"].median - times["not logged"].median,
        "added_p99_ms": times["logged"].p99 - times["not logged"].p99,
        "added_calm_p99_ms": times["logged"].calm_p99 - times["not logged"].calm_p99,
    }
    rows: list[tuple[object, ...]] = [(name, each.median, each.p99, each.calm_p99) for name, each in times.items()]
    rows.append(("added", *added.values()))
    head = ("", "median ms", "p99 ms", "p99 ms where other processes did not get in between")
    show(f"{rounds.reads:,} reads of a warm cache", head, rows)
    print(f"  memory of the process grew by {grown:,.0f} KiB")
    return {**added, "memory_growth_kib": grown}


def beside_busy_thread(rounds: Rounds) -> Figures:
    """Noting down against `json.dumps` while another thread never gives the interpreter away."""
    warm = [an_item(number) for number in range(FILES)]
    cold = [an_item(number) for number in range(FILES, FILES + rounds.notes + 100)]
    record = an_access(warm[0])
    payload = json.dumps(record, separators=(",", ":")).encode()
    work: dict[str, Callable[[int], object]] = {
        "note": lambda number: note(warm[number % FILES]),
        "note_first": lambda number: note(cold[number]),
        "append": lambda _: outbox().append(payload),
        "dumps": lambda _: json.dumps(record),
    }
    with _busy_thread():
        times = interleaved(work, rounds.notes, 100)
    told = {
        "note": "note down a read, as of a warm cache",
        "note_first": "note down the first read of a file in this process",
        "append": "of that, append a record",
        "dumps": "json.dumps of a record",
    }
    rows = [(told[name], each.median, each.p99) for name, each in times.items()]
    show("Beside a thread that keeps the interpreter busy", ("", "median ms", "p99 ms"), rows)
    return {
        f"busy_{name}_{kind}_ms": value
        for name, each in times.items()
        for kind, value in (("median", each.median), ("p99", each.p99))
    }


@contextmanager
def _busy_thread() -> Iterator[None]:
    stop = False

    def spin() -> None:
        while not stop:
            pass

    thread = threading.Thread(target=spin)
    thread.start()
    try:
        yield
    finally:
        stop = True
        thread.join()


def side_by_side(folder: Path, rounds: Rounds) -> Figures:
    """What else would note a read: MLflow, or a row in the database at once."""
    warm = [an_item(number) for number in range(FILES)]
    ours = interleaved({"note": lambda number: note(warm[number % FILES])}, rounds.notes)["note"]
    insert = _one_row_inserts(rounds.inserts)
    mlflow = _mlflow_inputs(folder, rounds.inserts)
    others: list[tuple[str, Times | None]] = [
        ("one-row insert, embedded PostgreSQL", insert),
        ("mlflow.log_input, file store", mlflow),
    ]
    rows = [("note down", ours.median, ours.p99, "1")]
    rows += [(name, each.median, each.p99, f"{each.median / ours.median:,.0f}") for name, each in others if each]
    show("Side by side", ("", "median ms", "p99 ms", "times ours"), rows)
    figures = {"note_ms": ours.median, "one_row_insert_ms": insert.median}
    return figures | ({"mlflow_log_input_ms": mlflow.median} if mlflow else {})


def _one_row_inserts(count: int) -> Times:
    """Insert accesses into the embedded database, a row and a commit each."""
    from readers.backlog import Noted
    from readers.delivery import _entries, _insert_batch
    from schemas.binding import bind, unbind
    from schemas.embedded import EmbeddedServer
    from schemas.sharing import Access

    def entry(number: int):  # type: ignore[no-untyped-def]
        return _entries([Noted("benchmark", number, json.dumps(an_access(an_item(number))).encode(), b"")], print)[0]

    binding = bind()
    try:
        batch = {"batch_id": "0" * 32, "access_count": 1, "delivered_from": "benchmark"}
        first = entry(0)
        batch["delivered_at"] = first.row["accessed_at"]
        _insert_batch(binding, batch, [first])
        rows = [{**entry(number).row, "batch_id": batch["batch_id"]} for number in range(count + 10)]
        return interleaved({"insert": lambda number: Access.insert1(rows[number])}, count, 10)["insert"]
    finally:
        unbind()
        EmbeddedServer(settings().home).remove()


def _mlflow_inputs(folder: Path, count: int) -> Times | None:
    """Log inputs of a run on MLflow's file store; nothing if MLflow is not installed."""
    os.environ.update(MLFLOW_ALLOW_FILE_STORE="true", MLFLOW_DISABLE_TELEMETRY="true", GIT_PYTHON_REFRESH="quiet")
    try:
        import mlflow
        from mlflow.data.http_dataset_source import HTTPDatasetSource
        from mlflow.data.meta_dataset import MetaDataset
    except ImportError:
        print("\nMLflow is not installed: pip install mlflow-skinny")
        return None

    def log_input(number: int) -> None:
        source = HTTPDatasetSource(f"https://example.org/{number}.csv")  # type: ignore[no-untyped-call]
        mlflow.log_input(MetaDataset(source, name=f"file {number}", digest="ab" * 16))  # type: ignore[abstract]

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    mlflow.set_tracking_uri(f"file://{folder}/mlruns")
    mlflow.set_experiment("reads")
    with mlflow.start_run():
        return interleaved({"log_input": log_input}, count, 5)["log_input"]


def cache_hits(folder: Path, rounds: Rounds) -> Figures:
    """Open a file through a warm cache: ours, logging it, against fsspec's, which logs nothing."""
    rows: list[tuple[object, ...]] = []
    figures: Figures = {}
    for kind, size in SIZES.items():
        times = _hits(folder, kind, size, rounds.hits)
        if not times:
            print("\nfsspec is not installed: pip install fsspec")
            return {}
        ours = times["ours"].median
        figures |= {f"hit_{kind}_ms": ours, f"hit_over_filecache_{kind}": ours / times["checked"].median}
        unchecked = times["unchecked"].median
        rows.append((kind, ours, times["checked"].median, f"{figures[f'hit_over_filecache_{kind}']:.2f}", unchecked))
    head = ("file of", "ours ms", "filecache ms", "ratio", "filecache that never asks the source ms")
    show("A hit in a warm cache, opened (ours is logged too)", head, rows)
    return figures


def _hits(folder: Path, kind: str, size: int, count: int) -> dict[str, Times]:
    try:
        import fsspec
    except ImportError:
        return {}
    path = folder / f"{kind}.bin"
    path.write_bytes(os.urandom(1_000_000) * (size // 1_000_000) or os.urandom(size))

    def filecache(*, check_files: bool) -> Callable[[int], object]:
        storage = str(folder / f"filecache {kind} {check_files}")
        system = fsspec.filesystem("filecache", target_protocol="file", cache_storage=storage, check_files=check_files)
        return lambda _: system.open(str(path)).close()

    work: dict[str, Callable[[int], object]] = {
        "ours": lambda _: reading.read(path).open("rb").close(),
        "checked": filecache(check_files=True),
        "unchecked": filecache(check_files=False),
    }
    return interleaved(work, count, 20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="end within 40 s")
    rounds = SMALL if parser.parse_args().small else FULL
    warnings.simplefilter("ignore")  # of MLflow
    with tempfile.TemporaryDirectory(prefix="read-overhead-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        os.environ |= {"DATA_PLATFORM_HOME": f"{folder}/home", "DATA_PLATFORM_OUTBOX__SHIP": "false"}
        settings.cache_clear()
        print(machine())
        figures = read_overhead(folder, rounds) | beside_busy_thread(rounds) | cache_hits(folder, rounds)
        figures |= side_by_side(folder, rounds)
        outbox().close()
    sys.stdout.flush()
    print(json.dumps({name: round(value, 5) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
