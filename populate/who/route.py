"""The way to a colleague: through people with whom one exchanges data already."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from populate.who.asker import Asker

CROWD = 200
"""Whoever exchanges data with more people than this is not searched for ways through two of them."""


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
    """Return the steps of the shortest ways to `targets`, three at most, searched from both ends.

    Of several ways of a length it is that with the most files in its last step.
    """
    if not asker.person_id:
        return {}
    first = _nearest(asker, _neighbours(asker, {asker.person_id}), {asker.person_id})
    rest = targets - set(first)
    if not rest:
        return first
    last = {(other, target): step for (target, other), step in _neighbours(asker, rest).items()}
    reached = first | _nearest(asker, last, set(first))
    rest -= set(reached)
    if rest and 0 < len(first) <= CROWD:
        second = _nearest(asker, _neighbours(asker, set(first)), set(first))
        second = {person: step for person, step in second.items() if person not in {*first, asker.person_id}}
        far = _nearest(asker, {pair: step for pair, step in last.items() if pair[1] in rest}, set(second))
        reached = second | far | reached
    return reached


def _nearest(asker: Asker, found: dict[tuple[str, str], tuple[int, int]], origins: set[str]) -> dict[str, Step]:
    """Return the best step from one of `origins` to each person who may be named."""
    best: dict[str, Step] = {}
    for (origin, person), (received, given) in found.items():
        step = Step(origin, received, given)
        if origin in origins and _better(step, best.get(person)):
            best[person] = step
    return {person: best[person] for person in asker.colleagues(best)}


def _neighbours(asker: Asker, people: set[str]) -> dict[tuple[str, str], tuple[int, int]]:
    """Return (files received from, files given to) for each pair of one of `people` and somebody else."""
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for producer, consumer, shared in asker.ask("exchanged", people=tuple(sorted(people))):
        if consumer in people:
            received, given = found.get((consumer, producer), (0, 0))
            found[consumer, producer] = received + shared, given
        if producer in people:
            received, given = found.get((producer, consumer), (0, 0))
            found[producer, consumer] = received, given + shared
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
