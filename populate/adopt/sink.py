"""Where the bytes of a file that is adopted go while they come: nobody sees them before that is allowed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from data_platform.errors import BlobDamaged, SourceChanged
from populate.store import Place, Store, Writer
from readers.source import Revision, Sink

Paid = Callable[[int], object]
"""Called with the number of bytes that come, before they are taken; may raise."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The bytes of a file: the revision they belong to, their hash, their number."""

    revision: str
    sha256: str
    size: int


class Pending(Protocol):
    """A content that is not in the store yet, as a `Writer` that has all its bytes."""

    def commit(self) -> Place: ...

    def abort(self) -> None: ...


class Hash:
    """Takes the bytes of a file and keeps only what they hash to."""

    def __init__(self, paid: Paid) -> None:
        self.size = 0
        self._paid = paid
        self._digest = hashlib.sha256()

    def __call__(self, chunk: bytes) -> None:
        self._paid(len(chunk))
        self.size += len(chunk)
        self._digest.update(chunk)

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


class ReadAgain:
    """A content that was hashed, and is read once more should the store need it.

    A disk of this machine gives it again for less than it costs to keep it beside: a large one would have to be
    written to a temporary file.

    Parameters
    ----------
    store
        Where it goes.
    taken
        What was hashed.
    download
        Reads the file into a sink and returns its revision.
    paid
        See `Paid`.
    """

    def __init__(self, store: Store, taken: Taken, download: Callable[[Sink], Revision], paid: Paid) -> None:
        self._store = store
        self._taken = taken
        self._download = download
        self._paid = paid

    def commit(self) -> Place:
        """Put it into the store and return where it is.

        Raises
        ------
        SourceChanged
            If the file is another one by now.
        SourceError, StoreError
            If it cannot be read or stored.
        """
        with self._store.writer(self._taken.sha256, self._taken.size) as writer:

            def take(chunk: bytes) -> None:
                self._paid(len(chunk))
                writer.write(chunk)

            try:
                revision = self._download(take).token
            except BlobDamaged:  # these are more bytes
                revision = ""
            if revision != self._taken.revision:
                raise SourceChanged("The file changed after it was hashed. Adopt it again when it is at rest.")
            return writer.commit()

    def abort(self) -> None:
        """Nothing of it is kept anywhere."""


class AdoptSink:
    """Takes the bytes of a file: keeps few in memory, sends many on to the store.

    Parameters
    ----------
    store
        Where many go.
    most
        Bytes that are kept in memory.
    paid
        See `Paid`.
    """

    def __init__(self, store: Store, most: int, paid: Paid) -> None:
        self.size = 0
        self.error: Exception | None = None
        self._store = store
        self._most = most
        self._paid = paid
        self._buffer = bytearray()
        self._digest = hashlib.sha256()  # a writer tells its own only once it is committed
        self._writer: Writer | None = None

    def __call__(self, chunk: bytes) -> None:
        try:
            self._paid(len(chunk))
            self.size += len(chunk)
            self._digest.update(chunk)
            if self._writer is None:
                self._buffer += chunk
                if len(self._buffer) > self._most:
                    self._writer = self._store.writer(None, None)
                    chunk, self._buffer = bytes(self._buffer), bytearray()
            if self._writer is not None:
                self._writer.write(chunk)
        except Exception as error:
            self.error = error
            raise

    def finish(self) -> tuple[str, bytes | Writer]:
        """Return the hash, and the bytes or the writer that has them, which is the caller's to commit or abort."""
        if self._writer is not None:
            writer, self._writer = self._writer, None
            return self._digest.hexdigest(), writer
        return self._digest.hexdigest(), bytes(self._buffer)

    def close(self) -> None:
        """Forget what was not kept."""
        if self._writer is not None:
            self._writer.abort()
