"""The pieces of words that models of the BERT family read: `vocab.txt` names them, and the longest that fits is taken.

The packages that do this bring what downloads models along; this is all of it that such a model needs.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

LONGEST = 100
"""Letters of a word, from which on it is unknown."""

_IDEOGRAPHS = (
    *((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F)),
    *((0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F)),
)


class WordPieces:
    """Takes texts apart as a model learned it.

    Parameters
    ----------
    vocabulary
        Of the model: a piece a line, by its number.
    lower
        Whether the model knows no case and no accents.

    Raises
    ------
    ValueError
        If it is no such vocabulary.
    """

    def __init__(self, vocabulary: Path, lower: bool = True) -> None:
        pieces = vocabulary.read_text(encoding="utf8").split("\n")
        self._numbers = {piece.rstrip("\r"): number for number, piece in enumerate(pieces) if piece}
        try:
            self._unknown, self._first, self._last = (self._numbers[name] for name in ("[UNK]", "[CLS]", "[SEP]"))
        except KeyError as error:
            raise ValueError(f"{vocabulary.name} has no {error}") from None
        self._lower = lower
        self._pieces = lru_cache(50_000)(self._taken_apart)

    @property
    def count(self) -> int:
        """One more than the greatest number of a piece."""
        return max(self._numbers.values()) + 1

    def numbers(self, text: str, most: int) -> list[int]:
        """Return the numbers of at most so many pieces, with those that stand for beginning and end."""
        found = [self._first]
        for word in self._words(text):
            if len(found) >= most:
                break
            found += self._pieces(word)
        return [*found[: most - 1], self._last]

    def _words(self, text: str) -> Iterator[str]:
        spaced = "".join(map(_spaced, text))
        if self._lower:
            decomposed = unicodedata.normalize("NFD", spaced)
            spaced = "".join(c for c in decomposed if unicodedata.category(c) != "Mn").lower()
        for word in spaced.split():
            yield from _apart(word)

    def _taken_apart(self, word: str) -> tuple[int, ...]:
        if len(word) > LONGEST:  # first, for what is tried grows with its square
            return (self._unknown,)
        found, start = [], 0
        while start < len(word):
            for end in range(len(word), start, -1):
                piece = f"##{word[start:end]}" if start else word[:end]
                if piece in self._numbers:
                    break
            else:
                return (self._unknown,)
            found.append(self._numbers[piece])
            start = end
        return tuple(found)


@lru_cache(5000)
def _spaced(character: str) -> str:
    """Return what is read of a character: spaces for all kinds of them, nothing for what controls."""
    if character in "\t\n\r" or unicodedata.category(character) == "Zs":
        return " "
    if character in "\0\ufffd" or unicodedata.category(character) in ("Cc", "Cf", "Co", "Cs"):
        return ""
    if any(first <= ord(character) <= last for first, last in _IDEOGRAPHS):
        return f" {character} "
    return character


@lru_cache(5000)
def _is_mark(character: str) -> bool:
    plain = character.isascii() and character.isprintable() and not character.isalnum()
    return plain or unicodedata.category(character).startswith("P")


def _apart(word: str) -> Iterator[str]:
    """Yield the word without punctuation, and each mark."""
    start = 0
    for place, character in enumerate(word):
        if _is_mark(character):
            if start < place:
                yield word[start:place]
            yield character
            start = place + 1
    if start < len(word):
        yield word[start:]
