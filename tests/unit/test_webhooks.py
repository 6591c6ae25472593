"""Webhooks without a server: where they may go, and how they are signed."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import datetime
from pathlib import Path

import pytest

from data_platform.errors import SettingsError, UnknownSource, UnsafeLink
from data_platform.settings import Settings, load
from populate.notes.webhook import headers_of, hook_key, hook_link

KEY = "k" * 32
GOOD = "https://hooks.example.org:8443/data"


def settings_of(home: Path, **changes: object) -> Settings:
    told = {"webhook_hosts": ("hooks.example.org", "10.0.0.5:80"), "webhook_key": KEY, **changes}
    return load(home=home, database={"backend": "postgresql"}, subscriptions=told)


def test_a_webhook_goes_where_the_settings_say(tmp_path: Path) -> None:
    assert hook_link(f" {GOOD} ", settings_of(tmp_path)).url == GOOD


@pytest.mark.parametrize(
    ("url", "error", "why"),
    [
        ("https://evil.example.org/", UnsafeLink, "must not go to evil.example.org"),
        ("https://hooks.example.org.evil.example/", UnsafeLink, "must not go"),
        ("https://hooks.example.org@evil.example/", UnsafeLink, "not a plain name"),
        ("https://169.254.169.254/latest", UnsafeLink, "must not go"),
        ("http://hooks.example.org/", UnsafeLink, "plain http"),
        ("http://10.0.0.5/", UnsafeLink, "plain http"),
        ("https://hooks.example.org/?token=SECRETTOKEN1", UnsafeLink, "no secret"),
        (f"{GOOD}/{'x' * 1024}", UnsafeLink, "Give a shorter one"),
        ("file:///etc/passwd", UnknownSource, "https"),
        ("hooks.example.org", UnknownSource, "https"),
    ],
)
def test_and_nowhere_else(url: str, error: type[Exception], why: str, tmp_path: Path) -> None:
    with pytest.raises(error, match=why) as caught:
        hook_link(url, settings_of(tmp_path))
    assert "SECRETTOKEN1" not in str(caught.value)


def test_without_hosts_it_goes_nowhere_and_a_wrong_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnsafeLink):
        hook_link(GOOD, settings_of(tmp_path, webhook_hosts=()))
    with pytest.raises(SettingsError, match=r"subscriptions\.webhook_hosts"):
        hook_link(GOOD, settings_of(tmp_path, webhook_hosts=("https://hooks.example.org/",)))


def test_each_address_has_a_key_of_its_own(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    keys = {hook_key(url, settings) for url in (GOOD, f"{GOOD}2", GOOD)}
    assert len(keys) == 2
    assert all(len(base64.b64decode(key.removeprefix("whsec_"))) == 32 for key in keys)
    assert hook_key(GOOD, settings_of(tmp_path, webhook_key="x" * 32)) not in keys
    with pytest.raises(SettingsError, match=r"subscriptions\.webhook_key"):
        hook_key(GOOD, settings_of(tmp_path, webhook_key=""))
    with pytest.raises(SettingsError, match="at least 32"):
        settings_of(tmp_path, webhook_key="short")


def test_a_signature_is_that_of_standard_webhooks() -> None:
    body, key = b'{"test": 2432232314}', b"key of this address"
    headers = headers_of("msg_1", datetime(2021, 2, 25, 14, 55, 30), body, key)
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == ("msg_1", "1614264930")
    expected = hmac.new(key, b'msg_1.1614264930.{"test": 2432232314}', hashlib.sha256).digest()
    assert headers["webhook-signature"] == "v1," + base64.b64encode(expected).decode()
