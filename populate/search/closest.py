"""Which views a question looks at closely: those that its words count most in, and of these the most read.

A view's score is what the words count in it, times a factor that grows with its prior (`populate.search.engine.prior`).
Where very many views fit, few of them are scored. Those with high priors give a score that the last one wanted has at
least, and from that follows how high the prior of any other must be to reach it: the higher, the fewer of the words
stand in its name, or nearly anywhere. So what is found is the same as if all had been scored, whatever there is that
the asker may not know. This is how Tantivy is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate, product
from typing import TYPE_CHECKING

import orjson

from populate.search.question import Seen, Word

if TYPE_CHECKING:
    import tantivy

    from populate.search.index_questions import IndexQuestions, Way

LEVELS = 128
"""Levels of priors that differ by 1."""

SURPLUS = 8
"""Times the views that are wanted, so many should fit among those that are looked at first."""

MOST_WORDS = 3
"""Of a question, for which each way of having them is gone through."""

WORTH_IT = 3
"""If more than this part of all views are of some levels, it takes longer to leave out the others."""

ANYTHING = 1.0
"""What a view counts where no word is asked for."""

AT_ONCE = 2
"""Ways of having the words that are gone through at the same time."""

ROUNDING = 1e-6
"""Of a score: it has 24 bits."""

Hit = tuple[float, "tantivy.DocAddress"]


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
    query = ask.shown([ask.all_of(words, required) if words else ask.anything(), *rest])
    if len(words) > MOST_WORDS:
        return _scored(ask, query, most)
    levels, ways = Levels(ask), [ask.ways(word) for word in words]
    whole = ask.shown([ask.enough([few[:2][-1].query for few in ways], required), *rest]) if words else query
    hits, least = _of_highest(ask, (whole, query), levels, total, most)
    queries = []
    for worth, having in _together(ways, required) if words else [(ANYTHING, [ask.anything()])]:
        lowest = int(LEVELS * (2 ** (least * (1 - ROUNDING) / worth) - 2))
        if lowest <= levels.highest:
            queries.append(ask.shown([*having, *rest, *levels.down_to(lowest)]))
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="search") as beside:
        for found in beside.map(lambda query: _scored(ask, query, most), queries):
            hits += found
    return _best(hits, most)


def _together(ways: Sequence[Sequence[Way]], required: int) -> Iterator[tuple[float, list[tantivy.Query]]]:
    """Yield in which ways views can have enough of the words: what these count then, at most, and what finds them."""
    not_at_all: list[Way | None] = [None] if required < len(ways) else []
    for one in product(*([*few, *not_at_all] for few in ways)):
        had = [way for way in one if way]
        if len(had) >= required:
            yield sum(way.worth for way in had), [way.query for way in had]


def _of_highest(
    ask: IndexQuestions, queries: tuple[tantivy.Query, tantivy.Query], levels: Levels, total: int, most: int
) -> tuple[list[Hit], float]:
    """Return the best of those with the highest priors, and what the last that is wanted scores at least.

    The answer does not depend on how many these are, so that may depend on what the asker may not know.

    Parameters
    ----------
    queries
        What finds whole words, which is quick, and whatever fits.
    """
    query, whatever = queries
    looked_at = SURPLUS * most * levels.views / total
    while True:
        lowest = levels.of(looked_at)
        hits = _scored(ask, ask.together([query, *levels.down_to(lowest)]), most)
        if len(hits) == most or not lowest:
            return hits, hits[-1][0] if len(hits) == most else 0.0
        query, looked_at = whatever, 4 * looked_at


def _scored(ask: IndexQuestions, query: tantivy.Query, most: int) -> list[Hit]:
    return ask.searcher.search(query, most, count=False, weight_by_field="prior").hits


def _best(hits: Sequence[Hit], most: int) -> list[Hit]:
    """Return the best, each once: with the most that any of the ways in which it was found counts."""
    rising = sorted(hits, key=lambda hit: hit[0])
    once = {(address.segment_ord, address.doc): (score, address) for score, address in rising}
    return sorted(once.values(), key=lambda hit: -hit[0])[:most]


class Levels:
    """How many views there are of each level of priors, hidden ones, too."""

    def __init__(self, ask: IndexQuestions) -> None:
        counts = ask.searcher.terms_with_prefix("level", "")
        self._counts = sorted(((int(level), count) for level, count in counts), reverse=True)
        self._ask = ask
        self.views = sum(count for _, count in counts)

    @property
    def highest(self) -> int:
        return self._counts[0][0] if self._counts else 0

    def of(self, views: float) -> int:
        """Return from which level on there are so many views; 0 if there are not."""
        for (level, _), sum_ in zip(self._counts, accumulate(count for _, count in self._counts), strict=True):
            if sum_ >= views:
                return level
        return 0

    def down_to(self, lowest: int) -> list[tantivy.Query]:
        """Return what leaves out views of lower levels, if that saves anything."""
        levels = [(level, count) for level, count in self._counts if level >= lowest]
        if sum(count for _, count in levels) > self.views / WORTH_IT:
            return []
        return [self._ask.at([level for level, _ in levels])]


def unpacked(searcher: tantivy.Searcher, hits: Sequence[Hit]) -> list[Seen]:
    """Return the views of hits in the order in which they lie: neighbours are unpacked together."""
    places = sorted((address for _, address in hits), key=lambda one: (one.segment_ord, one.doc))
    entries = [searcher.doc(address) for address in places]
    return [(str(entry["file_id"][0]), orjson.loads(bytes(entry["view"][0]))) for entry in entries]
