"""A real web server for tests: files with validators and ranges, redirects, and faults on demand.

Each GET of a page uses up one of its faults, in order; a HEAD uses none, unless the page says
that HEAD is refused. What was asked for is kept in `WebServer.requests`.
"""

from __future__ import annotations

import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, unquote, urlsplit


class GiveUp(Exception):
    """The handler has dealt with the connection; nothing more is to be sent."""


Fault = Callable[["Handler", "Page"], None]


@dataclass
class Page:
    """What is served under a path."""

    content: bytes = b""
    etag: str | None = None
    modified: datetime | None = None
    content_type: str = "application/octet-stream"
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200
    ranges: bool = True
    head: bool = True
    length: bool = True
    faults: list[Fault] = field(default_factory=list)


@dataclass(frozen=True)
class Asked:
    """A request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def setup(self) -> None:
        if self.server.tls is not None:
            self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        super().setup()
        self.server.open.add(self.request)
        self.server.accepted += 1

    def finish(self) -> None:
        try:
            super().finish()
        finally:
            self.server.open.discard(self.request)
            self.request.close()

    def do_HEAD(self) -> None:
        self._serve()

    def do_GET(self) -> None:
        self._serve()

    def _serve(self) -> None:
        asked = Asked(self.command, self.path, {name.lower(): value for name, value in self.headers.items()})
        self.server.requests.append(asked)
        page = self.server.pages.get(unquote(urlsplit(self.path).path))
        if page is None:
            self.answer(404, b"nothing here", {})
        elif self.command == "HEAD" and not page.head:
            self.answer(405, b"", {})
        elif self.command == "GET" and page.faults:
            page.faults.pop(0)(self, page)
        else:
            self.whole(page)

    def whole(self, page: Page) -> None:
        """Serve a page as a proper server does."""
        status, body, headers = page.status, page.content, self.validators(page)
        if page.ranges and page.status == 200:
            headers["Accept-Ranges"] = "bytes"
            if (start := self.asked_range(page)) is not None and self.command == "GET":
                status, body = 206, page.content[start[0] : start[1]]
                headers["Content-Range"] = f"bytes {start[0]}-{start[0] + len(body) - 1}/{len(page.content)}"
                if not body:
                    status, headers["Content-Range"] = 416, f"bytes */{len(page.content)}"
        self.answer(status, body, headers, length=page.length)

    def asked_range(self, page: Page) -> tuple[int, int] | None:
        asked = self.headers.get("Range", "")
        condition = self.headers.get("If-Range")
        if not asked.startswith("bytes=") or condition not in {None, page.etag, stamp(page.modified)}:
            return None
        first, _, last = asked.removeprefix("bytes=").partition("-")
        return int(first), int(last) + 1 if last else len(page.content)

    def validators(self, page: Page) -> dict[str, str]:
        headers = {"Content-Type": page.content_type, **page.headers}
        if page.etag is not None:
            headers["ETag"] = page.etag
        if page.modified is not None:
            headers["Last-Modified"] = stamp(page.modified)
        return headers

    def answer(self, status: int, body: bytes, headers: dict[str, str], *, length: bool = True) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if length and "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        elif not length:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def hang_up(self) -> None:
        """End the connection as a cable would: at once, and for both sides."""
        self.close_connection = True
        raise GiveUp

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 128

    def __init__(self, address: str, tls: ssl.SSLContext | None) -> None:
        super().__init__((address, 0), Handler)
        self.tls = tls
        self.pages: dict[str, Page] = {}
        self.requests: list[Asked] = []
        self.open: set[socket.socket] = set()
        self.accepted = 0
        self.stopping = threading.Event()
        self.failures: list[BaseException] = []

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, (ConnectionError, GiveUp, ssl.SSLError, ValueError)):
            self.failures.append(error)


class WebServer:
    """A server on a free port of a loopback address, known as `host`."""

    def __init__(self, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", address: str = "127.0.0.1") -> None:
        self._server = Server(address, tls)
        self.requests = self._server.requests
        self.port: int = self._server.server_address[1]
        self.authority = f"{host}:{self.port}"
        self.origin = f"{'https' if tls else 'http'}://{self.authority}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def connections(self) -> int:
        """How many connections were made so far."""
        return self._server.accepted

    def put(self, path: str, page: Page) -> str:
        """Serve `page` under `path` (not encoded, with a leading slash) and return its link."""
        self._server.pages[path] = page
        return self.url(path)

    def remove(self, path: str) -> None:
        del self._server.pages[path]

    def redirect(self, path: str, location: str, status: int = 302, **headers: str) -> str:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.put(path, Page(status=status, headers={"Location": location, **named}))

    def url(self, path: str) -> str:
        return self.origin + quote(path)

    def asked(self, method: str, path: str) -> list[Asked]:
        """Return the requests for one path so far."""
        return [each for each in self.requests if (each.method, unquote(urlsplit(each.target).path)) == (method, path)]

    def close(self) -> None:
        self._server.stopping.set()
        self._server.shutdown()
        for connection in list(self._server.open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()
        self._thread.join()
        assert not self._server.failures, self._server.failures


@contextmanager
def web_server(
    tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", address: str = "127.0.0.1"
) -> Iterator[WebServer]:
    server = WebServer(tls, host, address)
    try:
        yield server
    finally:
        server.close()


def stamp(moment: datetime | None) -> str:
    return format_datetime(moment.astimezone(UTC), usegmt=True) if moment else "never"
