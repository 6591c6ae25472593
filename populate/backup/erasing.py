"""Erases a content everywhere that can be reached from here: for data that must not be kept.

First the order is written down, so that nothing brings the content back; then its objects are
removed; then the rows that tell where it was kept. So whoever was broken off does it again. What
stays is what the catalogue says about the files: who read which bytes remains known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from data_platform.errors import RestrictionError, StoreError, StoreUnavailable
from data_platform.settings import Settings
from populate.backup.check import Kept, Problem, verified
from populate.backup.erased import Erasure
from populate.backup.restore import Content, content_of_prefix
from populate.backup.tables import ContentStore, Placement
from populate.backup.verification import move, record
from populate.profile.tables import forget as forget_profile
from populate.store import Place, Store, object_name_of
from populate.store.base import PACKS
from populate.store.pack import divided, keep
from readers.cache import Cache
from readers.cache_sets import forget
from readers.event import consumer
from schemas.binding import Binding
from schemas.catalogue import Blob
from schemas.identity import display_text, identity
from schemas.restrict import where


@dataclass(frozen=True, slots=True)
class Erased:
    """What was done.

    Attributes
    ----------
    sha256
        The content.
    removed
        Objects of the store that are gone now, or were rewritten without it.
    cached
        Whether it was in the cache of this machine.
    elsewhere
        Stores that still keep it: it is to be erased with `store.url` set to each.
    """

    sha256: str
    removed: tuple[str, ...]
    cached: bool
    elsewhere: tuple[str, ...]


def erase(binding: Binding, store: Store, settings: Settings, sha256: str, reason: str) -> Erased:
    """Erase a content from the store and from the cache of this machine, for good.

    Caches of other machines lose it when they evict it. Sources keep their files.

    Parameters
    ----------
    binding
        With the tables of `populate.pipeline`.
    store
        The content store.
    settings
        Say whose order it is, and where the cache is.
    sha256
        64 hexadecimal digits, or at least the first 8 if these are unique.
    reason
        Why; it stays in the catalogue.

    Raises
    ------
    VersionUnavailable
        If no content is known by this hash, or several are.
    RestrictionError
        If there is no reason.
    StoreUnavailable, StoreError
        If the store does not answer, or does not let anything be removed. Nothing is lost by trying again.
    """
    if not reason.strip():
        raise RestrictionError("Without a reason nothing is erased. Give one: it stays in the catalogue.")
    binding.ensure()
    content = content_of_prefix(sha256)
    _write_down(settings, content, reason)
    removed = _out_of(store, content)
    cache = Cache(settings.cache_folder, settings.cache.max_bytes, settings.cache.keep_seconds)
    cached = forget(cache, content.sha256, content.size)
    forget_profile(content.sha256)
    rest = (ContentStore & where(Placement, sha256=content.sha256)).to_arrays("store_name", order_by="store_name")
    return Erased(content.sha256, tuple(removed), cached, tuple(rest.tolist()))


def _write_down(settings: Settings, content: Content, reason: str) -> None:
    login = consumer(settings, None).login
    row = {
        "sha256": content.sha256,
        "erased_at": datetime.now(UTC).replace(tzinfo=None),
        "erased_by": display_text(f"{login.realm}/{login.name}")[:255],
        "erase_reason": display_text(reason.strip())[:512],
    }
    Erasure.insert1(row, skip_duplicates=True)


def _out_of(store: Store, content: Content) -> list[str]:
    """Remove the content from a store, with its row there; return the objects that were removed."""
    store_id = identity("store", store.name)
    row = where(Placement, sha256=content.sha256, store_id=store_id)
    names = {str(name) for name in row.to_arrays("object_name")}
    removed = [name for name in sorted(names) if name.startswith(PACKS) and _repacked(store, store_id, name, content)]
    # An object of its own may be there without a row: a worker was stopped, or put the content elsewhere, too.
    own = object_name_of(content.sha256)
    if store.remove(own):
        removed.append(own)
    row.delete_quick()
    return removed


def _repacked(store: Store, store_id: str, name: str, content: Content) -> bool:
    """Write what else is in a pack anew, then remove the pack."""
    others = where(Placement, store_id=store_id, object_name=name) * Blob
    columns = ("sha256", "blob_size", "object_name", "place_offset", "place_length")
    rows = zip(*(column.tolist() for column in others.to_arrays(*columns, order_by="sha256")), strict=True)
    kept = [Kept(row[0], row[1], Place(*row[2:])) for row in rows if row[0] != content.sha256]
    whole, problems = _read(store, kept)
    again, problems = _read(store, [one for one in kept if one.sha256 in problems])  # it may have been a moment's
    if any(problem.problem == "unreadable" for problem in problems.values()):
        raise StoreUnavailable(f"{name} cannot be read just now, so what else is in it stays. Erase it again later.")
    record(store_id, (), problems.values())  # what is lost already is told as such
    move(store_id, _stored_anew(store, whole | again, {one.sha256: one.size for one in kept}))
    return store.remove(name)


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


def unfinished() -> Sequence[dict[str, Any]]:
    """Return the orders whose content a store still keeps, or keeps again."""
    found: Sequence[dict[str, Any]] = (Erasure() & Placement.proj()).to_dicts(order_by="erased_at")
    return found
