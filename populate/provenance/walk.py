"""Follows data from run to run, back to where they come from or on to what became of them."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime, time

from data_platform.errors import RestrictionError
from data_platform.settings import Settings
from populate.lookup import lookup
from populate.provenance.describe import bytes_node, code_node, node_of, person_node, run_node
from populate.provenance.graph import Edge, Node, Provenance, in_time, ordered
from populate.provenance.sight import Content, Run, Sight, Step
from populate.provenance.start import start
from populate.who.asker import Asker
from schemas.catalogue import Version

MOST_NODES = 500
"""A drawing of more shows nothing; and whoever asks about a popular file wants an answer."""

NOTHING = hashlib.sha256(b"").hexdigest()
"""That two files are empty says nothing about where they come from."""


def follow(asker: Asker, about: str, settings: Settings, *, depth: int, back: bool) -> Provenance:
    """Return what a link or content comes from (`back`), or what became of it, as far as the asker may know.

    Raises
    ------
    VersionUnavailable
        If nothing is known of it, or the asker may not know it.
    RestrictionError
        If `depth` is less than 1.
    """
    if depth < 1:
        raise RestrictionError(f"A depth of {depth} follows nothing. Give 1 or more.")
    sight, first = start(asker, about, settings, latest=back)
    walk = _Walk(sight, back)
    walk.go(first, depth)
    return Provenance(
        "whence" if back else "whither",
        tuple(node_of(content) for content in first),
        ordered(walk.nodes.values()),
        in_time(walk.edges),
        walk.cut or sight.cut,
    )


class _Walk:
    """What was found so far."""

    def __init__(self, sight: Sight, back: bool) -> None:
        self.sight = sight
        self.back = back
        self.nodes: dict[str, Node] = {}
        self.edges: set[Edge] = set()
        self.cut = False
        self._met: dict[Content, datetime] = {}
        self._runs: dict[str, Run] = {}
        self._followed: set[Content] = set()

    def go(self, first: list[Content], depth: int) -> None:
        self._add_contents(first)
        frontier = first
        for _ in range(depth):
            frontier = [content for content in frontier if content not in self._followed]
            if not frontier or self.cut:
                return
            self._followed.update(frontier)
            frontier = self._before(frontier) if self.back else self._after(frontier)
        self.cut = self.cut or any(content not in self._followed for content in frontier)

    def _before(self, contents: list[Content]) -> list[Content]:
        """Add who wrote these bytes and what they had read by then, and return that."""
        written = self.sight.steps("writers", contents=_hashes(contents))
        alike = {*contents, *self._copies(contents, written)}
        self._followed.update(alike)  # who wrote these bytes was asked for just now
        runs = self._find_runs(written)
        linked = [step for step in written if step.execution_id in runs and self._wrote(step, alike)]
        self._add_runs(linked)
        until: dict[str, datetime] = {}
        for step in linked:
            until[step.execution_id] = max(step.at, until.get(step.execution_id, step.at))
        inputs = [
            step
            for step in self.sight.steps("inputs", runs=tuple(sorted(until)))
            if step.at <= until[step.execution_id]
        ]
        self._read(inputs)
        return [step.content for step in inputs]

    def _after(self, contents: list[Content]) -> list[Content]:
        """Add who read these bytes or copies of them and what they wrote later, and return that."""
        alike = sorted({*contents, *self._copies(contents, [])})
        self._followed.update(alike)
        files = tuple(sorted({content.file_id for content in alike}))
        wanted = set(alike)
        readers = self.sight.steps("readers", files=files, contents=_hashes(alike))
        runs = self._find_runs(readers)
        readers = [step for step in readers if step.content in wanted and step.execution_id in runs]
        self._add_runs(readers)
        self._read(readers)
        since: dict[str, datetime] = {}
        for step in readers:
            since[step.execution_id] = min(step.at, since.get(step.execution_id, step.at))
        written = [
            step
            for step in self.sight.steps("outputs", runs=tuple(sorted(since)))
            if step.at >= since[step.execution_id]
        ]
        return self._written(written)

    def _written(self, written: list[Step]) -> list[Content]:
        """Add what runs wrote: under the name that they gave it, or where the same bytes were found again."""
        known = set(self.sight.known([step.content for step in written]))
        hidden = [step for step in written if step.content not in known]
        found = known.union(self._alike(_hashes(step.content for step in hidden)))
        self._find_times(sorted(found))
        self._note_times(written)
        linked = [self._wrote(step, found) for step in written]
        return sorted(set().union(*linked))

    def _wrote(self, step: Step, contents: Collection[Content]) -> set[Content]:
        """Link a run with those of `contents` that it wrote, and return these.

        That is what it told of; if that may not be known, wherever the same bytes were met afterwards.
        """
        declared = bool(self.sight.known([step.content]))
        if declared:
            found = {step.content} & set(contents)
        else:
            found = {c for c in contents if c.sha256 == step.content.sha256 != NOTHING and self._later(c, step.at)}
        self._add_contents(found)
        for content in found:
            evidence = "declared" if declared else "met"
            self.edges.add(
                Edge(f"run:{step.execution_id}", node_of(content), "wrote", evidence, step.at, step.function)
            )
        return found

    def _later(self, content: Content, at: datetime) -> bool:
        return self._met.get(content, at) >= at

    def _copies(self, contents: list[Content], written: list[Step]) -> list[Content]:
        """Add the files that had the same bytes before (or after, if the walk goes on), and return them."""
        known = [content for content in self.sight.known([s.content for s in written]) if content.sha256 != NOTHING]
        found = [content for content in self._alike(_hashes(contents)) if content not in contents]
        others = sorted({*known, *found} - set(contents))
        self._find_times([*contents, *others])
        self._note_times(written)
        linked = [other for other in others for content in contents if self._copy(content, other)]
        return sorted(set(linked))

    def _copy(self, content: Content, other: Content) -> bool:
        one, two = (other, content) if self.back else (content, other)
        first, then = self._met.get(one), self._met.get(two)
        if one.sha256 != two.sha256 or first is None or (then is not None and first > then):
            return False
        self._add_contents([one, two])
        self.edges.add(Edge(node_of(one), node_of(two), "copy", "met", then))
        return True

    def _alike(self, hashes: tuple[str, ...]) -> list[Content]:
        """Return the files with these bytes that the asker may know."""
        wanted = set(hashes) - {NOTHING}
        return self.sight.known([Content(*row) for row in lookup(Version, "file_id", "sha256", sha256=wanted)])

    def _find_times(self, contents: list[Content]) -> None:
        files = tuple(sorted({content.file_id for content in contents}))
        for file_id, sha256, at in self.sight.ask("met", files=files, contents=_hashes(contents)):
            self._met[Content(file_id, sha256)] = at

    def _note_times(self, written: list[Step]) -> None:
        """A file has its bytes from when a run told of them, if not from before."""
        for step in written:
            self._met[step.content] = min(step.at, self._met.get(step.content, step.at))

    def _read(self, steps: list[Step]) -> None:
        self._add_contents([step.content for step in steps])
        for step in steps:
            run = f"run:{step.execution_id}"
            function = "" if step.function == "read" else step.function  # which says nothing new
            self.edges.add(Edge(node_of(step.content), run, "read", "read", step.at, function))
        self._shares(steps)

    def _shares(self, steps: list[Step]) -> None:
        """Add how the files came to those whom the runs were for."""
        brought: dict[tuple[str, str], set[str]] = defaultdict(set)
        for step in steps:
            brought[step.content.file_id, step.account_id].add(node_of(step.content))
        values = {
            "files": tuple(sorted({file for file, _ in brought})),
            "accounts": tuple(sorted({account for _, account in brought})),
        }
        granted = {(file, account): (at, level) for file, account, at, level in self.sight.ask("grants", **values)}
        rows = [row for row in self.sight.ask("shares", **values) if row[:2] in brought]
        readers = self.sight.persons({row[1] for row in rows})
        people = self.sight.people({row[2] for row in rows} | set(readers.values()))
        for file, account, person, channel, day in rows:
            if person not in people:
                continue
            at, how = datetime.combine(day, time()), channel
            if channel == "grant" and (file, account) in granted:
                at, level = granted[file, account]
                how = f"grant: {level}"
            to = people.get(readers.get(account, ""), "")
            detail = f"with {to} ({how})" if to else f"({how})"
            self._add(person_node(person, people[person]))
            for target in brought[file, account]:
                self.edges.add(Edge(f"person:{person}", target, "shared", "shared", at, detail))

    def _find_runs(self, steps: list[Step]) -> set[str]:
        """Return the runs that took these steps, of which more is known than that they did."""
        ids = {step.execution_id for step in steps}
        self._runs.update(self.sight.runs(ids - set(self._runs)))
        return ids & set(self._runs)

    def _add_runs(self, steps: list[Step]) -> None:
        """Add the runs that took these steps, with their code."""
        accounts = {step.execution_id: step.account_id for step in steps}
        persons = self.sight.persons(accounts.values())
        people = self.sight.people(set(persons.values()))
        for execution_id, account in accounts.items():
            run = self._runs[execution_id]
            self._add(run_node(run, people.get(persons.get(account, ""), "")))
            code = code_node(run)
            if code is not None:
                self._add(code)
                changed = "with changes that were not committed" if run.dirty else ""
                target = f"run:{run.execution_id}"
                self.edges.add(Edge(code.node_id, target, "code", "recorded", run.started_at, changed))

    def _add_contents(self, contents: Iterable[Content]) -> None:
        wanted = list(contents)
        names = self.sight.names({content.file_id for content in wanted})
        for content in wanted:
            self._add(bytes_node(content, names[content.file_id]))

    def _add(self, node: Node) -> None:
        self.nodes.setdefault(node.node_id, node)
        self.cut = self.cut or len(self.nodes) > MOST_NODES


def _hashes(contents: Iterable[Content]) -> tuple[str, ...]:
    return tuple(sorted({content.sha256 for content in contents}))
