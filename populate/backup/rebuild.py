"""The catalogue of contents made anew from what a store holds: for when the database was lost and the store was not.

The store is its own inventory: an object of one content is called by its hash, and a pack says in
its footer what it holds. What files were called and who read them is not there: that comes back
with a backup of the database, and whatever the store took after that backup is entered here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from data_platform.errors import BlobDamaged
from populate.backup.check import Kept, Problem, verified
from populate.backup.erased import erased
from populate.backup.removal import latest_removal
from populate.backup.stores import record_store
from populate.backup.tables import Placement, record_places
from populate.lookup import add, lookup, unknown
from populate.store import Place, Store, content_of
from populate.store.base import PACKS
from populate.store.pack import contents_of_pack
from schemas.binding import Binding
from schemas.catalogue import Blob
from schemas.identity import identity

MANY = 1000
"""Contents that are entered at once."""


@dataclass(slots=True)
class Rebuilt:
    """What was found in a store.

    Attributes
    ----------
    contents, bytes
        What the store holds and the catalogue knows now; a content that is there twice counts twice.
    added
        How many of these had no place in the catalogue before.
    refused
        What was not entered: objects that are neither a content nor a whole pack, damaged contents, and decisions
        that cannot be read; also stores that could not be asked for these.
    decisions
        What was decided of keeping and entered, as holds, which `populate.retention.entering` does.
    """

    contents: int = 0
    bytes: int = 0
    added: int = 0
    refused: list[str] = field(default_factory=list)
    decisions: list[str] = field(default_factory=list)


def rebuild(
    binding: Binding,
    store: Store,
    *,
    verify_data: bool = False,
    progress: Callable[[Rebuilt], object] | None = None,
) -> Rebuilt:
    """Enter every content of a store that has no place in the catalogue; what is there already stays.

    It may be broken off and called again. What was erased is not entered. A content that the catalogue
    does not know at all is read, and entered only if it has its hash: else the size of an object that
    was cut short would be believed for ever.

    Parameters
    ----------
    binding
        With the tables of `populate.pipeline`; they may be empty.
    store
        The store to look into.
    verify_data
        Read contents that the catalogue knows, too, and enter their places only if they have their hashes.
    progress
        Called with what has been found so far.

    Raises
    ------
    StoreUnavailable
        If the store does not answer.
    """
    binding.ensure()
    store_id = record_store(store.name)
    since = latest_removal(store_id)
    found = Rebuilt()
    contents = _contents(store, found)
    while batch := list(islice(contents, MANY)):
        binding.ensure()
        _enter(binding, store, since, batch, found, verify_data=verify_data)
        if progress is not None:
            progress(found)
    return found


def _contents(store: Store, found: Rebuilt) -> Iterator[Kept]:
    for name, size in store.objects():
        if (sha256 := content_of(name)) is not None:
            yield Kept(sha256, size, Place(name, 0, size))
        elif name.startswith(PACKS):
            try:
                places = contents_of_pack(store, name, size)
            except BlobDamaged as error:
                found.refused.append(str(error))
                continue
            yield from (Kept(one, place.length, place) for one, place in places.items())
        else:
            found.refused.append(f"{name} is no object of a content store. Look who put it there.")


def _enter(binding: Binding, store: Store, since: int, batch: list[Kept], found: Rebuilt, *, verify_data: bool) -> None:
    gone = erased({kept.sha256 for kept in batch})
    batch = [kept for kept in batch if kept.sha256 not in gone]
    others = _enter_first(binding, store, since, batch, found, verify_data=verify_data)
    while others:  # what is damaged, or about to go, at one place may be whole at another
        others = _enter_first(binding, store, since, others, found, verify_data=verify_data)


def _enter_first(
    binding: Binding, store: Store, since: int, batch: list[Kept], found: Rebuilt, *, verify_data: bool
) -> list[Kept]:
    """Enter contents by the first of their places; return further places of those that could not be entered."""
    new = _new(identity("store", store.name), batch)
    sizes = dict(lookup(Blob, "sha256", "blob_size", sha256={kept.sha256 for kept in new}))
    sound = [kept for kept in new if not verify_data and kept.sha256 in sizes]
    for one in verified(store, (kept for kept in new if verify_data or kept.sha256 not in sizes)):
        if isinstance(one, Problem):
            found.refused.append(str(one))
        else:
            sound.append(one)
    sound.sort()  # by hash, so that nobody waits for each other
    binding.ensure()  # reading may have taken long
    for kept in sound:
        if sizes.get(kept.sha256, kept.size) != kept.size:
            found.refused.append(f"{kept.place.object_name} has {kept.size} bytes, {kept.sha256} has another number.")
    sound = [kept for kept in sound if sizes.get(kept.sha256, kept.size) == kept.size]
    add(Blob, [{"sha256": kept.sha256, "blob_size": kept.size} for kept in sound if kept.sha256 not in sizes])
    lost = record_places(store.name, {kept.sha256: kept.place for kept in sound}, since)
    sound = [kept for kept in sound if kept.sha256 not in lost]
    left_out = {kept.sha256: kept.place for kept in new} | dict.fromkeys((kept.sha256 for kept in sound), None)
    others = [kept for kept in batch if left_out.get(kept.sha256) not in (None, kept.place)]
    lost -= {kept.sha256 for kept in others}
    found.refused += [f"{sha256} was removed while it was looked at. Rebuild again." for sha256 in sorted(lost)]
    found.added += len(sound)
    for number, some in ((1, batch), (-1, new), (-1, others), (1, sound)):
        found.contents += number * len(some)
        found.bytes += number * sum(kept.size for kept in some)
    return others


def _new(store_id: str, batch: list[Kept]) -> list[Kept]:
    """Return those without a place, each once: in the order of their hashes, so that nobody waits for each other."""
    first = {kept.sha256: kept for kept in reversed(batch)}
    rows: list[dict[str, Any]] = [{"sha256": sha256, "store_id": store_id} for sha256 in sorted(first)]
    return [first[row["sha256"]] for row in unknown(Placement, rows, "sha256", "store_id")]
