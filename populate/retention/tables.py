"""What may go from the content store, what must not, and what waits to go. All dated, none overwritten."""

from __future__ import annotations

from populate.backup.stores import ContentStore  # noqa: F401  (definitions refer to both)
from schemas.catalogue import Blob  # noqa: F401
from schemas.engine import dj

schema = dj.Schema()


@schema
class RetentionRule(dj.Manual):
    definition = """
    # For how long contents of certain files are kept; of several rules for a file the most generous one decides
    rule_number : int32 # from 1
    ---
    rule_since : datetime(6) # UTC
    rule_by : varchar(255) # realm and login of whoever made it
    rule_keeps : varchar(16) # everything | versions | days
    rule_amount : int32 # of the latest versions of a file, or days after the last access; 0 with everything
    rule_source='' : varchar(255) # only files of this source system; empty = any
    rule_department='' : varchar(128) # only files whose owner works in this department; empty = any
    rule_tag='' : varchar(64) # only files with this tag; empty = any
    """


@schema
class RetentionRuleEnded(dj.Manual):
    definition = """
    # A rule does not hold any more
    -> RetentionRule
    ---
    rule_ended_at : datetime(6) # UTC
    rule_ended_by : varchar(255) # realm and login
    """


@schema
class LegalHold(dj.Manual):
    definition = """
    # What must not go, whatever the rules say: files that fulfil every condition that is not empty
    hold_number : int32 # from 1
    ---
    hold_since : datetime(6) # UTC
    hold_by : varchar(255) # realm and login of whoever ordered it
    hold_reason : varchar(512)
    hold_sha256='' : varchar(64) # this content
    hold_source='' : varchar(255) # of this source system
    hold_below='' : varchar(4096) # this path, or below it, under whatever name it was met
    hold_owner='' : varchar(32) # of this person (person_id), now or ever
    hold_department='' : varchar(128) # of owners who work, or ever worked, in this department
    hold_tag='' : varchar(64) # with this tag
    """


@schema
class LegalHoldEnded(dj.Manual):
    definition = """
    # A hold was lifted
    -> LegalHold
    ---
    hold_ended_at : datetime(6) # UTC
    hold_ended_by : varchar(255) # realm and login
    """


@schema
class Quarantine(dj.Manual):
    definition = """
    # A content that nothing keeps in a store: it goes if that is still so after a set time
    -> Blob
    -> ContentStore
    quarantined_at : datetime(6) # UTC
    """


@schema
class QuarantineEnd(dj.Manual):
    definition = """
    # What became of it
    -> Quarantine
    ---
    quarantine_ended_at : datetime(6) # UTC
    quarantine_outcome : varchar(16) # kept: there is a reason to; swept: it has no place in this store any more
    """


@schema
class Stray(dj.Manual):
    definition = """
    # An object to which no row leads: whoever wrote it was killed, or is about to record it
    -> ContentStore
    object_id : char(32) # identity of its name
    stray_since : datetime(6) # UTC, when it was met first
    ---
    object_name : varchar(255) # within the store
    stray_bytes : int64 # bytes of it
    """


@schema
class StrayEnd(dj.Manual):
    definition = """
    # What became of it
    -> Stray
    ---
    stray_ended_at : datetime(6) # UTC
    stray_outcome : varchar(16) # recorded: a row leads to it; gone: it is not there any more; swept
    """
