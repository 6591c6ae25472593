"""Signed requests to programs that listen: where they may go, and how each proves that it is ours.

They are signed as the Standard Webhooks convention says, for which receivers have libraries: the header
``webhook-signature`` is an HMAC-SHA256 over id, time and body. Each address has a key of its own, so that one
receiver cannot speak to another in our name. Requests leave as those of readers do: to judged addresses, within
a deadline, and they follow no redirect.
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime

import httpcore

from data_platform.errors import SettingsError, SourceTimeout, SourceUnavailable, UnsafeLink
from data_platform.redact import redact_url
from data_platform.settings import Settings
from data_platform.version import __version__
from populate.conversation.links import signing_key
from readers.addresses import Link, TrustedHosts
from readers.transport import Transport, within

_PURPOSE = b"data-platform key of a webhook, 1\0"
_LONGEST = 1024


def hook_link(url: str, settings: Settings) -> Link:
    """Return the address of a webhook, if requests may go there.

    Raises
    ------
    UnknownSource
        If it is no http(s) link.
    UnsafeLink
        If its host is not one of ``subscriptions.webhook_hosts``, it is not https, or it has a secret in it.
    SettingsError
        If an entry of that setting is wrong.
    """
    link = Link.parse(url.strip())
    if link not in _hosts(settings):
        raise UnsafeLink(
            f"Webhooks must not go to {link.authority}. Whoever runs the catalogue may list it in the setting "
            "subscriptions.webhook_hosts."
        )
    if link.scheme != "https" and link not in TrustedHosts(settings.http.trusted_hosts):
        raise UnsafeLink(f"{link.identity} is plain http, which anybody on the way can read. Give an https address.")
    if redact_url(link.url) != link.url:
        raise UnsafeLink(
            "The address of a webhook must have no secret in it: it is kept in the catalogue. Each request is signed "
            "instead; check its signature."
        )
    if len(link.url) > _LONGEST:
        raise UnsafeLink(f"The address of the webhook has more than {_LONGEST} characters. Give a shorter one.")
    return link


def _hosts(settings: Settings) -> TrustedHosts:
    try:
        return TrustedHosts(settings.subscriptions.webhook_hosts)
    except SettingsError:
        raise SettingsError(
            "subscriptions.webhook_hosts: an entry is neither host nor host:port. Write it as hooks.example.org:8443."
        ) from None


def hook_key(url: str, settings: Settings) -> str:
    """Return the key that requests to an address are signed with, as receivers' libraries take it: ``whsec_…``.

    Raises
    ------
    SettingsError
        If the setting ``subscriptions.webhook_key`` is not set here.
    """
    link = hook_link(url, settings)
    return "whsec_" + base64.b64encode(_key(link, settings)).decode()


def _key(link: Link, settings: Settings) -> bytes:
    configured = settings.subscriptions.webhook_key.get_secret_value()
    if not configured and settings.database.backend != "embedded":
        raise SettingsError(
            "Webhooks are signed where subscriptions.webhook_key is known. Set it to 32 random letters."
        )
    return hmac.digest(configured.encode() or signing_key(settings), _PURPOSE + link.url.encode(), "sha256")


def headers_of(message_id: str, moment: datetime, body: bytes, key: bytes) -> dict[str, str]:
    """Return the headers that prove where a request comes from.

    Parameters
    ----------
    message_id
        The same each time that the same thing is told, so that a receiver can drop repetitions.
    moment
        UTC, naive; receivers refuse what is older than a few minutes.
    """
    stamp = str(int(moment.replace(tzinfo=UTC).timestamp()))
    digest = hmac.digest(key, b".".join((message_id.encode(), stamp.encode(), body)), "sha256")
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return {"webhook-id": message_id, "webhook-timestamp": stamp, "webhook-signature": signature}


class Hooks:
    """Sends requests to webhooks."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._trusted = TrustedHosts(settings.http.trusted_hosts)
        self._transport = Transport(settings.subscriptions.timeout_seconds)

    def send(self, url: str, message_id: str, told: Mapping[str, object]) -> None:
        """Hand something over, as JSON.

        Raises
        ------
        UnsafeLink, UnknownSource
            If requests must not go there.
        SourceTimeout, SourceUnavailable
            If the receiver does not answer, or not that it took it.
        """
        link = hook_link(url, self._settings)
        body = json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()
        now = datetime.now(UTC).replace(tzinfo=None)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"data-platform/{__version__}",
            **headers_of(message_id, now, body, _key(link, self._settings)),
        }
        status = self._status(link, headers, body)
        if not 200 <= status < 300:
            raise SourceUnavailable(f"{link.authority} answered {status}. See that the program there takes POST.")

    def _status(self, link: Link, headers: dict[str, str], body: bytes) -> int:
        try:
            with within(self._settings.subscriptions.timeout_seconds):
                answer = self._transport.send("POST", link, headers, trusted=link in self._trusted, body=body)
                answer.close()  # what it says does not matter
        except httpcore.TimeoutException as error:
            raise SourceTimeout(
                f"{link.authority} does not answer in time. See that the program there runs."
            ) from error
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise SourceUnavailable(
                f"{link.authority} gives no proper answer. See that the program there runs."
            ) from error
        return answer.status
