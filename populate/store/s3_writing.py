"""Writing a content into a bucket: a small one in one request, a large one part by part."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from tempfile import TemporaryFile, gettempdir
from typing import IO, TYPE_CHECKING

from data_platform.errors import StoreError, StoreFull
from populate.store.base import CHUNK, Writer
from populate.store.refusals import FAILURES, refusal

if TYPE_CHECKING:
    from populate.store.multipart import Multipart
    from populate.store.s3 import BucketStore

AT_ONCE = 8 * 1024 * 1024
"""Contents of at most so many bytes are sent in one request, after their hash was compared."""


class BucketWriter(Writer):
    """Keeps a small content in memory until its hash is known; sends a large one in parts.

    A large one whose hash is not known yet waits in a temporary file: an object cannot be renamed.
    """

    def __init__(self, store: BucketStore, sha256: str | None, size: int | None) -> None:
        super().__init__(sha256, size)
        self._store = store
        self._buffer = bytearray()
        self._waiting: IO[bytes] | None = None
        self._upload: Multipart | None = None
        self._written_as = ""
        self._present = False
        self._looked = False

    def _append(self, chunk: memoryview) -> None:
        if self._present:
            return
        if self._upload is None and self._waiting is None and len(self._buffer) + len(chunk) <= AT_ONCE:
            self._buffer += chunk
            return
        with _translating(self._store.name):
            if self.sha256 or self.stored_as:
                self._send(chunk)
            else:
                self._keep(chunk)

    def _keep(self, chunk: memoryview) -> None:
        if self._waiting is None:
            self._waiting = TemporaryFile()  # noqa: SIM115 - `_discard` closes it
            self._waiting.write(self._buffer)
            self._buffer = bytearray()
        self._waiting.write(chunk)

    def _send_kept(self, kept: IO[bytes]) -> None:
        kept.seek(0)
        while not self._present and (piece := kept.read(CHUNK)):
            self._send(memoryview(piece))

    def _send(self, chunk: memoryview) -> None:
        if self._upload is None:
            if self.size is not None and self._is_there(self.size):
                self._present, self._buffer = True, bytearray()
                return
            self._looked = self.size is not None
            self._written_as = self._store.name_to_write(self.object_name)
            self._upload = self._store.start_upload(self._written_as, self.size)
            self._upload.write(memoryview(self._buffer))
            self._buffer = bytearray()
        self._upload.write(chunk)

    def _publish(self) -> None:
        if self._waiting is not None:
            with _translating(self._store.name):
                self._send_kept(self._waiting)
        if self._upload is not None:
            self._complete(self._upload)
        elif not self._present:
            self._store.put(self.object_name, bytes(self._buffer), replace=self.replace, anew=self.anew, same=self.same)
        self._discard_kept()

    def _is_there(self, size: int) -> bool:
        return not self.anew and self._store.holds(self.object_name, size, self._same, doubted=self.replace)

    def _same(self) -> bool:
        if self.same is not None:
            return self.same()
        return self._store.has_hash(self.object_name, self.size or self.received, self.sha256)

    def _complete(self, upload: Multipart) -> None:
        found = self._store.size(self.object_name)
        if found == self.received and not (self.replace and self._looked) and self._is_there(self.received):
            upload.abort()  # somebody was quicker
            return
        create_only = found is None and self._store.enforced.create_only
        try:
            upload.complete(create_only and self._written_as == self.object_name)
        except FAILURES as error:
            raise refusal(error).error(self._store.name) from None
        self._store.settle(self._written_as, self.object_name, self.received, self._same, self.sha256)

    def _discard(self) -> None:
        self._discard_kept()
        if self._upload is not None:
            self._upload.abort()

    def _discard_kept(self) -> None:
        self._buffer = bytearray()
        if self._waiting is not None:
            with suppress(OSError):  # what was not written yet does not matter
                self._waiting.close()


@contextmanager
def _translating(name: str) -> Iterator[None]:
    """Raise the errors of ours for what happens while parts of an upload are kept and sent."""
    try:
        yield
    except FAILURES as error:
        raise refusal(error).error(name) from None
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise StoreFull(
            f"A part of an upload cannot be kept here ({error.strerror}). Make room in {gettempdir()}."
        ) from error
