"""Which links may be followed, and which addresses may be contacted.

A link that somebody else shared must not make this machine talk to itself, to a cloud's
metadata service or to the private network. So there is one strict reading of a link, `Link`,
from which both the check and the request are made, and one place, `resolve`, where a name
becomes addresses: each is judged, and the connection goes to exactly those.

Refused rather than interpreted, because programs disagree about them: user names, backslashes,
control characters and anything that is not ASCII in the authority (an international domain
name is given in its ``xn--`` form), percent signs in host names, numbers that are not a plain
IPv4 address (``127.1``, ``0x7f000001``, ``017700000001``), IPv6 zones, empty ports.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, urljoin

from data_platform.errors import SettingsError, SourceUnavailable, UnknownSource, UnsafeLink
from data_platform.redact import redact_url

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_LINK = 16 * 1024
PORTS = {"http": 80, "https": 443}

_LINK = re.compile(r"(?P<scheme>https?)://(?P<authority>[^/?#]*)(?P<target>[^#]*)(?:#.*)?", re.IGNORECASE | re.DOTALL)
_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?")
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_UNRESERVED = "%/:?[]@!$&'()*+,;=-._~"

# Where clouds tell a machine its own credentials; some of these are "public" or "private" by number.
_METADATA = tuple(
    ipaddress.ip_network(network)
    for network in (
        "169.254.0.0/16",
        "100.100.100.200/32",
        "168.63.129.16/32",
        "192.0.0.192/32",
        "fd00:ec2::/32",
        "fd20:ce::/32",
    )
)
# Never meant for a host to be talked to, whatever a release of Python thinks of them.
_NOBODY = tuple(
    ipaddress.ip_network(network)
    for network in ("0.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4", "::/128", "ff00::/8", "fe80::/10", "fec0::/10")
)
_SPECIAL = tuple(
    ipaddress.ip_network(network)
    for network in (
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "2001::/23",
        "2001:db8::/32",
        "2620:4f:8000::/48",
        "3fff::/20",
    )
)
_GLOBAL_IPV6 = ipaddress.ip_network("2000::/3")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True, repr=False)
class Link:
    """An http(s) link in its one reading; `target` is path and query, percent-encoded."""

    scheme: str
    host: str
    port: int
    target: str

    @classmethod
    def parse(cls, url: str) -> Link:
        """Read `url` strictly.

        Raises
        ------
        UnknownSource
            If it is no http(s) link.
        UnsafeLink
            If programs could disagree about where it leads.
        """
        if len(url) > MAX_LINK:
            raise UnsafeLink(f"The link is longer than {MAX_LINK} characters. Ask for a shorter one.")
        if _CONTROL.search(url):
            raise UnsafeLink(f"The link has control characters in it: {_shown(url)}. Copy it again.")
        if not (whole := _LINK.fullmatch(url)):
            raise UnknownSource(f"No http or https link: {_shown(url)}. Give one that begins with https://.")
        if not (authority := _AUTHORITY.fullmatch(whole["authority"])):
            raise UnsafeLink(
                f"The host of {_shown(url)} is not a plain name or address. Give a link of the form"
                " https://host[:port]/path, without user name, and with an international name in its xn-- form."
            )
        scheme = whole["scheme"].lower()
        target = quote(_LONE_PERCENT.sub("%25", whole["target"]), safe=_UNRESERVED)
        return cls(scheme, _host(authority["host"]), _port(authority["port"], scheme), _rooted(target))

    @property
    def authority(self) -> str:
        """Host as written in a link, with the port if it is not the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.authority}"

    @property
    def url(self) -> str:
        """The whole link, with its secrets: for requests, never for people."""
        return self.origin + self.target

    @property
    def identity(self) -> str:
        """The link without its secrets: what the item is known by."""
        return redact_url(self.url)

    @property
    def path(self) -> str:
        """The path, still percent-encoded."""
        return self.target.partition("?")[0]

    def join(self, location: str) -> Link:
        """Return where `location`, as an answer from here gives it, leads."""
        malformed = f"{self.identity} redirects to a malformed link. Ask its owner for the final link."
        # What a browser would repair, a strict reader must not: screened before it is joined.
        if _CONTROL.search(location) or "\\" in location.partition("?")[0]:
            raise UnsafeLink(malformed)
        try:
            joined = urljoin(self.url, location.strip(" "))
        except ValueError:
            raise UnsafeLink(malformed) from None
        return Link.parse(joined)

    def __repr__(self) -> str:
        return f"Link({self.identity!r})"


class TrustedHosts:
    """Hosts that may be private or speak plain http, because the settings say so.

    Parameters
    ----------
    entries
        ``host`` (all its ports) or ``host:port``.

    Raises
    ------
    SettingsError
        If an entry is neither.
    """

    def __init__(self, entries: Iterable[str]) -> None:
        self._trusted = frozenset(self._entry(entry) for entry in entries)

    @staticmethod
    def _entry(entry: str) -> tuple[str, int | None]:
        try:
            if not (match := _AUTHORITY.fullmatch(entry)):
                raise UnsafeLink(entry)
            return _host(match["host"]), _port(match["port"], "https") if match["port"] else None
        except UnsafeLink:
            raise SettingsError(
                f"http.trusted_hosts: {entry!r} is neither host nor host:port. Write it as files.example.org:8080."
            ) from None

    def __contains__(self, link: Link) -> bool:
        return (link.host, link.port) in self._trusted or (link.host, None) in self._trusted


def resolve(host: str, port: int, *, trusted: bool) -> list[str]:
    """Return the addresses of `host`, each of which may be connected to.

    One forbidden address among several refuses the host: a name that leads to a public and
    to a private address is what a rebinding attack looks like.

    Raises
    ------
    UnsafeLink
        If an address must not be contacted.
    SourceUnavailable
        If the name has no address.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise SourceUnavailable(f"The host {host} cannot be found. Check its spelling and the network.") from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        if reason := forbidden(address, trusted=trusted):
            raise UnsafeLink(_refusal(host, reason))
    if not addresses:
        raise SourceUnavailable(f"The host {host} has no address. Check its spelling and the network.")
    return addresses


def forbidden(address: str, *, trusted: bool = False) -> str:
    """Return why `address` must not be contacted, or an empty text if it may.

    A trusted host may be private or on this machine, yet never a metadata service or an
    address that is nobody's.
    """
    try:
        ip = _inner(ipaddress.ip_address(address))
    except ValueError:
        return "has no valid address"
    if _within(ip, _METADATA):
        return "leads to a cloud's metadata service"
    if ip.is_multicast or _within(ip, _NOBODY):
        return "leads to an address that belongs to no single host"
    if trusted or _is_public(ip):
        return ""
    return "leads to this machine itself" if ip.is_loopback else "leads into a private or reserved network"


def _is_public(ip: Address) -> bool:
    return ip.is_global and not _within(ip, _SPECIAL) and (ip.version == 4 or ip in _GLOBAL_IPV6)


def _inner(ip: Address) -> Address:
    """Return the IPv4 address that an IPv6 address stands for, else the address itself."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if embedded := ip.ipv4_mapped or ip.sixtofour:
        return embedded
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip


def _within(ip: Address, networks: Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    return any(ip in network for network in networks)


def _host(text: str) -> str:
    """Return a host in its one spelling, or refuse it."""
    if text.startswith("["):
        try:
            return ipaddress.IPv6Address(text[1:-1]).compressed
        except ValueError:
            raise UnsafeLink(f"{text} is no IPv6 address. Give a host name.") from None
    labels = text.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return _ipv4(text)
    if len(text) > 240 or not all(_LABEL.fullmatch(label) for label in labels):
        raise UnsafeLink(f"{text[:80]} is no valid host name. Check the link.")
    return text.lower()


def _ipv4(text: str) -> str:
    # Other spellings of a number are read as octal here and as decimal there.
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        raise UnsafeLink(f"{text[:80]} is not a plain IPv4 address. Give it as four decimal numbers.") from None


def _port(text: str | None, scheme: str) -> int:
    port = PORTS[scheme] if text is None else int(text)
    if not 0 < port < 65536:
        raise UnsafeLink(f"{port} is no port. Check the link.")
    return port


def _rooted(target: str) -> str:
    return target if target.startswith("/") else "/" + target


def _shown(url: str) -> str:
    return ascii(redact_url(url[:200]))


def _refusal(host: str, reason: str) -> str:
    return (
        f"{host} {reason}, where a shared link must not lead."
        " If it is a server of your own, list host:port in the setting http.trusted_hosts."
    )
