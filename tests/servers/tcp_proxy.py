"""A way to a server that can be blocked and opened again: what those see whose server is down for a while."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

Target = tuple[str, int] | str
"""Address and port, or the path of a socket."""


class TcpProxy:
    """Forwards connections to `target` from a port of this machine; a context manager."""

    def __init__(self, target: Target, address: str = "127.0.0.1") -> None:
        self._target = target
        self._open = True
        self._pairs: list[socket.socket] = []
        self._guard = threading.Lock()
        self._listener = socket.create_server((address, 0))
        self.port = int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.block()
        self._listener.close()

    def block(self) -> None:
        """Cut all connections, and each new one at once."""
        with self._guard:
            self._open = False
            for end in self._pairs:
                _end(end)
            self._pairs.clear()

    def unblock(self) -> None:
        """Let connections through again."""
        with self._guard:
            self._open = True

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._join(client)

    def _join(self, client: socket.socket) -> None:
        with self._guard:
            if not self._open:
                return _end(client)
            try:
                server = _connected(self._target)
            except OSError:
                return _end(client)
            self._pairs += (client, server)
        for source, sink in ((client, server), (server, client)):
            threading.Thread(target=_pump, args=(source, sink), daemon=True).start()
        return None


def target_of(host: str, port: int) -> Target:
    """Return where a database of these settings is reached: PostgreSQL's host may be the folder of its socket."""
    return str(Path(host) / f".s.PGSQL.{port}") if host.startswith("/") else (host, port)


def _connected(target: Target) -> socket.socket:
    if isinstance(target, tuple):
        return socket.create_connection(target)
    made = socket.socket(socket.AF_UNIX)
    made.connect(target)
    return made


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    _end(source)
    _end(sink)


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
