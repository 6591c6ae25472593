"""A small HTTP server that tells of a service: ``/metrics``, ``/healthz`` and ``/readyz``.

``/healthz`` says that the process answers. ``/readyz`` looks whether the database and, for a
worker, the content store can be reached and whether the last round of work ended recently,
and is 503 if not. Nothing that it says is secret, and it changes nothing; all the same it
listens on loopback unless told otherwise.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from data_platform.errors import SettingsError, StoreUnavailable
from data_platform.redact import redact_text
from data_platform.settings import MonitorSettings, Settings
from populate.store import Store, object_name_of, open_store
from populate.store.folder import FolderStore

ANSWER_SECONDS = 10.0
"""Whatever does not answer within this is not ready."""

REQUEST_SECONDS = 30.0
_log = logging.getLogger(__name__)
_NOWHERE = object_name_of("0" * 64)

Look = Callable[[], object]
"""Looks at something that has to work; raises if it does not."""


class Health:
    """Whether a service can do its work.

    Parameters
    ----------
    looks
        What has to work, by name.
    stale_seconds
        Age of the last round of work from which on the service is not ready.
    """

    def __init__(self, looks: Mapping[str, Look], stale_seconds: float) -> None:
        self._looks = {name: _Watched(look) for name, look in looks.items()}
        self._stale_seconds = stale_seconds
        self._beat: float | None = None

    def beat(self) -> None:
        """Note that a round of work ended."""
        self._beat = time.monotonic()

    @property
    def age(self) -> float | None:
        """Seconds since the last round of work ended; None before the first has."""
        return None if self._beat is None else time.monotonic() - self._beat

    def ready(self) -> tuple[bool, dict[str, str]]:
        """Return whether the service can do its work, and for each part ``ok`` or what is wrong."""
        for watched in self._looks.values():
            watched.start()
        deadline = time.monotonic() + ANSWER_SECONDS
        parts = {name: watched.answer(deadline) for name, watched in self._looks.items()}
        parts["work"] = self._work()
        return all(part == "ok" for part in parts.values()), parts

    def _work(self) -> str:
        age = self.age
        if age is None:
            return "it has not begun yet"
        return "ok" if age <= self._stale_seconds else f"the last round of work ended {age:.0f} seconds ago"


class _Watched:
    """A look that may hang: it is taken in a thread of its own, one at a time."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None
        self._said = ""

    def start(self) -> None:
        with self._guard:
            if self._thread is None or not self._thread.is_alive():
                self._said = ""
                self._thread = threading.Thread(target=self._take, daemon=True)
                self._thread.start()

    def answer(self, deadline: float) -> str:
        assert self._thread is not None
        self._thread.join(max(0.0, deadline - time.monotonic()))
        return self._said or f"no answer within {ANSWER_SECONDS:.0f} seconds"

    def _take(self) -> None:
        try:
            self._look()
        except Exception as error:
            self._said = redact_text(f"{type(error).__name__}: {' '.join(str(error).split())}")
        else:
            self._said = "ok"


def store_look(settings: Settings) -> Look:
    """Return a look at the content store."""
    opened: list[Store] = []

    def look() -> None:
        if not opened:
            opened.append(open_store(settings))
        store = opened[0]
        folder = getattr(store, "inner", store)  # of a sealed store
        if isinstance(folder, FolderStore) and not os.access(folder.incoming, os.W_OK):
            raise StoreUnavailable(f"{folder.root} cannot be written. Check the disk, the mount and the permissions.")
        store.size(_NOWHERE)

    return look


class Monitor:
    """Serves health and metrics from a thread, as a context manager; without a port it serves nothing.

    Parameters
    ----------
    settings
        Where to listen.
    registry
        The metrics.
    """

    def __init__(self, settings: MonitorSettings, health: Health, registry: CollectorRegistry) -> None:
        self._settings = settings
        self.health = health
        self.registry = registry
        self._server: ThreadingHTTPServer | None = None

    def __enter__(self) -> Self:
        if not self._settings.port:
            return self
        try:
            self._server = _Server((self._settings.host, self._settings.port), _handler(self))
        except OSError as error:
            raise SettingsError(
                f"Nothing can listen at {self._settings.host}:{self._settings.port} ({os.strerror(error.errno or 0)}). "
                "Set monitor.host and monitor.port to an address of this machine that is free."
            ) from error
        threading.Thread(target=self._server.serve_forever, args=(0.2,), name="monitor", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def answer(self, path: str, accepts: str) -> tuple[int, str, bytes]:
        """Return status, type and body for a path."""
        if path == "/healthz":
            return 200, "text/plain; charset=utf-8", b"ok\n"
        if path == "/readyz":
            ready, parts = self.health.ready()
            return 200 if ready else 503, "application/json", json.dumps({"ready": ready, **parts}).encode() + b"\n"
        if path == "/metrics":
            encode, kind = choose_encoder(accepts)
            return 200, kind, encode(self.registry)
        return 404, "text/plain; charset=utf-8", b"There are /metrics, /healthz and /readyz.\n"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False


def _handler(monitor: Monitor) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = REQUEST_SECONDS
        server_version = "data-platform"
        sys_version = ""

        def do_GET(self) -> None:
            try:
                status, kind, body = monitor.answer(self.path.partition("?")[0], self.headers.get("Accept", ""))
            except Exception as error:
                _log.warning("A request to the monitor failed: %s: %s", type(error).__name__, error)
                status, kind, body = 500, "text/plain; charset=utf-8", b"The log says what is wrong.\n"
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: Any) -> None:
            _log.debug(format, *arguments)

    return Handler
