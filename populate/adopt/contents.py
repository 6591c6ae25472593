"""The bytes of files that nobody has read, from their source into the content store, in one pass.

What the bytes hash to is found out on the way. Small files wait in memory until their hashes
have been looked up, all at once, so that a content that is kept already costs no request to
the store; while they are sent, the next ones are read. A large one goes to the store as it comes,
and is seen there only once it is known that it may be, for what was erased must not come back; a
large one of this machine is read once more then.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import chain
from threading import Event, Lock
from typing import TypeVar

from data_platform.errors import (
    IncompleteDownload,
    SourceChanged,
    SourceTimeout,
    SourceUnavailable,
    UnsupportedItem,
)
from data_platform.settings import Settings
from populate.adopt.pace import Pace
from populate.adopt.reach import Origin, ask_for_root
from populate.adopt.sink import AdoptSink, Hash, Pending, ReadAgain, Taken
from populate.backup.contents import GIVE_UP_AFTER, STORE_IS_DOWN, THREADS, Failure, Stopped
from populate.store import Place, Store
from populate.store.pack import divided, keep
from readers.registry import source_of_kind
from readers.source import Item, Revision, Source

IN_MEMORY = 4 * 1024 * 1024  # bytes of a file, before it goes to the store as it comes
PORTION_FILES = 250  # that wait in memory together, at most
PORTION_BYTES = 16 * 1024 * 1024  # and as much again is being sent
TRIES = 3  # at a file that changes while it is read
PAUSE_SECONDS = 0.05  # before the second try, doubled before the third
TOGETHER = 8  # files that a thread takes on at once, at most

T = TypeVar("T")
R = TypeVar("R")

Placed = Callable[[set[str]], set[str]]
"""Returns which of some SHA-256 the store holds, or must not."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file to take in: what the catalogue knows of it, and its revision and size (-1: unknown) when it was found."""

    file_id: str
    source_kind: str
    source_system: str
    item_id: str
    revision: str
    size: int


@dataclass(slots=True)
class Harvest:
    """What became of the files of a batch: by file what was taken or why not, by SHA-256 where contents were put."""

    taken: dict[str, Taken] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)

    def note(self, sha256: str, outcome: Place | Failure) -> None:
        """Take in where a content was put, or that no file that has it could be taken."""
        if isinstance(outcome, Place):
            self.places[sha256] = outcome
            return
        for file_id in [file_id for file_id, taken in self.taken.items() if taken.sha256 == sha256]:
            del self.taken[file_id]
            self.failures[file_id] = outcome


class Intake:
    """Takes files into a store, several at a time.

    Parameters
    ----------
    settings
        Those of the worker: its credentials read.
    store
        Where the bytes go.
    origin
        Asked first, and whenever files cannot be had one after the other: a share that is away
        says nothing about its files.
    placed
        Called in the thread that calls `take`, before any content of a portion can be seen in the store.
    """

    def __init__(self, settings: Settings, store: Store, origin: Origin, placed: Placed) -> None:
        self._settings = settings
        self._store = store
        self._origin = origin
        self._placed = placed
        self._is_local = source_of_kind(origin.kind, settings).is_local
        self._pace = _pace_of(origin)
        self._stopping = Event()
        self._lock = Lock()
        self._unavailable = 0
        self._harvest = Harvest()
        self._writers: list[Pending] = []  # of contents that wait to be looked up
        self._sent: list[Future[dict[str, Place]]] = []  # small contents of the portion before

    def take(self, members: Iterable[Member]) -> Harvest:
        """Take in `members`; what cannot be read is a failure of its own.

        Raises
        ------
        SourceUnavailable, SourceTimeout
            If the root itself cannot be reached from here.
        StoreFull, StoreUnavailable
            If the store takes nothing.
        """
        ask_for_root(self._settings, self._origin)
        pool = ThreadPoolExecutor(THREADS, thread_name_prefix="adopt")
        try:
            for portion in _portions(members):
                self._take_portion(pool, portion)
            self._note_sent()
        except BaseException:  # told to stop, or nothing can be had: what waits does not begin
            with self._lock:
                self._stopping.set()
            pool.shutdown(wait=False, cancel_futures=True)
            self._abort_all()
            raise
        pool.shutdown()
        return self._harvest

    def _take_portion(self, pool: ThreadPoolExecutor, portion: list[Member]) -> None:
        small: dict[str, bytes] = {}
        large: dict[str, list[Pending]] = {}
        outcomes = list(self._outcomes(pool, portion))
        self._note_sent()
        for member, outcome in outcomes:
            if isinstance(outcome, Failure):
                self._harvest.failures[member.file_id] = outcome
                continue
            self._harvest.taken[member.file_id], content = outcome
            sha256 = outcome[0].sha256
            if sha256 in self._harvest.places:
                continue
            if isinstance(content, bytes):
                small[sha256] = content
            else:
                large.setdefault(sha256, []).append(content)
        for sha256 in self._placed({*small, *large}):
            small.pop(sha256, None)
            large.pop(sha256, None)
        for sha256, put in zip(large, pool.map(self._commit_any, large.values()), strict=True):
            self._harvest.note(sha256, put)
        self._abort_all()  # of which there are others, or that are not to be kept
        self._sent = [pool.submit(self._keep, some) for some in divided(small, self._settings.store.pack_bytes)]

    def _note_sent(self) -> None:
        """Wait until the small contents of the portion before are in the store."""
        for sent in self._sent:
            self._harvest.places.update(sent.result())
        self._sent = []

    def _outcomes(
        self, pool: Executor, portion: list[Member]
    ) -> Iterator[tuple[Member, tuple[Taken, bytes | Pending] | Failure]]:
        """Yield what was read of each; small files of this machine are read here, all others several at a time."""
        here, others = list[Member](), list[Member]()
        for member in portion:
            (here if self._is_at_hand(member) else others).append(member)
        read = several(pool, self._read, others)
        yield from zip(here, map(self._read, here), strict=True)
        yield from zip(others, read, strict=True)

    def _is_at_hand(self, member: Member) -> bool:
        return 0 <= member.size <= IN_MEMORY and self._is_local(member.source_system, member.item_id)

    def _keep(self, contents: dict[str, bytes]) -> dict[str, Place]:
        if self._stopping.is_set():
            raise Stopped
        return keep(self._store, contents)

    def _commit_any(self, writers: list[Pending]) -> Place | Failure:
        """Put in the content that several files have: one of them may have changed since, and another one not."""
        outcome = self._commit(writers[0])
        for writer in writers[1:]:
            if isinstance(outcome, Place):
                break
            outcome = self._commit(writer)
        return outcome

    def _commit(self, writer: Pending) -> Place | Failure:
        with self._lock:
            if self._stopping.is_set():
                raise Stopped
            self._writers.remove(writer)  # nobody else aborts it from now on
        try:
            return writer.commit()
        except STORE_IS_DOWN:
            raise
        except Exception as error:
            return Failure.of(error)

    def _hand_over(self, writer: Pending) -> None:
        """Let a writer wait; whoever is told to stop aborts all that wait."""
        with self._lock:
            if self._stopping.is_set():
                writer.abort()
                raise Stopped
            self._writers.append(writer)

    def _abort_all(self) -> None:
        """Forget what waits and was not committed."""
        with self._lock:
            writers, self._writers = self._writers, []
        for writer in writers:
            writer.abort()

    def _read(self, member: Member) -> tuple[Taken, bytes | Pending] | Failure:
        self._pace.pay(1, 0, self._stopping.wait)
        if self._stopping.is_set():
            raise Stopped
        try:
            found = self._read_settled(member)
        except (Stopped, *STORE_IS_DOWN):
            raise
        except Exception as error:  # whatever a source does, it costs its own file only
            self._take_note(error)
            return Failure.of(error)
        self._unavailable = 0
        return found

    def _read_settled(self, member: Member) -> tuple[Taken, bytes | Pending]:
        """Read a file once it is at rest."""
        source = source_of_kind(member.source_kind, self._settings)
        item = _reopened(source, member)
        revision = Revision(member.revision, member.size if member.size >= 0 else None)
        read_once = self._hashed_once if self._is_local(item.source_system, item.item_id) else self._read_once
        for tried in range(1, TRIES + 1):
            try:
                return read_once(source, item, revision)
            except (SourceChanged, IncompleteDownload):
                if tried == TRIES:
                    raise
            self._stopping.wait(PAUSE_SECONDS * 2 ** (tried - 1))
            revision = source.revision(item)
        raise AssertionError("unreachable")

    def _read_once(self, source: Source, item: Item, revision: Revision) -> tuple[Taken, bytes | Pending]:
        sink = AdoptSink(self._store, IN_MEMORY, self._paid)
        try:
            told = source.download(item, revision, sink)
            if told.size not in {None, sink.size}:
                raise IncompleteDownload(
                    f"{item.name!r} has {told.size} bytes and {sink.size} were received. Adopt it again."
                )
            sha256, content = sink.finish()
            if not isinstance(content, bytes):
                self._hand_over(content)
            return Taken(told.token, sha256, sink.size), content
        except Exception:
            # A source may dress up an error of ours as one of its own.
            if sink.error is not None:
                raise sink.error from None
            raise
        finally:
            sink.close()

    def _hashed_once(self, source: Source, item: Item, revision: Revision) -> tuple[Taken, bytes | Pending]:
        """Read a file of this machine; a large one only to learn whether the store has it."""
        if revision.size is None or revision.size <= IN_MEMORY:
            return self._read_once(source, item, revision)
        hashed = Hash(self._paid)
        download = partial(source.download, item, revision)
        taken = Taken(download(hashed).token, hashed.hexdigest(), hashed.size)
        again = ReadAgain(self._store, taken, download, self._paid)
        self._hand_over(again)
        return taken, again

    def _paid(self, size: int) -> None:
        self._pace.pay(0, size, self._stopping.wait)
        if self._stopping.is_set():
            raise Stopped

    def _take_note(self, error: Exception) -> None:
        """See whether the whole root is away, when files cannot be had one after the other."""
        with self._lock:
            self._unavailable = self._unavailable + 1 if isinstance(error, SourceUnavailable | SourceTimeout) else 0
            if self._unavailable < GIVE_UP_AFTER:
                return
            self._unavailable = 0
        ask_for_root(self._settings, self._origin)


def several(pool: Executor, work: Callable[[T], R], given: Sequence[T]) -> Iterator[R]:
    """Yield what `work` makes of each, in order; of many, some are one task: a small file takes no longer than that."""
    size = max(1, min(TOGETHER, len(given) // (2 * THREADS)))
    together = [given[first : first + size] for first in range(0, len(given), size)]
    return chain.from_iterable(pool.map(lambda some: [work(one) for one in some], together))


def _reopened(source: Source, member: Member) -> Item:
    item = source.reopen(member.source_system, member.item_id)
    if item.is_folder:
        raise UnsupportedItem(f"{item.name!r} is a folder now. Nothing to do: its files are found by the next adopt.")
    return item


def _portions(members: Iterable[Member]) -> Iterator[list[Member]]:
    """Divide `members` so that the small files of a portion fit into memory together."""
    portion: list[Member] = []
    waiting = 0
    for member in members:
        held = min(member.size, IN_MEMORY) if member.size >= 0 else IN_MEMORY
        if portion and (len(portion) == PORTION_FILES or waiting + held > PORTION_BYTES):
            yield portion
            portion, waiting = [], 0
        portion.append(member)
        waiting += held
    if portion:
        yield portion


@lru_cache(maxsize=16)
def _pace_of(origin: Origin) -> Pace:
    """Return this process's pace for a root, which goes on from one batch to the next."""
    return Pace(origin.files_per_second, origin.bytes_per_second, time.monotonic)
