"""Which addresses may be contacted."""

from __future__ import annotations

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_platform.errors import SourceUnavailable, UnsafeLink
from readers.addresses import forbidden, resolve

PUBLIC = ["93.184.216.34", "8.8.8.8", "1.1.1.1", "2606:2800:220:1::1", "2a00:1450:4001:81b::200e", "64:ff9b::5db8:d822"]
PRIVATE = [
    *("127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1"),
    *("192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "192.88.99.1"),
    *("::1", "fd00::1", "fc00::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1"),
    *(
        "64:ff9b::a00:1",
        "64:ff9b:1::1",
        "2002:7f00:1::1",
        "2002:a00:1::",
        "2001::1",
        "2001:db8::1",
        "3fff::1",
        "100::1",
    ),
    *("4000::1", "::ffff:0:127.0.0.1", "5f00::1"),
]
WITHIN = ["64:ff9b::/96", "2002::/16"]
NEVER = [
    *("0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "192.0.0.192"),
    *("224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "::", "fe80::1", "fe80::1%lo", "fec0::1"),
    *("ff02::1", "fd00:ec2::254", "fd20:ce::254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1"),
    *("2002:e000:1::", "::ffff:0.0.0.0", "not an address"),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_contacted(address: str) -> None:
    assert forbidden(address) == ""


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_only_of_trusted_hosts(address: str) -> None:
    assert forbidden(address)
    assert forbidden(address, trusted=True) == ""


@pytest.mark.parametrize("address", NEVER)
def test_some_addresses_never(address: str) -> None:
    assert forbidden(address)
    assert forbidden(address, trusted=True)


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_judged_alike_in_each_of_its_ipv6_dresses(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    dresses = (
        ipaddress.IPv6Address((0xFFFF << 32) | number),
        ipaddress.IPv6Address((0x64_FF9B << 96) | number),
        ipaddress.IPv6Address((0x2002 << 112) | (number << 80)),
    )
    for trusted in (False, True):
        assert {forbidden(str(dress), trusted=trusted) for dress in dresses} == {
            forbidden(str(address), trusted=trusted)
        }


@given(st.ip_addresses())
def test_nothing_is_allowed_that_python_calls_local(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    if not address.is_global or address.is_multicast or address.is_link_local or address.is_loopback:
        # Of some IPv6 addresses the IPv4 address within is judged.
        judged_within = address.version == 6 and any(address in ipaddress.ip_network(net) for net in WITHIN)
        assert judged_within or forbidden(str(address))


def _answering(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    asked: list[str] = []

    def answer(host: str, port: int, **hints: int) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    return asked


def test_resolves_once_and_keeps_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _answering(monkeypatch, "8.8.8.8", "1.1.1.1", "8.8.8.8")
    assert resolve("data.example", 443, trusted=False) == ["8.8.8.8", "1.1.1.1"]
    assert asked == ["data.example"]


@pytest.mark.parametrize("bad", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1"])
def test_one_bad_address_among_good_ones_refuses_the_host(monkeypatch: pytest.MonkeyPatch, bad: str) -> None:
    _answering(monkeypatch, "8.8.8.8", bad)
    with pytest.raises(UnsafeLink, match=r"data\.example"):
        resolve("data.example", 443, trusted=False)


def test_a_trusted_host_may_be_private_but_no_metadata_service(monkeypatch: pytest.MonkeyPatch) -> None:
    _answering(monkeypatch, "10.0.0.1")
    assert resolve("files.lab", 443, trusted=True) == ["10.0.0.1"]
    _answering(monkeypatch, "169.254.169.254")
    with pytest.raises(UnsafeLink, match="metadata"):
        resolve("files.lab", 443, trusted=True)


def test_a_name_without_address_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    _answering(monkeypatch)
    with pytest.raises(SourceUnavailable):
        resolve("data.example", 443, trusted=False)

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(SourceUnavailable, match="spelling"):
        resolve("data.example", 443, trusted=False)


def test_the_machines_own_names_lead_to_itself() -> None:
    with pytest.raises(UnsafeLink, match="this machine"):
        resolve("localhost", 443, trusted=False)
    assert set(resolve("localhost", 443, trusted=True)) <= {"127.0.0.1", "::1"}
