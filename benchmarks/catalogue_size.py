"""Ingest, and what users ask most, in catalogues of ever more files on either kind of database.

The rows of years are loaded in bulk as ingest would have made them; then some thousand fresh reads
go the real way, through the outbox and one worker, and the questions are asked, each time about
something else. Answers are those of the dashboard's own statements wherever it asks the question.

Run as ``python -m benchmarks.catalogue_size [--small] [--backend NAME]``. The last line is a JSON object:

``files``, ``accesses``
    of the largest catalogue
``NAME_lookup_growth``
    the largest factor by which a look-up cost more CPU time, this process's and the server's, in the
    last catalogue than in the one before it: CPU time, because other work on the machine and what
    happens to be in memory hardly disturb it
``NAME_ingest_growth``
    the same for a fresh access
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks._bulk import Loader
from benchmarks._company import READS, Growth, file_key, person, tables
from benchmarks._servers import deployed
from benchmarks._timing import Times, machine, show
from benchmarks.ingest import fill, records, timed_flush, timed_ingest
from dashboard.queries import files as queries
from data_platform.settings import Settings
from populate.backup.tables import Backup
from populate.ingest import Ingest
from populate.watch.status import left_to_do, queue_states, status
from populate.watch.tally import Tally, Tallying, known_totals
from populate.work.queue import Queue
from schemas.binding import Binding

BACKENDS = ("postgresql", "mysql")
FILES = {False: (10_000, 100_000, 1_000_000), True: (300, 1_000)}
FRESH = {False: 5_000, True: 300}  # accesses
ROUNDS = {False: 100, True: 10}
ENOUGH_SECONDS = 60.0  # for a question that is not asked as often as the others
INGEST = "a fresh access, to typed rows"
Question = Callable[[int], object]


def lookups(binding: Binding, growth: Growth) -> Mapping[str, Question]:
    """Return the questions about one thing, or one page, out of many."""
    chance = random.Random(1)

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
        "files by the start of a name": lambda number: queries.files(
            binding, search=f"m{chance.randrange(growth.last)}", anywhere=False
        ),
        "pending work": lambda number: queue_states(),
    }


def overviews(binding: Binding, settings: Settings) -> Mapping[str, Question]:
    """Return the questions about everything, which cannot but take longer the more there is."""
    queues = Queue(Ingest()), Queue(Backup())
    return {
        "nothing left to do, as a worker asks": lambda number: [queue.unfinished() for queue in queues],
        "figures over the pages": lambda number: queries.headline(binding),
        "status": lambda number: status(binding, settings),
        "files by a part of a path": lambda number: queries.files(binding, search=f"run {number}/m"),
    }


def tallied(binding: Binding, settings: Settings) -> Mapping[str, Question]:
    """Return those of them that are answered by what the scheduler has counted for all, once it has."""
    return {
        "figures, counted by the scheduler": lambda number: queries.headline(binding),
        "status, counted by the scheduler": lambda number: {
            **known_totals(binding).value,
            **left_to_do(binding, settings),
        },
    }


@contextmanager
def counted(binding: Binding) -> Iterator[None]:
    """Let the scheduler have counted what there is, for the length of a block."""
    counting = Tallying(binding, worth=0.0)
    try:
        while not len(Tally()):
            counting.tend()
            time.sleep(0.1)
        yield
    finally:
        counting.end()
        Tally().delete_quick()


@dataclass(frozen=True)
class Asked:
    """Milliseconds of a question's answers, and of CPU time for one, the server's included."""

    times: Times
    cpu: float

    def __str__(self) -> str:
        return f"{self.times.median:.1f} / {self.times.p99:.1f} ({self.cpu:.1f})"


class Meter:
    """Measures questions to a binding's server."""

    def __init__(self, binding: Binding) -> None:
        # A session is a process on PostgreSQL; on MySQL nobody else uses the server.
        number = binding.connection.connection_id
        if binding.backend == "mysql":
            number = int(Path(binding.connection.query("SELECT @@pid_file").fetchone()[0]).read_text())
        self._server = psutil.Process(number)

    def asked(self, ask: Question, rounds: int) -> Asked:
        """Ask so many times, fewer if that takes long."""
        taken: list[float] = []
        ask(0)
        before = self.cpu()
        while len(taken) < rounds and sum(taken) < 1000 * ENOUGH_SECONDS:
            begin = time.perf_counter()
            ask(len(taken))
            taken.append(1000 * (time.perf_counter() - begin))
        cpu = (self.cpu() - before) / len(taken)
        return Asked(Times(sorted(taken), sorted(taken)), cpu)

    def cpu(self) -> float:
        """Return the milliseconds that this process and the server have computed so far."""
        server = self._server.cpu_times()
        return 1000 * (time.process_time() + server.user + server.system)


def measured(backend: str, small: bool, folder: Path) -> tuple[dict[str, list[Asked]], list[str]]:
    """Return what each question cost in each catalogue, those about everything last, and the names of these."""
    found: dict[str, list[Asked]] = {}
    with deployed(backend, folder) as (binding, settings):
        first = known = 0
        for earlier, files in enumerate(FILES[small]):
            growth = Growth(first, files, max(100, files // 100), known, earlier)
            _load(binding, growth)
            meter, whole = Meter(binding), overviews(binding, settings)
            results = {INGEST: _ingested(meter, settings, FRESH[small], files)}
            results |= {name: meter.asked(ask, ROUNDS[small]) for name, ask in lookups(binding, growth).items()}
            results |= {name: meter.asked(ask, 5) for name, ask in whole.items()}
            with counted(binding):
                results |= {name: meter.asked(ask, 5) for name, ask in tallied(binding, settings).items()}
            for name, asked in results.items():
                found.setdefault(name, []).append(asked)
                print(f"    {name}: {asked}", flush=True)
            first, known = files, growth.people
    return found, [*whole, *tallied(binding, settings)]


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


def _ingested(meter: Meter, settings: Settings, accesses: int, files: int) -> Asked:
    """Let fresh accesses go the real way; milliseconds of one."""
    fill(settings, records(files, accesses, accesses // 5, f"size {files}"))
    before = meter.cpu()
    delivered, to_deliver = timed_flush(settings)
    _, to_ingest = timed_ingest()
    if delivered != accesses:
        raise RuntimeError(f"{delivered} of {accesses} accesses were delivered, so the figures mean nothing.")
    each = [1000 * (to_deliver + to_ingest) / accesses]
    return Asked(Times(each, each), (meter.cpu() - before) / accesses)


def report(backend: str, small: bool, found: dict[str, list[Asked]], whole: list[str]) -> dict[str, float]:
    """Print the table of a backend and return its growths."""
    head = [f"{backend}, milliseconds", *(f"{files:,} files" for files in FILES[small])]
    show("median / 99th percentile (CPU)", head, [[name, *asked] for name, asked in found.items()])
    growth = {name: asked[-1].cpu / max(asked[-2].cpu, 0.1) for name, asked in found.items()}
    return {
        f"{backend}_lookup_growth": round(max(growth[name] for name in growth if name not in {INGEST, *whole}), 2),
        f"{backend}_ingest_growth": round(growth[INGEST], 2),
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
