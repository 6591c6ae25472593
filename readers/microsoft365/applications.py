"""MSAL, the library that signs in: its applications, reaching the login service by our own transport."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from data_platform.errors import MissingExtra, SettingsError, SourceUnavailable
from data_platform.settings import Settings
from data_platform.version import __version__
from readers.addresses import Link
from readers.microsoft365.exchange import Exchange

if TYPE_CHECKING:
    import msal

# Says that we can meet claims challenges, so that revoked sign-ins end at once and not after an hour.
_CAPABILITIES = ["CP1"]
_APP = {"app_name": "data-platform", "app_version": __version__, "client_capabilities": _CAPABILITIES}


@dataclass
class Answer:
    """What MSAL looks at of an answer; its text has tokens in it, so that it is never shown."""

    status_code: int
    text: str = field(repr=False)
    headers: dict[str, str] = field(default_factory=dict, repr=False)

    def raise_for_status(self) -> None:
        if self.status_code >= 400:
            raise SourceUnavailable(f"The login service answers {self.status_code}. Try again later.")


class LoginClient:
    """The http client that MSAL is given: judged addresses, deadlines, nothing in the log."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def get(
        self, url: str, params: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None, **_: object
    ) -> Answer:
        return self._ask("GET", url, params, headers, None)

    def post(
        self,
        url: str,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, str] | str | bytes | None = None,
        headers: Mapping[str, str] | None = None,
        **_: object,
    ) -> Answer:
        body = data if isinstance(data, bytes) else (data if isinstance(data, str) else urlencode(data or {})).encode()
        given = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
        return self._ask("POST", url, params, given, body)

    def close(self) -> None:
        """Do nothing: connections end with the transport."""

    def _ask(
        self,
        method: str,
        url: str,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
        body: bytes | None,
    ) -> Answer:
        mark = "&" if "?" in url else "?"
        link = Link.parse(f"{url}{mark}{urlencode(params)}" if params else url)
        sent = {name: str(value) for name, value in (headers or {}).items() if value is not None}
        reply = self._exchange.ask(method, link, sent, body)
        return Answer(reply.status, reply.body.decode("utf-8", "replace"), dict(reply.headers))


def public_application(settings: Settings, tenant: str, cache: msal.TokenCache) -> msal.PublicClientApplication:
    """Return the application as which a person signs in."""
    with _explaining(settings):
        return _msal().PublicClientApplication(
            _client_id(settings), authority=_authority(settings, tenant), token_cache=cache, **_common(settings)
        )


def confidential_application(settings: Settings) -> msal.ConfidentialClientApplication:
    """Return the application as which a worker signs in.

    Raises
    ------
    SettingsError
        If it is not configured, or its certificate cannot be used.
    """
    if not settings.microsoft365.tenant:
        raise SettingsError("A worker needs the setting microsoft365.tenant. See docs/how-to/microsoft365.md.")
    with _explaining(settings):
        return _msal().ConfidentialClientApplication(
            _client_id(settings),
            client_credential=_credential(settings),
            authority=_authority(settings, settings.microsoft365.tenant),
            **_common(settings),
        )


@functools.lru_cache(maxsize=1)
def _msal() -> Any:
    try:
        import msal
    except ImportError as error:
        raise MissingExtra(
            "Microsoft 365 needs msal, which is not installed. Run `pip install 'data-platform[microsoft365]'`.",
            name="msal",
        ) from error
    return msal


def _client_id(settings: Settings) -> str:
    if not settings.microsoft365.client_id:
        raise SettingsError(
            "The setting microsoft365.client_id is empty. An administrator registers an application"
            " as docs/how-to/microsoft365.md says and tells its id."
        )
    return settings.microsoft365.client_id


def _authority(settings: Settings, tenant: str) -> str:
    return f"{Exchange(settings).places.login}/{tenant}"


def _common(settings: Settings) -> dict[str, Any]:
    exchange = Exchange(settings)
    # Where a login service of one's own is named, Microsoft is not asked whether it exists.
    discovery = None if exchange.places.own_login else False
    return {**_APP, "http_client": LoginClient(exchange), "instance_discovery": discovery}


def _credential(settings: Settings) -> str | dict[str, Any]:
    given = settings.microsoft365
    if given.certificate is None:
        if secret := given.client_secret.get_secret_value():
            return secret
        raise SettingsError(
            "A worker needs the setting microsoft365.certificate or microsoft365.client_secret."
            " See docs/how-to/microsoft365.md."
        )
    password = given.certificate_password.get_secret_value() or None
    if given.certificate.suffix.lower() in {".pfx", ".p12"}:
        return {"private_key_pfx_path": str(given.certificate), "passphrase": password}
    try:
        text = given.certificate.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"The file of microsoft365.certificate, {given.certificate}, cannot be read ({type(error).__name__}). "
            "Check its path and rights."
        ) from error
    return {"private_key": text, "public_certificate": text, "passphrase": password}


@contextmanager
def _explaining(settings: Settings) -> Iterator[None]:
    """Raise our errors for those of MSAL and of what reads certificates."""
    try:
        yield
    except SettingsError:
        raise
    except (ValueError, TypeError) as error:
        what = "tenant" if settings.microsoft365.certificate is None else "tenant or certificate"
        raise SettingsError(
            f"Microsoft 365 does not know this {what} ({type(error).__name__}). "
            "Check microsoft365.tenant, microsoft365.cloud and the certificate with its password."
        ) from error
    except FileNotFoundError as error:
        raise SettingsError(
            f"The file of microsoft365.certificate, {settings.microsoft365.certificate}, is not there. Check its path."
        ) from error
