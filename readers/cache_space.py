"""How much the cache holds, what is evicted, and what dead processes left behind.

Content and the folders of file sets are evicted alike, least recently used first. A file
set holds hard links to its members' content, so evicting that content alone would free
nothing: it stays until the set goes.
"""
# ruff: noqa: PTH101, PTH102, PTH104, PTH108, PTH120

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache

VERIFIED = "verified-"
_LEAVING = "leaving-"
_HYSTERESIS = 0.9  # evicting a little more than needed means that not every commit has to look
_SWEEP_AFTER = 60.0
_SWEEP_UNLOCKABLE_AFTER = _OLD_MARK = 86_400.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Unit:
    """Something that is evicted as a whole: a content, or the folder of a file set."""

    path: str
    used: float  # seconds since the epoch
    size: int  # bytes that go with it
    pinned: bool  # other folders hold links to its bytes


class Space:
    """The space of the cache in `folder`; the parameters are those of `readers.cache.Cache`."""

    def __init__(self, folder: str, max_bytes: int, keep_seconds: float) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._keep_seconds = keep_seconds
        self._swept = False

    def grown(self, size: int, spare: str) -> None:
        """Count new content, and evict if the limit is passed; what is named `spare` stays."""
        if not self._swept:
            self._swept = True
            self._sweep()
        if self._count(size) > self._max_bytes:
            self.evict(spare)

    def evict(self, spare: str = "") -> int:
        """Evict down to the limit; return the bytes freed (0 if another process is at it)."""
        with self._alone() as alone:
            if not alone:
                return 0
            self._sweep()
            held = sum(unit.size for unit in self._units())
            goal = int(self._max_bytes * _HYSTERESIS)
            freed = self._free(held - goal, spare) if held > self._max_bytes else 0
            self._recount(held - freed)
            return freed

    def make_room(self, needed: int) -> int:
        """Evict to get at least `needed` bytes, whatever the limit; return the bytes freed."""
        with self._alone(wait=True) as alone:
            return self._free(needed, "") if alone else 0

    def throw_away(self, path: str) -> None:
        """Take a folder out of sight at once, then remove it."""
        aside = f"{self._folder}/incoming/{secrets.token_hex(8)}"
        with suppress(OSError):  # somebody else did it
            make_parents(aside)
            os.rename(path, aside)
            remove_tree(aside)

    def forget_old_marks(self, folder: str) -> None:
        """Remove marks of earlier boots and states that nobody used for a day."""
        limit = time.time() - _OLD_MARK
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith((VERIFIED, _LEAVING)) and entry.stat().st_mtime < limit:
                    os.unlink(entry.path)

    # --- evicting

    def _free(self, needed: int, spare: str) -> int:
        """Evict until `needed` bytes are free or nothing more may go; return the bytes freed."""
        freed, gone = 0, True
        while freed < needed and gone:  # again, as the folder of a set may have pinned content
            gone = False
            limit = time.time() - self._keep_seconds
            for unit in sorted(self._units(), key=lambda unit: unit.used):
                if freed >= needed or unit.used > limit:
                    break
                if not unit.pinned and os.path.basename(unit.path) != spare and self._evict(unit):
                    freed += unit.size
                    gone = True
        if freed:
            self._forget_revisions()
        return freed

    def _evict(self, unit: Unit) -> bool:
        """Evict one unit unless it was used meanwhile.

        A hit touches the mark; so the mark is taken away first, and what was touched before
        that is put back. Nobody who was given a path within `keep_seconds` loses it.
        """
        try:
            for name in _marks(unit.path, VERIFIED):
                os.rename(f"{unit.path}/{name}", f"{unit.path}/{_LEAVING}{name}")
            if _last_use(unit.path) > unit.used:
                self._stay(unit.path)
                return False
            aside = f"{self._folder}/incoming/{secrets.token_hex(8)}"
            make_parents(aside)
            os.rename(unit.path, aside)
        except OSError:  # evicted or thrown away by somebody else
            return False
        if _marks(aside, VERIFIED):  # found intact and handed out between the two renames
            with suppress(OSError):
                os.rename(aside, unit.path)
                return False
        remove_tree(aside)
        return True

    def _stay(self, path: str) -> None:
        for name in _marks(path, _LEAVING):
            os.rename(f"{path}/{name}", f"{path}/{name.removeprefix(_LEAVING)}")

    def _units(self) -> Iterator[Unit]:
        for kind in ("content", "sets"):
            for shard in _entries(f"{self._folder}/{kind}"):
                for entry in _entries(shard.path):
                    with suppress(OSError):  # it may go away while it is looked at
                        yield _content(entry.path) if kind == "content" else _set(entry.path)

    def _forget_revisions(self) -> None:
        """Remove the revisions whose content is gone."""
        for shard in _entries(f"{self._folder}/revisions"):
            for entry in _entries(shard.path):
                with suppress(OSError):
                    with open(entry.path, encoding="ascii") as file:
                        sha256 = file.read(64)
                    if not os.path.isdir(f"{self._folder}/content/{sha256[:2]}/{sha256}"):
                        os.unlink(entry.path)

    # --- counting

    def _count(self, size: int) -> int:
        """Add to the bytes held and return their sum, looking at all content the first time."""
        with suppress(OSError), self._opened("size") as ledger:
            _lock(ledger, wait=True)
            text = os.pread(ledger, 32, 0)
            held = int(text) + size if text.isdigit() else sum(unit.size for unit in self._units())
            os.pwrite(ledger, b"%020d" % held, 0)
            return held
        return 0

    def _recount(self, held: int) -> None:
        with suppress(OSError), self._opened("size") as ledger:
            _lock(ledger, wait=True)
            os.pwrite(ledger, b"%020d" % held, 0)

    @contextmanager
    def _alone(self, wait: bool = False) -> Iterator[bool]:
        """Tell whether no other process or thread is evicting, and keep it so.

        That only saves double work, so where there is no room for the lock it is done without.
        """
        with ExitStack() as stack:
            try:
                descriptor = stack.enter_context(self._opened("evicting"))
            except OSError:
                yield os.path.isdir(self._folder)
            else:
                yield _lock(descriptor, wait) is not False

    @contextmanager
    def _opened(self, name: str) -> Iterator[int]:
        descriptor = os.open(f"{self._folder}/{name}", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    # --- leftovers

    def _sweep(self) -> None:
        """Remove what processes that died left incomplete."""
        now = time.time()
        for entry in _entries(f"{self._folder}/incoming"):
            with suppress(OSError):
                age = now - entry.stat(follow_symlinks=False).st_mtime
                if age > _SWEEP_AFTER and _abandoned(entry.path, age):
                    remove_tree(entry.path)


def _abandoned(path: str, age: float) -> bool:
    """Tell whether no living process holds the lock of what is incomplete."""
    for name in ("data", "lock"):
        with suppress(FileNotFoundError, NotADirectoryError):
            descriptor = os.open(f"{path}/{name}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                free = _lock(descriptor)
                return age > _SWEEP_UNLOCKABLE_AFTER if free is None else free
            finally:
                os.close(descriptor)
    return True


def _lock(descriptor: int, wait: bool = False) -> bool | None:
    """Lock an open file and tell whether that worked; None where there are no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _entries(path: str) -> list[os.DirEntry[str]]:
    with suppress(OSError), os.scandir(path) as entries:
        return list(entries)
    return []


def _marks(path: str, kind: str) -> list[str]:
    return [entry.name for entry in _entries(path) if entry.name.startswith(kind)]


def _last_use(path: str) -> float:
    """Return when a unit was last used; a unit without a mark was last used when it was made."""
    used = [entry.stat().st_mtime for entry in _entries(path) if entry.name.startswith((VERIFIED, _LEAVING))]
    return max(used, default=0.0) or os.lstat(path).st_mtime


def _content(path: str) -> Unit:
    state = os.lstat(f"{path}/data")
    names = _entries(f"{path}/names") if state.st_nlink > 1 or os.path.isdir(f"{path}/names") else []
    copies = [entry for entry in names if entry.inode() != state.st_ino]
    size = state.st_size + sum(entry.stat(follow_symlinks=False).st_size for entry in copies)
    return Unit(path, _last_use(path), size, pinned=state.st_nlink > 1 + len(names) - len(copies))


def _set(path: str) -> Unit:
    size = 0
    for folder, _, names in os.walk(path):
        for state in (os.lstat(f"{folder}/{name}") for name in names):
            size += state.st_size if state.st_nlink == 1 else 0  # a copy, where links are refused
    return Unit(path, _last_use(path), size, pinned=False)


def make_parents(path: str) -> None:
    """Make the folder that `path` lies in, and those above it, for their owner only."""
    parent = os.path.dirname(path)
    if not os.path.isdir(parent):
        make_parents(parent)
        with suppress(FileExistsError):
            os.mkdir(parent, 0o700)


def remove_tree(path: str) -> None:
    """Remove a file or a folder, write-protected folders within it too; never raises."""
    if not os.path.lexists(path):
        return
    for folder, _, _ in os.walk(path):
        with suppress(OSError):
            os.chmod(folder, 0o700)
    shutil.rmtree(path, ignore_errors=True)
    with suppress(OSError):
        os.unlink(path)


@lru_cache(maxsize=1)
def machine_boot() -> str:
    """Return what tells this boot of this machine from all others, in 8 digits."""
    with suppress(OSError), open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read(8)
    import psutil

    return f"{int(psutil.boot_time()):x}"[-8:]
