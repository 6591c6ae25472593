"""Duplicates: exact sets beside rdfind and jdupes, the other kinds on files of which it is known how they came about.

The tree for the exact sets is made of the files of this Python and its packages, copied as
they are. rdfind and jdupes read the bytes again each time; the catalogue knows their hashes
since they were read, and answers from rows. Both programs have to be installed (as Debian
packages of the same names).

Run as ``python -m benchmarks.duplicates [--small]``. The last line is a JSON object:

``exact_equal``
    the sets of exact duplicates are those of rdfind and of jdupes
``files``, ``sets``, ``copies``
    size of the tree, and of the answer
``catalogue_seconds``, ``report_seconds``, ``rdfind_seconds``, ``jdupes_seconds``
    the sets from the catalogue; the same with names, owners, origins and evidence; the sets
    from either program, the tree being in the cache of the operating system
``precision``, ``recall``
    by kind, on the labelled corpus
``corpus_files``, ``forms_per_second``
    its size, and contents whose form one process finds in a second
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from benchmarks._corpus import corpus
from benchmarks._labelled import Score, pairs_by_kind, records, scores
from benchmarks.ingest import fill, timed_flush, timed_ingest
from data_platform.settings import Settings, load
from populate.backup.tables import Backup
from populate.duplicates.find import duplicates
from populate.duplicates.live import exact_duplicates, exact_sets
from populate.duplicates.tables import Canonical, CanonicalContent
from populate.pipeline import bind_all
from populate.work.queue import Queue
from readers.event import Consumer, access_record
from readers.file import FileSource
from readers.source import Login
from schemas.binding import Binding, unbind
from schemas.catalogue import FileName
from schemas.embedded import EmbeddedServer

FILES = {True: 5_000, False: 50_000}
TABLES = {True: 3, False: None}
LARGEST = 1024 * 1024  # bytes of a file in the tree, to keep it within 2 GB
REPEATS = 3

Sets = set[frozenset[str]]
T = TypeVar("T")


def real_tree(folder: Path, count: int) -> None:
    """Copy `count` files of this Python into `folder`; again under other names if there are not so many."""
    made = 0
    for turn in range(100):
        for source in _files_of_python():
            if made == count:
                return
            target = folder / f"copy {turn}" / source.relative_to(source.anchor)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            made += 1
    raise SystemExit("This Python has too few files for the benchmark.")


def _files_of_python() -> Iterator[Path]:
    for root in dict.fromkeys((sys.prefix, sys.base_prefix)):
        for folder, folders, names in os.walk(root):
            folders.sort()
            for name in sorted(names):
                path = Path(folder, name)
                if path.is_file() and not path.is_symlink() and path.stat().st_size <= LARGEST:
                    yield path


def reads_of(folder: Path, settings: Settings) -> Iterator[dict[str, object]]:
    """Yield a read of every file, as readers note it down; each top folder is somebody's."""
    source = FileSource(settings)
    reader = Consumer(Login("example.org", "amy"), "setting")
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            item = source.resolve(str(path))
            owner = Login("example.org", path.relative_to(folder).parts[0])
            content = path.read_bytes()
            yield access_record(
                reader,
                url=item.url,
                function="read",
                item=replace(item, owner=owner),
                source_kind="file",
                revision=source.revision(item).token,
                sha256=hashlib.sha256(content).hexdigest(),
                size=len(content),
            )


def sets_of_catalogue(binding: Binding) -> Sets:
    """Return the sets as paths."""
    paths = dict(zip(*FileName.to_arrays("file_id", "file_path"), strict=True))
    return {frozenset(str(paths[file]) for file in files) for files in exact_sets(binding).values()}


def sets_of_rdfind(folder: Path) -> Sets:
    """Return what rdfind finds."""
    with tempfile.TemporaryDirectory() as results:
        file = Path(results) / "results.txt"
        _run("rdfind", "-dryrun", "true", "-outputname", str(file), str(folder))
        groups: dict[str, set[str]] = {}
        for line in file.read_text(encoding="utf-8").splitlines():
            if not line.startswith("#"):
                fields = line.split(" ", 7)
                groups.setdefault(fields[1].lstrip("-"), set()).add(fields[7])
    return {frozenset(group) for group in groups.values()}


def sets_of_jdupes(folder: Path) -> Sets:
    """Return what jdupes finds."""
    blocks = _run("jdupes", "-r", "-q", str(folder)).split("\n\n")
    return {frozenset(block.splitlines()) for block in blocks if block.strip()}


def _run(*command: str) -> str:
    if shutil.which(command[0]) is None:
        raise SystemExit(f"{command[0]} is not installed; on Debian: apt-get install {command[0]}")
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def timed(work: Callable[[], T], repeats: int = REPEATS) -> tuple[T, float]:
    """Return what `work` returns, and the least seconds that it took."""
    least = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        result = work()
        least = min(least, time.perf_counter() - start)
    return result, least


def exact(settings: Settings, binding: Binding, folder: Path, count: int) -> dict[str, float | bool]:
    """Compare exact sets on a real tree."""
    real_tree(folder, count)
    fill(settings, reads_of(folder, settings))
    timed_flush(settings)
    timed_ingest()
    print(f"{count:,} files are catalogued", flush=True)
    _, seconds = timed(lambda: exact_sets(binding))
    copies, report_seconds = timed(lambda: exact_duplicates(binding))
    ours = sets_of_catalogue(binding)
    by_rdfind, rdfind_seconds = timed(lambda: sets_of_rdfind(folder), 1 if count > FILES[True] else REPEATS)
    by_jdupes, jdupes_seconds = timed(lambda: sets_of_jdupes(folder), 1 if count > FILES[True] else REPEATS)
    print(f"sets: ours {len(ours):,}, rdfind {len(by_rdfind):,}, jdupes {len(by_jdupes):,}")
    return {
        "exact_equal": ours == by_rdfind == by_jdupes and bool(ours),
        "files": count,
        "sets": len(ours),
        "copies": len(copies),
        "catalogue_seconds": round(seconds, 3),
        "report_seconds": round(report_seconds, 3),
        "rdfind_seconds": round(rdfind_seconds, 3),
        "jdupes_seconds": round(jdupes_seconds, 3),
    }


def labelled(settings: Settings, binding: Binding, folder: Path, tables: int | None) -> dict[str, object]:
    """Find all kinds in the labelled corpus and compare."""
    made = corpus(tables)
    fill(settings, records(made, folder, settings))
    timed_flush(settings)
    timed_ingest()
    _work_off(Backup())
    _, seconds = timed(lambda: _work_off(Canonical()), 1)
    found = duplicates(binding)
    groups: dict[str, set[str]] = {}
    for copy in found.copies:
        groups.setdefault(copy.sha256, set()).add(os.path.relpath(copy.path, folder))
    result = scores(made, groups.values(), pairs_by_kind(found.pairs, folder))
    _show(result)
    return {
        "precision": {kind: round(score.precision, 4) for kind, score in result.items()},
        "recall": {kind: round(score.recall, 4) for kind, score in result.items()},
        "corpus_files": len({state.path for state in made.states}),
        "forms_per_second": round(len(CanonicalContent()) / seconds, 1),
    }


def _work_off(table: object) -> None:
    queue = Queue(table)
    queue.refresh()
    while queue.run():
        pass
    if queue.failed():
        raise RuntimeError(f"{queue.failed()} jobs failed, so the figures mean nothing.")


def _show(result: dict[str, Score]) -> None:
    for kind, score in result.items():
        print(f"{kind:<10} precision {score.precision:.4f}  recall {score.recall:.4f}")
        _show_wrong(kind, score.wrong)


def _show_wrong(kind: str, wrong: Iterable[frozenset[str]]) -> None:
    for pair in wrong:
        print(f"  not {kind}: {' | '.join(sorted(pair))}")


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="ends within two minutes")
    small = parser.parse_args().small
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        for name in ("exact", "labelled"):
            settings = load(home=Path(folder) / f"home {name}")
            try:
                binding = bind_all(settings)
                tree = Path(folder) / name
                if name == "exact":
                    figures |= exact(settings, binding, tree, FILES[small])
                else:
                    figures |= labelled(settings, binding, tree, TABLES[small])
            finally:
                unbind()
                EmbeddedServer(settings.home).remove()
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
