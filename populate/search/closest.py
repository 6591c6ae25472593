"""Which views a question looks at closely: those that its words count most in, and of these the most read.

A view's score is what the words count in it, times a factor that grows with its prior (`populate.search.engine.prior`).
Where very many views fit, few of them are scored. Those with high priors give a score that the last one wanted has at
least, and from that follows how high the prior of any other must be to reach it: the higher, the fewer of the words
stand in its name, or nearly anywhere. So what is found is the same as if all had been scored, whatever there is that
the asker may not know.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from itertools import accumulate, combinations, product
from threading import Lock
from typing import Generic, NamedTuple, Protocol, TypeVar

from populate.search.question import Word

LEVELS = 128
"""Levels of priors that differ by 1."""

SURPLUS = 8
"""Times the views that are wanted, so many should fit among those that are looked at first."""

MOST_WORDS = 4
"""Of a question, for which each way of having them is gone through."""

SCORING = 30
"""To score a view takes so many times as long as to go through one of the levels that are looked at."""

ANYTHING = 1.0
"""What a view counts where no word is asked for."""

HIGHEST_FACTOR = 64.0
"""No view's is as high, by far: what needs a higher one, as words do that all files have, need not be computed."""

ROUNDING = 1e-6
"""Of a score: it has 24 bits."""

Query = TypeVar("Query")
Place = TypeVar("Place", bound=Hashable)
PlaceT_co = TypeVar("PlaceT_co", bound=Hashable, covariant=True)
Hit = tuple[float, Place]


class Way(NamedTuple, Generic[Query]):
    """A way in which views can have words.

    Attributes
    ----------
    worth
        What the words count then, at most.
    queries
        What together finds them, and counts that.
    views
        How many there are, about: it decides what is quicker, and not what is found.
    """

    worth: float
    queries: tuple[Query, ...]
    views: int


class Scoring(Protocol[Query, PlaceT_co]):
    """What an engine does for that, where it is known what views must fit besides the words."""

    @property
    def levels(self) -> Levels:
        """How many views there are of each level."""

    @property
    def at_once(self) -> int:
        """How many questions it may be asked at the same time."""

    def ways(self, word: Word) -> Sequence[Way[Query]]:
        """Return the ways in which views can have a word, first as a whole word wherever it stands."""

    def all_of(self, words: Sequence[Word], required: int) -> Query:
        """Return what finds so many of the words, and counts them; without words it finds all views alike."""

    def together(self, queries: Sequence[Query]) -> Query:
        """Return what finds views that fit all of these, and counts what all of them count."""

    def also(self, must: Query, more: Query) -> Query:
        """Return what finds views that fit `must`, and counts `more`, too, if they fit it.

        An engine that always counts all words returns `must`.
        """

    def scored(self, query: Query, lowest: int | None, most: int) -> Sequence[Hit[PlaceT_co]]:
        """Return the `most` with the greatest scores; of this level or a higher one, unless it is None."""


def both(one: Way[Query], other: Way[Query]) -> Way[Query]:
    """Return the way of having words in both ways."""
    return Way(one.worth + other.worth, one.queries + other.queries, min(one.views, other.views))


def closest_of_many(
    engine: Scoring[Query, Place], words: Sequence[Word], required: int, total: int, most: int
) -> list[Hit[Place]]:
    """Return the `most` best, best first; few of those that fit are scored.

    Parameters
    ----------
    words, required
        That are asked for, and how many of them a view must have.
    total
        How many fit, about.
    """
    if len(words) > MOST_WORDS or total <= SURPLUS * most or not engine.levels.views:
        return list(engine.scored(engine.all_of(words, required), None, most))
    looked, of_each = Looked(engine, most), [engine.ways(word) for word in words]
    whole = _whole(engine, of_each, required) if words else ()
    whatever = engine.all_of(words, required)
    looked.at_highest([*whole, whatever], total)
    looked.through(_together(of_each, required) if words else [Way(ANYTHING, (whatever,), engine.levels.views)])
    return looked.best.hits


def _whole(engine: Scoring[Query, Place], of_each: Sequence[Sequence[Way[Query]]], required: int) -> Iterator[Query]:
    """Yield, for each choice of as many words as are required, what finds views with these, and counts all words."""
    queries = [engine.together(ways[0].queries) for ways in of_each]
    for had in combinations(range(len(queries)), required):
        found = engine.together([queries[place] for place in had])
        for place in set(range(len(queries))).difference(had):
            found = engine.also(found, queries[place])  # one by one: each is sought where the rest is
        yield found


def _together(of_each: Sequence[Sequence[Way[Query]]], required: int) -> Iterator[Way[Query]]:
    """Yield in which ways views can have enough of the words, of each of which `of_each` has the ways."""
    not_at_all: list[Way[Query] | None] = [None] if required < len(of_each) else []
    for one in product(*([*ways, *not_at_all] for ways in of_each)):
        had = [way for way in one if way]
        if len(had) >= required:
            yield reduce(both, had)


class Looked(Generic[Query, Place]):
    """Looks for the best views, and scores few."""

    def __init__(self, engine: Scoring[Query, Place], most: int) -> None:
        self._engine, self._levels = engine, engine.levels
        self.best: Best[Place] = Best(most)

    def at_highest(self, queries: Sequence[Query], total: int) -> None:
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
        views = SURPLUS * self.best.most * self._levels.views / max(1, total)
        for query in queries[:-1] or queries:
            self._score(query, self._levels.of(views), self._levels.views)
        while not self.best.least and views < self._levels.views:
            views *= 4
            self._score(queries[-1], self._levels.of(views), self._levels.views)

    def through(self, ways: Iterable[Way[Query]]) -> None:
        """Score those that have the words in these ways and can be among the best: they find it harder and harder."""
        rising = sorted(ways, key=lambda way: -way.worth)
        open_ = [way for way in rising if self.best.lowest(way.worth) <= self._levels.highest]
        if self._engine.at_once == 1:
            for way in open_:
                self._go_through(way)
            return
        with ThreadPoolExecutor(self._engine.at_once, thread_name_prefix="search") as beside:
            list(beside.map(self._go_through, open_))

    def _go_through(self, way: Way[Query]) -> None:
        if (lowest := self.best.lowest(way.worth)) <= self._levels.highest:
            self._score(self._engine.together(way.queries), lowest, way.views)

    def _score(self, query: Query, lowest: int, views: int) -> None:
        worth_it = self._levels.leave_out(lowest, views)
        self.best.add(self._engine.scored(query, lowest if worth_it else None, self.best.most))


class Best(Generic[Place]):
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
        self._found: dict[Place, float] = {}
        self._lock = Lock()

    def add(self, hits: Sequence[Hit[Place]]) -> None:
        """Take in what one way has found."""
        with self._lock:
            for score, place in hits:
                self._found[place] = max(score, self._found.get(place, score))
            if len(self._found) >= self.most:
                self.least = sorted(self._found.values())[-self.most]

    def lowest(self, worth: float) -> int:
        """Return which level of priors a view must have to be among the best, if its words count so much."""
        factor = min(self.least * (1 - ROUNDING) / worth, HIGHEST_FACTOR)
        return int(LEVELS * (2**factor - 2))

    @property
    def hits(self) -> list[Hit[Place]]:
        """Those that are wanted, best first."""
        falling = sorted(((score, place) for place, score in self._found.items()), key=lambda hit: -hit[0])
        return falling[: self.most]


class Levels:
    """How many views there are of each level of priors, about.

    Parameters
    ----------
    counts
        Levels, each with how many views it has.
    highest
        Level that no view is above.
    """

    def __init__(self, counts: Iterable[tuple[int, int]], highest: int | None = None) -> None:
        falling = sorted(counts, reverse=True)
        self.falling = [level for level, _ in falling]
        self._negated = [-level for level in self.falling]  # `bisect` wants them to rise
        self._sums = list(accumulate(count for _, count in falling))
        self.views = self._sums[-1] if falling else 0
        self.highest = highest if highest is not None else max(self.falling, default=0)

    def of(self, views: float) -> int:
        """Return from which level on there are so many views; 0 if there are not."""
        return self.falling[bisect_left(self._sums, views)] if views <= self.views else 0

    def at_least(self, lowest: int) -> list[int]:
        """Return the levels from this one on."""
        return self.falling[: bisect_right(self._negated, -lowest)]

    def leave_out(self, lowest: int, views: int) -> bool:
        """Return whether it saves anything to leave out views of lower levels, where so many would be scored."""
        levels = bisect_right(self._negated, -lowest)
        higher = self._sums[levels - 1] if levels else 0
        return views * (1 - higher / self.views) * SCORING >= higher
