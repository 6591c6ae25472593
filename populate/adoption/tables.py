"""How the catalogue is used, as a computed table per snapshot.

What computes it is loaded by `make()`, so that workers start quickly.
"""

from __future__ import annotations

from typing import Any

from populate.snapshot import Snapshot  # noqa: F401  (foreign key)
from schemas.engine import dj
from schemas.people import Person  # noqa: F401  (foreign key)

schema = dj.Schema()


@schema
class Adoption(dj.Computed):
    definition = """
    # How the catalogue is used in the days up to a snapshot, and what it holds by then
    -> Snapshot
    ---
    window_days : int16 # days up to and including the snapshot's in which reads, asks, questions and logs count
    people_count : int32 # worked here in the window, service accounts left out
    reader_count : int32 # people who read
    producer_count : int32 # people whose files somebody else read
    read_count : int64 # by people; a folder that is read as a whole counts once
    service_read_count : int64 # by service accounts for nobody in particular
    foreign_read_count : int64 # of somebody else's file, the departments of both known
    cross_read_count : int64 # of these, between two departments
    automatic_entries : int64 # accesses that noted themselves down, ever
    manual_entries : int64 # rows that people typed in, ever: choices, asks, outcomes, answers
    file_count : int64 # files that were there when last read or looked at
    bytes_logical : int64 # bytes of all these files
    bytes_distinct : int64 # bytes of their contents, each once
    content_count : int64 # contents ever read or taken in unread
    content_backed_up : int64 # of these in the content store when the snapshot was taken, hash compared
    audit_read_count=null : int64 # by people, as the sources' own logs tell: person, file and day; none = no log
    captured_read_count=null : int64 # of these, noted down here too
    ask_count : int32 # asks of a colleague
    answered_ask_count : int32 # of these, answered or redirected when the snapshot was taken
    question_count : int32 # questions to owners about duplicates
    answered_question_count : int32 # of these, answered when the snapshot was taken
    survey_count : int32 # people who told in three months how much time they save
    hours_saved=null : float64 # median of their latest answers, hours a week
    hours_saved_low=null : float64 # lower end of its interval, 95 times in 100 right
    hours_saved_high=null : float64 # upper end of its interval, 95 times in 100 right
    """

    class Department(dj.Part):
        definition = """
        # A department's part in it
        -> master
        department : varchar(128) # as it was called then
        ---
        people : int32 # worked there in the window
        readers : int32 # of its people
        producers : int32 # of its people
        read_count : int64 # by its people
        cross_received : int64 # reads by its people of files of other departments
        cross_given : int64 # reads of its people's files by other departments
        audit_read_count=null : int64 # by its people, as the sources' own logs tell
        captured_read_count=null : int64 # of these, noted down here too
        """

    class Proof(dj.Part):
        definition = """
        # Contents that were read back from the store; without a row nobody looked whether they were
        -> master
        ---
        proof_days : int16 # days before the one on which the snapshot was taken, in which they were
        content_proven : int64 # contents ever read or taken in unread that were whole then, and not found damaged since
        """

    class Asked(dj.Part):
        definition = """
        # Whom the dashboard asked how much time they save; none in snapshots of earlier releases
        -> master
        ---
        asked_count : int32 # people who were asked in the three months in which answers count
        """

    class Close(dj.Part):
        definition = """
        # What changed so little since earlier figures that are shown that it would tell of single people
        -> master
        -> Snapshot.proj(since_no="snapshot_no")
        close_kind : varchar(16) # department, source, logs, survey, everybody; moved (source) = hides these in a sum
        close_name : varchar(255) # of the department or source
        """

    class Source(dj.Part):
        definition = """
        # A source system's part in it
        -> master
        source_system : varchar(255)
        ---
        source_kind : varchar(32) # name of the reader that understands it
        readers : int32 # people who read from it
        read_count : int64 # by people
        """

    def make(self, key: dict[str, Any]) -> None:
        """Count what the snapshot covers."""
        from populate.adoption.rows import adoption_rows

        rows = adoption_rows(self.connection, key["snapshot_no"])
        self.insert1({**key, **rows.organisation})
        self.Department.insert({**key, **row} for row in rows.departments)
        self.Source.insert({**key, **row} for row in rows.sources)
        self.Proof.insert1({**key, **rows.proof})
        self.Asked.insert1({**key, **rows.asked})
        self.Close.insert({**key, **row} for row in rows.close)


@schema
class ReportMail(dj.Manual):
    definition = """
    # The report of a month is about to be sent to somebody; without one of the next two it may have gone out
    -> Person
    report_month : char(7) # as 2026-11
    report_attempt : int16 # from 1; another one follows only on a refusal that may pass
    ---
    report_begun_at : datetime(6) # UTC
    """


@schema
class ReportMailSent(dj.Manual):
    definition = """
    # The mail server took it
    -> ReportMail
    ---
    report_sent_at : datetime(6) # UTC
    """


@schema
class ReportMailRefused(dj.Manual):
    definition = """
    # It certainly did not go out
    -> ReportMail
    ---
    report_refused_for_good : bool # trying again cannot help
    report_refusal : varchar(512) # what the server said, secrets removed
    """
