"""With whom to work together: people who use the same files, and those around the same people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from populate.who.asker import Asker, Colleague
from populate.who.evidence import Item
from populate.who.route import files
from populate.who.whom import NAMES, printable

CROWD = 2000
"""A file that more people use says nothing about any two of them."""

SAME_DEPARTMENT = 2.0
"""What common contacts count for more within a department."""


@dataclass(frozen=True, slots=True)
class Collaborator:
    """Somebody who works on the same data.

    Attributes
    ----------
    in_contact
        The two exchange files already.
    reason
        Why, with numbers.
    """

    person_id: str
    name: str
    department: str
    score: float
    in_contact: bool
    reason: str


def collaborators_of(asker: Asker, person: Colleague, limit: int, new: bool) -> list[Collaborator]:
    """Return who shares most with a person, over files that the asker may be told of.

    The score is the sum of ``ln(people / people who use the file)`` over the files that both use (`people` are those
    in the directory, or who use any of these if these are more), and
    for each contact that both have one over the number of that contact's contacts.

    Parameters
    ----------
    new
        Leave out those who exchange files already.
    """
    rows = asker.ask("alike", people=(person.person_id,), crowd=CROWD)
    alike = {other: float(worth) for other, worth in rows}
    contacts = set(asker.colleagues(_contacts(asker, {person.person_id})[person.person_id]))
    around = _contacts(asker, contacts)
    people = asker.colleagues({*alike, *contacts}.union(*around.values()) - {person.person_id})
    shown = {p: c for p, c in people.items() if not (new and p in contacts)}
    through = {p: [c for c in sorted(contacts) if p in around[c]] for p in shown}
    scores = {
        p: alike.get(p, 0.0)
        + sum(1 / len(around[c]) for c in through[p]) * (SAME_DEPARTMENT if _near(person, shown[p]) else 1.0)
        for p in shown
    }
    order = sorted(shown, key=lambda p: (-round(scores[p], 6), shown[p].name, p))[:limit]
    common: dict[str, list[str]] = defaultdict(list)
    for other, file_id in asker.ask("common", people=(person.person_id,), others=tuple(order), crowd=CROWD):
        common[other].append(file_id)
    names = _names(asker, {file_id for p in order for file_id in common[p]})
    return [
        Collaborator(
            p,
            shown[p].name,
            shown[p].department,
            round(scores[p], 6),
            p in contacts,
            _reason(common[p], names, len(through[p])),
        )
        for p in order
    ]


def _contacts(asker: Asker, people: set[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {person: set() for person in people}
    for producer, consumer, _ in asker.ask("exchanged", people=tuple(sorted(people))):
        for one, other in ((producer, consumer), (consumer, producer)):
            if one in found:
                found[one].add(other)
    return found


def _near(person: Colleague, other: Colleague) -> bool:
    return person.department == other.department != ""


def _names(asker: Asker, ids: set[str]) -> dict[str, str]:
    """Return the names of those files that the asker may know by name."""
    return {item.file_id: item.name for item in named(asker, ids) if item.known}


def named(asker: Asker, ids: set[str]) -> list[Item]:
    """Return those of the files that the asker may be told of, each with the name that they know it by."""
    rows = asker.ask("names_of", files=tuple(sorted(ids)))
    return [Item(file_id, printable(name), bool(known)) for file_id, name, known in rows]


def _reason(common: list[str], names: Mapping[str, str], contacts: int) -> str:
    """Return the reason in words; of the common files, rarest first, the names that may be told."""
    parts = []
    if common:
        told = [names[file_id] for file_id in common if file_id in names][:NAMES]
        shown = f": {', '.join(told)}" if told else ""
        more = " …" if 0 < len(told) < len(common) else ""
        parts.append(f"uses {files(len(common))} too{shown}{more}")
    if contacts:
        parts.append(f"{contacts:,} contact{'' if contacts == 1 else 's'} in common")
    return "; ".join(parts) or "exchanges files already"
