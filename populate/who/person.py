"""One person as a colleague may see them: what they produce, use and know, with whom, and how to reach them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import PurePosixPath

from populate.lookup import lookup
from populate.who.asker import Asker, Colleague, oneself
from populate.who.route import routes
from populate.who.together import Collaborator, collaborators_of
from populate.who.whom import printable
from populate.who.words import words
from schemas.identity import display_text
from schemas.people import Account

MOST = 50
"""Files of a kind, and people, that are shown."""

TOPICS = 10
_FORMATS = frozenset(
    ("csv", "tsv", "xlsx", "xls", "parquet", "json", "jsonl", "txt", "pdf", "zip", "gz", "html", "py", "ipynb")
)
_SHORTEST = 3


@dataclass(frozen=True, slots=True)
class Touched:
    """A file that the asker may know, and what a person has to do with it.

    Attributes
    ----------
    others
        How many others use it; of a file that they own.
    last_on
        Day on which they read it last; of a file that they use.
    """

    file_id: str
    name: str
    path: str
    others: int = 0
    last_on: date | None = None


@dataclass(frozen=True, slots=True)
class Script:
    """A script that a person runs, as far as the asker may be told."""

    name: str
    repository: str
    last_on: date


@dataclass(frozen=True, slots=True)
class PersonPage:
    """What a page of a person shows.

    Attributes
    ----------
    login
        Where to write to.
    route
        How the asker gets to them, in words; empty if no way is known, or for oneself.
    produces, uses
        Files that the asker may know, those that matter most first.
    topics
        Words that the names of these files and scripts have in common, most frequent first.
    """

    colleague: Colleague
    login: str
    route: str
    produces: list[Touched]
    uses: list[Touched]
    scripts: list[Script]
    topics: list[str]
    collaborators: list[Collaborator]

    @property
    def is_empty(self) -> bool:
        return not (self.produces or self.uses or self.scripts or self.collaborators)


def person_page(asker: Asker, person_id: str) -> PersonPage | None:
    """Return what the asker may see of a person, or None: there is no such person, or they choose not to be named."""
    person_id = display_text(person_id)
    colleague = oneself(asker) if person_id == asker.person_id != "" else asker.colleagues([person_id]).get(person_id)
    if colleague is None:
        return None
    one = (person_id,)
    rows = asker.ask("produces", people=one, most=MOST)
    produces = [Touched(f, printable(name), printable(path), others=int(n)) for f, name, path, n in rows]
    rows = asker.ask("uses", people=one, most=MOST)
    uses = [Touched(f, printable(name), printable(path), last_on=day) for f, name, path, day in rows]
    scripts = [
        Script(printable(PurePosixPath(entry).name), printable(repository), day)
        for entry, repository, day in asker.ask("scripts_of", people=one, most=MOST)
    ]
    return PersonPage(
        colleague,
        login_of(person_id),
        "" if person_id == asker.person_id else routes(asker, one)[person_id],
        produces,
        uses,
        scripts,
        topics([*(file.name for file in (*produces, *uses)), *(script.name for script in scripts)]),
        collaborators_of(asker, colleague, 10, new=False),
    )


def find_people(asker: Asker, text: str, limit: int = MOST) -> list[Colleague]:
    """Return colleagues whose name, department or title has all words of `text`, by name; without words the first."""
    terms = display_text(text).lower().split()[:5]
    columns = ("full_name", "department", "title")
    # The statement finds those with any of the words: the first, as the others are looked at here.
    rows = asker.ask("colleagues", columns, terms=terms[:1], most=limit if len(terms) < 2 else 20 * limit)
    found = [Colleague(*row) for row in rows]
    whole = {c.person_id: " ".join((c.name, c.department, c.title)).lower() for c in found}
    return [c for c in found if all(term in whole[c.person_id] for term in terms[1:])][:limit]


def people_in(asker: Asker, department: str, limit: int = MOST) -> list[Colleague]:
    """Return colleagues who work in a department and may be named, by name."""
    return [Colleague(*row) for row in asker.ask("department", department=department, most=limit)]


def login_of(person_id: str) -> str:
    """Return where to write to a person: an address if one of their logins is one."""
    logins = [login for _, login in sorted(lookup(Account, "realm", "login", person_id={person_id}))]
    return next((login for login in logins if "@" in login), logins[0] if logins else "")


def topics(names: Iterable[str], limit: int = TOPICS) -> list[str]:
    """Return the words that occur in most of some names, twice at least; no formats, numbers or short words."""
    counts = Counter(word for name in names for word in dict.fromkeys(words(name)))
    told = [word for word in counts if len(word) >= _SHORTEST and not word.isdigit() and word not in _FORMATS]
    return sorted((word for word in told if counts[word] > 1), key=lambda word: (-counts[word], word))[:limit]
