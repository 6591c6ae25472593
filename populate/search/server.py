"""The index that the catalogue's own PostgreSQL keeps: views of files as rows.

Whoever keeps it writes portions, each in a transaction of its own; all others read what is there at a moment.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import log2
from types import MappingProxyType
from typing import Any

import orjson

from populate.search.engine import FACETS, facets_of, in_sample, level, prior
from populate.search.question import SAMPLES
from populate.search.server_questions import ServerQuestions
from populate.search.server_sql import bits
from populate.search.server_tables import rendered
from populate.search.text import distinct, stem
from populate.search.views import Document, View
from schemas.binding import Binding
from schemas.catalogue import File

TOGETHER, WORDS_TOGETHER = 500, 500_000
"""Files of a transaction, and words of their views: of many large ones fewer, for a statement is below a gigabyte."""

MOST_BYTES = 2**20 - 1
"""Of all words of a view: more does not go into a ``tsvector``."""

_COLUMNS: Mapping[str, str] = {
    **{"file_id": "char(32)", "view_no": "integer", "digest": "char(64)", "sample": "smallint", "weight": "real"},
    **{"level": "integer[]"},
    **dict.fromkeys(FACETS, "text"),
    **{"may": "text[]", "unless": "jsonb", "name": "text[]", "words": "text[]", "plain": "text[]", "about": "text"},
}
_GIVEN = {"words": "array_to_tsvector(words)", "plain": "array_to_tsvector(plain)"}

_TAKE_OUT = """
    WITH gone AS (DELETE FROM $view_of_file WHERE file_id = ANY(%s::char(32)[]) RETURNING words)
    SELECT DISTINCT word FROM gone, unnest(tsvector_to_array(words)) AS word
"""
_PUT_IN = f"""
    INSERT INTO $view_of_file ({", ".join(_COLUMNS)})
    SELECT {", ".join(_GIVEN.get(name, name) for name in _COLUMNS)}
    FROM json_to_recordset(%s::json) AS given ({", ".join(f"{name} {kind}" for name, kind in _COLUMNS.items())})
"""  # noqa: S608
_LEARN = """
    INSERT INTO $word (word, letter_count, letter_bits)
    SELECT * FROM json_to_recordset(%s::json) AS given (word text, letter_count integer, letter_bits integer)
    ON CONFLICT DO NOTHING
"""
_FORGET = """
    DELETE FROM $word AS held WHERE word = ANY(%s) AND NOT EXISTS (
        SELECT 1 FROM $view_of_file AS v WHERE v.words @@ ('''' || held.word || '''')::tsquery)
"""
_DROP = """
    DELETE FROM $view_of_file AS held WHERE NOT EXISTS (SELECT 1 FROM $file AS f WHERE f.file_id = held.file_id)
"""
_SAID = "SELECT DISTINCT word FROM $view_of_file, unnest(tsvector_to_array(words)) AS word"
_FORGET_OTHERS = f"DELETE FROM $word WHERE word NOT IN ({_SAID})"  # noqa: S608
_NOT_LEARNT = f"{_SAID} EXCEPT SELECT word FROM $word"  # noqa: S608
_READING = (
    # What is asked in one question is answered by one state. What the planner takes for cheap is a look at all rows;
    # and to compile a question takes longer than to answer it.
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL enable_seqscan = off; SET LOCAL jit = off"
)


class ServerIndex:
    """Views of files that can be searched, on the server of a binding, which has the tables for them."""

    def __init__(self, binding: Binding) -> None:
        self._binding = binding

    @contextmanager
    def asking(self, terms: Collection[str]) -> Iterator[ServerQuestions]:
        """Let somebody with these terms ask what is indexed at this moment."""
        with self._binding.transaction() as connection:
            connection.query(_READING)
            yield ServerQuestions(self._ask, terms)

    @property
    def views(self) -> int:
        """How many are indexed at this moment."""
        return int(self._ask("SELECT count(*) FROM $view_of_file")[0][0])

    def put(self, documents: Iterable[Document], done: Callable[[str], None] = lambda file_id: None) -> int:
        """Index what is said of files in place of what was said before, and return of how many.

        Parameters
        ----------
        done
            Called with the last file of each portion, in its transaction.
        """
        count = 0
        for some in _portions(documents):
            with self._binding.transaction():
                self._put(some)
                done(some[-1].file_id)
            count += len(some)
        return count

    def digests(self, files: Iterable[str]) -> dict[str, str]:
        """Return the digests of those of the files that have a view in the index."""
        text = "SELECT DISTINCT file_id, digest FROM $view_of_file WHERE file_id = ANY(%s::char(32)[])"
        return dict(self._ask(text, [list(files)]))

    def clear(self) -> None:
        """Take all views and words out, in the caller's transaction."""
        for table in ("$view_of_file", "$word"):
            self._do(f"DELETE FROM {table}")  # noqa: S608

    def drop_strays(self) -> int:
        """Take out views of files that are not in the catalogue, see that the words are those of the views, and count.

        Searches find by the words what is mistyped and what begins so; nobody may find by them what was erased.
        """
        with self._binding.transaction():
            strays = self._do(_DROP, named={"file": File().full_table_name})
            forgotten = self._do(_FORGET_OTHERS)
            return strays + forgotten + self._learn(word for (word,) in self._ask(_NOT_LEARNT))

    def _put(self, some: Sequence[Document]) -> None:
        rows = [_row(document, number, view) for document in some for number, view in enumerate(document.views)]
        before = {word for (word,) in self._ask(_TAKE_OUT, [[document.file_id for document in some]])}
        now = {word for row in rows for word in row["words"]}
        self._do(_PUT_IN, [orjson.dumps(rows).decode()])
        self._learn(now - before)
        if before - now:
            self._do(_FORGET, [sorted(before - now)])

    def _learn(self, words: Iterable[str]) -> int:
        rows = [{"word": word, "letter_count": len(word), "letter_bits": bits(word)} for word in sorted(words)]
        return self._do(_LEARN, [orjson.dumps(rows).decode()])

    def _ask(self, text: str, arguments: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return list(self._binding.connection.query(rendered(text, self._binding), arguments or None).fetchall())

    def _do(self, text: str, arguments: Sequence[Any] = (), named: Mapping[str, str] = MappingProxyType({})) -> int:
        return int(self._binding.connection.query(rendered(text, self._binding, named), arguments or None).rowcount)


def _portions(documents: Iterable[Document]) -> Iterator[list[Document]]:
    some: list[Document] = []
    words = 0
    for document in documents:
        some.append(document)
        words += sum(len(view.plain) for view in document.views)
        if len(some) >= TOGETHER or words >= WORDS_TOGETHER:
            yield some
            some, words = [], 0
    if some:
        yield some


def _row(document: Document, number: int, view: View) -> dict[str, Any]:
    about, worth = view.about, prior(document.file_id, view.about)
    return {
        "file_id": document.file_id,
        "view_no": number,
        "digest": document.digest,
        "sample": next(times for times in SAMPLES if in_sample(document.file_id, times)),
        "weight": weight(worth),
        "level": [level(worth)],
        **facets_of(about),
        "may": view.may,
        "unless": dict.fromkeys(view.unless),
        "name": list(about["words"].get("name", ())),
        "words": _that_fit(distinct(map(stem, view.plain))),
        "plain": _that_fit(view.plain),
        "about": orjson.dumps(about).decode(),
    }


def weight(of_prior: float) -> float:
    """Return log2(2 + prior) in single precision, as Tantivy computes it."""
    return _single(log2(_single(2 + of_prior)))


def _single(number: float) -> float:
    (found,) = struct.unpack("f", struct.pack("f", number))
    return float(found)


def _that_fit(words: Sequence[str]) -> list[str]:
    """Return the first words, as many as the server takes; those of the name come first and are always among them."""
    left, found = MOST_BYTES, []
    for word in words:
        left -= len(word.encode())
        if left < 0:
            break
        found.append(word)
    return found
