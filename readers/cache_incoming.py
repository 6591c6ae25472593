"""How bytes get into the cache: complete or not at all.

What is on its way lies in ``incoming/`` and is locked by the process that writes it, so that
a sweep can tell what a killed process left behind. One `rename` makes it visible.
"""
# ruff: noqa: PTH102, PTH104, PTH108

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import secrets
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self

from data_platform.errors import CacheError
from readers.cache_space import make_parents, remove_tree

if TYPE_CHECKING:
    from readers.cache import Cache

_FULL = {errno.ENOSPC, errno.EDQUOT}


def cache_error(error: OSError, folder: str) -> CacheError:
    """Return the error of ours for a cache that cannot take bytes."""
    if isinstance(error, CacheError):
        return error
    ours = CacheError(
        f"The cache in {folder} cannot take the bytes ({error.strerror}). "
        "Free some space there, or point DATA_PLATFORM_HOME at a folder that has room."
    )
    ours.errno = error.errno
    return ours


def write_small(cache_folder: str, target: str, data: bytes) -> None:
    """Put a file of a few bytes at `target`, over what is there, complete or not at all."""
    path = f"{cache_folder}/incoming/{secrets.token_hex(8)}"
    make_parents(path)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        if os.write(descriptor, data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        make_parents(target)
        os.rename(path, target)
    except OSError:
        with suppress(OSError):
            os.unlink(path)
        raise
    finally:
        os.close(descriptor)


class Draft:
    """A private folder in ``incoming/`` for what is being put together; gone on exit unless published."""

    def __init__(self, cache_folder: str) -> None:
        self.path = f"{cache_folder}/incoming/{secrets.token_hex(8)}"
        self._descriptor = -1

    def __enter__(self) -> Self:
        make_parents(self.path)
        os.mkdir(self.path, 0o700)
        self._descriptor = self._locked("lock")
        return self

    def _locked(self, name: str) -> int:
        descriptor = os.open(f"{self.path}/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with suppress(OSError):  # a file system without locks: sweeps go by age alone
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return descriptor

    def publish(self, name: str, target: str) -> None:
        """Move what was made under `name` to `target`, where no folder with contents may be."""
        make_parents(target)
        os.rename(f"{self.path}/{name}", target)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.abort()

    def abort(self) -> None:
        """Remove what was not published; does nothing the second time."""
        if self._descriptor >= 0:
            remove_tree(self.path)
            os.close(self._descriptor)  # last: the lock tells sweeps that somebody cares for it
            self._descriptor = -1


class Incoming(Draft):
    """New content while it arrives: `write` pieces in order, then `commit`.

    Attributes
    ----------
    size
        Bytes written so far.
    """

    def __init__(self, cache: Cache, expected: int | None) -> None:
        super().__init__(cache.folder)
        self.size = 0
        self._cache = cache
        self._expected = expected or 0
        self._hash = hashlib.sha256()

    def __enter__(self) -> Self:
        try:
            make_parents(self.path)
            self._make_room(self._expected)
            os.mkdir(self.path, 0o700)
            self._descriptor = self._locked("data")
        except OSError as error:
            remove_tree(self.path)
            raise cache_error(error, self._cache.folder) from error
        return self

    @property
    def sha256(self) -> str:
        """SHA-256 of what was written so far, hex."""
        return self._hash.hexdigest()

    def write(self, data: bytes) -> None:
        """Take the next piece.

        Raises
        ------
        CacheError
            If there is no room for it, even after evicting what may be evicted.
        """
        self._hash.update(data)
        self.size += len(data)
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except OSError as error:
                if error.errno not in _FULL or not self._cache.space.make_room(len(rest)):
                    raise cache_error(error, self._cache.folder) from error

    def commit(self) -> str:
        """Make the content visible and return its SHA-256; where it is already, that one stays."""
        sha256 = self.sha256
        try:
            os.fchmod(self._descriptor, 0o444)
            mark = self._cache.mark(os.fstat(self._descriptor))
            os.close(os.open(f"{self.path}/{mark}", os.O_CREAT | os.O_WRONLY, 0o600))
            if self._place(sha256):
                self._cache.space.grown(self.size, spare=sha256)
        except OSError as error:
            raise cache_error(error, self._cache.folder) from error
        finally:
            self.abort()
        return sha256

    def _place(self, sha256: str) -> bool:
        """Move the content to its place; False if it is there already, intact."""
        target = self._cache.content_folder(sha256)
        make_parents(target)
        for _ in range(5):
            try:
                os.rename(self.path, target)
                return True
            except OSError as error:
                if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                    raise
            if self._cache.holds(sha256):
                return False
        raise OSError(errno.EBUSY, "its place is taken again and again")

    def _make_room(self, expected: int) -> None:
        """Refuse what cannot fit before a single byte of it fills the disk."""
        if expected > (free := self._free()):
            self._cache.space.make_room(expected - free)
            if expected > (free := self._free()):
                raise OSError(errno.ENOSPC, f"{expected} bytes are needed and {free} are free")

    def _free(self) -> int:
        disk = os.statvfs(self._cache.folder)
        return disk.f_bavail * disk.f_frsize if disk.f_blocks else 2**63  # some systems do not tell
