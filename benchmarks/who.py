"""How often whom one is pointed to turns out right: against reads of the weeks after, beside the most active people.

A company of invented teams reads for twelve weeks; what it reads in the four weeks after is held back. Each kind of
data has people who work with it more than others, some of whom change when the weeks begin that are held back; a
tenth of the reads is by strangers, and a few collectors read everything all the time. Everything but the
people is real: reads go through outbox and ingest, and `who` answers from the rows.

The company is made up, so this tells whether `who` finds what is there and beats a list of the most
active people by far; it does not tell how right it would be at yours.

Run as ``python -m benchmarks.who [--small] [--seed N]``. The last line is a JSON object; each figure has a
``_popular`` beside it, for a list of the most active people:

``item_hit_1``, ``item_hit_5``
    share of questions about a file where the first, or one of the first five, reads it on two days of the weeks
    held back, or more
``kind_hit_1``, ``kind_hit_5``
    the same for a kind of data in words, and its files that did not exist before
``questions``
    that were asked
``cpu_ms``
    processor time of this process for one question
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from benchmarks._timing import machine, show
from benchmarks.ingest import fill, timed_flush, timed_ingest
from data_platform.settings import Settings, load
from populate.pipeline import bind_all
from populate.who.asker import Asker
from populate.who.evidence import Item as Known
from populate.who.whom import Suggestion, about_item, about_text
from readers.event import Consumer, access_record
from readers.source import Item, Login
from schemas.binding import Binding, unbind
from schemas.embedded import EmbeddedServer
from schemas.identity import account_id, file_id, identity

REALM, SYSTEM = "lab.example.org", "nfs/filer/export"
START = datetime(2026, 1, 5)
TEAMS, PEOPLE, COLLECTORS = 12, 8, 4
DAYS, HELD_BACK = 84, 28
STRANGERS = 0.1  # of reads
CHANGED = 0.2  # of the kinds, whose people change
QUESTIONS = {False: (300, 36), True: (20, 12)}  # about files, about kinds
SUBJECTS = ["flow", "mass", "imaging", "proteome", "lung", "kidney", "plasma", "tumour", "dose"]
METHODS = ["cytometry", "sequencing", "staining", "titration", "assay"]


@dataclass
class Kind:
    """A kind of data of a team: its words, its files, and how much each person works with it."""

    words: str
    team: int
    files: list[str] = field(default_factory=list)
    weights: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Read:
    """Somebody reads a file of a kind on a day."""

    day: int
    reader: str
    path: str
    kind: int


class Company:
    """Kinds of data, and who reads what, day by day; the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.teams = [[f"t{team}p{number}" for number in range(PEOPLE)] for team in range(TEAMS)]
        self.collectors = [f"collector{number}" for number in range(COLLECTORS)]
        pairs = [f"{subject} {method}" for subject in SUBJECTS for method in METHODS]
        self.kinds = [Kind(words, place % TEAMS) for place, words in enumerate(self.chance.sample(pairs, 3 * TEAMS))]
        self.owners: dict[str, str] = {}
        for kind in self.kinds:
            self._staff(kind)
            for _ in range(8):
                self._add_file(kind)

    def reads(self) -> Iterator[Read]:
        """Yield the reads in order; after `DAYS` there are new files, and for some kinds other people."""
        for day in range(DAYS + HELD_BACK):
            if day == DAYS:
                for kind in self.kinds:
                    if self.chance.random() < CHANGED:
                        self._staff(kind)
                    for _ in range(3):
                        self._add_file(kind)
            yield from self._of_day(day)

    def _of_day(self, day: int) -> Iterator[Read]:
        for number, kind in enumerate(self.kinds):
            for _ in range(self.chance.randrange(4)):
                yield Read(day, self._reader(kind), self.chance.choice(kind.files), number)
        for collector in self.collectors:
            for _ in range(5):
                number = self.chance.randrange(len(self.kinds))
                yield Read(day, collector, self.chance.choice(self.kinds[number].files), number)

    def _reader(self, kind: Kind) -> str:
        if self.chance.random() < STRANGERS:
            return self.chance.choice(self.chance.choice(self.teams))
        return self.chance.choices([*kind.weights], [*kind.weights.values()])[0]

    def _staff(self, kind: Kind) -> None:
        people = self.chance.sample(self.teams[kind.team], PEOPLE)
        kind.weights = {person: 0.5**place for place, person in enumerate(people)}

    def _add_file(self, kind: Kind) -> None:
        name = f"{kind.words.replace(' ', '_')}_run{len(kind.files) + 1}.csv"
        path = f"/srv/team {kind.team}/{name}"
        self.owners[path] = self.chance.choices([*kind.weights], [*kind.weights.values()])[0]
        kind.files.append(path)


def record(company: Company, read: Read, second: int) -> dict[str, object]:
    """Return what a reader would note down."""
    owner, name = Login(REALM, company.owners[read.path]), read.path.rpartition("/")[2]
    noted = access_record(
        Consumer(Login(REALM, read.reader), "setting"),
        url=f"file://{read.path}",
        function="read_file",
        item=Item(SYSTEM, read.path, name, read.path, f"file://{read.path}", owner=owner),
        source_kind="file",
        revision="1",
        sha256=identity("who", read.path) * 2,
        size=1000,
    )
    return noted | {"accessed_at": (START + timedelta(days=read.day, seconds=second % 86_400)).isoformat()}


@dataclass
class Score:
    """Of how many questions the first, and one of the first five, was right."""

    asked: int = 0
    first: int = 0
    five: int = 0

    def add(self, answer: Sequence[str], right: set[str]) -> None:
        self.asked += 1
        self.first += bool(right & {*answer[:1]})
        self.five += bool(right & {*answer[:5]})

    def figures(self, name: str, end: str = "") -> dict[str, float]:
        return {
            f"{name}_hit_1{end}": round(self.first / self.asked, 3),
            f"{name}_hit_5{end}": round(self.five / self.asked, 3),
        }


def regulars(reads: Iterable[Read]) -> set[str]:
    """Return who reads on two days or more; one read may be chance."""
    days = Counter(reader for reader, _ in {(read.reader, read.day) for read in reads})
    return {reader for reader, number in days.items() if number > 1}


class Exam:
    """Asks about what was held back, as somebody who had nothing to do with it."""

    def __init__(self, binding: Binding, company: Company, past: list[Read], later: list[Read]) -> None:
        self._binding, self._company, self._chance = binding, company, random.Random(7)
        self._touched = {(read.reader, read.kind) for read in past}
        self._popular = [person for person, _ in Counter(read.reader for read in past).most_common()]
        self._past, self._later = past, later
        self.scores = {name: (Score(), Score()) for name in ("item", "kind")}

    def about_files(self, number: int) -> None:
        """Ask about files that are read again."""
        known = {read.path: read.kind for read in self._past}
        again = sorted(path for path in known if regulars(read for read in self._later if read.path == path))
        for path in self._chance.sample(again, min(number, len(again))):
            right = regulars(read for read in self._later if read.path == path)
            item = Known(file_id(SYSTEM, path), known=True)
            self._ask("item", known[path], right, partial(_about_item, item))

    def about_kinds(self, number: int) -> None:
        """Ask about kinds of data of which new files are read."""
        old = {read.path for read in self._past}
        for place in self._chance.sample(range(len(self._company.kinds)), number):
            words = self._company.kinds[place].words
            right = regulars(read for read in self._later if read.kind == place and read.path not in old)
            self._ask("kind", place, right, partial(_about_text, words))

    def _ask(self, name: str, kind: int, right: set[str], answer: Callable[[Asker], list[Suggestion]]) -> None:
        strangers = [p for team in self._company.teams for p in team if (p, kind) not in self._touched]
        me = self._chance.choice(sorted(strangers))
        own = account_id(REALM, me)
        asker = Asker(self._binding, own, (own,), START + timedelta(days=DAYS), "open")
        named = [suggestion.login for suggestion in answer(asker)]
        ours, popular = self.scores[name]
        ours.add(named, right - {me})
        popular.add([person for person in self._popular if person != me], right - {me})


def _about_item(item: Known, asker: Asker) -> list[Suggestion]:
    return about_item(asker, item, 5)


def _about_text(text: str, asker: Asker) -> list[Suggestion]:
    return about_text(asker, text, 5)


def measured(binding: Binding, settings: Settings, seed: int, small: bool) -> dict[str, float]:
    """Return the figures."""
    company = Company(seed)
    reads = [*company.reads()]
    past, later = [r for r in reads if r.day < DAYS], [r for r in reads if r.day >= DAYS]
    fill(settings, (record(company, read, second) for second, read in enumerate(past)))
    timed_flush(settings)
    timed_ingest()
    exam, (files, kinds) = Exam(binding, company, past, later), QUESTIONS[small]
    begin = time.process_time()
    exam.about_files(files)
    exam.about_kinds(kinds)
    asked = sum(ours.asked for ours, _ in exam.scores.values())
    cpu = 1000 * (time.process_time() - begin) / asked
    print(f"{len(past):,} reads known, {len(later):,} held back, {len(company.owners):,} files ({machine()})")
    found: dict[str, float] = {}
    for name, (ours, popular) in exam.scores.items():
        found |= {**ours.figures(name), **popular.figures(name, "_popular")}
    return {**found, "questions": asked, "cpu_ms": round(cpu, 1)}


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="ends within 40 seconds")
    parser.add_argument("--seed", type=int, default=1, help="of the company")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        settings = load(home=Path(folder) / "home")
        try:
            figures = measured(bind_all(settings), settings, options.seed, options.small)
        finally:
            unbind()
            EmbeddedServer(settings.home).remove()
    rows = [[name, figures[name], figures[f"{name}_popular"]] for name in figures if f"{name}_popular" in figures]
    show("share of questions answered right", ["", "who", "most active people"], rows)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
