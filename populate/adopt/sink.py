"""Where the bytes of a file that is adopted go while they come: nobody sees them before that is allowed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from populate.store import Store, Writer


class AdoptSink:
    """Takes the bytes of a file: keeps few in memory, sends many on to the store.

    Parameters
    ----------
    store
        Where many go.
    most
        Bytes that are kept in memory.
    paid
        Called with the number of bytes that come, before they are taken; may raise.
    """

    def __init__(self, store: Store, most: int, paid: Callable[[int], object]) -> None:
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
