"""The section of the dashboard: how people sign in there, and what each may see."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, StringConstraints, field_validator, model_validator

from data_platform.settings.sections import _Section

KEY_LENGTH = 32
ANYBODY = frozenset({"common", "organizations", "consumers"})
"""Parts of addresses at which Microsoft signs in people of any organisation."""


class DashboardSettings(_Section):
    """Who signs in at the dashboard, and who has which role there."""

    oidc_url: str = Field(
        "",
        description="where people's sign-in describes itself, as https://HOST/.well-known/openid-configuration; empty "
        "= nobody signs in",
    )
    client_id: str = Field("", description="the dashboard's own id at that provider")
    client_secret: SecretStr = Field(SecretStr(""), description="belongs to `client_id`")
    cookie_key: SecretStr = Field(
        SecretStr(""),
        description="signs what browsers keep; empty = another at each start, so that all sign in again",
    )
    url: str = Field("", description="address that people reach the dashboard at; empty = `questions.url`")
    claim: str = Field(
        "preferred_username", description="which of the provider's words is the login; with Entra take oid"
    )
    realm: str = Field(
        "", max_length=255, description="directory of these logins; empty = `realm`; with Entra entra/TENANT-ID"
    )
    sign_in_hours: float = Field(12.0, gt=0, le=720, description="after this long people sign in again")
    stewards: tuple[str, ...] = Field((), description="logins, or group:ID of a directory's group, who govern")
    managers: tuple[str, ...] = Field((), description="likewise who see figures of all departments")
    engineers: tuple[str, ...] = Field((), description="likewise who operate the platform")
    entry_schemas: tuple[Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")], ...] = Field(
        (), description="DataJoint schemas of a laboratory's own that everybody may enter rows into by forms"
    )
    user: str = Field("", description="login at the database that adds what people enter; empty = `database.user`")
    password: SecretStr = Field(SecretStr(""), description="of that login")

    @field_validator("oidc_url", mode="after")
    @classmethod
    def _safe(cls, url: str) -> str:
        parts = urlsplit(url)
        if url and not (parts.scheme == "https" or (parts.scheme == "http" and _is_here(parts.hostname or ""))):
            raise ValueError("it has to begin with https://")
        if ANYBODY & set(parts.path.lower().split("/")):
            raise ValueError("name your own organisation in it: there people of any organisation sign in")
        return url

    @field_validator("cookie_key", mode="after")
    @classmethod
    def _long(cls, key: SecretStr) -> SecretStr:
        if 0 < len(key.get_secret_value()) < KEY_LENGTH:
            raise ValueError(f"a key has at least {KEY_LENGTH} characters")
        return key

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.oidc_url and not (self.client_id and self.client_secret.get_secret_value()):
            raise ValueError("oidc_url needs client_id and client_secret, too")
        return self

    @property
    def signs_in(self) -> bool:
        """Whether people have to sign in."""
        return bool(self.oidc_url)


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
