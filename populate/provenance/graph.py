"""The answer of `whence` and `whither`: what data went through, and how each step is known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

EVIDENCE = {
    "declared": "the run told of it (log_output)",
    "met": "the same bytes were found again, by their hash",
    "read": "an access was noted down",
    "shared": "a read across people, a grant, or the source's own log",
    "recorded": "the run described itself",
}
"""The grades of evidence, and what each means."""


@dataclass(frozen=True, slots=True)
class Node:
    """Something that data went through.

    Attributes
    ----------
    kind
        ``bytes`` (a file with certain bytes), ``run``, ``code`` (a commit), or ``person`` (who shared).
    name, detail
        For people to read; `detail` may be empty.
    facts
        For programs. Of bytes ``file_id``, ``sha256``, ``source_system``, ``path``; of a run ``execution_id``,
        ``entry_point``, ``person``, ``started_at``; of code ``repository``, ``commit_id``; of a person ``person_id``.
    """

    node_id: str
    kind: str
    name: str
    detail: str
    facts: dict[str, str] = field(hash=False)


@dataclass(frozen=True, slots=True)
class Edge:
    """A step that data took, from `source` to `target`, which are ids of nodes.

    Attributes
    ----------
    relation
        ``wrote``, ``read``, ``copy``, ``code`` or ``shared``.
    evidence
        One of `EVIDENCE`.
    at
        UTC; None if nobody noted the time.
    """

    source: str
    target: str
    relation: str
    evidence: str
    at: datetime | None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Provenance:
    """What is known, in the direction in which data went: edges lead from causes to results.

    Attributes
    ----------
    direction
        ``whence`` or ``whither``.
    about
        Ids of the nodes that were asked for.
    cut
        There is more than is shown here.
    """

    direction: str
    about: tuple[str, ...]
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    cut: bool = False

    def node(self, node_id: str) -> Node:
        """Return a node by its id."""
        return next(node for node in self.nodes if node.node_id == node_id)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it for JSON; times are ISO, in UTC."""
        found = asdict(self)
        for edge in found["edges"]:
            edge["at"] = edge["at"].isoformat() if edge["at"] else None
        return found


def ordered(nodes: Iterable[Node]) -> tuple[Node, ...]:
    """Return nodes so that equal knowledge gives equal answers."""
    return tuple(sorted(nodes, key=lambda node: node.node_id))


def in_time(edges: Iterable[Edge]) -> tuple[Edge, ...]:
    """Return edges by time; those without come first."""
    return tuple(sorted(edges, key=lambda e: (e.at or datetime.min, e.source, e.target, e.relation, e.detail)))
