"""Which deliveries a backend has not been told of, and what is in one.

This looks at everything, whoever may know it: it is not told to a person, but to a program that whoever runs the
catalogue has named. No person is named to it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from populate.ingest import Ingest
from populate.lineage.tables import LineageFailed, LineageRefused, LineageSent
from populate.lookup import lookup
from populate.provenance.describe import bytes_node, code_node, node_of, run_node
from populate.provenance.graph import Edge, Provenance, in_time, ordered
from populate.provenance.sight import Content, Name, Run
from populate.rendering import rendered
from populate.who.whom import printable
from schemas.binding import Binding
from schemas.output import Output
from schemas.sharing import Access, AccessBatch, Execution

STATEMENTS = {
    "due": """
        SELECT b.delivered_at, i.batch_id FROM $Ingest i JOIN $AccessBatch b ON b.batch_id = i.batch_id
        WHERE NOT EXISTS (SELECT 1 FROM $LineageSent s WHERE s.batch_id = i.batch_id)
          AND NOT EXISTS (SELECT 1 FROM $LineageRefused r WHERE r.batch_id = i.batch_id)
          AND NOT EXISTS (SELECT 1 FROM $LineageFailed f WHERE f.batch_id = i.batch_id)
          AND (b.delivered_at > %(at)s OR (b.delivered_at = %(at)s AND i.batch_id > %(batch)s))
        ORDER BY b.delivered_at, i.batch_id LIMIT %(most)s
    """,
    "failing": """
        SELECT f.batch_id, COUNT(*), MAX(f.lineage_failed_at) FROM $LineageFailed f
        WHERE NOT EXISTS (SELECT 1 FROM $LineageSent s WHERE s.batch_id = f.batch_id)
          AND NOT EXISTS (SELECT 1 FROM $LineageRefused r WHERE r.batch_id = f.batch_id)
        GROUP BY f.batch_id ORDER BY MAX(f.lineage_failed_at), f.batch_id
    """,
    "inputs": """
        SELECT execution_id, file_id, sha256, MAX(source_system), MAX(file_name), MAX(file_path),
               MIN(accessed_at), MAX(function_name)
        FROM $Access WHERE batch_id = %(batch)s AND outcome = 'ok' AND sha256 <> '' AND file_id <> ''
        GROUP BY execution_id, file_id, sha256
    """,
    "outputs": """
        SELECT execution_id, file_id, sha256, MAX(source_system), MAX(file_name), MAX(file_path),
               MIN(written_at), MAX(function_name)
        FROM $Output WHERE batch_id = %(batch)s GROUP BY execution_id, file_id, sha256
    """,
}
TABLES = (Access, AccessBatch, Ingest, LineageFailed, LineageRefused, LineageSent, Output)

Place = tuple[datetime, str]
"""Of a delivery in the order in which they are told: when it was delivered, and which it is."""

START: Place = (datetime(1970, 1, 1), "")
LONGEST_WAIT = timedelta(days=1)


def due(binding: Binding, most: int, after: Place = START) -> list[Place]:
    """Return the deliveries after a place that nothing is known of, the first first."""
    at, batch = after
    return [(row[0], str(row[1])) for row in _ask(binding, "due", most=most, at=at, batch=batch)]


def failing(binding: Binding) -> dict[str, datetime]:
    """Return the deliveries that the backend fails at, and when each is to be tried again: after ever longer waits."""
    rows = _ask(binding, "failing")
    return {
        str(batch): at + min(timedelta(minutes=2 ** min(int(times), 11)), LONGEST_WAIT) for batch, times, at in rows
    }


def told_by(binding: Binding, batch_id: str) -> Provenance:
    """Return what a delivery tells of runs: what they read and wrote, and their code."""
    inputs, outputs = (_ask(binding, name, batch=batch_id) for name in ("inputs", "outputs"))
    ids = {row[0] for row in (*inputs, *outputs)}
    columns = ("execution_id", "entry_point", "repository", "commit_id", "dirty", "started_at")
    runs = {row[0]: Run(*row) for row in lookup(Execution, *columns, execution_id=ids)}
    nodes, edges = {}, []
    for run in runs.values():
        nodes[f"run:{run.execution_id}"] = run_node(run, "")
        if (code := code_node(run)) is not None:
            nodes[code.node_id] = code
            edges.append(Edge(code.node_id, f"run:{run.execution_id}", "code", "recorded", run.started_at))
    for relation, evidence, rows in (("read", "read", inputs), ("wrote", "declared", outputs)):
        for execution_id, file_id, sha256, system, name, path, at, function in rows:
            if execution_id not in runs:
                continue
            content, run_id = Content(file_id, sha256), f"run:{execution_id}"
            nodes.setdefault(node_of(content), bytes_node(content, Name(printable(name), printable(path), system)))
            ends = (node_of(content), run_id) if relation == "read" else (run_id, node_of(content))
            edges.append(Edge(*ends, relation, evidence, at, function))
    return Provenance("whither", (), ordered(nodes.values()), in_time(edges))


def _ask(binding: Binding, name: str, **values: Any) -> list[tuple[Any, ...]]:
    binding.ensure()
    return list(binding.connection.query(rendered(STATEMENTS[name], {}, TABLES), values).fetchall())
