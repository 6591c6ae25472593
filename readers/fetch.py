"""Brings the present bytes of an item into the cache, whole and of one revision, or fails."""

from __future__ import annotations

import atexit
import logging
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from data_platform.errors import CacheError, IncompleteDownload, SourceChanged
from data_platform.settings import Settings
from readers.cache import Cache
from readers.cache_space import remove_tree
from readers.source import Item, Revision, Source
from schemas.identity import file_id

TRIES = 3
_identity = lru_cache(maxsize=4096)(file_id)
_PAUSE = 0.05  # seconds before the second try, doubled before the third
_log = logging.getLogger(__name__)


Wanted = Callable[[], bool]


class Unwanted(Exception):
    """Nobody waits for these bytes any more; it never leaves this package."""


@dataclass(slots=True)
class Held:
    """An item's bytes in the cache: their revision, SHA-256, size, whether they were here before, and their path."""

    item: Item
    revision: str
    sha256: str
    size: int
    from_cache: bool
    path: Path | None = None
    source_hash: str = ""


def fetch(source: Source, item: Item, cache: Cache, *, named: bool = True, wanted: Wanted = lambda: True) -> Held:
    """Make sure that the cache holds the item's present bytes, downloading them if needed.

    Parameters
    ----------
    named
        Also give them a path with the item's name.
    wanted
        Asked with each piece; once it says no, the download ends with `Unwanted`.

    Raises
    ------
    SourceError
        What the source raises; `SourceChanged` and `IncompleteDownload` after `TRIES` tries.
    CacheError
        If the bytes cannot be placed.
    """
    revision = source.revision(item)
    identity = _identity(item.source_system, item.item_id)
    sha256 = cache.known(identity, revision.token)
    if sha256 is not None:
        path = cache.path(sha256, item.name) if named else None
        if path is not None or (not named and cache.holds(sha256)):
            size = revision.size if revision.size is not None else cache.size(sha256)
            if size is not None:
                return Held(item, revision.token, sha256, size, True, path, revision.source_hash)
    for _ in range(TRIES):
        revision, sha256, size = _download(source, item, revision, cache, wanted)
        cache.remember(identity, revision.token, sha256)
        path = cache.path(sha256, item.name) if named else None
        if path is not None or not named:
            return Held(item, revision.token, sha256, size, False, path, revision.source_hash)
    raise CacheError("The cache is too small for this file. Raise the setting cache.max_bytes.")


def _download(
    source: Source, item: Item, revision: Revision, cache: Cache, wanted: Wanted
) -> tuple[Revision, str, int]:
    """Return the revision that the bytes belong to, their SHA-256 and size."""

    def take(piece: bytes) -> None:
        if not wanted():
            raise Unwanted
        incoming.write(piece)

    for tried in range(1, TRIES + 1):
        try:
            with cache.receive(revision.size) as incoming:
                told = source.download(item, revision, take)
                if told.size not in {None, incoming.size}:
                    raise IncompleteDownload(
                        f"{item.name!r} has {told.size} bytes and {incoming.size} were received. Read it again."
                    )
                return told, incoming.commit(), incoming.size
        except (SourceChanged, IncompleteDownload) as error:
            if tried == TRIES:
                raise
            _log.debug("Reading %r again: %s", item.name, error)
        time.sleep(_PAUSE * 2 ** (tried - 1))
        revision = source.revision(item)
    raise AssertionError("unreachable")


_kept: tuple[Settings, Cache] | None = None


def local_cache(settings: Settings) -> Cache:
    """Return this process's cache for `settings`."""
    global _kept
    kept = _kept
    if kept is None or kept[0] is not settings:
        limits = settings.cache
        _kept = kept = settings, Cache(settings.cache_folder, limits.max_bytes, limits.keep_seconds)
    return kept[1]


@lru_cache(maxsize=1)
def overflow() -> Cache:
    """Return a cache in the folder for temporary files that ends with this process.

    It is for a read whose bytes the real cache cannot take: an analysis should not fail
    because another disk is full.
    """
    try:
        folder = tempfile.mkdtemp(prefix="data-platform-")
    except OSError as error:
        raise CacheError(f"There is no room for temporary files either ({error.strerror}). Free some space.") from error
    atexit.register(_remove_own, folder, os.getpid())
    return Cache(Path(folder), max_bytes=1 << 62, keep_seconds=float("inf"))


def outlives(path: Path) -> bool:
    """Tell whether a path that a read returned is still there when this process has ended."""
    return not overflow.cache_info().currsize or not path.is_relative_to(overflow().folder)


os.register_at_fork(after_in_child=overflow.cache_clear)  # it ends with the parent


def _remove_own(folder: str, process: int) -> None:
    if os.getpid() == process:  # a forked child must not take it from its parent
        remove_tree(folder)
