"""Contents that a store has lost, from wherever they can still be had."""

from __future__ import annotations

from collections.abc import Collection, Set
from contextlib import suppress
from typing import Any

from data_platform.errors import StoreFull, StoreUnavailable
from data_platform.settings import Settings
from populate.backup.contents import Fetcher, Outcome, Wanted
from populate.backup.copying import kept_in, streamed_to
from populate.backup.erased import erased
from populate.backup.tables import COLUMNS, manifests
from populate.store import Place, Store, reachable_stores
from schemas.catalogue import Blob, File, SourceSystem, Version
from schemas.restrict import where


def fetch_again(settings: Settings, store: Store, hashes: Collection[str]) -> Outcome:
    """Put contents whose objects are missing or damaged into the store again; the objects are replaced.

    They come from a copy in another store of these settings, else from the cache of this machine or from
    their sources, if any of these still has the very bytes. What cannot be had stays as it is.

    Parameters
    ----------
    settings
        Those of the worker: its credentials fetch.
    store
        Where the bytes go.
    hashes
        SHA-256 of the contents.

    Returns
    -------
    Outcome
        Where those that could be had are now, and why the others could not.
    """
    hashes = {*hashes} - erased(hashes)
    copies = _from_copies(settings, store, hashes)
    wanted = [one for sha256 in sorted(hashes - copies.keys()) for one in _wanted(sha256)]
    fetcher = Fetcher(settings, store, manifests(wanted), replace=True)
    with suppress(StoreFull):  # to be told as damage, not as an outage
        fetcher.store_all(wanted)
    fetcher.outcome.places.update(copies)
    return fetcher.outcome


def _from_copies(settings: Settings, store: Store, hashes: Set[str]) -> dict[str, Place]:
    found: dict[str, Place] = {}
    for other in reachable_stores(settings) if hashes else ():
        if other.name != store.name:
            with suppress(StoreFull, StoreUnavailable):
                for kept in kept_in(other, hashes - found.keys()):
                    if (place := streamed_to(other, store, kept, replace=True)) is not None:
                        found[kept.sha256] = place
    return found


def _wanted(sha256: str) -> list[Wanted]:
    """Return the versions that have a content, each a way to get it."""
    versions: Any = where(Version, sha256=sha256) * Blob * File * SourceSystem
    columns = versions.proj(*COLUMNS).to_arrays(*COLUMNS, order_by="KEY")
    return [Wanted(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]
