"""Gives back a content that was backed up, exactly as it was read."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from data_platform.errors import (
    BlobDamaged,
    BlobMissing,
    DataPlatformError,
    RestoreError,
    StoreError,
    StoreUnavailable,
    TargetExists,
    VersionUnavailable,
)
from populate.backup.erased import Erasure
from populate.backup.stores import ContentStore
from populate.backup.tables import BackupFailure, Placement
from populate.store import Place, Store
from populate.store.base import CHUNK, Readable
from populate.store.folder import link_new
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
    if place.length <= CHUNK:
        return _written_whole(b"".join(checked(store, place, content)), target, modified_ns)
    with _beside(target) as (descriptor, temporary):
        for piece in checked(store, place, content):
            with translated(target):
                _write(descriptor, piece)
        with translated(target):
            return _finished(descriptor, temporary, target, modified_ns)


def _written_whole(whole: bytes, target: Path | str, modified_ns: int) -> bool:
    """Write what is known to be right to a new file: most files are small, and there are many of them."""
    with translated(target), _beside(target) as (descriptor, temporary):
        _write(descriptor, whole)
        return _finished(descriptor, temporary, target, modified_ns)


def _write(descriptor: int, piece: bytes) -> None:
    left = memoryview(piece)
    while left:
        left = left[os.write(descriptor, left) :]


def _finished(descriptor: int, temporary: str, target: Path | str, modified_ns: int) -> bool:
    if modified_ns >= 0:
        os.utime(descriptor, ns=(modified_ns, modified_ns))
    os.fsync(descriptor)
    try:
        os.link(temporary, target, follow_symlinks=False)
    except FileExistsError:
        return False
    except OSError:  # there may be no links on this file system
        return link_new(Path(temporary), Path(target))
    return True


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


@contextmanager
def _beside(target: Path | str) -> Iterator[tuple[int, str]]:
    """Give a new file in the folder of `target`; its temporary name is gone afterwards."""
    # As text: making a `Path` of each of many files would take as long as writing it.
    temporary = os.path.join(os.path.split(target)[0], f".restore-{secrets.token_hex(8)}")
    with translated(target):
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        yield descriptor, temporary
    finally:
        os.close(descriptor)
        with suppress(FileNotFoundError):
            os.unlink(temporary)  # noqa: PTH108


@contextmanager
def translated(target: Path | str) -> Iterator[None]:
    """Raise the error of ours for what happens while `target` is written."""
    try:
        yield
    except OSError as error:
        if isinstance(error, DataPlatformError):
            raise
        reason = os.strerror(error.errno or 0)
        raise RestoreError(
            f"{target} cannot be written ({reason}). Name an existing folder with enough room that you may write to.",
        ) from error
