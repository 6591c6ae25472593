"""Which views a question looks at closely: those that its words count most in, and of these the most read.

A view's score is what the words count in it, times a factor that grows with its prior (`populate.search.engine.prior`).
Where very many views fit, few of them are scored. Those with high priors give a score that the last one wanted has at
least, and from that follows how high the prior of any other must be to reach it: the higher, the fewer of the words
stand in its name, or nearly anywhere. So what is found is the same as if all had been scored, whatever there is that
the asker may not know. This is how Tantivy is asked.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from itertools import accumulate, combinations, product
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

import orjson

from populate.search.question import Seen, Word

if TYPE_CHECKING:
    import tantivy

    from populate.search.index_questions import IndexQuestions

LEVELS = 128
"""Levels of priors that differ by 1."""

SURPLUS = 8
"""Times the views that are wanted, so many should fit among those that are looked at first."""

MOST_WORDS = 4
"""Of a question, for which each way of having them is gone through."""

SCORING = 30
"""Times as long as to go through a view of the levels that are looked at, it takes to score one."""

ANYTHING = 1.0
"""What a view counts where no word is asked for."""

AT_ONCE = 2
"""Ways of having the words that are gone through at the same time."""

ROUNDING = 1e-6
"""Of a score: it has 24 bits."""

Hit = tuple[float, "tantivy.DocAddress"]
Musts = Sequence["tantivy.Query"]


class Way(NamedTuple):
    """A way in which views can have words.

    Attributes
    ----------
    worth
        What the words count then, at most.
    queries
        What together finds them, and counts that.
    views
        How many there are at most, hidden ones, too.
    """

    worth: float
    queries: tuple[tantivy.Query, ...]
    views: int


def both(one: Way, other: Way) -> Way:
    """Return the way of having words in both ways."""
    return Way(one.worth + other.worth, one.queries + other.queries, min(one.views, other.views))


def closest(ask: IndexQuestions, query: tantivy.Query, most: int) -> tuple[list[Hit], int]:
    """Return the `most` best, best first, and how many fit; all that fit are scored."""
    found = ask.searcher.search(query, most, count=True, weight_by_field="prior")
    return found.hits, int(found.count or 0)  # type: ignore[attr-defined]


def closest_of_many(
    ask: IndexQuestions, words: Sequence[Word], required: int, rest: Sequence[tantivy.Query], *, total: int, most: int
) -> list[Hit]:
    """Return the `most` best, best first; few of those that fit are scored.

    Parameters
    ----------
    words, required
        That are asked for, and how many of them a view must have.
    rest
        What it must fit besides.
    total
        How many fit, about.
    """
    if len(words) > MOST_WORDS:
        return _scored(ask, ask.shown([ask.all_of(words, required), *rest]), most)
    looked = Looked(ask, rest, most)
    of_each = [ask.ways(word) for word in words]
    whole = _whole(ask, of_each, required) if words else ()
    looked.at_highest([*whole, ask.all_of(words, required)], total)
    looked.through(_together(of_each, required) if words else [Way(ANYTHING, (ask.anything(),), looked.levels.views)])
    return looked.best.hits


def _whole(ask: IndexQuestions, of_each: Sequence[Sequence[Way]], required: int) -> Iterator[tantivy.Query]:
    """Yield what finds views with some of the words, as many as are required, and counts what the whole ones count."""
    queries = [ask.together(ways[0].queries) for ways in of_each]
    for had in combinations(range(len(queries)), required):
        found = ask.together([queries[place] for place in had])
        for place in set(range(len(queries))).difference(had):
            found = ask.also(found, queries[place])  # one by one: each is sought where the rest is
        yield found


def _together(of_each: Sequence[Sequence[Way]], required: int) -> Iterator[Way]:
    """Yield in which ways views can have enough of the words, of each of which `of_each` has the ways."""
    not_at_all: list[Way | None] = [None] if required < len(of_each) else []
    for one in product(*([*ways, *not_at_all] for ways in of_each)):
        had = [way for way in one if way]
        if len(had) >= required:
            yield reduce(both, had)


def _scored(ask: IndexQuestions, query: tantivy.Query, most: int) -> list[Hit]:
    return ask.searcher.search(query, most, count=False, weight_by_field="prior").hits


class Looked:
    """Looks for the best views, and scores few."""

    def __init__(self, ask: IndexQuestions, rest: Musts, most: int) -> None:
        self._ask, self._rest = ask, rest
        self.levels, self.best = Levels(ask), Best(most)

    def at_highest(self, queries: Musts, total: int) -> None:
        """Score those with the highest priors, until these are as many as are wanted.

        What is found in the end does not depend on how many these are, so that may depend on what the asker may not
        know.

        Parameters
        ----------
        queries
            What is looked for; the last of them finds whatever fits.
        total
            How many that finds, about.
        """
        views = SURPLUS * self.best.most * self.levels.views / total
        for query in queries[:-1] or queries:
            self._score(query, self.levels.of(views), self.levels.views)
        while not self.best.least and views < self.levels.views:
            views *= 4
            self._score(queries[-1], self.levels.of(views), self.levels.views)

    def through(self, ways: Iterable[Way]) -> None:
        """Score those that have the words in these ways and can be among the best: they find it harder and harder."""
        open_ = [
            way for way in sorted(ways, key=lambda way: -way.worth) if self.best.lowest(way) <= self.levels.highest
        ]
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="search") as beside:
            list(beside.map(self._go_through, open_))

    def _go_through(self, way: Way) -> None:
        if (lowest := self.best.lowest(way)) <= self.levels.highest:
            self._score(self._ask.together(way.queries), lowest, way.views)

    def _score(self, query: tantivy.Query, lowest: int, views: int) -> None:
        musts = [query, *self._rest, *self.levels.down_to(lowest, views)]
        self.best.add(_scored(self._ask, self._ask.shown(musts), self.best.most))


class Best:
    """The best of what was found until now, each once: with the most that any of the ways in which it was found counts.

    Attributes
    ----------
    most
        How many are wanted.
    least
        What the last of these scores at least, which rises with what is found; 0 until there are so many.
    """

    def __init__(self, most: int) -> None:
        self.most, self.least = most, 0.0
        self._found: dict[tuple[int, int], Hit] = {}
        self._lock = Lock()

    def add(self, hits: Sequence[Hit]) -> None:
        """Take in what one way has found."""
        with self._lock:
            for hit in hits:
                place = hit[1].segment_ord, hit[1].doc
                if place not in self._found or self._found[place][0] < hit[0]:
                    self._found[place] = hit
            if len(self._found) >= self.most:
                self.least = sorted(score for score, _ in self._found.values())[-self.most]

    def lowest(self, way: Way) -> int:
        """Return which level of priors a view must have to be among the best, if it has the words in that way."""
        return int(LEVELS * (2 ** (self.least * (1 - ROUNDING) / way.worth) - 2))

    @property
    def hits(self) -> list[Hit]:
        """Those that are wanted, best first."""
        return sorted(self._found.values(), key=lambda hit: -hit[0])[: self.most]


class Levels:
    """How many views there are of each level of priors, hidden ones, too."""

    def __init__(self, ask: IndexQuestions) -> None:
        counts = sorted(((-int(level), count) for level, count in ask.searcher.terms_with_prefix("level", "")))
        self._ask = ask
        self._falling = [level for level, _ in counts]  # negated, for `bisect` wants them to rise
        self._sums = list(accumulate(count for _, count in counts))
        self.views = self._sums[-1] if counts else 0

    @property
    def highest(self) -> int:
        return -self._falling[0] if self._falling else 0

    def of(self, views: float) -> int:
        """Return from which level on there are so many views; 0 if there are not."""
        return -self._falling[bisect_left(self._sums, views)] if views <= self.views else 0

    def down_to(self, lowest: int, views: int) -> list[tantivy.Query]:
        """Return what leaves out views of lower levels, if that saves anything where so many would be scored."""
        levels = bisect_right(self._falling, -lowest)
        higher = self._sums[levels - 1]
        if views * (1 - higher / self.views) * SCORING < higher:
            return []
        return [self._ask.at([-level for level in self._falling[:levels]])]


def unpacked(searcher: tantivy.Searcher, hits: Sequence[Hit]) -> list[Seen]:
    """Return the views of hits in the order in which they lie: neighbours are unpacked together."""
    places = sorted((address for _, address in hits), key=lambda one: (one.segment_ord, one.doc))
    entries = [searcher.doc(address) for address in places]
    return [(str(entry["file_id"][0]), orjson.loads(bytes(entry["view"][0]))) for entry in entries]
