"""The local cache: bytes that were read, once each, under their SHA-256.

::

    content/ab/<sha256>/data                   the bytes, read-only
                        names/counts.csv       the same file under the names it was read by
                        verified-<state>       hashed in this state (size, time, inode, mode, boot)
    revisions/ab/<file_id>-<revision>          SHA-256 of a revision of a file
    sets/ab/<key>/                             folders of file sets, see `readers.cache_sets`
    incoming/                                  what is not complete yet
    size                                       bytes held, about

A hit costs the same whatever the file's size: the state of the file is compared with the
state in which it was hashed, and the mark that remembers that state is touched, which is
also how the least recently used content is known. No lock is taken.

Nothing is flushed to the disk: what a power failure takes can be read again. It could leave
a file of the right size with wrong bytes, so a state counts only until the next boot, after
which the bytes are hashed once more.
"""
# A hit is a handful of system calls; pathlib would cost more than they do.
# ruff: noqa: PTH101, PTH102, PTH108, PTH110, PTH120

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import shutil
import stat
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from readers.cache_incoming import Draft, Incoming, cache_error, write_small
from readers.cache_names import safe_name
from readers.cache_space import VERIFIED, Space, machine_boot, make_parents

_NO_HARD_LINKS = {errno.EPERM, errno.EMLINK, errno.EXDEV, errno.ENOTSUP, errno.ENOSYS, errno.EACCES}
_NOT_A_FILE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.EISDIR}
_RECENT = 4096
_path = lru_cache(maxsize=_RECENT)(Path)  # making one takes longer than finding the file unchanged
_SHA256 = re.compile(r"[0-9a-f]{64}")
_log = logging.getLogger(__name__)


class Cache:
    """Content-addressed bytes in `folder`, shared by all processes of a user.

    Parameters
    ----------
    folder
        Made with mode 0700 when the first bytes arrive.
    max_bytes
        Least recently used content above this is evicted.
    keep_seconds
        Content used more recently than this is never evicted.
    """

    def __init__(self, folder: Path, max_bytes: int, keep_seconds: float) -> None:
        self.folder = os.fspath(folder)
        self.space = Space(self.folder, max_bytes, keep_seconds)
        self._content = f"{self.folder}/content"
        self._revisions = f"{self.folder}/revisions"
        self._boot = machine_boot()
        self._private = False
        self._recent: dict[tuple[str, str], str] = {}

    def known(self, file_id: str, token: str) -> str | None:
        """Return the SHA-256 of a revision whose bytes were received before, or None."""
        if (sha256 := self._recent.get((file_id, token))) is not None:
            return sha256
        try:
            descriptor = os.open(self._revision(file_id, token), os.O_RDONLY)
        except OSError:
            return None
        try:
            text = os.read(descriptor, 65).decode("ascii", "replace")
        finally:
            os.close(descriptor)
        if not _SHA256.fullmatch(text):
            return None
        self._keep(file_id, token, text)
        return text

    def remember(self, file_id: str, token: str, sha256: str) -> None:
        """Note which content a revision has; if that fails, the bytes are fetched again next time."""
        self._keep(file_id, token, sha256)
        try:
            write_small(self.folder, self._revision(file_id, token), sha256.encode())
        except OSError as error:
            _log.debug("A revision was not remembered: %s", error)

    def path(self, sha256: str, name: str) -> Path | None:
        """Return a read-only file with this content under `name` (made safe), or None if it is not here.

        The content is found intact, by its state or by its hash, and counts as used now.
        Damaged content is thrown away.

        Raises
        ------
        CacheError
            If the content is here and there is no room for another name of it.
        """
        folder = self.content_folder(sha256)
        target = f"{folder}/names/{safe_name(name)}"
        if self._unchanged(folder, target) or self._give_name(sha256, target):
            return _path(target)
        return None

    def open(self, sha256: str) -> BinaryIO | None:
        """Return the content, found intact, as an open file, or None if it is not here."""
        try:
            return open(f"{self.content_folder(sha256)}/data", "rb") if self.holds(sha256) else None
        except FileNotFoundError:  # evicted this moment
            return None
        except OSError as error:
            raise cache_error(error, self.folder) from error

    def holds(self, sha256: str) -> bool:
        """Tell whether the content is here and intact."""
        try:
            return self.intact(sha256, f"{self.content_folder(sha256)}/data") or self._discard(sha256)
        except OSError as error:
            raise cache_error(error, self.folder) from error

    def size(self, sha256: str) -> int | None:
        """Return the size in bytes of content that is here, or None."""
        try:
            return os.stat(f"{self.content_folder(sha256)}/data").st_size
        except OSError:
            return None

    def receive(self, expected: int | None = None) -> Incoming:
        """Return a context manager that takes new content; nothing is visible before its `commit`.

        Parameters
        ----------
        expected
            Size in bytes, if known: what cannot fit is refused before the disk fills up.

        Raises
        ------
        CacheError
            If the bytes cannot be placed, even after evicting what may be evicted.
        """
        self._keep_private()
        return Incoming(self, expected)

    def evict(self) -> int:
        """Evict least recently used content down to the limit; return the bytes freed."""
        return self.space.evict()

    # --- what the other parts of the cache use

    def forget(self, sha256: str) -> bool:
        """Throw away a content; False if it is not here."""
        folder = self.content_folder(sha256)
        there = os.path.lexists(folder)
        if there:
            self.space.throw_away(folder)
        return there

    def content_folder(self, sha256: str) -> str:
        return f"{self._content}/{sha256[:2]}/{sha256}"

    def intact(self, sha256: str, path: str) -> bool:
        """Tell whether the file at `path` has this content: by its state, else by hashing it."""
        folder = self.content_folder(sha256)
        if self._unchanged(folder, path):
            return True
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            if error.errno in _NOT_A_FILE:
                return False
            raise
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return False
            os.fchmod(descriptor, 0o444)
            state = os.fstat(descriptor)  # before hashing: what is written meanwhile has another time
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                return False
        self.vouch(folder, state)
        return True

    def vouch(self, folder: str, state: os.stat_result) -> None:
        """Remember that a file in this state was hashed and found to have the content of `folder`."""
        with suppress(OSError):  # then it is hashed again next time
            os.close(os.open(f"{folder}/{self.mark(state)}", os.O_CREAT | os.O_WRONLY, 0o600))
            self.space.forget_old_marks(folder)

    def mark(self, state: os.stat_result) -> str:
        """Return the name of the mark for a file in this state."""
        return f"{VERIFIED}{state.st_size:x}-{state.st_mtime_ns:x}-{state.st_ino:x}-{state.st_mode:o}-{self._boot}"

    def link(self, sha256: str, target: str) -> None:
        """Give the content another name at `target`: a hard link, or a copy where these are refused."""
        folder = self.content_folder(sha256)
        try:
            os.link(f"{folder}/data", target, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _NO_HARD_LINKS:
                raise
            self._copy(folder, target)

    # --- inner steps

    def _keep_private(self) -> None:
        """Make the folder, or close it to others where it was made with another mode."""
        if not self._private:
            try:
                make_parents(f"{self.folder}/incoming")
                if os.stat(self.folder).st_mode & 0o077:
                    os.chmod(self.folder, 0o700)
            except OSError as error:
                raise cache_error(error, self.folder) from error
            self._private = True

    def _revision(self, file_id: str, token: str) -> str:
        digest = hashlib.blake2b(token.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        return f"{self._revisions}/{file_id[:2]}/{file_id}-{digest}"

    def _keep(self, file_id: str, token: str, sha256: str) -> None:
        """Keep what `known` has found, which spares the next hit three system calls."""
        if len(self._recent) >= _RECENT:
            self._recent.clear()
        self._recent[file_id, token] = sha256

    def _unchanged(self, folder: str, path: str) -> bool:
        """Tell whether the file is in a state in which it was hashed, and mark it as used."""
        try:
            mark = f"{folder}/{self.mark(os.lstat(path))}"
        except OSError:
            return False
        try:
            os.utime(mark)
        except FileNotFoundError:
            return False
        except OSError:  # a cache that may only be read
            return os.path.exists(mark)
        return True

    def _give_name(self, sha256: str, target: str) -> bool:
        """Put a name of intact content at `target`; False if there is none."""
        try:
            for _ in range(3):
                if not self.holds(sha256):
                    return False
                try:
                    self.link(sha256, target)
                    return True
                except FileExistsError:
                    if self.intact(sha256, target):
                        return True
                    os.unlink(target)
                except FileNotFoundError:
                    with suppress(FileExistsError, FileNotFoundError):
                        os.mkdir(os.path.dirname(target), 0o700)
        except OSError as error:
            raise cache_error(error, self.folder) from error
        return False

    def _copy(self, folder: str, target: str) -> None:
        with Draft(self.folder) as draft:
            copy = shutil.copyfile(f"{folder}/data", f"{draft.path}/copy")
            os.chmod(copy, 0o444)
            self.vouch(folder, os.lstat(copy))
            draft.publish("copy", target)

    def _discard(self, sha256: str) -> bool:
        """Throw away content that is damaged, if it is there at all; always False."""
        folder = self.content_folder(sha256)
        if os.path.lexists(folder):
            _log.warning("Cached content %s was damaged and is thrown away.", sha256)
            self.space.throw_away(folder)
        return False
