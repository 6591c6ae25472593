"""Signing in as a person, once; silent afterwards, until the organisation wants it anew."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from data_platform.errors import AccessDenied, SignInNeeded, SourceError, SourceUnavailable
from data_platform.settings import Settings
from readers.microsoft365.access import reason
from readers.microsoft365.accounts import Account, Accounts
from readers.microsoft365.applications import public_application
from readers.microsoft365.clouds import places

ANY_ORGANISATION = "organizations"
_BROWSER_SECONDS = 300
_SPARE_SECONDS = 300.0  # a token that ends sooner than this is not used for a long request

Show = Callable[[str], object]
"""Shows a sentence to the person who signs in."""


def sign_in(settings: Settings, show: Show, *, tenant: str = "", browser: bool = False) -> Account:
    """Let somebody sign in, and let them be who reads from now on.

    Parameters
    ----------
    tenant
        Where the account is to be used; empty = the one of the settings, else the account's own.
    browser
        Open a browser on this machine instead of showing a code to enter on any other.

    Raises
    ------
    SignInNeeded, AccessDenied
        If it was not completed, or refused.
    """
    from readers.microsoft365.token_cache import token_cache

    accounts = Accounts(settings)
    where = tenant or settings.microsoft365.tenant or ANY_ORGANISATION
    application = public_application(settings, where, token_cache(settings))
    before = accounts.current()
    # What an earlier token failed to prove, the new one has to.
    claims = before.claims if before is not None else ""
    way = _by_browser if browser else _by_code
    answer = way(application, scopes(settings), claims or None, show)
    if "access_token" not in answer:
        raise refused(answer, "")
    account = _account(application, answer)
    accounts.put_first(account)
    if other := accounts.named_instead(account):
        show(
            f"The setting microsoft365.account names {other}, so reads stay recorded as theirs. "
            f"Set it to {account.name} to read as the one who signed in now."
        )
    return account


def sign_out(settings: Settings, account: Account) -> None:
    """Forget somebody's sign-in on this machine."""
    from readers.microsoft365.token_cache import token_cache

    cache = token_cache(settings)
    cache.refresh()
    for found in list(cache.search(cache.CredentialType.ACCOUNT, query={"home_account_id": account.home})):
        _forget(cache, found)
    Accounts(settings).remove(account)


def scopes(settings: Settings) -> list[str]:
    """Return what a person's token is asked for, in full where another cloud than the usual one is meant."""
    resource = places(settings).resource
    return [scope if "://" in scope else f"{resource}/{scope}" for scope in settings.microsoft365.scopes]


class PersonTokens:
    """Tokens of a person who is signed in, renewed without asking as long as that is allowed."""

    def __init__(self, settings: Settings, account: Account) -> None:
        self._settings = settings
        self._account = account
        self._application: Any = None
        self._cache: Any = None
        self._lock = threading.Lock()
        self._token, self._until = "", 0.0

    def __call__(self, force: bool) -> str:
        """Return a token; raises `SignInNeeded` if the person has to sign in anew."""
        with self._lock:
            if force or time.monotonic() > self._until:
                self._renew(force_refresh=force)
            return self._token

    def challenge(self, claims: str) -> str:
        """Return a token that meets the claims; raises `SignInNeeded` if only the person can meet them."""
        with self._lock:
            try:
                self._renew(claims_challenge=claims)
            except SignInNeeded:
                Accounts(self._settings).demand(self._account, claims)
                raise
            return self._token

    def _renew(self, **how: Any) -> None:
        if self._application is None:
            from readers.microsoft365.token_cache import token_cache

            self._cache = token_cache(self._settings)
            self._application = public_application(self._settings, self._account.tenant, self._cache)
        self._cache.refresh()
        found = next(
            (one for one in self._application.get_accounts() if one["home_account_id"] == self._account.home), None
        )
        if found is None:
            raise refused({"error": "no_account"}, self._account.name)
        answer = self._application.acquire_token_silent_with_error(scopes(self._settings), found, **how)
        if not answer or "access_token" not in answer:
            raise refused(answer or {"error": "no_token"}, self._account.name)
        self._token = str(answer["access_token"])
        self._until = time.monotonic() + float(answer.get("expires_in", 0)) - _SPARE_SECONDS


def refused(answer: dict[str, Any], name: str) -> SourceError:
    """Return the error of ours for what the login service answered about a person, with what to do."""
    error, codes = str(answer.get("error", "unknown")), set(answer.get("error_codes") or ())
    why, who = reason(answer), f"{name}: " if name else ""
    for kind, applies, sentence in _MEANINGS:
        if applies(error, codes, str(answer.get("suberror") or "")):
            return kind(f"{who}{sentence.format(why=why)}")
    return SignInNeeded(f"{who}the sign-in has expired or was ended ({why}). Run `data-platform login`.")


_Applies = Callable[[str, set[int], str], bool]
_MEANINGS: tuple[tuple[type[SourceError], _Applies, str], ...] = (
    (
        SourceUnavailable,
        lambda error, codes, suberror: error in {"temporarily_unavailable", "server_error"},
        "the login service of Microsoft 365 is not there just now ({why}). Try again later.",
    ),
    (
        AccessDenied,
        lambda error, codes, suberror: bool(codes & {50034, 50053, 50057}),
        "this account is closed or locked ({why}). Ask an administrator.",
    ),
    (
        SignInNeeded,
        lambda error, codes, suberror: bool(codes & {65001, 90094}) or suberror == "consent_required",
        "nobody has consented yet to what data-platform asks for ({why})."
        " Run `data-platform login`, or ask an administrator to consent for all.",
    ),
    (
        SignInNeeded,
        lambda error, codes, suberror: (
            bool(codes & {50072, 50074, 50076, 50079, 50158, 53003}) or error == "interaction_required"
        ),
        "the organisation wants another proof of who this is ({why}). Run `data-platform login`.",
    ),
    (
        SignInNeeded,
        lambda error, codes, suberror: error in {"authorization_declined", "access_denied"},
        "the sign-in was declined ({why}). Run `data-platform login` to try once more.",
    ),
    (
        SignInNeeded,
        lambda error, codes, suberror: error in {"expired_token", "code_expired", "authorization_pending", "timeout"},
        "nobody signed in in time ({why}). Run `data-platform login` once more.",
    ),
    (
        AccessDenied,
        lambda error, codes, suberror: error in {"invalid_client", "unauthorized_client"},
        "the login service does not accept this application for people ({why}). Check microsoft365.client_id;"
        " an administrator has to allow public client flows, see docs/how-to/microsoft365.md.",
    ),
)


def _by_code(application: Any, wanted: list[str], claims: str | None, show: Show) -> dict[str, Any]:
    flow = application.initiate_device_flow(wanted, claims_challenge=claims)
    if "user_code" not in flow:
        return dict(flow)
    show(f"Open {flow['verification_uri']} in any browser, enter the code {flow['user_code']} and sign in.")
    while True:
        try:
            return dict(application.acquire_token_by_device_flow(flow, claims_challenge=claims))
        except SourceUnavailable:
            if time.time() > flow.get("expires_at", 0):
                raise
            time.sleep(float(flow.get("interval", 5)))


def _by_browser(application: Any, wanted: list[str], claims: str | None, show: Show) -> dict[str, Any]:
    show("A browser opens; sign in there.")
    return dict(
        application.acquire_token_interactive(
            wanted, prompt="select_account", timeout=_BROWSER_SECONDS, claims_challenge=claims
        )
        or {"error": "timeout"}
    )


def _account(application: Any, answer: dict[str, Any]) -> Account:
    claims = answer.get("id_token_claims") or {}
    tenant, inner = str(claims.get("tid", "")).lower(), str(claims.get("oid", "")).lower()
    if not (tenant and inner):
        raise AccessDenied(
            "The login service does not say who signed in. Ask an administrator to check the application."
        )
    name = str(claims.get("preferred_username") or claims.get("upn") or claims.get("email") or inner)
    # A guest is kept under the id of the own tenant, which is another one than here.
    homes = {str(one.get("local_account_id", "")).lower(): one["home_account_id"] for one in application.get_accounts()}
    return Account(tenant, inner, name, homes.get(inner, f"{inner}.{tenant}"))


def _forget(cache: Any, account: dict[str, Any]) -> None:
    kinds = cache.CredentialType
    same = {"home_account_id": account["home_account_id"], "environment": account["environment"]}
    for kind, remove in (
        (kinds.REFRESH_TOKEN, cache.remove_rt),
        (kinds.ACCESS_TOKEN, cache.remove_at),
        (kinds.ID_TOKEN, cache.remove_idt),
    ):
        for entry in list(cache.search(kind, query=same)):
            remove(entry)
    cache.remove_account(account)
