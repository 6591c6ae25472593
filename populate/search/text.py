"""From text to the words that are indexed and asked for."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from populate.who.words import words as parts_of

LONGEST = 64
"""Letters of a word that count."""


def plain_words(text: str) -> list[str]:
    """Return the words of a text in lower case, without accents: ``Läsion_47 flowRuns`` has lasion, 47, flow, runs."""
    return list(_plain(text)) if len(text) < 200 else _parted(text)


def _parted(text: str) -> list[str]:
    return [_folded(word)[:LONGEST] for word in parts_of(text)]


@lru_cache(20_000)
def _plain(text: str) -> tuple[str, ...]:
    """Names of folders, people and departments come again and again."""
    return tuple(_parted(text))


def words(text: str) -> list[str]:
    """Return the words of a text as they are indexed: plain, and English plurals as their singular."""
    return [stem(word) for word in plain_words(text)]


def _folded(word: str) -> str:
    if word.isascii():
        return word.lower()
    # Only accents of Latin, Greek and Cyrillic letters: other scripts write vowels or voicing with marks.
    decomposed = unicodedata.normalize("NFD", word)
    kept = "".join(c for c in decomposed if not "\u0300" <= c <= "\u036f")
    return unicodedata.normalize("NFC", kept).casefold()


@lru_cache(100_000)
def stem(word: str) -> str:
    """Return the singular of what looks like an English plural, by Harman's three rules."""
    if len(word) <= 3 or not word.endswith("s") or word.endswith(("us", "ss", "is", "series", "species")):
        return word
    if word.endswith("ies") and not word.endswith(("eies", "aies")):
        return word[:-3] + "y"
    return word[:-1]


def far(word: str) -> int:
    """Return how many letters may differ for another word to be taken for this one, mistyped."""
    if any(c.isdigit() for c in word) or len(word) < 4:
        return 0  # another number is another thing
    return 1 if len(word) < 8 else 2


def is_near(word: str, other: str, most: int) -> bool:
    """Return whether at most so many letters were left out, added, changed or swapped with the next one."""
    if abs(len(word) - len(other)) > most:
        return False
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(word, start=1):
        last, before, row = before, row, [i]
        for j, b in enumerate(other, start=1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and word[i - 2] == b:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return False
    return row[-1] <= most


def distinct(found: Iterable[str]) -> list[str]:
    """Return each once, in the order in which they come first."""
    return list(dict.fromkeys(found))
