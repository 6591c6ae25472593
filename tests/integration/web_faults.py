"""What can go wrong with an answer: faults for the pages of `web_server`."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable

from web_server import Fault, Handler, Page


def status(code: int, **headers: str) -> Fault:
    """Answer with a status, as ``status(503, Retry_After="1")``."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    def serve(handler: Handler, page: Page) -> None:
        handler.answer(code, b"<html>sorry</html>", {"Content-Type": "text/html", **named})

    return serve


def cut(after: int) -> Fault:
    """Announce everything that is asked for and break off after some bytes of it."""

    def serve(handler: Handler, page: Page) -> None:
        _start(handler, page, after)
        handler.hang_up()

    return serve


def reset(after: int | None = None) -> Fault:
    """Reset the connection, before the head or after some bytes of the body."""

    def serve(handler: Handler, page: Page) -> None:
        if after is not None:
            _start(handler, page, after)
        handler.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.request.close()
        handler.hang_up()

    return serve


def stall(after: int | None = None) -> Fault:
    """Say nothing more until the server is closed."""

    def serve(handler: Handler, page: Page) -> None:
        if after is not None:
            _start(handler, page, after)
        handler.server.stopping.wait(60)
        handler.hang_up()

    return serve


def drip(handler: Handler, page: Page) -> None:
    """Send a byte now and then for ever, so that no single wait is long."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000000000")
    handler.end_headers()
    while not handler.server.stopping.wait(0.02):
        handler.wfile.write(b".")
        handler.wfile.flush()
    handler.hang_up()


def drip_head(handler: Handler, page: Page) -> None:
    """The same within the head."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Endless: ")
    while not handler.server.stopping.wait(0.02):
        handler.wfile.write(b".")
        handler.wfile.flush()
    handler.hang_up()


def announce(length: int) -> Fault:
    """Announce another length than the page has."""

    def serve(handler: Handler, page: Page) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode()
        handler.wfile.write(head + page.content)
        handler.wfile.flush()
        if length > len(page.content):
            handler.hang_up()

    return serve


def chunked(*, complete: bool = True) -> Fault:
    """Send the page in chunks, without a length, and with or without the last one."""

    def serve(handler: Handler, page: Page) -> None:
        handler.send_response(200)
        for name, value in handler.validators(page).items():
            handler.send_header(name, value)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for start in range(0, len(page.content), 1000):
            piece = page.content[start : start + 1000]
            handler.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        if not complete:
            handler.wfile.flush()
            handler.hang_up()
        handler.wfile.write(b"0\r\n\r\n")
        handler.wfile.flush()

    return serve


def encoded(encoding: str, body: bytes) -> Fault:
    """Send `body` as the page in a compression, whatever was asked for."""

    def serve(handler: Handler, page: Page) -> None:
        handler.answer(200, body, {**handler.validators(page), "Content-Encoding": encoding})

    return serve


def then(change: Callable[[Page], None], fault: Fault) -> Fault:
    """Do what `fault` does, and change the page before anybody notices."""

    def serve(handler: Handler, page: Page) -> None:
        try:
            fault(handler, page)
        finally:
            change(page)

    return serve


def _start(handler: Handler, page: Page, after: int) -> None:
    """Send the head of a proper answer, partial if asked for, and `after` bytes of its body."""
    start = handler.asked_range(page) if page.ranges else None
    body = page.content[start[0] : start[1]] if start else page.content
    handler.send_response(206 if start else 200)
    for name, value in handler.validators(page).items():
        handler.send_header(name, value)
    if start:
        handler.send_header("Content-Range", f"bytes {start[0]}-{start[0] + len(body) - 1}/{len(page.content)}")
    if page.length:
        handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body[:after])
    handler.wfile.flush()
