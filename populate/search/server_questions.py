"""Questions to the index on the server: what is sought, in terms of PostgreSQL.

`ts_rank` is not asked: words count what `populate.search.question` says, in whole numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import orjson

from populate.search.closest import Hit, Levels, closest_of_many
from populate.search.engine import FACETS, without_ties
from populate.search.question import SPARSE, STEP, Counted, Questions, Seen, Sought, Word, worth
from populate.search.server_scoring import ServerScoring, ViewKey
from populate.search.server_sql import Sql, beginning, bits, quoted
from populate.search.text import is_near

_NOTHING = "'!'"
"""A word that no text has."""

_ALL = 2 ** len(FACETS) - 1
"""What GROUPING says of the row that counts all."""

MOST_ALIKE = 500
"""Words that are looked for in place of a mistyped one; to look for ten times as many takes a hundred times as long."""

MOST_LONGER = 32
"""Words that begin alike and are looked for one by one."""

ALL_SCORED = 8000
"""Views that fit, from which on it is quicker to find out which need to be scored."""

_LONGER = "SELECT word FROM $word WHERE word LIKE %s LIMIT %s"
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
        self._longer: dict[str, list[str]] = {}

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

    def closest(self, sought: Sought, most: int, about: int) -> list[Seen]:
        if about < ALL_SCORED:
            hits = self.scored(sought, most + 1)
        else:
            hits = closest_of_many(ServerScoring(self, sought), sought.words, sought.least, about, most + 1)
        return self._unpacked(without_ties(hits[:most], len(hits) > most))

    def scored(self, sought: Sought, most: int, more: Sequence[Sql] = ()) -> list[Hit[ViewKey]]:
        """Return where those lie that have the greatest scores, best first."""
        having = sought._replace(words=(), least=0) if more else sought
        (score, of_score), (fitting, of_fitting) = self._score(sought), self._fitting(having, more=more)
        text = f"""
            SELECT score, file_id, view_no FROM (
                SELECT ({score})::real / {STEP}::real * weight AS score, file_id, view_no {fitting}
            ) AS found ORDER BY score DESC, file_id LIMIT %s
        """  # noqa: S608
        return [
            (score, (file_id, view_no)) for score, file_id, view_no in self._ask(text, [*of_score, *of_fitting, most])
        ]

    def levels(self) -> Levels:
        """Return how many views that the asker may see have each level of priors, by the sparse sample."""
        fitting, arguments = self._fitting(Sought(), SPARSE)
        counts = self._ask(f"SELECT level[1], count(*) {fitting} GROUP BY 1", arguments)
        # One more, for weights are rounded: two that are the same may be of neighbouring levels.
        highest = self._ask("SELECT level[1] + 1 FROM $view_of_file ORDER BY weight DESC LIMIT 1", [])
        return Levels(((level, SPARSE * int(count)) for level, count in counts), highest[0][0] if highest else 0)

    def _unpacked(self, hits: Sequence[Hit[ViewKey]]) -> list[Seen]:
        """Return the views of hits."""
        files, numbers = ([place[n] for _, place in hits] for n in (0, 1))
        text = """
            SELECT file_id, about FROM $view_of_file
            JOIN unnest(%s::char(32)[], %s::integer[]) AS place (file_id, view_no) USING (file_id, view_no)
        """
        return [(file_id, orjson.loads(about)) for file_id, about in self._ask(text, [files, numbers])]

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
        ways = [self.all_of(words, least)] if words else []
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

    def all_of(self, words: Sequence[Word], least: int) -> Sql:
        """Return what views fulfil that have so many of the words."""
        queries = [self.holds(word) for word in words]
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

    def holds(self, word: Word) -> str:
        """Return what finds a word, whatever it counts."""
        if word.distance:
            return self._near(word)
        return " | ".join([quoted(word.stemmed)] + ([self.begun(word.plain)] if word.begins else []))

    def begun(self, plain: str) -> str:
        """Return what finds the words that begin so: each by itself if they are few, for those are found quicker."""
        longer = self.longer(plain)
        if len(longer) > MOST_LONGER:
            return f"{quoted(plain)}:*"
        return " | ".join(map(quoted, longer)) or _NOTHING

    def longer(self, plain: str) -> list[str]:
        """Return words that begin so, whoever may know them; one more than are looked for one by one, at most."""
        if plain not in self._longer:
            some = self._ask(_LONGER, [beginning(plain), MOST_LONGER + 1])
            self._longer[plain] = [word for (word,) in some]
        return self._longer[plain]

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


def _either(ways: Sequence[Sql]) -> Sql:
    return f"({' OR '.join(text for text, _ in ways)})", [one for _, arguments in ways for one in arguments]
