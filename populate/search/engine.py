"""What search needs of an engine: views of files are put into it, and it is asked by somebody with some terms.

Two fulfil it. `populate.search.index` keeps a copy of the views on each machine, in Tantivy; `populate.search.server`
keeps them once, in the catalogue's own PostgreSQL. What a question means, how much its words count and in which order
files come is decided once for both (`question`, `finding`, `ranking`): they answer alike.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date
from typing import Any, Protocol, TypeVar

from populate.search.closest import LEVELS
from populate.search.question import Questions
from populate.search.views import Document

FACETS = ("kind", "source", "owner", "department", "month")
_EPOCH = date(2000, 1, 1)
Place = TypeVar("Place")


class Held(Protocol):
    """What follows the tables: views of files that can be searched in one way or another."""

    @property
    def views(self) -> int:
        """How many there are at this moment."""

    def put(self, documents: Iterable[Document], done: Callable[[str], None] = ...) -> int:
        """Keep what is said of files in place of what was said before, and return of how many.

        `done` is called with the last file of each portion that lasts from then on.
        """

    def digests(self, files: Iterable[str]) -> dict[str, str]:
        """Return the digests of those of the files that have a view."""


class Engine(Held, Protocol):
    """What answers by words, counts and divides."""

    def asking(self, terms: Collection[str]) -> AbstractContextManager[Questions]:
        """Let somebody with these terms, as `populate.search.views.terms_of` makes them, ask one state of it."""


def in_sample(file_id: str, times: int) -> bool:
    """Return whether a file is in the sample of one in so many; this does not depend on what else there is."""
    return int(file_id[-8:], 16) % times == 0


def facets_of(about: Mapping[str, Any]) -> dict[str, str]:
    """Return the value of each facet of a view; empty where it has none."""
    values = {**about, "month": about["last_read"][:7]}
    return {facet: str(values[facet]) for facet in FACETS}


def prior(file_id: str, about: Mapping[str, Any]) -> float:
    """Return what decides, between files that fit alike, on which are looked at closely if there are very many.

    Many readers and a late last read, and a small part that is each file's own.
    """
    own = int(hashlib.sha256(file_id.encode()).hexdigest()[:8], 16) / 2**32
    readers = math.log1p(sum(about["readers"].values()))
    days = (date.fromisoformat(about["last_read"]) - _EPOCH).days if about["last_read"] else 0
    return 0.4 * readers + days / 8000 + own / 8


def level(of_prior: float) -> int:
    """Return the level of a prior: views lie in these, so that those of the highest can be looked at first."""
    return int(of_prior * LEVELS)


def without_ties(hits: Sequence[tuple[float, Place]], more: bool) -> Sequence[tuple[float, Place]]:
    """Leave out those that score as little as the last, if more fit: which are there depends on where they lie."""
    if more and hits[0][0] > hits[-1][0]:
        return [hit for hit in hits if hit[0] > hits[-1][0]]
    return hits
