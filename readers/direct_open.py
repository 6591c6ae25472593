"""Opening a file by its whole path in one system call that follows no symlink: `openat2` of Linux 5.6 and later."""

from __future__ import annotations

import ctypes
import os
import sys

_NUMBER = 437  # of the call, on every architecture that Linux has it on
_HERE = -100  # AT_FDCWD; paths are absolute
_NO_SYMLINKS = 0x04  # RESOLVE_NO_SYMLINKS


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_SIZE = ctypes.sizeof(_How)
_syscall = None
if sys.platform == "linux":
    _syscall = ctypes.CDLL(None).syscall
    _syscall.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.POINTER(_How), ctypes.c_size_t)
    _syscall.restype = ctypes.c_long


def open_directly(path: str, flags: int) -> int:
    """Return a descriptor of the file at an absolute path, which no child inherits.

    It is -1 if the file cannot be opened like that, for whatever reason: a symlink on the way, an old kernel, a
    sandbox that knows no such call. Whoever asks then goes through the path part by part, and learns why.
    """
    if _syscall is None or "\0" in path:
        return -1
    how = _How(flags | os.O_CLOEXEC, 0, _NO_SYMLINKS)
    return int(_syscall(_NUMBER, _HERE, os.fsencode(path), ctypes.byref(how), _SIZE))
