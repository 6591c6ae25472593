"""The section of the settings about telling an OpenLineage backend of runs."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from data_platform.settings.sections import _Section


class LineageSettings(_Section):
    """Telling an OpenLineage backend, as Marquez or DataHub, what runs read and wrote."""

    url: str = Field(
        "",
        description="where it takes events, as https://marquez.example.org/api/v1/lineage; empty = nothing is told. "
        "Whoever may look there sees the names and paths of all files. A host that is not this machine has to be "
        "https, or one of http.trusted_hosts",
    )
    token_file: Path | None = Field(None, description="file with the bearer token that it asks for; none = no token")
    timeout_seconds: float = Field(10.0, gt=0, le=60, description="for one event")

    @field_validator("url", mode="after")
    @classmethod
    def _plain(cls, url: str) -> str:
        parts = urlsplit(url)
        if url and (parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.username):
            raise ValueError("it has to be http://HOST/… or https://HOST/…, without login and query")
        return url
