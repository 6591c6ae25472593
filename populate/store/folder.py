"""The content store in a folder: ``objects/ab/cd/<sha256>`` below a root of its own.

A content is written to a file in ``incoming``, synchronised, and linked to its name, which
fails rather than overwrite; then the folder is synchronised. So a crash or a power cut
leaves the whole object or none, and nobody ever sees a part.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from data_platform.errors import BlobDamaged, BlobMissing, StoreError, StoreFull, StoreSealed, StoreUnavailable
from populate.store.base import CHUNK, SEALED, Place, Store, Traits, Writer, checked_object_name

ABANDONED_AFTER = 24 * 3600.0
"""Seconds after which an unfinished file is removed where locks do not tell whether its writer lives."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENOENT, errno.ESTALE, errno.ENOTCONN}
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS}
_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL}


class FolderStore(Store):
    """Content in a folder of a local disk or of a mounted share.

    Raises
    ------
    StoreUnavailable
        If the folder cannot be made or entered.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.abspath(root))
        self.name = f"folder:{self.root}"
        if len(self.name) > 255:
            raise StoreUnavailable(
                "The path of the content store is longer than 240 characters. Set store.url to a shorter one."
            )
        self._durable: set[Path] = set()
        self.incoming = self.root / "incoming"
        try:
            make_private(self.incoming)
            make_private(self.root / "objects")
            sync_folder(self.root.parent)
            sweep(self.incoming)
        except OSError as error:
            raise translated(error, self.root) from error

    def looks_empty(self) -> bool:
        try:
            with os.scandir(self.root / "objects") as entries:
                return next(entries, None) is None
        except OSError as error:
            raise translated(error, self.root) from error

    def writer(self, sha256: str | None, size: int | None) -> FolderWriter:
        return FolderWriter(self, sha256, size)

    def read(self, place: Place) -> Iterator[bytes]:
        path = self.root / checked_object_name(place.object_name)
        try:
            yield from _pieces(path, place)
        except FileNotFoundError as error:
            self.refuse_sealed(place.object_name)
            raise BlobMissing(
                f"{self.name} does not hold {place.object_name}. `data-platform check` lists what else is missing; "
                "put it back from a copy of the store."
            ) from error
        except OSError as error:
            raise StoreError(
                f"{path} cannot be read ({os.strerror(error.errno or 0)}). Check the disk and the permissions, "
                "or put the object back from a copy of the store."
            ) from error

    def size(self, object_name: str) -> int | None:
        try:
            found = os.lstat(self.root / checked_object_name(object_name))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise translated(error, self.root) from error
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    def objects(self, below: str = "objects/") -> Iterator[tuple[str, int]]:
        name = below.rstrip("/")
        try:
            if name == "objects" or (self.root / name).exists():
                for found in _files(self.root / name, name):
                    if found[0].endswith(SEALED):
                        self.refuse_sealed(found[0])
                    yield found
        except StoreSealed:
            raise
        except OSError as error:
            raise translated(error, self.root) from error

    def remove(self, object_name: str) -> bool:
        path = self.root / checked_object_name(object_name)
        try:
            path.unlink()
            sync_folder(path.parent)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise translated(error, self.root) from error
        return True

    def traits(self) -> Traits:
        try:
            create_only = _links_are_new(self.incoming)
        except OSError as error:
            raise translated(error, self.root) from error
        # The kernel hands the bytes to the disk as they are; nothing else looks at them.
        return Traits(create_only, True, False, multipart=True, versioning=False, object_lock=False)

    def make_folder_of(self, object_name: str) -> None:
        """Make the folder of an object; `sync_folder_of` brings it to the disk."""
        make_private((self.root / object_name).parent)

    def sync_folder_of(self, object_name: str) -> None:
        """Bring an object's name to the disk, with the folders that lead to it.

        These may be another process's, which has not synchronised them yet, so each is done
        once by this process, too.
        """
        folder = (self.root / object_name).parent
        sync_folder(folder)
        while folder != self.root and folder not in self._durable:
            sync_folder(folder.parent)
            self._durable.add(folder)
            folder = folder.parent


class FolderWriter(Writer):
    """Writes one content to a file in ``incoming`` and links it to its name."""

    def __init__(self, store: FolderStore, sha256: str | None, size: int | None) -> None:
        super().__init__(sha256, size)
        self._store = store
        try:
            self._descriptor, self._path = create_locked(store.incoming)
        except OSError as error:
            raise translated(error, store.root) from error

    def _append(self, chunk: memoryview) -> None:
        try:
            while chunk:
                chunk = chunk[os.write(self._descriptor, chunk) :]
        except OSError as error:
            raise translated(error, self._store.root) from error

    def _publish(self) -> None:
        try:
            if self._replaces or self._store.size(self.object_name) != self.received:
                # After a failed fsync the kernel may call the lost pages clean, so a second try
                # on this file would lie: the error ends the writer.
                os.fchmod(self._descriptor, 0o444)
                os.fsync(self._descriptor)
                self._store.make_folder_of(self.object_name)
                self._link()
            self._store.sync_folder_of(self.object_name)
        except OSError as error:
            raise translated(error, self._store.root) from error
        self._discard()

    @property
    def _replaces(self) -> bool:
        return self.replace or self.anew

    def _link(self) -> None:
        target = self._store.root / self.object_name
        if not link_new(self._path, target) and (self._replaces or self._store.size(self.object_name) != self.received):
            # What is there is known to be damaged, or of another size and so cannot be the content: healed here.
            self._path.replace(target)

    def _discard(self) -> None:
        with suppress(OSError):
            self._path.unlink()
        with suppress(OSError):
            os.close(self._descriptor)


def create_locked(folder: Path) -> tuple[int, Path]:
    """Make a new file in `folder` that is locked for as long as this process has it open."""
    while True:
        path = folder / secrets.token_hex(16)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return descriptor, path
            os.close(descriptor)  # a sweeper was quicker and removes the file
            continue
        if os.fstat(descriptor).st_nlink:
            return descriptor, path
        os.close(descriptor)


def sweep(folder: Path) -> None:
    """Remove files in `folder` whose writers are dead.

    A lock and not a process id tells: ids of other machines and containers mean nothing here.
    """
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):  # somebody else's, or gone by now
                _remove_abandoned(Path(entry.path))


def _remove_abandoned(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if _is_abandoned(descriptor):
            path.unlink()  # while it is locked, or its writer could begin just now
    finally:
        os.close(descriptor)


def _is_abandoned(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        age = time.time() - os.fstat(descriptor).st_mtime
        return error.errno in _NO_LOCKS and age > ABANDONED_AFTER
    return True


def make_private(folder: Path) -> None:
    """Make `folder` and what is missing above it, for this account only; what exists stays as it is."""
    if not folder.is_dir():
        make_private(folder.parent)
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)


def sync_folder(folder: Path) -> None:
    """Bring the names in `folder` to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems synchronise folders by themselves
            raise
    finally:
        os.close(descriptor)


def link_new(source: Path, target: Path) -> bool:
    """Give `source` the name `target`, atomically; False if that exists, which stays as it is."""
    try:
        os.link(source, target, follow_symlinks=False)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS or os.path.lexists(target):
            raise
        source.rename(target)  # no hard links on this file system
    return True


def _links_are_new(folder: Path) -> bool:
    """Try whether a name can be given to a file without the risk of taking it from another one."""
    descriptor, path = create_locked(folder)
    target = path.with_suffix(".probe")
    try:
        os.link(path, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return False
    else:
        target.unlink()
        return True
    finally:
        path.unlink()
        os.close(descriptor)


def translated(error: OSError, root: Path) -> StoreError:
    """Return the error of ours for a failed operation in the folder `root`."""
    reason = os.strerror(error.errno or 0)
    if error.errno in _FULL:
        return StoreFull(
            f"The content store {root} has no space left ({reason}). Make room or move it to a larger disk."
        )
    if error.errno in _DENIED:
        return StoreUnavailable(
            f"The content store {root} cannot be used ({reason}). Check that it is mounted, a folder, "
            "and that this account may write there."
        )
    return StoreError(f"The content store {root} failed ({reason}). Check its disk before trying again.")


def _pieces(path: Path, place: Place) -> Iterator[bytes]:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb", buffering=0) as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size < place.offset + place.length:
            raise BlobDamaged(
                f"{path} has {found.st_size} bytes where {place.offset + place.length} are needed. "
                "Put the object back from a copy of the store."
            )
        file.seek(place.offset)
        left = place.length
        while left:
            piece = file.read(min(CHUNK, left))
            if not piece:
                raise BlobDamaged(f"{path} became shorter while it was read. Put it back from a copy of the store.")
            left -= len(piece)
            yield piece


def _files(folder: Path, name: str) -> Iterator[tuple[str, int]]:
    with os.scandir(folder) as entries:
        # A folder sorts by what its objects are called, with the slash that follows.
        found = sorted(entries, key=lambda entry: entry.name + "/" * entry.is_dir(follow_symlinks=False))
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            yield from _files(folder / entry.name, f"{name}/{entry.name}")
        elif entry.is_file(follow_symlinks=False):
            yield f"{name}/{entry.name}", entry.stat(follow_symlinks=False).st_size
