"""How http requests leave: to the addresses that were judged, within a deadline, unlogged.

`httpcore` speaks the protocol; the connection is made here, so that a name is resolved once,
each of its addresses is judged, and the socket goes to one of those while TLS still checks the
certificate against the name. No proxy or other setting of the environment is used.
"""

from __future__ import annotations

import functools
import logging
import math
import re
import ssl
import time
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import certifi
import httpcore

from readers.addresses import Link, resolve

_KEEP_ALIVE = 5.0
_END_OF_HEAD = re.compile(rb"\n\r?\n")
_deadline: ContextVar[float] = ContextVar("http_deadline", default=math.inf)


class _HeadsLeftOut(logging.Filter):
    """Drops the debug lines that show an answer's head: signed links to go on to, cookies."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not str(record.msg).startswith(("receive_response_headers.complete", "receive_response_headers.failed"))


logging.getLogger("httpcore.http11").addFilter(_HeadsLeftOut())


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Let every network operation inside fail once `seconds` have passed, however it dribbles."""
    token = _deadline.set(min(_deadline.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        _deadline.reset(token)


def remaining() -> float:
    """Return the seconds left, infinite outside of `within`."""
    return _deadline.get() - time.monotonic()


@functools.lru_cache(maxsize=1)
def tls_context() -> ssl.SSLContext:
    """Return what certificates are checked against: the usual authorities and the machine's own.

    A company's certificate authority stands in the machine's store, where one is missing
    (a minimal container) the usual ones come with `certifi`.
    """
    context = ssl.create_default_context(cafile=certifi.where())
    context.load_default_certs()
    return context


class Wire(httpcore.NetworkStream):
    """A connection that keeps to the deadline and counts what follows an answer's head."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner
        self._head: bytes | None = b""
        self._body = 0

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = self._inner.read(max_bytes, _limit(timeout, httpcore.ReadTimeout))
        self._count(data)
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._head, self._body = b"", 0
        self._inner.write(buffer, _limit(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        limit = _limit(timeout, httpcore.ConnectTimeout)
        return Wire(self._inner.start_tls(ssl_context, server_hostname, limit))

    def get_extra_info(self, info: str) -> Any:
        return self._body if info == "body_received" else self._inner.get_extra_info(info)

    def _count(self, data: bytes) -> None:
        if self._head is None:
            self._body += len(data)
            return
        self._head += data
        while end := _END_OF_HEAD.search(self._head):
            head, rest = self._head[: end.start()], self._head[end.end() :]
            if not re.match(rb"HTTP/\S+ 1\d\d", head):  # an early hint, say, has the real head after it
                self._head, self._body = None, len(rest)
                return
            self._head = rest


class JudgedBackend(httpcore.NetworkBackend):
    """Connects to judged addresses only."""

    def __init__(self, *, trusted: bool) -> None:
        self._trusted = trusted
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        failure: httpcore.NetworkError | httpcore.TimeoutException | None = None
        for address in resolve(host, port, trusted=self._trusted):
            try:
                limit = _limit(timeout, httpcore.ConnectTimeout)
                return Wire(self._plain.connect_tcp(address, port, limit, local_address, socket_options))
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        assert failure is not None  # resolve() returns at least one address
        raise failure


class Transport:
    """Sends requests over kept connections.

    Those made for a trusted host are kept apart: a link that is not trusted to reach a
    private address must not find a connection to it already open.
    """

    def __init__(self, timeout: float) -> None:
        self._timeouts = dict.fromkeys(("connect", "read", "write", "pool"), timeout)
        self._pools: dict[bool, httpcore.ConnectionPool] = {}

    def send(
        self, method: str, link: Link, headers: dict[str, str], *, trusted: bool, body: bytes | None = None
    ) -> httpcore.Response:
        """Return the answer's head; its body is to be read or closed by the caller.

        Raises
        ------
        UnsafeLink
            If an address of the host must not be contacted.
        httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError
            As `httpcore` does.
        """
        request = httpcore.Request(
            method,
            httpcore.URL(scheme=link.scheme, host=link.host, port=link.port, target=link.target),
            headers=[("Host", link.authority), *headers.items(), *_length(body)],
            content=body,
            extensions={"timeout": self._timeouts},
        )
        return self._pool(trusted).handle_request(request)

    def _pool(self, trusted: bool) -> httpcore.ConnectionPool:
        if trusted not in self._pools:
            pool = httpcore.ConnectionPool(
                ssl_context=tls_context(),
                max_connections=None,
                max_keepalive_connections=8,
                keepalive_expiry=_KEEP_ALIVE,
                network_backend=JudgedBackend(trusted=trusted),
            )
            if self._pools.setdefault(trusted, pool) is pool:
                weakref.finalize(self, pool.close)
        return self._pools[trusted]


def _length(body: bytes | None) -> list[tuple[str, str]]:
    return [] if body is None else [("Content-Length", str(len(body)))]


def _limit(timeout: float | None, error: type[httpcore.TimeoutException]) -> float | None:
    left = remaining()
    if left <= 0:
        raise error("the deadline has passed")
    if math.isinf(left):
        return timeout
    return left if timeout is None else min(timeout, left)
