"""The stand-in's notifications: the handshake, who is told, and what a subscription may be."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from servers.microsoft365 import Tenant
from servers.microsoft365.people import Application, User
from servers.microsoft365.server import Server
from servers.microsoft365.tokens import AUDIT
from servers.microsoft365.world import stamp
from standin_client import Client


class Endpoint(ThreadingHTTPServer):
    """Somebody who is told."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.told: list[Any] = []
        self.status = 202
        self.answers = True

    @property
    def url(self) -> str:
        return f"https://localhost:{self.server_address[1]}/notices"


class _Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        token = parse_qs(urlsplit(self.path).query).get("validationToken")
        if token is not None or self.headers.get("Webhook-ValidationCode"):
            self.send_response(200)
            answer = (token[0] if token else "").encode() if self.server.answers else b"what?"
        else:
            self.server.told.append(json.loads(content))
            self.send_response(self.server.status)
            answer = b""
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def app(tenant: Tenant) -> Application:
    return tenant.add_application("Data Platform", application="Files.Read.All User.Read.All ActivityFeed.Read")


@pytest.fixture
def amy(tenant: Tenant) -> User:
    return tenant.add_user("Amy Adams")


@pytest.fixture
def endpoint(server: Server, tmp_path: Path) -> Iterator[Endpoint]:
    found = Endpoint()
    found.socket = server.certificate(tmp_path).wrap_socket(found.socket, server_side=True)
    thread = threading.Thread(target=found.serve_forever, args=(0.05,))
    thread.start()
    yield found
    found.shutdown()
    thread.join()
    found.server_close()


def wanted(tenant: Tenant, resource: str, url: str, **more: object) -> dict[str, object]:
    expires = stamp(tenant.now() + timedelta(days=2))
    return {
        "changeType": "updated",
        "notificationUrl": url,
        "resource": resource,
        "expirationDateTime": expires,
        "clientState": "secret",
        **more,
    }


def test_a_subscriber_is_told_that_a_drive_changed(
    tenant: Tenant, server: Server, app: Application, amy: User, endpoint: Endpoint
) -> None:
    drive = tenant.add_drive(amy)
    item = tenant.upload(drive, "results.csv", b"x", amy)
    client = Client(server, server.token(app))
    made = client.post("/subscriptions", wanted(tenant, f"/drives/{drive.id}/root", endpoint.url))
    assert made.status == 201, made.content
    assert server.notify() == []
    tenant.link(item, amy)
    assert server.notify() == []
    tenant.edit(item, b"y", amy)
    endpoint.status = 503
    assert server.notify() == [503]
    endpoint.status = 202
    assert server.notify() == [202]
    assert server.notify() == []
    [notice] = endpoint.told[-1]["value"]
    assert (notice["subscriptionId"], notice["clientState"]) == (made.json["id"], "secret")
    target = f"/subscriptions/{made.json['id']}"
    later = {"expirationDateTime": stamp(tenant.now() + timedelta(days=20))}
    renewed = client.send("PATCH", target, json.dumps(later).encode(), content_type="application/json")
    assert renewed.json["expirationDateTime"] == later["expirationDateTime"]
    assert client.send("DELETE", target).status == 204
    assert client.get(target).status == 404


def test_changes_of_permissions_are_told_to_those_who_ask_for_them(
    tenant: Tenant, server: Server, app: Application, amy: User, endpoint: Endpoint
) -> None:
    drive = tenant.add_drive(amy)
    item = tenant.upload(drive, "results.csv", b"x", amy)
    body = wanted(tenant, f"/drives/{drive.id}/root", endpoint.url)
    Client(server, server.token(app)).post("/subscriptions", body, prefer="includesecuritywebhooks")
    tenant.link(item, amy)
    assert server.notify() == [202]


def test_subscriptions_are_judged(
    tenant: Tenant, server: Server, app: Application, amy: User, endpoint: Endpoint
) -> None:
    resource = f"/drives/{tenant.add_drive(amy).id}/root"
    client = Client(server, server.token(app))
    good = wanted(tenant, resource, endpoint.url)
    wrong = [
        {"changeType": "created"},
        {"notificationUrl": endpoint.url.replace("https", "http")},
        {"resource": "/me/messages"},
        {"expirationDateTime": stamp(tenant.now() + timedelta(days=31))},
        {"clientState": "x" * 129},
        {"notificationUrl": "https://localhost:1/nobody"},
    ]
    assert [client.post("/subscriptions", good | one).status for one in wrong] == [400] * len(wrong)
    endpoint.answers = False
    assert client.post("/subscriptions", good).code == "ValidationError"


def test_a_webhook_of_the_audit_log_is_told_of_blobs(
    tenant: Tenant, server: Server, app: Application, amy: User, endpoint: Endpoint
) -> None:
    client = Client(server, server.token(app, None, "ActivityFeed.Read", audience=AUDIT))
    root = f"{server.url}/api/v1.0/{tenant.tenant_id}/activity/feed"
    query = "contentType=Audit.SharePoint&PublisherIdentifier=0b9d6b9e-6f1a-4d3c-8a52-2f7f5a1c9e10"
    begun = client.post(f"{root}/subscriptions/start?{query}", {"webhook": {"address": endpoint.url}})
    assert begun.json["webhook"]["status"] == "enabled"
    tenant.upload(tenant.add_drive(amy), "results.csv", b"x", amy)
    endpoint.status = 200
    assert server.notify() == [200]
    assert server.notify() == []
    assert endpoint.told[-1][0]["contentType"] == "Audit.SharePoint"
