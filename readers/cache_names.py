"""Turns names from source systems into names that are safe on this machine.

A name from outside is data: it may hold ``../``, NUL, a drive letter, 1,000 bytes, or marks
that turn the direction of text so that ``exe.csv`` is shown as ``vsc.exe``. What an analyst
may rely on is kept: letters of all scripts, blanks, dots, dashes, and the suffixes by which
readers recognise a format.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import PurePosixPath

MAX_BYTES = 255
"""The longest name that the usual file systems take."""

_SUFFIX_BYTES = 40
_DIGEST_DIGITS = 8
# Separators of any system; control characters; marks that turn the direction of text; line
# separators; surrogates that stand for no byte; and the wildcards that DuckDB and Polars
# expand when they are handed such a path, which would make them read its neighbours too.
_UNSAFE = re.compile(
    "[/\\\\*?\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udc7f\udd00-\udfff]"
)
_DRIVE = re.compile(r"([A-Za-z]):")


@lru_cache(maxsize=4096)
def safe_name(name: str) -> str:
    """Return one path component, at most 255 bytes, that is `name` wherever it can be.

    Reserved names of other systems (``CON``, ``aux.csv``) are kept: they are ordinary here.
    """
    safe = _UNSAFE.sub("_", name)
    safe = _DRIVE.sub(r"\1_", safe) if _DRIVE.match(safe) else safe
    if safe.strip(". ") == "":
        safe = "_" * max(1, len(safe))
    return _marked(safe, name) if len(os.fsencode(safe)) > MAX_BYTES else safe


def safe_paths(paths: Iterable[str]) -> dict[str, str]:
    """Map each path within a file set to a safe relative path; no two share one.

    Parts that would fall together (``a*b`` and ``a?b``; a key that is both a file and the
    prefix of others) are told apart by a digest. The result depends on `paths` only, not
    on their order.
    """
    folders = {"": ""}
    taken: set[bytes] = set()
    mapped: dict[str, str] = {}
    for path in sorted(paths):
        parent = ""
        *parts, last = path.split("/")
        for part in parts:
            key = f"{parent}/{part}"
            if key not in folders:
                folders[key] = _unique(folders[parent], part, key, taken)
            parent = key
        mapped[path] = _unique(folders[parent], last, path, taken)
    return mapped


def _unique(parent: str, part: str, origin: str, taken: set[bytes]) -> str:
    """Return a safe path for `part` within the safe path `parent` that is not taken, and take it."""
    prefix = f"{parent}/" if parent else ""
    path = prefix + safe_name(part)
    count = 0
    while os.fsencode(path) in taken:
        count += 1
        path = prefix + _marked(safe_name(part), f"{origin}\x00{count}")
    taken.add(os.fsencode(path))
    return path


def _marked(safe: str, origin: str) -> str:
    """Return `safe` with a digest of `origin` before its suffixes, within the limit."""
    digest = hashlib.sha256(origin.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_DIGITS]
    stem, suffix = _split(safe)
    room = MAX_BYTES - len(os.fsencode(suffix)) - _DIGEST_DIGITS - 1
    return f"{_cut(stem, room)}-{digest}{suffix}"


def _split(name: str) -> tuple[str, str]:
    """Split off up to two suffixes, as in ``counts.tsv.gz``, unless they are too long to be any."""
    stem, suffix = name, ""
    for _ in range(2):
        last = PurePosixPath(stem).suffix
        if not last or len(os.fsencode(last + suffix)) > _SUFFIX_BYTES:
            break
        stem, suffix = stem[: -len(last)], last + suffix
    return stem, suffix


def _cut(text: str, size: int) -> str:
    """Return the longest beginning of `text` of at most `size` bytes, without half a character."""
    while len(os.fsencode(text)) > size:
        text = text[: max(0, min(len(text) - 1, size))]
    return text
