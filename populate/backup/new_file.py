"""A file that is new, or none: it gets its name once it is whole, and takes that from nobody.

Where the file system can, it has no name before that. So nobody else can put another file in its place, and
nothing stays behind if this process is killed. Elsewhere it has a name beside its own one meanwhile.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from data_platform.errors import DataPlatformError, RestoreError
from populate.store.base import CHUNK
from populate.store.folder import link_new

_NEW = os.O_CREAT | os.O_EXCL
_UNNAMED = getattr(os, "O_TMPFILE", 0)  # Linux


class NewFile:
    """A file that is being written; `new_file` makes it.

    Parameters
    ----------
    target
        Its name to be.
    descriptor
        Of the file.
    temporary
        Its name meanwhile; empty if it has none.

    Attributes
    ----------
    on_disk
        Whether all of it is known to have been brought to the disk.
    """

    def __init__(self, target: Path | str, descriptor: int, temporary: str) -> None:
        self.target = target
        self.descriptor = descriptor
        self.on_disk = False
        self._temporary = temporary
        self._modified_ns = -1

    def write(self, piece: bytes | memoryview) -> None:
        """Write the next bytes.

        Raises
        ------
        RestoreError
            If the file cannot be written.
        """
        with translated(self.target):
            left = memoryview(piece)
            while left:
                left = left[os.write(self.descriptor, left) :]

    def date(self, modified_ns: int) -> None:
        """Set when it was modified, in nanoseconds since 1970, after the last byte; below 0 = now.

        Raises
        ------
        RestoreError
            If the file cannot be written.
        """
        self._modified_ns = modified_ns
        if modified_ns >= 0:
            with translated(self.target):
                os.utime(self.descriptor, ns=(modified_ns, modified_ns))

    def sync(self) -> None:
        """Bring the file to the disk. If that fails it is lost: the next try would say that all is well.

        Raises
        ------
        RestoreError
            If it cannot be brought there.
        """
        with translated(self.target):
            os.fsync(self.descriptor)
        self.on_disk = True

    def publish(self) -> bool:
        """Bring the file to the disk and give it its name; False if there is such a file, which stays as it is.

        Raises
        ------
        RestoreError
            If the file cannot be written.
        """
        if not self.on_disk:
            self.sync()
        with translated(self.target):
            return self._named() if self._temporary else self._named_first()

    def _named(self) -> bool:
        try:
            os.link(self._temporary, self.target, follow_symlinks=False)
        except FileExistsError:
            return False
        except OSError:  # there may be no links on this file system
            return link_new(Path(self._temporary), Path(self.target))
        return True

    def _named_first(self) -> bool:
        try:
            # With a folder's descriptor, which an absolute path does not need, Python follows what stands there.
            os.link(f"/proc/self/fd/{self.descriptor}", self.target, src_dir_fd=self.descriptor, follow_symlinks=True)
        except FileExistsError:
            return False
        except OSError:  # no /proc here, or no links
            with _beside(self.target) as other:
                os.lseek(self.descriptor, 0, os.SEEK_SET)
                while piece := os.read(self.descriptor, CHUNK):
                    other.write(piece)
                other.date(self._modified_ns)
                return other.publish()
        return True


@contextmanager
def new_file(target: Path | str) -> Iterator[NewFile]:
    """Give a file that is `target` once it is published; without that nothing of it stays.

    Raises
    ------
    RestoreError
        If the folder takes no file.
    """
    # As text: making a `Path` of each of many files would take as long as writing it.
    folder = os.path.split(target)[0] or "."
    try:
        descriptor = os.open(folder, os.O_RDWR | _UNNAMED | os.O_CLOEXEC, 0o666) if _UNNAMED else -1
    except OSError:  # the file system cannot, or what is wrong shows again
        descriptor = -1
    if descriptor < 0:
        with _beside(target) as file:
            yield file
        return
    try:
        yield NewFile(target, descriptor, "")
    finally:
        os.close(descriptor)


@contextmanager
def _beside(target: Path | str) -> Iterator[NewFile]:
    temporary = os.path.join(os.path.split(target)[0], f".restore-{secrets.token_hex(8)}")
    with translated(target):
        descriptor = os.open(temporary, os.O_WRONLY | _NEW | os.O_CLOEXEC, 0o666)
    try:
        yield NewFile(target, descriptor, temporary)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)  # noqa: PTH108
        os.close(descriptor)


@contextmanager
def translated(target: Path | str) -> Iterator[None]:
    """Raise the error of ours for what happens while `target` is written."""
    try:
        yield
    except OSError as error:
        if isinstance(error, DataPlatformError):
            raise
        reason = os.strerror(error.errno or 0)
        raise RestoreError(
            f"{target} cannot be written ({reason}). Name an existing folder with enough room that you may write to.",
        ) from error
