"""Brings many new files to the disk with one call, where that tells as surely as one for each whether they got there.

A call for each file waits for the disk each time. `syncfs` brings there all that was written to a file system,
but it tells of what failed only since Linux 5.8, and not on file systems whose files are somewhere else, such
as NFS or FUSE. And it waits for what others write there, too.
"""

from __future__ import annotations

import ctypes
import os
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from data_platform.errors import RestoreError
from populate.backup.new_file import NewFile

TELLS_SINCE = (5, 8)
"""The release of Linux whose `syncfs` tells of bytes that did not get to the disk."""

LONG = 1.0
"""Seconds after which a call for all is taken to wait for what others write. For as long as it has taken, each file
is brought to the disk by itself then: so waiting for others takes half of the time at most."""

_TELLING = {0xEF53, 0x58465342, 0x9123683E, 0x01021994}  # ext4, XFS, Btrfs and what is in memory


class Disk:
    """What files are written to; threads may use it together.

    Parameters
    ----------
    folder
        Where most of them are.

    Attributes
    ----------
    takes_many
        Whether many are brought to the disk with one call there.
    """

    def __init__(self, folder: Path) -> None:
        self._not_before = 0.0
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:  # whoever may write into a folder need not be allowed to list it
            self.takes_many = False
            return
        try:
            self.takes_many = _takes_many(descriptor)
        finally:
            os.close(descriptor)

    def bring(self, files: Sequence[NewFile]) -> None:
        """Bring files to the disk; those that did not get there are not `on_disk` afterwards.

        The first of them must have been opened before the others were written: its descriptor is told of
        what failed since then.
        """
        devices = dict[int, list[NewFile]]()
        for file in files:
            with suppress(OSError):  # of a share that is gone: the file is written by itself, which says what is wrong
                devices.setdefault(os.fstat(file.descriptor).st_dev, []).append(file)
        for some in devices.values():
            if len(some) < 2 or not self._brought(some[0].descriptor):
                for file in some:
                    with suppress(RestoreError):
                        file.sync()
                continue
            for file in some:
                file.on_disk = True

    def _brought(self, descriptor: int) -> bool:
        """Bring the whole file system to the disk, unless that is not certain or takes too long."""
        start = time.monotonic()
        if start < self._not_before or not _takes_many(descriptor):
            return False
        done = bool(_system().syncfs(descriptor) == 0)
        took = time.monotonic() - start
        if took > LONG:
            self._not_before = start + 2 * took
        return done


def _takes_many(descriptor: int) -> bool:
    return _has_syncfs() and _kind_of(descriptor) in _TELLING


@cache
def _has_syncfs() -> bool:
    """Tell whether this machine has a `syncfs` that can be relied on."""
    release = tuple(map(int, re.findall(r"\d+", os.uname().release)[:2]))
    is_linux = os.uname().sysname == "Linux"
    return is_linux and release >= TELLS_SINCE and hasattr(_system(), "syncfs")


@cache
def _system() -> Any:
    return ctypes.CDLL(None)


def _kind_of(descriptor: int) -> int:
    """Return the number by which Linux knows the kind of a file system; Python does not tell it."""
    told = (ctypes.c_long * 64)()  # more than the structure takes; the kind is its first member
    return int(told[0]) if _system().fstatfs(descriptor, told) == 0 else 0
