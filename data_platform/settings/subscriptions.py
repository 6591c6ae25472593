"""The section of the settings about telling people that a file they follow has a new version."""

from __future__ import annotations

from pydantic import Field, SecretStr, field_validator

from data_platform.settings.sections import _Section


class SubscriptionSettings(_Section):
    """Telling people that a file which they follow has a new version."""

    mail_seconds: float = Field(
        3600.0, ge=0, description="from one mail about new versions to the next to the same person, at least"
    )
    webhook_hosts: tuple[str, ...] = Field(
        (),
        description="host or host:port that webhooks may go to; empty = to none. Only those of http.trusted_hosts"
        " may be private or speak plain http",
    )
    webhook_key: SecretStr = Field(
        SecretStr(""),
        description="signs webhooks; at least 32 random characters. With the embedded database empty = a key in HOME",
    )
    timeout_seconds: float = Field(10.0, gt=0, le=60, description="for one webhook")

    @field_validator("webhook_key", mode="after")
    @classmethod
    def _long(cls, key: SecretStr) -> SecretStr:
        if 0 < len(key.get_secret_value()) < 32:
            raise ValueError("a key has at least 32 characters")
        return key
