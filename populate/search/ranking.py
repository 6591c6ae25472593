"""How well a view fits a question, why, and what else speaks for it: arithmetic on what was found."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any, NamedTuple

from populate.search.question import Word
from populate.search.text import is_near, words
from populate.who.whom import day, printable

K1, B = 1.2, 0.75
"""Parameters of BM25: how soon repetition stops to count, and how much length does."""

PARTS = {
    **{"name": 3.0, "tag": 2.0, "column": 1.5, "people": 1.5, "folder": 1.2},
    **{"value": 1.0, "note": 1.0, "description": 1.0, "department": 1.0, "run": 0.7, "source": 0.7},
}
"""Where a word can be found, and how often it counts there."""

BEGINS, NEAR = 0.6, 0.5
"""What the beginning of a word counts beside the word, and a word that looks like it."""

MEANING = 1.5
"""How much it counts to mean the very same, beside words that are as rare as what is asked for."""

POPULARITY, RECENCY = 0.25, 0.15
"""How much many readers and a late last read can add, as shares of what the words count."""

DAYS = 180.0
"""Days after which a last read counts half (times 1/e, to be exact)."""

SMOOTH = 5.0
"""People that every department is taken to have more, so that a single reader in a small one is no crowd."""


class Measure(NamedTuple):
    """What views are measured by.

    Attributes
    ----------
    words
        That are asked for.
    sizes
        Department -> people in it.
    today
        UTC.
    meaning
        File -> how much its meaning fits, from 0 to 1.
    weight
        What the words that are asked for count together.
    """

    words: Sequence[Word]
    sizes: Mapping[str, int]
    today: date
    meaning: Mapping[str, float] = MappingProxyType({})
    weight: float = 0.0


@dataclass(slots=True)
class Candidate:
    """A view that was found.

    Attributes
    ----------
    about
        As in `populate.search.views.View`.
    parts
        What the score is the sum of.
    met
        Part of the view -> words in it, as they stand there, in the order in which they are asked for.
    """

    file_id: str
    about: Mapping[str, Any]
    score: float
    parts: dict[str, float]
    met: dict[str, list[str]]


def rank(found: Sequence[tuple[str, Mapping[str, Any]]], by: Measure) -> list[Candidate]:
    """Return views, of which `found` has the ids of files and what is known of each, in order, best first."""
    mean = sum(about["length"] for _, about in found) / len(found) if found else 1.0
    ranked = [_candidate(file_id, about, about["length"] / (mean or 1.0), by) for file_id, about in found]
    return sorted(ranked, key=lambda one: (-round(one.score, 9), one.about["name"], one.file_id))


def _candidate(file_id: str, about: Mapping[str, Any], length: float, by: Measure) -> Candidate:
    parts: dict[str, float] = {}
    met: dict[str, list[str]] = {}
    for word in by.words:
        counts = _occurrences(word, about["words"])
        total = sum(PARTS[part] * count for part, (count, _) in counts.items())
        worth = word.rarity * total * (K1 + 1) / (total + K1 * (1 - B + B * length)) if total else 0.0
        for part, (count, as_written) in counts.items():
            parts[part] = parts.get(part, 0.0) + worth * PARTS[part] * count / total
            met.setdefault(part, []).append(as_written)
    if file_id in by.meaning:
        parts["meaning"] = MEANING * by.weight * by.meaning[file_id]
    fit = sum(parts.values()) if by.words or by.meaning else 1.0
    parts["popularity"] = fit * POPULARITY * popularity(about["readers"], by.sizes)
    parts["recency"] = fit * RECENCY * recency(about["last_read"], by.today)
    if not (by.words or by.meaning):
        parts["anything"] = fit
    return Candidate(file_id, about, sum(parts.values()), {name: worth for name, worth in parts.items() if worth}, met)


def _occurrences(word: Word, texts: Mapping[str, Mapping[str, int]]) -> dict[str, tuple[float, str]]:
    """Return how often a word stands in the parts that have it, and what stands there: it, else what it may mean.

    It is asked for each word of each candidate, so what most parts have not is told without a call.
    """
    found: dict[str, tuple[float, str]] = {}
    letters = len(word.plain)
    for part, text in texts.items():
        if count := text.get(word.stemmed):
            found[part] = count, word.stemmed
        elif word.distance:
            if near := [other for other in text if is_near(word.stemmed, other, word.distance)]:
                found[part] = NEAR * sum([text[other] for other in near]), near[0]
        elif word.begins and (longer := [other for other in text if other[:letters] == word.plain]):
            found[part] = BEGINS * sum([text[other] for other in longer]), longer[0]
    return found


def popularity(readers: Mapping[str, int], sizes: Mapping[str, int]) -> float:
    """Return how much a file is read, from 0 to 1.

    Shares of departments count, not heads: five of six statisticians say as much as fifty of sixty chemists.
    """
    shares = sum(count / (max(sizes.get(department, 0), count) + SMOOTH) for department, count in readers.items())
    return shares / (1 + shares)


def recency(last_read: str, today: date) -> float:
    """Return how lately a file was read, from 0 to 1."""
    return math.exp(-max(0, (today - date.fromisoformat(last_read)).days) / DAYS) if last_read else 0.0


_WHERE = {
    "name": "its name has {}",
    "tag": "it is tagged {}",
    "note": "a note says {}",
    "column": "it has a column named {}",
    "value": "it has the value {}",
    "description": "its generated description says {}",
    "run": "code that read it says {}",
    "folder": "it lies in {}",
    "people": "{} owns or reads it",
    "department": "people in {} own or read it",
    "source": "it is a file of {}",
}


def reasons(candidate: Candidate, asked: Sequence[Word], text: str = "", similarity: float = 0.0) -> tuple[str, ...]:
    """Return why a file is shown, in short sentences.

    Parameters
    ----------
    similarity
        Of what it means and `text` means, a cosine; 0 if it does not count.
    """
    about, found = candidate.about, []
    for part, sentence in _WHERE.items():
        if part in candidate.met:
            found.append(sentence.format(_what(part, candidate.met[part], about)))
    if similarity:
        found.append(f"it means about the same as “{printable(text.strip())}” ({similarity:.2f} of 1)")
    found += [f"you wrote {printable(word.plain)}, which nothing is called" for word in asked if word.distance]
    if count := sum(about["readers"].values()):
        departments = sum(1 for name in about["readers"] if name)
        of = f" in {departments} departments" if departments > 1 else ""
        people = "1 person" if count == 1 else f"{count} people"
        found.append(f"{people}{of} read it, last on {day(date.fromisoformat(about['last_read']))}")
    if about["limited"]:
        found.append("you cannot see it; its owner lets it be found")
    return tuple(found)


def _what(part: str, met: Sequence[str], about: Mapping[str, Any]) -> str:
    if part == "folder":
        folders = PurePosixPath(about["path"]).parent.parts
        return ", ".join(_whole(met, folders)) or ", ".join(met)
    if part == "people":
        return ", ".join(_whole(met, [about["owner"], *about["people"]])) or ", ".join(met)
    if part == "department":
        return ", ".join(_whole(met, [about["department"], *about["readers"]])) or ", ".join(met)
    return ", ".join(met)


def _whole(met: Sequence[str], texts: Sequence[str]) -> list[str]:
    return [printable(text) for text in dict.fromkeys(texts) if text and set(met) & set(words(text))][:2]
