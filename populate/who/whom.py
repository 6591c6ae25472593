"""Whom to ask about a file or a kind of data."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import PurePosixPath

from populate.lookup import lookup
from populate.who.asker import Asker
from populate.who.asks import willingness
from populate.who.evidence import Item, gather, rarities, weight
from populate.who.route import files, routes
from populate.who.words import bm25, words
from schemas.people import Account

NEIGHBOURS = 20
"""Files, and runs, that fit best and whose people count."""

MOST_WORDS = 12
_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"
NAMES = 2
"""Files named in a reason, at most."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Somebody to turn to.

    Attributes
    ----------
    login
        Where to write to, as the directory has it.
    score
        Comparable within one answer only.
    reason
        Why, with numbers.
    route
        Through whom; empty if nobody is known.
    """

    person_id: str
    name: str
    department: str
    login: str
    score: float
    reason: str
    route: str


@dataclass(slots=True)
class Case:
    """What speaks for a person, while it is being gathered."""

    score: float = 0.0
    owns: list[Item] = field(default_factory=list)
    read: int = 0
    last: date = date.min
    scripts: set[str] = field(default_factory=set)
    directory: str = ""


def about_text(asker: Asker, text: str, limit: int) -> list[Suggestion]:
    """Return whom to ask about a kind of data, or about files whose names one remembers."""
    question = list(dict.fromkeys(words(text)))[:MOST_WORDS]
    if not question:
        return []
    total = sum(asker.size(part) for part in ("files", "scripts", "directory"))
    known, documents = _documents(asker, question)
    fits = bm25(question, documents, total)
    cases: dict[str, Case] = defaultdict(Case)
    items = gather(asker, [known[key[1]] for key in _best(fits, "file")])
    _add_files(asker, cases, items, {key[1]: fit for key, fit in fits.items() if key[0] == "file"})
    _add_words(cases, {key: fits[key] for kind in ("script", "person") for key in _best(fits, kind)})
    return ranked(asker, {p: (c.score, False, _reason(c, "named like this")) for p, c in cases.items()}, limit)


def about_item(asker: Asker, item: Item, limit: int) -> list[Suggestion]:
    """Return whom to ask about a file that the asker may know: its owner, then whoever worked with it most."""
    gather(asker, [item])
    rare = rarities(asker, item.people)
    found = {
        person: (weight(item, person, rare[person]), person == item.owner, _reason_of_item(item, person))
        for person in item.people
    }
    return ranked(asker, found, limit)


Key = tuple[str, ...]


def _documents(asker: Asker, question: list[str]) -> tuple[dict[str, Item], dict[Key, list[str]]]:
    """Return files by id, and the words of every file, script and person that might fit."""
    items: dict[str, Item] = {}
    documents: dict[Key, list[str]] = {}
    # A letter is in almost every name: it counts where something else fits, too.
    question = [word for word in question if len(word) > 1 or word.isdigit()] or question
    for file_id, name, path, known in asker.ask("names", ("file_name", "file_path"), terms=question):
        items[file_id] = Item(file_id, printable(name), bool(known))
        documents["file", file_id] = words(name) + words(PurePosixPath(path).parent.name)
    for person, entry_point, repository, _ in asker.ask("scripts", ("entry_point", "repository"), terms=question):
        texts = (PurePosixPath(entry_point).name, PurePosixPath(repository).name)
        documents["script", person, entry_point, repository] = [word for text in texts for word in words(text)]
    for person, *about in asker.ask("directory", ("full_name", "department", "title"), terms=question):
        documents["person", person, _works(*about[1:])] = [word for text in about for word in words(text)]
    return items, documents


def _best(fits: Mapping[Key, float], kind: str) -> list[Key]:
    of_kind = [key for key in fits if key[0] == kind]
    return sorted(of_kind, key=lambda key: (-fits[key], key))[:NEIGHBOURS]


def _add_files(asker: Asker, cases: dict[str, Case], items: list[Item], fits: Mapping[str, float]) -> None:
    rare = rarities(asker, set().union(*(item.people for item in items)))
    # A file that the asker cannot see points only to people who are open themselves, whatever its owner chose.
    openly = asker.open_people(set().union(*(item.people for item in items if not item.known)))
    for item in sorted(items, key=lambda item: (-fits[item.file_id], item.file_id)):
        for person in item.people if item.known else item.people & openly:
            case = cases[person]
            case.score += fits[item.file_id] ** 2 * weight(item, person, rare[person])
            if person == item.owner:
                case.owns.append(item)
            if person in item.reads:
                case.read += 1
                case.last = max(case.last, *item.reads[person])


def _add_words(cases: dict[str, Case], fits: Mapping[Key, float]) -> None:
    """Add the best script and the entry in the directory: each counts like owning a file that fits as well."""
    best: dict[tuple[str, str], float] = defaultdict(float)
    for (kind, person, *rest), fit in fits.items():
        best[kind, person] = max(best[kind, person], fit**2)
        if kind == "script":
            cases[person].scripts.add(PurePosixPath(rest[0]).name)
        else:
            cases[person].directory = rest[0]
    for (_, person), score in sorted(best.items()):
        cases[person].score += score


def _reason(case: Case, how: str) -> str:
    parts = []
    if case.read:
        parts.append(f"read {files(case.read)} {how}, last on {day(case.last)}")
    if known := [item.name for item in case.owns if item.known]:
        more = f" and {len(known) - NAMES} more" if len(known) > NAMES else ""
        parts.append(f"owns {', '.join(known[:NAMES])}{more}")
    if hidden := sum(not item.known for item in case.owns):
        parts.append(f"owns {files(hidden)} {how} that you cannot see")
    if case.scripts:
        names = [printable(name) for name in sorted(case.scripts)[:NAMES]]
        parts.append(f"runs {', '.join(names)}")
    if case.directory:
        parts.append(printable(case.directory))
    return "; ".join(parts)


def _works(department: str, title: str) -> str:
    return " ".join(["works", *(["in", department] if department else []), *(["as", title] if title else ["here"])])


def _reason_of_item(item: Item, person: str) -> str:
    parts = []
    if person == item.owner:
        parts.append("owns it")
    elif person == item.creator:
        parts.append("owned it first")
    if days := item.reads.get(person):
        active = item.active_days
        parts.append(f"read it on {len(days)} of the {active} days on which anybody did, last on {day(max(days))}")
    return "; ".join(parts)


def ranked(asker: Asker, found: Mapping[str, tuple[float, bool, str]], limit: int) -> list[Suggestion]:
    """Return the best of those who may be named, the asker left out; an owner first."""
    colleagues = asker.colleagues(found.keys() - {asker.person_id, *asker.accounts})
    factors = willingness(asker, colleagues)
    scores = {person: found[person][0] * factors[person] for person in colleagues}
    order = sorted(colleagues, key=lambda p: (not found[p][1], -round(scores[p], 9), colleagues[p].name, p))[:limit]
    ways, logins = routes(asker, order), _logins(order)
    return [
        Suggestion(
            p, colleagues[p].name, colleagues[p].department, logins[p], round(scores[p], 6), found[p][2], ways[p]
        )
        for p in order
    ]


def _logins(people: Iterable[str]) -> dict[str, str]:
    wanted = set(people)
    found = dict.fromkeys(wanted, "")
    for person, _, login in sorted(lookup(Account, "person_id", "realm", "login", person_id=wanted)):
        found[person] = found[person] or login
    return found


def day(moment: date) -> str:
    """Return a day as people write it, without looking at the locale."""
    return f"{moment.day} {_MONTHS[3 * moment.month - 3 : 3 * moment.month]} {moment.year}"


def printable(name: str) -> str:
    """Return a name without characters that would steer a terminal."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in name)
