"""Connections to a database server are encrypted to the right server, or are not made."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest
from certificates import Authority

from data_platform.errors import DatabaseUnavailable
from data_platform.settings import Settings, load
from schemas.binding import bind, unbind
from schemas.drivers import target
from schemas.embedded import EmbeddedServer
from schemas.postmaster import Address

_TLS_REQUEST = struct.pack("!ii", 8, 80877103)


class Gate:
    """A TCP door to PostgreSQL's socket, which ends TLS as a pooler in front of a server does.

    Without a context it declines TLS, as a server does that has none.
    """

    def __init__(self, address: Address, context: ssl.SSLContext | None) -> None:
        self.seen: list[str] = []
        self._address, self._context = address, context
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):  # closed
            while True:
                threading.Thread(target=self._answer, args=(self._listening.accept()[0],), daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        with ExitStack() as stack, suppress(OSError):
            stack.callback(client.close)
            client.settimeout(120)
            first = client.recv(8, socket.MSG_WAITALL)
            self.seen.append("tls" if first == _TLS_REQUEST else "plain")
            if first == _TLS_REQUEST:
                client.sendall(b"S" if self._context else b"N")
                if self._context is None:
                    return
                client = stack.enter_context(self._context.wrap_socket(client, server_side=True))
                self.seen.append(str(client.version()))
                first = b""
            server = stack.enter_context(socket.socket(socket.AF_UNIX))
            server.connect(f"{self._address.host}/.s.PGSQL.{self._address.port}")
            server.sendall(first)
            back = threading.Thread(target=_copy, args=(server, client), daemon=True)
            back.start()
            _copy(client, server)
            back.join()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with suppress(OSError):
        socket.socket.shutdown(sink, socket.SHUT_WR)  # that of TLS would pull its object from under the other thread


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def address(server: EmbeddedServer, home: Path) -> Iterator[Address]:
    yield server.start()
    unbind()


def _settings(gate: Gate, address: Address, home: Path, **changes: object) -> Settings:
    database = {
        "backend": "postgresql",
        "host": "127.0.0.1",
        "port": gate.port,
        "user": address.user,
        "password": address.password,
        "name": address.database,
        **changes,
    }
    return load(home=home, database=database)


def test_a_server_with_the_right_certificate_is_spoken_to_in_secret(
    address: Address, home: Path, authority: Authority
) -> None:
    with closing(Gate(address, authority.server_side("127.0.0.1"))) as gate:
        binding = bind(_settings(gate, address, home, tls_ca=str(authority.path)), schemas=())
        assert binding.connection.query("SELECT 1").fetchone() == (1,)
        assert gate.seen == ["tls", "TLSv1.3"]


def test_another_authority_or_name_is_refused(
    address: Address, home: Path, authority: Authority, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for context, trusted in (
        (Authority(other).server_side("127.0.0.1"), authority.path),
        (authority.server_side("127.0.0.2"), authority.path),
    ):
        with closing(Gate(address, context)) as gate:
            with pytest.raises(DatabaseUnavailable, match="certificate"):
                bind(_settings(gate, address, home, tls_ca=str(trusted)), schemas=())
            assert gate.seen[0] == "tls"
            assert "plain" not in gate.seen


def test_a_server_without_tls_is_not_spoken_to_in_the_clear(address: Address, home: Path, authority: Authority) -> None:
    with closing(Gate(address, None)) as gate:
        with pytest.raises(DatabaseUnavailable, match="SSL"):
            bind(_settings(gate, address, home, tls_ca=str(authority.path)), schemas=())
        assert gate.seen == ["tls"]


def test_tls_can_be_switched_off_and_is_off_on_loopback(address: Address, home: Path, authority: Authority) -> None:
    for changes in ({}, {"tls": False, "tls_ca": str(authority.path)}):
        with closing(Gate(address, None)) as gate:
            bind(_settings(gate, address, home, **changes), schemas=())
            assert gate.seen == ["plain"]
            unbind()


def test_a_missing_file_of_certificates_is_told(address: Address, home: Path, authority: Authority) -> None:
    for backend in ("postgresql", "mysql"):
        with closing(Gate(address, authority.server_side("127.0.0.1"))) as gate:
            settings = _settings(gate, address, home, backend=backend, tls_ca=str(home / "nothing.pem"))
            with pytest.raises(DatabaseUnavailable):
                bind(settings, schemas=())
            assert "TLSv1.3" not in gate.seen


@pytest.mark.parametrize(
    ("host", "tls", "secured"),
    [
        ("db.example.org", True, True),
        ("db.example.org", False, False),
        ("10.1.2.3", True, True),
        ("0.0.0.0", True, True),
        ("localhost.example.org", True, True),
        ("localhost", True, False),
        ("127.0.0.1", True, False),
        ("127.8.8.8", True, False),
        ("::1", True, False),
        ("/run/postgresql", True, False),
    ],
)
@pytest.mark.parametrize("backend", ["postgresql", "mysql"])
def test_only_connections_that_stay_on_the_machine_are_plain(
    home: Path, backend: str, host: str, tls: bool, secured: bool
) -> None:
    found = target(load(home=home, database={"backend": backend, "host": host, "tls": tls}).database)
    assert (found.authority is not None) == secured
    if found.authority:
        assert found.authority.is_file()
