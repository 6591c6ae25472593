"""Questions to the index on the server: what is sought, in terms of PostgreSQL.

`ts_rank` is not asked: words count what `populate.search.question` says, in whole numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import orjson

from populate.search.engine import FACETS, without_ties
from populate.search.question import STEP, Counted, Questions, Seen, Sought, Word, worth
from populate.search.text import is_near

Sql = tuple[str, list[Any]]
"""A piece of a statement, and its arguments."""

_NOTHING = "'!'"
"""A word that no text has."""

_ALL = 2 ** len(FACETS) - 1
"""What GROUPING says of the row that counts all."""

MOST_ALIKE = 500
"""Words that are looked for in place of a mistyped one; to look for ten times as many takes a hundred times as long."""

_ALIKE = """
    SELECT word FROM $word WHERE letter_count BETWEEN %s AND %s
    AND length(replace((letter_bits # %s)::bit(32)::text, '0', '')) <= %s
"""


class ServerQuestions(Questions):
    """Puts questions to one state of the index on the server for one asker.

    Parameters
    ----------
    ask
        Returns the rows of a statement.
    terms
        Of the asker.
    """

    def __init__(self, ask: Callable[[str, Sequence[Any]], list[tuple[Any, ...]]], terms: Collection[str]) -> None:
        self._ask, self._terms = ask, sorted(terms)
        self._alike: dict[tuple[str, int], list[str]] = {}

    def counts(self, sought: Sequence[Sought], sample: int = 1) -> list[int]:
        columns, arguments = [], []
        for one in sought:
            fitting, of_one = self._fitting(one, sample)
            columns.append(f"(SELECT count(*) {fitting})")
            arguments += of_one
        return [int(count) for count in self._ask(f"SELECT {', '.join(columns)}", arguments)[0]]

    def counted(self, sought: Sought, sample: int = 1) -> Counted:
        fitting, arguments = self._fitting(sought, sample)
        names, sets = ", ".join(FACETS), ", ".join(f"({facet})" for facet in FACETS)
        text = f"SELECT count(*), grouping({names}), {names} {fitting} GROUP BY GROUPING SETS ((), {sets})"
        total, facets = 0, {facet: list[tuple[str, int]]() for facet in FACETS}
        for count, grouped, *values in self._ask(text, arguments):
            if grouped == _ALL:
                total = int(count)
            for facet, value in zip(FACETS, values, strict=True):
                if value:  # null in the sets of other facets, empty where a view has none
                    facets[facet].append((value, int(count)))
        ordered = {facet: sorted(values, key=lambda one: (-one[1], one[0])) for facet, values in facets.items()}
        return Counted(total, ordered)

    def closest(self, sought: Sought, most: int) -> tuple[list[Seen], int]:
        rows = self._best(sought, most, "count(*) OVER ()")
        total = int(rows[0][-1]) if rows else 0
        return _unpacked(rows, total > most), total

    def closest_of_many(self, sought: Sought, most: int, total: int) -> list[Seen]:
        rows = self._best(sought, most, "NULL")
        return _unpacked(rows, len(rows) == most)

    def _best(self, sought: Sought, most: int, count: str) -> list[tuple[Any, ...]]:
        """Return score, file and view of those with the greatest scores, best first, with what `count` says."""
        (score, of_score), (fitting, of_fitting) = self._score(sought), self._fitting(sought)
        text = f"""
            SELECT score, file_id, about, count FROM (
                SELECT ({score})::real / {STEP}::real * weight AS score, file_id, about, {count} AS count {fitting}
            ) AS found ORDER BY score DESC, file_id LIMIT %s
        """  # noqa: S608
        return self._ask(text, [*of_score, *of_fitting, most])

    def going_on(self, sought: Sought, begun: str) -> list[tuple[str, int]]:
        fitting, arguments = self._fitting(sought, more=[("plain @@ %s::tsquery", [f"{quoted(begun)}:*"])])
        text = f"""
            SELECT word, count(*) FROM (SELECT plain {fitting}) AS found, unnest(tsvector_to_array(plain)) AS word
            WHERE left(word, %s) = %s GROUP BY word
        """  # noqa: S608
        return [(word, int(count)) for word, count in self._ask(text, [*arguments, len(begun), begun])]

    def _fitting(self, sought: Sought, sample: int = 1, more: Sequence[Sql] = ()) -> Sql:
        """Return where views are looked for, and what those fulfil that fit and that the asker may see.

        Files that are meant are so few that they are left out of samples.
        """
        words, least, facets, among, meant = sought
        conditions: list[Sql] = [("may && %s::text[] AND NOT unless ?| %s::text[]", [self._terms, self._terms])]
        if sample > 1:
            conditions.append((f"sample >= {sample:d}", []))
        ways = [self._all_of(words, least)] if words else []
        if meant and not (words and sample > 1):
            ways.append(_of_files(meant))
        if ways:
            conditions.append(_either(ways))
        if among is not None:
            conditions.append(_of_files(among))
        for facet in FACETS:
            if wanted := facets.get(facet):  # no view is counted for an empty value, so none is found by it
                conditions.append((f"{facet} = ANY(%s::text[])", [[value for value in wanted if value]]))
        texts, arguments = zip(*conditions, *more, strict=True)
        return f"FROM $view_of_file WHERE {' AND '.join(texts)}", [one for some in arguments for one in some]

    def _all_of(self, words: Sequence[Word], least: int) -> Sql:
        """Return what views fulfil that have so many of the words."""
        queries = [self._holds(word) for word in words]
        if least in (1, len(words)):
            return "words @@ %s::tsquery", [(" & " if least > 1 else " | ").join(f"({one})" for one in queries)]
        held = " + ".join(["(words @@ %s::tsquery)::int"] * len(words))
        return f"words @@ %s::tsquery AND {held} >= %s", [" | ".join(queries), *queries, least]

    def _score(self, sought: Sought) -> Sql:
        """Return what the words of a view count, in 1 / `STEP`."""
        if not sought.words:
            return str(STEP), []
        parts, arguments = [], []
        for word in sought.words:
            whole, begun, named = worth(word)
            queries = {
                self._near(word) if word.distance else quoted(word.stemmed): whole,
                f"{quoted(word.plain)}:*": begun,
            }
            for query, counts in queries.items():
                if counts:
                    parts.append("%s * (words @@ %s::tsquery)::int")
                    arguments += [counts, query]
            if named:
                parts.append("%s * (%s = ANY(name))::int")
                arguments += [named, word.stemmed]
        return " + ".join(parts), arguments

    def _holds(self, word: Word) -> str:
        """Return what finds a word, whatever it counts."""
        if word.distance:
            return self._near(word)
        return " | ".join([quoted(word.stemmed)] + [f"{quoted(word.plain)}:*"] * word.begins)

    def _near(self, word: Word) -> str:
        """Return what finds the words that look like a mistyped one."""
        text, most = word.stemmed, word.distance
        if (text, most) not in self._alike:
            some = self._ask(_ALIKE, [len(text) - most, len(text) + most, bits(text), 2 * most])
            alike = [other for (other,) in some if is_near(text, other, most)]
            self._alike[text, most] = alike if len(alike) <= MOST_ALIKE else self._known(alike)[:MOST_ALIKE]
        return " | ".join(map(quoted, self._alike[text, most])) or _NOTHING

    def _known(self, words: Sequence[str]) -> list[str]:
        """Return those of the words that views have which the asker may see.

        The server refuses very many words at once and says which they were: nobody is to be refused, or told, what
        they may not know.
        """
        fitting, arguments = self._fitting(Sought(), more=[("words @@ (%s || word || %s)::tsquery", ["'", "'"])])
        text = f"SELECT word FROM unnest(%s::text[]) AS word WHERE EXISTS (SELECT 1 {fitting})"  # noqa: S608
        return sorted(word for (word,) in self._ask(text, [list(words), *arguments]))


def _of_files(files: Collection[str]) -> Sql:
    return "file_id = ANY(%s::char(32)[])", [list(files)]


def _unpacked(rows: Sequence[tuple[Any, ...]], more: bool) -> list[Seen]:
    hits = without_ties([(score, (file_id, about)) for score, file_id, about, _ in rows], more)
    return [(file_id, orjson.loads(about)) for _, (file_id, about) in hits]


def quoted(word: str) -> str:
    """Return a word as a ``tsquery`` has it."""
    return "'" + word.replace("\\", "\\\\").replace("'", "''") + "'"


def bits(word: str) -> int:
    """Return which letters a word has, as bits: of words with one letter changed at most two of them differ."""
    found = 0
    for letter in word:
        found |= 1 << (ord(letter) % 31)
    return found


def _either(ways: Sequence[Sql]) -> Sql:
    return f"({' OR '.join(text for text, _ in ways)})", [one for _, arguments in ways for one in arguments]
