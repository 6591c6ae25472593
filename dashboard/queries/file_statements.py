"""The SQL of the pages of files, for PostgreSQL and MySQL alike.

`Access.file_id` is text that may be empty, the key of `File` is not: PostgreSQL finds accesses by index
only where they are compared with parameters.

``$Table`` stands for a table's full name, ``$fragment`` for one of `FRAGMENTS`, ``%(name)s`` for a
parameter of the driver's. Literal percent signs do not occur: drivers would take them for parameters.

A page is found in two steps: which files are on it, by what its order and filters need and no
more, and then everything that is shown of these few. The page that is asked for most, of what was
read last, is found among the latest accesses, of which as many are looked at as it takes.
"""

from __future__ import annotations

from populate.backup.tables import Backup, BackupFailure, Placement
from populate.ingest import BackupMember
from populate.rendering import rendered
from schemas.catalogue import Blob, File, FileName, FileOwner, FileSetMember, Version
from schemas.people import Account, Membership, Person
from schemas.sharing import Access, AccessBatch, Execution
from schemas.starts import start_of

TABLES = (
    Access,
    AccessBatch,
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
    Version,
)

# Names, owners and departments are dated rows: the latest is in force. Ties within a day go by id.
NAMED = """
named AS (
    SELECT file_id, file_name, file_path,
           ROW_NUMBER() OVER (PARTITION BY file_id ORDER BY named_on DESC, name_id) AS place
    FROM $FileName $these
)"""
OWNED = """
owned AS (
    SELECT o.file_id, p.full_name AS owner,
           ROW_NUMBER() OVER (PARTITION BY o.file_id ORDER BY o.owner_since DESC, o.account_id) AS place
    FROM (SELECT * FROM $FileOwner $these) o
    JOIN $Account a ON a.account_id = o.account_id
    JOIN $Person p ON p.person_id = a.person_id
)"""
# Which version of a file was read last.
MET = """
met AS (
    SELECT file_id, version_id, MAX(accessed_at) AS last_read,
           ROW_NUMBER() OVER (PARTITION BY file_id ORDER BY MAX(accessed_at) DESC) AS place
    FROM (SELECT * FROM $Access $these) a
    WHERE outcome = 'ok' AND file_id <> ''
    GROUP BY file_id, version_id
)"""

# Members and bytes of versions of folders.
HELD = """
held AS (
    SELECT m.file_id, m.version_id, COUNT(*) AS members, SUM(b.blob_size) AS size
    FROM (SELECT * FROM $FileSetMember $these) m
    JOIN $Version v ON v.file_id = m.member_id AND v.version_id = m.member_version
    JOIN $Blob b ON b.sha256 = v.sha256
    GROUP BY m.file_id, m.version_id
)"""

# Versions that have no place in a store. A failure means that it will have none, unless another attempt waits.
UNPLACED = """
SELECT v.file_id, v.version_id FROM $Version v
WHERE NOT EXISTS (SELECT 1 FROM $Placement p WHERE p.sha256 = v.sha256)"""
FAILED = """
SELECT u.file_id, u.version_id FROM ($unplaced) u
WHERE EXISTS (SELECT 1 FROM $BackupFailure f WHERE f.file_id = u.file_id AND f.version_id = u.version_id)
  AND NOT EXISTS (SELECT 1 FROM $BackupMember m
                  WHERE m.file_id = u.file_id AND m.version_id = u.version_id
                    AND NOT EXISTS (SELECT 1 FROM $Backup d WHERE d.batch_id = m.batch_id AND d.part = m.part
                                                              AND d.attempt = m.attempt))"""
KEPT = """
kept AS (
    SELECT v.file_id, v.version_id, v.sha256, b.blob_size,
           CASE WHEN EXISTS (SELECT 1 FROM $Placement p WHERE p.sha256 = v.sha256) THEN 'backed up'
                WHEN EXISTS (SELECT 1 FROM ($failed) x WHERE x.file_id = v.file_id AND x.version_id = v.version_id)
                THEN 'failed' ELSE 'waiting' END AS backup
    FROM (SELECT * FROM $Version $these) v JOIN $Blob b ON b.sha256 = v.sha256
)"""

FOUND = """
FROM named n
$join
WHERE n.place = 1
  AND EXISTS (SELECT 1 FROM $Version v WHERE v.file_id = n.file_id)
  $matching
  $condition
"""
OWNERS = "LEFT JOIN owned o ON o.file_id = n.file_id AND o.place = 1"
MATCHING = """
AND (LOWER(n.file_path) LIKE LOWER(%(search)s) ESCAPE '!'
     OR LOWER(n.file_name) LIKE LOWER(%(search)s) ESCAPE '!'
     OR LOWER(o.owner) LIKE LOWER(%(search)s) ESCAPE '!')"""

# Files of the latest accesses, these looked at first and each file then once.
LATEST = """
WITH latest AS (
    SELECT file_id, accessed_at FROM $Access WHERE $whose outcome = 'ok' AND file_id <> ''
    ORDER BY accessed_at DESC LIMIT %(window)s
), once AS (
    SELECT file_id, MAX(accessed_at) AS last_read FROM latest GROUP BY file_id
)
SELECT l.file_id, l.last_read, (SELECT MIN(accessed_at) FROM latest) AS since,
       (SELECT COUNT(*) FROM latest) AS looked_at
FROM once l
WHERE EXISTS (SELECT 1 FROM $Version v WHERE v.file_id = l.file_id)
  AND EXISTS (SELECT 1 FROM $FileName n WHERE n.file_id = l.file_id)
ORDER BY l.last_read DESC, l.file_id DESC
LIMIT %(limit)s OFFSET %(offset)s"""

STARTING = "AND $start >= LOWER(%(start)s) AND $start < LOWER(%(beyond)s)"

FRAGMENTS = {
    "found": FOUND,
    "latest": LATEST,
    "named": NAMED,
    "owned": OWNED,
    "met": MET,
    "held": HELD,
    "kept": KEPT,
    "failed": FAILED,
    "unplaced": UNPLACED,
}

# What a page is ordered by: a value, and what has to be joined for it.
USED = """LEFT JOIN (
    SELECT a.file_id, COUNT(DISTINCT c.person_id) AS readers, MAX(a.accessed_at) AS last_read
    FROM $Access a JOIN $Account c ON c.account_id = a.account_id
    WHERE a.outcome = 'ok' AND a.file_id <> '' $among
    GROUP BY a.file_id
) u ON u.file_id = n.file_id"""
ORDERS = {
    "name": ("LOWER(n.file_name)", ""),
    "owner": ("LOWER(COALESCE(o.owner, ''))", OWNERS),
    "readers": ("u.readers", USED),
    "versions": (
        "k.versions",
        """LEFT JOIN (SELECT file_id, COUNT(*) AS versions FROM $Version $these GROUP BY file_id) k
        ON k.file_id = n.file_id""",
    ),
    "size": (
        "COALESCE(h.size, b.blob_size)",
        """LEFT JOIN met ON met.file_id = n.file_id AND met.place = 1
        LEFT JOIN held h ON h.file_id = met.file_id AND h.version_id = met.version_id
        LEFT JOIN $Version v ON v.file_id = met.file_id AND v.version_id = met.version_id
        LEFT JOIN $Blob b ON b.sha256 = v.sha256""",
    ),
    "last read": ("u.last_read", USED),
}

# A file with a version that failed has failed; else with one that waits, it waits.
CONDITIONS = {
    "": "",
    "backed up": "AND NOT EXISTS (SELECT 1 FROM ($unplaced) w WHERE w.file_id = n.file_id)",
    "failed": "AND EXISTS (SELECT 1 FROM ($failed) x WHERE x.file_id = n.file_id)",
    "waiting": """AND EXISTS (SELECT 1 FROM ($unplaced) w WHERE w.file_id = n.file_id)
        AND NOT EXISTS (SELECT 1 FROM ($failed) x WHERE x.file_id = n.file_id)""",
}

STATEMENTS = {
    "page": """
        WITH $named, $owned, $met, $held
        SELECT n.file_id $found
        ORDER BY CASE WHEN $order IS NULL THEN 1 ELSE 0 END, $order $direction, n.file_id $direction
        LIMIT %(limit)s OFFSET %(offset)s
    """,
    "latest": "$latest",
    "starting": """
        SELECT file_id FROM $FileName WHERE $start >= LOWER(%(start)s) AND $start < LOWER(%(beyond)s)
        ORDER BY $start LIMIT %(limit)s
    """,
    "matching": """
        SELECT file_id FROM $FileName
        WHERE LOWER(file_path) LIKE LOWER(%(search)s) ESCAPE '!' OR LOWER(file_name) LIKE LOWER(%(search)s) ESCAPE '!'
        UNION
        SELECT o.file_id
        FROM $FileOwner o
        JOIN $Account a ON a.account_id = o.account_id
        JOIN $Person p ON p.person_id = a.person_id
        WHERE LOWER(p.full_name) LIKE LOWER(%(search)s) ESCAPE '!'
        LIMIT %(limit)s
    """,
    "count_files": "WITH $named, $owned SELECT COUNT(*) $found",
    "files": """
        WITH $named, $owned, $met, $held, $kept, known AS (
            SELECT file_id, COUNT(*) AS versions,
                   CASE WHEN SUM(CASE WHEN backup = 'failed' THEN 1 ELSE 0 END) > 0 THEN 'failed'
                        WHEN SUM(CASE WHEN backup = 'waiting' THEN 1 ELSE 0 END) > 0 THEN 'waiting'
                        ELSE 'backed up' END AS backup
            FROM kept GROUP BY file_id
        )
        SELECT n.file_id, n.file_name, n.file_path, COALESCE(o.owner, '') AS owner, k.versions,
               COALESCE(h.size, l.blob_size, 0) AS size, COALESCE(h.members, 0) AS members, met.last_read,
               k.backup
        FROM named n
        JOIN known k ON k.file_id = n.file_id
        LEFT JOIN owned o ON o.file_id = n.file_id AND o.place = 1
        LEFT JOIN met ON met.file_id = n.file_id AND met.place = 1
        LEFT JOIN kept l ON l.file_id = met.file_id AND l.version_id = met.version_id
        LEFT JOIN held h ON h.file_id = met.file_id AND h.version_id = met.version_id
        WHERE n.place = 1
    """,
    "headline": """
        SELECT (SELECT SUM(access_count) FROM $AccessBatch) AS read_count,
               (SELECT COUNT(*) FROM $Person) AS people,
               (SELECT COUNT(*) FROM $File) AS files,
               (SELECT COUNT(*) FROM $Version) AS versions,
               (SELECT SUM(b.blob_size) FROM $Version v JOIN $Blob b ON b.sha256 = v.sha256) AS bytes_in,
               (SELECT SUM(b.blob_size) FROM $Blob b
                WHERE EXISTS (SELECT 1 FROM $Placement p WHERE p.sha256 = b.sha256)) AS bytes_kept,
               (SELECT SUM(blob_size) FROM $Blob) AS bytes_distinct
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
        WITH $named, $owned
        SELECT n.file_name, n.file_path, COALESCE(o.owner, '') AS owner, f.source_system
        FROM $File f
        JOIN named n ON n.file_id = f.file_id AND n.place = 1
        LEFT JOIN owned o ON o.file_id = f.file_id AND o.place = 1
    """,
    "versions": """
        WITH $kept
        SELECT MIN(a.accessed_at) AS first_read, MAX(a.accessed_at) AS last_read,
               k.blob_size AS size, k.sha256, k.backup
        FROM kept k
        LEFT JOIN $Access a ON a.file_id IN %(ids)s AND a.version_id = k.version_id AND a.outcome = 'ok'
        GROUP BY k.version_id, k.sha256, k.blob_size, k.backup
        ORDER BY first_read DESC
    """,
    "readers": """
        SELECT p.full_name AS reader,
               COALESCE((SELECT m.department FROM $Membership m WHERE m.person_id = p.person_id
                         ORDER BY m.member_since DESC LIMIT 1), '') AS department,
               COUNT(*) AS read_count,
               MIN(a.accessed_at) AS first_read, MAX(a.accessed_at) AS last_read, MAX(e.entry_point) AS entry_point
        FROM $Access a
        JOIN $Account c ON c.account_id = a.account_id
        JOIN $Person p ON p.person_id = c.person_id
        LEFT JOIN $Execution e ON e.execution_id = a.execution_id
        WHERE a.outcome = 'ok' AND a.file_id IN %(ids)s
        GROUP BY p.person_id, p.full_name
        ORDER BY last_read DESC, p.full_name
    """,
    "holders": """
        SELECT DISTINCT v.file_id, v.sha256, b.blob_size AS size
        FROM $Version mine
        JOIN $Version v ON v.sha256 = mine.sha256 AND v.file_id <> mine.file_id
        JOIN $Blob b ON b.sha256 = v.sha256
        WHERE mine.file_id IN %(ids)s
        ORDER BY size DESC, v.file_id
        LIMIT %(limit)s
    """,
    "names": """
        WITH $named, $owned
        SELECT n.file_id, n.file_name, n.file_path, COALESCE(o.owner, '') AS owner
        FROM named n LEFT JOIN owned o ON o.file_id = n.file_id AND o.place = 1
        WHERE n.place = 1
    """,
    "files_of": """
        SELECT o.file_id
        FROM $FileOwner o JOIN $Account a ON a.account_id = o.account_id
        WHERE a.person_id = %(person)s
          AND NOT EXISTS (SELECT 1 FROM $FileOwner n JOIN $Account b ON b.account_id = n.account_id
                          WHERE n.file_id = o.file_id AND n.owner_since > o.owner_since
                            AND b.person_id <> a.person_id)
          AND EXISTS (SELECT 1 FROM $Version v WHERE v.file_id = o.file_id)
        GROUP BY o.file_id
        ORDER BY MAX(o.owner_since) DESC, o.file_id
        LIMIT %(limit)s
    """,
    "accounts_of": "SELECT account_id FROM $Account WHERE person_id = %(person)s",
    "read_by": "$latest",
    "demo": "SELECT COUNT(*) FROM $Account WHERE realm = 'demo'",
}

WHOLE = {"page", "count_files"}
"""Statements that go through all files unless told to keep to ``few``; the others are about those in ``ids``."""


def statement(
    name: str,
    *,
    sort: str = "name",
    descending: bool = False,
    state: str = "",
    searching: bool = False,
    starting: str = "",
    few: bool = False,
) -> str:
    """Return a statement with the names of the bound tables; `sort` and `state` are keys of the dicts above.

    `searching` looks for a part of a path or of an owner's name; `starting`, which names the backend,
    for the start of a file's name.
    """
    order, join = ORDERS[sort] if name == "page" else ("", "")
    # Owners are looked up only if needed: the planner would otherwise go through all of them for each file.
    owners = OWNERS if searching and sort != "owner" else ""
    words = {
        **FRAGMENTS,
        "whose": "account_id = %(account)s AND" if name == "read_by" else "",
        "these": "" if name in WHOLE and not few else "WHERE file_id IN %(ids)s",
        "among": "AND a.file_id IN %(ids)s" if few else "",
        "order": order,
        "direction": "DESC" if descending else "ASC",
        "join": f"{owners} {join}",
        "matching": (STARTING if starting else "") + (MATCHING if searching else ""),
        "start": start_of(starting, "file_name") if starting else "",
        "condition": CONDITIONS[state],
    }
    text = STATEMENTS[name]
    return rendered(text, words, TABLES)
