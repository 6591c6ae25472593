"""Connections over TLS that stay open for further requests, as the real service keeps them."""

from __future__ import annotations

import json
import socket
import ssl
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from servers.microsoft365.web import Answer

PATIENCE = 120.0


class Connection(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # head and body leave together
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        # The handshake belongs to this connection's thread: a client that dawdles keeps nobody else waiting.
        self.request.settimeout(PATIENCE)
        self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        super().setup()
        self.server.open.add(self.request)

    def finish(self) -> None:
        try:
            super().finish()
        finally:
            self.server.open.discard(self.request)
            self.request.close()

    def handle_any(self) -> None:
        self.server.serve(self)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = do_HEAD = handle_any

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def answer(self, answer: Answer, *, cut: bool = False) -> None:
        """Send an answer; a cut one ends in the middle, and so does the connection."""
        body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        if not isinstance(answer.body, bytes):
            self.send_header("Content-Type", "application/json; charset=utf-8")
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else body[: len(body) // 2] if cut else body)
        self.wfile.flush()
        if cut:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, tls: ssl.SSLContext, serve: Callable[[Connection], None]) -> None:
        super().__init__(("127.0.0.1", 0), Connection)
        self.tls = tls
        self.serve = serve
        self.open: set[socket.socket] = set()

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that goes away is no fault of the server's; anything else is, and is shown.
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class Listener:
    """A server with a port of its own, in a thread."""

    def __init__(self, tls: ssl.SSLContext, serve: Callable[[Connection], None]) -> None:
        self._server = _Server(tls, serve)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stop, and end the connections that are still open."""
        self._server.shutdown()
        for connection in list(self._server.open):
            with suppress(OSError):
                # Not that of TLS, which would pull the rug from under a thread that is reading.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
        self._server.server_close()
        self._thread.join()
