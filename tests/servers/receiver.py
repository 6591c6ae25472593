"""A real program that listens for POST requests: it keeps what it gets, and answers as it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Posted:
    """A request as it arrived."""

    target: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


Answer = tuple[int, dict[str, str], bytes]


def taken(posted: Posted) -> Answer:
    return 204, {}, b""


@dataclass
class Receiver:
    """Where it listens, what it got, and what it answers to it."""

    host: str = "127.0.0.1"
    port: int = 0
    posted: list[Posted] = field(default_factory=list)
    answer: Callable[[Posted], Answer] = taken

    @property
    def authority(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.authority}"


@contextmanager
def receiver() -> Iterator[Receiver]:
    """Run one on a free port, in a thread, for the block."""
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            posted = Posted(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            made.posted.append(posted)
            status, headers, answer = made.answer(posted)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(answer)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer((made.host, 0), Handler)
    made.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
