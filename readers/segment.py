"""One segment of the outbox: a file that one process appends records to and others read.

Layout: a header of 64 bytes, then records on 8-byte boundaries::

    length u32 | crc32 u32 | payload (JSON in UTF-8) | zeros up to the boundary

The first record describes the run, all others are accesses. Where a store into an allocated
page cannot fail, the file is mapped and an append is a copy in memory: no system call, so
the interpreter lock is not given away and a busy thread cannot delay the caller. The length
is stored last, so a reader never sees half a record; the pages belong to the kernel, so
``kill -9`` of the writer loses nothing. On other file systems (network, copy-on-write, FUSE:
there a full disk would be a SIGBUS) a record is one write. Nothing is fsynced: a *power
loss* may take the last seconds.

A segment is alive while its writer holds the flock that it took before the file got its
name. Unlike a process id that holds across containers and is never reused, and it ends with
the process, however that ends.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
import secrets
import struct
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from data_platform.errors import OutboxError

SUFFIX = ".segment"
UNFINISHED = ".new"
MAGIC = b"DPOUTBOX"
FORMAT = 1
HEADER = 64
WORD = 4
PREFIX = 2 * WORD
ALIGN = 8
PAGE = 4096
MADV_POPULATE_WRITE = 23  # of Linux; `mmap` has no name for it
ZEROS = bytes(1 << 16)
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

MAPPABLE = frozenset({"ext2", "ext3", "ext4", "xfs", "f2fs", "tmpfs", "ramfs", "overlay"})
"""File systems on which a store into an allocated page of a file cannot fail."""


class Record(NamedTuple):
    """A record as read: bytes `start` to `end` of the file; payload None if damaged."""

    start: int
    end: int
    payload: bytes | None


class SegmentWriter(Protocol):
    """What the outbox needs of a segment. One thread at a time."""

    path: Path

    def append(self, payload: bytes) -> bool:
        """Add one record; False if it does not fit any more."""

    def close(self) -> None:
        """Cut the file to its content and give it up."""

    def abandon(self) -> None:
        """Let go of it without touching the file: after a fork it is the parent's."""


def framed_size(length: int) -> int:
    """Return the bytes that a payload of `length` bytes takes in a segment."""
    return (PREFIX + length + ALIGN - 1) & -ALIGN


class MappedSegment:
    """Appends by storing into the mapped file."""

    def __init__(self, path: Path, descriptor: int, size: int) -> None:
        self.path = path
        self._size = size
        self._end = HEADER
        # The map keeps a duplicate of the descriptor, and with it the flock.
        self._map = mmap.mmap(descriptor, size)
        self._populate()
        self._words = memoryview(self._map).cast("I")

    def _populate(self) -> None:
        """Have the kernel ready every page at once, which is cheaper than one by one while somebody reads."""
        with contextlib.suppress(OSError):  # a kernel before 5.14
            self._map.madvise(MADV_POPULATE_WRITE)

    def append(self, payload: bytes) -> bool:
        start, words, length = self._settled(), self._words, len(payload)
        stop = start + ((PREFIX + length + ALIGN - 1) & -ALIGN)  # `framed_size`, without a call
        if stop > self._size:
            return False
        if stop < self._size:
            words[stop // WORD] = 0  # what an interrupted append left must not pass for a length
        body, word = start + PREFIX, start // WORD
        self._map[body : body + length] = payload
        words[word + 1] = zlib.crc32(payload)
        words[word] = length
        self._end = stop
        return True

    def close(self) -> None:
        end = self._settled()
        self.abandon()
        with contextlib.suppress(FileNotFoundError):  # delivered and deleted already
            os.truncate(self.path, end)

    def abandon(self) -> None:
        self._words.release()
        self._map.close()

    def _settled(self) -> int:
        """Return where the next record goes; one that a signal interrupted after its last store counts."""
        while self._end < self._size and (length := self._words[self._end // WORD]):
            self._end += framed_size(length)
        return self._end


class WrittenSegment:
    """Appends with one write a record."""

    def __init__(self, path: Path, descriptor: int, size: int) -> None:
        self.path = path
        self._room = size - HEADER
        self._descriptor = os.dup(descriptor)

    def append(self, payload: bytes) -> bool:
        data = struct.pack("=II", len(payload), zlib.crc32(payload)) + payload
        data += bytes(framed_size(len(payload)) - len(data))
        if len(data) > self._room:
            return False
        written = os.write(self._descriptor, data)
        if written < len(data):  # the disk is full, and half a record must not stay
            os.ftruncate(self._descriptor, os.fstat(self._descriptor).st_size - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        self._room -= len(data)
        return True

    def close(self) -> None:
        self.abandon()

    def abandon(self) -> None:
        os.close(self._descriptor)


def mappable(folder: Path) -> bool:
    """Tell whether segments in `folder` may be mapped: only where no store can end in a SIGBUS."""
    if sys.platform != "linux":
        return False
    real, best, kind = os.path.realpath(folder), "", ""
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        left, _, right = line.partition(" - ")
        point = left.split()[4].replace("\\040", " ").rstrip("/")
        if len(point) >= len(best) and (real == point or real.startswith(point + "/")):
            best, kind = point, right.split()[0]
    return kind in MAPPABLE


def create_segment(folder: Path, size: int, *, mapped: bool) -> SegmentWriter:
    """Make a segment of at least `size` bytes in `folder`, owned by this process.

    Raises
    ------
    OSError
        If the disk is full, the folder cannot be written or its file system has no locks.
    """
    name = f"{time.time_ns() // 1_000_000:012x}-{os.getpid()}-{secrets.token_hex(8)}"
    path, draft = folder / (name + SUFFIX), folder / (name + UNFINISHED)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | (0 if mapped else os.O_APPEND)
    descriptor = os.open(draft, flags, 0o600)
    try:
        # Locked before it has its name: whoever finds it unlocked knows that its writer is gone.
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.write(descriptor, struct.pack(f"=8sI{HEADER - 12}x", MAGIC, FORMAT))
        segment = _opened(path, descriptor, -(-size // PAGE) * PAGE, mapped)
        draft.rename(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    return segment


def _opened(path: Path, descriptor: int, size: int, mapped: bool) -> SegmentWriter:
    if not mapped:
        return WrittenSegment(path, descriptor, size)
    _allocate(descriptor, size)
    return MappedSegment(path, descriptor, size)


def _allocate(descriptor: int, size: int) -> None:
    """Give the file all its blocks now, so that a full disk is an error here and not a SIGBUS later."""
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno in FULL:
            raise
        for start in range(HEADER, size, len(ZEROS)):  # a file system that cannot allocate ahead
            _write_all(descriptor, ZEROS[: size - start], start)


def _write_all(descriptor: int, data: bytes, start: int) -> None:
    while data:
        written = os.pwrite(descriptor, data, start)
        data, start = data[written:], start + written


def alive(path: Path) -> bool:
    """Tell whether the writer of the segment still has it open. False if the file is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def check_header(path: Path) -> None:
    """Raise OutboxError if the file is not a segment that this release reads."""
    with path.open("rb") as file:
        head = file.read(len(MAGIC) + WORD)
    if head != struct.pack("=8sI", MAGIC, FORMAT):
        raise OutboxError(
            f"{path} is not a segment that this release reads. Move it away, or install the release that wrote it."
        )


def records(path: Path, start: int, *, complete: bool) -> Iterator[Record]:
    """Yield the records of a segment from byte `start` on.

    With `complete` (the writer is gone) whatever cannot be read is yielded as damaged;
    otherwise what has no readable record behind it may still be in the making and is left.
    """
    with path.open("rb") as file:
        if not complete and _blank(os.pread(file.fileno(), WORD, start)):
            return  # the usual case of polling: nothing new, and no need to read a megabyte of zeros
        file.seek(start)
        data = file.read()
    for record in _parse(data, complete):
        yield Record(start + record.start, start + record.end, record.payload)


def first_payload(path: Path) -> bytes:
    """Return the payload of the first record, which describes the run; empty if it is damaged."""
    with path.open("rb") as file:
        file.seek(HEADER)
        head = file.read(PREFIX)
        length = struct.unpack("=II", head)[0] if len(head) == PREFIX else 0
        return _payload(head + file.read(min(length, os.fstat(file.fileno()).st_size)), 0) or b""


def anything_at(path: Path, start: int) -> bool:
    """Tell whether anything but zeros lies in the file from byte `start` on."""
    with path.open("rb") as file:
        file.seek(start)
        return not _blank(file.read(WORD)) or not _blank(file.read())


def trim(path: Path) -> None:
    """Give back the blocks that a dead writer did not use."""
    data = path.read_bytes()
    used = framed_size(len(data.rstrip(b"\0")) - PREFIX)
    if used < len(data):
        os.truncate(path, max(used, HEADER))


def _blank(data: bytes) -> bool:
    return not data.lstrip(b"\0")


def _parse(data: bytes, complete: bool) -> Iterator[Record]:
    position = 0
    while position < len(data):
        if (payload := _payload(data, position)) is not None:
            end = position + framed_size(len(payload))
            yield Record(position, end, payload)
        elif not complete and _blank(data[position : position + WORD]):
            return
        else:
            # A hole or damage: what a power loss spared behind it is found by its checksum.
            following = _next_readable(data, position + ALIGN)
            if following is None and not complete:
                return
            end = len(data) if following is None else following
            if not _blank(data[position:end]):
                yield Record(position, end, None)
        position = end


def _payload(data: bytes, position: int) -> bytes | None:
    """Return the payload of the record at `position`, None if there is no whole one."""
    if position + PREFIX >= len(data):
        return None
    length, checksum = struct.unpack_from("=II", data, position)
    if not 0 < length <= len(data) - position - PREFIX:
        return None
    payload = data[position + PREFIX : position + PREFIX + length]
    return payload if zlib.crc32(payload) == checksum else None


def _next_readable(data: bytes, position: int) -> int | None:
    if _blank(data[position:]):
        return None
    return next((p for p in range(position, len(data), ALIGN) if _payload(data, p) is not None), None)
