"""Tokens: who has which, for what, until when."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from servers.microsoft365.people import Application, User
from servers.microsoft365.tenant import Tenant
from servers.microsoft365.web import Refusal

GRAPH = "https://graph.microsoft.com"
AUDIT = "https://manage.office.com"
REFRESH_DAYS = 90
OPENID = frozenset({"openid", "profile", "offline_access", "email"})
BY_THEMSELVES = frozenset(
    {"User.Read", "User.ReadBasic.All", "Files.Read", "Files.ReadWrite", "Files.Read.All", "Files.ReadWrite.All"}
    | {"Sites.Read.All", "Sites.ReadWrite.All", "Chat.Create", "ChatMessage.Send", "Mail.Send"}
)
"""Delegated permissions that people may consent to without an administrator."""


@dataclass(frozen=True)
class Token:
    """An access token; without a user it is the application's own."""

    text: str
    application: Application
    user: User | None
    audience: str
    permissions: frozenset[str]
    issued: datetime
    expires: datetime
    claims: int = 0

    def has(self, *permissions: str) -> bool:
        """Tell whether it holds one of these permissions."""
        return not self.permissions.isdisjoint(permissions)


@dataclass
class RefreshToken:
    application: Application
    user: User
    scopes: frozenset[str]
    used: datetime


@dataclass
class Tokens:
    """All tokens that were given out, which only this service can read."""

    tenant: Tenant
    seconds: int = 3599
    access: dict[str, Token] = field(default_factory=dict)
    refresh: dict[str, RefreshToken] = field(default_factory=dict)
    challenged: dict[str, datetime] = field(default_factory=dict)
    """For id of user or client: tokens from before this need the claims of the challenge."""

    def issue(
        self, application: Application, user: User | None, audience: str, permissions: frozenset[str], claims: int
    ) -> Token:
        now = self.tenant.now()
        text = f"eyJ0eXAiOiJKV1QiLCJub25jZSI6.{self.tenant.new_token(60)}.{self.tenant.new_token(60)}"
        until = now + timedelta(seconds=self.seconds)
        token = Token(text, application, user, audience, permissions, now, until, claims)
        self.access[text] = token
        return token

    def remember(self, application: Application, user: User, scopes: frozenset[str]) -> str:
        """Give out a refresh token."""
        text = f"0.{self.tenant.new_token(90)}"
        self.refresh[text] = RefreshToken(application, user, scopes, self.tenant.now())
        return text

    def revoke(self, user: User) -> None:
        """End all sessions of somebody ("Revoke sessions"); access tokens live on until they expire."""
        self.refresh = {text: found for text, found in self.refresh.items() if found.user is not user}

    def check(self, header: str, audience: str) -> Token:
        """Return the token of an Authorization header.

        Raises
        ------
        Refusal
            401, if there is none, or it is not one, for another service, expired or challenged.
        """
        kind, _, text = header.partition(" ")
        if kind.lower() != "bearer" or not text:
            raise _unauthenticated("Access token is empty.")
        token = self.access.get(text.strip())
        if token is None:
            raise _unauthenticated("CompactToken validation failed with reason code: 80049217.")
        if token.audience != audience:
            raise _unauthenticated("Access token validation failure. Invalid audience.")
        if token.expires <= self.tenant.now():
            raise _unauthenticated("Lifetime validation failed, the token is expired.")
        self._judge_claims(token)
        return token

    def _judge_claims(self, token: Token) -> None:
        key = token.user.id if token.user else token.application.client_id
        since = self.challenged.get(key)
        if since is not None and token.claims < int(since.timestamp()):
            raise Refusal(
                401,
                "InvalidAuthenticationToken",
                "Continuous access evaluation resulted in challenge with result: InteractionRequired.",
                WWW_Authenticate=challenge(since),
            )


def challenge(since: datetime) -> str:
    """Return the header of a claims challenge."""
    claims = {"access_token": {"nbf": {"essential": True, "value": str(int(since.timestamp()))}}}
    encoded = base64.b64encode(json.dumps(claims).encode()).decode()
    return (
        'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", '
        f'client_id="00000003-0000-0000-c000-000000000000", error="insufficient_claims", claims="{encoded}"'
    )


def _unauthenticated(message: str) -> Refusal:
    return Refusal(
        401, "InvalidAuthenticationToken", message, WWW_Authenticate='Bearer realm="", error="invalid_token"'
    )
