"""A proxy that spoils chosen requests to a real HTTP server, and counts that it did."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Literal, Self
from urllib.parse import urlsplit

Action = Literal["lose reply", "refuse", "cut reply", "alter request", "cut request", "alter reply"]
REFUSAL = b"<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"


@dataclass
class Fault:
    """What is done to the next `times` requests with this method whose target matches.

    lose reply: the server does it, and the connection closes without an answer. refuse: it is
    answered with 503 and never reaches the server. cut reply: half of the answer's body, then
    the connection closes. alter: one bit of the body is flipped. cut request: half of the body
    reaches the server, as if that were all.
    """

    action: Action
    method: str
    times: int = 1
    target: str = "/objects/"
    fired: int = 0

    def applies(self, method: str, target: str) -> bool:
        return self.fired < self.times and method == self.method and re.search(self.target, target) is not None


@dataclass
class FaultProxy:
    """Forwards to `upstream`, a URL; a context manager that listens on a port of its own."""

    upstream: str
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)

    def __enter__(self) -> Self:
        proxy = self

        class Handler(_Handler):
            owner = proxy

        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def spoil(self, action: Action, method: str, times: int = 1, target: str = "/objects/") -> Fault:
        """Plan a fault; its `fired` tells how often it happened."""
        fault = Fault(action, method, times, target)
        self.faults.append(fault)
        return fault

    def take(self, method: str, target: str) -> Fault | None:
        """Note a request and return the fault that is due."""
        with self._lock:
            self.requests.append((method, target))
            fault = next((fault for fault in self.faults if fault.applies(method, target)), None)
            if fault is not None:
                fault.fired += 1
            return fault


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: FaultProxy

    def handle_any(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = self.owner.take(self.command, self.path)
        action = fault.action if fault else None
        if action == "refuse":
            self._answer(503, [("Content-Type", "application/xml")], REFUSAL)
            return
        if action == "alter request":
            content = _flipped(content)
        elif action == "cut request":
            content = content[: len(content) // 2]
        status, headers, body = self._forward(content)
        if action == "lose reply":
            self.close_connection = True
        elif action == "cut reply":
            self._answer(status, headers, body, sent=len(body) // 2)
            self.close_connection = True
        else:
            self._answer(status, headers, _flipped(body) if action == "alter reply" else body)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

    def _forward(self, content: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = HTTPConnection(urlsplit(self.owner.upstream).netloc, timeout=120)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in ("expect", "connection"):
                    connection.putheader(name, str(len(content)) if name.lower() == "content-length" else value)
            connection.endheaders(content or None)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes, sent: int | None = None) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        lengths = [value for name, value in headers if name.lower() == "content-length"]
        self.send_header("Content-Length", lengths[0] if lengths and self.command == "HEAD" else str(len(body)))
        self.end_headers()
        self.wfile.write(body[:sent])

    def log_message(self, *_: object) -> None:
        pass


def _flipped(body: bytes) -> bytes:
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :] if body else body
