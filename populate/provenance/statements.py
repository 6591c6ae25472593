"""The SQL of provenance, for PostgreSQL and MySQL alike.

What the asker may not know is left out before anything is counted, cut or followed, by the fragments of
`populate.who.statements`: files by ``known``, runs by ``runs`` and by who owns what they read. See there for the
notation.
"""

from __future__ import annotations

from populate.rendering import rendered
from populate.who import statements as who
from schemas.catalogue import Version
from schemas.output import Output

# Whoever ran it knows what a run wrote, even if nobody has read it yet.
OPEN = """
mayknow AS (
    SELECT file_id FROM known
    UNION
    SELECT file_id FROM $Output WHERE account_id IN %(mine)s AND file_id <> '' $and_within
)"""
TOLD = """
told AS (
    SELECT t.execution_id FROM touched t
    WHERE EXISTS (SELECT 1 FROM runs r WHERE r.execution_id = t.execution_id)
       OR EXISTS (SELECT 1 FROM $Access x JOIN owned o ON o.file_id = x.file_id
                  WHERE x.execution_id = t.execution_id AND x.outcome = 'ok' AND o.account_id IN %(mine)s)
       OR EXISTS (SELECT 1 FROM $Access x WHERE x.execution_id = t.execution_id AND x.account_id IN %(mine)s)
       OR EXISTS (SELECT 1 FROM $Output x WHERE x.execution_id = t.execution_id AND x.account_id IN %(mine)s)
)"""
# The files that the runs in question read, which decide on whether their owner may know the runs.
OF_RUNS = """
scope AS (
    SELECT DISTINCT x.file_id FROM $Access x JOIN touched t ON t.execution_id = x.execution_id WHERE x.file_id <> ''
)"""

FRAGMENTS = {**who.FRAGMENTS, "open": OPEN, "told": TOLD, "of_runs": OF_RUNS}

STATEMENTS = {
    "names": """
        WITH scope AS (
            SELECT file_id FROM $File WHERE file_id IN %(files)s
            UNION SELECT file_id FROM $Output WHERE file_id IN %(files)s
        ), $sight, $named
        SELECT m.file_id, m.file_name, m.file_path, f.source_system
        FROM named m JOIN $File f ON f.file_id = m.file_id WHERE m.place = 1 AND m.known = 1
    """,
    "own_names": """
        SELECT DISTINCT file_id, file_name, file_path, source_system FROM $Output
        WHERE file_id IN %(files)s AND account_id IN %(mine)s
    """,
    "contents_seen": """
        WITH scope AS (SELECT file_id FROM $File WHERE file_id IN %(files)s), $sight
        SELECT file_id, sha256 FROM $Access
        WHERE file_id IN %(files)s AND account_id IN %(mine)s AND outcome = 'ok'
        UNION
        SELECT file_id, sha256 FROM $Output WHERE file_id IN %(files)s AND account_id IN %(mine)s
        UNION
        SELECT v.file_id, v.sha256 FROM $Version v JOIN known k ON k.file_id = v.file_id
        WHERE k.until = CAST(%(forever)s AS DATE)
    """,
    "with_digits": """
        SELECT sha256, file_id FROM $Version WHERE sha256 BETWEEN %(low)s AND %(high)s
        UNION
        SELECT sha256, file_id FROM $Output WHERE sha256 BETWEEN %(low)s AND %(high)s AND file_id <> ''
    """,
    "met": """
        SELECT x.file_id, x.sha256, MIN(x.accessed_at) FROM $Access x
        WHERE x.file_id IN %(files)s AND x.sha256 IN %(contents)s AND x.outcome = 'ok' GROUP BY x.file_id, x.sha256
    """,
    "last_met": """
        SELECT x.file_id, x.sha256, MAX(x.accessed_at) FROM $Access x
        WHERE x.file_id IN %(files)s AND x.sha256 IN %(contents)s AND x.outcome = 'ok' GROUP BY x.file_id, x.sha256
    """,
    "writers": """
        WITH touched AS (SELECT DISTINCT execution_id FROM $Output WHERE sha256 IN %(contents)s),
             $of_runs, $sight, $runs, $told
        SELECT w.execution_id, w.file_id, w.sha256, MIN(w.written_at), MAX(w.function_name), MIN(w.account_id)
        FROM $Output w JOIN told t ON t.execution_id = w.execution_id
        WHERE w.sha256 IN %(contents)s GROUP BY w.execution_id, w.file_id, w.sha256
        ORDER BY MIN(w.written_at), w.execution_id, w.file_id LIMIT %(most)s
    """,
    "readers": """
        WITH touched AS (
            SELECT DISTINCT execution_id FROM $Access
            WHERE file_id IN %(files)s AND sha256 IN %(contents)s AND outcome = 'ok'
        ), $of_runs, $sight, $runs, $told
        SELECT x.execution_id, x.file_id, x.sha256, MIN(x.accessed_at), MAX(x.function_name), MIN(x.account_id)
        FROM $Access x JOIN told t ON t.execution_id = x.execution_id
        WHERE x.file_id IN %(files)s AND x.sha256 IN %(contents)s AND x.outcome = 'ok'
        GROUP BY x.execution_id, x.file_id, x.sha256
        ORDER BY MIN(x.accessed_at), x.execution_id, x.file_id LIMIT %(most)s
    """,
    "inputs": """
        WITH scope AS (
            SELECT DISTINCT file_id FROM $Access
            WHERE execution_id IN %(runs)s AND outcome = 'ok' AND sha256 <> '' AND file_id <> ''
        ), $sight, $open
        SELECT x.execution_id, x.file_id, x.sha256, MIN(x.accessed_at), MAX(x.function_name), MIN(x.account_id)
        FROM $Access x JOIN mayknow m ON m.file_id = x.file_id
        WHERE x.execution_id IN %(runs)s AND x.outcome = 'ok' AND x.sha256 <> ''
        GROUP BY x.execution_id, x.file_id, x.sha256
        ORDER BY MIN(x.accessed_at), x.execution_id, x.file_id LIMIT %(most)s
    """,
    "outputs": """
        SELECT execution_id, file_id, sha256, MIN(written_at), MAX(function_name), MIN(account_id) FROM $Output
        WHERE execution_id IN %(runs)s GROUP BY execution_id, file_id, sha256
        ORDER BY MIN(written_at), execution_id, file_id, sha256
    """,
    "runs_named": """
        SELECT execution_id, entry_point, repository, commit_id, dirty, started_at
        FROM $Execution WHERE execution_id IN %(runs)s
    """,
    "shares": """
        SELECT e.file_id, e.consumer_id, p.person_id, e.channel, MIN(e.shared_on)
        FROM $ShareEdge e JOIN $Account p ON p.account_id = e.producer_id
        WHERE e.file_id IN %(files)s AND e.consumer_id IN %(accounts)s AND e.producer_id <> e.consumer_id
        GROUP BY e.file_id, e.consumer_id, p.person_id, e.channel
    """,
    "grants": """
        SELECT file_id, grantee_id, MIN(granted_since), MIN(permission_level) FROM $Permission
        WHERE file_id IN %(files)s AND grantee_id IN %(accounts)s AND grantee_kind = 'account'
        GROUP BY file_id, grantee_id
    """,
}


def statement(name: str) -> str:
    """Return a statement with the names of the bound tables."""
    return rendered(STATEMENTS[name], FRAGMENTS, (*who.TABLES, Output, Version))
