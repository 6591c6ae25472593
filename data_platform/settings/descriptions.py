"""The section of the settings about descriptions by a language model."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from data_platform.settings.sections import _Section


class DescriptionSettings(_Section):
    """Descriptions of runs and files by a language model; without one they are put together from their own words."""

    url: str = Field(
        "",
        description="of an endpoint that speaks as OpenAI's does, as http://127.0.0.1:11434/v1; empty = no model is "
        "asked. A host that is not this machine has to be https, or one of http.trusted_hosts",
    )
    model: str = Field("", max_length=128, description="name of the model there")
    key: SecretStr = Field(SecretStr(""), description="that the endpoint asks for; empty = none")
    timeout_seconds: float = Field(120.0, gt=0, description="for one answer")
    longest: int = Field(400, ge=40, le=1000, description="characters of a description; the rest is cut off")

    @field_validator("url", mode="after")
    @classmethod
    def _plain(cls, url: str) -> str:
        parts = urlsplit(url)
        if url and (parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.username):
            raise ValueError("it has to be http://HOST/v1 or https://HOST/v1, without login and query")
        return url.rstrip("/")
