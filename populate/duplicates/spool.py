"""Near duplicates and namesakes among any number of files, in memory that does not grow with them.

Files and what their contents say come in portions and are kept in a database file that is deleted
afterwards. There they are sorted, grouped and joined by DuckDB, which puts aside on disk what does
not fit its share of memory; only the pairs that are asked for come back.

As few relations as say everything: a group of n files that say the same is n - 1 relations to the
one that was met first.
"""

from __future__ import annotations

import tempfile
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from string import Template
from typing import Any, Self

import duckdb
import pandas as pd

from populate.duplicates.forms.form import BYTES, DIGITS, hashes_of, similarity
from populate.duplicates.kinds import (
    ALIKE,
    COMPARED,
    FEWEST,
    HABITS,
    IN_COMMON,
    MOST_ALIKE,
    MOST_NAMESAKES,
    NEAR,
    SAME_NAME,
    SMALLEST,
    Known,
    Relation,
    Said,
)

MEMORY = "400MB"  # of DuckDB's, before it puts aside on disk what it works on
PORTION = 5000  # rows that are written, or pairs that are compared, at a time

_TABLES = """
CREATE TABLE files (file_id VARCHAR, version_id VARCHAR, sha256 VARCHAR, size BIGINT, first_seen TIMESTAMP,
    name VARCHAR);
CREATE TABLE forms (sha256 VARCHAR, kind VARCHAR, form_sha256 VARCHAR, elements BIGINT, sketch VARCHAR);
CREATE TABLE related (one VARCHAR, other VARCHAR);
CREATE TABLE fewest (kind VARCHAR, fewest BIGINT);
CREATE TABLE near (file_id VARCHAR, other_id VARCHAR, common VARCHAR, similarity DOUBLE);
"""
_WORDS = {
    "MET": "first_seen NULLS LAST, file_id, version_id",
    "UNRELATED": """NOT EXISTS (SELECT 1 FROM related r
        WHERE r.one = LEAST(n.file_id, n.other_id) AND r.other = GREATEST(n.file_id, n.other_id))""",
    "BYTES": BYTES,
    "DIGITS": DIGITS,
    "SMALLEST": SMALLEST,
    "COMPARED": COMPARED,
    "IN_COMMON": IN_COMMON,
    "MOST_ALIKE": MOST_ALIKE,
    "MOST_NAMESAKES": MOST_NAMESAKES,
}
# Each content stands for the file that was met first with it, each form for the content of which that is true.
_FORMS = """
CREATE TABLE said AS
SELECT f.*, p.file_id, p.first_seen, p.version_id,
    ROW_NUMBER() OVER (PARTITION BY f.form_sha256 ORDER BY $MET) AS place,
    FIRST_VALUE(p.file_id) OVER (PARTITION BY f.form_sha256 ORDER BY $MET) AS leader
FROM forms f
JOIN (SELECT * FROM files QUALIFY ROW_NUMBER() OVER (PARTITION BY sha256 ORDER BY $MET) = 1) p USING (sha256)
WHERE f.form_sha256 <> '' AND CASE f.kind WHEN '$BYTES' THEN p.size >= $SMALLEST ELSE f.elements >= 2 END;
INSERT INTO near SELECT file_id, leader, form_sha256, 1.0 FROM said WHERE place > 1 AND file_id <> leader;
CREATE TABLE leaders AS
SELECT s.kind, s.file_id, s.sketch, ROW_NUMBER() OVER (ORDER BY $MET) AS place
FROM said s JOIN fewest e ON e.kind = s.kind
WHERE s.place = 1 AND s.sketch <> '' AND s.elements >= e.fewest;
"""
# Forms that have enough of their least hashes in common; a hash of too many belongs to a template.
_CANDIDATES = """
WITH hashes AS (
    SELECT kind, place, UNNEST(LIST_DISTINCT(LIST_TRANSFORM(
        RANGE(LEAST($COMPARED, LENGTH(sketch) // $DIGITS)), lambda i: SUBSTR(sketch, i * $DIGITS + 1, $DIGITS)
    ))) AS hash
    FROM leaders
),
telling AS (SELECT * FROM hashes QUALIFY COUNT(*) OVER (PARTITION BY kind, hash) <= $MOST_ALIKE),
pairs AS (
    SELECT a.place AS one, b.place AS other
    FROM telling a JOIN telling b ON b.kind = a.kind AND b.hash = a.hash AND b.place > a.place
    GROUP BY a.place, b.place HAVING COUNT(*) >= $IN_COMMON
)
SELECT a.kind, a.file_id, a.sketch, b.file_id, b.sketch
FROM pairs p JOIN leaders a ON a.place = p.one JOIN leaders b ON b.place = p.other
WHERE a.file_id <> b.file_id
"""
_NEW = """
CREATE TABLE near_pairs AS SELECT n.* FROM near n WHERE $UNRELATED;
INSERT INTO related SELECT LEAST(file_id, other_id), GREATEST(file_id, other_id) FROM near_pairs;
"""
_NAMES = """
CREATE TABLE name_pairs AS
WITH named AS (
    SELECT *, ROW_NUMBER() OVER (PARTITION BY name ORDER BY $MET) AS place
    FROM files WHERE name <> '' AND size > 0
    QUALIFY COUNT(*) OVER (PARTITION BY name) BETWEEN 2 AND $MOST_NAMESAKES
)
SELECT n.file_id, n.other_id, '' AS common, 0.0 AS similarity
FROM (
    SELECT b.file_id, a.file_id AS other_id
    FROM named a JOIN named b ON b.name = a.name AND b.place > a.place AND b.sha256 <> a.sha256
) n
WHERE $UNRELATED;
"""


class Spool:
    """Files and what they say; a context in which pairs of them can be asked for.

    Say first what is `relate`d otherwise, then `fill` it once, then ask.
    """

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="spool-"))
            limits: dict[str, Any] = {
                "memory_limit": MEMORY,
                "temp_directory": folder,
                "preserve_insertion_order": "false",
            }
            place = str(Path(folder, "spool.duckdb"))
            self._engine = stack.enter_context(duckdb.connect(place, config=limits))
            self._engine.execute(_TABLES)
            self._engine.executemany("INSERT INTO fewest VALUES (?, ?)", [*FEWEST.items()])
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def relate(self, relations: Iterable[Relation]) -> None:
        """Leave out pairs that are related in a way that says more."""
        self._add("related", (sorted((one.file_id, one.other_id)) for one in relations))

    def fill(self, files: Iterable[tuple[Iterable[Known], Mapping[str, str]]], forms: Iterable[Iterable[Said]]) -> None:
        """Take in portions of files and forms, and find the pairs.

        Parameters
        ----------
        files
            Files in their present versions, each in one portion, and what they are called.
        forms
            What contents say, each once; those that no file has do no harm.
        """
        for present, names in files:
            self._add("files", ((*one[:5], _specific(names.get(one.file_id, ""))) for one in present))
        for said in forms:
            self._add("forms", said)
        self._compare()

    def _compare(self) -> None:
        self._engine.execute(_sql(_FORMS))
        with self._engine.cursor() as reading:
            candidates = reading.execute(_sql(_CANDIDATES))
            while rows := candidates.fetchmany(PORTION):
                self._add("near", _alike(rows))
        self._engine.execute(_sql(_NEW))
        self._engine.execute(_sql(_NAMES))

    def count(self, kind: str) -> int:
        """Return the number of pairs of a kind: near, or same name."""
        (number,) = self._engine.execute(f"SELECT COUNT(*) FROM {_PAIRS[kind]}").fetchone() or (0,)  # noqa: S608
        return int(number)

    def pairs(self, kind: str, most: int | None = None) -> list[Relation]:
        """Return the pairs of a kind, at most so many: the most similar, and among these always the same ones."""
        limit = "" if most is None else f"LIMIT {int(most)}"
        found = self._engine.execute(
            f"SELECT * FROM {_PAIRS[kind]} ORDER BY similarity DESC, file_id, other_id {limit}"  # noqa: S608
        )
        return [Relation(kind, *row) for row in found.fetchall()]

    def versions(self, pairs: Iterable[Relation]) -> dict[str, str]:
        """Return the present versions of the files of these pairs, which are not many."""
        wanted = sorted({file_id for pair in pairs for file_id in (pair.file_id, pair.other_id)})
        frame = pd.DataFrame({"file_id": wanted}, dtype=object)  # noqa: F841  (DuckDB finds it by its name)
        found = self._engine.execute("SELECT file_id, version_id FROM files SEMI JOIN frame USING (file_id)")
        return dict(found.fetchall())

    def _add(self, table: str, rows: Iterable[Sequence[Any]]) -> None:
        columns = [name for name, *_ in self._engine.execute(f"DESCRIBE {table}").fetchall()]
        rest = iter(rows)
        while portion := [*islice(rest, PORTION)]:
            frame = pd.DataFrame(portion, columns=columns, dtype=object)  # noqa: F841  (DuckDB finds it by its name)
            self._engine.execute(f"INSERT INTO {table} SELECT * FROM frame")  # noqa: S608


_PAIRS = {NEAR: "near_pairs", SAME_NAME: "name_pairs"}


def _sql(text: str) -> str:
    return Template(text).substitute(_WORDS)


def _alike(rows: Iterable[tuple[str, str, str, str, str]]) -> Iterator[tuple[str, str, str, float]]:
    for kind, one, ours, other, theirs in rows:
        share = similarity(hashes_of(ours), hashes_of(theirs))
        if share >= ALIKE[kind]:
            yield other, one, "", share


def _specific(name: str) -> str:
    """Return the name as it is compared, or nothing if it says too little."""
    folded = unicodedata.normalize("NFC", name).casefold().strip()
    stem = folded.partition(".")[0].strip("_-~ 0123456789()")
    return folded if len(stem) > 3 and stem not in HABITS else ""
