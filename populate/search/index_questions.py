"""Questions to the index of this machine: what is sought, in terms of Tantivy.

Nothing here scores by what Tantivy knows of the index as a whole, for that depends on files that the asker may
not know. Words count what `populate.search.question` says, as numbers whose sum does not depend on their order.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from populate.search.closest import Way, both, closest_of_many
from populate.search.engine import FACETS, without_ties
from populate.search.index_scoring import IndexScoring, best, unpacked
from populate.search.question import SAMPLE, SPARSE, STEP, Counted, Questions, Seen, Sought, Word, steps

if TYPE_CHECKING:
    import tantivy

MOST_APART = 32
"""Terms that the engine looks for one by one, where it need not look at all that have them."""

ALL_SCORED = 20_000
"""Views that fit, from which on it is quicker to find out which need to be scored."""

MOST_VALUES = 65_000
"""Values of a facet that are counted: more than there are, for otherwise counts would not be exact."""

PREFIXES = {SPARSE: "sparse_", SAMPLE: "sample_", 1: ""}
"""What names of fields of samples begin with."""


class IndexQuestions(Questions):
    """Puts questions to one state of the index for one asker.

    Parameters
    ----------
    terms
        Of the asker, as `populate.search.views.terms_of` makes them.
    """

    def __init__(self, schema: tantivy.Schema, searcher: tantivy.Searcher, terms: Collection[str]) -> None:
        import tantivy

        self._query, self._occur = tantivy.Query, tantivy.Occur
        self._schema, self.searcher = schema, searcher
        self.views = searcher.num_docs
        self._sight = {prefix: self._seen(prefix, sorted(terms)) for prefix in PREFIXES.values()}

    def counts(self, sought: Sequence[Sought], sample: int = 1) -> list[int]:
        return [self.count(self._fitting(one, PREFIXES[sample], self._holds)) for one in sought]

    def counted(self, sought: Sought, sample: int = 1) -> Counted:
        query = self._fitting(sought, PREFIXES[sample], self._holds)
        ask = {facet: {"terms": {"field": facet, "size": MOST_VALUES, "segment_size": MOST_VALUES}} for facet in FACETS}
        counted = self.searcher.aggregate(query, {**ask, "total": {"value_count": {"field": "prior"}}})
        facets = {}
        for facet in FACETS:
            found = [(str(bucket["key"]), int(bucket["doc_count"])) for bucket in counted[facet]["buckets"]]
            facets[facet] = sorted(found, key=lambda value: (-value[1], value[0]))
        return Counted(int(counted["total"]["value"]), facets)

    def found(self, sought: Sought, most: int, sample: int, about: int) -> tuple[list[Seen], Counted]:
        with ThreadPoolExecutor(1, thread_name_prefix="search") as beside:
            counted = beside.submit(self.counted, sought, sample)
            return self.closest(sought._replace(meant=()), most, about), counted.result()

    def closest(self, sought: Sought, most: int, about: int) -> list[Seen]:
        if about < ALL_SCORED:
            hits = best(self.searcher, self._fitting(sought, "", self._fits), most + 1)
        else:
            scoring = IndexScoring(self, self._rest(sought))
            hits = closest_of_many(scoring, sought.words, sought.least, about, most + 1)
        return unpacked(self.searcher, without_ties(hits[:most], len(hits) > most))

    def going_on(self, sought: Sought, begun: str) -> list[tuple[str, int]]:
        counts = self.searcher.terms_with_prefix("plain", begun, self._fitting(sought, "", self._holds))
        return [(word, count) for word, count in counts if count]

    def _fitting(self, sought: Sought, prefix: str, having: Callable[[Word, str], tantivy.Query]) -> tantivy.Query:
        """Return what finds views, or those in a sample, that fit; `having` makes what finds a word.

        Files that are meant are so few that they are left out of samples.
        """
        words, least, meant = sought.words, sought.least, sought.meant
        ways = [self.enough([having(word, prefix) for word in words], least)] if words else []
        if meant and not (words and prefix):
            ways.append(self.files(meant))
        return self.shown([self.either(ways) if ways else self.anything(), *self._rest(sought)], prefix)

    def _rest(self, sought: Sought) -> list[tantivy.Query]:
        """Return what views must fit besides the words."""
        return [*([self.files(sought.among)] if sought.among is not None else []), *self.within(sought.facets)]

    def _fits(self, word: Word, prefix: str = "") -> tantivy.Query:
        return self.fits(word)

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

    def files(self, files: Collection[str]) -> tantivy.Query:
        """Return what finds these files; they count nothing."""
        return self._query.const_score_query(self._query.term_set_query(self._schema, "file_id", list(files)), 0.0)

    def _holds(self, word: Word, prefix: str) -> tantivy.Query:
        """Return what finds a word, whatever it counts."""
        field = f"{prefix}words"
        if word.distance:
            return self._near(field, word)
        ways = [self._any_longer(field, word.plain, self._longer(field, word.plain))] if word.begins else []
        if not (word.begins and word.stemmed.startswith(word.plain)):  # else it is among what begins so
            ways.append(self._term(field, word.stemmed))
        return self.either(ways)

    def fits(self, word: Word) -> tantivy.Query:
        """Return what finds a word, whole in a name best; whatever fits counts multiples of `STEP`."""
        if word.distance:
            return self._worth(self._near("words", word), word.rarity / 2)
        begun, longer = self._begun(word)
        if longer is None:
            found = self._whole(word, begun)
        elif word.stemmed.startswith(word.plain):
            found = self.also(longer.queries[0], self._whole(word))
        else:
            found = self.either([self._whole(word), longer.queries[0]])
        return self.also(found, self._in_name(word))

    def ways(self, word: Word) -> list[Way[tantivy.Query]]:
        """Return the ways in which a view can have a word: whole, in its name, as the beginning of another.

        What `fits` counts is the most of what those of them count that find the view.
        """
        if word.distance:
            return [Way(_exact(word.rarity / 2), (self.fits(word),), self.views)]
        begun, longer = self._begun(word)
        beside = longer if not word.stemmed.startswith(word.plain) else None
        counts, name = 0.0 if beside else begun, self._in_name(word)
        stands, named = (self.searcher.doc_freq(field, word.stemmed) for field in ("words", "name"))
        worth, whole = _exact(word.rarity) + counts, self._whole(word, counts)
        ways = [Way(worth, (self.also(whole, name),), stands)]
        ways.append(Way(worth + _exact(word.rarity), (whole, name), named))
        if beside:  # few have both, and most would be taken to count more than they do
            ways += [both(way, beside) for way in ways]
        return ways + ([longer] if longer else [])

    def _whole(self, word: Word, more: float = 0.0) -> tantivy.Query:
        """Return what finds a word as it is asked for, and counts so much more than the word."""
        return self._query.const_score_query(self._term("words", word.stemmed), _exact(word.rarity) + more)

    def _in_name(self, word: Word) -> tantivy.Query:
        return self._query.const_score_query(self._term("name", word.stemmed), _exact(word.rarity))

    def _begun(self, word: Word) -> tuple[float, Way[tantivy.Query] | None]:
        """Return what the beginning of another word counts, and the way of having such; None if there are no others.

        The word begins with itself, too, and counts as that as well. Whichever of these queries are made, what is
        found and what it counts are the same; it depends on words of files that the asker may not know.
        """
        longer = self._longer("words", word.plain) if word.begins else []
        begun = _exact(word.rarity / 4) if longer else 0.0
        if all(other == word.stemmed for other, _ in longer):
            return begun, None
        views = sum(count for _, count in longer) if len(longer) <= MOST_APART else self.views
        query = self._query.const_score_query(self._any_longer("words", word.plain, longer), begun)
        return begun, Way(begun, (query,), views)

    def all_of(self, words: Sequence[Word], required: int) -> tantivy.Query:
        """Return what finds so many of the words, and counts them; without words it finds all views alike."""
        return self.enough([self.fits(word) for word in words], required) if words else self.anything()

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

    def also(self, must: tantivy.Query, more: tantivy.Query) -> tantivy.Query:
        """Return what finds views that fit `must`, and counts `more`, too, if they fit it."""
        return self._query.boolean_query([(self._occur.Must, must), (self._occur.Should, more)])

    def either(self, ways: Sequence[tantivy.Query]) -> tantivy.Query:
        """Return what finds whatever fits one of the ways."""
        return self._query.boolean_query([(self._occur.Should, way) for way in ways]) if len(ways) > 1 else ways[0]

    def _longer(self, field: str, word: str) -> list[tuple[str, int]]:
        """Return terms that begin so and how many views have each; one more than are looked for one by one, at most."""
        return self.searcher.terms_with_prefix(field, word, limit=MOST_APART + 1)

    def _any_longer(self, field: str, word: str, longer: Sequence[tuple[str, int]]) -> tantivy.Query:
        if len(longer) > MOST_APART:
            return self._query.fuzzy_term_query(self._schema, field, word, 0, True, True)
        return self.either([self._term(field, term) for term, _ in longer] or [self._query.empty_query()])

    def _worth(self, query: tantivy.Query, rarity: float) -> tantivy.Query:
        return self._query.const_score_query(query, _exact(rarity))


def _exact(rarity: float) -> float:
    return steps(rarity) / STEP
