"""Hands the settings of the sign-in to Streamlit, which takes them from a file only."""

from __future__ import annotations

import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from data_platform.errors import MissingExtra, SettingsError
from data_platform.settings import Settings

CALLBACK = "/oauth2callback"


@contextmanager
def sign_in_file(configured: Settings) -> Iterator[Path | None]:
    """Write the settings of the sign-in where only this user reads them, for as long as the block runs.

    Yields None where nobody signs in.

    Raises
    ------
    MissingExtra
        If the package that signs in is not installed.
    SettingsError
        If no address is set that people could be sent back to.
    """
    if not configured.dashboard.signs_in:
        yield None
        return
    if find_spec("authlib") is None:
        raise MissingExtra("Signing in needs Authlib. Install it with `pip install 'data-platform[platform]'`.")
    with tempfile.TemporaryDirectory(prefix="data-platform-") as folder:
        file = Path(folder) / "secrets.toml"
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            opened.write(_toml(configured))
        yield file


def address_of(configured: Settings) -> str:
    """Return the address that people reach the dashboard at, without a slash at its end."""
    address = (configured.dashboard.url or configured.questions.url).rstrip("/")
    if not address.startswith(("https://", "http://")):
        raise SettingsError(f"The dashboard's address {address!r} is none of the web. Set dashboard.url to https://…")
    return address


def _toml(configured: Settings) -> str:
    dashboard = configured.dashboard
    values = {
        "redirect_uri": address_of(configured) + CALLBACK,
        # Without a lasting key people sign in again whenever the dashboard is started.
        "cookie_secret": dashboard.cookie_key.get_secret_value() or secrets.token_hex(32),
        "client_id": dashboard.client_id,
        "client_secret": dashboard.client_secret.get_secret_value(),
        "server_metadata_url": dashboard.oidc_url,
    }
    # A JSON string is a TOML string.
    return "[auth]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())
