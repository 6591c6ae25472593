"""Search: files that an asker may know, or that they may know to be there, best first, each with the reason.

What the asker may not know is left out by the index, before anything is ranked or counted; what is shown is
looked up once more in the tables at the moment of asking, so that what was taken away a second ago is not shown,
even if the index has not been told yet.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from types import MappingProxyType
from typing import TYPE_CHECKING

from data_platform.errors import RestrictionError
from populate.search.describing import Tables
from populate.search.engine import FACETS
from populate.search.finding import Found, Request, completions, find
from populate.search.following import advance, index_of, share
from populate.search.question import Facets
from populate.search.ranking import Candidate, reasons
from populate.search.statements import statement
from populate.search.views import terms_of
from populate.who.asker import Asker
from populate.who.whom import printable
from schemas.identity import display_text

if TYPE_CHECKING:
    from populate.search.meaning import Meaning
    from schemas.binding import Binding


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
