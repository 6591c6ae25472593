"""Ingest, and what users ask most, in catalogues of ever more files on either kind of database.

The rows of years are loaded in bulk as ingest would have made them; then some thousand fresh reads
go the real way, through the outbox and one worker, and the questions are asked, each time about
something else. Answers are those of the dashboard's own statements wherever it asks the question.

Run as ``python -m benchmarks.catalogue_size [--small] [--backend NAME]``. The last line is a JSON object:

``files``, ``accesses``
    of the largest catalogue
``NAME_lookup_growth``
    the largest factor by which a look-up took longer in the last catalogue than in the one before it,
    by the fastest tenth of its calls, which other work on the machine disturbs least
``NAME_ingest_growth``
    the same for the time that a fresh access takes
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks._bulk import Loader
from benchmarks._company import READS, Growth, file_key, person, tables
from benchmarks._servers import deployed
from benchmarks._timing import Times, interleaved, machine, show
from benchmarks.ingest import fill, records, timed_flush, timed_ingest
from dashboard import queries
from data_platform.settings import Settings
from populate.backup import Backup
from populate.ingest import Ingest
from populate.jobs import Queue
from populate.status import status
from schemas.binding import Binding

BACKENDS = ("postgresql", "mysql")
FILES = {False: (10_000, 100_000, 1_000_000), True: (300, 1_000)}
FRESH = {False: 5_000, True: 500}  # accesses
ROUNDS = {False: 100, True: 20}
ENOUGH_SECONDS = 60.0  # for a question that is not asked as often as the others
Question = Callable[[int], object]


def lookups(binding: Binding, growth: Growth) -> Mapping[str, Question]:
    """Return the questions about one thing, or one page, out of many."""
    chance = random.Random(1)
    queues = Queue(Ingest()), Queue(Backup())

    def some_file(ask: Callable[[Binding, str], object]) -> Question:
        return lambda number: ask(binding, file_key(chance.randrange(growth.last)))

    return {
        "a file": some_file(queries.file),
        "its readers": some_file(queries.readers),
        "its versions": some_file(queries.versions),
        "its copies elsewhere": some_file(queries.copies),
        "files read last": lambda number: queries.files(binding, offset=50 * (number % 3)),
        "my files": lambda number: queries.files_of(binding, person(chance.randrange(growth.people))),
        "what I read last": lambda number: queries.read_by(binding, person(chance.randrange(growth.people))),
        "pending work": lambda number: [queue.unfinished() for queue in queues],
    }


def overviews(binding: Binding, settings: Settings) -> Mapping[str, Question]:
    """Return the questions about everything, which cannot but take longer the more there is."""
    return {
        "figures over the pages": lambda number: queries.headline(binding),
        "status": lambda number: status(binding, settings),
        "files by a part of a path": lambda number: queries.files(binding, search=f"run {number}/m"),
    }


def measured(backend: str, small: bool, folder: Path) -> tuple[dict[str, list[Times]], list[float]]:
    """Return how long each question took in each catalogue, and milliseconds of ingest per access."""
    times: dict[str, list[Times]] = {}
    ingest = []
    with deployed(backend, folder) as (binding, settings):
        first = known = 0
        for earlier, files in enumerate(FILES[small]):
            growth = Growth(first, files, max(100, files // 100), known, earlier)
            _load(binding, growth)
            ingest.append(_milliseconds_per_access(settings, FRESH[small], files))
            found = interleaved(lookups(binding, growth), ROUNDS[small], warm_up=3)
            found |= {name: _patiently(ask) for name, ask in overviews(binding, settings).items()}
            for name, taken in found.items():
                times.setdefault(name, []).append(taken)
                print(f"    {name}: {taken.fast:.1f} / {taken.median:.1f} / {taken.p99:.1f} ms", flush=True)
            first, known = files, growth.people
    return times, ingest


def _load(binding: Binding, growth: Growth) -> None:
    begin = time.perf_counter()
    loader = Loader(binding)
    for table, columns, rows in tables(growth):
        loader.load(table, columns, rows)
    loader.close()
    gc.collect()
    seconds = time.perf_counter() - begin
    held = f"{growth.last:,} files, {READS * growth.last:,} accesses"
    print(f"  {held}: loaded in {seconds:.0f} s ({machine()})", flush=True)


def _milliseconds_per_access(settings: Settings, accesses: int, files: int) -> float:
    fill(settings, records(files, accesses, accesses // 5, f"size {files}"))
    delivered, to_deliver = timed_flush(settings)
    _, to_ingest = timed_ingest()
    if delivered != accesses:
        raise RuntimeError(f"{delivered} of {accesses} accesses were delivered, so the figures mean nothing.")
    print(f"    ingest: {accesses / (to_deliver + to_ingest):.0f} accesses a second", flush=True)
    return 1000 * (to_deliver + to_ingest) / accesses


def _patiently(ask: Question) -> Times:
    """Ask five times, fewer if that takes long."""
    taken: list[float] = []
    while len(taken) < 5 and sum(taken) < 1000 * ENOUGH_SECONDS:
        begin = time.perf_counter()
        ask(len(taken))
        taken.append(1000 * (time.perf_counter() - begin))
    return Times(sorted(taken), sorted(taken))


def report(backend: str, small: bool, times: dict[str, list[Times]], ingest: list[float]) -> dict[str, float]:
    """Print the table of a backend and return its growths."""
    sizes = FILES[small]
    head = ["milliseconds: fastest tenth / median / p99", *(f"{files:,} files" for files in sizes)]
    rows: list[list[object]] = [["an access, delivered and ingested", *(f"{each:.2f}" for each in ingest)]]
    rows += [[name, *(f"{t.fast:.1f} / {t.median:.1f} / {t.p99:.1f}" for t in taken)] for name, taken in times.items()]
    show(backend, head, rows)
    quick = [taken for name, taken in times.items() if len(taken[-1].every) == ROUNDS[small]]
    return {
        f"{backend}_lookup_growth": round(max(taken[-1].fast / taken[-2].fast for taken in quick), 2),
        f"{backend}_ingest_growth": round(ingest[-1] / ingest[-2], 2),
    }


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="ends within 40 seconds")
    parser.add_argument("--backend", choices=BACKENDS, action="append", help="only this one")
    options = parser.parse_args()
    figures: dict[str, float] = {"files": FILES[options.small][-1], "accesses": READS * FILES[options.small][-1]}
    for backend in options.backend or BACKENDS:
        folder = Path(tempfile.mkdtemp(prefix="benchmark-"))
        try:
            figures |= report(backend, options.small, *measured(backend, options.small, folder))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
