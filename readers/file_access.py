"""Opening files so that nobody who may write to a folder on the way can redirect it.

The system is asked to follow no symlink on the whole path. Where it cannot be, each folder is
opened by its name within the one above and only if it is a folder, never a symlink. Opening
never blocks, as it would for a pipe, and has no effect on a terminal.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from data_platform.errors import (
    AccessDenied,
    SourceChanged,
    SourceError,
    SourceNotFound,
    SourceUnavailable,
    UnsafeLink,
    UnsupportedItem,
)
from readers.direct_open import open_directly
from readers.sorted_runs import in_order
from readers.source import Sink
from schemas.identity import display_text

PIECE = 1024 * 1024

_PATH_ONLY = getattr(os, "O_PATH", None)  # Linux: neither opens the file nor needs the right to read it
_FOLDER = os.O_DIRECTORY | os.O_NOFOLLOW | (_PATH_ONLY or os.O_RDONLY)
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_ERRORS: tuple[tuple[set[int], type[SourceError], str], ...] = (
    (
        {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG},
        SourceNotFound,
        "There is nothing at {0}. Check the path, and that its share is mounted.",
    ),
    ({errno.EACCES, errno.EPERM}, AccessDenied, "This account may not read {0}. Ask its owner for access."),
    ({errno.ELOOP}, SourceNotFound, "The symlinks at {0} lead in a circle. Have them mended."),
    (
        {errno.ENXIO, errno.ENODEV, errno.EISDIR},
        UnsupportedItem,
        "{0} is not a file with bytes. Name a file or folder.",
    ),
    ({errno.ESTALE}, SourceChanged, "{0} was replaced while it was being read. Read it again."),
)


def file_error(error: OSError, path: str) -> SourceError:
    """Return the error of ours for what the system says about `path`."""
    shown = display_text(path)
    for numbers, kind, text in _ERRORS:
        if error.errno in numbers:
            ours = kind(text.format(shown))
            break
    else:
        ours = SourceUnavailable(
            f"{shown} cannot be read now ({error.strerror}). "
            "Check its disk or the connection to its share, and try again."
        )
    if isinstance(ours, OSError):
        ours.errno = error.errno
    return ours


def look_up(path: str) -> tuple[str, os.stat_result]:
    """Return the real path that `path` leads to, and the state of what is there; nothing is opened."""
    if _PATH_ONLY is not None:
        descriptor = os.open(path, _PATH_ONLY)
        try:
            state = os.fstat(descriptor)
            real = os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115 - on every read's path
            if real.startswith("/") and not real.endswith(" (deleted)"):
                return real, state
        except OSError:  # /proc may be missing
            pass
        finally:
            os.close(descriptor)
    real = os.path.realpath(path, strict=True)
    return real, os.lstat(real)


@contextmanager
def opened(path: str, folder: bool = False) -> Iterator[int]:
    """Open the file or folder at the real, absolute `path` without following any symlink.

    Raises
    ------
    UnsafeLink
        If there is a symlink where a file or folder was.
    SourceError
        As `file_error` translates.
    """
    try:
        descriptor = _open(path, _FILE | (os.O_DIRECTORY if folder else 0))
    except SourceError:
        raise
    except OSError as error:
        raise file_error(error, path) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _open(path: str, flags: int) -> int:
    descriptor = open_directly(path, flags)
    return descriptor if descriptor >= 0 else _open_by_parts(path, flags)


def _open_by_parts(path: str, flags: int) -> int:
    *folders, last = [part for part in path.split("/") if part] or ["."]
    above = os.open("/", _FOLDER)
    try:
        for name in folders:
            inner = _open_in(above, name, _FOLDER, path)
            os.close(above)
            above = inner
        return _open_in(above, last, flags, path)
    finally:
        os.close(above)


def _open_in(above: int, name: str, flags: int, path: str) -> int:
    """Open one part of a path, telling a symlink in its place from a missing one."""
    try:
        return os.open(name, flags, dir_fd=above)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENOTDIR} and _is_link(above, name):
            raise UnsafeLink(
                f"A symlink was put in place of {name!r} in {display_text(path)}, so it was not followed. "
                "Read the path again, and find out who changes it."
            ) from None
        raise


def _is_link(above: int, name: str) -> bool:
    with suppress(OSError):
        return stat.S_ISLNK(os.stat(name, dir_fd=above, follow_symlinks=False).st_mode)
    return False


def state_of(descriptor: int, path: str) -> os.stat_result:
    try:
        return os.fstat(descriptor)
    except OSError as error:
        raise file_error(error, path) from error


def token_of(state: os.stat_result | Entry) -> str:
    """Return what changes whenever the bytes of a file do: size, times, inode."""
    return f"{state.st_size:x}-{state.st_mtime_ns:x}-{state.st_ctime_ns:x}-{state.st_ino:x}"


def settled(descriptor: int, path: str) -> os.stat_result:
    """Return the file's state once its time is older than the clock's grain.

    Two writes within one tick leave the same time, so the state of a file that changed this
    very moment does not yet tell its bytes from those of a moment later.
    """
    for _ in range(5):
        state = state_of(descriptor, path)
        grain = 2.0 if state.st_ctime_ns % 1_000_000_000 == 0 else 0.02
        age = time.time() - state.st_ctime
        if not 0 <= age < grain:
            return state
        time.sleep(grain - age)
    raise SourceChanged(f"{display_text(path)} is being written to. Read it again when it is at rest.")


def stream(descriptor: int, size: int, path: str, sink: Sink) -> int:
    """Pass on the bytes of a file of `size` bytes and return their number; more than that are not passed on."""
    received = 0
    while piece := _piece(descriptor, min(PIECE, size - received + 1), path):
        received += len(piece)
        if received > size:
            break
        sink(piece)
    return received


def _piece(descriptor: int, size: int, path: str) -> bytes:
    try:
        return os.read(descriptor, size)
    except OSError as error:
        raise file_error(error, path) from error


class Entry(NamedTuple):
    """Something in a folder: its name, and of its state what tells an item and its revision."""

    is_folder: bool
    name: str
    st_mode: int
    st_uid: int
    st_size: int
    st_blocks: int
    st_mtime_ns: int
    st_ctime_ns: int
    st_ino: int


def entries_of(path: str) -> Iterator[Entry]:
    """Return what is in a folder, folders last, both by name; symlinks are not followed.

    The folder is read to its end before this returns, and memory does not grow with it.

    Raises
    ------
    SourceUnavailable
        Also if the temporary folder cannot take in what is too much for memory.
    SourceError
        As `file_error` translates.
    """
    with opened(path, folder=True) as descriptor:
        try:
            return map(Entry._make, in_order(_states(descriptor, path)))
        except SourceError:
            raise
        except OSError as error:  # not of the folder: it is there, however the temporary file fails
            raise SourceUnavailable(
                f"{display_text(path)} has too many entries to be sorted in memory, and the temporary folder does not "
                f"take them in ({error.strerror}). Free space there, or name another folder by TMPDIR, and try again."
            ) from error


def _states(descriptor: int, path: str) -> Iterator[tuple[str | int, ...]]:
    try:
        with os.scandir(descriptor) as entries:
            for entry in entries:
                try:
                    state = entry.stat(follow_symlinks=False)
                except FileNotFoundError:  # removed since
                    continue
                mode = state.st_mode
                yield (
                    *(int(stat.S_ISDIR(mode)), entry.name, mode, state.st_uid, state.st_size, state.st_blocks),
                    *(state.st_mtime_ns, state.st_ctime_ns, state.st_ino),
                )
    except OSError as error:
        raise file_error(error, path) from error
