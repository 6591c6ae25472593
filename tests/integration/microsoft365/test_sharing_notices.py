"""Notices of changes: only the source can send them, they are answered at once, and only their drives are asked."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from typing import TypeVar

import pytest
from pydantic import SecretStr
from servers.microsoft365.subscriptions import Subscription, notify, tell_of_lifecycle
from sharing_world import Company, company, noted_grants, real_grants
from waiting import wait_until

from data_platform.errors import SettingsError
from data_platform.settings import Settings, load
from populate.sharing import endpoint as serving
from populate.sharing.drives import Following
from populate.sharing.endpoint import MOST_BYTES, Endpoint, Told
from populate.sharing.notices import Lifecycle, client_state, has_notices, note, note_lifecycle, pending
from populate.sharing.progress import Silent
from populate.sharing.subscriptions import Subscriptions
from populate.sharing.sync import Synced, sync_sharing
from readers.microsoft365.access import as_worker
from schemas.binding import Binding
from schemas.following import ChangeSubscription, ChangeSubscriptionEvent, ChangeSubscriptionTerm
from schemas.sharing import Permission

T = TypeVar("T")
KEY = "k" * 40
DRIVE = "0123456789abcdef" * 2


@pytest.fixture
def backend() -> str:
    """Return the kind of database. What is told, and how, does not depend on it."""
    return "postgresql"


@pytest.fixture
def firm(binding: Binding, monkeypatch: pytest.MonkeyPatch) -> Iterator[Company]:
    with company(monkeypatch) as found:
        found.world.quirks.plain_notifications = True
        yield found


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with opened() as found:
        yield found


def ask(endpoint: Endpoint, target: str, body: bytes = b"", method: str = "POST") -> tuple[int, str, bytes]:
    connection = HTTPConnection("127.0.0.1", endpoint.port, timeout=60)
    try:
        connection.request(method, target, body)
        answer = connection.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.read()
    finally:
        connection.close()


def opened() -> Endpoint:
    return Endpoint(load(microsoft365={"notify_key": KEY}), "127.0.0.1", 0)


def connected(endpoint: Endpoint, said: bytes) -> socket.socket:
    """Return a connection on which something was said already."""
    connection = socket.create_connection(("127.0.0.1", endpoint.port), timeout=60)
    connection.sendall(said)
    return connection


def received(connection: socket.socket) -> bytes:
    """Return what comes until the connection ends, be it with what was sent unread."""
    found = b""
    with suppress(ConnectionError):
        while piece := connection.recv(4096):
            found += piece
    return found


def dribbled(connection: socket.socket) -> bytes:
    """Send a byte now and then, and return what comes when that is not borne any more."""
    connection.settimeout(0.05)  # far less than a pause that would end it
    for _ in range(1200):
        with suppress(TimeoutError):
            try:
                connection.sendall(b"x")
                return connection.recv(100)
            except ConnectionError:
                return b""
    pytest.fail("a request may take for ever")


def notice(state: object) -> bytes:
    return json.dumps({"value": [{"subscriptionId": "x", "clientState": state, "resource": "drives/x/root"}]}).encode()


def test_the_handshake_is_answered_with_the_token_decoded_and_as_text(endpoint: Endpoint) -> None:
    status, kind, body = ask(endpoint, "/notices?validationToken=Validation%3A+%3Cb%3Ex%3C%2Fb%3E")
    assert (status, body) == (200, b"Validation: <b>x</b>")
    assert kind.startswith("text/plain")
    assert ask(endpoint, f"/notices?validationToken={'x' * 5000}")[0] == 400
    assert endpoint.take() == set()


def test_only_who_knows_the_client_state_is_believed(endpoint: Endpoint) -> None:
    good = client_state(SecretStr(KEY), DRIVE)
    forged = [client_state(SecretStr("other" * 10), DRIVE), f"{'f' * 32}.{good.partition('.')[2]}", "", None, 7, "é.x"]
    for state in forged:
        assert ask(endpoint, "/", notice(state))[0] == 202
    assert endpoint.take() == set()
    assert ask(endpoint, "/", notice(good))[0] == 202
    assert endpoint.take() == {DRIVE}
    assert endpoint.take() == set()


def test_what_is_no_notice_is_refused(endpoint: Endpoint) -> None:
    assert ask(endpoint, "/", b"{")[0] == 400
    assert ask(endpoint, "/", b"[" * 60_000)[0] == 400
    assert ask(endpoint, "/", b"[]")[0] == 202
    assert ask(endpoint, "/", method="GET")[0] == 405
    assert ask(endpoint, "/", b" " * MOST_BYTES)[0] == 400


@pytest.mark.parametrize(
    ("length", "status"),
    [(str(MOST_BYTES + 1), 413), ("9" * 5000, 413), ("00000001", 413), ("\u00b2", 411), ("-1", 411), ("1_0", 411)],
)
def test_a_length_is_a_few_digits(endpoint: Endpoint, length: str, status: int) -> None:
    with connected(endpoint, f"POST / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n".encode("latin-1")) as connection:
        assert received(connection).startswith(f"HTTP/1.1 {status} ".encode())


def test_a_request_ends_in_time_however_slowly_it_comes(home: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "REQUEST_SECONDS", 1.0)
    with opened() as endpoint, connected(endpoint, b"POST / HTTP/1.1\r\nX: ") as connection:
        assert dribbled(connection) == b""
        wait_until(lambda: endpoint.connections == 0)


def test_there_are_few_connections_at_once(home: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "MOST_AT_ONCE", 2)
    monkeypatch.setattr(serving, "REQUEST_SECONDS", 600.0)
    with opened() as endpoint:
        with connected(endpoint, b"P"), connected(endpoint, b"P"):
            wait_until(lambda: endpoint.connections == 2)
            with connected(endpoint, b"") as third:
                assert received(third) == b""
        wait_until(lambda: endpoint.connections == 0)
        assert ask(endpoint, "/", b"[]")[0] == 202


def test_what_goes_wrong_is_told_without_who_it_was(endpoint: Endpoint, capfd: pytest.CaptureFixture[str]) -> None:
    with connected(endpoint, b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n") as connection:
        wait_until(lambda: endpoint.connections == 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # ends with a reset
    wait_until(lambda: endpoint.connections == 0)
    with connected(endpoint, b"x" * 70_000) as connection:  # before there is any method
        received(connection)
    wait_until(lambda: endpoint.connections == 0)
    told = capfd.readouterr().err
    assert "Traceback" not in told
    assert "127.0.0.1" not in told


def test_without_a_long_key_nothing_is_served(home: object) -> None:
    with pytest.raises(SettingsError, match="notify_key"):
        Endpoint(load(microsoft365={"notify_key": "short"}), "127.0.0.1", 0)


def with_notices(firm: Company, endpoint: Endpoint) -> Settings:
    given = firm.server.settings(firm.app)
    given["microsoft365"] |= {"notify_url": f"http://127.0.0.1:{endpoint.port}/notices", "notify_key": KEY}
    return load(**given)


def test_a_notice_has_its_drive_asked_and_no_other(binding: Binding, firm: Company, endpoint: Endpoint) -> None:
    amy, bob = firm.world.add_user("Amy Ade"), firm.world.add_user("Bob Bell")
    files = [firm.world.upload(firm.world.add_drive(user), "a.csv", b"a", user) for user in (amy, bob)]
    for file in files:
        firm.read(binding, file, bob)
    settings = with_notices(firm, endpoint)
    assert sync_sharing(binding, settings, progress=Silent()).refused == {}
    assert len(ChangeSubscription()) == 2
    sync_sharing(binding, settings, progress=Silent())
    assert len(ChangeSubscriptionTerm()) == 2  # nothing is asked for again before it is due

    grants = len(Permission())
    firm.world.share(files[0], amy, bob)  # a change of permissions alone
    assert notify(firm.server, clientState="forged") == [202]
    assert endpoint.take() == set()
    firm.world.share(files[0], amy, firm.world.add_user("Colin Cole"))
    assert notify(firm.server) == [202]
    note(endpoint.take(), datetime(2026, 5, 4, 8))
    assert has_notices(binding)
    asked = firm.server.count("root/delta")
    done = sync_sharing(binding, settings, noticed=True, progress=Silent())
    assert (done.drives, firm.server.count("root/delta") - asked) == (1, 1)
    assert len(Permission()) == grants + 2
    assert pending(binding) == {}
    assert sync_sharing(binding, settings, noticed=True, progress=Silent()).drives == 0


def test_what_becomes_of_a_subscription_is_answered_at_once(
    binding: Binding, firm: Company, endpoint: Endpoint
) -> None:
    amy, bob = firm.world.add_user("Amy Ade"), firm.world.add_user("Bob Bell")
    file = firm.world.upload(firm.world.add_drive(amy), "a.csv", b"a", amy)
    key = firm.read(binding, file, bob)
    settings = with_notices(firm, endpoint)
    sync_sharing(binding, settings, progress=Silent())

    def subscription() -> Subscription:
        (found,) = firm.server.subscriptions.values()
        return found

    def answered(event: str) -> Synced:
        """Share the file, let that happen instead of a notice, and do what the process and the scheduler would."""
        firm.world.share(file, amy, firm.world.add_user(f"Person {event}"))
        assert tell_of_lifecycle(firm.server, subscription(), event) == 202
        assert notify(firm.server) == []
        now = datetime.now(UTC).replace(tzinfo=None)
        note_lifecycle(endpoint.take_events(), now)
        note(endpoint.take(), now)
        done = sync_sharing(binding, settings, noticed=True, progress=Silent())
        assert noted_grants([key]) == {key: real_grants(firm, file)}
        return done

    first, asked = subscription().id, firm.server.count("/v1.0/subscriptions")
    assert answered("missed").refused == {}
    assert firm.server.count("/v1.0/subscriptions") == asked  # it goes on by itself
    assert answered("reauthorizationRequired").refused == {}
    assert (subscription().id, subscription().paused) == (first, False)
    assert (len(ChangeSubscription()), len(ChangeSubscriptionTerm())) == (1, 2)
    assert answered("subscriptionRemoved").refused == {}
    assert subscription().id != first
    asked = firm.server.count("/v1.0/subscriptions")
    sync_sharing(binding, settings, progress=Silent())
    assert firm.server.count("/v1.0/subscriptions") == asked
    events = len(ChangeSubscriptionEvent())
    told = Told(ToldBetween(firm, endpoint, subscription()))
    told.write()
    told.write()
    assert len(ChangeSubscriptionEvent()) == events + 1  # though nothing is told any more
    assert has_notices(binding)
    sync_sharing(binding, settings, noticed=True, progress=Silent())
    firm.world.share(file, amy, firm.world.add_user("Colin Cole"))
    assert notify(firm.server) == [202]

    endpoint.take()
    subscription().body["clientState"] = "forged"
    assert tell_of_lifecycle(firm.server, subscription(), "subscriptionRemoved") == 202
    assert (endpoint.take(), endpoint.take_events()) == (set(), set())


class ToldBetween(Endpoint):
    """Another endpoint, told that a subscription was removed when half of what it knows was taken, and never again."""

    def __init__(self, firm: Company, endpoint: Endpoint, subscription: Subscription) -> None:
        self._tell = [lambda: tell_of_lifecycle(firm.server, subscription, "subscriptionRemoved")]
        self._of = endpoint

    def take(self) -> set[str]:
        return self._then(self._of.take())

    def take_events(self) -> set[Lifecycle]:
        return self._then(self._of.take_events())

    def _then(self, taken: set[T]) -> set[T]:
        while self._tell:
            assert self._tell.pop()() == 202
        return taken


def test_subscriptions_are_prolonged_before_they_end_and_made_anew_after(
    binding: Binding, firm: Company, endpoint: Endpoint
) -> None:
    amy, bob = firm.world.add_user("Amy Ade"), firm.world.add_user("Bob Bell")
    firm.read(binding, firm.world.upload(firm.world.add_drive(amy), "a.csv", b"a", amy), bob)
    settings = with_notices(firm, endpoint)
    sync_sharing(binding, settings, progress=Silent())
    now = datetime.now(UTC).replace(tzinfo=None)
    graph = as_worker(settings)
    drives = Following(graph, binding, firm.realm, (), now).drives()
    firm.world.advance(days=25)
    assert Subscriptions(graph, settings.microsoft365, now + timedelta(days=25)).keep(drives) == 1
    assert (len(ChangeSubscription()), len(ChangeSubscriptionTerm())) == (1, 2)
    firm.world.advance(days=40)
    assert Subscriptions(graph, settings.microsoft365, now + timedelta(days=65)).keep(drives) == 1
    assert (len(ChangeSubscription()), len(ChangeSubscriptionTerm())) == (2, 3)


def test_where_the_source_cannot_reach_us_it_is_asked(binding: Binding, firm: Company, endpoint: Endpoint) -> None:
    amy, bob = firm.world.add_user("Amy Ade"), firm.world.add_user("Bob Bell")
    firm.read(binding, firm.world.upload(firm.world.add_drive(amy), "a.csv", b"a", amy), bob)
    given = firm.server.settings(firm.app)
    given["microsoft365"] |= {"notify_url": "http://127.0.0.1:9/notices", "notify_key": KEY}
    done = sync_sharing(binding, load(**given), progress=Silent())
    assert (done.drives, set(done.refused)) == (1, {"notices"})
