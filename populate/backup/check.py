"""Compares the catalogue's backups with what the content store holds.

`check` asks the store for one listing, whatever the number of contents; with `verify_data`
every byte is read and hashed again. Nothing is repaired.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

from data_platform.errors import BlobDamaged, BlobMissing, StoreError, StoreUnavailable
from populate.backup.stores import ContentStore
from populate.backup.tables import Placement
from populate.store import Place, Store, content_of
from schemas.binding import Binding
from schemas.catalogue import Blob
from schemas.engine import dj
from schemas.identity import identity
from schemas.restrict import where

PAGE = 10_000
"""Rows that are fetched at once."""

THREADS = min(8, 2 * (os.cpu_count() or 1))
WAITING = 4 * THREADS


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it should be.

    Attributes
    ----------
    sha256
        The content; empty if it cannot be told.
    object_name
        The object in the store.
    problem
        ``missing``, ``wrong size``, ``damaged``, ``unreadable``, ``elsewhere`` (kept in a store
        that was not looked at), or ``unreferenced`` (no harm: no row refers to the object).
    detail
        What was found, and what to do.
    """

    sha256: str
    object_name: str
    problem: str
    detail: str

    def __str__(self) -> str:
        return f"{self.problem}: {self.sha256 or self.object_name}: {self.detail}"


class Kept(NamedTuple):
    """A content and where the catalogue says that it is."""

    sha256: str
    size: int
    place: Place


def check(
    binding: Binding,
    store: Store,
    verify_data: bool = False,
    *,
    unreferenced: bool = False,
    progress: Callable[[int], object] | None = None,
    sound: Callable[[Kept], object] | None = None,
) -> Iterator[Problem]:
    """Yield what is wrong with the backups in `store`.

    Parameters
    ----------
    binding
        With the tables of `populate.pipeline`.
    store
        The store to look into.
    verify_data
        Read every content and compare its hash, several at a time, with bounded memory.
    unreferenced
        Yield objects that no row refers to as well. They do no harm: a worker was stopped
        between storing and recording, or is just there.
    progress
        Called with the number (int) of contents looked at since the last call.
    sound
        Called with each content that is as it should be.

    Raises
    ------
    StoreUnavailable
        If the store does not answer.
    """
    binding.ensure()
    yield from _kept_elsewhere(store)
    found = _compared(binding, store, unreferenced)
    for one in verified(store, found) if verify_data else found:
        if isinstance(one, Problem):
            yield one
        elif sound is not None:
            sound(one)
        if progress is not None and (isinstance(one, Kept) or one.problem != "unreferenced"):
            progress(1)


def _kept_elsewhere(store: Store) -> Iterator[Problem]:
    """Tell of contents whose only places are in stores that are not looked at."""
    here = dj.U("sha256") & where(Placement, store_id=identity("store", store.name))
    for other in ContentStore.to_dicts(order_by="store_name"):
        if other["store_name"] != store.name and (count := len(where(Placement, store_id=other["store_id"]) - here)):
            detail = f"{count} contents are kept there only. Check them with store.url set to it."
            yield Problem("", other["store_name"], "elsewhere", detail)


def _compared(binding: Binding, store: Store, unreferenced: bool) -> Iterator[Problem | Kept]:
    """Walk through rows and objects side by side, both in the order of their hashes.

    Only objects of several contents are remembered, so memory does not grow with the store.
    """
    shared: dict[str, int] = {}
    rows = (kept for kept in _rows(binding, store) if content_of(kept.place.object_name) == kept.sha256)
    kept = next(rows, None)
    for name, size in _in_order(store):
        sha256 = content_of(name)
        if sha256 is None:
            shared[name] = size
            continue
        while kept is not None and kept.sha256 < sha256:
            yield _judged(store, kept, None)
            kept = next(rows, None)
        if kept is not None and kept.sha256 == sha256:
            yield _judged(store, kept, size)
            kept = next(rows, None)
        elif unreferenced:
            yield Problem(sha256, name, "unreferenced", f"{size} bytes that no row refers to. Nothing to do.")
    while kept is not None:
        yield _judged(store, kept, None)
        kept = next(rows, None)
    yield from _compared_with_shared(binding, store, shared, unreferenced)


def _compared_with_shared(
    binding: Binding, store: Store, shared: dict[str, int], unreferenced: bool
) -> Iterator[Problem | Kept]:
    used = set()
    for kept in _rows(binding, store):
        if content_of(kept.place.object_name) != kept.sha256:
            used.add(kept.place.object_name)
            yield _judged(store, kept, shared.get(kept.place.object_name))
    if unreferenced:
        for name in sorted(shared.keys() - used):
            yield Problem("", name, "unreferenced", f"{shared[name]} bytes that no row refers to. Nothing to do.")


def _rows(binding: Binding, store: Store) -> Iterator[Kept]:
    """Yield the contents that should be in the store in the order of their hashes, a page at a time."""
    placed = where(Placement, store_id=identity("store", store.name)) * Blob
    columns = ("sha256", "blob_size", "object_name", "place_offset", "place_length")
    last = ""
    while True:
        binding.ensure()
        page = (placed & f"sha256 > '{last}'").to_arrays(*columns, order_by="sha256", limit=PAGE)
        for sha256, size, name, offset, length in zip(*(column.tolist() for column in page), strict=True):
            last = sha256
            yield Kept(sha256, size, Place(name, offset, length))
        if len(page[0]) < PAGE:
            return


def _in_order(store: Store) -> Iterator[tuple[str, int]]:
    before = ""
    for name, size in store.objects():
        if name < before:
            raise StoreError(
                f"{store.name} lists its objects in no order, so they cannot be compared. Use a general-purpose bucket."
            )
        before = name
        yield name, size


def _judged(store: Store, kept: Kept, size: int | None) -> Problem | Kept:
    """Compare a row with the size of its object, None if the listing does not have it."""
    if size is None:
        # It may have been stored after that part of the listing was made.
        size = store.size(kept.place.object_name)
    name, end = kept.place.object_name, kept.place.offset + kept.place.length
    if size is None:
        return _problem(kept, "missing", "The object is not there.")
    own = content_of(name) == kept.sha256
    if size < end or (own and size != end):
        return _problem(kept, "wrong size", f"The object has {size} bytes where {end} should be.")
    if kept.place.length != kept.size:
        return _problem(kept, "wrong size", f"The place has {kept.place.length} bytes, the content {kept.size}.")
    return kept


def verified(store: Store, found: Iterable[Problem | Kept]) -> Iterator[Problem | Kept]:
    """Read and hash contents, several at a time; yield each that is right, and what is wrong.

    Problems in `found` are handed on. Memory stays bounded, however many there are.

    Raises
    ------
    StoreUnavailable
        If the store does not answer.
    """
    waiting: deque[Future[Problem | Kept]] = deque()
    with ThreadPoolExecutor(THREADS, thread_name_prefix="verify") as pool:
        try:
            for one in found:
                if isinstance(one, Problem):
                    yield one
                    continue
                waiting.append(pool.submit(_hashed, store, one))
                if len(waiting) >= WAITING:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _hashed(store: Store, kept: Kept) -> Problem | Kept:
    digest = hashlib.sha256()
    try:
        for piece in store.read(kept.place):
            digest.update(piece)
    except BlobMissing:
        return _problem(kept, "missing", "The object is not there.")
    except BlobDamaged:
        return _problem(kept, "wrong size", "The object is too short.")
    except StoreUnavailable:
        raise
    except StoreError as error:
        return _problem(kept, "unreadable", str(error))
    if digest.hexdigest() == kept.sha256:
        return kept
    return _problem(kept, "damaged", f"The bytes have the SHA-256 {digest.hexdigest()}.")


def _problem(kept: Kept, problem: str, detail: str) -> Problem:
    advice = (
        "Run `data-platform retry`: a worker fetches it again if a source still has it. Else put the object back "
        "from a copy of the store."
    )
    return Problem(kept.sha256, kept.place.object_name, problem, f"{detail} {advice}")
