"""What is asked for, in terms of the index: which words, how much each counts, what may be shown."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from populate.search.index import FACETS, Index
from populate.search.text import distinct, far, plain_words, stem

if TYPE_CHECKING:
    import tantivy

MOST_WORDS = 16
PREFIX = 4
"""A word that is this long also fits longer ones that begin with it."""

BEGUN = 2
"""So does the last word if it is this long, for it may not be whole yet."""

FEW = 4
"""Words of a question that may all be beginnings: where there are more, enough of them are whole."""

STEP = 64
"""Words count multiples of 1/64: sums of these are exact, so that no order of adding up shows in an answer."""

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
    rarity
        How much it counts: the rarer among what the asker may know, the more.
    """

    plain: str
    stemmed: str
    begins: bool
    distance: int = 0
    rarity: float = 0.0


class Questions:
    """Puts questions to one state of the index for one asker.

    Parameters
    ----------
    terms
        Of the asker, as `populate.search.views.terms_of` makes them.
    """

    def __init__(self, index: Index, searcher: tantivy.Searcher, terms: Sequence[str]) -> None:
        import tantivy

        self._query, self._occur = tantivy.Query, tantivy.Occur
        self._schema, self._searcher, self._terms = index.schema, searcher, list(terms)
        self.all = self.count(self.shown([]))

    def count(self, query: tantivy.Query) -> int:
        """Return how many views fit."""
        return int(self._searcher.search(query, 1, count=True).count or 0)  # type: ignore[attr-defined]

    def shown(self, musts: Sequence[tantivy.Query]) -> tantivy.Query:
        """Return what finds views that the asker may see and that fit all of `musts`."""
        may = self._query.term_set_query(self._schema, "may", self._terms)
        unless = self._query.term_set_query(self._schema, "unless", self._terms)
        parts = [(self._occur.Must, must) for must in musts]
        parts += [(self._occur.Must, self._query.const_score_query(may, 0.0)), (self._occur.MustNot, unless)]
        return self._query.boolean_query(parts)

    def words(self, text: str) -> list[Word]:
        """Return the words of a question that something fits; those that nothing fits are taken for mistyped."""
        plain = distinct(plain_words(text))[:MOST_WORDS]
        plain = [word for word in plain if word not in COMMON] or plain
        open_end = bool(text) and not text[-1].isspace()
        found = []
        for place, one in enumerate(plain):
            may_go_on = open_end and place == len(plain) - 1
            begins = len(one) >= (BEGUN if may_go_on else PREFIX) and (may_go_on or len(plain) <= FEW)
            word = Word(one, stem(one), begins)
            count = self.count(self.shown([self.fits(word)]))
            if not count and far(one):
                word = Word(one, stem(one), False, far(one))
                count = self.count(self.shown([self.fits(word)]))
            if count:
                rarity = math.log1p((self.all - count + 0.5) / (count + 0.5))
                found.append(Word(word.plain, word.stemmed, word.begins, word.distance, rarity))
        return found

    def fits(self, word: Word) -> tantivy.Query:
        """Return what finds a word, whole in a name best; whatever fits counts multiples of `STEP`."""
        if word.distance:
            near = self._query.fuzzy_term_query(self._schema, "words", word.stemmed, word.distance)
            return self._worth(near, word.rarity / 2)
        ways = [self._worth(self._term(field, word.stemmed), word.rarity) for field in ("words", "name")]
        if word.begins:
            ways += [self._worth(self._beginning(field, word.plain), word.rarity / 4) for field in ("words", "name")]
        return self._query.boolean_query([(self._occur.Should, way) for way in ways])

    def all_of(self, words: Sequence[Word], required: int) -> tantivy.Query:
        """Return what finds so many of the words."""
        parts = [(self._occur.Should, self.fits(word)) for word in words]
        return self._query.boolean_query(parts, minimum_number_should_match=required)

    def anything(self) -> tantivy.Query:
        """Return what fits all views alike."""
        return self._query.const_score_query(self._query.all_query(), 1.0)

    def within(self, facets: Mapping[str, Collection[str]]) -> list[tantivy.Query]:
        """Return what finds views with one of the values of each facet; they count nothing."""
        return [
            self._query.const_score_query(self._query.term_set_query(self._schema, facet, list(facets[facet])), 0.0)
            for facet in FACETS
            if facets.get(facet)
        ]

    def _term(self, field: str, word: str) -> tantivy.Query:
        return self._query.term_query(self._schema, field, word, "basic")

    def _beginning(self, field: str, word: str) -> tantivy.Query:
        return self._query.fuzzy_term_query(self._schema, field, word, 0, True, True)

    def _worth(self, query: tantivy.Query, rarity: float) -> tantivy.Query:
        return self._query.const_score_query(query, max(1, round(rarity * STEP)) / STEP)


def required(words: Sequence[Word]) -> int:
    """Return how many of the words a file has to have: all of two, and of more at least two and a third.

    Whatever has more of them comes first anyway; asked for more, what is called a little otherwise would be missed.
    """
    return len(words) if len(words) <= 2 else max(2, math.ceil(len(words) / 3))
