"""How PostgreSQL is asked for the views that a question looks at closely."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from populate.search.closest import Hit, Levels, Way, both
from populate.search.question import STEP, Sought, Word, worth
from populate.search.server_sql import Sql, quoted

if TYPE_CHECKING:
    from populate.search.server_questions import ServerQuestions

ViewKey = tuple[str, int]
"""File, and number of the view."""


class ServerScoring:
    """Scores views of one state of the index for one asker: always all that the words count in a view.

    Parameters
    ----------
    sought
        What views must fit; they are found by the ways in which they have its words.
    """

    at_once = 1

    def __init__(self, ask: ServerQuestions, sought: Sought) -> None:
        self._ask, self._sought = ask, sought

    @cached_property
    def levels(self) -> Levels:
        return self._ask.levels()

    def ways(self, word: Word) -> list[Way[Sql]]:
        if word.distance:
            return [self._way(worth(word)[0], self._ask.holds(word), word)]
        stands, begun, named = worth(word)
        beside = 0 if word.stemmed.startswith(word.plain) else begun
        whole = self._way(stands + begun - beside, quoted(word.stemmed), word)
        in_name = both(whole, Way(named / STEP, (("name @> %s::text[]", [[word.stemmed]]),), word.views))
        if not begun or set(self._ask.longer(word.plain)) <= {word.stemmed}:
            return [whole, in_name]
        longer = self._way(begun, self._ask.begun(word.plain), word)
        return [whole, in_name, longer, *([both(whole, longer), both(in_name, longer)] if beside else [])]

    def _way(self, counts: int, query: str, word: Word) -> Way[Sql]:
        return Way(counts / STEP, (("words @@ %s::tsquery", [query]),), word.views)

    def all_of(self, words: Sequence[Word], required: int) -> Sql:
        return self._ask.all_of(words, required) if words else ("TRUE", [])

    def together(self, queries: Sequence[Sql]) -> Sql:
        return " AND ".join(text for text, _ in queries), [one for _, arguments in queries for one in arguments]

    def also(self, must: Sql, more: Sql) -> Sql:
        return must

    def scored(self, query: Sql, lowest: int | None, most: int) -> list[Hit[ViewKey]]:
        if lowest is None:
            return self._ask.scored(self._sought, most, [query])
        levels = list(range(lowest, self.levels.highest + 1))
        return self._ask.scored(self._sought, most, [query, ("level && %s::integer[]", [levels])])
