"""Identities that any process computes alike, so that nobody has to ask a database for one.

All are the first 128 bits of a SHA-256 over the length-prefixed parts, as 32 hex digits:
long, case-bearing or odd text never becomes a key (MySQL compares text without case,
PostgreSQL does not, and neither indexes a long path).
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from functools import lru_cache
from typing import Any

ID_DIGITS = 32


def identity(kind: str, *parts: str) -> str:
    """Return the 32-digit identity of `parts`; `kind` keeps the families apart."""
    digits: str = _digest(kind, *parts).hexdigest()
    return digits[:ID_DIGITS]


def _digest(*parts: str) -> Any:
    digest = hashlib.sha256()
    for part in parts:
        data = _raw(part)
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest


def _raw(text: str) -> bytes:
    """Return the bytes that a file name was made of; other lone surrogates, as in broken JSON, as they are."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def normal_login(login: str) -> str:
    """Return `login` as directories compare it: composed, without case or outer blanks."""
    return unicodedata.normalize("NFC", login).strip().casefold()


def account_id(realm: str, login: str) -> str:
    """Identity of a login within its directory."""
    return identity("account", normal_login(realm), normal_login(login))


def file_id(source_system: str, item_id: str) -> str:
    """Identity of an item within its source system."""
    digest, data = _digest_of_system(source_system).copy(), _raw(item_id)
    digest.update(len(data).to_bytes(8, "big") + data)
    digits: str = digest.hexdigest()
    return digits[:ID_DIGITS]


@lru_cache(maxsize=64)
def _digest_of_system(source_system: str) -> Any:
    """Return where the identities of all files of a system begin; never updated, only copied."""
    return _digest("file", source_system)


def version_id(revision: str, sha256: str) -> str:
    """Identity of a version within its file: the source's token and the bytes received.

    The token alone does not do: sources are known to hand out other bytes under an
    unchanged token (SharePoint rewriting Office files, clocks of coarse resolution).
    """
    return identity("version", revision, sha256)


def name_id(file_path: str) -> str:
    """Identity of a name that a file had."""
    return identity("name", file_path)


def display_text(raw: str | bytes | os.PathLike[str]) -> str:
    """Return text that every database stores: no NUL, no lone surrogate.

    File names are bytes on Linux; what is not UTF-8 is shown with backslashes, as
    ``caf\\xe9.csv``. Only for display: identities are taken over the raw text.
    """
    data = raw if isinstance(raw, bytes) else _raw(os.fspath(raw))
    return data.decode("utf-8", "backslashreplace").replace("\x00", "\\x00")
