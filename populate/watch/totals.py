"""What the catalogue holds, in sums over whole tables: these take the longer the more there is.

So where that takes long the scheduler counts for all, and writes it down (`populate.watch.tally`). Whoever shows
the sums again and again asks seldom (`populate.watch.seldom`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from populate.backup.proof import days_since, waiting
from populate.backup.proof import statements as proof_statements
from populate.backup.tables import Placement
from schemas.binding import Binding
from schemas.catalogue import Blob, File, Version
from schemas.people import Person
from schemas.sharing import AccessBatch, Execution, ShareEdge

Ask = Callable[[str], Sequence[tuple[Any, ...]]]
"""Returns the rows that a statement finds."""

_TABLES = (AccessBatch, Blob, Execution, File, Person, Placement, ShareEdge, Version)

# A delivery is complete the moment it is visible, so its accesses need not be counted one by one.
_TOTALS = {
    ("accesses",): "SELECT COALESCE(SUM(access_count), 0) FROM {AccessBatch}",
    ("files",): "SELECT COUNT(*) FROM {File}",
    ("versions", "logical_bytes"): "SELECT COUNT(*), COALESCE(SUM(b.blob_size), 0)"
    " FROM {Version} AS v JOIN {Blob} AS b ON b.sha256 = v.sha256",
    ("blobs", "blob_bytes"): "SELECT COUNT(*), COALESCE(SUM(blob_size), 0) FROM {Blob}",
    ("people",): "SELECT COUNT(*) FROM {Person}",
    ("share_edges",): "SELECT COUNT(*) FROM {ShareEdge}",
    ("executions",): "SELECT COUNT(*) FROM {Execution}",
    ("blobs_backed_up",): "SELECT COUNT(DISTINCT sha256) FROM {Placement}",
}
# What is shown at the dashboard besides.
_KEPT = {
    ("kept_bytes",): "SELECT COALESCE(SUM(b.blob_size), 0) FROM {Blob} AS b"
    " WHERE EXISTS (SELECT 1 FROM {Placement} AS p WHERE p.sha256 = b.sha256)",
}


def totals(binding: Binding) -> dict[str, int]:
    """Return what the catalogue holds, exactly, as of now; see `populate.watch.status.status` for the names."""
    return sums(binding.backend, lambda statement: list(binding.connection.query(statement).fetchall()))


def sums(backend: str, ask: Ask, kept: bool = False) -> dict[str, int]:
    """Return the same, asked by `ask`; with `kept` also ``kept_bytes``, of the contents that are backed up."""
    tables = {table.__name__: table().full_table_name for table in _TABLES}
    statements = {names: query.format(**tables) for names, query in (_TOTALS | (_KEPT if kept else {})).items()}
    proofs = proof_statements(backend)
    statements |= {(name,): proofs[name] for name in ("stored_bytes", "proven_bytes", "contents_unproven")}
    numbers: dict[str, int] = {}
    for names, query in statements.items():
        numbers |= zip(names, map(int, ask(query)[0]), strict=True)
    numbers["oldest_unproven_days"] = days_since([ask(query)[0][0] for query in waiting(backend)])
    return numbers
