"""Asking Graph: waits are kept by everybody, faults are borne, tokens go to their service alone."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID
from reading_world import Place, place
from servers.microsoft365.samples import samples

from data_platform.errors import (
    AccessDenied,
    ResyncRequired,
    SettingsError,
    SignInNeeded,
    SourceError,
    SourceNotFound,
    SourceUnavailable,
    UnsafeLink,
    UnsupportedItem,
)
from readers.microsoft365.access import as_worker
from readers.microsoft365.graph import Graph
from readers.microsoft365.refusal import refusal_of

ME = "/users?$select=id"


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    with place(tmp_path, monkeypatch) as found:
        yield found


@pytest.fixture
def graph(found: Place) -> Graph:
    return as_worker(found.settings(worker=True))


@pytest.mark.parametrize(
    "told",
    ["0.256", "1", pytest.param("", id="not said how long")],
)
def test_nobody_asks_while_told_to_wait(found: Place, graph: Graph, told: str) -> None:
    if told:
        found.server.faults.throttle("users", times=2, retry_after=told)
    else:
        found.server.faults.plan(503, "serviceNotAvailable", "users", 2)
    assert len(graph.get(ME)["value"]) == 2
    assert found.server.faults.impatient == []
    assert found.server.count("GET /v1.0/users") == 3


def test_a_date_to_wait_until_is_understood(found: Place, graph: Graph) -> None:
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True)
    found.server.faults.throttle("users", retry_after=until)
    graph.get(ME)
    assert found.server.count("GET /v1.0/users") == 2


def test_what_one_was_told_holds_for_all_of_the_application(found: Place, graph: Graph) -> None:
    graph.brake.hold(3600)
    other = as_worker(found.settings(worker=True))
    other.patience = 0.01
    with pytest.raises(SourceUnavailable, match="asks this application to wait"):
        other.get(ME)
    assert found.server.count("GET /v1.0/users") == 0
    another = found.settings(worker=True, client_id=found.world.add_application("Other", secret="x").client_id)
    assert not as_worker(another).brake.left


def test_what_is_used_up_is_waited_for_without_being_told(found: Place, graph: Graph) -> None:
    found.server.faults.replay("graph/drive_get.json", "x", RateLimit_Remaining="0", RateLimit_Reset="3600")
    graph.get("/x")
    assert graph.brake.left > 3000


@pytest.mark.parametrize("status", [500, 502, 504])
def test_faults_of_a_moment_are_borne(found: Place, graph: Graph, status: int) -> None:
    found.server.faults.plan(status, "generalException", "users", 2)
    assert len(graph.get(ME)["value"]) == 2


def test_what_may_have_been_done_is_not_done_twice(found: Place, graph: Graph) -> None:
    found.server.faults.plan(500, "generalException", "POST")
    with pytest.raises(SourceUnavailable):
        graph.send("POST", "/chats", {"chatType": "oneOnOne"})
    assert found.server.count("POST /v1.0/chats") == 1


def test_a_token_that_is_not_taken_is_renewed_once(found: Place, graph: Graph) -> None:
    graph.get(ME)
    found.server.tokens.access.clear()
    assert len(graph.get(ME)["value"]) == 2
    found.server.faults.plan(401, "InvalidAuthenticationToken", "users", 2)
    with pytest.raises(SignInNeeded):
        graph.get(ME)


def test_a_claims_challenge_is_met(found: Place, graph: Graph) -> None:
    graph.get(ME)
    found.server.challenge(found.app)
    assert len(graph.get(ME)["value"]) == 2


def test_all_pages_are_followed(found: Place, graph: Graph) -> None:
    for number in range(7):
        found.world.add_user(f"Person {number}")
    pages = list(graph.pages("/users?$select=id&$top=2"))
    assert [len(page.value) for page in pages] == [2, 2, 2, 2, 1]
    assert [bool(page.next_link) for page in pages] == [True] * 4 + [False]


def test_a_batch_answers_in_order_with_errors_in_their_places(found: Place, graph: Graph) -> None:
    users = [found.world.add_user(f"Person {number}") for number in range(23)]
    urls = [f"/users/{user.id}?$select=displayName" for user in users]
    urls[3] = "/users/00000000-0000-0000-0000-000000000000"
    found.server.faults.throttle(users[7].id, times=2, retry_after="0.2")
    found.server.faults.plan(503, "serviceNotAvailable", users[21].id, 1)
    answers = graph.batch(urls)
    assert isinstance(answers[3], SourceNotFound)
    named = [answer["displayName"] for answer in answers if isinstance(answer, dict)]
    assert named == [user.name for number, user in enumerate(users) if number != 3]
    assert found.server.count(r"POST /v1.0/\$batch") < 8


def test_a_resync_tells_where_to_begin(found: Place, graph: Graph) -> None:
    found.server.faults.plan(410, "resyncRequired", "delta", 1, Location=f"{found.server.graph_url}/users/delta?fresh")
    with pytest.raises(ResyncRequired) as caught:
        next(graph.pages("/users/delta"))
    assert caught.value.url.endswith("/users/delta?fresh")


def test_a_token_goes_to_its_service_alone(found: Place, graph: Graph) -> None:
    for url in (found.server.download_url + "/x", "https://graph.microsoft.com.evil.example/v1.0/users"):
        with pytest.raises(UnsafeLink):
            graph.get(url)
    assert found.server.downloads == []


def test_no_plain_http(found: Place) -> None:
    with pytest.raises(SettingsError, match="https"):
        as_worker(found.settings(worker=True, graph_url="http://localhost:1/v1.0"))


def test_a_wrong_secret_says_what_to_do(found: Place) -> None:
    with pytest.raises(SignInNeeded, match="makes a new one in Entra") as caught:
        as_worker(found.settings(worker=True, client_secret="another-secret")).get(ME)
    assert "another-secret" not in str(caught.value)
    with pytest.raises(SettingsError, match=r"microsoft365\.tenant"):
        as_worker(found.settings(worker=True, tenant="unheard-of.example")).get(ME)
    with pytest.raises(SettingsError, match="client_id"):
        as_worker(found.settings(worker=True, client_id="")).get(ME)


def test_no_secret_is_logged(found: Place, graph: Graph, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    graph.get(ME)
    assert found.app.secret not in caplog.text
    assert not any(token in caplog.text for token in found.server.tokens.access)


MEANT: dict[str, type[SourceError]] = {
    "graph/error_422_details.json": UnsupportedItem,
    "graph/error_429_throttled.json": SourceUnavailable,
    "graph/error_501_notimplemented.json": UnsupportedItem,
    "graph/error_invalidrange_innerError.json": SourceError,
    "graph/error_onedrive_innererror_nested.json": SourceError,
}


def test_every_body_that_the_vendor_prints(found: Place, graph: Graph) -> None:
    answers = [sample for sample in samples().values() if sample.status]
    assert len(answers) > 25
    for number, sample in enumerate(answers):
        url = f"/sample/{number}"
        found.server.faults.replay(sample.name, f"{url}$", times=99, retry_after="0.001")
        if sample.status >= 400:
            with pytest.raises(MEANT[sample.name]) as caught:
                graph.get(url)
            refusal = refusal_of(caught.value)
            assert refusal is not None
            assert (sample.name, refusal.status) == (sample.name, sample.status)
        elif sample.name.endswith(".txt"):  # not JSON, as it is printed
            with pytest.raises(SourceUnavailable, match="no proper answer"):
                graph.get(url)
        else:
            body = json.loads(sample.content)
            assert graph.get(url) == (body if isinstance(body, dict) else {"value": body})


def test_denied_is_denied(found: Place, graph: Graph) -> None:
    with pytest.raises(AccessDenied, match="administrator"):
        graph.get("/groups?$select=id")


@pytest.mark.parametrize("form", ["worker.pem", "worker.pfx"])
def test_a_worker_signs_in_with_a_certificate(found: Place, tmp_path: Path, form: str) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "worker")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - timedelta(days=1))
    certificate = builder.not_valid_after(now + timedelta(days=9)).sign(key, hashes.SHA256())
    file, password = tmp_path / form, b"canary-password"
    locked = serialization.BestAvailableEncryption(password)
    if form.endswith(".pfx"):
        file.write_bytes(pkcs12.serialize_key_and_certificates(b"worker", key, certificate, None, locked))
    else:
        pem = serialization.Encoding.PEM
        file.write_bytes(
            key.private_bytes(pem, serialization.PrivateFormat.PKCS8, locked) + certificate.public_bytes(pem)
        )
    found.app.certificates.append(certificate.public_bytes(serialization.Encoding.PEM))
    given = {"certificate": file, "certificate_password": password.decode(), "client_secret": ""}
    assert len(as_worker(found.settings(worker=True, **given)).get(ME)["value"]) == 2
    for wrong in (given | {"certificate_password": "another"}, given | {"certificate": tmp_path / "none.pem"}):
        with pytest.raises(SettingsError, match="certificate") as caught:
            as_worker(found.settings(worker=True, **wrong)).get(ME)
        assert "another" not in str(caught.value)
    found.app.certificates.clear()
    with pytest.raises(SignInNeeded):
        as_worker(found.settings(worker=True, **given)).get(ME)
