"""What connects people with files: who owns them, and who read them on which days."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date

from populate.lookup import lookup
from populate.who.asker import Asker
from schemas.identity import account_id
from schemas.people import Account

OWNER, CREATOR = 1.0, 0.5
"""What being the owner now, and the first one known, counts beside reading."""


@dataclass(slots=True)
class Item:
    """A file with its people.

    Attributes
    ----------
    known
        The asker may know it, so its name may be told.
    reads
        Person -> days on which they read it.
    """

    file_id: str
    name: str = ""
    known: bool = False
    owner: str = ""
    creator: str = ""
    reads: dict[str, set[date]] = field(default_factory=lambda: defaultdict(set))

    @property
    def people(self) -> set[str]:
        return {*self.reads, self.owner, self.creator} - {""}

    @property
    def active_days(self) -> int:
        return len(set().union(*self.reads.values()))


def gather(asker: Asker, items: Iterable[Item]) -> list[Item]:
    """Add the people to `items`, of which there are few, and return them."""
    by_id = {item.file_id: item for item in items}
    if not by_id:
        return []
    ids = tuple(by_id)
    for file_id, person, _, _ in sorted(asker.ask("owners", files=ids), key=lambda row: (row[2], _reversed(row[3]))):
        by_id[file_id].owner = person
        by_id[file_id].creator = by_id[file_id].creator or person
    reads = [(account_id(row[1], row[3] or row[2]), row[0], row[4]) for row in asker.ask("reads", files=ids)]
    person_of = dict(lookup(Account, "account_id", "person_id", account_id={account for account, _, _ in reads}))
    for account, file_id, day in reads:
        if account in person_of:  # else what was forged, or not ingested yet
            by_id[file_id].reads[person_of[account]].add(day)
    return list(by_id.values())


def _reversed(identifier: str) -> int:
    return -int(identifier, 16)  # of several owners named on a day the first by id is in force


def weight(item: Item, person: str, rarity: float) -> float:
    """Return how much a person has to do with a file.

    Share of its active days, times how few other files the person touches (`rarity`), plus what being the
    owner or the first owner counts.
    """
    days = len(item.reads.get(person, ()))
    share = days / item.active_days if days else 0.0
    return share * rarity + OWNER * (person == item.owner) + CREATOR * (person == item.creator)


def rarities(asker: Asker, people: Collection[str]) -> Mapping[str, float]:
    """Return ``ln(files / files this person touches)`` for each, over what the asker may be told of."""
    if not people:
        return {}
    total = asker.size("files")
    touched = dict(asker.ask("touched", people=tuple(sorted(people))))
    return {person: math.log(max(1.0, total / touched.get(person, 1))) for person in people}
