"""Contents from one store into another one, each compared with its hash on the way."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

from data_platform.errors import BlobDamaged, BlobMissing
from populate.backup.check import Kept, Problem, verified
from populate.backup.contents import THREADS
from populate.backup.tables import Placement
from populate.lookup import lookup
from populate.store import Place, Store
from populate.store.pack import PACKED, divided, keep
from schemas.catalogue import Blob
from schemas.identity import identity

TOGETHER = 32 * 1024 * 1024
"""Bytes of small contents that are in memory at once."""


def kept_in(store: Store, hashes: Collection[str]) -> list[Kept]:
    """Return where a store keeps some contents, those that it does, in the order of their SHA-256."""
    columns = ("sha256", "object_name", "place_offset", "place_length")
    rows = lookup(Placement, *columns, sha256=hashes, store_id=(identity("store", store.name),))
    sizes = dict(lookup(Blob, "sha256", "blob_size", sha256=hashes))
    return [Kept(sha256, int(sizes[sha256]), Place(name, int(at), int(n))) for sha256, name, at, n in sorted(rows)]


def copied(source: Store, target: Store, wanted: list[Kept], pack_bytes: int) -> tuple[dict[str, Place], list[Problem]]:
    """Copy contents from a store into another one, each compared with its hash.

    Returns
    -------
    dict, list
        Where the copies are, by SHA-256, and what is wrong with those that could not be had.
    """
    places, problems = dict[str, Place](), list[Problem]()
    small = [kept for kept in wanted if kept.size <= PACKED]
    for portion in _portions(small):
        sound = [one for one in verified(source, portion) if not isinstance(one, Problem)]
        contents = {one.sha256: b"".join(source.read(one.place)) for one in sound}
        # They were read anew, and a pack is written as it comes.
        contents = {known: content for known, content in contents.items() if sha256(content).hexdigest() == known}
        for group in divided(contents, pack_bytes):
            places |= keep(target, group)
    large = [kept for kept in wanted if kept.size > PACKED]
    with ThreadPoolExecutor(THREADS, thread_name_prefix="replica") as pool:
        streamed = pool.map(lambda kept: streamed_to(source, target, kept), large)
        places |= {kept.sha256: place for kept, place in zip(large, streamed, strict=True) if place}
    lost = [kept for kept in wanted if kept.sha256 not in places]
    problems += [one for one in verified(source, lost) if isinstance(one, Problem)]
    return places, problems


def streamed_to(source: Store, target: Store, kept: Kept, *, replace: bool = False) -> Place | None:
    """Copy one content as it comes; None if the store that has it does not give these bytes.

    Parameters
    ----------
    replace
        What the target holds of it is damaged, and is replaced.
    """
    with target.writer(kept.sha256, kept.size) as writer:
        writer.replace = replace
        try:
            for piece in source.read(kept.place):
                writer.write(piece)
            return writer.commit()
        except (BlobMissing, BlobDamaged):
            return None


def _portions(contents: list[Kept]) -> Iterator[list[Kept]]:
    portion, size = list[Kept](), 0
    for kept in contents:
        if portion and size + kept.size > TOGETHER:
            yield portion
            portion, size = [], 0
        portion.append(kept)
        size += kept.size
    if portion:
        yield portion
