"""The servers on loopback: one for Graph, sign-in and audit, another for downloads."""

from __future__ import annotations

import json
import re
import ssl
import threading
import uuid
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import trustme

from servers.microsoft365 import (
    asking,
    audit,
    batch,
    directory_delta,
    downloads,
    drives,
    groups,
    login,
    searches,
    shares,
    subscriptions,
    users,
)
from servers.microsoft365.assertions import Keys
from servers.microsoft365.connections import Connection, Listener
from servers.microsoft365.desk import Desk
from servers.microsoft365.faults import Faults
from servers.microsoft365.links import Links
from servers.microsoft365.people import Application, User
from servers.microsoft365.tenant import Tenant
from servers.microsoft365.tokens import AUDIT, GRAPH, Tokens
from servers.microsoft365.web import Answer, Refusal, Request, dispatch
from servers.microsoft365.world import Json, stamp

_GRAPH = (
    directory_delta.routes,
    users.routes,
    groups.routes,
    shares.routes,
    drives.routes,
    batch.routes,
    subscriptions.routes,
    searches.routes,
    asking.routes,
)
_VERSION = "/v1.0"


@dataclass(frozen=True)
class Asked:
    """A request as it arrived, and how it was answered; `template` is the pattern of what it asks for."""

    method: str
    target: str
    headers: dict[str, str]
    template: str
    status: int


@lru_cache(maxsize=1)
def _authority() -> trustme.CA:
    return trustme.CA()


@dataclass
class Server:
    """What tests hold: addresses, settings for clients, faults, and what was asked for."""

    tenant: Tenant
    requests: list[Asked] = field(default_factory=list)
    downloads: list[Asked] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.tokens = Tokens(self.tenant)
        self.desk = Desk()
        self.keys = Keys()
        self.links = Links(self.tenant)
        self.faults = Faults()
        self.subscribed: dict[str, dict[str, Json]] = {}
        """Subscriptions to the audit log: by client and content type."""
        self.told_of: dict[str, set[str]] = {}
        """Blobs that webhooks were told of, by client."""
        self.subscriptions: dict[str, subscriptions.Subscription] = {}
        self.searches: dict[str, searches.Search] = {}
        self.post = asking.Post()
        self._noting = threading.Lock()

    def __enter__(self) -> Self:
        self._folder = TemporaryDirectory()
        self.ca = Path(self._folder.name) / "ca.pem"
        _authority().cert_pem.write_to_path(str(self.ca))
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        _authority().issue_cert("localhost", "127.0.0.1").configure_cert(tls)
        self._listeners = [Listener(tls, self._answer), Listener(tls, self._download)]
        self.url, self.download_url = (f"https://localhost:{listener.port}" for listener in self._listeners)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for listener in self._listeners:
            listener.close()
        self._folder.cleanup()

    @property
    def graph_url(self) -> str:
        """Where Graph is, with its version."""
        return f"{self.url}{_VERSION}"

    def settings(self, app: Application) -> dict[str, Any]:
        """Return what to give `data_platform.settings.load` so that a client comes here as `app`."""
        hosts = tuple(urlsplit(url).netloc for url in (self.url, self.download_url))
        return {
            "microsoft365": {
                "tenant": self.tenant.tenant_id,
                "client_id": app.client_id,
                "client_secret": app.secret,
                "graph_url": self.graph_url,
                "login_url": self.url,
                "audit_url": self.url,
            },
            "http": {"trusted_hosts": hosts},
        }

    def environment(self, app: Application) -> dict[str, str]:
        """Return the same as variables for a process, which trusts the certificates, too."""
        found = {"SSL_CERT_FILE": str(self.ca)}
        for section, values in self.settings(app).items():
            for name, value in values.items():
                text = value if isinstance(value, str) else json.dumps(value)
                found[f"DATA_PLATFORM_{section}__{name}".upper()] = text
        return found

    def sign_in(self, user: User | None) -> None:
        """Seat somebody at the browser: codes of devices and sign-in pages are answered as he."""
        with self.tenant.lock:
            self.desk.browser = user

    def challenge(self, who: User | Application, *, again: bool = False) -> None:
        """Take tokens that were given out so far only with the claims of a challenge, as after a policy's change.

        With `again` a person has to sign in anew for that; else the sign-in is renewed silently.
        """
        with self.tenant.lock:
            key = who.id if isinstance(who, User) else who.client_id
            self.tokens.challenged[key] = self.tenant.now()
            if again:
                self.desk.interaction[key] = 50076

    def approve(self, user_code: str, user: User) -> None:
        """Enter a device's code as somebody."""
        with self.tenant.lock:
            device = next(d for d in self.desk.devices.values() if d.user_code == user_code)
            device.user = user

    def token(self, app: Application, user: User | None = None, *permissions: str, audience: str = GRAPH) -> str:
        """Return an access token without the ceremony; without permissions it has all that were granted."""
        granted = frozenset(permissions) or (app.delegated if user else app.application)
        with self.tenant.lock:
            return self.tokens.issue(app, user, audience, granted, 0).text

    def notify(self, **altered: str) -> list[int]:
        """Send the notifications that are due, and return how each was answered; see `subscriptions.notify`."""
        return subscriptions.notify(self, **altered)

    def certificate(self, folder: Path) -> ssl.SSLContext:
        """Return TLS for a server on loopback that the stand-in, and all who trust its authority, believe."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        issued = _authority().issue_cert("localhost", "127.0.0.1")
        issued.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
        issued.configure_cert(context)
        return context

    def count(self, pattern: str) -> int:
        """Return how many requests, as ``GET /v1.0/users``, had a target that the pattern is found in."""
        with self._noting:
            return sum(1 for asked in self.requests if re.search(pattern, f"{asked.method} {asked.target}"))

    def _answer(self, connection: Connection) -> None:
        request = Request(self, connection.command, connection.path, connection.headers, connection.body())
        request.origin = f"https://{connection.headers.get('Host')}"
        answer = self.respond(request)
        asked = Asked(request.method, request.target, _lower(connection), request.template, answer.status)
        with self._noting:
            self.requests.append(asked)
            self.counts[request.template] += 1
        connection.answer(answer)

    def respond(self, request: Request) -> Answer:
        """Return the answer to a request, be it one of its own or a part of a batch."""
        request_id, now = uuid.uuid4().hex, stamp(self.tenant.now())
        try:
            answer = self._routed(request)
        except Refusal as refusal:
            answer = refusal.answer(request_id, now)
        except login.Denied as denied:
            extra: Json = {"timestamp": now, "trace_id": request_id, "correlation_id": request_id}
            answer = Answer(denied.status, {**denied.body, **extra})
        answer.headers |= request.notes
        answer.headers.setdefault("request-id", request_id)
        if known := request.headers.get("client-request-id"):
            answer.headers.setdefault("client-request-id", known)
        return answer

    def _routed(self, request: Request) -> Answer:
        path = request.path
        if path.startswith(f"{_VERSION}/"):
            if (played := self._admit(request, GRAPH)) is not None:
                return played
            return dispatch(_GRAPH, request, path.removeprefix(_VERSION))
        if path.startswith("/api/"):
            if (played := self._admit(request, AUDIT)) is not None:
                return played
            return dispatch((audit.routes,), request, path)
        return dispatch((login.routes,), request, path)

    def _admit(self, request: Request, audience: str) -> Answer | None:
        """Judge the token, have the request meet the fault that is due, and return the sample that is, if one is."""
        with self.tenant.lock:
            request.template = request.method
            request.token = self.tokens.check(request.headers.get("Authorization", ""), audience)
            self.faults.meet(request)
            return self.faults.replayed(request)

    def _download(self, connection: Connection) -> None:
        answer = downloads.answer(self, connection)
        asked = Asked(connection.command, connection.path, _lower(connection), "download", answer.status)
        with self._noting:
            self.downloads.append(asked)
        connection.answer(answer, cut=self.faults.cut(connection.path))


def _lower(connection: Connection) -> dict[str, str]:
    return {name.lower(): value for name, value in connection.headers.items()}
