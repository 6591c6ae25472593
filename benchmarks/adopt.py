"""Files per second that an existing folder is catalogued and backed up with, and that are looked at again.

Everything is real: the files, the embedded database and the store in a folder, each with its
fsyncs. Every file has a content of its own, so that each is stored.

Run as ``python -m benchmarks.adopt [--small]``. The last line is a JSON object:

``files_per_second``
    from nothing to catalogued and backed up, survey included
``survey_per_second``
    of these, finding files and planning their batches
``again_per_second``
    a second run that finds nothing new
``cpu_ms_per_file``
    processor time of this process for one file, from nothing to backed up; other work on the
    machine hardly changes it
``kilobytes``
    of one file
``peak_mib``, ``early_peak_mib``
    most memory of the process at the end, and after a tree of a tenth as many files
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

from data_platform.settings import Settings, load
from populate.adopt.progress import Lines
from populate.adopt.share import Adopted, adopt
from populate.pipeline import bind_all
from schemas.binding import unbind
from schemas.catalogue import Version
from schemas.embedded import EmbeddedServer

FILES = {False: 25_000, True: 1_000}
BYTES = 2048
FOLDERS = 250


class Watch(Lines):
    """Notes when the survey ended."""

    surveyed = 0.0

    def taken(self, files: int, total: int) -> None:
        self.surveyed = self.surveyed or time.perf_counter()
        super().taken(files, total)


def grow(share: Path, files: int) -> None:
    """Make a tree of small files."""
    for number in range(files):
        folder = share / f"group {number % 10}" / f"run {number % FOLDERS}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"measurement {number}.csv").write_bytes(f"{number},".encode().ljust(BYTES, b"7"))


def timed(share: Path, settings: Settings) -> tuple[Adopted, float, float]:
    """Adopt; return what came of it, seconds of the survey, and seconds in all."""
    watch, start = Watch(sys.stderr), time.perf_counter()
    done = adopt(share, settings=settings, progress=watch)
    end = time.perf_counter()
    return done, (watch.surveyed or end) - start, end - start


def peak_mib() -> float:
    """Return the most memory that this process has ever held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak) / (1024**2 if sys.platform == "darwin" else 1024)


def measure(folder: Path, files: int) -> dict[str, float]:
    """Adopt a small tree, a large one, and the large one again."""
    settings = load(home=folder / "home", file={"owners": {}})
    grow(folder / "small", files // 10)
    grow(folder / "large", files)
    bind_all(settings)
    timed(folder / "small", settings)
    early = peak_mib()
    cpu = time.process_time()
    done, survey, whole = timed(folder / "large", settings)
    cpu = time.process_time() - cpu
    again, _, seconds = timed(folder / "large", settings)
    if (done.taken, again.found.known, len(Version())) != (files, files, files + files // 10):
        raise RuntimeError(f"not all was taken in: {done}, then {again}")
    return {
        "files_per_second": round(files / whole, 1),
        "survey_per_second": round(files / survey, 1),
        "again_per_second": round(files / seconds, 1),
        "cpu_ms_per_file": round(1000 * cpu / files, 3),
        "kilobytes": BYTES / 1024,
        "peak_mib": round(peak_mib(), 1),
        "early_peak_mib": round(early, 1),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="seconds instead of minutes")
    files = FILES[parser.parse_args().small]
    with tempfile.TemporaryDirectory(prefix="adopt-") as folder:
        try:
            print(json.dumps({"benchmark": "adopt", "files": files, **measure(Path(folder), files)}))
        finally:
            unbind()
            EmbeddedServer(Path(folder) / "home").remove()


if __name__ == "__main__":
    main()
