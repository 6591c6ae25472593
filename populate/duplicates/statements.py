"""The SQL behind duplicates, for PostgreSQL and MySQL alike.

``$Table`` stands for a table's full name, ``$fragment`` for one of the fragments below and
``%(name)s`` for a parameter of the driver's. There is one set of statements for what is known
now and for what was known at a snapshot: they differ in the accesses that count.

For exact, old and diverged copies only those files are looked at that ever had a content in
common with another one: what these questions cost depends on how much is duplicated.
"""

from __future__ import annotations

from populate.adopt.tables import AdoptBack, AdoptGone, AdoptMember, AdoptSurvey, AdoptTaken
from populate.backup.tables import BackupFailure
from populate.duplicates.tables import CanonicalContent, DuplicateSet, SnapshotForms, SnapshotFormsAdopted
from populate.ingest import BackupMember
from populate.rendering import rendered
from populate.snapshot import SnapshotAdopt, SnapshotBatch, SnapshotSurvey
from schemas.catalogue import Blob, File, FileGone, FileName, FileOwner, FileSet, SourceSystem, Version
from schemas.people import Account, Membership, Person
from schemas.sharing import Access, AccessBatch

TABLES = (
    *(
        Access,
        AccessBatch,
        Account,
        AdoptBack,
        AdoptGone,
        AdoptMember,
        AdoptSurvey,
        AdoptTaken,
        BackupFailure,
        BackupMember,
        Blob,
        CanonicalContent,
        DuplicateSet.Copy,
        File,
        FileGone,
        FileName,
        FileOwner,
        FileSet,
        Membership,
        Person,
    ),
    *(SnapshotAdopt, SnapshotBatch, SnapshotForms, SnapshotFormsAdopted, SnapshotSurvey, SourceSystem, Version),
)

NOW = "now"
SNAPSHOT = "snapshot"

# Which accesses count, what a version is known by, and how else a file is known to be gone.
SCOPES = {
    NOW: {"accesses": "$Access a", "until": "", "join": "LEFT JOIN"},
    SNAPSHOT: {
        "accesses": "$Access a JOIN $SnapshotBatch b ON b.batch_id = a.batch_id",
        "until": "AND b.snapshot_no <= %(snapshot_no)s AND a.accessed_at < %(until)s",
        "join": "JOIN",
    },
}
# Files that nobody read were met by a survey. What it takes in later is the version that was seen; a snapshot
# goes by what was taken in by then.
SURVEYED = {
    NOW: """UNION ALL
    SELECT v.file_id, v.version_id, y.surveyed_at, y.surveyed_at
    FROM $AdoptMember x
    JOIN $AdoptSurvey y ON y.root_id = x.root_id AND y.survey = x.survey
    JOIN $Version v ON v.file_id = x.file_id AND v.revision = x.seen_revision
    WHERE 1 = 1 $few_x""",
    SNAPSHOT: """UNION ALL
    SELECT x.file_id, x.version_id, y.surveyed_at, y.surveyed_at
    FROM $SnapshotAdopt b
    JOIN $AdoptTaken x ON x.root_id = b.root_id AND x.survey = b.survey AND x.part = b.part
    JOIN $AdoptSurvey y ON y.root_id = b.root_id AND y.survey = b.survey
    WHERE b.snapshot_no <= %(snapshot_no)s AND y.surveyed_at < %(until)s $few_x""",
}
# A survey that finds a file gone tells so to snapshots by a row of its own, and one that meets it again, too.
MISSED = {
    NOW: "",
    SNAPSHOT: """UNION ALL
    SELECT x.file_id, y.surveyed_at FROM $SnapshotSurvey b
    JOIN $AdoptGone x ON x.root_id = b.root_id AND x.survey = b.survey
    JOIN $AdoptSurvey y ON y.root_id = b.root_id AND y.survey = b.survey
    WHERE b.snapshot_no <= %(snapshot_no)s AND y.surveyed_at < %(until)s $few_x""",
}
# A day without a time: one that an access explains counts with that access's time, another as after all reads.
TOLD = {
    NOW: """AND NOT EXISTS (SELECT 1 FROM $FileGone t
        WHERE t.file_id = k.file_id AND (
            k.last_met IS NULL OR t.gone_on > CAST(k.last_met AS DATE)
            OR (t.gone_on = CAST(k.last_met AS DATE)
                AND (g.gone_at IS NULL OR CAST(g.gone_at AS DATE) < t.gone_on)))
        AND NOT EXISTS (SELECT 1 FROM $AdoptBack x
            JOIN $AdoptSurvey y ON y.root_id = x.root_id AND y.survey = x.survey
            WHERE x.file_id = t.file_id AND CAST(y.surveyed_at AS DATE) > t.gone_on))""",
    SNAPSHOT: "",
}
BACK = {
    NOW: "",
    SNAPSHOT: """OR EXISTS (SELECT 1 FROM $AdoptBack x
        JOIN $SnapshotSurvey b ON b.root_id = x.root_id AND b.survey = x.survey
        JOIN $AdoptSurvey y ON y.root_id = x.root_id AND y.survey = x.survey
        WHERE x.file_id = k.file_id AND b.snapshot_no <= %(snapshot_no)s
            AND y.surveyed_at < %(until)s AND y.surveyed_at > g.gone_at)""",
}

# Forms are found when there is time: a snapshot goes by those of the batches of contents that it covers.
COVERED = {
    NOW: "",
    SNAPSHOT: """AND (EXISTS (
        SELECT 1 FROM $Version v
        JOIN $BackupMember x ON x.file_id = v.file_id AND x.version_id = v.version_id
        JOIN $SnapshotForms b ON b.batch_id = x.batch_id AND b.part = x.part AND b.attempt = x.attempt
        WHERE v.sha256 = m.sha256 AND b.method_no = m.method_no AND b.snapshot_no <= %(snapshot_no)s
            AND NOT EXISTS (SELECT 1 FROM $BackupFailure f
                WHERE f.batch_id = x.batch_id AND f.part = x.part AND f.attempt = x.attempt
                AND f.file_id = x.file_id AND f.version_id = x.version_id)
    ) OR EXISTS (
        SELECT 1 FROM $Version v
        JOIN $AdoptTaken x ON x.file_id = v.file_id AND x.version_id = v.version_id
        JOIN $SnapshotFormsAdopted b ON b.root_id = x.root_id AND b.survey = x.survey AND b.part = x.part
        WHERE v.sha256 = m.sha256 AND b.method_no = m.method_no AND b.snapshot_no <= %(snapshot_no)s
    ))""",
}

# Contents that more than one file has or had.
SHARED = """
shared AS (
    SELECT v.sha256 FROM $Version v JOIN $Blob c ON c.sha256 = v.sha256
    WHERE c.blob_size >= %(min_bytes)s
    GROUP BY v.sha256 HAVING MIN(v.file_id) <> MAX(v.file_id)
)"""
# Some of them.
SHARED_FEW = """
shared AS (
    SELECT v.sha256 FROM $Version v JOIN $Blob c ON c.sha256 = v.sha256
    WHERE c.blob_size >= %(min_bytes)s AND v.sha256 IN %(among)s
    GROUP BY v.sha256 HAVING MIN(v.file_id) <> MAX(v.file_id)
)"""
# Their files, but for file sets, whose content is a list of their members.
INVOLVED = """
involved AS (
    SELECT DISTINCT v.file_id FROM $Version v JOIN shared s ON s.sha256 = v.sha256
    WHERE NOT EXISTS (SELECT 1 FROM $FileSet f WHERE f.file_id = v.file_id)
)"""
EVERY = """
involved AS (
    SELECT x.file_id FROM $File x
    WHERE NOT EXISTS (SELECT 1 FROM $FileSet f WHERE f.file_id = x.file_id) $few_x
)"""
# When each version of them was met last, and the file first with that content: a new revision may be
# the same bytes. A version that nothing tells of comes last.
KNOWN = """
met AS (
    SELECT a.file_id, a.version_id, MIN(a.accessed_at) AS first_met, MAX(a.accessed_at) AS last_met
    FROM $accesses
    WHERE a.outcome = 'ok' AND a.file_id <> '' AND a.version_id <> '' $until $few
    GROUP BY a.file_id, a.version_id
    $surveyed
),
seen AS (
    SELECT m.file_id, m.version_id, MIN(m.first_met) AS first_seen, MAX(m.last_met) AS last_seen
    FROM met m GROUP BY m.file_id, m.version_id
),
missed AS (
    SELECT a.file_id, a.accessed_at AS missed_at FROM $accesses
    WHERE a.outcome = 'SourceNotFound' AND a.file_id <> '' $until $few
    $missed
),
gone AS (SELECT o.file_id, MAX(o.missed_at) AS gone_at FROM missed o GROUP BY o.file_id),
known AS (
    SELECT v.file_id, v.version_id, v.sha256, v.revision,
           MIN(s.first_seen) OVER (PARTITION BY v.file_id, v.sha256) AS first_seen,
           MAX(s.last_seen) OVER (PARTITION BY v.file_id) AS last_met,
           ROW_NUMBER() OVER (
               PARTITION BY v.file_id
               ORDER BY CASE WHEN s.last_seen IS NULL THEN 1 ELSE 0 END, s.last_seen DESC, v.version_id
           ) AS place
    FROM involved i
    JOIN $Version v ON v.file_id = i.file_id
    $join seen s ON s.file_id = v.file_id AND s.version_id = v.version_id
)"""
# Those of files that are still there, and of these the version that each has now.
HELD = """
there AS (
    SELECT k.* FROM known k LEFT JOIN gone g ON g.file_id = k.file_id
    WHERE (g.gone_at IS NULL OR k.last_met IS NULL OR g.gone_at < k.last_met $back) $told
),
held AS (SELECT t.* FROM there t WHERE t.place = 1)"""
DOUBLE = """
counted AS (SELECT h.*, COUNT(*) OVER (PARTITION BY h.sha256) AS copies FROM held h),
double_held AS (
    SELECT c.file_id, c.version_id, c.sha256, c.revision, c.first_seen FROM counted c
    JOIN shared s ON s.sha256 = c.sha256
    WHERE c.copies > 1
)"""

STATEMENTS = {
    "sets": """
        WITH $SHARED, $INVOLVED, $KNOWN, $HELD, $DOUBLE
        SELECT d.sha256, d.file_id FROM double_held d
    """,
    "copies": """
        WITH $SHARED, $INVOLVED, $KNOWN, $HELD, $DOUBLE
        SELECT d.sha256, c.blob_size, d.file_id, d.version_id, d.revision, d.first_seen,
               f.source_system, y.source_kind
        FROM double_held d
        JOIN $Blob c ON c.sha256 = d.sha256
        JOIN $File f ON f.file_id = d.file_id
        JOIN $SourceSystem y ON y.source_system = f.source_system
    """,
    # Everybody who read a content that is held twice, from which file, and when first.
    "reads": """
        SELECT a.file_id, a.sha256, a.account_realm, a.account_login, a.on_behalf_of, MIN(a.accessed_at) AS read_at
        FROM $accesses
        WHERE a.outcome = 'ok' AND a.file_id <> '' AND a.version_id <> '' $until
          AND a.sha256 IN %(among)s
        GROUP BY a.file_id, a.sha256, a.account_realm, a.account_login, a.on_behalf_of
    """,
    "history": """
        WITH $SHARED, $INVOLVED, $KNOWN, $HELD
        SELECT t.file_id, t.version_id, t.sha256, c.blob_size, t.first_seen, CASE WHEN t.place = 1 THEN 1 ELSE 0 END
        FROM there t JOIN $Blob c ON c.sha256 = t.sha256
    """,
    "present": """
        WITH $EVERY, $KNOWN, $HELD
        SELECT h.file_id, h.version_id, h.sha256, c.blob_size, h.first_seen, 1
        FROM held h JOIN $Blob c ON c.sha256 = h.sha256
        WHERE c.blob_size >= %(min_bytes)s
    """,
    "forms": """
        SELECT m.sha256, m.form_kind, m.form_sha256, m.element_count, m.sketch FROM $CanonicalContent m
        WHERE m.method_no = %(method_no)s AND m.form_sha256 <> '' AND m.sha256 >= %(first)s AND m.sha256 < %(beyond)s
        $covered
    """,
    # The method that a snapshot compares forms by: the latest that it covers any of.
    "method": """
        SELECT MAX(c.method_no) FROM (
            SELECT MAX(b.method_no) AS method_no FROM $SnapshotForms b WHERE b.snapshot_no <= %(snapshot_no)s
            UNION ALL
            SELECT MAX(b.method_no) FROM $SnapshotFormsAdopted b WHERE b.snapshot_no <= %(snapshot_no)s
        ) c
    """,
    "file_count": "SELECT COUNT(*) FROM $File",
    # What a question about all duplicates goes through.
    "row_count": """
        SELECT (SELECT COUNT(*) FROM $File) + (SELECT COALESCE(SUM(access_count), 0) FROM $AccessBatch)
    """,
    # The contents that most could be saved of by a snapshot, of those that it kept.
    "largest": """
        SELECT x.sha256 FROM $Copy x JOIN $Blob c ON c.sha256 = x.sha256
        WHERE x.snapshot_no = %(snapshot_no)s
        GROUP BY x.sha256, c.blob_size
        ORDER BY (COUNT(*) - 1) * c.blob_size DESC, x.sha256
        LIMIT %(most)s
    """,
    "form_count": "SELECT COUNT(*) FROM $CanonicalContent",
    # What the last access called a file, and for those without one what a survey found it by: these are paths.
    "names_then": """
        SELECT x.file_id, COALESCE(n.file_name, x.item_id) FROM $File x LEFT JOIN (
            SELECT a.file_id, a.file_name,
                   ROW_NUMBER() OVER (PARTITION BY a.file_id ORDER BY a.accessed_at DESC, a.event_id) AS place
            FROM $accesses
            WHERE a.outcome = 'ok' AND a.file_name <> '' $until $few
        ) n ON n.file_id = x.file_id AND n.place = 1
        WHERE 1 = 1 $few_x
    """,
    # Whom the source named last as a file's owner, among the accesses that count.
    "owners_then": """
        SELECT o.file_id, o.owner_realm, o.owner_login FROM (
            SELECT a.file_id, a.owner_realm, a.owner_login,
                   ROW_NUMBER() OVER (PARTITION BY a.file_id ORDER BY a.accessed_at DESC, a.event_id) AS place
            FROM $accesses
            WHERE a.file_id IN %(among)s AND a.outcome = 'ok' AND a.owner_login <> '' $until
        ) o WHERE o.place = 1
    """,
    # Dated rows: of those up to a day the last is in force; ties within a day go by id.
    "names": """
        SELECT n.file_id, n.file_name, n.file_path FROM (
            SELECT x.*, ROW_NUMBER() OVER (PARTITION BY x.file_id ORDER BY x.named_on DESC, x.name_id) AS place
            FROM $FileName x WHERE x.file_id IN %(among)s
        ) n WHERE n.place = 1
    """,
    "owners": """
        SELECT o.file_id, o.account_id, a.realm, a.login, p.person_id, p.full_name, COALESCE(w.department, '')
        FROM (
            SELECT x.*, ROW_NUMBER() OVER (PARTITION BY x.file_id ORDER BY x.owner_since DESC, x.account_id) AS place
            FROM $FileOwner x WHERE x.file_id IN %(among)s
        ) o
        JOIN $Account a ON a.account_id = o.account_id
        JOIN $Person p ON p.person_id = a.person_id
        LEFT JOIN (
            SELECT m.person_id, m.department,
                   ROW_NUMBER() OVER (PARTITION BY m.person_id ORDER BY m.member_since DESC) AS place
            FROM $Membership m
        ) w ON w.person_id = p.person_id AND w.place = 1
        WHERE o.place = 1
    """,
}

STATEMENTS["present_among"] = STATEMENTS["present"]
STATEMENTS["copies_of_few"] = STATEMENTS["copies"].replace("$SHARED", "$SHARED_FEW")
STATEMENTS["involved_in_few"] = "WITH $SHARED_FEW, $INVOLVED SELECT i.file_id FROM involved i"
STATEMENTS["reads_of_few"] = STATEMENTS["reads"].replace("IN %(among)s", "IN %(among)s $few")

# Of few files only their own accesses are looked up, by the index; of many all are read in a row. The files are given,
# as PostgreSQL does not look into the index for what it finds itself: accesses and files have them in different types.
FEW = {"few": "AND a.file_id IN %(files)s", "few_x": "AND x.file_id IN %(files)s"}
AMONG = {alias: f"AND {file}.file_id IN %(among)s" for alias, file in (("few", "a"), ("few_x", "x"))}
# A part of all files, whose identities are spread evenly.
PART = {
    alias: f"AND {file}.file_id >= %(first)s AND {file}.file_id < %(beyond)s"
    for alias, file in (("few", "a"), ("few_x", "x"))
}
CHOSEN = {"copies_of_few": FEW, "reads_of_few": FEW, "present": PART, "present_among": AMONG, "names_then": PART}
_FRAGMENTS = {
    "SHARED": SHARED,
    "SHARED_FEW": SHARED_FEW,
    "INVOLVED": INVOLVED,
    "EVERY": EVERY,
    "KNOWN": KNOWN,
    "HELD": HELD,
    "DOUBLE": DOUBLE,
}


def statement(name: str, scope: str = NOW) -> str:
    """Return a statement with the names of the bound tables; `scope` is `NOW` or `SNAPSHOT`."""
    words = {
        **_FRAGMENTS,
        **CHOSEN.get(name, dict.fromkeys(FEW, "")),
        **SCOPES[scope],
        "told": TOLD[scope],
        "back": BACK[scope],
    }
    words |= {"covered": COVERED[scope], "surveyed": SURVEYED[scope], "missed": MISSED[scope]}
    return rendered(STATEMENTS[name], words, TABLES)
