"""Pieces of statements to the index on the server."""

from __future__ import annotations

from typing import Any

Sql = tuple[str, list[Any]]
"""A piece of a statement, and its arguments."""

_IN_PATTERNS = str.maketrans({letter: f"\\{letter}" for letter in "\\%_"})


def quoted(word: str) -> str:
    """Return a word as a ``tsquery`` has it."""
    return "'" + word.replace("\\", "\\\\").replace("'", "''") + "'"


def beginning(word: str) -> str:
    """Return the pattern of ``LIKE`` that fits what begins so."""
    return f"{word.translate(_IN_PATTERNS)}%"


def bits(word: str) -> int:
    """Return which letters a word has, as bits: of words with one letter changed at most two of them differ."""
    found = 0
    for letter in word:
        found |= 1 << (ord(letter) % 31)
    return found
