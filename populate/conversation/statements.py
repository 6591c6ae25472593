"""The SQL of the conversation, for PostgreSQL and MySQL alike.

``$Table`` stands for a table's full name and ``%(name)s`` for a parameter of the driver's. A
list without members becomes one that nothing is in: SQL knows no empty list.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime
from string import Template
from typing import Any

from populate.conversation.questions import (
    Question,
    QuestionCopy,
    QuestionCopyGone,
    QuestionMail,
    QuestionMailRefused,
    QuestionMailSent,
)
from schemas.asking import CompanyAskChoice, PersonAskChoice
from schemas.binding import Binding
from schemas.catalogue import Blob, File, FileGone, FileName, SourceSystem
from schemas.conversation import Answer, MailAddress
from schemas.people import Account, Departure, Membership, Person
from schemas.sharing import Access

TABLES = (
    *(Access, Account, Answer, Blob, CompanyAskChoice, Departure, File, FileGone, FileName, MailAddress),
    *(Membership, Person, PersonAskChoice, Question, QuestionCopy, QuestionCopyGone, QuestionMail),
    *(QuestionMailRefused, QuestionMailSent, SourceSystem),
)
Value = str | int | date | datetime | Collection[str]

# The last answer to each question is the one that counts.
LATEST = """
latest AS (
    SELECT question_id, answer, answered_at,
           ROW_NUMBER() OVER (PARTITION BY question_id ORDER BY answered_at DESC, answer_id DESC) AS place
    FROM $Answer
)"""

# A person is called by the login they were first met under. Who that login is said to belong to may
# be mended later; what they were asked and answered goes with it.
STATEMENTS = {
    "kinds": "SELECT person_id, person_kind FROM $Person WHERE person_id IN %(people)s",
    # Who has left, and has not come back since.
    "departed": """
        SELECT d.person_id FROM $Departure d
        WHERE d.person_id IN %(people)s AND d.departed_on <= %(today)s
          AND NOT EXISTS (SELECT 1 FROM $Membership b WHERE b.person_id = d.person_id
                          AND b.member_since >= d.departed_on AND b.member_since <= %(today)s)
    """,
    "opted_out": """
        WITH $LATEST,
        opted AS (SELECT DISTINCT q.person_id FROM latest l JOIN $Question q ON q.question_id = l.question_id
                  WHERE l.place = 1 AND l.answer = 'never')
        SELECT person_id FROM opted WHERE person_id IN %(people)s
        UNION
        SELECT a.person_id FROM opted o JOIN $Account a ON a.account_id = o.person_id WHERE a.person_id IN %(people)s
    """,
    # What people were asked when they passed for somebody else.
    "asked_as_another": """
        SELECT a.person_id, q.sha256 FROM $Question q JOIN $Account a ON a.account_id = q.person_id
        WHERE a.person_id <> q.person_id
    """,
    # Who chose not to be named to colleagues, or has not chosen where the company's rule says so.
    "unnamed": """
        SELECT p.person_id
        FROM $Person p
        LEFT JOIN (SELECT person_id, ask_choice,
                          ROW_NUMBER() OVER (PARTITION BY person_id ORDER BY chosen_at DESC) AS place
                   FROM $PersonAskChoice WHERE chosen_at <= %(now)s) c ON c.person_id = p.person_id AND c.place = 1
        WHERE p.person_id IN %(people)s
          AND COALESCE(c.ask_choice, (SELECT ask_choice FROM $CompanyAskChoice WHERE company_chosen_at <= %(now)s
                                      ORDER BY company_chosen_at DESC LIMIT 1), '') = 'closed'
    """,
    # The last row of each person is the one that counts.
    "told_addresses": """
        SELECT person_id, mail_address FROM $MailAddress
        WHERE person_id IN %(people)s AND address_since <= %(today)s ORDER BY address_since
    """,
    "own_logins": "SELECT person_id, login FROM $Account WHERE person_id IN %(people)s ORDER BY login DESC",
    # Those of whoever a login belongs to now are among them.
    "logins": """
        SELECT person_id, login FROM $Account WHERE person_id IN %(people)s
        UNION
        SELECT a.person_id, a.login FROM $Account a JOIN $Account first ON first.person_id = a.person_id
        WHERE first.account_id IN %(people)s
    """,
    "mails": """
        SELECT m.question_id, COALESCE(a.person_id, q.person_id), m.mail_round, m.mail_attempt, m.begun_at, s.sent_at,
               r.refused_for_good
        FROM $QuestionMail m
        JOIN $Question q ON q.question_id = m.question_id
        LEFT JOIN $Account a ON a.account_id = q.person_id
        LEFT JOIN $QuestionMailSent s ON s.question_id = m.question_id AND s.mail_round = m.mail_round
                                     AND s.mail_attempt = m.mail_attempt
        LEFT JOIN $QuestionMailRefused r ON r.question_id = m.question_id AND r.mail_round = m.mail_round
                                        AND r.mail_attempt = m.mail_attempt
        ORDER BY m.question_id, m.mail_round, m.mail_attempt
    """,
    "answered": "SELECT DISTINCT question_id FROM $Answer",
    "question": """
        WITH $LATEST
        SELECT q.person_id, p.full_name, q.sha256, b.blob_size, COALESCE(l.answer, '')
        FROM $Question q
        JOIN $Person p ON p.person_id = q.person_id
        JOIN $Blob b ON b.sha256 = q.sha256
        LEFT JOIN latest l ON l.question_id = q.question_id AND l.place = 1
        WHERE q.question_id IN %(questions)s
    """,
    "copies": "SELECT file_id FROM $QuestionCopy WHERE question_id IN %(questions)s ORDER BY file_id",
    # What people said they would remove. A copy that changed hands in between is one copy.
    "promises": """
        WITH $LATEST
        SELECT c.question_id, c.file_id, c.version_id, COALESCE(a.person_id, q.person_id), q.sha256, b.blob_size,
               l.answered_at, g.gone_seen_at, f.source_system, f.item_id, s.source_kind
        FROM latest l
        JOIN $Question q ON q.question_id = l.question_id
        LEFT JOIN $Account a ON a.account_id = q.person_id
        JOIN $QuestionCopy c ON c.question_id = q.question_id
        JOIN $Blob b ON b.sha256 = q.sha256
        JOIN $File f ON f.file_id = c.file_id
        JOIN $SourceSystem s ON s.source_system = f.source_system
        LEFT JOIN $QuestionCopyGone g ON g.question_id = c.question_id AND g.file_id = c.file_id
                                     AND g.version_id = c.version_id
        WHERE l.place = 1 AND l.answer = 'withdraw'
        ORDER BY l.answered_at, c.question_id, c.file_id
    """,
    # A few other files of a source system that nobody said are gone, or are to be.
    "neighbours": """
        SELECT f.item_id FROM $File f
        WHERE f.source_system = %(system)s AND f.file_id <> %(file)s
          AND NOT EXISTS (SELECT 1 FROM $FileGone g WHERE g.file_id = f.file_id)
          AND NOT EXISTS (SELECT 1 FROM $QuestionCopy c JOIN $Answer w ON w.question_id = c.question_id
                          WHERE c.file_id = f.file_id AND w.answer = 'withdraw')
        ORDER BY f.file_id LIMIT 5
    """,
    # When each content of a file was read last, and when the file was last found missing.
    "last_seen": """
        SELECT file_id, CASE WHEN outcome = 'ok' THEN sha256 ELSE '' END AS content, MAX(accessed_at) FROM $Access
        WHERE file_id IN %(files)s AND (outcome = 'SourceNotFound' OR (outcome = 'ok' AND sha256 <> ''))
        GROUP BY file_id, CASE WHEN outcome = 'ok' THEN sha256 ELSE '' END
    """,
    "first_without": """
        SELECT MIN(accessed_at) FROM $Access
        WHERE file_id = %(file)s AND accessed_at > %(since)s
          AND (outcome = 'SourceNotFound' OR (outcome = 'ok' AND sha256 <> '' AND sha256 <> %(sha256)s))
    """,
    "memberships": """
        SELECT person_id, member_since, department FROM $Membership
        WHERE person_id IN %(people)s ORDER BY person_id, member_since
    """,
    # People who have not left and work in no department now.
    "nobodies": """
        SELECT COUNT(*) FROM $Person p
        WHERE p.person_kind <> 'service'
          AND NOT EXISTS (SELECT 1 FROM $Membership m
                          WHERE m.person_id = p.person_id AND m.member_since <= %(today)s AND m.department <> ''
                            AND NOT EXISTS (SELECT 1 FROM $Membership l
                                            WHERE l.person_id = m.person_id AND l.member_since > m.member_since
                                              AND l.member_since <= %(today)s))
          AND NOT EXISTS (SELECT 1 FROM $Departure d WHERE d.person_id = p.person_id AND d.departed_on <= %(today)s
                          AND NOT EXISTS (SELECT 1 FROM $Membership b WHERE b.person_id = d.person_id
                                          AND b.member_since >= d.departed_on AND b.member_since <= %(today)s))
    """,
}


def ask(binding: Binding, name: str, **values: Value) -> list[tuple[Any, ...]]:
    """Return the rows that a statement finds."""
    words = {table.__name__: table().full_table_name for table in TABLES}
    text = Template(Template(STATEMENTS[name]).safe_substitute(LATEST=LATEST)).substitute(words)
    return list(binding.connection.query(text, {name: _parameter(value) for name, value in values.items()}).fetchall())


def _parameter(value: Value) -> object:
    if isinstance(value, str | int | date):
        return value
    return tuple(value) or ("",)
