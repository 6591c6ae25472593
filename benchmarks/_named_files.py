"""Files with real names, of which one asker may know about half, and questions for them; and what a call costs."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

from benchmarks._packages import DAY, file_names
from populate.search.text import plain_words
from populate.search.views import Facts, Name, account_term, group_term
from populate.who.asker import FOREVER
from schemas.identity import identity

ME = "1" * 32
DEPARTMENTS = [f"Department {n}" for n in range(20)]


def files(size: int) -> Iterator[Facts]:
    """Yield so many files with real names; the asker may know those of one group, and a few others."""
    names, chance = file_names(), random.Random(size)
    for number in range(size):
        path = f"/project {number // len(names)}/{names[number % len(names)]}"
        mine = chance.random()
        audience = {group_term(f"{chance.randrange(5):032}"): (FOREVER, "")} if mine < 0.9 else {}
        audience |= {account_term(ME): (DAY, "")} if mine > 0.85 else {}
        readers = {chance.choice(DEPARTMENTS): chance.randrange(1, 9) for _ in range(chance.randrange(3))}
        yield Facts(
            identity("file", str(number)),
            "nfs/filer",
            (Name(DAY, path.rpartition("/")[2], path),),
            audience=audience,
            owner_id=f"{number % 500:032}",
            owner=f"Person {number % 500}",
            department=DEPARTMENTS[number % 20],
            readers=readers,
            last_read=DAY + timedelta(days=chance.randrange(140)) if readers else None,
        )


def two_words(size: int, number: int) -> list[str]:
    """Return questions: two words of the path of a file each; without a space behind, as when they are typed."""
    chance, names = random.Random(1), file_names()
    found: list[str] = []
    while len(found) < number:
        words = [word for word in plain_words(names[chance.randrange(min(size, len(names)))]) if len(word) > 2]
        if len(set(words)) > 1:
            found.append(" ".join(chance.sample(sorted(set(words)), 2)) + " ")
    return found


class Meter:
    """Notes down the CPU milliseconds that each call of a function takes, on all threads."""

    def __init__(self, work: Callable[[int], object]) -> None:
        self._work = work
        self.taken: list[float] = []

    def __call__(self, number: int) -> object:
        began = time.process_time()
        try:
            return self._work(number)
        finally:
            self.taken.append(1000 * (time.process_time() - began))
