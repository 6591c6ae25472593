"""Links and redirects that try to reach this machine, a private network or a metadata service.

Two witnesses watch: an audit hook sees every attempt to connect, and a canary that listens on
every local address counts who got through. Both are shown to work by a trusted link.
The number of links of the grammar is `HOSTILE_LINKS`, 300 unless the environment says otherwise;
a third of it are redirects.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority
from hypothesis import given, settings
from hypothesis import strategies as st
from source_contract import fetch
from web_server import Page, WebServer, web_server

from data_platform.errors import DataPlatformError, UnknownSource, UnsafeLink
from data_platform.settings import HttpSettings, Settings
from readers import addresses
from readers.addresses import Link
from readers.http import HttpSource
from readers.source import Revision
from readers.transport import tls_context

LINKS = int(os.environ.get("HOSTILE_LINKS", "300"))
_attempts: list[Any] = []


def _note(event: str, args: tuple[Any, ...]) -> None:
    if event == "socket.connect":
        _attempts.append(args[1])


sys.addaudithook(_note)  # cannot be taken off again; it only appends


class Canary:
    """Listens on every local address and counts who connects."""

    def __init__(self) -> None:
        self.hits = 0
        self._listeners = [socket.create_server(("0.0.0.0", 0))]
        self.port = self._listeners[0].getsockname()[1]
        if socket.has_ipv6:
            with suppress(OSError):  # a machine without IPv6 has no such address to be reached
                self._listeners.append(socket.create_server(("::", self.port), family=socket.AF_INET6))
        self._threads = [threading.Thread(target=self._count, args=(each,)) for each in self._listeners]
        for thread in self._threads:
            thread.start()

    def _count(self, listener: socket.socket) -> None:
        while True:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(30)
                if connection.recv(4) == b"stop":
                    return
                self.hits += 1

    def close(self) -> None:
        for listener in self._listeners:
            family, address = listener.family, "127.0.0.1" if listener.family == socket.AF_INET else "::1"
            with socket.socket(family, socket.SOCK_STREAM) as last:
                last.connect((address, self.port))
                last.sendall(b"stop")
        for thread in self._threads:
            thread.join()
        for listener in self._listeners:
            listener.close()


@pytest.fixture(scope="module")
def canary() -> Iterator[Canary]:
    canary = Canary()
    yield canary
    canary.close()


Names = dict[str, list[list[str]]]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """A name service of our own: what each name answers, one entry a question, the last one for ever."""
    known: Names = {}
    real: Callable[..., Any] = socket.getaddrinfo

    def answer(host: str, port: int, *args: Any, **hints: Any) -> Any:
        try:
            ipaddress.ip_address(host)
        except ValueError:
            if host == "localhost":
                return real(host, port, *args, **hints)
            if host not in known:
                raise socket.gaierror(socket.EAI_NONAME, "unknown") from None
            answers = known[host]
            found = answers.pop(0) if len(answers) > 1 else answers[0]
            return [entry for each in found for entry in real(each, port, *args, **hints)]
        return real(host, port, *args, **hints)

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    return known


def refused(source: HttpSource, url: str) -> None:
    """See a link refused without any attempt to connect."""
    _attempts.clear()
    with pytest.raises((UnsafeLink, UnknownSource)):
        source.resolve(url)
    with suppress(UnsafeLink, UnknownSource):  # and so is what the worker would fetch, if it could be named at all
        link = Link.parse(url)
        item = source.reopen(f"{link.scheme}/{link.authority}", link.url)
        with pytest.raises(UnsafeLink):
            source.download(item, Revision("x"), lambda piece: None)
    assert _attempts == []


def is_alive(canary: Canary) -> bool:
    """Show that both witnesses would have noticed: a trusted link reaches the canary."""
    trusting = HttpSource(Settings(http=HttpSettings(trusted_hosts=(f"127.0.0.1:{canary.port}",))))
    before = canary.hits
    _attempts.clear()
    with pytest.raises(DataPlatformError):
        trusting.resolve(f"http://127.0.0.1:{canary.port}/")
    return canary.hits > before and ("127.0.0.1", canary.port) in _attempts


HOSTILE = [
    "https://127.0.0.1:{port}/",
    "http://127.0.0.1:{port}/",
    "https://127.8.9.10:{port}/",
    "https://localhost:{port}/",
    "https://LocalHost:{port}/",
    "https://localhost.:{port}/",
    "https://0.0.0.0:{port}/",
    "https://0:{port}/",
    "https://127.1:{port}/",
    "https://127.0.1:{port}/",
    "https://2130706433:{port}/",
    "https://0x7f000001:{port}/",
    "https://0x7f.0x0.0x0.0x1:{port}/",
    "https://017700000001:{port}/",
    "https://0177.0.0.1:{port}/",
    "https://127.0.0.1.:{port}/",
    "https://[::1]:{port}/",
    "https://[::]:{port}/",
    "https://[0:0:0:0:0:0:0:1]:{port}/",
    "https://[::ffff:127.0.0.1]:{port}/",
    "https://[::ffff:7f00:1]:{port}/",
    "https://[::127.0.0.1]:{port}/",
    "https://[64:ff9b::7f00:1]:{port}/",
    "https://[2002:7f00:1::]:{port}/",
    "https://[::1%25lo]:{port}/",
    "https://127.0.0.1:{port}\\@data.example/",
    "https://data.example\\@127.0.0.1:{port}/",
    "https://data.example@127.0.0.1:{port}/",
    "https://data.example:443@127.0.0.1:{port}/",
    "https://127.0.0.1:{port}#@data.example/",
    "https://127.0.0.1:{port}?@data.example/",
    "https://①②⑦.⓪.⓪.①:{port}/",
    "https://127。0。0。1:{port}/",
    "https://%31%32%37.0.0.1:{port}/",
    "https://127.0.0.1%00.data.example:{port}/",
    "https://local\thost:{port}/",
    "https://127.0.0.1\n:{port}/",
    "https:127.0.0.1:{port}/",
    "https:///127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    "https://10.0.0.1:{port}/",
    "https://192.168.1.1:{port}/",
    "https://169.254.169.254/latest/meta-data/",
    "https://[fd00:ec2::254]/latest/meta-data/",
    "https://168.63.129.16/",
    "https://to-loopback.example:{port}/",
    "https://to-metadata.example/",
    "https://to-both.example:{port}/",
    "file:///etc/passwd",
    "ftp://127.0.0.1:{port}/",
    "gopher://127.0.0.1:{port}/_GET",
    "unix:///run/docker.sock",
]
LEADING = {
    "to-loopback.example": "127.0.0.1",
    "to-metadata.example": "169.254.169.254",
    "to-private.example": "10.0.0.1",
}


@pytest.fixture
def misleading(names: Names) -> Names:
    names.update({name: [[address]] for name, address in LEADING.items()})
    names["to-both.example"] = [["8.8.8.8", "127.0.0.1"]]
    return names


def test_hostile_links_connect_to_nothing(canary: Canary, misleading: Names) -> None:
    source, hits = HttpSource(Settings()), canary.hits
    assert len(HOSTILE) >= 35
    for form in HOSTILE:
        refused(source, form.format(port=canary.port))
    assert canary.hits == hits
    assert is_alive(canary)


def _spellings(address: int) -> list[str]:
    """Return an IPv4 address in the ways that some program or other understands."""
    parts = address.to_bytes(4, "big")
    dotted = ".".join(map(str, parts))
    high, low = address >> 16, address & 0xFFFF
    return [
        dotted,
        f"{dotted}.",
        str(address),
        hex(address),
        f"0{address:o}",
        ".".join(map(hex, parts)),
        ".".join(f"0{part:o}" for part in parts),
        ".".join(f"{part:03d}" for part in parts),
        f"{parts[0]}.{address & 0xFFFFFF}",
        f"{parts[0]}.{parts[1]}.{low}",
        f"[::ffff:{dotted}]",
        f"[::ffff:{high:x}:{low:x}]",
        f"[::{dotted}]",
        f"[64:ff9b::{high:x}:{low:x}]",
        f"[2002:{high:x}:{low:x}::1]",
        dotted.translate(str.maketrans("0123456789.", "０１２３４５６７８９．")),
        "".join(f"%{ord(letter):02x}" for letter in dotted),
    ]


_NETWORKS = (
    *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"),
    *("0.0.0.0/8", "100.64.0.0/10"),
)
_ADDRESSES = st.one_of(
    st.just(0x7F000001),
    st.sampled_from(_NETWORKS).flatmap(lambda network: st.ip_addresses(network=network)).map(int),
)
_NAMES = ("localhost", "LOCALHOST", "localhost.", "[::1]", "[::]", "ⓛocalhost", *LEADING, "to-both.example")
_HOSTS = st.one_of(
    _ADDRESSES.flatmap(lambda address: st.sampled_from(_spellings(address))),
    st.sampled_from(_NAMES),
)
# Each empty text makes it likelier that the rest of the link gets to be judged.
_BEFORE = st.sampled_from(
    [*[""] * 6, "data.example@", "data.example\\@", "u:p@", "data.example:443@", "\\", "/", "@", " "]
)
_AFTER = st.sampled_from(
    [
        *("/", "", "/a.csv", "\\@data.example/", "#@data.example/", "?@data.example/", "@data.example/"),
        *("%00.data.example/", "/..//x", " /"),
    ]
)
_SCHEMES = st.sampled_from(
    [*["https://"] * 6, "http://", "HTTPS://", "https:", "https:/", "https:///", "//", "ftp://", "https:\\\\"]
)


@st.composite
def hostile_links(draw: st.DrawFn) -> str:
    port = draw(st.sampled_from([":{port}"] * 6 + ["", ":{port}:{port}", ":0{port}", ":"]))
    return draw(_SCHEMES) + draw(_BEFORE) + draw(_HOSTS) + port + draw(_AFTER)


@pytest.mark.timeout(300 if LINKS <= 300 else 0)
@settings(max_examples=LINKS)
@given(form=hostile_links())
def test_links_of_a_hostile_grammar_connect_to_nothing(canary: Canary, misleading: Names, form: str) -> None:
    hits = canary.hits
    _attempts.clear()
    with pytest.raises(DataPlatformError):
        HttpSource(Settings()).resolve(form.replace("{port}", str(canary.port)))
    assert _attempts == []
    assert canary.hits == hits


@pytest.mark.timeout(300 if LINKS <= 300 else 0)
@settings(max_examples=LINKS // 3)
@given(form=hostile_links())
def test_redirects_of_a_hostile_grammar_lead_nowhere(
    canary: Canary, misleading: Names, redirecting: tuple[WebServer, HttpSource], form: str
) -> None:
    web, source = redirecting
    location = form.replace("{port}", str(canary.port))
    link = web.redirect("/go", location.encode("utf-8").decode("latin-1").replace("\n", ""))
    hits = canary.hits
    _attempts.clear()
    with pytest.raises(DataPlatformError):
        source.resolve(link)
    assert {attempt[1] for attempt in _attempts} <= {web.port}
    assert canary.hits == hits
    assert web.asked("HEAD", "/go")


@pytest.fixture
def redirecting() -> Iterator[tuple[WebServer, HttpSource]]:
    with web_server() as web:
        yield web, HttpSource(Settings(http=HttpSettings(trusted_hosts=(web.authority,))))


def test_the_witnesses_are_awake(canary: Canary, misleading: Names) -> None:
    assert is_alive(canary)


def test_a_redirect_to_a_trusted_canary_does_arrive(canary: Canary, redirecting: tuple[WebServer, HttpSource]) -> None:
    web, _ = redirecting
    local = f"127.0.0.1:{canary.port}"
    source = HttpSource(Settings(http=HttpSettings(trusted_hosts=(web.authority, local))))
    hits = canary.hits
    with pytest.raises(DataPlatformError):
        source.resolve(web.redirect("/go", f"http://{local}/"))
    assert canary.hits > hits


# --- an internet of our own: 127.0.0.2 counts as public, everything else is what it is

PUBLIC = "127.0.0.2"


@pytest.fixture
def internet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Authority]:
    """Let one loopback address pass as public, and trust an authority of our own."""
    if sys.platform != "linux":
        pytest.skip("needs a second loopback address: run on Linux")
    monkeypatch.setattr(addresses, "_is_public", lambda ip: str(ip) == PUBLIC)
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    tls_context.cache_clear()
    yield authority
    tls_context.cache_clear()


@pytest.fixture
def public_web(internet: Authority, names: Names) -> Iterator[WebServer]:
    """A public https server, data.example."""
    names["data.example"] = [[PUBLIC]]
    with web_server(internet.server_side("data.example"), "data.example", PUBLIC) as web:
        yield web


def test_a_public_https_link_is_read_and_its_certificate_is_of_its_name(public_web: WebServer) -> None:
    item = HttpSource(Settings()).resolve(public_web.put("/a.csv", Page(b"12345", etag='"1"')))
    assert item.source_system == f"https/data.example:{public_web.port}"
    assert fetch(HttpSource(Settings()), item)[0] == b"12345"
    assert public_web.requests[0].headers["host"] == public_web.authority


@pytest.mark.parametrize("fault", ["another name", "another authority"])
def test_a_certificate_that_is_not_right_is_refused(
    internet: Authority, names: Names, tmp_path: Path, fault: str
) -> None:
    names["data.example"] = [[PUBLIC]]
    folder = tmp_path / "other"
    folder.mkdir()
    context = (
        internet.server_side("other.example")
        if fault == "another name"
        else Authority(folder).server_side("data.example")
    )
    with web_server(context, "data.example", PUBLIC) as web:
        web.put("/a.csv", Page(b"12345", etag='"1"'))
        with pytest.raises(UnsafeLink, match="certificate"):
            HttpSource(Settings()).resolve(web.url("/a.csv"))
        assert web.requests == []


def test_a_name_that_is_bound_anew_after_the_check_changes_nothing(
    public_web: WebServer, names: Names, canary: Canary
) -> None:
    """The connection goes to the address that was judged; the next one is judged anew."""
    link = public_web.put("/a.csv", Page(b"12345", etag='"1"'))
    names["data.example"] = [[PUBLIC], ["127.0.0.1"]]
    source, hits = HttpSource(Settings()), canary.hits
    _attempts.clear()
    item = source.resolve(link)
    assert fetch(source, item)[0] == b"12345"
    assert {attempt[0] for attempt in _attempts} == {PUBLIC}
    assert names["data.example"] == [["127.0.0.1"]]
    refused(HttpSource(Settings()), link)
    assert canary.hits == hits


def test_a_public_page_cannot_lead_to_a_trusted_private_host(public_web: WebServer, internet: Authority) -> None:
    with web_server() as private:
        link = public_web.redirect("/go", private.put("/a.csv", Page(b"12345", etag='"1"')))
        trusting = (private.authority,)
        source = HttpSource(Settings(http=HttpSettings(trusted_hosts=trusting)))
        with pytest.raises(UnsafeLink):
            source.resolve(link)
        assert private.requests == []
        assert fetch(source, source.resolve(private.url("/a.csv")))[0] == b"12345"


def test_a_kept_connection_to_a_private_host_is_not_open_to_a_public_page(
    public_web: WebServer, internet: Authority, names: Names
) -> None:
    names["lab.example"] = [["127.0.0.1"]]
    with web_server(internet.server_side("lab.example"), "lab.example") as private:
        source = HttpSource(Settings(http=HttpSettings(trusted_hosts=(private.authority,))))
        target = private.put("/a.csv", Page(b"12345", etag='"1"'))
        assert fetch(source, source.resolve(target))[0] == b"12345"
        with pytest.raises(UnsafeLink, match=r"lab\.example"):
            source.resolve(public_web.redirect("/go", target))
        # Where the first host is trusted too, it may lead there.
        both = HttpSource(Settings(http=HttpSettings(trusted_hosts=(private.authority, public_web.authority))))
        assert fetch(both, both.resolve(public_web.url("/go")))[0] == b"12345"


def test_https_never_leads_to_http(public_web: WebServer) -> None:
    with web_server() as plain:
        link = public_web.redirect("/go", plain.put("/a.csv", Page(b"12345", etag='"1"')))
        source = HttpSource(Settings(http=HttpSettings(trusted_hosts=(plain.authority, public_web.authority))))
        with pytest.raises(UnsafeLink, match="from https to http"):
            source.resolve(link)
        assert plain.requests == []
