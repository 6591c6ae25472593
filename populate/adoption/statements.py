"""The SQL of adoption, for PostgreSQL and MySQL alike; ``{Table}`` stands for a table's full name.

Accesses, files that were taken in unread and reads that sources' own logs tell of are those of the batches
that the snapshot covers; people and departments are those it knows (`populate.staff`).
Everything else is dated rows, up to the moment at which the snapshot was taken.
"""

from __future__ import annotations

from populate.adopt.tables import AdoptBack, AdoptGone, AdoptSurvey, AdoptTaken
from populate.backup.tables import Backup, BackupFailure
from populate.backup.verification import Damage, DamageMended, Verification
from populate.conversation.questions import Question
from populate.ingest import BackupMember
from populate.snapshot import SnapshotAdopt, SnapshotBatch, SnapshotLog, SnapshotSurvey
from schemas.asking import Ask, AskOutcome, CompanyAskChoice, PersonAskChoice
from schemas.catalogue import Blob, FileSet, Version
from schemas.conversation import Answer
from schemas.sharing import Access, SourceRead
from schemas.survey import HoursSaved, SurveyAsked, SurveyChoice

TABLES = (
    *(
        Access,
        AdoptBack,
        AdoptGone,
        AdoptSurvey,
        AdoptTaken,
        Answer,
        Ask,
        AskOutcome,
        Backup,
        BackupFailure,
        BackupMember,
        Blob,
        CompanyAskChoice,
        FileSet,
    ),
    *(HoursSaved, SurveyAsked, SurveyChoice, PersonAskChoice, Question, SourceRead),
    *(SnapshotAdopt, SnapshotBatch, SnapshotLog, SnapshotSurvey, Version),
    *(Damage, DamageMended, Verification),
)

COVERED = """
FROM {Access} a JOIN {SnapshotBatch} s ON s.batch_id = a.batch_id
WHERE s.snapshot_no <= %(number)s AND a.accessed_at < %(until)s"""

# What was taken in unread, and what a survey found gone.
TAKEN = """
FROM {SnapshotAdopt} b
JOIN {AdoptTaken} x ON x.root_id = b.root_id AND x.survey = b.survey AND x.part = b.part
JOIN {AdoptSurvey} y ON y.root_id = b.root_id AND y.survey = b.survey
JOIN {Version} v ON v.file_id = x.file_id AND v.version_id = x.version_id
JOIN {Blob} c ON c.sha256 = v.sha256
WHERE b.snapshot_no <= %(number)s AND y.surveyed_at < %(until)s"""
SURVEYED = """
FROM {SnapshotSurvey} b
JOIN {table} x ON x.root_id = b.root_id AND x.survey = b.survey
JOIN {AdoptSurvey} y ON y.root_id = b.root_id AND y.survey = b.survey
WHERE b.snapshot_no <= %(number)s AND y.surveyed_at < %(until)s"""

# The state in which each file was when it was last met, those left out that were gone by then.
PRESENT = """
met AS (
    SELECT a.file_id, a.sha256, a.access_size AS size, a.outcome, a.accessed_at AS met_at, a.event_id
    {covered} AND a.file_id <> '' AND (a.outcome = 'SourceNotFound' OR (a.outcome = 'ok' AND a.sha256 <> ''))
    UNION ALL SELECT x.file_id, v.sha256, c.blob_size, 'ok', y.surveyed_at, '' {taken}
    UNION ALL SELECT x.file_id, '', 0, 'SourceNotFound', y.surveyed_at, '' {gone}
),
present AS (
    SELECT file_id, sha256, size FROM (
        SELECT m.*, ROW_NUMBER() OVER (
            PARTITION BY m.file_id ORDER BY m.met_at DESC, m.event_id DESC, m.sha256 DESC) AS place
        FROM met m
        WHERE m.outcome = 'ok' OR NOT EXISTS (SELECT 1 {back} AND x.file_id = m.file_id AND y.surveyed_at > m.met_at)
    ) p
    WHERE place = 1 AND outcome = 'ok' AND NOT EXISTS (SELECT 1 FROM {FileSet} f WHERE f.file_id = p.file_id)
)"""

STATEMENTS = {
    "reads": """
        SELECT a.account_realm, a.account_login, a.on_behalf_of, a.owner_realm, a.owner_login, a.source_system,
               a.source_kind, CAST(a.accessed_at AS DATE) AS day, COUNT(*) AS read_count
        {covered} AND a.accessed_at >= %(since)s AND a.outcome = 'ok' AND a.file_id <> '' AND a.set_file_id = ''
        GROUP BY a.account_realm, a.account_login, a.on_behalf_of, a.owner_realm, a.owner_login, a.source_system,
                 a.source_kind, CAST(a.accessed_at AS DATE)
    """,
    "automatic": "SELECT COUNT(*) {covered}",
    "manual": """
        SELECT (SELECT COUNT(*) FROM {PersonAskChoice} WHERE chosen_at <= %(taken)s)
             + (SELECT COUNT(*) FROM {CompanyAskChoice} WHERE company_chosen_at <= %(taken)s)
             + (SELECT COUNT(*) FROM {Ask} WHERE asked_at <= %(taken)s)
             + (SELECT COUNT(*) FROM {AskOutcome} WHERE told_at <= %(taken)s)
             + (SELECT COUNT(*) FROM {Answer} WHERE answered_at <= %(taken)s)
             + (SELECT COUNT(*) FROM {HoursSaved} WHERE answered_at <= %(taken)s)
             + (SELECT COUNT(*) FROM {SurveyChoice} WHERE survey_chosen_at <= %(taken)s)
    """,
    "present": """
        WITH {present}
        SELECT COUNT(*), COALESCE(SUM(size), 0),
               COALESCE((SELECT SUM(size) FROM (SELECT DISTINCT sha256, size FROM present) d), 0)
        FROM present
    """,
    "contents": """
        SELECT COUNT(*) FROM (
            SELECT a.sha256 {covered} AND a.outcome = 'ok' AND a.sha256 <> '' UNION SELECT v.sha256 {taken}) k
    """,
    "proven": """
        SELECT COUNT(*) FROM (
            SELECT a.sha256 {covered} AND a.outcome = 'ok' AND a.sha256 <> '' UNION SELECT v.sha256 {taken}) k
        WHERE EXISTS (SELECT 1 FROM {Verification} p
                      WHERE p.sha256 = k.sha256 AND p.verified_on >= %(proven_since)s
                        AND p.verified_on < %(proven_until)s)
          AND NOT EXISTS (SELECT 1 FROM {Damage} d
                          WHERE d.sha256 = k.sha256 AND d.found_at < %(proven_until)s
                            AND NOT EXISTS (SELECT 1 FROM {DamageMended} m
                                            WHERE m.sha256 = d.sha256 AND m.store_id = d.store_id
                                              AND m.found_at = d.found_at AND m.mended_at < %(proven_until)s))
    """,
    "backed_up": """
        SELECT COUNT(*) FROM (SELECT v.sha256
        FROM {BackupMember} m
        JOIN {SnapshotBatch} c ON c.batch_id = m.batch_id AND c.snapshot_no <= %(number)s
        JOIN {Backup} b ON b.batch_id = m.batch_id AND b.part = m.part AND b.attempt = m.attempt
        JOIN {Version} v ON v.file_id = m.file_id AND v.version_id = m.version_id
        WHERE b.backed_up_at <= %(taken)s
          AND v.sha256 IN (SELECT a.sha256 {covered} AND a.outcome = 'ok')
          AND NOT EXISTS (SELECT 1 FROM {BackupFailure} f
                          WHERE f.batch_id = m.batch_id AND f.part = m.part AND f.attempt = m.attempt
                            AND f.file_id = m.file_id AND f.version_id = m.version_id)
        UNION SELECT v.sha256 {taken}) k
    """,
    "audited": """
        SELECT DISTINCT r.file_id, r.account_id, r.source_read_on
        FROM {SnapshotLog} b JOIN {SourceRead} r ON r.source_log_id = b.source_log_id
        WHERE b.snapshot_no <= %(number)s AND r.source_read_on >= %(since)s AND r.source_read_on < %(until)s
    """,
    "captured": """
        SELECT DISTINCT a.file_id, a.account_realm, a.account_login, CAST(a.accessed_at AS DATE) AS day
        {covered} AND a.accessed_at >= %(since)s AND a.outcome = 'ok'
        AND a.file_id IN (SELECT r.file_id FROM {SourceRead} r
            WHERE r.source_read_on >= %(since)s AND r.source_read_on < %(until)s)
    """,
    "asks": """
        SELECT COUNT(*), COUNT(CASE WHEN o.ask_result IN ('answered', 'redirected') THEN 1 END)
        FROM {Ask} q LEFT JOIN {AskOutcome} o ON o.ask_id = q.ask_id AND o.told_at <= %(taken)s
        WHERE q.asked_at >= %(since)s AND q.asked_at < %(until)s AND q.asked_at <= %(taken)s
    """,
    "questions": """
        SELECT COUNT(*), COUNT(CASE WHEN EXISTS (
            SELECT 1 FROM {Answer} r WHERE r.question_id = q.question_id AND r.answered_at <= %(taken)s) THEN 1 END)
        FROM {Question} q
        WHERE q.raised_at >= %(since)s AND q.raised_at < %(until)s AND q.raised_at <= %(taken)s
    """,
    "asked": """
        SELECT COUNT(DISTINCT person_id) FROM {SurveyAsked}
        WHERE survey_asked_at >= %(survey_since)s AND survey_asked_at < %(until)s AND survey_asked_at <= %(taken)s
    """,
    "survey": """
        SELECT person_id, hours_saved FROM (
            SELECT person_id, hours_saved,
                   ROW_NUMBER() OVER (PARTITION BY person_id ORDER BY answered_at DESC) AS place
            FROM {HoursSaved}
            WHERE answered_at >= %(survey_since)s AND answered_at < %(until)s AND answered_at <= %(taken)s
        ) h WHERE place = 1
    """,
}


def statement(name: str) -> str:
    """Return a statement with the names of the bound tables."""
    tables = {table.__name__: table().full_table_name for table in TABLES}
    covered, taken = COVERED.format(**tables), TAKEN.format(**tables)
    gone, back = (SURVEYED.format(table=tables[name], **tables) for name in ("AdoptGone", "AdoptBack"))
    present = PRESENT.format(covered=covered, taken=taken, gone=gone, back=back, **tables)
    return STATEMENTS[name].format(covered=covered, taken=taken, present=present, **tables)
