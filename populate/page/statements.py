"""The SQL of a file's page, for PostgreSQL and MySQL alike.

What the asker may not know is left out by the fragments of `populate.who.statements`; see there for the notation.
"""

from __future__ import annotations

from typing import Any

from populate.backup.erased import Erasure
from populate.backup.tables import Placement
from populate.rendering import rendered
from populate.sharing.history import HistoryContent
from populate.who import statements as who
from populate.who.asker import Asker
from schemas.catalogue import Blob, FileGone, FileSetMember, Version
from schemas.following import PermissionDetail, SourceVersion
from schemas.output import Output

MOST = 200
"""Copies, folders and members that are told, at most; what may not be known is left out before."""

TABLES = (
    *who.TABLES,
    *(Blob, Erasure, FileGone, FileSetMember, HistoryContent, Output, PermissionDetail, Placement),
    *(SourceVersion, Version),
)

STATEMENTS = {
    "file": """
        WITH scope AS (SELECT file_id FROM $File WHERE file_id = %(file)s), $sight, $named
        SELECT m.file_name, m.file_path, f.source_system, m.known, k.until,
               CASE WHEN EXISTS (SELECT 1 FROM owned o WHERE o.account_id IN %(mine)s) THEN 1 ELSE 0 END
        FROM named m JOIN $File f ON f.file_id = m.file_id LEFT JOIN known k ON k.file_id = m.file_id
        WHERE m.place = 1
    """,
    "latest_name": """
        SELECT n.file_name, n.file_path, f.source_system FROM $FileName n JOIN $File f ON f.file_id = n.file_id
        WHERE n.file_id = %(file)s ORDER BY n.named_on DESC, n.name_id LIMIT 1
    """,
    "versions": """
        SELECT v.version_id, v.sha256, b.blob_size, v.revision,
               CASE WHEN EXISTS (SELECT 1 FROM $Placement p WHERE p.sha256 = v.sha256) THEN 1 ELSE 0 END,
               CASE WHEN EXISTS (SELECT 1 FROM $Erasure e WHERE e.sha256 = v.sha256) THEN 1 ELSE 0 END
        FROM $Version v JOIN $Blob b ON b.sha256 = v.sha256 WHERE v.file_id = %(file)s
    """,
    "reads": """
        SELECT version_id, account_realm, account_login, on_behalf_of, function_name,
               MIN(accessed_at), MAX(accessed_at), COUNT(*)
        FROM $Access WHERE file_id = %(file)s AND outcome = 'ok'
        GROUP BY version_id, account_realm, account_login, on_behalf_of, function_name
    """,
    "written": """
        SELECT w.sha256, a.person_id, MIN(w.written_at) FROM $Output w JOIN $Account a ON a.account_id = w.account_id
        WHERE w.file_id = %(file)s GROUP BY w.sha256, a.person_id ORDER BY MIN(w.written_at)
    """,
    "history": """
        SELECT s.version_label, s.version_modified_at, s.version_author, h.version_id
        FROM $SourceVersion s LEFT JOIN $HistoryContent h
          ON h.file_id = s.file_id AND h.version_label = s.version_label
        WHERE s.file_id = %(file)s
    """,
    "called": """
        SELECT a.login, a.person_id FROM $Account a WHERE a.login IN %(names)s
        UNION
        SELECT p.full_name, p.person_id FROM $Person p WHERE p.full_name IN %(names)s
    """,
    "gone": """
        SELECT MAX(g.gone_on) FROM $FileGone g
        WHERE g.file_id = %(file)s
          AND NOT EXISTS (SELECT 1 FROM $Access x WHERE x.file_id = %(file)s AND x.outcome = 'ok'
                            AND x.function_name <> 'read_version' AND CAST(x.accessed_at AS DATE) > g.gone_on)
    """,
    "copies": """
        WITH scope AS (
            SELECT DISTINCT file_id FROM $Version WHERE sha256 IN %(contents)s AND file_id <> %(file)s
        ), $sight
        SELECT DISTINCT v.file_id, v.sha256 FROM $Version v JOIN known k ON k.file_id = v.file_id
        WHERE v.sha256 IN %(contents)s AND v.file_id <> %(file)s
        ORDER BY v.file_id, v.sha256 LIMIT %(most)s
    """,
    "file_sets": """
        WITH scope AS (SELECT DISTINCT file_id FROM $FileSetMember WHERE member_id = %(file)s), $sight
        SELECT DISTINCT m.file_id, v.sha256, m.member_path FROM $FileSetMember m
        JOIN known k ON k.file_id = m.file_id
        JOIN $Version v ON v.file_id = m.file_id AND v.version_id = m.version_id
        WHERE m.member_id = %(file)s AND m.member_version IN %(versions)s
        ORDER BY m.file_id, m.member_path, v.sha256 LIMIT %(most)s
    """,
    "members": """
        WITH scope AS (
            SELECT DISTINCT member_id AS file_id FROM $FileSetMember
            WHERE file_id = %(file)s AND version_id = %(version)s
        ), $sight
        SELECT DISTINCT m.member_id, v.sha256, m.member_path FROM $FileSetMember m
        JOIN known k ON k.file_id = m.member_id
        JOIN $Version v ON v.file_id = m.member_id AND v.version_id = m.member_version
        WHERE m.file_id = %(file)s AND m.version_id = %(version)s
        ORDER BY m.member_path, m.member_id LIMIT %(most)s
    """,
    "is_set": "SELECT 1 FROM $FileSetMember WHERE file_id = %(file)s LIMIT 1",
    "grants": """
        SELECT p.grantee, p.grantee_kind, p.permission_level, COALESCE(d.link_scope, ''), p.granted_since, x.expires_at
        FROM $Permission p
        LEFT JOIN $PermissionDetail d
          ON d.file_id = p.file_id AND d.grantee_id = p.grantee_id AND d.granted_since = p.granted_since
        LEFT JOIN $PermissionExpiry x
          ON x.file_id = p.file_id AND x.grantee_id = p.grantee_id AND x.granted_since = p.granted_since
         AND NOT EXISTS (SELECT 1 FROM $PermissionExpiry y
                         WHERE y.file_id = x.file_id AND y.grantee_id = x.grantee_id
                           AND y.granted_since = x.granted_since AND y.expiry_told_at > x.expiry_told_at)
        WHERE p.file_id = %(file)s AND $in_force
          AND (%(all)s = 1 OR (p.grantee_kind = 'account' AND p.grantee_id IN %(mine)s)
                           OR (p.grantee_kind = 'group' AND p.grantee_id IN %(groups)s))
        ORDER BY p.grantee_kind, p.grantee, p.granted_since LIMIT %(most)s
    """,
    "departments": who.STATEMENTS["departments"],
    "analyses": """
        SELECT COUNT(*) FROM (
            SELECT DISTINCT e.repository, e.entry_point FROM $Execution e
            WHERE e.account_id NOT IN %(mine)s AND EXISTS (
                SELECT 1 FROM $Access x
                WHERE x.execution_id = e.execution_id AND x.file_id = %(file)s AND x.outcome = 'ok')
        ) s
    """,
}


def ask(asker: Asker, name: str, **values: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a statement; a list without members means that nothing is in it."""
    values = {name: value or ("",) if isinstance(value, tuple) else value for name, value in values.items()}
    values |= asker.values | {"most": MOST}
    asker.binding.ensure()
    text = rendered(STATEMENTS[name], who.FRAGMENTS, TABLES)
    return list(asker.binding.connection.query(text, values).fetchall())
