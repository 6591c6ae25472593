"""The SQL of the pages for stewards, for PostgreSQL and MySQL alike; see `populate.rendering` for the notation.

Of accesses by files: see `populate.who.statements`, which says why the id is made a text.
"""

from __future__ import annotations

from populate.backup.erased import Erasure
from populate.backup.tables import Placement
from populate.backup.verification import Damage, DamageMended, Verification
from populate.rendering import rendered
from populate.who.statements import IN_FORCE
from schemas.catalogue import Blob, File, FileName, FileOwner, Version
from schemas.following import PermissionDetail, PermissionExpiry
from schemas.people import Account, Departure, Membership, Person
from schemas.sharing import Access, AccessBatch, Execution, Permission, PermissionEnded

TABLES = (
    *(Access, AccessBatch, Account, Blob, Damage, DamageMended, Departure, Erasure, Execution, File, FileName),
    *(FileOwner, Membership, Permission, PermissionDetail, PermissionEnded, PermissionExpiry, Person, Placement),
    *(Verification, Version),
)

# Grants in force: not taken back, and by the latest that was told not run out.
GRANTED = """
granted AS (
    SELECT p.file_id, p.grantee, p.grantee_id, p.granted_since, p.permission_level,
           CASE WHEN d.link_scope = 'anonymous' THEN 'anybody with the link'
                WHEN d.link_scope = 'organization' THEN 'everybody in the organisation'
                ELSE 'somebody outside' END AS reach
    FROM $Permission p
    LEFT JOIN $PermissionDetail d
           ON d.file_id = p.file_id AND d.grantee_id = p.grantee_id AND d.granted_since = p.granted_since
    LEFT JOIN $Account a ON a.account_id = p.grantee_id
    LEFT JOIN $Person o ON o.person_id = a.person_id
    WHERE (d.link_scope IN ('anonymous', 'organization')
           OR (p.grantee_kind = 'account' AND (a.account_id IS NULL OR o.person_kind = 'guest')))
      AND $in_force
)"""
# Who left and has not come back.
GONE = """
gone AS (
    SELECT d.person_id, MAX(d.departed_on) AS left_on FROM $Departure d
    WHERE d.departed_on <= %(today)s
      AND NOT EXISTS (SELECT 1 FROM $Membership m
                      WHERE m.person_id = d.person_id AND m.member_since >= d.departed_on)
    GROUP BY d.person_id
)"""
OWNED = """
owned AS (
    SELECT o.file_id, g.person_id, g.left_on FROM gone g
    JOIN $Account a ON a.person_id = g.person_id
    JOIN $FileOwner o ON o.account_id = a.account_id
    WHERE NOT EXISTS (SELECT 1 FROM $FileOwner l
                      WHERE l.file_id = o.file_id
                        AND (l.owner_since > o.owner_since
                             OR (l.owner_since = o.owner_since AND l.account_id < o.account_id)))
)"""
AUDITED = """
FROM $Access a
WHERE a.accessed_at >= %(since)s AND a.accessed_at < %(before)s $who $which $named $outcome"""
OPEN = """
NOT EXISTS (SELECT 1 FROM $DamageMended m
            WHERE m.sha256 = d.sha256 AND m.store_id = d.store_id AND m.found_at = d.found_at)
AND NOT EXISTS (SELECT 1 FROM $Erasure e WHERE e.sha256 = d.sha256)"""

FRAGMENTS = {"in_force": IN_FORCE, "granted": GRANTED, "gone": GONE, "owned": OWNED, "audited": AUDITED, "open": OPEN}

STATEMENTS = {
    "reach": "WITH $granted SELECT reach, COUNT(*) AS links, COUNT(DISTINCT file_id) AS files FROM granted"
    " GROUP BY reach ORDER BY reach",
    "grants": """
        WITH $granted
        SELECT g.* FROM granted g WHERE g.reach = %(reach)s
        ORDER BY g.granted_since, g.file_id LIMIT %(limit)s
    """,
    "left": """
        WITH $gone, $owned
        SELECT p.full_name AS owner, o.left_on, COUNT(*) AS files, o.person_id
        FROM owned o JOIN $Person p ON p.person_id = o.person_id
        GROUP BY p.full_name, o.left_on, o.person_id
        ORDER BY files DESC, p.full_name LIMIT %(limit)s
    """,
    "left_files": """
        WITH $gone, $owned
        SELECT o.file_id, o.left_on,
               (SELECT COUNT(DISTINCT a.account_id) FROM $Access a
                WHERE a.file_id = CONCAT(o.file_id, '') AND a.accessed_at >= %(lately)s AND a.outcome = 'ok') AS readers
        FROM owned o
        ORDER BY readers DESC, o.left_on, o.file_id LIMIT %(limit)s
    """,
    "accounts": """
        SELECT a.account_id FROM $Account a JOIN $Person p ON p.person_id = a.person_id
        WHERE LOWER(p.full_name) LIKE LOWER(%(search)s) ESCAPE '!' OR LOWER(a.login) LIKE LOWER(%(search)s) ESCAPE '!'
        LIMIT %(limit)s
    """,
    "audit_count": "SELECT COUNT(*) FROM (SELECT a.event_id $audited LIMIT %(most)s) found",
    "audit": """
        SELECT a.accessed_at, COALESCE(p.full_name, a.account_login) AS reader, a.account_realm, a.account_login,
               a.on_behalf_of,
               CASE WHEN a.file_name = '' THEN a.url ELSE a.file_name END AS file_name, a.file_path, a.url,
               a.source_system, a.outcome, a.message, a.function_name,
               a.access_size, a.sha256, e.entry_point, e.host, e.repository, e.commit_id, b.delivered_at,
               a.event_id, a.execution_id, a.file_id, a.version_id
        FROM (SELECT a.* $audited ORDER BY a.accessed_at DESC, a.event_id DESC
              LIMIT %(limit)s OFFSET %(offset)s) a
        JOIN $AccessBatch b ON b.batch_id = a.batch_id
        LEFT JOIN $Account c ON c.account_id = a.account_id
        LEFT JOIN $Person p ON p.person_id = c.person_id
        LEFT JOIN $Execution e ON e.execution_id = a.execution_id
        ORDER BY a.accessed_at DESC, a.event_id DESC
    """,
    "outcomes": "SELECT DISTINCT outcome FROM $Access WHERE accessed_at >= %(since)s AND accessed_at < %(before)s"
    " AND outcome <> 'ok' ORDER BY outcome",
    "verified": """
        SELECT v.verified_on, COUNT(*) AS contents, SUM(b.blob_size) AS size
        FROM $Verification v JOIN $Blob b ON b.sha256 = v.sha256
        WHERE v.verified_on >= %(since)s GROUP BY v.verified_on ORDER BY v.verified_on
    """,
    "kept": "SELECT COUNT(*) AS contents, COUNT(DISTINCT sha256) AS different FROM $Placement",
    "damages": """
        SELECT d.found_at, d.damage, d.damage_detail, d.sha256, b.blob_size AS size,
               (SELECT MIN(v.file_id) FROM $Version v WHERE v.sha256 = d.sha256) AS file_id
        FROM $Damage d JOIN $Blob b ON b.sha256 = d.sha256 WHERE $open
        ORDER BY d.found_at LIMIT %(limit)s
    """,
    "mended": """
        SELECT m.found_at, m.mended_at, m.mended_how, d.damage, m.sha256,
               (SELECT MIN(v.file_id) FROM $Version v WHERE v.sha256 = m.sha256) AS file_id
        FROM $DamageMended m
        JOIN $Damage d ON d.sha256 = m.sha256 AND d.store_id = m.store_id AND d.found_at = m.found_at
        ORDER BY m.mended_at DESC LIMIT %(limit)s
    """,
    "erasures": """
        SELECT e.erased_at, e.erased_by, e.erase_reason, e.sha256, b.blob_size AS size,
               (SELECT COUNT(DISTINCT v.file_id) FROM $Version v WHERE v.sha256 = e.sha256) AS files,
               (SELECT MIN(v.file_id) FROM $Version v WHERE v.sha256 = e.sha256) AS file_id,
               CASE WHEN EXISTS (SELECT 1 FROM $Placement p WHERE p.sha256 = e.sha256) THEN 1 ELSE 0 END AS kept
        FROM $Erasure e JOIN $Blob b ON b.sha256 = e.sha256
        ORDER BY e.erased_at DESC LIMIT %(limit)s
    """,
}

# How the audit trail is narrowed down, by the name of the value.
NARROWED = {
    "who": "AND a.account_id IN %(who)s",
    "which": "AND a.file_id = %(which)s",
    "named": "AND (LOWER(a.file_name) LIKE LOWER(%(named)s) ESCAPE '!'"
    " OR LOWER(a.file_path) LIKE LOWER(%(named)s) ESCAPE '!' OR LOWER(a.url) LIKE LOWER(%(named)s) ESCAPE '!')",
    "outcome": "AND a.outcome = %(outcome)s",
    "failed": "AND a.outcome <> 'ok'",
}


def statement(name: str, *narrowed: str) -> str:
    """Return a statement with the names of the bound tables; `narrowed` are keys of `NARROWED`."""
    words = dict.fromkeys(("who", "which", "named", "outcome"), "") | {
        "outcome" if key == "failed" else key: NARROWED[key] for key in narrowed
    }
    return rendered(STATEMENTS[name], FRAGMENTS | words, TABLES)
