"""The SQL of the pages, for PostgreSQL and MySQL alike.

``$Table`` stands for a table's full name, ``$fragment`` for one of `FRAGMENTS`, ``%(name)s`` for a
parameter of the driver's. Literal percent signs do not occur: drivers would take them for parameters.
A name that is a reserved word somewhere has an underscore at its end, which `dashboard.queries` takes away.
"""

from __future__ import annotations

from string import Template

from populate.backup import Backup, BackupFailure, Placement
from populate.ingest import BackupMember
from schemas.catalogue import Blob, File, FileName, FileOwner, FileSetMember, Version
from schemas.people import Account, Membership, Person
from schemas.sharing import Access, Execution, ShareEdge

TABLES = (
    Access,
    Account,
    Backup,
    BackupFailure,
    BackupMember,
    Blob,
    Execution,
    File,
    FileName,
    FileOwner,
    FileSetMember,
    Membership,
    Person,
    Placement,
    ShareEdge,
    Version,
)

# Names, owners and departments are dated rows: the latest is in force. Ties within a day go by id.
NOW = """
named AS (
    SELECT file_id, file_name, file_path,
           ROW_NUMBER() OVER (PARTITION BY file_id ORDER BY named_on DESC, name_id) AS place
    FROM $FileName
), owned AS (
    SELECT o.file_id, p.full_name AS owner,
           ROW_NUMBER() OVER (PARTITION BY o.file_id ORDER BY o.owner_since DESC, o.account_id) AS place
    FROM $FileOwner o JOIN $Account a ON a.account_id = o.account_id JOIN $Person p ON p.person_id = a.person_id
), worked AS (
    SELECT person_id, department,
           ROW_NUMBER() OVER (PARTITION BY person_id ORDER BY member_since DESC) AS place
    FROM $Membership
)"""

# A version's backup: a placement means that it is kept; a failure, that it is not, unless another attempt waits.
KEPT = """
kept AS (
    SELECT v.file_id, v.version_id, v.sha256, b.blob_size,
           CASE WHEN EXISTS (SELECT 1 FROM $Placement p WHERE p.sha256 = v.sha256) THEN 'backed up'
                WHEN EXISTS (SELECT 1 FROM $BackupMember m
                             LEFT JOIN $Backup d ON d.batch_id = m.batch_id AND d.part = m.part
                                                    AND d.attempt = m.attempt
                             WHERE m.file_id = v.file_id AND m.version_id = v.version_id
                               AND d.batch_id IS NULL) THEN 'waiting'
                WHEN EXISTS (SELECT 1 FROM $BackupFailure f
                             WHERE f.file_id = v.file_id AND f.version_id = v.version_id) THEN 'failed'
                ELSE 'waiting' END AS backup
    FROM $Version v JOIN $Blob b ON b.sha256 = v.sha256
)"""

LISTED = """
WITH $now, $kept, known AS (
    SELECT file_id, COUNT(*) AS versions,
           CASE WHEN SUM(CASE WHEN backup = 'failed' THEN 1 ELSE 0 END) > 0 THEN 'failed'
                WHEN SUM(CASE WHEN backup = 'waiting' THEN 1 ELSE 0 END) > 0 THEN 'waiting'
                ELSE 'backed up' END AS backup
    FROM kept GROUP BY file_id
), used AS (
    SELECT a.file_id, COUNT(DISTINCT c.person_id) AS readers, MAX(a.accessed_at) AS last_read
    FROM $Access a JOIN $Account c ON c.account_id = a.account_id
    WHERE a.outcome = 'ok' AND a.file_id <> ''
    GROUP BY a.file_id
), met AS (
    SELECT file_id, version_id, ROW_NUMBER() OVER (PARTITION BY file_id ORDER BY MAX(accessed_at) DESC) AS place
    FROM $Access
    WHERE outcome = 'ok' AND file_id <> ''
    GROUP BY file_id, version_id
), listed AS (
    SELECT n.file_id, n.file_name, n.file_path, COALESCE(o.owner, '') AS owner,
           COALESCE(u.readers, 0) AS readers, k.versions,
           COALESCE((SELECT SUM(b.blob_size) FROM $FileSetMember m
                     JOIN $Version v ON v.file_id = m.member_id AND v.version_id = m.member_version
                     JOIN $Blob b ON b.sha256 = v.sha256
                     WHERE m.file_id = n.file_id AND m.version_id = l.version_id), l.blob_size, 0) AS size,
           (SELECT COUNT(*) FROM $FileSetMember m
            WHERE m.file_id = n.file_id AND m.version_id = l.version_id) AS members,
           u.last_read, k.backup
    FROM named n
    JOIN known k ON k.file_id = n.file_id
    LEFT JOIN owned o ON o.file_id = n.file_id AND o.place = 1
    LEFT JOIN used u ON u.file_id = n.file_id
    LEFT JOIN met ON met.file_id = n.file_id AND met.place = 1
    LEFT JOIN kept l ON l.file_id = met.file_id AND l.version_id = met.version_id
    WHERE n.place = 1
)"""

FOUND = """
FROM listed
WHERE (%(state)s = '' OR backup = %(state)s)
  AND (LOWER(file_path) LIKE LOWER(%(search)s) ESCAPE '!'
       OR LOWER(file_name) LIKE LOWER(%(search)s) ESCAPE '!'
       OR LOWER(owner) LIKE LOWER(%(search)s) ESCAPE '!')
"""
FRAGMENTS = {"listed": LISTED, "found": FOUND, "now": NOW, "kept": KEPT}

STATEMENTS = {
    "files": "$listed SELECT * $found ORDER BY $order LIMIT %(limit)s OFFSET %(offset)s",
    "count_files": "$listed SELECT COUNT(*) $found",
    "headline": """
        SELECT (SELECT COUNT(*) FROM $Access) AS reads_,
               (SELECT COUNT(*) FROM $Person) AS people,
               (SELECT COUNT(*) FROM $File) AS files,
               (SELECT COUNT(*) FROM $Version) AS versions,
               (SELECT SUM(b.blob_size) FROM $Version v JOIN $Blob b ON b.sha256 = v.sha256) AS bytes_in,
               (SELECT SUM(b.blob_size) FROM $Blob b
                WHERE EXISTS (SELECT 1 FROM $Placement p WHERE p.sha256 = b.sha256)) AS bytes_kept,
               (SELECT SUM(blob_size) FROM $Blob) AS bytes_distinct,
               (SELECT COUNT(*) FROM $ShareEdge) AS edges
    """,
    "readers_of_files": """
        SELECT DISTINCT a.file_id, p.full_name AS reader
        FROM $Access a
        JOIN $Account c ON c.account_id = a.account_id
        JOIN $Person p ON p.person_id = c.person_id
        WHERE a.outcome = 'ok' AND a.file_id IN %(ids)s
        ORDER BY reader
    """,
    "failures_of_files": """
        SELECT f.file_id, f.failure_message AS reason
        FROM $BackupFailure f
        JOIN $Version v ON v.file_id = f.file_id AND v.version_id = f.version_id
        WHERE f.file_id IN %(ids)s
          AND NOT EXISTS (SELECT 1 FROM $Placement p WHERE p.sha256 = v.sha256)
        ORDER BY f.attempt DESC
    """,
    "file": """
        WITH $now
        SELECT n.file_name, n.file_path, COALESCE(o.owner, '') AS owner, f.source_system
        FROM $File f
        JOIN named n ON n.file_id = f.file_id AND n.place = 1
        LEFT JOIN owned o ON o.file_id = f.file_id AND o.place = 1
        WHERE f.file_id = %(file_id)s
    """,
    "versions": """
        WITH $kept
        SELECT MIN(a.accessed_at) AS first_read, MAX(a.accessed_at) AS last_read,
               k.blob_size AS size, k.sha256, k.backup
        FROM kept k
        LEFT JOIN $Access a ON a.file_id = k.file_id AND a.version_id = k.version_id AND a.outcome = 'ok'
        WHERE k.file_id = %(file_id)s
        GROUP BY k.version_id, k.sha256, k.blob_size, k.backup
        ORDER BY first_read DESC
    """,
    "readers": """
        WITH $now
        SELECT p.full_name AS reader, COALESCE(w.department, '') AS department, COUNT(*) AS reads_,
               MIN(a.accessed_at) AS first_read, MAX(a.accessed_at) AS last_read, MAX(e.entry_point) AS entry_point
        FROM $Access a
        JOIN $Account c ON c.account_id = a.account_id
        JOIN $Person p ON p.person_id = c.person_id
        LEFT JOIN worked w ON w.person_id = p.person_id AND w.place = 1
        LEFT JOIN $Execution e ON e.execution_id = a.execution_id
        WHERE a.outcome = 'ok' AND a.file_id = %(file_id)s
        GROUP BY p.person_id, p.full_name, w.department
        ORDER BY last_read DESC, p.full_name
    """,
    "copies": """
        WITH $now
        SELECT DISTINCT n.file_name, n.file_path, COALESCE(o.owner, '') AS owner, b.blob_size AS size, v.sha256
        FROM $Version mine
        JOIN $Version v ON v.sha256 = mine.sha256 AND v.file_id <> mine.file_id
        JOIN $Blob b ON b.sha256 = v.sha256
        JOIN named n ON n.file_id = v.file_id AND n.place = 1
        LEFT JOIN owned o ON o.file_id = v.file_id AND o.place = 1
        WHERE mine.file_id = %(file_id)s
        ORDER BY size DESC, n.file_path
    """,
    "demo": "SELECT COUNT(*) FROM $Account WHERE realm = 'demo'",
}


def statement(name: str, *, order: str = "") -> str:
    """Return a statement with the names of the bound tables; `order` is a constant of the caller's."""
    text = STATEMENTS[name]
    for _ in FRAGMENTS:  # fragments contain fragments
        text = Template(text).safe_substitute(FRAGMENTS)
    names = {table.__name__: table().full_table_name for table in TABLES}
    return Template(text).substitute(names, order=order)
