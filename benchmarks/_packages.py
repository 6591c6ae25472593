"""Real texts with a known answer: the packages that are installed here, by what their authors write of them.

A package stands for a file: its name, its keywords as tags, its description as a note. The one-line summary
is taken out of the description; its words are the question, and the package is the answer. So nobody made
questions to fit, and what is tuned is tuned on other packages than are reported.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from importlib.metadata import distributions
from zlib import crc32

from populate.search.text import plain_words
from populate.search.views import MOST_LABEL, Facts, Name, account_term
from populate.who.asker import FOREVER
from schemas.identity import identity

DAY = date(2026, 1, 5)
LEAST = 300
"""Letters that a description has to have, so that there is something to be found by."""


@dataclass(frozen=True)
class Package:
    """A package: what it is called, what it is about in a line, and what is found of it."""

    name: str
    summary: str
    keywords: str
    description: str

    @property
    def text(self) -> str:
        """All that it can be found by, for plain engines."""
        return f"{self.name} {self.keywords} {self.description}"

    @property
    def is_for_tuning(self) -> bool:
        """Whether its question may be looked at while weights are chosen; the others are reported."""
        return crc32(self.name.encode()) % 2 == 0

    def facts(self, who: str) -> Facts:
        """Return it as a file that somebody may know."""
        pieces = [self.description[at : at + MOST_LABEL] for at in range(0, len(self.description), MOST_LABEL)]
        labels = [("tag", self.keywords)] * bool(self.keywords) + [("note", piece) for piece in pieces]
        return Facts(
            identity("package", self.name),
            "nfs/packages",
            (Name(DAY, self.name, f"/{self.name}"),),
            audience={account_term(who): (FOREVER, "")},
            labels=tuple(labels),
        )


def packages() -> list[Package]:
    """Return the packages that tell enough of themselves, each once, by name."""
    found: dict[str, Package] = {}
    for one in distributions():
        about = one.metadata.json
        summary, text = str(about.get("summary", "")), str(about.get("description", ""))
        if len(text) >= LEAST and len(plain_words(summary)) >= 3:
            keywords = about.get("keywords", "")
            tags = keywords if isinstance(keywords, str) else " ".join(keywords)
            told = Package(str(about["name"]), summary, tags, text.replace(summary, " "))
            found.setdefault(told.name.lower(), told)
    return [found[name] for name in sorted(found)]


def questions(package: Package) -> Iterator[tuple[str, str]]:
    """Yield kinds of questions that the package answers: its line, three words of it, and these mistyped."""
    own = set(plain_words(package.name))
    words = [word for word in plain_words(package.summary) if word not in own]
    if len(words) < 3:
        return
    chance = random.Random(package.name)
    few = sorted(sorted(words, key=len)[-3:], key=words.index)
    yield "line", " ".join(words)
    yield "words", " ".join(few)
    place = chance.randrange(len(few))
    yield "mistyped", " ".join(swapped(word, chance) if n == place else word for n, word in enumerate(few))


def swapped(word: str, chance: random.Random) -> str:
    """Return the word with two neighbouring letters swapped."""
    at = chance.randrange(len(word) - 1)
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def file_names() -> list[str]:
    """Return the paths of all files of the packages that are installed here: real names, as people give them."""
    return sorted({str(file) for one in distributions() for file in one.files or () if "__pycache__" not in str(file)})
