"""The bytes of versions, from wherever they can still be had, into the content store.

First the local cache, which holds exactly the bytes that were read; then the source, with
the worker's own credentials: its present bytes if they still are those, else its version
history. Whatever the way, the store takes only bytes that have the hash that was read, so
a source that has moved on can never put something else in their place.
"""

from __future__ import annotations

import io
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from threading import Lock, Semaphore
from typing import IO

from data_platform.errors import (
    BlobDamaged,
    IncompleteDownload,
    Permanent,
    SourceChanged,
    SourceElsewhere,
    SourceTimeout,
    SourceUnavailable,
    StoreFull,
    StoreUnavailable,
    VersionUnavailable,
)
from data_platform.redact import redact_text
from data_platform.settings import Settings
from populate.store import Place, Store, Writer
from populate.store.base import CHUNK
from populate.store.pack import PACKED, Held, divided, keep
from readers.cache import Cache
from readers.registry import source_of_kind
from readers.source import Item, Sink, Source
from schemas.identity import display_text

THREADS = 8  # small files are waiting time, not work
TOGETHER_SECONDS = 2.0  # that small contents wait for others at most, to be stored together
PACKS_AT_ONCE = 3  # on their way to the store; each is in memory
GRACE_SECONDS = 3.0  # when told to stop: files that need longer than this are given up
LATEST_VERSIONS = 20  # of a source's own history, that are looked through for bytes that it has moved on from
GIVE_UP_AFTER = 5  # failures of a source system in a row, before the rest of the batch waits for the next attempt
STORE_IS_DOWN = (StoreFull, StoreUnavailable)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A version whose bytes are to be stored, and what is needed to fetch them."""

    file_id: str
    version_id: str
    sha256: str
    size: int
    revision: str
    source_kind: str
    source_system: str
    item_id: str


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the bytes of a version could not be stored."""

    permanent: bool
    name: str
    message: str

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """Return what the catalogue keeps of `error`: never a secret, never more than its columns hold."""
        message = display_text(redact_text(str(error)))
        return cls(isinstance(error, Permanent), type(error).__name__[:64], message[:512])


class Stopped(Exception):
    """The worker was told to stop while a file was under way."""


@dataclass(slots=True)
class Outcome:
    """What became of the versions of a batch."""

    places: dict[str, Place] = field(default_factory=dict)
    failures: dict[Wanted, Failure] = field(default_factory=dict)


PENDING = Place("", 0, 0)
"""Stands for the place of a content that waits to be stored together with others."""


class Fetcher:
    """Brings contents into a store, several at a time.

    Parameters
    ----------
    settings
        Those of the worker: its credentials fetch.
    store
        Where the bytes go.
    manifests
        Bytes of the manifests of file sets, by SHA-256: no source keeps these.
    replace
        What the store holds of them is damaged, and is replaced.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        manifests: Mapping[str, bytes] | None = None,
        *,
        replace: bool = False,
    ) -> None:
        self._replace = replace
        self._settings = settings
        self._store = store
        self._manifests = manifests or {}
        self._cache = Cache(settings.cache_folder, settings.cache.max_bytes, settings.cache.keep_seconds)
        self.outcome = Outcome()
        self._give_up_at = float("inf")
        self._store_error: BaseException | None = None
        self._failed_in_a_row: Counter[str] = Counter()
        self._small: dict[str, bytes] = {}
        self._small_bytes = 0
        self._kept: dict[str, Place | Failure] = {}
        self._lock = Lock()
        self._turns = Semaphore(PACKS_AT_ONCE)

    def store_all(self, wanted: Iterable[Wanted]) -> Outcome:
        """Store every distinct content of `wanted` once.

        What was stored stands in `outcome` even if this is broken off.

        Raises
        ------
        StoreFull, StoreUnavailable
            If the store failed before it took anything: then nothing is known about any version.
        """
        groups: dict[str, list[Wanted]] = {}
        for one in wanted:
            groups.setdefault(one.sha256, []).append(one)
        pool = ThreadPoolExecutor(THREADS)
        futures = {pool.submit(self._store_one, group): group for group in groups.values()}
        try:
            while wait(futures, timeout=TOGETHER_SECONDS).not_done:
                self._keep_all(self._taken())  # a slow file keeps no others waiting
            list(pool.map(self._keep, divided(self._taken(), self._pack_bytes)))
        except BaseException:  # told to stop: what is under way may end, what waits does not begin
            self._give_up_at = time.monotonic() + GRACE_SECONDS
            pool.shutdown(wait=False, cancel_futures=True)
            wait(futures, timeout=2 * GRACE_SECONDS)
            self._keep_all(self._taken())
            raise
        finally:
            self._collect(futures)
        pool.shutdown()
        for future in futures:
            future.result()  # raises what no source is to blame for: no version may be forgotten
        if self._store_error is not None and not self.outcome.places:
            raise self._store_error
        return self.outcome

    def _collect(self, futures: Mapping[Future[Place | list[Failure]], Sequence[Wanted]]) -> None:
        for future, group in futures.items():
            if not future.done() or future.cancelled() or future.exception() is not None:
                continue  # broken off
            result: Place | Failure | list[Failure] | None = future.result()
            if result is PENDING:
                result = self._kept.get(group[0].sha256)
            if isinstance(result, Failure):
                self.outcome.failures.update((wanted, result) for wanted in group)
            elif isinstance(result, Place):
                self.outcome.places[group[0].sha256] = result
            elif result is not None:
                self.outcome.failures.update(zip(group, result, strict=True))

    def _store_one(self, group: Sequence[Wanted]) -> Place | list[Failure]:
        """Return where the content was put, or for each version of it why it was not."""
        failures = []
        for wanted in group:
            try:
                if self._store_error is not None:
                    raise self._store_error
                return self._from_here(wanted) or self._from_source(wanted)
            except Stopped:
                raise
            except Exception as error:  # whatever a source does, it costs its own file only
                self._take_note(wanted, error)
                failures.append(Failure.of(error))
        return failures

    def _take_note(self, wanted: Wanted, error: Exception) -> None:
        if isinstance(error, STORE_IS_DOWN):
            self._store_error = error
        elif isinstance(error, SourceElsewhere):
            pass  # known at once, and of each file by itself: shares are mounted one by one
        elif isinstance(error, SourceUnavailable | SourceTimeout):
            self._failed_in_a_row[wanted.source_system] += 1

    def _from_here(self, wanted: Wanted) -> Place | None:
        """Store the content from this machine; None if it is not here."""
        for place in (self._manifest, self._cache.open):
            if (file := place(wanted.sha256)) is not None:
                with file, suppress(BlobDamaged):  # some members are missing; evicted and made anew while it was read
                    return self._stream(wanted, partial(_copy, file))
        return None

    def _manifest(self, sha256: str) -> IO[bytes] | None:
        return io.BytesIO(self._manifests[sha256]) if sha256 in self._manifests else None

    def _from_source(self, wanted: Wanted) -> Place:
        if self._failed_in_a_row[wanted.source_system] >= GIVE_UP_AFTER:
            raise SourceUnavailable(
                f"{wanted.source_system} failed {GIVE_UP_AFTER} times in a row and was not asked again. "
                "Nothing to do: it is tried again later."
            )
        place = self._from_source_now(wanted)
        self._failed_in_a_row[wanted.source_system] = 0
        return place

    def _from_source_now(self, wanted: Wanted) -> Place:
        source = source_of_kind(wanted.source_kind, self._settings)
        try:
            item = source.reopen(wanted.source_system, wanted.item_id)
        except NotImplementedError as error:
            raise VersionUnavailable(
                f"{wanted.source_kind} cannot fetch a file again, and its bytes are not in the cache of this machine. "
                "Run a worker on the machine that reads, or teach the reader to reopen."
            ) from error
        if item.is_folder:
            raise IncompleteDownload(
                "The members of the file set are not all in the catalogue yet. Nothing to do: it is tried again later."
            )
        now = source.revision(item)
        if now.token != wanted.revision:
            try:
                return self._stream(wanted, lambda sink: source.download_version(item, wanted.revision, sink))
            except (NotImplementedError, BlobDamaged, VersionUnavailable):
                if (place := self._from_history(wanted, source, item)) is not None:
                    return place
                # A touched file has a new revision and its old bytes, so the present ones are
                # worth a try, but only if they can be the same.
                if now.size not in (None, wanted.size):
                    raise _moved_on(wanted) from None
        try:
            return self._stream(wanted, lambda sink: source.download(item, now, sink))
        except BlobDamaged as error:
            if now.token != wanted.revision:
                raise _moved_on(wanted) from error
            raise SourceChanged(
                f"{wanted.source_system} sent other bytes than were read, under the same revision. "
                "Nothing to do: it is tried again later."
            ) from error

    def _from_history(self, wanted: Wanted, source: Source, item: Item) -> Place | None:
        """Look for the bytes among the versions that the source keeps; None if none of them has these.

        What a source calls a version need not tell which revision it was, so the hash decides;
        those of another size come last, for what sources tell of sizes is not always true.
        """
        if not source.keeps_versions:
            return None
        known = islice(source.versions(item), LATEST_VERSIONS)
        for past in sorted(known, key=lambda past: past.size not in (None, wanted.size)):
            token = past.token
            with suppress(BlobDamaged, VersionUnavailable):
                return self._stream(wanted, partial(source.download_version, item, token))
        return None

    def _stream(self, wanted: Wanted, send: Callable[[Sink], object]) -> Place:
        """Let `send` write the bytes into the store, and return their place once they are verified."""
        if wanted.size <= PACKED and self._pack_bytes:
            with Held(wanted.sha256, wanted.size) as held:
                self._send(held, send)
                held.commit()
            return self._wait_for_others(wanted.sha256, bytes(held.content))
        with self._store.writer(wanted.sha256, wanted.size) as writer:
            writer.replace = self._replace
            self._send(writer, send)
            return writer.commit()

    def _send(self, writer: Writer, send: Callable[[Sink], object]) -> None:
        sink = _Intake(writer, self)
        try:
            send(sink)
        except Exception:
            # A source may dress up an error of the store as one of its own.
            if sink.error is not None:
                raise sink.error from None
            raise

    @property
    def _pack_bytes(self) -> int:
        """Bytes of a pack; 0 = each content is an object of its own, as one that replaces a damaged one has to be."""
        return 0 if self._replace else self._settings.store.pack_bytes

    def _wait_for_others(self, sha256: str, content: bytes) -> Place:
        with self._lock:
            self._small[sha256] = content
            self._small_bytes += len(content)
        if self._small_bytes >= self._pack_bytes:
            with self._turns:  # who waits here reads nothing more, so memory is bounded
                if self._small_bytes >= self._pack_bytes:
                    self._keep_all(self._taken())
        return PENDING

    def _taken(self) -> dict[str, bytes]:
        """Return the small contents that wait, which wait no more."""
        with self._lock:
            taken, self._small, self._small_bytes = self._small, {}, 0
        return taken

    def _keep_all(self, contents: Mapping[str, bytes]) -> None:
        for group in divided(contents, self._pack_bytes):
            self._keep(group)

    def _keep(self, contents: dict[str, bytes]) -> None:
        try:
            if self._store_error is not None:
                raise self._store_error
            self._kept.update(keep(self._store, contents))
        except Exception as error:
            if isinstance(error, StoreFull) and len(contents) > 1:
                for sha256, content in contents.items():  # some may still fit
                    self._keep({sha256: content})
                return
            if isinstance(error, STORE_IS_DOWN):
                self._store_error = error
            self._kept.update(dict.fromkeys(contents, Failure.of(error)))

    @property
    def given_up(self) -> bool:
        """Whether files that are still under way should be left."""
        return time.monotonic() > self._give_up_at


class _Intake:
    """The sink of one file; remembers what stopped it."""

    def __init__(self, writer: Writer, fetcher: Fetcher) -> None:
        self.error: Exception | None = None
        self._writer = writer
        self._fetcher = fetcher

    def __call__(self, chunk: bytes) -> None:
        try:
            if self._fetcher.given_up:
                raise Stopped
            self._writer.write(chunk)
        except Exception as error:
            self.error = error
            raise


def _copy(file: IO[bytes], sink: Sink) -> None:
    while chunk := file.read(CHUNK):
        sink(chunk)


def _moved_on(wanted: Wanted) -> VersionUnavailable:
    return VersionUnavailable(
        f"{wanted.source_system} has moved on to another version and keeps no history of the file. "
        "Whoever still has these bytes can read them once more."
    )
