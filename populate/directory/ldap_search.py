"""Connections to LDAP servers, and searches that are answered in full or not at all."""

from __future__ import annotations

import math
import re
import ssl
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

from data_platform.errors import DirectoryIncomplete, DirectoryUnavailable, SettingsError
from data_platform.settings import DirectorySettings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of pyasn1, which ldap3 uses by names of the past
    import ldap3
    from ldap3.core.exceptions import LDAPException

Attributes = Mapping[str, list[bytes]]

_PAGED = "1.2.840.113556.1.4.319"
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_RANGE = re.compile(r"^(.+);range=(\d+)-(\d+|\*)$", re.IGNORECASE)


class Directory:
    """A directory that we are signed in to."""

    def __init__(self, connection: Any, settings: DirectorySettings) -> None:
        self._connection = connection
        self._settings = settings

    def all(self, condition: str, attributes: Sequence[str]) -> list[tuple[str, Attributes]]:
        """Return name and attributes of every object of the condition.

        Raises
        ------
        DirectoryIncomplete
            If a page was not answered in full.
        """
        found: list[tuple[str, Attributes]] = []
        cookie: bytes | None = None
        while True:
            self._search(self._settings.ldap_base, condition, attributes, cookie)
            found += self._entries()
            controls = self._connection.result.get("controls") or {}
            value = (controls.get(_PAGED) or {}).get("value") or {}
            cookie = value.get("cookie")
            if not cookie:
                return [(name, self._whole(name, values)) for name, values in found]

    def _search(self, base: str, condition: str, attributes: Sequence[str], cookie: bytes | None, **more: Any) -> None:
        page = self._settings.ldap_page
        self._connection.search(
            base, condition, attributes=list(attributes), paged_size=page, paged_cookie=cookie, paged_criticality=True,
            **more,
        )  # fmt: skip
        result = self._connection.result
        if result["result"] != 0:
            raise DirectoryIncomplete(
                f"The directory answered {result['description']} rather than everything, so nobody is taken for gone. "
                "Give directory.ldap_user a higher limit there, or choose a smaller directory.ldap_page."
            )

    def _entries(self) -> Iterator[tuple[str, Attributes]]:
        for entry in self._connection.response or ():
            if entry.get("type") == "searchResRef":
                continue  # another server's part of the tree
            yield entry["dn"], dict(entry["raw_attributes"])

    def _whole(self, name: str, values: Attributes) -> Attributes:
        """Return the attributes with all values: Active Directory gives long lists in parts."""
        whole = dict(values)
        for attribute in [attribute for attribute in values if _RANGE.match(attribute)]:
            held = list(whole.pop(attribute))
            following = next_part(attribute)
            while following is not None:
                self._search(name, "(objectClass=*)", [following], None, search_scope=ldap3.BASE)
                answer = next(iter(self._entries()), ("", {}))[1]
                part = next((key for key in answer if _RANGE.match(key)), None)
                if part is None:
                    raise DirectoryIncomplete(f"The directory does not go on with {following}. Try again later.")
                held += answer[part]
                following = next_part(part)
            whole[attribute.partition(";")[0]] = held
        return whole


def next_part(attribute: str) -> str | None:
    """Return what to ask for after ``member;range=0-1499``; None after the last part, and of what has no parts."""
    match = _RANGE.match(attribute)
    return None if match is None or match[3] == "*" else f"{match[1]};range={int(match[3]) + 1}-*"


class _Tls(ldap3.Tls):
    """Has Python compare the server's name with its certificate: ldap3's own way is gone from Python 3.12 on."""

    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:
        context = ssl.create_default_context(cafile=self.ca_certs_file)
        connection.socket = context.wrap_socket(connection.socket, server_hostname=connection.server.host)


@contextmanager
def connected(settings: DirectorySettings) -> Iterator[Directory]:
    """Be signed in for the length of the block.

    Raises
    ------
    DirectoryUnavailable
        If the server does not answer, or does not let us in.
    SettingsError
        If the connection would not be encrypted, or only a half of the login is set.
    """
    connection = _connection(settings)
    try:
        _sign_in(connection, settings)
        yield Directory(connection, settings)
    except (LDAPException, OSError) as error:
        raise DirectoryUnavailable(
            f"The directory does not answer, or not as it should ({type(error).__name__}: {str(error)[:200]}). "
            "See that it runs and that the settings `directory.ldap_*`, as ldap_ca, are right."
        ) from error
    finally:
        socket = connection.socket  # which unbinding forgets without closing it, if the server is faster
        with suppress(LDAPException, OSError):
            connection.unbind()
        if socket is not None:
            socket.close()


def _connection(settings: DirectorySettings) -> Any:
    """Return a connection that is encrypted unless the directory is on this machine."""
    parts = urlsplit(settings.ldap_url)
    secure, here = parts.scheme == "ldaps", parts.hostname in _LOOPBACK
    if not secure and settings.ldap_security == "none" and not here:
        raise SettingsError("directory.ldap_security is none, and the server is not on this machine. Use starttls.")
    tls = _Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=str(settings.ldap_ca) if settings.ldap_ca else None)
    server = ldap3.Server(
        parts.hostname, port=parts.port or (636 if secure else 389), use_ssl=secure, tls=tls,
        connect_timeout=settings.timeout_seconds, get_info=ldap3.NONE,
    )  # fmt: skip
    secret = settings.ldap_password.get_secret_value()
    if bool(settings.ldap_user) != bool(secret):
        raise SettingsError("Set directory.ldap_user and directory.ldap_password both, or neither to be anonymous.")
    return ldap3.Connection(
        server,
        user=settings.ldap_user or None,
        password=secret or None,
        auto_bind=ldap3.AUTO_BIND_NONE,
        read_only=True,
        receive_timeout=math.ceil(settings.timeout_seconds),
        check_names=False,
        auto_referrals=False,
    )


def _sign_in(connection: Any, settings: DirectorySettings) -> None:
    connection.open(read_server_info=False)
    if not connection.server.ssl and settings.ldap_security == "starttls":
        connection.start_tls(read_server_info=False)
    if not connection.bind(read_server_info=False):
        raise DirectoryUnavailable(
            f"The directory does not let us in ({connection.result['description']}). "
            "Check directory.ldap_user and directory.ldap_password."
        )
