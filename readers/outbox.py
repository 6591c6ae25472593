"""The outbox: where an access is noted down on the caller's path, durably and in microseconds.

No database, no network, no lock between processes, no fsync: `Outbox.append` encodes the
record and copies it into this process's own segment (`readers.segment`); a shipper process
delivers it (`readers.shipper`). Threads share the segment, a child after fork opens its own.

If an access cannot be noted (disk full, folder not writable, backlog over its limit) the
read that it belongs to still succeeds: there is one warning, each loss is counted
in the file ``missed``, and the next access is tried again.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import json
import logging
import os
import threading
import warnings
import weakref
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

import orjson

from data_platform.errors import OutboxError
from data_platform.settings import OutboxSettings, Settings, settings
from readers import segment
from readers.backlog import pending, prepare
from readers.launch import ShipperWatch
from readers.run import run_record

__all__ = ["Outbox", "missed", "outbox", "pending"]

log = logging.getLogger("data_platform.outbox")
LEAST = 64 * 1024
"""Bytes of a segment on a disk that has no room for a whole one."""
FULL = segment.FULL
_all: weakref.WeakSet[Outbox] = weakref.WeakSet()


def _encode(record: Mapping[str, object]) -> bytes:
    """Return compact JSON: the dearest part of an append, hence not by the standard library."""
    try:
        return orjson.dumps(record, default=_plain)
    except orjson.JSONEncodeError:  # lone surrogates, numbers over 64 bits: no record of ours has them
        return json.dumps(record, separators=(",", ":"), default=_plain).encode("ascii")


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else str(value)


class Outbox:
    """Appends accesses to the segments of one folder. Safe for threads and over forks.

    Parameters
    ----------
    folder
        Made if needed, for its owner only.
    describe
        Returns the record of the run, which is written first in each segment.
    watch
        Starts the shipper when there is none; None leaves the delivery to others.
    """

    _busy: bool
    _deferred: list[bytes]
    _missed: int
    _warned: bool

    def __init__(
        self,
        folder: Path,
        settings: OutboxSettings,
        describe: Callable[[], Mapping[str, object]],
        watch: ShipperWatch | None = None,
    ) -> None:
        self.folder = folder
        self._settings = settings
        self._describe = describe
        self._watch = watch
        self._segment: segment.SegmentWriter | None = None
        self._reset()
        _all.add(self)

    def append(self, *records: Mapping[str, object] | bytes) -> None:
        """Note down accesses, each a record or its JSON.

        Never raises: what cannot be noted is warned about, logged and counted.
        """
        if self._pid != os.getpid():  # a fork that told nobody, as C libraries do
            self._reset()
        for position, record in enumerate(records):
            try:
                self._note(record if isinstance(record, bytes) else _encode(record))
            except Exception as error:
                self._miss(len(records) - position, error)
                break
        if self._watch is not None:
            self._watch.look()

    def close(self) -> None:
        """Give up the open segment; a later `append` opens another."""
        if self._pid != os.getpid():
            self._reset()  # the segment is the parent's
        with self._lock:
            current, self._segment = self._segment, None
            if current is not None:
                current.close()
            self._save_missed()

    def _note(self, payload: bytes) -> None:
        with self._lock:
            if self._busy:  # a signal handler or finaliser that reads while this thread appends
                self._deferred.append(payload)
                return
            self._busy = True
            try:
                self._write(payload)
                while self._deferred:
                    self._write(self._deferred.pop(0))
            finally:
                self._busy = False

    def _write(self, payload: bytes) -> None:
        if self._segment is None or not self._segment.append(payload):
            self._renew(payload)

    def _renew(self, payload: bytes) -> None:
        """Open the next segment, with the run and `payload` in it, before giving up the full one."""
        run = self._run()
        needed = segment.HEADER + segment.framed_size(len(run)) + segment.framed_size(len(payload))
        size = max(self._settings.segment_bytes, needed)
        prepare(self.folder)
        self._check_backlog(size)
        _make_counter(self.folder)
        opened = self._opened(size, needed)
        opened.append(run)
        opened.append(payload)
        full, self._segment = self._segment, opened
        if full is not None:
            full.close()
        if self._watch is not None:
            self._watch.soon()

    def _opened(self, size: int, needed: int) -> segment.SegmentWriter:
        """Make a segment, a small one if the disk has no room for more."""
        mapped = _mappable(self.folder)
        try:
            return segment.create_segment(self.folder, size, mapped=mapped)
        except OSError as error:
            if error.errno not in FULL or size <= max(needed, LEAST):
                raise
            return segment.create_segment(self.folder, max(needed, LEAST), mapped=mapped)

    def _run(self) -> bytes:
        try:
            return _encode(self._describe())
        except Exception as error:  # an access without its run is better than none
            log.warning("The run cannot be described: %s: %s", type(error).__name__, error)
            return b"{}"

    def _check_backlog(self, size: int) -> None:
        if _held(self.folder) + size > self._settings.max_bytes:
            raise OutboxError(
                f"The backlog of accesses exceeds outbox.max_bytes ({self._settings.max_bytes}). "
                "Run `data-platform flush`, or raise the limit."
            )

    def _miss(self, count: int, error: Exception) -> None:
        self._missed += count
        text = (
            f"{count} accesses could not be noted in {self.folder} ({type(error).__name__}: {error}). The data were "
            "read, but the catalogue will not know. Make room or fix the folder; `data-platform doctor` tells more."
        )
        with contextlib.suppress(OSError):
            self._save_missed()
        if not self._warned:
            self._warned = True
            with contextlib.suppress(Warning):  # where warnings are errors, the read must still succeed
                warnings.warn(text, RuntimeWarning, stacklevel=3)

    def _save_missed(self) -> None:
        """Add what this process missed to the counter file."""
        if not self._missed:
            return
        descriptor = os.open(self.folder / "missed", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            total = _number(os.pread(descriptor, 20, 0)) + self._missed
            if os.pwrite(descriptor, b"%020d" % total, 0) == 20:
                self._missed = 0
        finally:
            os.close(descriptor)

    def _reset(self) -> None:
        """Start anew, as after a fork: locks may be held by threads that do not exist here."""
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._busy = False
        self._deferred = []
        self._missed = 0
        self._warned = False
        inherited, self._segment = self._segment, None
        if inherited is not None:
            with contextlib.suppress(Exception):
                inherited.abandon()


def missed(folder: Path) -> int:
    """Return how many accesses could not be noted in this outbox since it was made."""
    try:
        return _number((folder / "missed").read_bytes())
    except FileNotFoundError:
        return 0


_current: tuple[Settings, Outbox] | None = None
_opening = threading.RLock()


def outbox() -> Outbox:
    """Return the outbox of this process, by the settings in force; ends with the process."""
    current, wanted = _current, settings()
    if current is not None and current[0] is wanted:
        return current[1]
    return _changed(wanted)


def _changed(wanted: Settings) -> Outbox:
    global _current
    with _opening:
        if _current is None or _current[0] is not wanted:
            if _current is not None:
                with contextlib.suppress(OSError):  # its folder may be gone
                    _current[1].close()
            watch = ShipperWatch(wanted) if wanted.outbox.ship else None
            _current = (wanted, Outbox(wanted.outbox_folder, wanted.outbox, run_record, watch))
        return _current[1]


def _make_counter(folder: Path) -> None:
    """Give the file that counts misses its block while there is room: later it is only written over."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder / "missed", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, b"%020d" % 0)
        finally:
            os.close(descriptor)


def _number(digits: bytes) -> int:
    return int(digits) if digits.isdigit() else 0


def _held(folder: Path) -> int:
    """Return the bytes that segments take."""
    total = 0
    for path in folder.glob("*" + segment.SUFFIX):
        with contextlib.suppress(FileNotFoundError):  # delivered meanwhile
            total += path.stat().st_size
    return total


@lru_cache(maxsize=16)
def _mappable(folder: Path) -> bool:
    return segment.mappable(folder)


def _after_fork() -> None:
    global _opening
    _opening = threading.RLock()
    for each in _all:
        each._reset()


def _at_exit() -> None:
    for each in list(_all):
        with contextlib.suppress(Exception):
            each.close()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(_at_exit)
