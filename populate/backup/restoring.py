"""Gives back many files: verified byte by byte, several at a time, and going on where it was broken off."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from data_platform.errors import BlobMissing, RestoreError, StoreError, StoreUnavailable, TargetExists
from populate.backup.copying import kept_in
from populate.backup.new_file import translated
from populate.backup.restorable import Entry
from populate.backup.restore import Content, copy_new, same
from populate.store import Place, Store
from populate.store.base import PACKS, Readable
from schemas.binding import Binding

PAGE = 10_000
"""Files whose contents are looked up at once: the more, the more of them are neighbours in a pack."""

THREADS = 8  # small files are waiting time, not work
WAITING = 4 * THREADS

TOGETHER = 1024 * 1024
"""Bytes of neighbours in a pack that are asked for in one request, and held in memory."""

GAP = 64 * 1024
"""Bytes between two of them that are read in vain rather than asking twice."""


class Refused(NamedTuple):
    """A file that could not be restored, and why."""

    path: str
    reason: str


class Written(NamedTuple):
    """A file that is in place now."""

    size: int
    is_new: bool


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
    to = Path(os.path.abspath(to))
    with translated(to):
        to.mkdir(parents=True, exist_ok=True)
    for entry, result in _results(binding, (store, *copies), entries, to):
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
    binding: Binding, stores: Sequence[Store], entries: Iterable[Entry], to: Path
) -> Iterator[tuple[Entry, Result]]:
    """Restore several files at a time; the database is asked by this thread only."""
    waiting: deque[tuple[list[Located], Future[list[Result]]]] = deque()
    folder = Target(to)
    with ThreadPoolExecutor(THREADS, thread_name_prefix="restore") as pool:
        try:
            for page in _placed(binding, stores, entries):
                for group in _neighbours(page):
                    waiting.append((group, pool.submit(_restored_together, stores[0].name, group, folder)))
                    if len(waiting) >= WAITING:
                        yield from _next(waiting)
            while waiting:
                yield from _next(waiting)
        finally:
            for _, future in waiting:
                future.cancel()


Places = Sequence[tuple[Readable, Place]]


class Located(NamedTuple):
    """A file, and where its content can be had, the first choice first."""

    entry: Entry
    places: Places


def _next(waiting: deque[tuple[list[Located], Future[list[Result]]]]) -> Iterator[tuple[Entry, Result]]:
    group, future = waiting.popleft()
    for one, result in zip(group, future.result(), strict=True):
        yield one.entry, result


class Ahead:
    """Neighbours in a pack, that are read with one request once the first of them is asked for."""

    def __init__(self, store: Readable, span: Place) -> None:
        self.name = store.name
        self._store = store
        self._span = span
        self._content: memoryview | None = None
        self._alone = False

    def read(self, place: Place) -> Iterator[bytes]:
        """Yield the bytes at `place`; by themselves if the neighbours cannot be had together."""
        if self._content is None and not self._alone:
            try:
                self._content = memoryview(b"".join(self._store.read(self._span)))
            except StoreUnavailable:
                raise
            except StoreError:
                self._alone = True
        if self._content is None:
            yield from self._store.read(place)
        else:
            start = place.offset - self._span.offset
            yield bytes(self._content[start : start + place.length])


def _neighbours(page: list[Located]) -> Iterator[list[Located]]:
    """Put files together whose contents lie near each other in a pack."""
    group = list[Located]()
    for one in sorted(page, key=lambda one: one.places[0][1] if one.places else Place("", 0, 0)):
        if group and _is_near(group[0], group[-1], one):
            group.append(one)
            continue
        if group:
            yield group
        group = [one]
    if group:
        yield group


def _is_near(first: Located, last: Located, one: Located) -> bool:
    if not (first.places and one.places) or first.places[0][0] is not one.places[0][0]:
        return False
    begin, end, place = first.places[0][1], last.places[0][1], one.places[0][1]
    return (
        place.object_name == begin.object_name
        and place.object_name.startswith(PACKS)
        and place.offset - (end.offset + end.length) <= GAP
        and place.offset + place.length - begin.offset <= TOGETHER
    )


def _restored_together(name: str, group: list[Located], to: Target) -> list[Result]:
    if len(group) > 1:
        (store, first), (_, last) = group[0].places[0], group[-1].places[0]
        ahead = Ahead(store, Place(first.object_name, first.offset, last.offset + last.length - first.offset))
        group = [Located(entry, [(ahead, places[0][1]), *places[1:]]) for entry, places in group]
    return [_restored(name, places, entry, to) for entry, places in group]


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
    content = Content(entry.sha256, entry.size)
    try:
        for target in to.names(entry):
            if (written := _written((store, place), content, target, entry.modified_ns, to)) is not None:
                return written
    except StoreUnavailable:
        raise
    except (StoreError, RestoreError) as error:
        return error
    where = to.folder / entry.path
    return TargetExists(f"{where} is there with other content and stays as it is. Restore to another folder.")


def _written(
    held: tuple[Readable, Place], content: Content, target: str, modified_ns: int, to: Target
) -> Written | None:
    """Write a file unless it is there; None if another one is."""
    if os.path.lexists(target):
        return Written(content.size, False) if same(target, content) else None
    to.make_room(target)
    if copy_new(*held, content, target, modified_ns):
        return Written(content.size, True)
    return Written(content.size, False) if same(target, content) else None


class Target:
    """The folder that files go to, as text: making a `Path` of each would take as long as writing it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._within = os.path.join(folder, "")
        self._made = set[str]()

    def names(self, entry: Entry) -> Iterator[str]:
        """Yield what the file is to be called, and what else if another one has that name."""
        yield self._within + entry.path
        path = self.folder / entry.path
        suffix = "".join(path.suffixes[-2:]) if len("".join(path.suffixes[-2:])) < 40 else ""
        yield str(path.with_name(f"{path.name.removesuffix(suffix)[:180]}-{entry.file_id[:8]}{suffix}"))

    def make_room(self, target: str) -> None:
        """Make the folder of a file, once."""
        if (folder := os.path.split(target)[0]) not in self._made:
            with translated(target):
                Path(folder).mkdir(parents=True, exist_ok=True)
            self._made.add(folder)
