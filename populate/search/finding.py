"""What an engine answers to a question: which files fit, how they divide, what is put right, how it could go on.

Nothing is asked of the tables here. What the asker may not know is left out by the engine, before anything is ranked or
counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, NamedTuple

from populate.search.engine import FACETS, Engine
from populate.search.question import SAMPLE, SPARSE, Counted, Facets, Questions, Seen, Sought, Word, closely, required
from populate.search.ranking import Candidate, Measure, rank
from populate.search.text import is_near, plain_words

if TYPE_CHECKING:
    from populate.search.meaning import Meaning

MANY = 20_000
"""Files that fit, from which on they and values of facets are counted by a sample: by the sparse one from as many times
more on as it is sparser, so that it tells as well."""

MOST_MEANT = 100
"""Files that are found by what they mean alone: the nearest."""


class Request(NamedTuple):
    """What the index is asked for: see `search`; and how many candidates, who works where, and what day it is."""

    text: str
    facets: Mapping[str, Collection[str]]
    wanted: int
    sizes: Mapping[str, int]
    today: date


@dataclass(slots=True)
class Found:
    """What the index says, before it is compared with the tables."""

    total: int = 0
    candidates: list[Candidate] = field(default_factory=list)
    words: list[Word] = field(default_factory=list)
    facets: Facets = field(default_factory=dict)
    suggestion: str = ""
    estimated: bool = False
    by_meaning: int = 0
    similar: dict[str, float] = field(default_factory=dict)


def find(engine: Engine, terms: Collection[str], request: Request, meaning: Meaning | None = None) -> Found:
    """Return what an engine says to an asker with these terms: as many candidates as are wanted, or more."""
    with engine.asking(terms) as ask:
        return _found(ask, terms, request, meaning)


def _found(ask: Questions, terms: Collection[str], request: Request, meaning: Meaning | None) -> Found:
    words = ask.words(request.text)
    near = meaning.near(request.text, terms, request.facets) if meaning else []
    meant = [one.file_id for one in near[:MOST_MEANT] if meaning and one.similarity >= meaning.least]
    if request.text.strip() and not words and not meant:
        return Found(facets={facet: [] for facet in FACETS})
    sought = Sought(words, required(words), request.facets)
    some = _by_words(ask, sought, request.wanted, meant)
    if not some.total and sought.least > 1:
        sought = sought._replace(least=1)
        some = _by_words(ask, sought, request.wanted, meant)
    views, by_meaning = some.views, 0
    if meant:
        more, by_meaning = _by_meaning(ask, sought, meant)
        met = {file_id for file_id, _ in views}
        views += [view for view in more if view[0] not in met]
    fits = {one.file_id: meaning.fit(one.similarity) for one in near} if meaning else {}
    candidates = rank(views, Measure(words, request.sizes, request.today, fits, ask.weight(request.text, words)))
    return Found(
        some.total + by_meaning,
        candidates,
        words,
        some.facets,
        _suggestion(request.text, words, candidates),
        some.estimated,
        by_meaning,
        {one.file_id: one.similarity for one in near if meaning and one.similarity >= meaning.least},
    )


class ByWords(NamedTuple):
    """Views that are looked at closely, and how many fit; how all that are found divide, and whether by estimates."""

    views: list[Seen]
    total: int
    facets: Facets
    estimated: bool = False


def _by_words(ask: Questions, sought: Sought, wanted: int, meant: Collection[str]) -> ByWords:
    """Return what fits the words, and how that divides together with the files that are meant."""
    if meant and not sought.words:
        return ByWords([], 0, ask.counted(sought._replace(meant=meant)).facets)
    sample, about = _about(ask, sought)
    views, counted = ask.found(sought._replace(meant=meant), closely(wanted), sample, about)
    if sample > 1:
        return ByWords(views, *_estimated(counted, sample), estimated=True)
    return ByWords(views, ask.counts([sought])[0] if meant else counted.total, counted.facets)


def _about(ask: Questions, sought: Sought) -> tuple[int, int]:
    """Return the sample by which views that fit are counted, 1 if all are, and how many fit, about."""
    about = at_most = ask.at_most(sought.words, sought.least)
    for sample in (SPARSE, SAMPLE):
        if at_most >= (many := MANY * sample // SAMPLE):
            about = sample * ask.counts([sought], sample)[0]
            if about >= many:
                return sample, about
    return 1, about


def _estimated(counted: Counted, sample: int) -> Counted:
    """Return how many fit, and how they divide, by those in a sample."""
    facets = {facet: [(value, sample * count) for value, count in values] for facet, values in counted.facets.items()}
    return Counted(sample * counted.total, facets)


def _by_meaning(ask: Questions, sought: Sought, meant: Collection[str]) -> tuple[list[Seen], int]:
    """Return the views of files that are meant, and how many of them are not found by words."""
    views = ask.closest(Sought(facets=sought.facets, among=meant), MOST_MEANT, len(meant))
    by_words = ask.counts([sought._replace(among=meant)])[0] if sought.words else 0
    return views, len(views) - by_words


def _suggestion(text: str, words: Sequence[Word], candidates: Sequence[Candidate]) -> str:
    """Return the question with what nothing is called put right, as most of the candidates call it."""
    right: dict[str, str] = {}
    for word in words:
        if word.distance:
            met = Counter(
                other
                for one in candidates
                for other in {other for part in one.about["words"].values() for other in part}
                if is_near(word.stemmed, other, word.distance)
            )
            if met:
                right[word.plain] = min(met, key=lambda other: (-met[other], other))
    return " ".join(right.get(word, word) for word in plain_words(text)) if right else ""


def completions(engine: Engine, terms: Collection[str], prefix: str, limit: int) -> list[str]:
    """Return what an engine says to an asker with these terms, as `complete` does."""
    begun = plain_words(prefix)
    written = len(begun[-1]) if begun and not prefix[-1].isspace() else 0
    if not written or plain_words(prefix[-written:]) != begun[-1:]:
        return []
    with engine.asking(terms) as ask:
        words = ask.words(f"{prefix[:-written]} ")
        counts = ask.going_on(Sought(words, len(words)), begun[-1])
    best = sorted(counts, key=lambda found: (-found[1], found[0]))
    return [prefix[:-written] + word for word, _ in best[:limit]]
