"""How Tantivy is asked for the views that a question looks at closely."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import orjson

from populate.search.closest import Hit, Levels, Way
from populate.search.question import Seen, Word

if TYPE_CHECKING:
    import tantivy

    from populate.search.index_questions import IndexQuestions

Address = tuple[int, int]
"""Segment, and where a view lies in it."""


class IndexScoring:
    """Scores views of one state of the index for one asker.

    Parameters
    ----------
    rest
        What views must fit besides the words.
    """

    at_once = 2

    def __init__(self, ask: IndexQuestions, rest: Sequence[tantivy.Query]) -> None:
        self._ask, self._rest = ask, rest

    @cached_property
    def levels(self) -> Levels:
        return Levels((int(level), count) for level, count in self._ask.searcher.terms_with_prefix("level", ""))

    def ways(self, word: Word) -> list[Way[tantivy.Query]]:
        return self._ask.ways(word)

    def all_of(self, words: Sequence[Word], required: int) -> tantivy.Query:
        return self._ask.all_of(words, required)

    def together(self, queries: Sequence[tantivy.Query]) -> tantivy.Query:
        return self._ask.together(queries)

    def also(self, must: tantivy.Query, more: tantivy.Query) -> tantivy.Query:
        return self._ask.also(must, more)

    def scored(self, query: tantivy.Query, lowest: int | None, most: int) -> list[Hit[Address]]:
        higher = [self._ask.at(self.levels.at_least(lowest))] if lowest is not None else []
        return best(self._ask.searcher, self._ask.shown([query, *self._rest, *higher]), most)


def best(searcher: tantivy.Searcher, query: tantivy.Query, most: int) -> list[Hit[Address]]:
    """Return the `most` best, best first; all that fit are scored."""
    hits = searcher.search(query, most, count=False, weight_by_field="prior").hits
    return [(score, (address.segment_ord, address.doc)) for score, address in hits]


def unpacked(searcher: tantivy.Searcher, hits: Sequence[Hit[Address]]) -> list[Seen]:
    """Return the views of hits in the order in which they lie: neighbours are unpacked together."""
    import tantivy

    entries = [searcher.doc(tantivy.DocAddress(*place)) for place in sorted(place for _, place in hits)]
    return [(str(entry["file_id"][0]), orjson.loads(bytes(entry["view"][0]))) for entry in entries]
