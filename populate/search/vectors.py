"""What views of files mean, as vectors kept beside the index: who may see each, and which are nearest to a question.

A vector is whole numbers of one byte. Products of those are whole numbers that floating point adds up without
rounding, so what else is in the matrix never shows in an answer, not in its last digit.

There are two parts: what was written last, and the rest, which is mapped into memory and written anew only when the
former has grown. A small file names both and is replaced in one step; readers keep what they opened.
"""

from __future__ import annotations

import os
import time
import zipfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from populate.search.encoder import Encoder
from populate.search.engine import FACETS, facets_of
from populate.search.views import Document, View

SCALE, FINE = 127, 4096
"""A coordinate of what is kept is a multiple of 1/127, of what is asked of 1/4096."""

FEW = 2000
"""Rows written last, from which on (if they are a tenth of the rest, too) all are written anew."""

TOGETHER = 500
"""Files between two writings, unless somebody waits."""

AT_A_TIME = 512
"""Rows that are multiplied at a time: as floating numbers they still fit into the cache, which is six times faster."""

MOST_NEAR = 2000
"""Files whose nearness to a question is told: the nearest."""

_NAMES = ("files", "digests", "texts", "may", "may_at", "unless", "unless_at", "facets", "replaced")


@dataclass(slots=True)
class _Row:
    """A view before it is written; terms and values of facets as people write them."""

    file_id: bytes
    digest: bytes
    text: bytes
    may: Sequence[str]
    unless: Sequence[str]
    facets: Sequence[str]
    vector: NDArray[np.int8]


@dataclass(slots=True)
class _Part:
    """Views in a file: row n has ``may[may_at[n]:may_at[n + 1]]``, numbers of `terms`; its facets are such, too."""

    terms: list[str]
    columns: dict[str, NDArray[Any]]
    vectors: NDArray[np.int8]
    numbers: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self.numbers = {term: number for number, term in enumerate(self.terms)}

    def __len__(self) -> int:
        return len(self.columns["files"])

    def seen(self, terms: Collection[str], facets: Mapping[str, Collection[str]]) -> NDArray[np.bool_]:
        """Return which rows somebody with these terms may see, within facets."""
        shown = self._any_of("may", terms) & ~self._any_of("unless", terms)
        for place, facet in enumerate(FACETS):
            if facets.get(facet):
                wanted = [self.numbers[value] for value in facets[facet] if value in self.numbers]
                shown &= np.isin(self.columns["facets"][:, place], wanted)
        return shown

    def _any_of(self, name: str, terms: Collection[str]) -> NDArray[np.bool_]:
        held = np.zeros(len(self.terms) + 1, np.bool_)
        held[[self.numbers[term] for term in terms if term in self.numbers]] = True
        counts = np.concatenate([[0], np.cumsum(held[self.columns[name]])])
        places = self.columns[f"{name}_at"]
        return np.asarray(counts[places[1:]] > counts[places[:-1]])

    def rows(self, which: NDArray[np.bool_]) -> Iterator[_Row]:
        """Yield rows as they were before they were written."""
        told = self.columns
        for row in np.flatnonzero(which).tolist():
            key = told["files"][row], told["digests"][row], told["texts"][row]
            facets = ["" if n < 0 else self.terms[n] for n in told["facets"][row]]
            yield _Row(*key, self._terms("may", row), self._terms("unless", row), facets, self.vectors[row])

    def _terms(self, name: str, row: int) -> list[str]:
        places = self.columns[f"{name}_at"]
        return [self.terms[number] for number in self.columns[name][places[row] : places[row + 1]]]


class Near(NamedTuple):
    """A file that means about the same as a question, and how near: a cosine."""

    file_id: str
    similarity: float


class Meanings:
    """The vectors in a folder.

    Parameters
    ----------
    folder
        Made if it is not there.
    encoder
        That makes them.
    known
        Others of the same model, whose vectors of the same texts are taken over.
    together
        Files between two writings.

    Raises
    ------
    ValueError
        If they cannot be read.
    """

    def __init__(self, folder: Path, encoder: Encoder, known: Meanings | None = None, together: int = TOGETHER) -> None:
        self._folder, self._encoder, self._together = folder, encoder, together
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.state = _state(folder)
        for _ in range(100):
            try:
                self._base, self._last = (self._part(number) for number in self.state)
                break
            except FileNotFoundError:  # it was replaced while it was opened
                before, self.state = self.state, _state(folder)
                if before == self.state:
                    raise ValueError(f"a part of {before} is not there") from None
        self._alive = ~np.isin(self._base.columns["files"], self._last.columns["replaced"])
        self._known = known or self

    @property
    def views(self) -> int:
        """How many there are."""
        return int(self._alive.sum()) + len(self._last)

    def is_present(self) -> bool:
        """Return whether these are still the ones that hold."""
        return _state(self._folder) == self.state

    def put(self, documents: Iterable[Document], done: Callable[[str], None] = lambda file_id: None) -> int:
        """Keep what is said of files in place of what was said before, and return of how many.

        Parameters
        ----------
        done
            Called with the last file after each writing.
        """
        count, coming = 0, iter(documents)
        while some := list(islice(coming, self._together)):
            self._put(some)
            count += len(some)
            done(some[-1].file_id)
        return count

    def vectors(self, texts: Collection[bytes]) -> dict[bytes, NDArray[np.int8]]:
        """Return the vectors of those of the texts, by the beginnings of their hashes, that have one here."""
        wanted = np.array(sorted(texts), "S32")
        found: dict[bytes, NDArray[np.int8]] = {}
        for part in (self._base, self._last):
            rows = np.flatnonzero(np.isin(part.columns["texts"], wanted))
            found |= dict(zip(part.columns["texts"][rows].tolist(), part.vectors[rows], strict=True))
        return found

    def digests(self, files: Iterable[str]) -> dict[str, str]:
        """Return the digests of those of the files that have a view here."""
        wanted = np.array([one.encode() for one in files], "S32")
        found: dict[str, str] = {}
        for part, which in ((self._base, self._alive), (self._last, np.ones(len(self._last), np.bool_))):
            rows = np.flatnonzero(which & np.isin(part.columns["files"], wanted))
            told = (part.columns[name][rows].tolist() for name in ("files", "digests"))
            found |= {file_id.decode(): digest.decode() for file_id, digest in zip(*told, strict=True)}
        return found

    def near(
        self,
        text: str,
        terms: Collection[str],
        facets: Mapping[str, Collection[str]],
        least: float,
        without: Collection[str] = (),
    ) -> list[Near]:
        """Return the files that mean about the same as a text, nearest first, to somebody with these terms.

        Parameters
        ----------
        least
            Similarity that they have at least.
        without
            Files that take no part.
        """
        left_out = np.array([one.encode() for one in without], "S32")
        asked = np.rint(self._encoder.encode(text) * FINE).astype(np.float32)
        files, products = [], []
        for part, which in ((self._base, self._alive), (self._last, True)):
            rows = np.flatnonzero(part.seen(terms, facets) & which)
            if len(left_out):
                rows = rows[~np.isin(part.columns["files"][rows], left_out)]
            of_rows = _products(part.vectors, rows, asked)
            enough = of_rows >= least * SCALE * FINE
            files.append(part.columns["files"][rows[enough]])
            products.append(of_rows[enough])
        return _nearest(np.concatenate(files), np.concatenate(products))

    def _put(self, some: Sequence[Document]) -> None:
        held = self._known.vectors({key_of(view) for document in some for view in document.views})
        new = [row for document in some for row in self._rows(document, held)]
        replaced = np.array([document.file_id.encode() for document in some], "S32")
        stay = ~np.isin(self._last.columns["files"], replaced)
        last = _part([*self._last.rows(stay), *new], self._encoder.width)
        last.columns["replaced"] = np.union1d(self._last.columns["replaced"], replaced).astype("S32")
        self._alive &= ~np.isin(self._base.columns["files"], replaced)
        base_no, last_no = self.state
        # Never one that was used before, even in a folder made anew.
        number = max(*self.state, time.time_ns() // 1000) + 1
        if len(last.columns["replaced"]) > max(FEW, len(self._base) // 10):
            whole = np.ones(len(last), np.bool_)
            base = _part([*self._base.rows(self._alive), *last.rows(whole)], self._encoder.width)
            self._write(number, base)
            base_no, number, last = number, number + 1, _part([], self._encoder.width)
            self._base = self._part(base_no)
            self._alive = np.ones(len(self._base), np.bool_)
        self._write(number, last)
        self._last, last_no = last, number
        self._name(base_no, last_no)

    def _rows(self, document: Document, held: dict[bytes, NDArray[np.int8]]) -> Iterator[_Row]:
        for view in document.views:
            text = key_of(view)
            if text not in held:
                held[text] = np.clip(np.rint(self._encoder.encode(view.text) * SCALE), -SCALE, SCALE).astype(np.int8)
            facets = list(facets_of(view.about).values())
            key = document.file_id.encode(), document.digest.encode()
            yield _Row(*key, text, view.may, view.unless, facets, held[text])

    def _part(self, number: int) -> _Part:
        if not number:
            return _part([], self._encoder.width)
        try:
            with (self._folder / f"{number}.npz").open("rb") as file, np.load(file, allow_pickle=False) as told:
                columns = {name: told[name] for name in _NAMES}
                terms = orjson.loads(told["terms"].tobytes())
            shape = len(columns["files"]), self._encoder.width
            vectors = np.zeros(shape, np.int8)
            if shape[0]:
                vectors = np.memmap(self._folder / f"{number}.vectors", np.int8, "r", shape=shape)
        except (zipfile.BadZipFile, EOFError, KeyError) as error:
            raise ValueError(f"{number}.npz cannot be read: {error}") from error
        return _Part(terms, columns, vectors)

    def _write(self, number: int, part: _Part) -> None:
        with _lasting(self._folder / f"{number}.vectors") as file:
            file.write(part.vectors.tobytes())
        terms = np.frombuffer(orjson.dumps(part.terms), np.uint8)
        with _lasting(self._folder / f"{number}.npz") as file:
            np.savez(file, allow_pickle=False, terms=terms, **part.columns)

    def _name(self, base: int, last: int) -> None:
        """Say which parts hold from now on, and remove the others."""
        self.state = base, last
        whole = self._folder / "parts.new"
        with _lasting(whole) as file:
            file.write(orjson.dumps(self.state))
        whole.replace(self._folder / "parts.json")
        for path in self._folder.iterdir():
            number = path.name.partition(".")[0]
            if number.isdecimal() and int(number) not in self.state:
                path.unlink(missing_ok=True)


@contextmanager
def _lasting(path: Path) -> Iterator[BinaryIO]:
    """Write a file that is on the disk before anything names it."""
    with path.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def key_of(view: View) -> bytes:
    """Return by what the vector of a view's text is found: the beginning of its hash."""
    return view.text_sha256[:32].encode()


def _state(folder: Path) -> tuple[int, int]:
    """Return the numbers of the parts that hold; 0 is an empty one."""
    try:
        base, last = orjson.loads((folder / "parts.json").read_bytes())
    except FileNotFoundError:
        return 0, 0
    return int(base), int(last)


def _part(rows: Sequence[_Row], width: int) -> _Part:
    """Return rows as they are written."""
    terms: dict[str, int] = {}

    def number(term: str) -> int:
        return terms.setdefault(term, len(terms))

    columns: dict[str, NDArray[Any]] = {
        "files": np.array([row.file_id for row in rows], "S32"),
        "digests": np.array([row.digest for row in rows], "S64"),
        "texts": np.array([row.text for row in rows], "S32"),
        "facets": np.array([[number(one) if one else -1 for one in row.facets] for row in rows], np.int32).reshape(
            len(rows), len(FACETS)
        ),
        "replaced": np.array([], "S32"),
    }
    for name in ("may", "unless"):
        held = [getattr(row, name) for row in rows]
        columns[name] = np.array([number(term) for one in held for term in one], np.int32)
        columns[f"{name}_at"] = np.concatenate([[0], np.cumsum([len(one) for one in held])]).astype(np.int64)
    vectors = np.array([row.vector for row in rows], np.int8).reshape(len(rows), width)
    return _Part(list(terms), columns, vectors)


def _nearest(files: NDArray[np.bytes_], products: NDArray[np.float32]) -> list[Near]:
    if len(products) > MOST_NEAR:
        some = products >= np.partition(products, -MOST_NEAR)[-MOST_NEAR]
        files, products = files[some], products[some]
    order = np.lexsort((files, -products))[:MOST_NEAR]
    similar = np.minimum(1.0, products[order].astype(np.float64) / (SCALE * FINE))
    return [Near(file_id.decode(), one) for file_id, one in zip(files[order].tolist(), similar.tolist(), strict=True)]


def _products(vectors: NDArray[np.int8], rows: NDArray[np.intp], asked: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the products of rows with what is asked: whole numbers below 2 ** 24, so exact in whatever order."""
    found = np.empty(len(rows), np.float32)
    some_rows = np.empty((AT_A_TIME, len(asked)), np.float32)
    for start in range(0, len(rows), AT_A_TIME):
        some = rows[start : start + AT_A_TIME]
        first, last = int(some[0]), int(some[-1]) + 1
        chosen = some_rows[: len(some)]
        chosen[:] = vectors[first:last] if last - first == len(some) else vectors[some]
        np.matmul(chosen, asked, out=found[start : start + len(some)])
    return found
