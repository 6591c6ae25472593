"""What the things that data went through are called."""

from __future__ import annotations

from pathlib import PurePosixPath

from populate.provenance.graph import Node
from populate.provenance.sight import Content, Name, Run
from populate.who.whom import day, printable
from schemas.identity import identity


def node_of(content: Content) -> str:
    """Return the id of the node of a file with certain bytes."""
    return f"bytes:{content.file_id}:{content.sha256}"


def bytes_node(content: Content, name: Name) -> Node:
    """Return the node of a file with certain bytes."""
    facts = {
        "file_id": content.file_id,
        "sha256": content.sha256,
        "source_system": name.source_system,
        "path": name.path,
    }
    return Node(node_of(content), "bytes", name.name, f"sha256:{content.sha256[:12]}", facts)


def run_node(run: Run, person: str) -> Node:
    """Return the node of a run; `person` is empty if whoever ran it may not be named."""
    entry = printable(run.entry_point)
    script = (entry if entry.startswith("-") else PurePosixPath(entry).name) or "a run"
    when = f"on {day(run.started_at)} at {run.started_at:%H:%M}"
    facts = {
        "execution_id": run.execution_id,
        "entry_point": entry,
        "person": person,
        "started_at": run.started_at.isoformat(),
    }
    return Node(f"run:{run.execution_id}", "run", script, f"by {person}, {when}" if person else when, facts)


def code_node(run: Run) -> Node | None:
    """Return the node of the commit that a run was of; None if it was of none."""
    if not run.commit_id:
        return None
    repository = printable(run.repository)
    name = PurePosixPath(repository).name.removesuffix(".git") or "a repository"
    facts = {"repository": repository, "commit_id": run.commit_id}
    return Node(
        f"code:{identity('code', run.repository, run.commit_id)}", "code", name, f"commit {run.commit_id[:12]}", facts
    )


def person_node(person_id: str, name: str) -> Node:
    """Return the node of somebody who shared."""
    return Node(f"person:{person_id}", "person", printable(name), "", {"person_id": person_id})
