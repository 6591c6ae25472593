"""From names to words, and how well words fit: BM25 over short texts."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

K1, B = 1.2, 0.75
"""The usual parameters of BM25: how soon repetition stops to count, and how much length does."""

PREFIX = 4
"""A word of the question that is this long also fits longer words that begin with it."""

_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_WORD = re.compile(r"[^\W\d_]+|\d+")

Key = TypeVar("Key", bound=Hashable)


def words(text: str) -> list[str]:
    """Return the words of a name in lower case: ``ITX_47213 flowData.csv`` has itx, 47213, flow, data and csv."""
    parted = _CAMEL.sub(" ", unicodedata.normalize("NFC", text))
    return [word.lower() for word in _WORD.findall(parted)]


def bm25(question: Sequence[str], documents: Mapping[Key, Sequence[str]], total: int) -> dict[Key, float]:
    """Return how well each document fits the question; those that do not fit at all are left out.

    Parameters
    ----------
    question
        Words; one that stands twice counts once.
    documents
        The words of at least every document in which a word of the question occurs. Lengths
        are compared with the mean of those that fit.
    total
        Number of documents there are, those without a fitting word included.
    """
    counts = {
        key: {w: n for w in dict.fromkeys(question) if (n := _occurs(w, text))} for key, text in documents.items()
    }
    counts = {key: found for key, found in counts.items() if found}
    if not counts:
        return {}
    holders = Counter(word for found in counts.values() for word in found)
    mean = sum(len(documents[key]) for key in counts) / len(counts)
    rarity = {w: math.log1p((max(total, n) - n + 0.5) / (n + 0.5)) for w, n in holders.items()}
    return {
        key: sum(rarity[w] * _saturated(n, len(documents[key]) / mean) for w, n in found.items())
        for key, found in counts.items()
    }


def _occurs(word: str, text: Sequence[str]) -> int:
    return sum(other == word or (len(word) >= PREFIX and other.startswith(word)) for other in text)


def _saturated(count: int, relative_length: float) -> float:
    return count * (K1 + 1) / (count + K1 * (1 - B + B * relative_length))
