"""Search: files that an asker may know, or that they may know to be there, best first, each with the reason.

What the asker may not know is left out by the index, before anything is ranked or counted; what is shown is
looked up once more in the tables at the moment of asking, so that what was taken away a second ago is not shown,
even if the index has not been told yet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from data_platform.errors import RestrictionError
from populate.search.describing import Tables
from populate.search.engine import FACETS, Engine
from populate.search.following import advance, index_of, share
from populate.search.question import (
    SAMPLE,
    SPARSE,
    Counted,
    Facets,
    Questions,
    Seen,
    Sought,
    Word,
    closely,
    required,
)
from populate.search.ranking import Candidate, Measure, rank, reasons
from populate.search.statements import statement
from populate.search.text import is_near, plain_words
from populate.search.views import terms_of
from populate.who.asker import Asker
from populate.who.whom import printable
from schemas.identity import display_text

if TYPE_CHECKING:
    from populate.search.meaning import Meaning
    from schemas.binding import Binding

MANY = 20_000
"""Files that fit, from which on they and values of facets are counted by a sample: by the sparse one from as many times
more on as it is sparser, so that it tells as well."""

MOST_MEANT = 100
"""Files that are found by what they mean alone: the nearest."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A file that was found.

    Attributes
    ----------
    path
        Empty if `limited`.
    owner, department
        Whom to ask; empty if there is nobody who may be named.
    kind
        Extension of the name in lower case; ``folder`` for a folder.
    last_read
        Day, UTC; None if it was never read or may not be told.
    readers
        People who read it; 0 if that may not be told.
    reasons
        Why it is here, in short sentences.
    parts
        What the score is the sum of, if the question was to be explained.
    limited
        The asker may know that it is there, and not more than its title, kind and whom to ask.
    similarity
        Of what it means and the question means, a cosine, if it is there for that, too; else 0.
    """

    file_id: str
    name: str
    path: str
    source_system: str
    owner: str
    department: str
    kind: str
    last_read: date | None
    readers: int
    score: float
    reasons: tuple[str, ...]
    parts: dict[str, float]
    limited: bool
    similarity: float = 0.0


@dataclass(frozen=True, slots=True)
class Results:
    """What was found.

    Attributes
    ----------
    total
        Files that fit, on all pages.
    facets
        For kind, source, owner, department and month (of the last read): values and how many of the files have
        each, most first.
    estimated
        Total and facets are estimates, in multiples and without the rarest values, for some 20,000 files or more fit.
    suggestion
        The question with words put right that nothing is called; empty if there are none.
    by_meaning
        How many of `total` are there for what they mean alone, and have not enough of the words.
    meant
        Of what share of all files this machine knows by now what they mean, about; 1 if nobody asks for that.
    """

    total: int
    hits: list[Hit]
    facets: Facets
    suggestion: str
    estimated: bool = False
    by_meaning: int = 0
    meant: float = 1.0

    @property
    def many(self) -> str:
        """How many files were found, as people are told it."""
        return f"{'about ' if self.estimated else ''}{self.total:,} {'file' if self.total == 1 else 'files'}"

    def counted(self, count: int) -> str:
        """Return a count of a facet as people are told it; empty for a value that estimates do not know of."""
        if not self.estimated:
            return f"{count:,}"
        return f"about {count:,}" if count else ""


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


def search(
    asker: Asker,
    text: str,
    *,
    facets: Mapping[str, Collection[str]] = MappingProxyType({}),
    limit: int = 20,
    offset: int = 0,
    explain: bool = False,
) -> Results:
    """Return the files that fit, best first.

    Parameters
    ----------
    text
        Words of names, folders, people, departments, columns, tags; the last may be unfinished, and words that
        nothing is called are taken for mistyped. Without any, all files come.
    facets
        kind, source, owner, department, month: only files with one of the values of each.
    limit, offset
        How many hits, after how many.
    explain
        Tell what each score is the sum of.

    Raises
    ------
    RestrictionError
        If there is no such facet.
    DatabaseUnavailable
        If no connection can be had.
    """
    if unknown := sorted(facets.keys() - set(FACETS)):
        raise RestrictionError(f"There is no facet {unknown[0]!r}. Choose among {', '.join(FACETS)}.")
    asker.binding.ensure()
    tables = Tables(asker.binding.connection, asker.now)
    sizes = {name: int(count) for name, count in tables.ask("departments")}
    index = index_of(asker.binding)
    chosen = {facet: [*map(display_text, values)] for facet, values in facets.items()}  # as the tables have them
    request = Request(text, chosen, offset + limit, sizes, asker.now.date())
    meaning, meant = _meaning(asker.binding)
    found = find(index, _terms(asker), request, meaning)
    held, gone = _held(asker, found.candidates, offset + limit)
    shown = held[offset : offset + limit]
    hits = _named(asker, shown, [_hit(one, found, text, explain) for one in shown])
    return Results(found.total - gone, hits, found.facets, found.suggestion, found.estimated, found.by_meaning, meant)


def _meaning(binding: Binding) -> tuple[Meaning | None, float]:
    if not binding.settings.search.semantic:
        return None, 1.0
    from populate.search.meaning import meaning_of

    return meaning_of(binding)


def prepare(asker: Asker, seconds: float = 1.0) -> bool:
    """Go on making the index for about so long, and return whether it can be searched at once.

    One on the server is made by those who may write it.
    """
    asker.binding.ensure()
    return advance(asker.binding, seconds)


def prepared(asker: Asker) -> float:
    """Return how much of the index is made, in hundredths."""
    asker.binding.ensure()
    return share(asker.binding)


def complete(asker: Asker, prefix: str, limit: int = 8) -> list[str]:
    """Return how a question that is being written could go on: words of files that the asker may know, most first."""
    asker.binding.ensure()
    return completions(index_of(asker.binding), _terms(asker), prefix, limit)


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


def _terms(asker: Asker) -> tuple[str, ...]:
    return terms_of(asker.accounts, asker.groups, asker.default)


def _held(asker: Asker, candidates: Sequence[Candidate], wanted: int) -> tuple[list[Candidate], int]:
    """Return the first candidates that the asker may be shown now, by the tables, and how many before them not."""
    held: list[Candidate] = []
    gone = 0
    for start in range(0, len(candidates), max(1, wanted)):
        some = candidates[start : start + wanted]
        known = _shown(asker, [one.file_id for one in some])
        for one in some:
            if len(held) == wanted:
                return held, gone
            about = one.about
            if known.get(one.file_id) == (about["name"], "" if about["limited"] else about["path"], about["limited"]):
                held.append(one)
            else:
                gone += 1
        if len(held) == wanted:
            break
    return held, gone


def _shown(asker: Asker, files: Sequence[str]) -> dict[str, tuple[str, str, bool]]:
    """Return what the asker knows each of the files by: name, path, and whether no more than that it is there."""
    rows = asker.binding.connection.query(statement("shown"), {"files": tuple(files), **asker.values}).fetchall()
    return {file_id: (name, path if known else "", not known) for file_id, name, path, known in rows}


def _hit(one: Candidate, found: Found, text: str, explain: bool) -> Hit:
    about, similarity = one.about, found.similar.get(one.file_id, 0.0)
    return Hit(
        one.file_id,
        printable(about["name"]),
        printable(about["path"]),
        about["source"],
        printable(about["owner"]),
        about["department"],
        about["kind"],
        date.fromisoformat(about["last_read"]) if about["last_read"] else None,
        sum(about["readers"].values()),
        round(one.score, 6),
        reasons(one, found.words, text, similarity),
        {part: round(worth, 6) for part, worth in one.parts.items()} if explain else {},
        about["limited"],
        round(similarity, 2),
    )


def _named(asker: Asker, shown: Sequence[Candidate], hits: Sequence[Hit]) -> list[Hit]:
    """Take back the names of owners who left, or chose not to be named, since it was described."""
    named = asker.colleagues({one.about["owner_id"] for one in shown if one.about["owner_id"]})
    found = []
    for one, hit in zip(shown, hits, strict=True):
        if hit.owner and one.about["owner_id"] not in named:
            told = tuple(reason for reason in hit.reasons if hit.owner not in reason)
            hit = replace(hit, owner="", department="", reasons=told)  # noqa: PLW2901
        found.append(hit)
    return found
