"""Packs written anew without what is not to be kept of them, and the old ones removed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from data_platform.errors import StoreError, StoreUnavailable
from populate.backup.check import Kept, Problem, verified
from populate.backup.removal import claimed, latest_removal
from populate.backup.removing import Round
from populate.backup.tables import Placement
from populate.backup.verification import move, record
from populate.lookup import lookup
from populate.store import Place, Store
from populate.store.pack import divided, keep
from schemas.catalogue import Blob
from schemas.restrict import where


def repack(round_: Round, name: str, without: Collection[str] = frozenset(), *, lossy: bool = False) -> list[str]:
    """Write a pack anew without some contents, let rows lead there, and remove the old one.

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
    kept = [one for one in _held(round_.store_id, name) if one.sha256 not in without]
    whole, problems = _read(round_.store, kept)
    again, problems = _read(round_.store, [one for one in kept if one.sha256 in problems])  # perhaps a moment's
    if any(problem.problem == "unreadable" for problem in problems.values()):
        raise StoreUnavailable(f"{name} cannot be read just now, so what else is in it stays. Try it again later.")
    record(round_.store_id, (), problems.values())  # what is lost already is told as such
    if problems and not lossy:
        return []
    places = _stored_anew(round_.store, whole | again, {one.sha256: one.size for one in kept})
    with round_.behind_gate():
        connection = Placement().connection
        if claimed(connection, round_.store_id, since, places):
            raise StoreUnavailable(f"What {name} is written anew as is about to be removed. Try it again in an hour.")
        still = lookup(Placement, "sha256", store_id=(round_.store_id,), object_name=(name,))
        move(round_.store_id, {sha256: places[sha256] for (sha256,) in still if sha256 in places})
        free = round_.claim([name], {*without, *problems})
    return round_.remove(free)


def _held(store_id: str, name: str) -> list[Kept]:
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
    for one in verified(store, [Kept(sha256, sizes[sha256], place) for sha256, place in places.items()]):
        if isinstance(one, Problem):
            raise StoreError(f"{one.object_name} is not as it was written. Run `data-platform check --verify-data`.")
    return places
