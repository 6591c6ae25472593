"""Gives back a content that was backed up, exactly as it was read."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from data_platform.errors import (
    BlobDamaged,
    BlobMissing,
    StoreError,
    StoreUnavailable,
    TargetExists,
    VersionUnavailable,
)
from populate.backup.erased import Erasure
from populate.backup.new_file import new_file, translated
from populate.backup.stores import ContentStore
from populate.backup.tables import BackupFailure, Placement
from populate.store import Place, Store
from populate.store.base import CHUNK, Readable
from readers.cache_names import safe_name
from schemas.binding import Binding
from schemas.catalogue import Blob, FileName, Version
from schemas.identity import identity
from schemas.restrict import where

_HASH = re.compile(r"[0-9a-f]{8,64}", re.ASCII)


class Content(NamedTuple):
    """What is to come out: hash and number of bytes."""

    sha256: str
    size: int


def restore(
    binding: Binding, store: Store, sha256: str, to: Path | None = None, *, copies: Sequence[Store] = ()
) -> Path:
    """Write a backed-up content to a file and return its path.

    The bytes are compared with their hash before the file gets its name, so what is there
    in the end is right. A file that has these bytes already is left as it is.

    Parameters
    ----------
    binding
        With the tables of `populate.pipeline`.
    store
        Where the content is kept.
    sha256
        64 hexadecimal digits, or at least the first 8 if these are unique; ``sha256:`` may
        stand before them.
    to
        The file to make, or a folder. By default, and in a folder, the file is called what
        a file with this content was last called.
    copies
        Stores that are asked if the first one does not give it.

    Raises
    ------
    VersionUnavailable
        If no content is known by this hash, or several are.
    BlobMissing
        If the content is known but not in the store.
    BlobDamaged
        If the store gives back other bytes.
    TargetExists
        If there is another file already.
    RestoreError
        If the file cannot be written.
    """
    binding.ensure()
    content = content_of_prefix(sha256)
    folder = to or Path()
    target = Path(os.path.abspath(folder / _name_of(content) if folder.is_dir() else folder))
    if os.path.lexists(target):
        return _same(target, content)
    failure: StoreError | None = None
    for one in (store, *copies):
        try:
            written = copy_new(one, _place_of(content, one), content, target)
        except (BlobMissing, BlobDamaged, StoreUnavailable) as error:
            failure = failure or error
        else:
            return target if written else _same(target, content)
    raise failure or AssertionError("unreachable")


def copy_new(store: Readable, place: Place, content: Content, target: Path | str, modified_ns: int = -1) -> bool:
    """Write a content to a new file, verified; False if there is a file already, which stays as it is.

    Parameters
    ----------
    modified_ns
        When the file was modified, in nanoseconds since 1970; below 0 = now.

    Raises
    ------
    BlobMissing, BlobDamaged
        If the store does not hold these bytes, or holds others.
    RestoreError
        If the file cannot be written.
    """
    pieces = checked(store, place, content)
    if place.length <= CHUNK:
        pieces = iter([b"".join(pieces)])  # most are small: of what is not to be had no file is begun
    with new_file(target) as file:
        for piece in pieces:
            file.write(piece)
        file.date(modified_ns)
        return file.publish()


def content_of_prefix(wanted: str) -> Content:
    """Return the one known content whose hash begins with `wanted`.

    Raises
    ------
    VersionUnavailable
        If there is none, or several.
    """
    digits = wanted.strip().lower().removeprefix("sha256:")
    if not _HASH.fullmatch(digits):
        raise VersionUnavailable(
            f"{wanted[:80]!r} is not a SHA-256. Give its 64 hexadecimal digits, or at least the first 8."
        )
    # Only hexadecimal digits reach the statement.
    found = (Blob() & f"sha256 BETWEEN '{digits:0<64}' AND '{digits:f<64}'").to_dicts(order_by="sha256", limit=3)
    if not found:
        raise VersionUnavailable(
            f"No content with the SHA-256 {digits} was ever read. Deliver what waits with `data-platform flush`, "
            "run `data-platform worker --once`, and compare the hash."
        )
    if len(found) > 1:
        some = ", ".join(row["sha256"][:16] for row in found)
        raise VersionUnavailable(f"Several contents begin with {digits}: {some} … Give more digits.")
    return Content(found[0]["sha256"], int(found[0]["blob_size"]))


def _name_of(content: Content) -> str:
    """Return what a file with this content was last called, safe to use in any folder."""
    names = FileName & where(Version, sha256=content.sha256)
    latest = names.to_dicts(order_by=["named_on DESC", "name_id"], limit=1)
    return safe_name(latest[0]["file_name"]) if latest else content.sha256


def _place_of(content: Content, store: Store) -> Place:
    sha256 = content.sha256
    places = where(Placement, sha256=sha256)
    rows = where(places, store_id=identity("store", store.name)).to_dicts()
    if rows:
        return Place(rows[0]["object_name"], int(rows[0]["place_offset"]), int(rows[0]["place_length"]))
    if elsewhere := (ContentStore & places).to_dicts(limit=1):
        raise BlobMissing(
            f"{sha256} is kept in {elsewhere[0]['store_name']} and not in {store.name}. Set store.url to the former."
        )
    if orders := where(Erasure, sha256=sha256).to_dicts():
        raise VersionUnavailable(
            f"{sha256} was erased on {orders[0]['erased_at']:%Y-%m-%d}: {orders[0]['erase_reason']} Nothing to do."
        )
    if swept := swept_at(sha256):
        raise VersionUnavailable(
            f"{sha256} was removed by the rules of retention on {swept:%Y-%m-%d}. Nothing to do here; its source may "
            "have it still. `data-platform retention` lists the rules."
        )
    failures = (BackupFailure & where(Version, sha256=sha256)).to_dicts(order_by="batch_id", limit=1)
    if failures:
        raise BlobMissing(
            f"{sha256} was read but could not be backed up: {failures[0]['failure']}: {failures[0]['failure_message']} "
            "`data-platform status` tells whether it is tried again."
        )
    raise BlobMissing(f"{sha256} was read and is not backed up yet. Run `data-platform worker --once`.")


def swept_at(sha256: str) -> datetime | None:
    """Return when a content was swept last (UTC); None if it never was."""
    from populate.retention.tables import QuarantineEnd  # which stands on what this module is a part of

    rows = where(QuarantineEnd, sha256=sha256, quarantine_outcome="swept")
    moments = rows.to_arrays("quarantine_ended_at").tolist()
    return max(moments, default=None)


def checked(store: Readable, place: Place, content: Content) -> Iterator[bytes]:
    """Yield the bytes of a content; raises `BlobDamaged` after the last of them if they are others."""
    digest, size = hashlib.sha256(), 0
    for piece in store.read(place):
        digest.update(piece)
        size += len(piece)
        yield piece
    if Content(digest.hexdigest(), size) != content:
        raise BlobDamaged(
            f"{store.name} gives other bytes for {content.sha256}, which were not restored. Find out what else is "
            "damaged with `data-platform check --verify-data`, and put the object back from a copy of the store."
        )


def _same(target: Path, content: Content) -> Path:
    """Return `target` if it has this content."""
    if same(target, content):
        return target
    raise TargetExists(f"{target} is there with other content and stays as it is. Choose another name with --to.")


def same(target: Path | str, content: Content) -> bool:
    """Tell whether a file has this content."""
    with translated(target):
        path = Path(target)
        return path.is_file() and path.stat().st_size == content.size and _hash_of(path) == content.sha256


def _hash_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while piece := file.read(CHUNK):
            digest.update(piece)
    return digest.hexdigest()
