"""As whom Microsoft 365 is asked: the person who is signed in, or the worker's application."""

from __future__ import annotations

import re
import threading
from typing import Any

from data_platform.errors import AccessDenied, SettingsError, SignInNeeded, SourceUnavailable
from data_platform.settings import Settings
from readers.microsoft365.accounts import Account, Accounts
from readers.microsoft365.applications import confidential_application
from readers.microsoft365.clouds import places
from readers.microsoft365.graph import Graph

PERSON_SECONDS = 120.0
"""How long a person's read waits, at most, if the service asks to wait."""
_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def as_person(settings: Settings, account: Account | None = None) -> Graph:
    """Return Graph, asked as a person who is signed in: `account`, else the one of the settings, else the last.

    Raises
    ------
    SignInNeeded
        If nobody is.
    """
    from readers.microsoft365.sign_in import PersonTokens

    tokens = PersonTokens(settings, account or Accounts(settings).needed())
    return Graph(settings, tokens, challenge=tokens.challenge, patience=PERSON_SECONDS)


def as_worker(settings: Settings) -> Graph:
    """Return Graph, asked as the application that `settings` name, by its secret or certificate.

    Raises
    ------
    SettingsError
        If none is configured; this and what the login service says is raised with the first request.
    """
    tokens = ApplicationTokens(settings, f"{places(settings).resource}/.default")
    return Graph(settings, tokens, challenge=tokens.challenge, shared=True)


def audit_as_worker(settings: Settings) -> Graph:
    """Return the Management Activity API of the tenant, asked as the application.

    Links are relative to ``…/api/v1.0/{tenant}/activity/feed``.
    """
    where = places(settings)
    tokens = ApplicationTokens(settings, f"{where.audit_resource}/.default")
    base = f"{where.audit}/api/v1.0/{settings.microsoft365.tenant}/activity/feed"
    return Graph(settings, tokens, base=base, challenge=tokens.challenge, shared=True)


def tenant_of_worker(settings: Settings) -> str:
    """Return the id of the tenant of the settings, which may name it by a domain; that is asked once."""
    given = settings.microsoft365.tenant.lower()
    if _GUID.fullmatch(given):
        return given
    key = (places(settings).login, given)
    if key not in _tenants:
        found = str(confidential_application(settings).authority.tenant).lower()
        _tenants[key] = found if _GUID.fullmatch(found) else given
    return _tenants[key]


_tenants: dict[tuple[str, str], str] = {}


class ApplicationTokens:
    """Tokens of the application itself, kept in memory as long as they are good."""

    def __init__(self, settings: Settings, scope: str) -> None:
        self._settings = settings
        self._scope = scope
        self._application: Any = None
        self._lock = threading.Lock()

    def __call__(self, force: bool) -> str:
        """Return a token; raises `SignInNeeded` if the login service refuses the application."""
        return self._acquire(anew=force)

    def challenge(self, claims: str) -> str:
        """Return a token that meets the claims; raises `SignInNeeded` if the login service gives none."""
        return self._acquire(anew=False, claims_challenge=claims)

    def _acquire(self, *, anew: bool, **how: str) -> str:
        with self._lock:
            if self._application is None or anew:  # MSAL gives what it has until it expires: begin anew
                self._application = confidential_application(self._settings)
            answer = self._application.acquire_token_for_client([self._scope], **how)
        if isinstance(token := answer.get("access_token"), str):
            return token
        raise refused(answer)


# AADSTS codes that tell of a wrong setting rather than of a person or a moment.
_NO_SECRET = {7000215, 7000222, 700027, 700016, 7000112}
_NO_TENANT = {90002, 900023}
_BUSY = {90033, 90024, 50196}


def refused(answer: dict[str, Any]) -> SignInNeeded | AccessDenied | SettingsError | SourceUnavailable:
    """Return the error of ours for what the login service answered to an application."""
    error, codes = str(answer.get("error", "unknown")), set(answer.get("error_codes") or ())
    told = f"The login service of Microsoft 365 refuses the application ({reason(answer)})."
    if codes & _NO_TENANT or error == "invalid_tenant":
        return SettingsError(f"{told} Check microsoft365.tenant and microsoft365.cloud.")
    if codes & _BUSY or error in {"temporarily_unavailable", "server_error"}:
        return SourceUnavailable(f"{told} Try again later.")
    if error in {"invalid_client", "unauthorized_client"} or codes & _NO_SECRET:
        return SignInNeeded(
            f"{told} Check microsoft365.client_id; its secret or certificate may have expired:"
            " an administrator makes a new one in Entra."
        )
    return AccessDenied(f"{told} An administrator has to consent to its permissions, see docs/how-to/microsoft365.md.")


def reason(answer: dict[str, Any]) -> str:
    """Return what identifies an error of the login service: its name and numbers, none of its text."""
    codes = [f"AADSTS{code}" for code in answer.get("error_codes") or () if isinstance(code, int)]
    parts = [str(answer.get("error", "unknown")), *codes, str(answer.get("suberror") or "")]
    return ", ".join(part[:64] for part in parts if part)
