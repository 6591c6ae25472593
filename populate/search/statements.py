"""The SQL of what is indexed and shown, for PostgreSQL and MySQL alike.

Notation and fragments are those of `populate.who.statements`, whose rule of who may know what this turns
round: there the files of an asker, here the askers of a file.
"""

from __future__ import annotations

from populate.backup.erased import Erasure
from populate.describe.tables import ContentFacts, Generated, RunDescription
from populate.profile.tables import ColumnProfile
from populate.rendering import rendered
from populate.search.tables import DocumentChange
from populate.who import statements as who
from schemas.catalogue import FileSet, Version
from schemas.directory import DirectoryEntry
from schemas.following import ItemState
from schemas.notes import FileTag, FileTagEnded, Note, NoteEnded
from schemas.sharing import SourceLog, SourceRead

TABLES = (
    *who.TABLES,
    *(ColumnProfile, DirectoryEntry, DocumentChange, Erasure, FileSet, FileTag, FileTagEnded, ItemState),
    *(Note, NoteEnded, SourceLog, SourceRead, Version, ContentFacts, Generated, RunDescription),
)

FRAGMENTS = who.FRAGMENTS

STATEMENTS = {
    "files": "SELECT file_id, source_system FROM $File WHERE file_id IN %(files)s",
    "sets": "SELECT file_id FROM $FileSet WHERE file_id IN %(files)s",
    # A name on each day on which it was met: of several the first by id is in force, as in ``named``.
    "names": """
        SELECT file_id, named_on, file_name, file_path FROM (
            SELECT file_id, named_on, name_id, file_name, file_path,
                   LAG(name_id) OVER (PARTITION BY file_id ORDER BY named_on) AS before_it
            FROM (SELECT file_id, named_on, name_id, file_name, file_path,
                         ROW_NUMBER() OVER (PARTITION BY file_id, named_on ORDER BY name_id) AS place
                  FROM $FileName WHERE file_id IN %(files)s) d WHERE place = 1
        ) n WHERE before_it IS NULL OR before_it <> name_id
        ORDER BY file_id, named_on
    """,
    "reads": """
        SELECT file_id, account_id, account_realm, account_login, on_behalf_of, MAX(accessed_at), sha256
        FROM $Access WHERE file_id IN %(files)s AND outcome = 'ok'
        GROUP BY file_id, account_id, account_realm, account_login, on_behalf_of, sha256
    """,
    "edges": """
        SELECT file_id, consumer_id, MAX(shared_on) FROM $ShareEdge
        WHERE file_id IN %(files)s AND channel = 'read' GROUP BY file_id, consumer_id
    """,
    "grants": """
        SELECT DISTINCT p.file_id, p.grantee_id, p.grantee_kind FROM $Permission p
        WHERE p.file_id IN %(files)s AND p.grantee_kind IN ('account', 'group') AND $in_force
    """,
    "owners": """
        WITH scope AS (SELECT file_id FROM $File WHERE file_id IN %(files)s), $chosen, $owned
        SELECT o.file_id, o.account_id, a.person_id, COALESCE(c.ask_choice, 'default')
        FROM owned o JOIN $Account a ON a.account_id = o.account_id
        LEFT JOIN chosen c ON c.person_id = a.person_id
    """,
    "persons": """
        WITH $worked
        SELECT a.account_id, a.person_id, p.person_kind, COALESCE(w.department, '')
        FROM $Account a JOIN $Person p ON p.person_id = a.person_id LEFT JOIN worked w ON w.person_id = a.person_id
        WHERE a.account_id IN %(accounts)s
    """,
    "nameable": """
        WITH $chosen, $worked, $nameable
        SELECT person_id, full_name, department FROM nameable WHERE person_id IN %(people)s
    """,
    "described": """
        SELECT file_id, described_at, document_sha256 FROM $DocumentChange WHERE file_id IN %(files)s
    """,
    "changes": """
        SELECT file_id, document_sha256, described_at FROM $DocumentChange
        WHERE described_at > %(since)s ORDER BY described_at
    """,
    "newest_change": "SELECT MAX(described_at) FROM $DocumentChange",
    "erasures": "SELECT COUNT(*) FROM $Erasure",
    "next_files": "SELECT file_id FROM $File WHERE file_id > %(after)s ORDER BY file_id LIMIT %(many)s",
    "versions": "SELECT DISTINCT file_id, sha256 FROM $Version WHERE file_id IN %(files)s",
    "tags": """
        SELECT t.file_id, t.tag FROM $FileTag t
        WHERE t.file_id IN %(files)s
          AND NOT EXISTS (SELECT 1 FROM $FileTagEnded e
                          WHERE e.file_id = t.file_id AND e.tag = t.tag AND e.tagged_at = t.tagged_at)
    """,
    "notes": """
        SELECT n.file_id, n.note_text FROM $Note n
        WHERE n.file_id IN %(files)s AND NOT EXISTS (SELECT 1 FROM $NoteEnded e WHERE e.note_id = n.note_id)
    """,
    "columns": """
        SELECT p.sha256, p.column_name, p.column_values FROM $ColumnProfile p
        WHERE p.sha256 IN %(contents)s AND p.profile_method = %(method)s
          AND NOT EXISTS (SELECT 1 FROM $Erasure e WHERE e.sha256 = p.sha256)
        ORDER BY p.sha256, p.sheet_no, p.column_no
    """,
    "descriptions": """
        SELECT c.sha256, g.generated_text FROM $ContentFacts c JOIN $Generated g ON g.facts_sha256 = c.facts_sha256
        WHERE c.sha256 IN %(contents)s AND g.generated_text <> ''
          AND NOT EXISTS (SELECT 1 FROM $Erasure e WHERE e.sha256 = c.sha256)
        ORDER BY c.sha256, g.generated_at, g.model_name
    """,
    # Runs that read the files: of whom, whether everybody may know what that person runs, and what they are about.
    # Of those that are alike the latest, for a file that everybody needs is read by each run of years.
    "runs": """
        WITH $chosen
        SELECT x.file_id, e.account_id, e.repository, CASE WHEN c.ask_choice = 'open' THEN 1 ELSE 0 END AS is_open,
               MAX(e.started_at), d.run_summary, d.facts_sha256
        FROM $Access x
        JOIN $Execution e ON e.execution_id = x.execution_id
        JOIN $RunDescription d ON d.execution_id = e.execution_id
        LEFT JOIN $Account a ON a.account_id = e.account_id
        LEFT JOIN chosen c ON c.person_id = a.person_id
        WHERE x.file_id IN %(files)s AND x.outcome = 'ok'
        GROUP BY x.file_id, e.account_id, e.repository, is_open, d.run_summary, d.facts_sha256
    """,
    "generated": """
        SELECT facts_sha256, generated_text FROM $Generated
        WHERE facts_sha256 IN %(facts)s AND generated_text <> '' ORDER BY facts_sha256, generated_at, model_name
    """,
    "departments": "WITH $worked SELECT department, COUNT(*) FROM worked GROUP BY department",
    # What the asker knows each of the files by, at this moment.
    "shown": """
        WITH scope AS (SELECT file_id FROM $File WHERE file_id IN %(files)s), $sight, $named
        SELECT file_id, file_name, file_path, known FROM named WHERE place = 1
    """,
    # Files about which something has changed, other than that they were read or taken in.
    "touched": """
        SELECT item_key FROM $ItemState WHERE state_since > %(since)s
        UNION SELECT file_id FROM $Permission WHERE granted_since > %(since)s
        UNION SELECT file_id FROM $PermissionEnded WHERE ended_at > %(since)s
        UNION SELECT file_id FROM $PermissionExpiry
              WHERE expiry_told_at > %(since)s OR (expires_at > %(since)s AND expires_at <= %(now)s)
        UNION SELECT r.file_id FROM $SourceRead r JOIN $SourceLog l ON l.source_log_id = r.source_log_id
              WHERE l.log_taken_at > %(since)s
        UNION SELECT file_id FROM $FileTag WHERE tagged_at > %(since)s
        UNION SELECT file_id FROM $FileTagEnded WHERE untagged_at > %(since)s
        UNION SELECT file_id FROM $Note WHERE noted_at > %(since)s
        UNION SELECT n.file_id FROM $Note n JOIN $NoteEnded e ON e.note_id = n.note_id
              WHERE e.note_ended_at > %(since)s
        UNION SELECT v.file_id FROM $Version v JOIN $ContentFacts c ON c.sha256 = v.sha256
              JOIN $Generated g ON g.facts_sha256 = c.facts_sha256 WHERE g.generated_at > %(since)s
        UNION SELECT x.file_id FROM $Access x JOIN $RunDescription d ON d.execution_id = x.execution_id
              JOIN $Generated g ON g.facts_sha256 = d.facts_sha256
              WHERE g.generated_at > %(since)s AND x.outcome = 'ok' AND x.file_id <> ''
        UNION SELECT v.file_id FROM $Version v JOIN $Erasure e ON e.sha256 = v.sha256 WHERE e.erased_at > %(since)s
    """,
    "changed_people": """
        SELECT person_id FROM $PersonAskChoice WHERE chosen_at > %(since)s AND chosen_at <= %(now)s
        UNION SELECT a.person_id FROM $DirectoryEntry d JOIN $Account a ON a.account_id = d.account_id
              WHERE d.entry_since > %(since)s
        UNION SELECT person_id FROM $Membership WHERE member_since > %(day)s AND member_since <= %(today)s
        UNION SELECT person_id FROM $Departure WHERE departed_on > %(day)s AND departed_on <= %(today)s
    """,
    "of_people": "WITH $of_people SELECT file_id FROM scope",
}


def statement(name: str) -> str:
    """Return a statement with the names of the bound tables."""
    text = STATEMENTS[name]
    words = FRAGMENTS if "scope AS" in text or "$of_people" in text else {**FRAGMENTS, "and_within": ""}
    return rendered(text, words, TABLES)
