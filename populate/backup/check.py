"""Compares the catalogue's backups with what the content store holds.

`check` asks the store for one listing, whatever the number of contents; with `verify_data`
every byte is read and hashed again. Nothing is repaired.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import NamedTuple

from data_platform.errors import BlobDamaged, BlobMissing, StoreError, StoreUnavailable
from populate.backup.stores import ContentStore
from populate.backup.tables import Placement
from populate.store import Place, Store, content_of
from populate.store.base import PACKS
from schemas.binding import Binding
from schemas.catalogue import Blob
from schemas.engine import dj
from schemas.identity import identity
from schemas.restrict import where

PAGE = 10_000
"""Rows that are fetched at once."""

THREADS = min(8, 2 * (os.cpu_count() or 1))
WAITING = 4 * THREADS

TOGETHER = 8 * 1024 * 1024
"""Bytes of neighbours in a pack that are asked for in one request."""

IN_MEMORY = 50_000
"""Rows of packs that are held at once, about."""

_IN_PACKS = (
    "SELECT p.sha256, b.blob_size, p.object_name, p.place_offset, p.place_length"
    " FROM {placement} AS p JOIN {blob} AS b ON b.sha256 = p.sha256"
    " WHERE p.store_id = %s AND p.object_name LIKE %s AND p.object_name > %s AND p.object_name <= %s"
    " ORDER BY p.object_name, p.place_offset"
)
_BY_HASH = (
    "SELECT p.sha256, b.blob_size, p.object_name, p.place_offset, p.place_length"
    " FROM {placement} AS p JOIN {blob} AS b ON b.sha256 = p.sha256"
    " WHERE p.store_id = %s AND p.sha256 > %s AND p.object_name {like} %s"
    " ORDER BY p.sha256 LIMIT %s"
)


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
    odd: list[Kept] = []
    rows = _rows_of_own_objects(binding, store, odd)
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
    others = chain(odd, _rows_of_packs(binding, store, sorted(name for name in shared if name.startswith(PACKS))))
    yield from _compared_with_shared(store, others, shared, unreferenced)


def _compared_with_shared(
    store: Store, rows: Iterable[Kept], shared: dict[str, int], unreferenced: bool
) -> Iterator[Problem | Kept]:
    used = set()
    for kept in rows:
        used.add(kept.place.object_name)
        yield _judged(store, kept, shared.get(kept.place.object_name))
    if unreferenced:
        for name in sorted(shared.keys() - used):
            yield Problem("", name, "unreferenced", f"{shared[name]} bytes that no row refers to. Nothing to do.")


def _rows_of_own_objects(binding: Binding, store: Store, odd: list[Kept]) -> Iterator[Kept]:
    """Yield the contents that lie by themselves; put those into `odd` that neither do nor are in a pack."""
    for kept in _rows(binding, store, packed=False):
        if content_of(kept.place.object_name) == kept.sha256:
            yield kept
        else:
            odd.append(kept)


def _rows_of_packs(binding: Binding, store: Store, packs: Sequence[str]) -> Iterator[Kept]:
    """Yield the contents in packs as they lie there, so that neighbours can be read together.

    The packs are divided into ranges, each of which memory has room for.
    If none is there, nothing is to be read, so any order does.
    """
    if not packs:
        yield from _rows(binding, store, packed=True)
        return
    store_id = identity("store", store.name)
    number = len(where(Placement, store_id=store_id))
    at_once = max(1, len(packs) * IN_MEMORY // max(number, 1))
    ends = [packs[end - 1] for end in range(at_once, len(packs), at_once)]
    for after, last in pairwise([PACKS, *ends, f"{PACKS}zz"]):
        yield from _asked(binding, _IN_PACKS, store_id, f"{PACKS}%", after, last)


def _rows(binding: Binding, store: Store, *, packed: bool) -> Iterator[Kept]:
    """Yield the contents that should be in packs, or not, in the order of their hashes, a page at a time."""
    statement = _BY_HASH.format(like="LIKE" if packed else "NOT LIKE", placement="{placement}", blob="{blob}")
    store_id, last = identity("store", store.name), ""
    while page := _asked(binding, statement, store_id, last, f"{PACKS}%", PAGE):
        yield from page
        last = page[-1].sha256


def _asked(binding: Binding, statement: str, *arguments: str | int) -> list[Kept]:
    binding.ensure()
    named = statement.format(placement=Placement().full_table_name, blob=Blob().full_table_name)
    found = binding.connection.query(named, args=arguments).fetchall()
    return [Kept(sha256, int(size), Place(name, int(at), int(length))) for sha256, size, name, at, length in found]


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
    waiting: deque[Future[list[Problem | Kept]]] = deque()
    with ThreadPoolExecutor(THREADS, thread_name_prefix="verify") as pool:
        try:
            for one in _neighbours(found):
                if isinstance(one, Problem):
                    yield one
                    continue
                waiting.append(pool.submit(_hashed_together, store, one))
                if len(waiting) >= WAITING:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _neighbours(found: Iterable[Problem | Kept]) -> Iterator[Problem | list[Kept]]:
    """Put contents together that follow each other, in a pack as here."""
    group, size = list[Kept](), 0
    for one in found:
        if isinstance(one, Kept) and group and size + one.size <= TOGETHER and _follows(one.place, group[-1].place):
            group.append(one)
            size += one.size
            continue
        if group:
            yield group
        group, size = ([one], one.size) if isinstance(one, Kept) else ([], 0)
        if isinstance(one, Problem):
            yield one
    if group:
        yield group


def _follows(one: Place, other: Place) -> bool:
    return one.object_name == other.object_name and one.offset == other.offset + other.length


def _hashed_together(store: Store, group: Sequence[Kept]) -> list[Problem | Kept]:
    """Read neighbours with one request; what is not as it should be is looked at by itself, which tells why."""
    if len(group) == 1:
        return [_hashed(store, group[0])]
    first = group[0].place
    try:
        pieces = store.read(Place(first.object_name, first.offset, sum(kept.place.length for kept in group)))
        digests = list(_digests(pieces, [kept.place.length for kept in group]))
    except StoreUnavailable:
        raise
    except StoreError:
        digests = [""] * len(group)
    return [
        kept if digest == kept.sha256 else _hashed(store, kept) for kept, digest in zip(group, digests, strict=True)
    ]


def _digests(pieces: Iterator[bytes], lengths: Iterable[int]) -> Iterator[str]:
    rest = memoryview(b"")
    for length in lengths:
        digest, missing = hashlib.sha256(), length
        while missing:
            rest = rest or memoryview(next(pieces, b""))
            if not rest:
                raise BlobDamaged("The object is too short. Run `data-platform check`.")
            part = rest[:missing]
            digest.update(part)
            rest, missing = rest[len(part) :], missing - len(part)
        yield digest.hexdigest()


def _hashed(store: Store, kept: Kept) -> Problem | Kept:
    digest = hashlib.sha256()
    try:
        for piece in store.read(kept.place):
            digest.update(piece)
    except BlobMissing:
        return _problem(kept, "missing", "The object is not there.")
    except BlobDamaged:
        if (store.size(kept.place.object_name) or 0) < kept.place.offset + kept.place.length:
            return _problem(kept, "wrong size", "The object is too short.")
        return _problem(kept, "damaged", "The bytes are not as they were sealed.")
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
