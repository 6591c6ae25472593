"""Provenance in the data model of W3C PROV, as PROV-JSON.

Bytes are entities, runs activities, people agents; code is the plan that a run followed. Copies are derivations. That
somebody shared a file is an influence and no more: it does not make them its author. How each step is known is the
attribute ``evidence``.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from typing import Any

from populate.provenance.graph import Edge, Node, Provenance

PREFIX = "dp"
NAMESPACE = "urn:data-platform:"

_FACTS = {"bytes": ("file_id", "sha256", "source_system", "path"), "run": ("execution_id", "entry_point")}
_FACTS |= {"code": ("repository", "commit_id"), "person": ("person_id",)}
_KINDS = {"bytes": "entity", "code": "entity", "run": "activity", "person": "agent"}

Record = dict[str, Any]


def document(provenance: Provenance) -> dict[str, dict[str, Any]]:
    """Return the document for JSON; times are UTC."""
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    found["prefix"] = {PREFIX: NAMESPACE}
    for node in provenance.nodes:
        found[_KINDS[node.kind]][name_of(node.node_id)] = _described(node)
        if node.kind == "run":
            _associate(found, provenance, node)
    for number, edge in enumerate(edge for edge in provenance.edges if edge.relation in _RELATIONS):
        relation, record = _RELATIONS[edge.relation](edge)
        found[relation][f"_:{edge.relation}{number}"] = record | _known(edge)
    return dict(found)


def name_of(node_id: str) -> str:
    """Return the qualified name of a node."""
    return f"{PREFIX}:{re.sub('[^A-Za-z0-9]', '_', node_id)}"


def _described(node: Node) -> Record:
    facts = {f"{PREFIX}:{name}": value for name in _FACTS[node.kind] if (value := node.facts.get(name, ""))}
    told: Record = {"prov:label": node.name, **facts}
    if node.kind == "run":
        told["prov:startTime"] = _time(datetime.fromisoformat(node.facts["started_at"]))
    if node.kind in ("code", "person"):
        told["prov:type"] = {"$": "prov:Plan" if node.kind == "code" else "prov:Person", "type": "prov:QUALIFIED_NAME"}
    return told


def _associate(found: dict[str, dict[str, Any]], provenance: Provenance, run: Node) -> None:
    """Add by whom a run was, and by what code: as far as either is known.

    A run tells the name of a person only, so the agents of two runs are not said to be the same.
    """
    plan = next((e.source for e in provenance.edges if e.target == run.node_id and e.relation == "code"), "")
    record = {"prov:activity": name_of(run.node_id)}
    if run.facts["person"]:
        agent = name_of(f"agent of {run.node_id}")
        found["agent"][agent] = {"prov:label": run.facts["person"]}
        record["prov:agent"] = agent
    if plan:
        record["prov:plan"] = name_of(plan)
    if len(record) > 1:
        found["wasAssociatedWith"][f"_:association{len(found['wasAssociatedWith'])}"] = record


def _known(edge: Edge) -> Record:
    told = {f"{PREFIX}:evidence": edge.evidence}
    if edge.detail:
        told[f"{PREFIX}:detail"] = edge.detail
    if edge.at and edge.relation in ("copy", "shared"):  # to which PROV gives no time
        told[f"{PREFIX}:at"] = _time(edge.at)
    return told


def _read(edge: Edge) -> tuple[str, Record]:
    return "used", _timed(edge, {"prov:activity": name_of(edge.target), "prov:entity": name_of(edge.source)})


def _wrote(edge: Edge) -> tuple[str, Record]:
    record = {"prov:entity": name_of(edge.target), "prov:activity": name_of(edge.source)}
    return "wasGeneratedBy", _timed(edge, record)


def _copy(edge: Edge) -> tuple[str, Record]:
    return "wasDerivedFrom", {
        "prov:generatedEntity": name_of(edge.target),
        "prov:usedEntity": name_of(edge.source),
    }


def _shared(edge: Edge) -> tuple[str, Record]:
    return "wasInfluencedBy", {"prov:influencee": name_of(edge.target), "prov:influencer": name_of(edge.source)}


_RELATIONS: dict[str, Callable[[Edge], tuple[str, Record]]] = {
    "read": _read,
    "wrote": _wrote,
    "copy": _copy,
    "shared": _shared,
}


def _timed(edge: Edge, record: Record) -> Record:
    return record | ({"prov:time": _time(edge.at)} if edge.at else {})


def _time(moment: datetime) -> str:
    return f"{moment.isoformat(timespec='microseconds')}Z"
