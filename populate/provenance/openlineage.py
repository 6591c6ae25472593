"""Provenance as OpenLineage events, version 2 of the specification: for each run that it started, and what came of it.

A dataset's namespace is its source system and its name the path there; the SHA-256 of its bytes is its version. A
run's identity is the execution's, written as a UUID. Jobs are scripts, by their place in their repository: where
somebody has a checkout would name a person, and make two jobs of one script.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from data_platform.version import __version__
from populate.provenance.graph import Edge, Node, Provenance

SPECIFICATION = "https://openlineage.io/spec/2-0-2/OpenLineage.json"
FACETS = "https://openlineage.io/spec/facets"
PRODUCER = f"urn:data-platform:{__version__}"
UNKNOWN = "unknown"
"""Namespaces and names must not be empty."""


class _Known(NamedTuple):
    """What there is, by what it is looked up by: nodes by id, edges by the run that they lead to or from."""

    nodes: dict[str, Node]
    into: dict[str, list[Edge]]
    out_of: dict[str, list[Edge]]


def events(provenance: Provenance) -> list[dict[str, Any]]:
    """Return the events in the order of their times."""
    known = _Known({node.node_id: node for node in provenance.nodes}, defaultdict(list), defaultdict(list))
    for edge in provenance.edges:
        known.into[edge.target].append(edge)
        known.out_of[edge.source].append(edge)
    found = [event for node in provenance.nodes if node.kind == "run" for event in _of_run(known, node)]
    return sorted(found, key=lambda event: (event["eventTime"], event["run"]["runId"], event["eventType"] != "START"))


def _of_run(known: _Known, run: Node) -> list[dict[str, Any]]:
    reads = [edge for edge in known.into[run.node_id] if edge.relation == "read"]
    writes = [edge for edge in known.out_of[run.node_id] if edge.relation == "wrote"]
    inputs = _datasets(known, (edge.source for edge in reads))
    outputs = _datasets(known, (edge.target for edge in writes))
    started = datetime.fromisoformat(run.facts["started_at"])
    last = max((edge.at for edge in (*reads, *writes) if edge.at), default=started)
    common = {
        "producer": PRODUCER,
        "schemaURL": f"{SPECIFICATION}#/$defs/RunEvent",
        "run": {"runId": str(UUID(run.facts["execution_id"]))},
        "job": _job(known, run),
    }
    start = {"eventType": "START", "eventTime": _time(started), **common, "inputs": [], "outputs": []}
    # Runs do not tell their end: this is when the last of this was noted.
    end = {"eventType": "COMPLETE", "eventTime": _time(max(started, last)), **common}
    return [start, {**end, "inputs": inputs, "outputs": outputs}]


def _job(known: _Known, run: Node) -> dict[str, Any]:
    """Return the job: a script of a repository, or else of nobody knows where."""
    leading = (edge.source for edge in known.into[run.node_id] if edge.relation == "code")
    code = next((known.nodes[source].facts for source in leading), None)
    repository = code["repository"] if code else ""
    job: dict[str, Any] = {
        "namespace": repository or UNKNOWN,
        "name": _script(run.facts["entry_point"], repository) or UNKNOWN,
    }
    if code and "://" in repository:
        where = {"type": "git", "url": repository, "repoUrl": repository, "version": code["commit_id"]}
        job["facets"] = {"sourceCodeLocation": _facet("1-1-0/SourceCodeLocationJobFacet", **where)}
    return job


def _script(entry_point: str, repository: str) -> str:
    """Return the path below the folder that is called as the repository is; if there is none, the file's name."""
    parts = re.split(r"[/\\]", entry_point)
    checkout = re.split(r"[/\\:]", repository.rstrip("/\\"))[-1].removesuffix(".git")
    below = parts.index(checkout, 0, -1) + 1 if checkout and checkout in parts[:-1] else len(parts) - 1
    return "/".join(parts[below:])


def _datasets(known: _Known, node_ids: Iterable[str]) -> list[dict[str, Any]]:
    return [_dataset(known.nodes[node_id]) for node_id in dict.fromkeys(node_ids)]


def _dataset(node: Node) -> dict[str, Any]:
    version = _facet("1-0-1/DatasetVersionDatasetFacet", datasetVersion=f"sha256:{node.facts['sha256']}")
    return {
        "namespace": node.facts["source_system"] or UNKNOWN,
        "name": node.facts["path"] or node.name or UNKNOWN,
        "facets": {"version": version},
    }


def _facet(definition: str, **facts: str) -> dict[str, str]:
    name = definition.partition("/")[2]
    return {"_producer": PRODUCER, "_schemaURL": f"{FACETS}/{definition}.json#/$defs/{name}", **facts}


def _time(moment: datetime) -> str:
    return f"{moment.isoformat(timespec='microseconds')}Z"
