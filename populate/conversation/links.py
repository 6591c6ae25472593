"""Signed links: who holds one may answer one question as the one person that it was sent to.

A token is what it is about (question, person, when it ends) and an HMAC-SHA256 over that, in
the letters of URLs. Nothing of it is stored. There is one spelling of each token, so that a
changed letter is always noticed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import os
import secrets
import stat
import struct
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

from data_platform.errors import LinkRefused, SettingsError
from data_platform.settings import Settings

KEY_FILE = "question-links.key"
_PURPOSE = b"data-platform link to answer a question, 1\0"  # a signature made for anything else is none here
_CLAIMS = struct.Struct(">16s16sQ")
_TOKEN_BYTES = _CLAIMS.size + hashlib.sha256().digest_size
_ASK_AGAIN = "Wait for the next mail about it, or ask whoever runs the catalogue for another link."


@dataclass(frozen=True, slots=True)
class Link:
    """What a token stands for; `until` is UTC."""

    question_id: str
    person_id: str
    until: datetime


def token_of(link: Link, key: bytes) -> str:
    """Return the token of a link, about 120 letters."""
    until = int(link.until.replace(tzinfo=UTC).timestamp())
    claims = _CLAIMS.pack(bytes.fromhex(link.question_id), bytes.fromhex(link.person_id), until)
    return base64.urlsafe_b64encode(claims + _signature(claims, key)).decode().rstrip("=")


def link_of(token: str, key: bytes, now: datetime) -> Link:
    """Return what a token stands for.

    Raises
    ------
    LinkRefused
        If it was not made with this key, or has expired.
    """
    claims = _verified(token, key)
    question, person, until = _CLAIMS.unpack(claims)
    link = Link(question.hex(), person.hex(), datetime.fromtimestamp(until, UTC).replace(tzinfo=None))
    if now >= link.until:
        raise LinkRefused(f"This link was good until {link.until:%d %B %Y}. {_ASK_AGAIN}")
    return link


def _verified(token: str, key: bytes) -> bytes:
    """Return the claims of a token whose signature is good."""
    data = b""
    with suppress(ValueError, binascii.Error):
        data = base64.b64decode(token.encode("ascii") + b"=" * (-len(token) % 4), b"-_", validate=True)
    claims, signature = data[: _CLAIMS.size], data[_CLAIMS.size :]
    good = hmac.compare_digest(signature, _signature(claims, key))
    # Of the last letter not all bits count: another one would say the same.
    written = base64.urlsafe_b64encode(data).decode().rstrip("=")
    if len(data) != _TOKEN_BYTES or not good or written != token:
        raise LinkRefused(f"This link is not whole, or not one of ours. Open it as it stands in the mail. {_ASK_AGAIN}")
    return claims


def _signature(claims: bytes, key: bytes) -> bytes:
    return hmac.digest(key, _PURPOSE + claims, "sha256")


def address_of(token: str, settings: Settings) -> str:
    """Return the address of the page where the question can be answered."""
    return f"{settings.questions.url.rstrip('/')}/?token={quote(token, safe='')}"


def refuse_loopback(settings: Settings) -> None:
    """Raise `SettingsError` if links would lead whoever gets them to their own machine.

    They may if the setting ``questions.url`` says so in so many words and the mail server is on
    this machine, too: that is a trial by somebody alone.
    """
    if not _is_loopback(urlsplit(settings.questions.url).hostname or ""):
        return
    if "url" in settings.questions.model_fields_set and _is_loopback(settings.mail.host):
        return
    raise SettingsError(
        f"The links in mails would lead to {settings.questions.url}, which is everybody's own machine. Set "
        "questions.url to the address of the dashboard as those who get the mail reach it."
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def token_in(text: str) -> str:
    """Return the token in an address of the page, or `text` itself if it is none."""
    found = parse_qs(urlsplit(text.strip()).query).get("token", [text.strip()]) if "?" in text else [text.strip()]
    return found[0]


def signing_key(settings: Settings) -> bytes:
    """Return the key of the setting ``questions.key``; with the embedded database else that of a file, made if need be.

    Raises
    ------
    SettingsError
        If there is none, or others may read the file.
    """
    if configured := settings.questions.key.get_secret_value():
        return configured.encode()
    if settings.database.backend != "embedded":
        raise SettingsError(
            "Links are signed and read only where the setting questions.key is known. Set it, the same for the "
            "dashboard and whoever asks, or answer by opening the link."
        )
    file = settings.home / KEY_FILE
    if not file.exists():
        _make(file)
    if stat.S_IMODE(file.stat().st_mode) & 0o077:
        raise SettingsError(f"Others may read {file}, so links can be forged. Delete it: a new one is made.")
    return file.read_bytes()


def _make(file: Path) -> None:
    """Write a new key, whole at once; of two that do, one wins."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{KEY_FILE}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as draft_file:
            draft_file.write(secrets.token_hex(32).encode())
        with suppress(FileExistsError):
            os.link(draft, file)
    finally:
        draft.unlink()
