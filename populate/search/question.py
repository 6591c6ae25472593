"""What is asked for, in terms of an index: which words, how much each counts, how many of them a file has to have."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, NamedTuple

from populate.search.text import distinct, far, plain_words, stem

MOST_WORDS = 16
PREFIX = 4
"""A word that is this long also fits longer ones that begin with it."""

BEGUN = 2
"""So does the last word if it is this long, for it may not be whole yet."""

FEW = 4
"""Words of a question that may all be beginnings: where there are more, enough of them are whole."""

STEP = 64
"""Words count multiples of 1/64: sums of these are exact, so that no order of adding up shows in an answer."""

SAMPLE, SPARSE = 16, 128
"""Of so many files one, by its id, is in the sample by which it is told how many fit, and in the sparse one."""

SAMPLES = (SPARSE, SAMPLE, 1)
"""Of how many files one is in each of the samples, and in all."""

ENOUGH = 64
"""Views of a sample that tell how many there are: to about an eighth, which changes what a word counts by little."""

CLOSE = (100, 1000, 10_000)
"""How many views are looked at closely: of more that fit, those with the greatest scores."""

COMMON = frozenset(
    {"a", "an", "and", "are", "as", "at", "be", "by", "for", "from", "has", "have", "in", "into", "is", "it", "its"}
    | {"of", "on", "or", "that", "the", "their", "this", "to", "was", "were", "with"}
)
"""Words that say nothing beside others."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word that is asked for.

    Attributes
    ----------
    plain, stemmed
        As it was written, without case and accents; and its singular.
    begins
        It may be the beginning of another.
    distance
        Letters that may differ; 0 if the word itself is known.
    views
        How many that the asker may know have it, about.
    rarity
        How much it counts: the rarer among these, the more.
    """

    plain: str
    stemmed: str
    begins: bool
    distance: int = 0
    views: int = 0
    rarity: float = 0.0


class Sought(NamedTuple):
    """Which views are looked for, of those that the asker may see.

    Attributes
    ----------
    words, least
        With at least so many of these; no words fit all views.
    facets
        And with one of the values of each.
    among
        And of one of these files, unless it is None.
    meant
        Files that fit whatever words they have; if there are no words, no others do.
    """

    words: Sequence[Word] = ()
    least: int = 0
    facets: Mapping[str, Collection[str]] = MappingProxyType({})
    among: Collection[str] | None = None
    meant: Collection[str] = ()


Seen = tuple[str, dict[str, Any]]
"""A file, and what is known of it by the view that was found."""

Facets = dict[str, list[tuple[str, int]]]
"""Facet -> values and how many of the files have each, most first, then by the alphabet."""


class Counted(NamedTuple):
    """How many views fit, and how many of them have each value of each facet."""

    total: int
    facets: Facets


class Questions(ABC):
    """Puts questions to one state of an index for one asker: views that they may not see take no part in any answer.

    Samples are named by of how many files one is in them; 1 is all.
    """

    @abstractmethod
    def counts(self, sought: Sequence[Sought], sample: int = 1) -> list[int]:
        """Return how many views of a sample fit each."""

    @abstractmethod
    def counted(self, sought: Sought, sample: int = 1) -> Counted:
        """Return how many views of a sample fit, and how they divide."""

    @abstractmethod
    def closest(self, sought: Sought, most: int, about: int) -> list[Seen]:
        """Return the views that are looked at closely, in no order.

        If more than `most` fit, those with the greatest scores, see `worth`, without those that tie at the end. How
        many fit, `about`, decides how they are looked for and not what is found.
        """

    def found(self, sought: Sought, most: int, sample: int, about: int) -> tuple[list[Seen], Counted]:
        """Return the closest that have the words, and how all that fit, and are in a sample, divide.

        Here the latter is asked first, for it says better than `about` how many fit.
        """
        counted = self.counted(sought, sample)
        return self.closest(sought._replace(meant=()), most, sample * counted.total), counted

    @abstractmethod
    def going_on(self, sought: Sought, begun: str) -> list[tuple[str, int]]:
        """Return plain words that begin so, each with how many views that fit have it, in no order."""

    @cached_property
    def all(self) -> int:
        """How many views the asker may see, about."""
        return self._frequencies([Sought()])[0]

    def words(self, text: str) -> list[Word]:
        """Return the words of a question that something fits; those that nothing fits are taken for mistyped."""
        written = _written(text)
        counts = self._occurrences(written)
        mistyped = [
            Word(word.plain, word.stemmed, False, far(word.plain))
            for word, count in zip(written, counts, strict=True)
            if not count and far(word.plain)
        ]
        near = {word.plain: (word, count) for word, count in zip(mistyped, self._occurrences(mistyped), strict=True)}
        known = [near.get(word.plain, (word, count)) for word, count in zip(written, counts, strict=True)]
        return [replace(word, views=count, rarity=self._rarity(count)) for word, count in known if count]

    def at_most(self, words: Sequence[Word], required: int) -> int:
        """Return how many views may have so many of the words, about."""
        if not words:
            return self.all
        return min(word.views for word in words) if required == len(words) else sum(word.views for word in words)

    def weight(self, text: str, words: Sequence[Word]) -> float:
        """Return what the words of a question count together; those that nothing has count like the rarest."""
        return sum(word.rarity for word in words) + (len(_asked(text)) - len(words)) * self._rarity(0)

    def _rarity(self, count: int) -> float:
        return math.log1p((max(0, self.all - count) + 0.5) / (count + 0.5))

    def _occurrences(self, words: Sequence[Word]) -> list[int]:
        return self._frequencies([Sought((word,), 1) for word in words])

    def _frequencies(self, sought: Sequence[Sought]) -> list[int]:
        """Return how many views fit each: about, by the sparsest sample that tells, else exactly."""
        found: dict[int, int] = {}
        for sample in SAMPLES:
            if open_ := [place for place in range(len(sought)) if place not in found]:
                counts = zip(open_, self.counts([sought[place] for place in open_], sample), strict=True)
                found |= {place: sample * count for place, count in counts if count >= ENOUGH or sample == 1}
        return [found[place] for place in range(len(sought))]


def closely(wanted: int) -> int:
    """Return how many views are looked at closely, if so many are wanted."""
    return next((number for number in CLOSE if number >= 2 * wanted), 2 * wanted)


def worth(word: Word) -> tuple[int, int, int]:
    """Return what a word counts where it stands whole, begins another, and stands whole in a name; in 1 / `STEP`.

    These add up: a word begins with itself, too. One that is mistyped counts the first of them, whatever looks like it.
    A view's score is what all words count in it, or 1 if there are none, times log2(2 + its prior).
    """
    if word.distance:
        return steps(word.rarity / 2), 0, 0
    return steps(word.rarity), steps(word.rarity / 4) if word.begins else 0, steps(word.rarity)


def steps(rarity: float) -> int:
    """Return what a word of such a rarity counts, in 1 / `STEP`."""
    return max(1, round(rarity * STEP))


def required(words: Sequence[Word]) -> int:
    """Return how many of the words a file has to have: all of two, and of more at least two and a third.

    Whatever has more of them comes first anyway; asked for more, what is called a little otherwise would be missed.
    """
    return len(words) if len(words) <= 2 else max(2, math.ceil(len(words) / 3))


def _written(text: str) -> list[Word]:
    plain = _asked(text)
    open_end = bool(text) and not text[-1].isspace()
    found = []
    for place, one in enumerate(plain):
        may_go_on = open_end and place == len(plain) - 1
        begins = len(one) >= (BEGUN if may_go_on else PREFIX) and (may_go_on or len(plain) <= FEW)
        found.append(Word(one, stem(one), begins))
    return found


def _asked(text: str) -> list[str]:
    """Return the words that are asked for: of those that are one word, as `test` and `tests` are, the last."""
    plain = distinct(plain_words(text))[:MOST_WORDS]
    asked = [word for word in plain if word not in COMMON] or plain
    last = {stem(word): word for word in asked}
    return [word for word in asked if last[stem(word)] == word]
