"""Erases a content everywhere that can be reached from here: for data that must not be kept.

First the order is written down, so that nothing brings the content back; then its objects are
removed; then the rows that tell where it was kept. So whoever was broken off does it again. What
stays is what the catalogue says about the files: who read which bytes remains known.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from data_platform.errors import ObjectLocked, RestrictionError, StoreError
from data_platform.settings import Settings
from populate.backup.erased import Erasure, erased
from populate.backup.removing import removing
from populate.backup.repacking import packs_with, repack
from populate.backup.restore import Content, content_of_prefix
from populate.backup.stores import ContentStore
from populate.backup.tables import Placement
from populate.profile.tables import forget as forget_profile
from populate.store import Store, object_name_of, stores
from populate.store.base import PACKS
from readers.cache import Cache
from readers.cache_sets import forget
from readers.event import consumer
from schemas.binding import Binding
from schemas.engine import dj
from schemas.identity import display_text
from schemas.restrict import where

ROUNDS = 5
"""Places of an erased content that are removed one after the other, each recorded while the one before went."""


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
    """Erase a content from the store, its replica and the cache of this machine, for good.

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
    content, cached = order(binding, settings, sha256, reason)  # at once: a store may not answer
    removed, locked = list[str](), list[ObjectLocked]()
    for one in (store, *(other for other in stores(settings) if other.name != store.name)):
        try:
            removed += out_of(binding, one, settings, content.sha256)
        except ObjectLocked as error:  # which keeps it from going nowhere else
            locked.append(error)
    cached |= _forget(settings, content)  # and what was just being kept
    if locked:
        raise locked[0]
    rest = (ContentStore & where(Placement, sha256=content.sha256)).to_arrays("store_name", order_by="store_name")
    return Erased(content.sha256, tuple(removed), cached, tuple(rest.tolist()))


def order(binding: Binding, settings: Settings, sha256: str, reason: str) -> tuple[Content, bool]:
    """Write down that a content is to be erased, and have this machine forget it; rounds of retention do the rest.

    Returns
    -------
    Content, bool
        The content, and whether it was in the cache of this machine.

    Raises
    ------
    VersionUnavailable
        If no content is known by this hash, or several are.
    RestrictionError
        If there is no reason.
    """
    if not reason.strip():
        raise RestrictionError("Without a reason nothing is erased. Give one: it stays in the catalogue.")
    binding.ensure()
    content = content_of_prefix(sha256)
    _write_down(settings, content, reason)
    return content, _forget(settings, content)


def _forget(settings: Settings, content: Content) -> bool:
    """Remove what was learnt of a content, and its copy in the cache; tell whether there was one."""
    forget_profile(content.sha256)
    cache = Cache(settings.cache_folder, settings.cache.max_bytes, settings.cache.keep_seconds)
    return forget(cache, content.sha256, content.size)


def _write_down(settings: Settings, content: Content, reason: str) -> None:
    login = consumer(settings, None).login
    row = {
        "sha256": content.sha256,
        "erased_at": datetime.now(UTC).replace(tzinfo=None),
        "erased_by": display_text(f"{login.realm}/{login.name}")[:255],
        "erase_reason": display_text(reason.strip())[:512],
    }
    if not erased({content.sha256}):
        with suppress(dj.errors.DuplicateError):  # a steward may insert only, so skipping is no way
            Erasure.insert1(row)


def out_of(binding: Binding, store: Store, settings: Settings, sha256: str) -> list[str]:
    """Remove a content from a store, with its row there; return the objects that were removed."""
    removed: list[str] = []
    own = object_name_of(sha256)  # there without a row, if a worker was stopped or put the content elsewhere, too
    met = {own}
    with removing(binding, store, settings) as round_:
        round_.carry_on()
        row = where(Placement, sha256=sha256, store_id=round_.store_id)
        for _ in range(ROUNDS):
            names = {str(name) for name in row.to_arrays("object_name")}
            packs = {name for name in names if name.startswith(PACKS)}
            packs |= {*packs_with(binding, store, round_.store_id, sha256)}
            for name in sorted(packs):
                removed += repack(round_, name, {sha256}, lossy=True)
            met |= packs
            with round_.behind_gate():
                free = round_.claim([own], {sha256})
            removed += round_.remove(free)
            if locked := round_.locked & met:  # what else is locked does not hold it
                raise ObjectLocked(
                    f"{store.name} has {min(locked)} locked, which holds what is to be erased. "
                    "The order stays: run `data-platform retain` once the lock is over."
                )
            for name in sorted({*names, own}):
                where(row, object_name=name).delete_quick()
            if not len(row):  # else a worker has recorded another place meanwhile
                return removed
    raise StoreError(f"{sha256} is stored anew again and again. Stop the workers and erase it once more.")


def unfinished() -> Sequence[dict[str, Any]]:
    """Return the orders whose content a store still keeps, or keeps again."""
    found: Sequence[dict[str, Any]] = (Erasure() & Placement.proj()).to_dicts(order_by="erased_at")
    return found
