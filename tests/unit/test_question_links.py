"""Signed links: good for one question and one person until a day, and for nothing else."""

from __future__ import annotations

import stat
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from data_platform.errors import LinkRefused, SettingsError
from data_platform.settings import load
from populate.conversation.links import KEY_FILE, Link, address_of, link_of, signing_key, token_of

NOW = datetime(2026, 11, 29, 12)
KEY = b"a key of at least thirty-two letters"
LINK = Link("1" * 32, "a" * 32, NOW + timedelta(days=30))
TOKEN = token_of(LINK, KEY)
SECRET = "another key, of more than 32 letters"


def test_a_token_says_what_it_is_for() -> None:
    assert link_of(TOKEN, KEY, NOW) == LINK
    assert link_of(TOKEN, KEY, LINK.until - timedelta(seconds=1)) == LINK
    assert len(TOKEN) < 150


@pytest.mark.parametrize("later", [timedelta(), timedelta(days=365)])
def test_it_ends(later: timedelta) -> None:
    with pytest.raises(LinkRefused, match="good until 29 December 2026"):
        link_of(TOKEN, KEY, LINK.until + later)


def test_each_letter_counts() -> None:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for place, letter in enumerate(TOKEN):
        for other in letters if place in (0, 60, len(TOKEN) - 1) else letters[place % 64]:
            changed = TOKEN[:place] + other + TOKEN[place + 1 :]
            if other != letter:
                with pytest.raises(LinkRefused, match="not whole"):
                    link_of(changed, KEY, NOW)


@pytest.mark.parametrize(
    "token",
    [
        *(
            "",
            "x",
            "=",
            "ä" * 120,
            TOKEN[:-1],
            f"{TOKEN}A",
            f"{TOKEN}=",
            f" {TOKEN}",
            f"{TOKEN}\n",
            "\0",
            "A" * 100_000,
        ),
        TOKEN.replace("_", "/").replace("-", "+") + "==",
        token_of(LINK, b"the key of somebody else, who forges"),
    ],
    ids=lambda token: str(token)[:12].encode("unicode-escape").decode(),
)
def test_what_we_did_not_sign_is_refused(token: str) -> None:
    with pytest.raises(LinkRefused):
        link_of(token, KEY, NOW)


def test_an_address_leads_to_the_page(tmp_path: Path) -> None:
    settings = load(home=tmp_path, questions={"url": "https://catalogue.example.org/data/"})
    address = urlsplit(address_of(TOKEN, settings))
    assert (address.netloc, address.path) == ("catalogue.example.org", "/data/")
    assert parse_qs(address.query) == {"token": [TOKEN]}


def test_the_key_is_that_of_the_setting_or_a_file_that_only_we_read(tmp_path: Path) -> None:
    assert signing_key(load(home=tmp_path, questions={"key": SECRET})) == SECRET.encode()
    assert not list(tmp_path.iterdir())
    settings = load(home=tmp_path / "home")
    made = signing_key(settings)
    assert len(made) == 64
    assert signing_key(settings) == made
    file = tmp_path / "home" / KEY_FILE
    assert [path.name for path in file.parent.iterdir()] == [KEY_FILE]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o640)
    with pytest.raises(SettingsError, match=KEY_FILE):
        signing_key(settings)


def test_a_server_needs_a_key_and_a_short_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"questions\.key"):
        signing_key(load(home=tmp_path, database={"backend": "postgresql"}))
    with pytest.raises(SettingsError, match="32 characters") as refused:
        load(home=tmp_path, questions={"key": "too short"})
    assert "too short" not in str(refused.value)
    with pytest.raises(SettingsError, match="reminder"):
        load(home=tmp_path, questions={"reminder_days": (21, 7)})
    assert SECRET not in repr(load(home=tmp_path, questions={"key": SECRET}))
