"""The SQL of whom to ask, for PostgreSQL and MySQL alike.

Everything that is ranked, counted or followed goes through the fragment ``seen``: the files
that the asker may know, and those whose owner lets them be found. What is in neither does not
exist for any of these statements, so no answer can depend on it. It is worked out for the files
that the question touches, which each statement names as ``scope``, not for all that there are.

Where accesses are looked up by files the id is made a text by ``CONCAT``: that of an access is one,
for it may be empty, and PostgreSQL finds it by no index when it is compared with an id of a fixed length.

``$Table`` stands for a table's full name, ``$fragment`` for one of `FRAGMENTS`, ``%(name)s`` for a
parameter of the driver's. Literal percent signs do not occur: drivers would take them for parameters.
"""

from __future__ import annotations

from populate.rendering import rendered
from schemas.asking import PersonAskChoice
from schemas.catalogue import File, FileName, FileOwner
from schemas.following import PermissionExpiry
from schemas.people import Account, Departure, Membership, Person
from schemas.sharing import Access, Execution, Permission, PermissionEnded, ShareEdge

TABLES = (
    Access,
    Account,
    Departure,
    Execution,
    File,
    FileName,
    FileOwner,
    Membership,
    Permission,
    PermissionEnded,
    PermissionExpiry,
    Person,
    PersonAskChoice,
    ShareEdge,
)

CHOSEN = """
chosen AS (
    SELECT person_id, ask_choice FROM (
        SELECT person_id, ask_choice,
               ROW_NUMBER() OVER (PARTITION BY person_id ORDER BY chosen_at DESC) AS place
        FROM $PersonAskChoice WHERE chosen_at <= %(now)s
    ) c WHERE place = 1
)"""
# Of rows with a date the latest is in force, and of several owners named on a day the first by id. Said so that a
# part of the rows is found by an index, without looking at all.
OWNED = """
owned AS (
    SELECT o.file_id, o.account_id FROM $FileOwner o
    WHERE NOT EXISTS (SELECT 1 FROM $FileOwner l
                      WHERE l.file_id = o.file_id
                        AND (l.owner_since > o.owner_since
                             OR (l.owner_since = o.owner_since AND l.account_id < o.account_id)))
      $and_within
)"""
# Where all files are counted, owners of whom nothing would be counted are left out at once: they are most. They come
# first, by name: MySQL would look for each owner of any file among those of a subquery, one after the other.
TOLD = """
told AS (
    SELECT account_id FROM $Account WHERE account_id IN %(mine)s
    UNION
    SELECT a.account_id FROM chosen c JOIN $Account a ON a.person_id = c.person_id WHERE c.ask_choice = 'open'
    UNION
    SELECT account_id FROM $Account WHERE %(default)s = 'open'
)"""
OWNED_AND_TOLD = OWNED.replace("$and_within", "").replace(
    "FROM $FileOwner o", "FROM told t JOIN $FileOwner o ON o.account_id = t.account_id"
)

# Of a permission p: it did not end, nor run out by what was told of that last.
IN_FORCE = """NOT EXISTS (SELECT 1 FROM $PermissionEnded e
                          WHERE e.file_id = p.file_id AND e.grantee_id = p.grantee_id
                            AND e.granted_since = p.granted_since)
          AND NOT EXISTS (SELECT 1 FROM $PermissionExpiry x
                          WHERE x.file_id = p.file_id AND x.grantee_id = p.grantee_id
                            AND x.granted_since = p.granted_since AND x.expires_at <= %(now)s
                            AND NOT EXISTS (SELECT 1 FROM $PermissionExpiry y
                                            WHERE y.file_id = x.file_id AND y.grantee_id = x.grantee_id
                                              AND y.granted_since = x.granted_since
                                              AND y.expiry_told_at > x.expiry_told_at))"""
# What the asker may know, each with the last day on which they could see what it is called: whoever
# only read a file does not learn what it was called later. A grant that ran out gives nothing, even
# if no sync has noted its end yet; of several dates that were told the latest told counts.
KNOWN = """
known AS (
    SELECT file_id, MAX(until) AS until FROM (
        SELECT file_id, CAST(MAX(accessed_at) AS DATE) AS until FROM $Access
        WHERE account_id IN %(mine)s AND outcome = 'ok' AND file_id <> '' $and_within GROUP BY file_id
        UNION ALL
        SELECT file_id, MAX(shared_on) AS until FROM $ShareEdge
        WHERE consumer_id IN %(mine)s AND channel = 'read' $and_within GROUP BY file_id
        UNION ALL
        SELECT file_id, CAST(%(forever)s AS DATE) AS until FROM owned WHERE account_id IN %(mine)s
        UNION ALL
        SELECT p.file_id, CAST(%(forever)s AS DATE) AS until FROM $Permission p
        WHERE ((p.grantee_id IN %(mine)s AND p.grantee_kind = 'account')
               OR (p.grantee_id IN %(groups)s AND p.grantee_kind = 'group')) $and_within
          AND $in_force
    ) k GROUP BY file_id
)"""
SEEN = """
seen AS (
    SELECT file_id, MAX(until) AS until, MAX(known) AS known FROM (
        SELECT file_id, until, 1 AS known FROM known
        UNION ALL
        SELECT o.file_id, CAST(%(forever)s AS DATE) AS until, 0 AS known FROM owned o
        JOIN $Account a ON a.account_id = o.account_id
        LEFT JOIN chosen c ON c.person_id = a.person_id
        WHERE COALESCE(c.ask_choice, %(default)s) = 'open'
    ) s GROUP BY file_id
)"""
# What the asker knows each file of the scope by.
NAMED = """
named AS (
    SELECT n.file_id, n.file_name, n.file_path, s.known,
           ROW_NUMBER() OVER (PARTITION BY n.file_id ORDER BY n.named_on DESC, n.name_id) AS place
    FROM seen s JOIN $FileName n ON n.file_id = s.file_id AND n.named_on <= s.until
)"""
WORKED = """
worked AS (
    SELECT m.person_id, m.department, m.title FROM $Membership m
    WHERE m.member_since <= %(today)s
      AND NOT EXISTS (SELECT 1 FROM $Membership l
                      WHERE l.person_id = m.person_id AND l.member_since > m.member_since
                        AND l.member_since <= %(today)s)
)"""

# Runs whose script the asker may be told of: their own, those of a repository that they run from
# too, and those of people who are open.
RUNS = """
runs AS (
    SELECT e.execution_id, e.account_id, a.person_id, e.entry_point, e.repository, e.started_at
    FROM $Execution e
    JOIN $Account a ON a.account_id = e.account_id
    LEFT JOIN chosen c ON c.person_id = a.person_id
    WHERE e.account_id IN %(mine)s OR COALESCE(c.ask_choice, %(default)s) = 'open'
       OR (e.repository <> '' AND e.repository IN (
              SELECT m.repository FROM $Execution m WHERE m.account_id IN %(mine)s))
)"""
# Who chose is looked for, and not who did not: of a choice that may be missing PostgreSQL expects that nobody is left,
# and then looks through all runs for each person.
NAMEABLE = """
nameable AS (
    SELECT p.person_id, p.full_name, p.person_kind, COALESCE(w.department, '') AS department,
           COALESCE(w.title, '') AS title
    FROM $Person p
    LEFT JOIN worked w ON w.person_id = p.person_id
    WHERE p.person_kind <> 'service'
      AND NOT EXISTS (SELECT 1 FROM chosen c WHERE c.person_id = p.person_id AND c.ask_choice = 'closed')
      AND (%(default)s <> 'closed' OR EXISTS (SELECT 1 FROM chosen c WHERE c.person_id = p.person_id))
      AND NOT EXISTS (SELECT 1 FROM $Departure d
                      WHERE d.person_id = p.person_id AND d.departed_on <= %(today)s
                        AND NOT EXISTS (SELECT 1 FROM $Membership b
                                        WHERE b.person_id = d.person_id AND b.member_since >= d.departed_on
                                          AND b.member_since <= %(today)s))
)"""
# The files that people touch: read, were given, or own.
_OF_THESE = "JOIN $Account a ON a.account_id = x.{whose} WHERE a.person_id IN %(people)s"
_READ = f"FROM $Access x {_OF_THESE.format(whose='account_id')} AND x.outcome = 'ok' AND x.file_id <> ''"
_GIVEN = f"FROM $ShareEdge x {_OF_THESE.format(whose='consumer_id')}"
_LENT = f"FROM $ShareEdge x {_OF_THESE.format(whose='producer_id')}"
_HELD = f"FROM $FileOwner x {_OF_THESE.format(whose='account_id')}"


def _united(columns: str, *sources: str) -> str:
    return " UNION ".join(f"SELECT {columns} {source}" for source in sources)


OF_PEOPLE = f"scope AS ({_united('x.file_id', _READ, _GIVEN, _LENT, _HELD)})"
# Those of them that an answer can have in it where it is about less: MySQL fetches each access that somebody ever made.
OF_READERS = f"scope AS (SELECT DISTINCT x.file_id {_READ})"
OF_SHARERS = f"scope AS ({_united('x.file_id', _GIVEN, _LENT)})"
OF_OWNERS = f"scope AS (SELECT DISTINCT x.file_id {_HELD})"
# Who of some people reads or was given what, and beside that what they ever owned: without all others who did.
TOUCHING = f"""
touching AS ({_united("a.person_id, x.file_id", _READ, _GIVEN)}),
scope AS (SELECT file_id FROM touching UNION SELECT x.file_id {_HELD})"""  # noqa: S608 - of constants
# Who uses the files of the scope, and how many do.
USED = """
used AS (
    SELECT a.person_id, x.file_id FROM seen s JOIN $Access x ON x.file_id = CONCAT(s.file_id, '')
    JOIN $Account a ON a.account_id = x.account_id
    WHERE x.outcome = 'ok'
    UNION
    SELECT a.person_id, x.file_id FROM seen s JOIN $ShareEdge x ON x.file_id = s.file_id
    JOIN $Account a ON a.account_id = x.consumer_id
    UNION
    SELECT a.person_id, o.file_id FROM seen s JOIN owned o ON o.file_id = s.file_id
    JOIN $Account a ON a.account_id = o.account_id
), crowd AS (SELECT file_id, COUNT(*) AS people FROM used GROUP BY file_id)"""
SHARED = """
FROM $ShareEdge e
JOIN seen s ON s.file_id = e.file_id
JOIN $Account p ON p.account_id = e.producer_id
JOIN $Account c ON c.account_id = e.consumer_id"""
SIGHT = "$chosen, $owned, $known, $seen"

FRAGMENTS = {
    "chosen": CHOSEN,
    "owned": OWNED,
    "told": TOLD,
    "owned_and_told": OWNED_AND_TOLD,
    "in_force": IN_FORCE,
    "known": KNOWN,
    "seen": SEEN,
    "named": NAMED,
    "worked": WORKED,
    "runs": RUNS,
    "nameable": NAMEABLE,
    "sight": SIGHT,
    "used": USED,
    "of_people": OF_PEOPLE,
    "of_readers": OF_READERS,
    "of_sharers": OF_SHARERS,
    "of_owners": OF_OWNERS,
    "touching": TOUCHING,
    "and_within": "AND file_id IN (SELECT file_id FROM scope)",
    "shared": SHARED,
}

STATEMENTS = {
    "people": "WITH $chosen, $worked, $nameable SELECT * FROM nameable WHERE person_id IN %(people)s",
    "open": """
        WITH $chosen
        SELECT p.person_id FROM $Person p LEFT JOIN chosen c ON c.person_id = p.person_id
        WHERE p.person_id IN %(people)s AND COALESCE(c.ask_choice, %(default)s) = 'open'
    """,
    "departments": "WITH $worked SELECT person_id, department FROM worked WHERE person_id IN %(people)s",
    "directory": """
        WITH $chosen, $worked, $nameable
        SELECT person_id, full_name, department, title FROM nameable
        WHERE person_kind <> 'unknown' AND person_id <> %(me)s AND ($match)
    """,
    "directory_size": "WITH $chosen, $worked, $nameable SELECT COUNT(*) FROM nameable WHERE person_kind <> 'unknown'",
    "names": """
        WITH scope AS (SELECT DISTINCT file_id FROM $FileName WHERE $match), $sight, $named
        SELECT file_id, file_name, file_path, known FROM named WHERE place = 1 AND ($match)
    """,
    "names_of": """
        WITH scope AS (SELECT file_id FROM $File WHERE file_id IN %(files)s), $sight, $named
        SELECT file_id, file_name, known FROM named WHERE place = 1
    """,
    "files_size": "WITH $chosen, $told, $owned_and_told, $known, $seen SELECT COUNT(*) FROM seen",
    "scripts": """
        WITH $chosen, $worked, $nameable, $runs
        SELECT r.person_id, r.entry_point, r.repository, MAX(r.started_at) AS last_run
        FROM runs r JOIN nameable n ON n.person_id = r.person_id
        WHERE r.person_id <> %(me)s AND ($match)
        GROUP BY r.person_id, r.entry_point, r.repository
    """,
    "scripts_size": """
        WITH $chosen, $worked, $nameable, $runs
        SELECT COUNT(*) FROM (SELECT DISTINCT r.person_id, r.entry_point, r.repository
                              FROM runs r JOIN nameable n ON n.person_id = r.person_id
                              WHERE r.person_id <> %(me)s) s
    """,
    "owners": """
        SELECT f.file_id, a.person_id, f.owner_since, f.account_id
        FROM $FileOwner f JOIN $Account a ON a.account_id = f.account_id
        WHERE f.file_id IN %(files)s
    """,
    "reads": """
        SELECT file_id, account_realm, account_login, on_behalf_of, CAST(accessed_at AS DATE) AS day
        FROM $Access WHERE file_id IN %(files)s AND outcome = 'ok'
        GROUP BY file_id, account_realm, account_login, on_behalf_of, CAST(accessed_at AS DATE)
    """,
    "touched": """
        WITH $touching, $sight
        SELECT person_id, COUNT(DISTINCT file_id) FROM (
            SELECT t.person_id, t.file_id FROM touching t JOIN seen s ON s.file_id = t.file_id
            UNION ALL
            SELECT a.person_id, o.file_id FROM owned o JOIN seen s ON s.file_id = o.file_id
            JOIN $Account a ON a.account_id = o.account_id
            WHERE a.person_id IN %(people)s
        ) x GROUP BY person_id
    """,
    "produces": """
        WITH $of_owners, $sight, $used, $named
        SELECT n.file_id, n.file_name, n.file_path, COALESCE(k.people, 1) - 1 AS others
        FROM named n
        JOIN owned o ON o.file_id = n.file_id
        JOIN $Account a ON a.account_id = o.account_id
        LEFT JOIN crowd k ON k.file_id = n.file_id
        WHERE n.place = 1 AND n.known = 1 AND a.person_id IN %(people)s
        ORDER BY COALESCE(k.people, 1) DESC, n.file_name, n.file_id
        LIMIT %(most)s
    """,
    "uses": """
        WITH $of_readers, $sight, $named
        SELECT n.file_id, n.file_name, n.file_path, CAST(MAX(x.accessed_at) AS DATE) AS last_on
        FROM named n
        JOIN $Access x ON x.file_id = CONCAT(n.file_id, '')
        JOIN $Account a ON a.account_id = x.account_id
        WHERE n.place = 1 AND n.known = 1 AND x.outcome = 'ok' AND a.person_id IN %(people)s
          AND NOT EXISTS (SELECT 1 FROM owned o JOIN $Account b ON b.account_id = o.account_id
                          WHERE o.file_id = n.file_id AND b.person_id = a.person_id)
        GROUP BY n.file_id, n.file_name, n.file_path
        ORDER BY last_on DESC, n.file_name, n.file_id
        LIMIT %(most)s
    """,
    "receipts": """
        WITH scope AS (SELECT DISTINCT file_id FROM $FileOwner WHERE account_id IN %(mine)s), $sight, $named
        SELECT n.file_id, n.file_name, a.person_id, COALESCE(e.entry_point, '') AS entry_point, COUNT(*) AS times,
               CAST(MAX(x.accessed_at) AS DATE) AS last_on
        FROM named n
        JOIN owned o ON o.file_id = n.file_id AND o.account_id IN %(mine)s
        JOIN $Access x ON x.file_id = CONCAT(n.file_id, '') AND x.outcome = 'ok'
        JOIN $Account a ON a.account_id = x.account_id
        LEFT JOIN $Execution e ON e.execution_id = x.execution_id
        WHERE n.place = 1 AND a.person_id <> %(me)s
        GROUP BY n.file_id, n.file_name, a.person_id, COALESCE(e.entry_point, '')
        ORDER BY last_on DESC, n.file_name, n.file_id, a.person_id
        LIMIT %(most)s
    """,
    "scripts_of": """
        WITH $chosen, $worked, $nameable, $runs
        SELECT r.entry_point, r.repository, CAST(MAX(r.started_at) AS DATE) AS last_on
        FROM runs r JOIN nameable n ON n.person_id = r.person_id
        WHERE r.person_id IN %(people)s AND r.entry_point <> ''
        GROUP BY r.entry_point, r.repository
        ORDER BY last_on DESC, r.entry_point, r.repository
        LIMIT %(most)s
    """,
    "colleagues": """
        WITH $chosen, $worked, $nameable
        SELECT person_id, full_name, department, title FROM nameable
        WHERE person_kind IN ('person', 'guest') AND ($match)
        ORDER BY LOWER(full_name), person_id
        LIMIT %(most)s
    """,
    "department": """
        WITH $chosen, $worked, $nameable
        SELECT person_id, full_name, department, title FROM nameable
        WHERE person_kind IN ('person', 'guest') AND department = %(department)s
        ORDER BY LOWER(full_name), person_id
        LIMIT %(most)s
    """,
    "exchanged": """
        WITH $of_sharers, $sight
        SELECT producer, consumer, COUNT(DISTINCT file_id) AS files FROM (
            SELECT p.person_id AS producer, c.person_id AS consumer, e.file_id $shared
            WHERE p.person_id IN %(people)s
            UNION
            SELECT p.person_id AS producer, c.person_id AS consumer, e.file_id $shared
            WHERE c.person_id IN %(people)s
        ) x WHERE producer <> consumer GROUP BY producer, consumer
    """,
    "alike": """
        WITH $of_people, $sight, $used, crew AS (
            SELECT COUNT(DISTINCT person_id) AS people FROM used
            UNION ALL SELECT COUNT(*) FROM $Person WHERE person_kind IN ('person', 'guest')
        )
        SELECT u.person_id, SUM(LN((SELECT MAX(people) FROM crew)) - LN(k.people)) AS worth
        FROM used mine
        JOIN crowd k ON k.file_id = mine.file_id
        JOIN used u ON u.file_id = mine.file_id
        WHERE mine.person_id IN %(people)s AND u.person_id NOT IN %(people)s AND k.people <= %(crowd)s
        GROUP BY u.person_id
    """,
    "common": """
        WITH $of_people, $sight, $used
        SELECT u.person_id, u.file_id
        FROM used mine
        JOIN crowd k ON k.file_id = mine.file_id
        JOIN used u ON u.file_id = mine.file_id
        WHERE mine.person_id IN %(people)s AND u.person_id IN %(others)s AND k.people <= %(crowd)s
        ORDER BY k.people, u.file_id
    """,
    "run": """
        WITH scope AS (SELECT DISTINCT file_id FROM $Access WHERE execution_id IN %(runs)s), $sight, $runs
        SELECT e.execution_id, a.person_id, e.entry_point, e.repository, e.started_at
        FROM $Execution e JOIN $Account a ON a.account_id = e.account_id
        WHERE e.execution_id IN %(runs)s
          AND (EXISTS (SELECT 1 FROM runs r WHERE r.execution_id = e.execution_id)
               OR EXISTS (SELECT 1 FROM $Access x JOIN owned o ON o.file_id = x.file_id
                          WHERE x.execution_id = e.execution_id AND x.outcome = 'ok'
                            AND o.account_id IN %(mine)s))
    """,
    "inputs": """
        WITH scope AS (SELECT DISTINCT file_id FROM $Access WHERE execution_id IN %(runs)s), $sight
        SELECT DISTINCT x.file_id FROM $Access x JOIN seen s ON s.file_id = x.file_id
        WHERE x.execution_id IN %(runs)s AND x.outcome = 'ok'
    """,
    "runs_of_inputs": """
        WITH $chosen, $runs
        SELECT x.execution_id, x.file_id, a.person_id, e.entry_point, e.repository, e.started_at,
               CASE WHEN EXISTS (SELECT 1 FROM runs r WHERE r.execution_id = e.execution_id)
                    THEN 1 ELSE 0 END AS told
        FROM (SELECT DISTINCT execution_id, file_id FROM $Access
              WHERE file_id IN %(files)s AND outcome = 'ok') x
        JOIN (SELECT file_id FROM $Access WHERE file_id IN %(files)s AND outcome = 'ok'
              GROUP BY file_id HAVING COUNT(DISTINCT execution_id) <= %(crowd)s) k ON k.file_id = x.file_id
        JOIN $Execution e ON e.execution_id = x.execution_id
        JOIN $Account a ON a.account_id = e.account_id
    """,
}


def statement(name: str, columns: tuple[str, ...] = (), terms: int = 0) -> str:
    """Return a statement with the names of the bound tables.

    Parameters
    ----------
    columns, terms
        Columns that have to contain one of the parameters ``term0``, ``term1`` …, of which
        there are `terms`; only for statements that match text.
    """
    match = " OR ".join(f"LOWER({column}) LIKE %(term{n})s" for column in columns for n in range(terms)) or "1 = 1"
    text = STATEMENTS[name]
    words = {**FRAGMENTS, "match": match}
    if "scope AS" not in text and "WITH $of_" not in text and "WITH $touching" not in text:  # about everything
        words |= {"and_within": ""}
    return rendered(text, words, TABLES)
