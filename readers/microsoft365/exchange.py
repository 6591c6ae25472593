"""One request to Microsoft 365 and its answer: to whom it may go, how it leaves, what its failures mean."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpcore

from data_platform.errors import (
    SourceTimeout,
    SourceUnavailable,
    UnsafeLink,
    UnsupportedItem,
)
from data_platform.settings import Settings
from data_platform.version import __version__
from readers.addresses import Link, TrustedHosts
from readers.microsoft365.clouds import Places, places
from readers.transport import Transport, within

# The form that Microsoft asks for, so that its people know whom to throttle and whom to write to.
USER_AGENT = f"NONISV|DataPlatform|data-platform/{__version__}"
_LARGEST = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: status, headers (names in lower case) and body; only the status is ever shown."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    def json(self, where: str) -> Any:
        """Return what the body says, an empty object if there is none.

        Raises
        ------
        SourceUnavailable
            If it is no JSON: a proxy or a page of errors on the way.
        """
        if not self.body.strip():
            return {}
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise SourceUnavailable(f"{where} gives no proper answer ({self.status}). Try again later.") from error

    def lenient_json(self) -> object:
        """Return what the body of an error says, None if it is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


class Exchange:
    """Sends requests to the addresses in force; the one door through which all of them go."""

    def __init__(self, settings: Settings) -> None:
        self.places: Places = places(settings)
        self._settings = settings
        self._named = TrustedHosts(settings.http.trusted_hosts)
        self._transport = Transport(settings.microsoft365.timeout_seconds)

    def ask(self, method: str, link: Link, headers: Mapping[str, str], body: bytes | None = None) -> Reply:
        """Return the whole answer.

        Raises
        ------
        SourceTimeout, SourceUnavailable, UnsafeLink
            If there is none.
        """
        with within(self._settings.http.deadline_seconds):
            response = self.open(method, link, headers, body)
            try:
                return Reply(response.status, heads(response), _whole(response, link))
            except httpcore.TimeoutException as error:
                raise _late(link) from error
            except (httpcore.NetworkError, httpcore.ProtocolError) as error:
                raise SourceUnavailable(f"{link.host} broke off its answer. Try again later.") from error
            finally:
                response.close()

    def open(self, method: str, link: Link, headers: Mapping[str, str], body: bytes | None = None) -> httpcore.Response:
        """Return an answer whose body is still to be read; raises as `ask` does."""
        if link.scheme != "https":
            raise UnsafeLink(f"{link.identity} is plain http, which anybody on the way can read. Nothing was sent.")
        all_headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **headers}
        try:
            return self._transport.send(method, link, all_headers, trusted=self.trusts(link), body=body)
        except httpcore.TimeoutException as error:
            raise _late(link) from error
        except httpcore.ConnectError as error:
            if error.args and isinstance(error.args[0], ssl.SSLCertVerificationError):
                reason = error.args[0].verify_message
                raise UnsafeLink(
                    f"{link.host} has no valid certificate ({reason}). Ask whoever runs the network."
                ) from error
            raise SourceUnavailable(f"{link.host} cannot be reached. Check the network and try again.") from error
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise SourceUnavailable(f"{link.host} gives no proper answer. Try again later.") from error

    def trusts(self, link: Link) -> bool:
        """Tell whether the settings name this host, which may therefore be in a private network."""
        return link.origin in self.places.trusted or link in self._named

    def may_send_bytes(self, link: Link) -> bool:
        """Tell whether a file's bytes may come from there."""
        return self.trusts(link) or link.host.endswith(self.places.files)


def heads(response: httpcore.Response) -> dict[str, str]:
    """Return the headers of an answer, names in lower case; of repeated ones the first counts."""
    found: dict[str, str] = {}
    for name, value in response.headers:
        found.setdefault(name.decode("ascii").lower(), value.decode("utf-8", "replace"))
    return found


def _late(link: Link) -> SourceTimeout:
    return SourceTimeout(f"{link.host} does not answer in time. Try again, or raise microsoft365.timeout_seconds.")


def _whole(response: httpcore.Response, link: Link) -> bytes:
    pieces: list[bytes] = []
    size = 0
    for piece in response.iter_stream():
        size += len(piece)
        if size > _LARGEST:
            raise UnsupportedItem(f"{link.host} sends an answer of more than {_LARGEST} bytes. Report it.")
        pieces.append(piece)
    return b"".join(pieces)
