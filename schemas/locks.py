"""File locks that the kernel releases whatever becomes of their holder.

`flock` belongs to an open file description: it is shared with whoever inherits the descriptor
and ends with its last copy. Descriptors are therefore opened close-on-exec, and a forked child
opens its own.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SHARED = fcntl.LOCK_SH
EXCLUSIVE = fcntl.LOCK_EX
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


def try_lock(descriptor: int, mode: int) -> bool:
    """Take the lock if it is free; True if it was."""
    try:
        fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def still_names(path: Path, descriptor: int) -> bool:
    """Return whether `path` is still the file that was opened, not one made anew in its place."""
    try:
        named = path.stat()
    except OSError:
        return False
    return os.path.samestat(named, os.fstat(descriptor))


def take_lock(path: Path, mode: int, seconds: float) -> int:
    """Return a descriptor that holds the lock of `path`; closing it lets go.

    Polls, because a blocking `flock` has no time limit.

    Raises
    ------
    TimeoutError
        If somebody else held it all the time.
    OSError
        If the file cannot be opened.
    """
    deadline = time.monotonic() + seconds
    pause = 0.005
    while True:
        descriptor = os.open(path, _FLAGS, 0o600)
        if try_lock(descriptor, mode) and still_names(path, descriptor):
            return descriptor
        os.close(descriptor)
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path} is locked by another process")
        time.sleep(pause)
        pause = min(2 * pause, 0.1)


def is_locked(path: Path) -> bool:
    """Return whether anybody holds a lock on `path`."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        return not try_lock(descriptor, EXCLUSIVE)
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path, mode: int, seconds: float) -> Iterator[int]:
    """Hold the lock of `path` for the length of a block. Raises like `take_lock`."""
    descriptor = take_lock(path, mode, seconds)
    try:
        yield descriptor
    finally:
        with suppress(OSError):
            os.close(descriptor)
