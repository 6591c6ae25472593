"""The way to a colleague: through people with whom one exchanges data already."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from populate.who.asker import Asker

HOPS = 3
CROWD = 2000
"""A frontier of more people than this is not followed: everybody knows everybody by then."""


@dataclass(frozen=True, slots=True)
class Step:
    """How a person was reached: from whom, and how many files went either way."""

    origin: str
    received: int
    given: int

    @property
    def files(self) -> int:
        return self.received + self.given


def routes(asker: Asker, targets: Collection[str]) -> dict[str, str]:
    """Return for each person how the asker gets to them, in words; the shortest way that can be told.

    Only people who may be named are on the way, and only files that the asker may know, or whose owner
    lets them be found, connect people.
    """
    steps = _search(asker, set(targets))
    return {person: _in_words(asker, list(_path(steps, person))) for person in targets}


def _search(asker: Asker, targets: set[str]) -> dict[str, Step]:
    """Go outwards breadth first; of several ways of a length, that with the most files in its last step."""
    reached: dict[str, Step] = {}
    frontier = {asker.person_id} if asker.person_id else set()
    for _ in range(HOPS):
        if not frontier or len(frontier) > CROWD or targets <= set(reached):
            break
        found = _neighbours(asker, frontier)
        best: dict[str, Step] = {}
        for (origin, person), (received, given) in found.items():
            step = Step(origin, received, given)
            if person != asker.person_id and person not in reached and _better(step, best.get(person)):
                best[person] = step
        named = asker.colleagues(best)
        reached |= {person: best[person] for person in named}
        frontier = set(named)
    return reached


def _neighbours(asker: Asker, people: set[str]) -> dict[tuple[str, str], tuple[int, int]]:
    """Return (files received from, files given to) for each pair of one of `people` and somebody else."""
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for producer, consumer, files in asker.ask("exchanged", people=tuple(sorted(people))):
        if consumer in people:
            received, given = found.get((consumer, producer), (0, 0))
            found[consumer, producer] = received + files, given
        if producer in people:
            received, given = found.get((producer, consumer), (0, 0))
            found[producer, consumer] = received, given + files
    return found


def _better(step: Step, other: Step | None) -> bool:
    return other is None or (-step.files, step.origin) < (-other.files, other.origin)


def _path(steps: dict[str, Step], person: str) -> Iterator[tuple[str, Step]]:
    """Yield the people on the way, nearest first, each with the step that leads there."""
    way = []
    while person in steps:
        way.append((person, steps[person]))
        person = steps[person].origin
    return iter(reversed(way))


def _in_words(asker: Asker, way: list[tuple[str, Step]]) -> str:
    if not way:
        return ""
    names = [asker.colleagues([person])[person].name for person, _ in way]
    first = way[0][1]
    shared = f"shared {files(first.received)} with you" if first.received else f"has {files(first.given)} of yours"
    if len(way) == 1:
        return f"directly: {names[0]} {shared}"
    onward = "".join(f", then {name}" for name in names[1:-1])
    return f"via {names[0]}, who {shared}{onward}"


def files(count: int) -> str:
    """Return a number of files in words."""
    return f"{count:,} file{'' if count == 1 else 's'}"
