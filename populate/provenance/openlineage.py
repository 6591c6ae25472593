"""Provenance as OpenLineage events, version 2 of the specification: for each run that it started, and what came of it.

A dataset's namespace is its source system and its name the path there; the SHA-256 of its bytes is its version. A
run's identity is the execution's, written as a UUID.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from data_platform.version import __version__
from populate.provenance.graph import Node, Provenance

SPECIFICATION = "https://openlineage.io/spec/2-0-2/OpenLineage.json"
FACETS = "https://openlineage.io/spec/facets"
PRODUCER = f"urn:data-platform:{__version__}"
UNKNOWN = "unknown"
"""Namespaces and names must not be empty."""


def events(provenance: Provenance) -> list[dict[str, Any]]:
    """Return the events in the order of their times."""
    found = [event for node in provenance.nodes if node.kind == "run" for event in _of_run(provenance, node)]
    return sorted(found, key=lambda event: (event["eventTime"], event["run"]["runId"], event["eventType"] != "START"))


def _of_run(provenance: Provenance, run: Node) -> list[dict[str, Any]]:
    reads = [edge for edge in provenance.edges if edge.target == run.node_id and edge.relation == "read"]
    writes = [edge for edge in provenance.edges if edge.source == run.node_id and edge.relation == "wrote"]
    inputs = [_dataset(provenance.node(node_id)) for node_id in dict.fromkeys(edge.source for edge in reads)]
    outputs = [_dataset(provenance.node(node_id)) for node_id in dict.fromkeys(edge.target for edge in writes)]
    started = datetime.fromisoformat(run.facts["started_at"])
    last = max((edge.at for edge in (*reads, *writes) if edge.at), default=started)
    common = {
        "producer": PRODUCER,
        "schemaURL": f"{SPECIFICATION}#/$defs/RunEvent",
        "run": {"runId": str(UUID(run.facts["execution_id"]))},
        "job": _job(provenance, run),
    }
    start = {"eventType": "START", "eventTime": _time(started), **common, "inputs": [], "outputs": []}
    # Runs do not tell their end: this is when the last of this was noted.
    end = {"eventType": "COMPLETE", "eventTime": _time(max(started, last)), **common}
    return [start, {**end, "inputs": inputs, "outputs": outputs}]


def _job(provenance: Provenance, run: Node) -> dict[str, Any]:
    """Return the job: a script of a repository, or else of nobody knows where."""
    leading = (e.source for e in provenance.edges if e.target == run.node_id and e.relation == "code")
    code = next((provenance.node(source).facts for source in leading), None)
    job: dict[str, Any] = {
        "namespace": (code["repository"] if code else "") or UNKNOWN,
        "name": run.facts["entry_point"] or UNKNOWN,
    }
    if code and "://" in code["repository"]:
        where = {"type": "git", "url": code["repository"], "repoUrl": code["repository"], "version": code["commit_id"]}
        job["facets"] = {"sourceCodeLocation": _facet("1-1-0/SourceCodeLocationJobFacet", **where)}
    return job


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
