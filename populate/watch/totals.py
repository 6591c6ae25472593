"""What the catalogue holds, in sums over whole tables: these take the longer the more there is.

Whoever shows them again and again asks seldom (`populate.watch.seldom`).
"""

from __future__ import annotations

from populate.backup.proof import oldest_unproven_days
from populate.backup.proof import statements as proof_statements
from populate.backup.tables import Placement
from schemas.binding import Binding
from schemas.catalogue import Blob, File, Version
from schemas.people import Person
from schemas.sharing import AccessBatch, Execution, ShareEdge

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


def totals(binding: Binding) -> dict[str, int]:
    """Return what the catalogue holds, exactly, as of now; see `populate.watch.status.status` for the names."""
    tables = {table.__name__: table().full_table_name for table in _TABLES}
    statements = {names: query.format(**tables) for names, query in _TOTALS.items()}
    proofs = proof_statements(binding.backend)
    statements |= {(name,): proofs[name] for name in ("stored_bytes", "proven_bytes", "contents_unproven")}
    numbers: dict[str, int] = {}
    for names, query in statements.items():
        numbers |= zip(names, map(int, binding.connection.query(query).fetchone()), strict=True)
    numbers["oldest_unproven_days"] = oldest_unproven_days(binding.connection)
    return numbers
