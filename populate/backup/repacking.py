"""Packs written anew without what is not to be kept of them, and the old ones removed.

A pack may hold more than the rows tell: contents that were swept, or stored twice, or moved elsewhere when they
were taken for damaged. Of these the bytes may be the only whole ones by now. So before a pack goes, what is in it
without being kept well anywhere else is told by its footer, read, and kept.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from data_platform.errors import BlobDamaged, BlobMissing, StoreError, StoreUnavailable
from populate.backup.check import Kept, Problem, verified
from populate.backup.erased import erased
from populate.backup.removal import claimed, latest_removal
from populate.backup.removing import Round
from populate.backup.tables import Placement, record_places
from populate.backup.verification import move, open_damages, record
from populate.lookup import lookup
from populate.store import Place, Store, content_of
from populate.store.base import PACKS
from populate.store.pack import contents_of_pack, divided, entry_bytes, keep
from schemas.binding import Binding
from schemas.catalogue import Blob
from schemas.restrict import where

Wanted = Callable[[Collection[str]], Collection[str]]
"""Tells of contents without a place, by SHA-256, which of them something keeps."""

_LIVE = (
    "SELECT object_name, COUNT(*), SUM(place_length) FROM {placement}"
    " WHERE store_id = %s AND object_name LIKE %s GROUP BY object_name"
)


def repack(
    round_: Round,
    name: str,
    without: Collection[str] = frozenset(),
    *,
    lossy: bool = False,
    wanted: Wanted | None = None,
) -> list[str]:
    """Write a pack anew without some contents, let rows lead there, and remove the old one.

    What the pack holds of damaged contents, whole, is taken along, and is where these are from then on.
    Unless lossy, a pack stays of which nobody knows what it holds, or that holds what is erased and cannot go
    yet: written anew it would be kept for longer.

    Parameters
    ----------
    round_
        The round of removals at work.
    name
        The pack.
    without
        SHA-256 of what is to go. Their rows stay as they are.
    lossy
        Whether the pack goes even if something else in it is damaged, which is told as such. Else it stays then.
    wanted
        Tells which contents are to have a place again that have none; what it leaves out, goes. Unless given
        they are taken along and get no place: it is for others to judge whether they may go.

    Returns
    -------
    list of str
        The pack, if it was there and is not any more.

    Raises
    ------
    StoreUnavailable, StoreError
        If the store does not answer, or does not let the pack be removed. Nothing is lost by trying again.
    """
    since = latest_removal(round_.store_id)
    held = _looked_into(round_, name, without, lossy, wanted)
    if held is None:
        return []
    damaged, unplaced = _only_here(round_, held.beside, wanted)
    found, unreadable = _read(round_.store, [*damaged, *unplaced])
    _refuse_unreadable(name, unreadable)
    sizes = {one.sha256: one.size for one in (*held.kept, *damaged, *unplaced)}
    places = _stored_anew(round_.store, held.whole | found, sizes)
    mended = {one.sha256: places[one.sha256] for one in damaged if one.sha256 in found}
    placed_again = {one.sha256: places[one.sha256] for one in unplaced if one.sha256 in found and wanted is not None}
    with round_.behind_gate():
        connection = Placement().connection
        if claimed(connection, round_.store_id, since, places):
            raise StoreUnavailable(f"What {name} is written anew as is about to be removed. Try it again in an hour.")
        if any(_only_here(round_, _but_for(held.beside, [*damaged, *unplaced]), wanted)):
            if lossy:
                raise StoreUnavailable(f"{name} has the last bytes of something by now. Do the same once more.")
            return []  # the next round takes it along
        still = lookup(Placement, "sha256", store_id=(round_.store_id,), object_name=(name,))
        move(round_.store_id, {sha256: places[sha256] for (sha256,) in still if sha256 in places})
        _mend(round_, mended, sizes)
        record_places(round_.store.name, placed_again, since)
        free = round_.claim([name], {*without, *held.problems})
    return round_.remove(free)


class _Held(NamedTuple):
    """What a pack holds that is not to go.

    Attributes
    ----------
    kept
        Contents to which rows lead there.
    whole, problems
        Of these, by SHA-256: the bytes of those that are whole, and what is wrong with the others.
    beside
        Where the contents are to which no row leads there, by SHA-256.
    """

    kept: list[Kept]
    whole: dict[str, bytes]
    problems: dict[str, Problem]
    beside: dict[str, Place]


def _looked_into(
    round_: Round, name: str, without: Collection[str], lossy: bool, wanted: Wanted | None
) -> _Held | None:
    """Return what a pack holds that is to be taken along, or None if it is to stay as it is."""
    kept = [one for one in _rows_of(round_.store_id, name) if one.sha256 not in without]
    footer = contents_of_object(round_.store, name)
    beside = {one: place for one, place in (footer or {}).items() if one not in without}
    if not lossy and (footer is None or erased([one.sha256 for one in kept])):
        return None
    if wanted is not None and wanted(erased(beside)):
        return None  # it is under a legal hold
    whole, problems = _read(round_.store, kept)
    again, problems = _read(round_.store, [one for one in kept if one.sha256 in problems])  # perhaps a moment's
    _refuse_unreadable(name, problems)
    record(round_.store_id, (), problems.values())  # what is lost already is told as such
    if problems and not lossy:
        return None
    return _Held(kept, whole | again, problems, _but_for(beside, kept))


def _refuse_unreadable(name: str, problems: Mapping[str, Problem]) -> None:
    if any(problem.problem == "unreadable" for problem in problems.values()):
        raise StoreUnavailable(f"{name} cannot be read just now, so what else is in it stays. Try it again later.")


def found_whole(round_: Round, name: str, wanted: Wanted) -> None:
    """Let rows lead to what an object without rows holds whole of damaged contents, and of wanted ones without place.

    Raises
    ------
    StoreUnavailable
        If the store does not answer.
    """
    since = latest_removal(round_.store_id)
    damaged, unplaced = _only_here(round_, contents_of_object(round_.store, name) or {}, wanted)
    whole = {one.sha256: one for one in verified(round_.store, [*damaged, *unplaced]) if isinstance(one, Kept)}
    places = {sha256: one.place for sha256, one in whole.items()}
    with round_.behind_gate():
        if claimed(Placement().connection, round_.store_id, since, places):
            return  # by a round that was killed: it is carried on first
        _mend(
            round_,
            {one.sha256: one.place for one in damaged if one.sha256 in whole},
            {sha256: one.size for sha256, one in whole.items()},
        )
        record_places(round_.store.name, {one.sha256: one.place for one in unplaced if one.sha256 in whole}, since)


def _mend(round_: Round, places: Mapping[str, Place], sizes: Mapping[str, int]) -> None:
    """Let rows of contents that are damaged still lead to where they are whole."""
    damaged = open_damages(round_.store_id, places.keys())
    record(round_.store_id, [Kept(sha256, sizes[sha256], places[sha256]) for sha256 in damaged])
    move(round_.store_id, {sha256: places[sha256] for sha256 in damaged})


def _only_here(round_: Round, contents: Mapping[str, Place], wanted: Wanted | None) -> tuple[list[Kept], list[Kept]]:
    """Return of what an object holds that which is damaged elsewhere in the store, and that which is nowhere else."""
    gone = erased(contents.keys())
    places = {sha256: place for sha256, place in contents.items() if sha256 not in gone}
    rows = lookup(Placement, "sha256", store_id=(round_.store_id,), sha256=places.keys())
    damaged = open_damages(round_.store_id, places.keys()).keys() & {sha256 for (sha256,) in rows}
    unplaced: Collection[str] = places.keys() - {sha256 for (sha256,) in rows}
    if wanted is not None:
        unplaced = wanted(unplaced)
    return _sorted(places, damaged), _sorted(places, unplaced)


def _but_for(places: Mapping[str, Place], others: Collection[Kept]) -> dict[str, Place]:
    hashes = {one.sha256 for one in others}
    return {sha256: place for sha256, place in places.items() if sha256 not in hashes}


def _sorted(places: Mapping[str, Place], hashes: Collection[str]) -> list[Kept]:
    return [Kept(sha256, places[sha256].length, places[sha256]) for sha256 in sorted(hashes)]


def contents_of_object(store: Store, name: str) -> dict[str, Place] | None:
    """Return the places of the contents of an object, by SHA-256; empty if it is gone, None if nobody knows them.

    Raises
    ------
    StoreUnavailable
        If the store does not answer.
    """
    size = store.size(name)
    if size is None:
        return {}
    if (sha256 := content_of(name)) is not None:
        return {sha256: Place(name, 0, size)}
    try:
        return contents_of_pack(store, name, size)
    except BlobMissing:
        return {}
    except BlobDamaged:
        return None


def packs_with(binding: Binding, store: Store, store_id: str, sha256: str) -> list[str]:
    """Return the packs that hold a content to which no row there leads.

    Only packs are looked into that hold more than what rows lead to.

    Raises
    ------
    StoreUnavailable
        If the store does not answer.
    """
    return [name for name in _with_more(binding, store, store_id) if sha256 in (contents_of_object(store, name) or ())]


def _with_more(binding: Binding, store: Store, store_id: str) -> Iterator[str]:
    statement = _LIVE.format(placement=Placement().full_table_name)
    rows = binding.connection.query(statement, args=(store_id, f"{PACKS}%")).fetchall()
    full = {name: int(size) + entry_bytes(int(number)) for name, number, size in rows}
    for name, size in store.objects(PACKS):
        if size != full.get(name):
            yield name


def _rows_of(store_id: str, name: str) -> list[Kept]:
    rows = where(Placement, store_id=store_id, object_name=name) * Blob
    columns = ("sha256", "blob_size", "object_name", "place_offset", "place_length")
    found = zip(*(column.tolist() for column in rows.to_arrays(*columns, order_by="sha256")), strict=True)
    return [Kept(row[0], row[1], Place(*row[2:])) for row in found]


def _read(store: Store, kept: Sequence[Kept]) -> tuple[dict[str, bytes], dict[str, Problem]]:
    """Return the contents that are whole, and what is wrong with the others, by SHA-256."""
    whole, problems = dict[str, bytes](), dict[str, Problem]()
    for one in verified(store, kept):
        if isinstance(one, Problem):
            problems[one.sha256] = one
        else:
            whole[one.sha256] = b"".join(store.read(one.place))
    return whole, problems


def _stored_anew(store: Store, contents: dict[str, bytes], sizes: Mapping[str, int]) -> dict[str, Place]:
    """Return where the contents are now, each read back: what they were read from is about to go."""
    places: dict[str, Place] = {}
    for group in divided(contents, sum(map(len, contents.values())) + 1):
        places |= keep(store, group)
    for sha256 in _not_whole(store, places, sizes):  # an object of that name was there, and is what is damaged
        with store.writer(sha256, sizes[sha256]) as writer:
            writer.replace = True
            writer.write(contents[sha256])
            places[sha256] = writer.commit()
    for sha256 in _not_whole(store, places, sizes):
        name = places[sha256].object_name
        raise StoreError(f"{name} is not as it was written. Run `data-platform check --verify-data`.")
    return places


def _not_whole(store: Store, places: Mapping[str, Place], sizes: Mapping[str, int]) -> list[str]:
    kept = [Kept(sha256, sizes[sha256], place) for sha256, place in places.items()]
    return [one.sha256 for one in verified(store, kept) if isinstance(one, Problem)]
