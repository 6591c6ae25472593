"""Objects without rows: left over by workers that were killed, or about to be recorded by ones that live."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import islice
from typing import TypeVar

from data_platform.errors import BlobDamaged, BlobMissing
from populate.backup.erased import erased
from populate.backup.removal import object_id
from populate.backup.removing import Round
from populate.backup.repacking import found_whole, repack
from populate.backup.tables import Placement
from populate.lookup import lookup
from populate.retention.quarantine import Judge, wanted
from populate.retention.tables import Stray, StrayEnd
from populate.store import Store, content_of
from populate.store.base import PACKS
from populate.store.pack import contents_of_pack
from schemas.binding import Binding
from schemas.catalogue import Blob

PAGE = 1000
T = TypeVar("T")
RECORDED, GONE, SWEPT = "recorded", "gone", "swept"

FEW = 100
"""Objects without rows, and contents that nobody knows, up to which nobody thinks that the catalogue was lost."""

_LIVE = (
    "SELECT object_name, SUM(place_length) FROM {placement}"
    " WHERE store_id = %s AND object_name LIKE %s GROUP BY object_name"
)


@dataclass(slots=True)
class Inventory:
    """What a store holds, beside the rows.

    Attributes
    ----------
    objects
        Number of contents by themselves and of packs.
    strays
        Bytes of each object without rows, by name.
    packs
        Bytes of each pack with rows, and how many of these are of contents with a place there.
    contents
        SHA-256 of the contents of each object without rows, by name. A pack whose footer cannot be read is none
        of them: nobody knows what it holds.
    unknown
        How many of these contents are not in the catalogue at all.
    """

    objects: int = 0
    strays: dict[str, int] = field(default_factory=dict)
    packs: dict[str, tuple[int, int]] = field(default_factory=dict)
    contents: dict[str, set[str]] = field(default_factory=dict)
    unknown: int = 0

    @property
    def is_doubtful(self) -> bool:
        """Whether the catalogue knows so little of the store that it was lost, is an old copy, or not the only one."""
        return len(self.strays) > max(FEW, self.objects // 2) or self.unknown > FEW


def inventory(binding: Binding, store: Store, store_id: str) -> Inventory:
    """Compare the objects of a store with the rows.

    Raises
    ------
    StoreUnavailable
        If the store does not answer.
    """
    found = Inventory()
    for page in pages(store.objects()):
        own = {sha256: (name, size) for name, size in page if (sha256 := content_of(name))}
        rows = set(lookup(Placement, "sha256", "object_name", store_id=(store_id,), sha256=own.keys()))
        found.strays |= {name: size for sha256, (name, size) in own.items() if (sha256, name) not in rows}
        packs = {name: size for name, size in page if name.startswith(PACKS)}
        found.objects += len(own) + len(packs)
        found.packs |= {name: (size, 0) for name, size in packs.items()}
    statement = _LIVE.format(placement=Placement().full_table_name)
    live = dict(binding.connection.query(statement, args=(store_id, f"{PACKS}%")).fetchall())
    found.strays |= {name: size for name, (size, _) in found.packs.items() if name not in live}
    found.packs = {name: (size, int(live[name])) for name, (size, _) in found.packs.items() if name in live}
    if not found.is_doubtful:
        found.contents = dict(_contents(store, found.strays))
        for some in pages(sorted(set().union(*found.contents.values()))):
            found.unknown += len(some) - len(lookup(Blob, "sha256", sha256=some))
    return found


def _contents(store: Store, strays: Mapping[str, int]) -> Iterator[tuple[str, set[str]]]:
    for name, size in strays.items():
        with suppress(BlobDamaged, BlobMissing):
            yield name, {sha256} if (sha256 := content_of(name)) else set(contents_of_pack(store, name, size))


def note(store_id: str, held: Inventory, now: datetime) -> dict[str, datetime]:
    """Enter what is met for the first time, end what is none any more; return since when each is known, by name."""
    known = dict(_open(store_id))
    new = [name for name in sorted(held.strays) if name not in known]
    rows = [{**_key(store_id, name, now), "object_name": name, "stray_bytes": held.strays[name]} for name in new]
    for some in pages(rows):
        Stray.insert(some)
    ended = {name: since for name, since in known.items() if name not in held.strays}
    _end(store_id, {n: at for n, at in ended.items() if n in held.packs}, RECORDED, now)
    _end(store_id, {n: at for n, at in ended.items() if n not in held.packs}, GONE, now)
    return {name: known.get(name, now) for name in held.strays}


def due(held: Inventory, since: Mapping[str, datetime], before: datetime) -> dict[str, set[str]]:
    """Return the objects that have waited long enough, or hold what was erased, and the contents of each."""
    gone = set[str]()
    for some in pages(sorted(set().union(*held.contents.values()))):
        gone |= erased(some)
    return {name: hashes for name, hashes in held.contents.items() if since[name] <= before or hashes & gone}


def sweep(round_: Round, judge: Judge, some: Mapping[str, Collection[str]], since: Mapping[str, datetime]) -> list[str]:
    """Remove objects without rows, but those that hold the only bytes of something wanted, to which rows lead then.

    A pack that holds something erased besides is written anew without it. Returns what was removed.

    Parameters
    ----------
    some
        Names, and the contents of each.
    since
        When each was met first.
    """
    with round_.behind_gate():
        hashes = {sha256 for contents in some.values() for sha256 in contents}
        last = wanted(judge, round_.store_id, hashes)
        free = round_.claim([name for name, contents in some.items() if not last & set(contents)])
        _end(round_.store_id, {name: since[name] for name in free}, SWEPT, judge.now)
    removed = round_.remove(free)
    for name in sorted(name for name, contents in some.items() if last & set(contents)):
        found_whole(round_, name, partial(wanted, judge, round_.store_id))
        if name.startswith(PACKS) and erased(some[name]):
            removed += repack(round_, name, wanted=partial(wanted, judge, round_.store_id))
    return removed


def _open(store_id: str) -> Iterator[tuple[str, datetime]]:
    ended = set(lookup(StrayEnd, "object_id", "stray_since", store_id=(store_id,)))
    for object_, since, name in lookup(Stray, "object_id", "stray_since", "object_name", store_id=(store_id,)):
        if (object_, since) not in ended:
            yield name, since


def _end(store_id: str, strays: Mapping[str, datetime], outcome: str, now: datetime) -> None:
    rows = [
        {**_key(store_id, name, since), "stray_ended_at": now, "stray_outcome": outcome}
        for name, since in sorted(strays.items())
    ]
    for some in pages(rows):
        StrayEnd.insert(some)


def _key(store_id: str, name: str, since: datetime) -> dict[str, object]:
    return {"store_id": store_id, "object_id": object_id(name), "stray_since": since}


def pages(things: Iterable[T], size: int = PAGE) -> Iterator[list[T]]:
    """Yield things some at a time."""
    rest = iter(things)
    while page := list(islice(rest, size)):
        yield page
