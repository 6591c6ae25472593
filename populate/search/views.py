"""What is indexed of a file: one view for each way in which somebody may know it.

Whoever only read a file knows it by the name it had then, an owner and whoever has a grant by its name now,
and everybody by its title if its owner lets it be found. Each view says to whom it is shown, in terms of
accounts and groups, so that the index can leave out what an asker may not know before it counts or ranks
anything. Of several views that fit an asker the newest holds: the others are not shown to whom it is.
The rule itself is that of `populate.who.statements`; a test compares.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from typing import Any

import orjson

from populate.search.labels import Label, Run
from populate.search.text import distinct, plain_words, stem
from populate.who.asker import FOREVER

OPEN, DEFAULT = "open", "default"
"""Terms that everybody has, and that everybody has while the company's choice is to let files be found."""

MOST_PEOPLE = 50
MOST_LABELS = 400
MOST_LABEL = 2000
MOST_WORDS = 1000
"""Different words of a part that are looked at when views are ranked: the most frequent."""

MOST_RUNS = 20
"""Texts of runs that a view is found by: the latest that its audience may know."""

MOST_APART = 50
"""Logins that may know other runs than the rest: of a file with more, each knows those that everybody may know."""

LONGEST_KIND = 10

SENTENCES = ("description", "note", "run")
MEANT = ("name", "tag", *SENTENCES, "column", "folder")
"""Parts by which a view is found for what it means, in the order in which a model reads them."""

FOLDERS_MEANT = 2
"""The innermost folders, which are part of that."""

MOST_MEANT = 2000
"""Letters of what a model is given of a view: it reads no more than some hundred words."""


@dataclass(frozen=True, slots=True)
class Name:
    """What a file was called from a day on."""

    since: date
    name: str
    path: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What the tables say about a file.

    Attributes
    ----------
    names
        Oldest first, each different from the one before.
    audience
        Term of an account or group -> last day on which it could see what the file is called, and the content
        that it saw last; empty if that is not known.
    content
        SHA-256 of what was met last; owners and whoever has a grant know it.
    choice
        ``open`` if the owner lets it be found, ``default`` if the owner has not chosen, else empty.
    owning
        Terms of the accounts that own it.
    owner, department
        Name of the owner and where they work; empty if they may not be named.
    readers
        Department -> people in it who read the file; empty for those who are in none.
    people
        Names of readers who may be named, those who read last first.
    labels
        What else is known of the file, by kind: tag, note.
    contents
        Content -> what is known of it, by kind: column, value, description.
    runs
        That read it, the latest first.
    """

    file_id: str
    source_system: str
    names: tuple[Name, ...]
    audience: Mapping[str, tuple[date, str]] = field(default_factory=dict)
    content: str = ""
    choice: str = ""
    owning: frozenset[str] = frozenset()
    owner_id: str = ""
    owner: str = ""
    department: str = ""
    readers: Mapping[str, int] = field(default_factory=dict)
    people: tuple[str, ...] = ()
    last_read: date | None = None
    is_set: bool = False
    labels: tuple[Label, ...] = ()
    contents: Mapping[str, tuple[Label, ...]] = field(default_factory=dict)
    runs: tuple[Run, ...] = ()


@dataclass(frozen=True, slots=True)
class View:
    """A file as some may know it.

    Attributes
    ----------
    may, unless
        It is shown to whoever has one of the former terms and none of the latter.
    about
        What is shown, and how often which words stand where; see `_known` and `_limited`.
    plain
        All its words, as people write them.
    text
        What it is about, for models of what texts mean: what it is called, holds and is used for; not whose it is.
    """

    may: tuple[str, ...]
    unless: tuple[str, ...]
    about: Mapping[str, Any]
    plain: tuple[str, ...]
    text: str = ""

    @property
    def text_sha256(self) -> str:
        """Hash of the text, hex."""
        return hashlib.sha256(self.text.encode("utf8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class Document:
    """All views of a file; the digest tells whether anything has changed."""

    file_id: str
    digest: str
    views: tuple[View, ...]


def document(facts: Facts) -> Document:
    """Return what is indexed of a file; without views if nobody may know it."""
    found = tuple(_views(facts)) if facts.names else ()
    told = [[view.may, view.unless, view.about, view.plain] for view in found]
    digest = hashlib.sha256(orjson.dumps(told, option=orjson.OPT_SORT_KEYS))
    return Document(facts.file_id, digest.hexdigest(), found)


def account_term(account_id: str) -> str:
    """Return the term of an account in the audience of a view."""
    return f"a{account_id}"


def group_term(group_id: str) -> str:
    """Return the term of a group in the audience of a view."""
    return f"g{group_id}"


def when_found(term: str) -> str:
    """Return the term that holds only while the company's choice is to let files be found."""
    return f"+{term}"


def terms_of(accounts: Iterable[str], groups: Iterable[str], default: str) -> tuple[str, ...]:
    """Return all terms of an asker with these logins, in these groups, at a company with that choice."""
    own = [account_term(account) for account in accounts] + [group_term(group) for group in groups]
    more = [DEFAULT, *map(when_found, own)] if default == "open" else []
    return (*own, OPEN, *more)


def _views(facts: Facts) -> Iterable[View]:
    newest = len(facts.names) - 1
    known = _known_as(facts)
    if facts.choice == OPEN:  # everybody may know the title, so whoever knows the file knows what it is called now
        known = {term: (newest, content) for term, (_, content) in known.items()}
    elif facts.choice == DEFAULT:
        known |= {when_found(term): (newest, content) for term, (place, content) in known.items() if place != newest}
    ran = _runs_known(facts, known)
    audiences: dict[tuple[int, str, tuple[str, ...]], list[str]] = {}
    for term, as_what in sorted(known.items()):
        audiences.setdefault((*as_what, ran(term)), []).append(term)
    passed: list[str] = []
    for place, content, texts in sorted(audiences, key=lambda one: _newest(one, facts.content), reverse=True):
        audience = audiences[place, content, texts]
        if place >= 0:
            of_runs = [("run", text) for text in texts]
            about = _known(facts, facts.names[place], (*facts.contents.get(content, ()), *of_runs))
            yield _view(audience, sorted(passed), *about)
        passed += audience
    if facts.choice:
        yield _view([facts.choice], sorted(facts.audience), *_limited(facts, facts.names[newest]))


def _newest(one: tuple[int, str, tuple[str, ...]], content: str) -> tuple[int, bool, str, int, tuple[str, ...]]:
    """Return by what views are ordered that may fit an asker with several logins and groups: the greatest holds."""
    return one[0], one[1] == content, one[1], len(one[2]), one[2]


def _runs_known(facts: Facts, terms: Iterable[str]) -> Callable[[str], tuple[str, ...]]:
    """Return what tells the texts of runs that whoever has a term may know.

    Who owns the file may know all that read it; others their own, those of a repository that they ran from, too, and
    those of people who are open. (``runs`` and ``run`` of `populate.who.statements` are that rule, and allow more.)
    """
    repositories: dict[str, set[str]] = {}
    for run in facts.runs:
        repositories.setdefault(account_term(run.account), set()).add(run.repository)
    plain = {term: term.removeprefix(when_found("")) for term in terms}
    apart = repositories.keys() & set(plain.values()) - facts.owning
    if len(apart) > MOST_APART:
        repositories = {}

    def may_know(run: Run, term: str) -> bool:
        if run.is_open or term in facts.owning:
            return True
        own = repositories.get(term)
        return own is not None and (account_term(run.account) == term or run.repository in own - {""})

    def known(term: str) -> tuple[str, ...]:
        texts = (text for run in facts.runs if may_know(run, plain[term]) for text in run.texts)
        # By the alphabet: which of them ran last changes all the time, and what the file is found by does not.
        return tuple(sorted(islice(dict.fromkeys(texts), MOST_RUNS)))

    return known


def _view(may: Sequence[str], unless: Sequence[str], about: dict[str, Any], texts: Mapping[str, str]) -> View:
    plain = {part: plain_words(text) for part, text in texts.items() if text}
    counts = {part: _most_frequent(list(map(stem, words))) for part, words in plain.items()}
    length = sum(len(words) for words in plain.values())
    about |= {"words": counts, "length": length}
    whole = tuple(distinct(word for part in plain.values() for word in part))
    return View(tuple(may), tuple(unless), about, whole, _meant(plain, texts, about["kind"]))


def _meant(plain: Mapping[str, Sequence[str]], texts: Mapping[str, str], kind: str) -> str:
    """Return what a view is about: names as their words, for models know no `flowRuns_47`; sentences as they are.

    What all files of a kind or below a folder share would make them mean much the same.
    """
    told = dict(plain)
    if kind and told.get("name", ())[-1:] == [kind]:
        told["name"] = told["name"][:-1]
    told["folder"] = plain_words("/".join(texts.get("folder", "").split("/")[-FOLDERS_MEANT:]))
    parts = (texts[part].strip() if part in SENTENCES else " ".join(told[part]) for part in MEANT if part in told)
    return ". ".join(filter(None, parts))[:MOST_MEANT]


def _most_frequent(words: Sequence[str]) -> dict[str, int]:
    once = dict.fromkeys(words, 1)
    if len(once) == len(words) <= MOST_WORDS:
        return once
    return dict(Counter(words).most_common(MOST_WORDS))


def _known_as(facts: Facts) -> dict[str, tuple[int, str]]:
    """Return by which of the names, by its place, and with which content each knows the file; -1 is by none."""
    found = {}
    for term, (until, content) in facts.audience.items():
        if until == FOREVER:
            found[term] = (len(facts.names) - 1, facts.content)
        else:
            found[term] = (sum(name.since <= until for name in facts.names) - 1, content)
    return found


def _known(facts: Facts, name: Name, of_content: Sequence[Label]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what is shown and the texts that it is found by."""
    people = list(facts.people[:MOST_PEOPLE])
    kind = kind_of(name.name, facts.is_set)
    texts = {
        "name": name.name,
        "folder": name.path.rstrip("/").rpartition("/")[0],
        "people": " ".join(distinct([facts.owner, *people])),
        "department": " ".join(distinct([facts.department, *sorted(facts.readers)])),
        "source": f"{facts.source_system} {kind}",
    }
    for label, text in (*facts.labels, *of_content)[:MOST_LABELS]:
        texts[label] = f"{texts.get(label, '')} {text[:MOST_LABEL]}"
    about = {
        "limited": False,
        "name": name.name,
        "path": name.path,
        "source": facts.source_system,
        "kind": kind,
        "owner_id": facts.owner_id,
        "owner": facts.owner,
        "department": facts.department,
        "readers": dict(facts.readers),
        "last_read": facts.last_read.isoformat() if facts.last_read else "",
        "people": people,
    }
    return about, texts


def _limited(facts: Facts, name: Name) -> tuple[dict[str, Any], dict[str, str]]:
    """Return title, kind and whom to ask: not where it is, nor who reads it."""
    kind = kind_of(name.name, facts.is_set)
    texts = {"name": name.name, "people": facts.owner, "department": facts.department, "source": kind}
    about = {
        "limited": True,
        "name": name.name,
        "path": "",
        "source": "",
        "kind": kind,
        "owner_id": facts.owner_id,
        "owner": facts.owner,
        "department": facts.department,
        "readers": {},
        "last_read": "",
        "people": [],
    }
    return about, texts


def kind_of(name: str, is_set: bool = False) -> str:
    """Return the extension of a name in lower case; ``folder`` for a folder, empty if there is none."""
    if is_set:
        return "folder"
    before, _, after = name.rpartition(".")
    suffix = after.lower() if before else ""
    return suffix if len(suffix) <= LONGEST_KIND and suffix.isalnum() else ""
