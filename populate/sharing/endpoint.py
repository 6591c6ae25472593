"""The address at which the source tells us of changes: it says who it is, we answer at once and look later.

The source waits three seconds at most, and gives up on addresses that are often slower: so a
request is judged without the database, and what it tells is written down by the main thread.
Anybody can send something here, so nobody can hold more than one of a few connections, and that
for one short request only.
"""

from __future__ import annotations

import json
import logging
import re
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from data_platform.errors import SettingsError
from data_platform.settings import Settings
from populate.pipeline import bind_all
from populate.sharing.drives import lookup_all
from populate.sharing.notices import LEAST_KEY, Lifecycle, drives_told_of, lifecycle_told_of, note, note_lifecycle
from populate.work.stopping import Stop, repeat
from schemas.following import FollowedDrive

MOST_BYTES = 64 * 1024  # of a request's body
MOST_AT_ONCE = 64  # connections; who comes when there are as many is hung up on, and tries again
LONGEST_TOKEN = 4096
REQUEST_SECONDS = 10.0  # from the connection to the end of the answer, however slowly bytes come
WRITE_SECONDS = 0.2  # between two looks at what has come

_LENGTH = re.compile(r"[0-9]{1,7}")
_log = logging.getLogger(__name__)


class Endpoint:
    """Answers the source, and keeps in memory which drives it told of until they are taken."""

    def __init__(self, settings: Settings, address: str, port: int) -> None:
        self._key = settings.microsoft365.notify_key
        if len(self._key.get_secret_value()) < LEAST_KEY:
            raise SettingsError(
                f"microsoft365.notify_key has fewer than {LEAST_KEY} characters, so anybody could send notices. "
                "Set it to a long random text."
            )
        self._told: set[str] = set()
        self._events: set[Lifecycle] = set()
        self._lock = threading.Lock()
        try:
            self._server = _Server((address, port), _handler(self))
        except OSError as error:
            raise SettingsError(
                f"Nothing can listen at {address}:{port} ({error.strerror}). Name another port."
            ) from error
        self.port: int = self._server.server_address[1]

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._server.until)

    def told(self, body: object) -> None:
        """Keep in mind what a notice is about, if it is the source's."""
        drives, events = drives_told_of(body, self._key), lifecycle_told_of(body, self._key)
        with self._lock:
            self._told |= drives
            self._events |= events

    def take(self) -> set[str]:
        """Return the drives that were told of since the last time."""
        with self._lock:
            told, self._told = self._told, set()
        return told

    def take_events(self) -> set[Lifecycle]:
        """Return what became of subscriptions since the last time."""
        with self._lock:
            events, self._events = self._events, set()
        return events


class _Server(ThreadingHTTPServer):
    """Has few connections at once, and ends each in time."""

    daemon_threads = True

    def __init__(self, *given: Any) -> None:
        self.until: dict[Any, float] = {}
        self._lock = threading.Lock()
        super().__init__(*given)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        with self._lock:
            if len(self.until) >= MOST_AT_ONCE:
                return False
            self.until[request] = time.monotonic() + REQUEST_SECONDS
        return True

    def service_actions(self) -> None:
        """Break off what takes too long; called by the thread that accepts, many times a second."""
        with self._lock:
            late = [request for request, until in self.until.items() if time.monotonic() > until]
        for request in late:
            with suppress(OSError):  # it has just ended
                request.shutdown(socket.SHUT_RDWR)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        with self._lock:
            self.until.pop(request, None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say no more than what it was: no address, and nothing of what was sent."""
        error = sys.exception()
        level = logging.DEBUG if isinstance(error, OSError) else logging.WARNING
        _log.log(level, "a connection ended with %s", type(error).__name__)


def _handler(endpoint: Endpoint) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = REQUEST_SECONDS
        server_version, sys_version = "data-platform", ""

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if not (length.isascii() and length.isdigit()):
                return self._answer(411)
            if not _LENGTH.fullmatch(length) or int(length) > MOST_BYTES:
                return self._answer(413)
            body = self.rfile.read(int(length))
            if len(body) < int(length):
                return self._answer(400)
            # The handshake: whoever subscribes proves that this address answers. It is sent back as text alone.
            token = parse_qs(urlsplit(self.path).query).get("validationToken", [""])[0]
            if token:
                return self._answer(200, token.encode()) if len(token) <= LONGEST_TOKEN else self._answer(400)
            try:
                endpoint.told(json.loads(body))
            except (ValueError, RecursionError):
                return self._answer(400)
            return self._answer(202)

        def do_GET(self) -> None:
            self._answer(405)

        def _answer(self, status: int, body: bytes = b"") -> None:
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")  # one request for each, so that a connection ends in time
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            # No address, no query: what anybody sends does not belong into a log. There may be no command yet.
            _log.debug("%s", getattr(self, "command", None))

    return Handler


class Told:
    """Writes down what an endpoint was told; what could not be written waits for the next time."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._drives: set[str] = set()
        self._events: set[Lifecycle] = set()

    def write(self) -> int:
        """Write down what came since the last time, each event at the latest with the notice that it came with."""
        self._drives |= self._endpoint.take()  # first: of what comes between the two, the event waits for no notice
        self._events |= self._endpoint.take_events()
        if self._drives or self._events:
            known = {key for (key,) in lookup_all(FollowedDrive, "drive_key")}
            now = datetime.now(UTC).replace(tzinfo=None)
            note_lifecycle((one for one in self._events if one.drive_key in known), now)
            self._events.clear()
            note(self._drives & known, now)
            self._drives.clear()
        return 0


def serve_notices(settings: Settings, address: str, port: int, ready: Callable[[int], object]) -> None:
    """Take notices until SIGTERM or Ctrl-C. To be called in the main thread.

    Parameters
    ----------
    ready
        Is told the port once it answers.

    Raises
    ------
    SettingsError
        If there is no key, or nothing can listen there.
    DatabaseUnavailable
        If no connection can be had at the start; later on notices wait in memory.
    """
    with Stop.on_signals() as stop, Endpoint(settings, address, port) as endpoint:
        binding = bind_all(settings)
        told = Told(endpoint)
        ready(endpoint.port)
        repeat(
            stop, binding.ensure, told.write, lambda: False, pause=WRITE_SECONDS, longest=WRITE_SECONDS, name="endpoint"
        )
