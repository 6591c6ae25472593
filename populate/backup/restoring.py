"""Gives back many files: verified byte by byte, several at a time, and going on where it was broken off."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from data_platform.errors import BlobMissing, RestoreError, StoreError, StoreUnavailable
from populate.backup.copying import kept_in
from populate.backup.neighbours import Located, Places, groups
from populate.backup.restorable import Entry
from populate.backup.target import MANY, Target, Written
from populate.store import Place, Store
from populate.store.base import Readable
from schemas.binding import Binding

PAGE = 10_000
"""Files whose contents are looked up at once: the more, the more of them are neighbours in a pack."""

THREADS = 8  # small files are waiting time, not work

WAITING = 16 * THREADS
"""Groups that wait at most: enough that the next files are looked up while the threads have work."""


class Refused(NamedTuple):
    """A file that could not be restored, and why."""

    path: str
    reason: str


@dataclass(slots=True)
class Restored:
    """What became of the files.

    Attributes
    ----------
    files, bytes
        What is in place now, and was compared with its hash.
    present
        How many of these files were there before.
    refused
        What could not be restored.
    """

    files: int = 0
    bytes: int = 0
    present: int = 0
    refused: list[Refused] = field(default_factory=list)


def restore_files(
    binding: Binding,
    store: Store,
    entries: Iterable[Entry],
    to: Path,
    *,
    copies: Sequence[Store] = (),
    progress: Callable[[Restored], object] | None = None,
) -> Restored:
    """Write files below a folder, with their names and, where known, their times of modification.

    What has its bytes already stays as it is, so who was broken off goes on by calling it again.
    Nothing is overwritten: a file whose place is taken by another one gets the first digits of
    its id into its name.

    Parameters
    ----------
    binding
        With the tables of `populate.pipeline`.
    store
        Where the contents are kept.
    entries
        The files; see `populate.backup.restorable`.
    to
        The folder; it is made if it is missing.
    copies
        Stores that are asked for what the first one does not give.
    progress
        Called after each file with what has been done so far.

    Raises
    ------
    StoreUnavailable
        If the store does not answer. What cannot be had of it otherwise is told in `refused`.
    RestoreError
        If the folder cannot be made.
    """
    done = Restored()
    target = Target(Path(os.path.abspath(to)), THREADS)
    for entry, result in _results(binding, (store, *copies), entries, target):
        if isinstance(result, Written):
            done.files += 1
            done.bytes += result.size
            done.present += not result.is_new
        else:
            done.refused.append(Refused(entry.path, str(result)))
        if progress is not None:
            progress(done)
    return done


Result = Written | StoreError | RestoreError


def _results(
    binding: Binding, stores: Sequence[Store], entries: Iterable[Entry], to: Target
) -> Iterator[tuple[Entry, Result]]:
    """Restore several files at a time; the database is asked by this thread only."""
    waiting: deque[tuple[list[Located], Future[list[Result]]]] = deque()
    with ThreadPoolExecutor(THREADS, thread_name_prefix="restore") as pool:
        try:
            for page in _placed(binding, stores, entries):
                for group in groups(page, min(MANY, -(-len(page) // THREADS))):
                    waiting.append((group, pool.submit(_restored_together, stores[0].name, group, to)))
                    if len(waiting) >= WAITING:
                        yield from _next(waiting)
            while waiting:
                yield from _next(waiting)
        finally:
            for _, future in waiting:
                future.cancel()


def _next(waiting: deque[tuple[list[Located], Future[list[Result]]]]) -> Iterator[tuple[Entry, Result]]:
    group, future = waiting.popleft()
    for one, result in zip(group, future.result(), strict=True):
        yield one.entry, result


def _restored_together(name: str, group: list[Located], to: Target) -> list[Result]:
    written = to.write_together(group)
    return [
        Written(entry.size, True) if entry in written else _restored(name, places, entry, to) for entry, places in group
    ]


def _placed(binding: Binding, stores: Sequence[Store], entries: Iterable[Entry]) -> Iterator[list[Located]]:
    for page in _pages(entries):
        binding.ensure()
        hashes = {entry.sha256 for entry in page}
        held = [(store, {kept.sha256: kept.place for kept in kept_in(store, hashes)}) for store in stores]
        yield [
            Located(entry, [(store, places[entry.sha256]) for store, places in held if entry.sha256 in places])
            for entry in page
        ]


def _pages(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    page: list[Entry] = []
    for entry in entries:
        page.append(entry)
        if len(page) >= PAGE:
            yield page
            page = []
    if page:
        yield page


def _restored(name: str, places: Places, entry: Entry, to: Target) -> Result:
    failure: Result | None = None
    for store, place in places:
        try:
            found = _restored_from(store, entry, place, to)
        except StoreUnavailable as error:
            if store is places[-1][0]:
                raise
            found = error
        if not isinstance(found, StoreError):
            return found
        failure = failure or found
    return failure or BlobMissing(
        f"{entry.sha256} is not in {name}. `data-platform status` tells what is not backed up."
    )


def _restored_from(store: Readable, entry: Entry, place: Place, to: Target) -> Result:
    try:
        return to.write((store, place), entry)
    except StoreUnavailable:
        raise
    except (StoreError, RestoreError) as error:
        return error
