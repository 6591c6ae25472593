"""Signing in: discovery, device code, authorization code with PKCE, client credentials, refresh."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import timedelta
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from servers.microsoft365 import assertions
from servers.microsoft365.desk import Code, Device
from servers.microsoft365.people import Application, User
from servers.microsoft365.tokens import AUDIT, BY_THEMSELVES, GRAPH, OPENID, REFRESH_DAYS
from servers.microsoft365.web import Answer, Request, Routes
from servers.microsoft365.world import Json

if TYPE_CHECKING:
    from servers.microsoft365.tenant import Tenant

routes = Routes()
COMMON = ("common", "organizations")


class Denied(Exception):
    """A sign-in that fails, in the form of OAuth; the number is that of the AADSTS message."""

    def __init__(self, error: str, number: int, message: str, status: int = 400, **more: str) -> None:
        super().__init__(message)
        self.status = status
        self.body: Json = {"error": error, "error_description": f"AADSTS{number}: {message}"}
        self.body |= {"error_codes": [number], **more}


@routes("GET", "/{tenant}/v2.0/.well-known/openid-configuration")
def discovery(request: Request, tenant: str) -> Answer:
    _known(request, tenant)
    base = f"{request.origin}/{tenant}"
    issuer_tenant = "{tenantid}" if tenant in COMMON else tenant
    return Answer(
        200,
        {
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
            "jwks_uri": f"{base}/discovery/v2.0/keys",
            "response_modes_supported": ["query", "fragment", "form_post"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": ["code", "id_token", "code id_token"],
            "scopes_supported": sorted(OPENID),
            "issuer": f"https://login.microsoftonline.com/{issuer_tenant}/v2.0",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
            "end_session_endpoint": f"{base}/oauth2/v2.0/logout",
        },
    )


@routes("POST", "/{tenant}/oauth2/v2.0/devicecode")
def device_code(request: Request, tenant: str) -> Answer:
    form = request.form()
    app = _application(request, form)
    scopes = _requested(request.world, app, form)
    code, user_code = request.world.new_token(60), _user_code(request.world)
    expires = request.world.now() + timedelta(minutes=15)
    request.server.desk.devices[code] = Device(app, user_code, scopes, expires)
    page = f"{request.origin}/common/oauth2/deviceauth"
    return Answer(
        200,
        {
            "user_code": user_code,
            "device_code": code,
            "verification_uri": page,
            "expires_in": 900,
            "interval": request.server.desk.interval,
            "message": f"To sign in, use a web browser to open the page {page} and enter the code {user_code}.",
        },
    )


@routes("GET", "/{tenant}/oauth2/v2.0/authorize")
def authorize(request: Request, tenant: str) -> Answer:
    """Send the browser back with a code at once if somebody sits at it; else with a refusal."""
    asked = request.options
    app = _application(request, asked)
    redirect = asked.get("redirect_uri", "")
    if urlsplit(redirect).hostname not in ("localhost", "127.0.0.1"):
        raise Denied("invalid_request", 50011, "The redirect URI specified does not match those of the application.")
    user = request.server.desk.browser
    if user is None:
        back = {"error": "access_denied", "error_description": "AADSTS65004: User declined to consent."}
    else:
        code = request.world.new_token(60)
        request.server.desk.codes[code] = Code(
            app,
            user,
            _requested(request.world, app, asked),
            redirect,
            asked.get("code_challenge", ""),
            asked.get("nonce", ""),
            request.world.now() + timedelta(minutes=10),
        )
        back = {"code": code, "client_info": _client_info(request.world, user)}
    back["state"] = asked.get("state", "")
    if asked.get("response_mode") == "form_post":
        return Answer(200, _page(redirect, back), {"Content-Type": "text/html; charset=utf-8"})
    return Answer(302, b"", {"Location": f"{redirect}?{urlencode(back)}"})


@routes("POST", "/{tenant}/oauth2/v2.0/token")
def token(request: Request, tenant: str) -> Answer:
    _known(request, tenant)
    form = request.form()
    grants = {
        "client_credentials": _credentials,
        "urn:ietf:params:oauth:grant-type:device_code": _device,
        "device_code": _device,
        "authorization_code": _code,
        "refresh_token": _refresh,
    }
    grant = grants.get(form.get("grant_type", ""))
    if grant is None:
        raise Denied("unsupported_grant_type", 70003, "The app requested an unsupported grant type.")
    return Answer(200, grant(request, form), {"Cache-Control": "no-store"})


def _credentials(request: Request, form: dict[str, str]) -> Json:
    app = _application(request, form)
    if not assertions.proves(app, form, f"{request.origin}{request.path}", request.world.now()):
        raise Denied("invalid_client", 7000215, "Invalid client secret or assertion provided.", 401)
    audience, _, rest = form.get("scope", "").rpartition("/")
    if rest != ".default" or audience not in (GRAPH, AUDIT):
        raise Denied("invalid_scope", 1002012, "The scope must be of the form resource/.default.")
    found = frozenset(name for name in app.application if name.startswith("ActivityFeed.") == (audience == AUDIT))
    issued = request.server.tokens.issue(app, None, audience, found, _meets(form))
    return {"token_type": "Bearer", "expires_in": request.server.tokens.seconds, "access_token": issued.text}


def _device(request: Request, form: dict[str, str]) -> Json:
    device = request.server.desk.devices.get(form.get("device_code", ""))
    if device is None or device.used or device.application is not _application(request, form):
        raise Denied("bad_verification_code", 70019, "The device code is not valid.")
    device.polls += 1
    if device.user is None and device.polls > 1:
        device.user = request.server.desk.browser
    if device.expires <= request.world.now():
        raise Denied("expired_token", 70020, "The device code has expired.")
    if device.declined:
        raise Denied("authorization_declined", 70018, "The user declined.")
    if device.user is None:
        raise Denied("authorization_pending", 70016, "OAuth 2.0 device flow error. Authorization is pending.")
    device.used = True
    return _signed_in(request, form, device.application, device.user, device.scopes, anew=True)


def _code(request: Request, form: dict[str, str]) -> Json:
    code = request.server.desk.codes.pop(form.get("code", ""), None)
    app = _application(request, form)
    if code is None or code.application is not app or code.expires <= request.world.now():
        raise Denied("invalid_grant", 54005, "OAuth2 Authorization code was already redeemed or is not valid.")
    proof = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest()).decode()
    if form.get("redirect_uri") != code.redirect or proof.rstrip("=") != code.challenge:
        raise Denied("invalid_grant", 501481, "The Code_Verifier does not match the code_challenge.")
    return _signed_in(request, form, app, code.user, code.scopes, anew=True, nonce=code.nonce)


def _refresh(request: Request, form: dict[str, str]) -> Json:
    app, now = _application(request, form), request.world.now()
    known = request.server.tokens.refresh.get(form.get("refresh_token", ""))
    if known is None or known.application is not app:
        raise Denied(
            "invalid_grant", 50173, "The provided grant has expired due to it being revoked.", suberror="bad_token"
        )
    if known.used + timedelta(days=REFRESH_DAYS) <= now:
        raise Denied("invalid_grant", 700082, "The refresh token has expired due to inactivity.", suberror="bad_token")
    known.used = now
    scopes = _requested(request.world, app, form) if form.get("scope") else known.scopes
    return _signed_in(request, form, app, known.user, scopes, anew=False)


def _signed_in(
    request: Request,
    form: dict[str, str],
    app: Application,
    user: User,
    scopes: frozenset[str],
    *,
    anew: bool,
    nonce: str = "",
) -> Json:
    _may_sign_in(request, user, anew=anew)
    audience = AUDIT if any(scope.startswith("ActivityFeed.") for scope in scopes) else GRAPH
    named = scopes - OPENID
    issued = request.server.tokens.issue(app, user, audience, named, _meets(form))
    answer: Json = {
        "token_type": "Bearer",
        "scope": " ".join(sorted(f"{audience}/{name}" for name in named)),
        "expires_in": request.server.tokens.seconds,
        "access_token": issued.text,
        "id_token": request.server.keys.id_token(request.world, app, user, nonce, issued),
        "client_info": _client_info(request.world, user),
    }
    if "offline_access" in scopes:
        answer["refresh_token"] = request.server.tokens.remember(app, user, scopes)
    return answer


def _meets(form: dict[str, str]) -> int:
    """Return the moment that the claims of a challenge name, in seconds; 0 without claims."""
    try:
        return int(json.loads(form.get("claims", "{}")).get("access_token", {}).get("nbf", {}).get("value", 0))
    except (ValueError, AttributeError):
        raise Denied("invalid_request", 50148, "The claims are not valid JSON.") from None


def _may_sign_in(request: Request, user: User, *, anew: bool) -> None:
    number = request.server.desk.interaction.get(user.id)
    if user.deleted is not None:
        raise Denied("invalid_grant", 50034, "The user account does not exist in the directory.")
    if not user.enabled:
        raise Denied("invalid_grant", 50057, "The user account is disabled.")
    if number is not None and not anew:
        raise Denied("invalid_grant", number, "You must use multi-factor authentication.", suberror="basic_action")
    request.server.desk.interaction.pop(user.id, None)


def _requested(world: Tenant, app: Application, form: dict[str, str]) -> frozenset[str]:
    """Return the scopes that are asked for, which an administrator or the person may consent to."""
    asked = frozenset(
        name.removeprefix(f"{GRAPH}/").removeprefix(f"{AUDIT}/") for name in form.get("scope", "").split()
    )
    if ".default" in asked:
        asked = (asked - {".default"}) | app.delegated
    if refused := asked - OPENID - BY_THEMSELVES - app.delegated:
        raise Denied(
            "invalid_grant", 65001, f"Nobody has consented to {' '.join(sorted(refused))}.", suberror="consent_required"
        )
    return asked


def _application(request: Request, form: dict[str, str]) -> Application:
    app = request.world.applications.get(form.get("client_id", ""))
    if app is None:
        raise Denied("unauthorized_client", 700016, "Application was not found in the directory.")
    return app


def _page(redirect: str, fields: dict[str, str]) -> bytes:
    """Return a page that sends the answer on by itself."""
    inputs = "".join(f'<input type="hidden" name="{name}" value="{escape(v)}" />' for name, v in fields.items())
    form = f'<form method="POST" action="{escape(redirect)}">{inputs}</form>'
    return f'<html><body onload="document.forms[0].submit()">{form}</body></html>'.encode()


def _known(request: Request, tenant: str) -> None:
    known = (*COMMON, "consumers", assertions.CONSUMERS, request.world.tenant_id, request.world.domain)
    if tenant.lower() not in known:
        raise Denied("invalid_tenant", 90002, f"Tenant '{tenant}' not found.")


def _client_info(world: Tenant, user: User) -> str:
    tenant, own_id = assertions.home_of(world, user)
    info = json.dumps({"uid": own_id, "utid": tenant}).encode()
    return base64.urlsafe_b64encode(info).decode().rstrip("=")


def _user_code(world: Tenant) -> str:
    return "".join(world.random.choice("ABCDEFGHJKLMNPQRSTUVWXYZ23456789") for _ in range(9))
