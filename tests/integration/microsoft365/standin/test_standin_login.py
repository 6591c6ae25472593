"""MSAL itself signs in at the stand-in, by each of the ways that the product uses."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import msal
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from servers.microsoft365 import Tenant
from servers.microsoft365.browser import answered, visit
from servers.microsoft365.people import Application, User
from servers.microsoft365.server import Server
from standin_client import FORM, PATIENCE, Client, Got

SCOPES = ["https://graph.microsoft.com/Files.Read.All", "https://graph.microsoft.com/User.Read"]
DEFAULT = ["https://graph.microsoft.com/.default"]


@pytest.fixture
def tenant() -> Tenant:
    return Tenant("contoso", seed=7)


@pytest.fixture
def server(tenant: Tenant) -> Iterator[Server]:
    with tenant.serve() as running:
        running.desk.interval = 0
        yield running


@pytest.fixture
def app(tenant: Tenant) -> Application:
    return tenant.add_application("Data Platform", application="Files.Read.All User.Read.All")


@pytest.fixture
def amy(tenant: Tenant) -> User:
    return tenant.add_user("Amy Adams")


class Wire:
    """What MSAL calls for its requests."""

    def __init__(self, server: Server) -> None:
        self._client = Client(server)

    def get(self, url: str, params: dict[str, str] | None = None, **_: Any) -> Any:
        return self._answer(self._client.get(f"{url}?{urlencode(params)}" if params else url))

    def post(self, url: str, data: dict[str, str], params: Any = None, **_: Any) -> Any:
        named = {name: value for name, value in data.items() if value is not None}
        return self._answer(self._client.send("POST", url, urlencode(named).encode(), content_type=FORM))

    def close(self) -> None:
        pass

    @staticmethod
    def _answer(got: Got) -> Any:
        class Answer:
            status_code, text, headers = got.status, got.content.decode(), got.headers

            def raise_for_status(self) -> None:
                assert self.status_code < 500

        return Answer()


def public(server: Server, app: Application) -> msal.PublicClientApplication:
    return msal.PublicClientApplication(
        app.client_id,
        authority=f"{server.url}/{server.tenant.tenant_id}",
        http_client=Wire(server),
        instance_discovery=False,
    )


def confidential(server: Server, app: Application, secret: object) -> msal.ConfidentialClientApplication:
    return msal.ConfidentialClientApplication(
        app.client_id,
        client_credential=secret,
        authority=f"{server.url}/{server.tenant.tenant_id}",
        http_client=Wire(server),
        instance_discovery=False,
    )


def test_a_person_signs_in_by_device_code_and_silently_afterwards(server: Server, app: Application, amy: User) -> None:
    client = public(server, app)
    flow = client.initiate_device_flow(SCOPES)
    server.approve(flow["user_code"], amy)
    found = client.acquire_token_by_device_flow(flow)
    assert (found["id_token_claims"]["oid"], found["id_token_claims"]["preferred_username"]) == (amy.id, amy.upn)
    assert Client(server, found["access_token"]).get("/me").json["id"] == amy.id
    [account] = client.get_accounts()
    again = client.acquire_token_silent_with_error(SCOPES, account, force_refresh=True)
    assert again["access_token"] != found["access_token"]


def test_a_device_waits_until_somebody_enters_its_code(server: Server, app: Application, amy: User) -> None:
    client = public(server, app)
    flow = client.initiate_device_flow(SCOPES)
    refused = Client(server).form(
        f"/{server.tenant.tenant_id}/oauth2/v2.0/token",
        grant_type="urn:ietf:params:oauth:grant-type:device_code",
        device_code=flow["device_code"],
        client_id=app.client_id,
    )
    assert (refused.status, refused.json["error"]) == (400, "authorization_pending")
    server.sign_in(amy)
    assert client.acquire_token_by_device_flow(flow)["id_token_claims"]["oid"] == amy.id


def test_a_person_signs_in_in_the_browser(server: Server, app: Application, amy: User) -> None:
    client = public(server, app)
    server.sign_in(amy)
    flow = client.initiate_auth_code_flow(SCOPES, redirect_uri="http://localhost:1", response_mode="form_post")
    address, answer = answered(server, flow["auth_uri"])
    assert address == "http://localhost:1"
    found = client.acquire_token_by_auth_code_flow(flow, answer)
    assert found["id_token_claims"]["oid"] == amy.id


def test_msal_s_own_page_takes_the_browser_s_answer(server: Server, app: Application, amy: User) -> None:
    server.sign_in(amy)
    visited: list[threading.Thread] = []

    def show(url: str) -> None:
        visited.append(threading.Thread(target=visit, args=(server, url)))
        visited[0].start()

    found = public(server, app).acquire_token_interactive(SCOPES, auth_uri_callback=show, timeout=int(PATIENCE))
    visited[0].join()
    assert found["id_token_claims"]["oid"] == amy.id


def test_a_worker_signs_in_by_its_secret(server: Server, app: Application) -> None:
    found = confidential(server, app, app.secret).acquire_token_for_client(DEFAULT)
    assert Client(server, found["access_token"]).get("/users").status == 200
    wrong = confidential(server, app, "wrong").acquire_token_for_client(DEFAULT)
    assert wrong["error"] == "invalid_client"


def test_a_worker_signs_in_by_its_certificate(server: Server, app: Application) -> None:
    certificate, key = self_signed()
    app.secret, app.certificates = "", [certificate.encode()]
    thumbprint = x509.load_pem_x509_certificate(certificate.encode()).fingerprint(hashes.SHA256()).hex()
    secret = {"private_key": key, "thumbprint_sha256": thumbprint, "public_certificate": certificate}
    found = confidential(server, app, secret).acquire_token_for_client(DEFAULT)
    assert Client(server, found["access_token"]).get("/users").status == 200
    other = {**secret, "private_key": self_signed()[1]}
    assert confidential(server, app, other).acquire_token_for_client(DEFAULT)["error"] == "invalid_client"


def self_signed() -> tuple[str, str]:
    """Return a certificate and its key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "worker")])
    now = datetime.now(UTC)
    begun = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=2))
    made = begun.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    form, encryption = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return made.decode(), key.private_bytes(serialization.Encoding.PEM, form, encryption).decode()


def test_a_claims_challenge_is_met_by_a_token_with_its_claims(server: Server, app: Application, amy: User) -> None:
    client = public(server, app)
    server.sign_in(amy)
    found = client.acquire_token_by_device_flow(client.initiate_device_flow(SCOPES))
    [account] = client.get_accounts()
    assert Client(server, found["access_token"]).get("/me").status == 200
    server.challenge(amy)
    refused = Client(server, found["access_token"]).get("/me")
    assert refused.status == 401
    claims = base64.b64decode(refused.headers["www-authenticate"].rpartition('claims="')[2].rstrip('"')).decode()
    plain = client.acquire_token_silent_with_error(SCOPES, account, force_refresh=True)
    assert Client(server, plain["access_token"]).get("/me").status == 401
    met = client.acquire_token_silent_with_error(SCOPES, account, claims_challenge=claims)
    assert Client(server, met["access_token"]).get("/me").status == 200


def test_sessions_end(tenant: Tenant, server: Server, app: Application, amy: User) -> None:
    server.sign_in(amy)
    # MSAL asks no server again soon after a refusal, so what it would ask is asked here.
    found = public(server, app).acquire_token_by_device_flow(public(server, app).initiate_device_flow(SCOPES))
    refresh = found["refresh_token"]

    def number() -> int:
        fields = {"grant_type": "refresh_token", "refresh_token": refresh, "client_id": app.client_id}
        refused = Client(server).form(f"/{tenant.tenant_id}/oauth2/v2.0/token", **fields)
        assert (refused.status, refused.json["error"]) == (400, "invalid_grant")
        return int(refused.json["error_codes"][0])

    server.desk.interaction[amy.id] = 50076
    assert number() == 50076
    tenant.disable(amy)
    assert number() == 50057
    tenant.enable(amy)
    server.desk.interaction.clear()
    tenant.advance(days=91)
    assert number() == 700082
    server.tokens.revoke(amy)
    assert number() == 50173


def test_discovery_is_for_the_tenants_that_there_are(server: Server) -> None:
    known = Client(server).get(f"{server.url}/{server.tenant.tenant_id}/v2.0/.well-known/openid-configuration")
    assert json.loads(known.content)["token_endpoint"].startswith(server.url)
    unknown = Client(server).get(f"{server.url}/other/v2.0/.well-known/openid-configuration")
    assert (unknown.status, unknown.json["error"]) == (400, "invalid_tenant")
