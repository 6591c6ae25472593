"""The SQL of recalls, for PostgreSQL and MySQL alike; for the notation see `populate.who.statements`.

These look at everything, whoever may know it: whom a recall concerns must not depend on what its owner sees. What is
told of it to anybody goes through `populate.provenance.sight`.
"""

from __future__ import annotations

from string import Template
from typing import Any

from populate.recall.tables import RecallMail, RecallMailRefused, RecallMailSent, RecallNotice
from schemas.binding import Binding
from schemas.catalogue import FileOwner, Version
from schemas.output import Output
from schemas.people import Account, Person
from schemas.recall import Recall, RecallAcknowledged, RecallEnded
from schemas.sharing import Access

TABLES = (
    *(Access, Account, FileOwner, Output, Person, Recall, RecallAcknowledged, RecallEnded),
    *(RecallMail, RecallMailRefused, RecallMailSent, RecallNotice, Version),
)

STATEMENTS = {
    # Recalls in force that were made since, each with the bytes that it is about.
    "open": """
        SELECT r.recall_id, r.file_id, v.sha256, r.recaller_id FROM $Recall r
        JOIN $Version v ON v.file_id = r.file_id AND v.version_id = r.version_id
        WHERE r.recalled_at >= %(since)s
          AND NOT EXISTS (SELECT 1 FROM $RecallEnded e WHERE e.recall_id = r.recall_id)
        ORDER BY r.recall_id
    """,
    "holders": "SELECT DISTINCT file_id, sha256 FROM $Version WHERE sha256 IN %(contents)s",
    "readers": """
        SELECT account_id, execution_id, file_id, sha256, MIN(accessed_at) FROM $Access
        WHERE file_id IN %(files)s AND sha256 IN %(contents)s AND outcome = 'ok'
        GROUP BY account_id, execution_id, file_id, sha256
    """,
    "outputs": """
        SELECT account_id, execution_id, file_id, sha256, MAX(written_at) FROM $Output
        WHERE execution_id IN %(runs)s GROUP BY account_id, execution_id, file_id, sha256
    """,
    # Of several owners named on the last day the first by id counts.
    "owners": """
        SELECT o.account_id, o.file_id, o.owner_since FROM $FileOwner o
        WHERE o.file_id IN %(files)s
          AND NOT EXISTS (SELECT 1 FROM $FileOwner l
                          WHERE l.file_id = o.file_id
                            AND (l.owner_since > o.owner_since
                                 OR (l.owner_since = o.owner_since AND l.account_id < o.account_id)))
    """,
    # The versions of a file, and when each was read last; how somebody read an older one says nothing of that.
    "met": """
        SELECT v.version_id, v.sha256,
               (SELECT MAX(x.accessed_at) FROM $Access x
                WHERE x.file_id = v.file_id AND x.version_id = v.version_id AND x.outcome = 'ok'
                  AND x.function_name <> 'read_version')
        FROM $Version v WHERE v.file_id IN %(files)s
    """,
    "first_met": """
        SELECT x.file_id, MIN(x.accessed_at) AS first_at FROM $Version v
        JOIN $Access x ON x.file_id = v.file_id AND x.sha256 = v.sha256 AND x.outcome = 'ok'
        WHERE v.sha256 IN %(contents)s GROUP BY x.file_id ORDER BY first_at, x.file_id LIMIT 1
    """,
    # An account belongs to somebody, a service to nobody who could read a notice.
    "people": """
        SELECT a.account_id, a.person_id FROM $Account a JOIN $Person p ON p.person_id = a.person_id
        WHERE a.account_id IN %(accounts)s AND p.person_kind <> 'service'
    """,
    "concerned": """
        SELECT r.recall_id FROM $Recall r WHERE r.recaller_id IN %(mine)s
        UNION
        SELECT n.recall_id FROM $RecallNotice n WHERE n.account_id IN %(mine)s
    """,
    "recalls": """
        SELECT r.recall_id, r.file_id, r.version_id, v.sha256, r.recaller_id, a.person_id, r.recalled_at,
               r.recall_reason, r.right_version_id, COALESCE(w.sha256, ''), e.recall_ended_at
        FROM $Recall r
        JOIN $Version v ON v.file_id = r.file_id AND v.version_id = r.version_id
        JOIN $Account a ON a.account_id = r.recaller_id
        LEFT JOIN $Version w ON w.file_id = r.file_id AND w.version_id = r.right_version_id
        LEFT JOIN $RecallEnded e ON e.recall_id = r.recall_id
        WHERE r.recall_id IN %(recalls)s ORDER BY r.recalled_at DESC, r.recall_id
    """,
    "notices": """
        SELECT n.recall_id, n.account_id, a.person_id, n.concern, n.met_file_id, n.met_at, k.acknowledged_at
        FROM $RecallNotice n
        JOIN $Account a ON a.account_id = n.account_id
        LEFT JOIN $RecallAcknowledged k ON k.recall_id = n.recall_id AND k.account_id = n.account_id
        WHERE n.recall_id IN %(recalls)s ORDER BY n.met_at, n.account_id
    """,
    # What became of each mail: sent, and refused for good; both NULL = nobody knows.
    "mails": """
        SELECT m.recall_id, m.account_id, m.recall_attempt, s.recall_sent_at, f.recall_refused_for_good
        FROM $RecallMail m
        LEFT JOIN $RecallMailSent s ON s.recall_id = m.recall_id AND s.account_id = m.account_id
                                   AND s.recall_attempt = m.recall_attempt
        LEFT JOIN $RecallMailRefused f ON f.recall_id = m.recall_id AND f.account_id = m.account_id
                                      AND f.recall_attempt = m.recall_attempt
        WHERE m.recall_id IN %(recalls)s
    """,
}


def ask(binding: Binding, name: str, **values: Any) -> list[tuple[Any, ...]]:
    """Return the rows of one of `STATEMENTS`; a list without members means no rows."""
    if any(value == () for value in values.values()):
        return []
    names = {table.__name__: table().full_table_name for table in TABLES}
    binding.ensure()
    return list(binding.connection.query(Template(STATEMENTS[name]).substitute(names), values).fetchall())
