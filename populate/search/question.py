"""What is asked for, in terms of the index: which words, how much each counts, what may be shown."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from populate.search.index import FACETS, SAMPLES, Index
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

MOST_APART = 32
"""Terms that the engine looks for one by one, where it need not look at all that have them."""

ENOUGH = 64
"""Views of a sample that tell how many there are: to about an eighth, which changes what a word counts by little."""

SAMPLED = "sample_"
"""What names of fields of the sample begin with."""

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


class Way(NamedTuple):
    """A way in which views can have a word: what it counts then, at most, and what finds them and counts that."""

    worth: float
    query: tantivy.Query


class Questions:
    """Puts questions to one state of the index for one asker.

    Parameters
    ----------
    terms
        Of the asker, as `populate.search.views.terms_of` makes them.
    """

    def __init__(self, index: Index, searcher: tantivy.Searcher, terms: Collection[str]) -> None:
        import tantivy

        self._query, self._occur = tantivy.Query, tantivy.Occur
        self._schema, self.searcher = index.schema, searcher
        self._sight = {prefix: self._seen(prefix, sorted(terms)) for prefix in SAMPLES}
        self.all = self._frequency(lambda prefix: self.shown([], prefix))

    def count(self, query: tantivy.Query) -> int:
        """Return how many views fit; in an order of their own, for otherwise all of them would be scored."""
        found = self.searcher.search(query, 1, count=True, order_by_field="prior")
        return int(found.count or 0)  # type: ignore[attr-defined]

    def shown(self, musts: Sequence[tantivy.Query], prefix: str = "") -> tantivy.Query:
        """Return what finds views that the asker may see and that fit all of `musts`; all, or those in a sample."""
        return self._query.boolean_query([*((self._occur.Must, must) for must in musts), *self._sight[prefix]])

    def _seen(self, prefix: str, terms: Sequence[str]) -> list[tuple[tantivy.Occur, tantivy.Query]]:
        """Return what leaves out views that the asker may not see; it counts nothing."""
        may, unless = (self._any_of(f"{prefix}{field}", terms) for field in ("may", "unless"))
        parts = [(self._occur.Must, self._query.const_score_query(may or self._query.empty_query(), 0.0))]
        return parts + ([(self._occur.MustNot, unless)] if unless else [])

    def _any_of(self, field: str, terms: Sequence[str]) -> tantivy.Query | None:
        """Return what finds any of the terms; None if there is none."""
        held = [term for term in terms if self.searcher.doc_freq(field, term)]
        if len(held) > MOST_APART:
            return self._query.term_set_query(self._schema, field, held)
        return self.either([self._term(field, term) for term in held]) if held else None

    def _frequency(self, fitting: Callable[[str], tantivy.Query]) -> int:
        """Return how many views fit: about, by the sparsest sample that tells, else exactly.

        Parameters
        ----------
        fitting
            Makes the question for fields that begin with a prefix.
        """
        count = 0
        for prefix, times in SAMPLES.items():
            count = times * self.count(fitting(prefix))
            if count >= times * ENOUGH:
                break
        return count

    def words(self, text: str) -> list[Word]:
        """Return the words of a question that something fits; those that nothing fits are taken for mistyped."""
        plain = _asked(text)
        open_end = bool(text) and not text[-1].isspace()
        found = []
        for place, one in enumerate(plain):
            may_go_on = open_end and place == len(plain) - 1
            begins = len(one) >= (BEGUN if may_go_on else PREFIX) and (may_go_on or len(plain) <= FEW)
            word = Word(one, stem(one), begins)
            views = self._occurrences(word)
            if not views and far(one):
                word = Word(one, stem(one), False, far(one))
                views = self._occurrences(word)
            if views:
                found.append(replace(word, views=views, rarity=self._rarity(views)))
        return found

    def weight(self, text: str, words: Sequence[Word]) -> float:
        """Return what the words of a question count together; those that nothing has count like the rarest."""
        return sum(word.rarity for word in words) + (len(_asked(text)) - len(words)) * self._rarity(0)

    def _rarity(self, count: int) -> float:
        return math.log1p((max(0, self.all - count) + 0.5) / (count + 0.5))

    def files(self, files: Collection[str]) -> tantivy.Query:
        """Return what finds these files; they count nothing."""
        return self._query.const_score_query(self._query.term_set_query(self._schema, "file_id", list(files)), 0.0)

    def _occurrences(self, word: Word) -> int:
        """Return how many views have a word, about."""

        return self._frequency(lambda prefix: self.shown([self._holds(word, prefix)], prefix))

    def _holds(self, word: Word, prefix: str) -> tantivy.Query:
        """Return what finds a word, whatever it counts."""
        field = f"{prefix}words"
        if word.distance:
            return self._near(field, word)
        return self.either([self._term(field, word.stemmed)] + [self._beginning(field, word.plain)] * word.begins)

    def at_most(self, words: Sequence[Word], required: int) -> int:
        """Return how many views may have so many of the words, about."""
        if not words:
            return self.all
        return min(word.views for word in words) if required == len(words) else sum(word.views for word in words)

    def fits(self, word: Word) -> tantivy.Query:
        """Return what finds a word, whole in a name best; whatever fits counts multiples of `STEP`."""
        if word.distance:
            return self._worth(self._near("words", word), word.rarity / 2)
        begun, longer = self._begun(word)
        if longer is None:
            found = self._whole(word, begun)
        elif word.stemmed.startswith(word.plain):
            found = self._also(longer, self._whole(word))
        else:
            found = self.either([self._whole(word), longer])
        return self._also(found, self._in_name(word))

    def ways(self, word: Word) -> list[Way]:
        """Return the ways in which a view can have a word: in its name, elsewhere, as the beginning of another.

        What `fits` counts is the most of what those of them count that find the view.
        """
        if word.distance:
            return [Way(_exact(word.rarity / 2), self.fits(word))]
        begun, longer = self._begun(word)
        if longer is None or word.stemmed.startswith(word.plain):
            whole = self._whole(word, begun)
        else:
            whole = self._also(self._whole(word), longer)
        worth, name = _exact(word.rarity) + begun, self._in_name(word)
        named = Way(worth + _exact(word.rarity), self.together([name, whole]))
        return [named, Way(worth, self._also(whole, name)), *([Way(begun, longer)] if longer else [])]

    def _whole(self, word: Word, more: float = 0.0) -> tantivy.Query:
        """Return what finds a word as it is asked for, and counts so much more than the word."""
        return self._query.const_score_query(self._term("words", word.stemmed), _exact(word.rarity) + more)

    def _in_name(self, word: Word) -> tantivy.Query:
        return self._query.const_score_query(self._term("name", word.stemmed), _exact(word.rarity))

    def _begun(self, word: Word) -> tuple[float, tantivy.Query | None]:
        """Return what the beginning of another word counts, and what finds those; None if there are no others.

        The word begins with itself, too, and counts as that as well. Whichever of these queries are made, what is
        found and what it counts are the same; it depends on words of files that the asker may not know.
        """
        longer = self.searcher.terms_with_prefix("words", word.plain, limit=2) if word.begins else []
        begun = _exact(word.rarity / 4) if longer else 0.0
        if all(other == word.stemmed for other, _ in longer):
            return begun, None
        return begun, self._query.const_score_query(self._beginning("words", word.plain), begun)

    def all_of(self, words: Sequence[Word], required: int, prefix: str = "") -> tantivy.Query:
        """Return what finds so many of the words; in the sample whatever they count."""
        return self.enough([self._holds(word, prefix) if prefix else self.fits(word) for word in words], required)

    def enough(self, queries: Sequence[tantivy.Query], required: int) -> tantivy.Query:
        """Return what finds views that fit so many of these, and counts what those count together."""
        if required == len(queries):  # the engine then goes by the rarest
            return self.together(queries)
        return self._query.boolean_query([(self._occur.Should, query) for query in queries], required)

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

    def at(self, levels: Sequence[int]) -> tantivy.Query:
        """Return what finds views of these levels of priors; they count nothing."""
        return self._query.const_score_query(
            self._query.term_set_query(self._schema, "level", [str(level) for level in levels]), 0.0
        )

    def together(self, musts: Sequence[tantivy.Query]) -> tantivy.Query:
        """Return what finds views that fit all of these, and counts what all of them count."""
        return self._query.boolean_query([(self._occur.Must, must) for must in musts])

    def _term(self, field: str, word: str) -> tantivy.Query:
        return self._query.term_query(self._schema, field, word, "basic")

    def _near(self, field: str, word: Word) -> tantivy.Query:
        return self._query.fuzzy_term_query(self._schema, field, word.stemmed, word.distance)

    def _also(self, must: tantivy.Query, more: tantivy.Query) -> tantivy.Query:
        return self._query.boolean_query([(self._occur.Must, must), (self._occur.Should, more)])

    def either(self, ways: Sequence[tantivy.Query]) -> tantivy.Query:
        """Return what finds whatever fits one of the ways."""
        return self._query.boolean_query([(self._occur.Should, way) for way in ways]) if len(ways) > 1 else ways[0]

    def _beginning(self, field: str, word: str) -> tantivy.Query:
        longer = self.searcher.terms_with_prefix(field, word, limit=MOST_APART + 1)
        if len(longer) > MOST_APART:
            return self._query.fuzzy_term_query(self._schema, field, word, 0, True, True)
        return self.either([self._term(field, term) for term, _ in longer] or [self._query.empty_query()])

    def _worth(self, query: tantivy.Query, rarity: float) -> tantivy.Query:
        return self._query.const_score_query(query, _exact(rarity))


def _asked(text: str) -> list[str]:
    plain = distinct(plain_words(text))[:MOST_WORDS]
    return [word for word in plain if word not in COMMON] or plain


def _exact(rarity: float) -> float:
    return max(1, round(rarity * STEP)) / STEP


def required(words: Sequence[Word]) -> int:
    """Return how many of the words a file has to have: all of two, and of more at least two and a third.

    Whatever has more of them comes first anyway; asked for more, what is called a little otherwise would be missed.
    """
    return len(words) if len(words) <= 2 else max(2, math.ceil(len(words) / 3))
