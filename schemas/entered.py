"""Who entered which row by a form, and why: kept beside the tables that the rows went into."""

from __future__ import annotations

from schemas.engine import dj

schema = dj.Schema()


@schema
class Entry(dj.Manual):
    definition = """
    # A row that somebody entered by a form, as it was entered; a correction is a further row
    entry_id : char(32) # begins with its time
    ---
    entered_at : datetime(6) # UTC
    entered_by : char(32) # identity of the login (Account); the catalogue need not know it
    entered_name : varchar(255) # what whoever entered it was called
    entry_table : varchar(192) # schema.table, which may be a laboratory's own
    entry_key : char(64) # SHA-256 of its primary key
    corrects='' : varchar(64) # key of the row that this one corrects, which may be its own; empty = it is new
    entry_row : varchar(8000) # all its values, JSON
    entry_reason='' : varchar(512) # why, as they tell
    index (entry_table, entry_key)
    """
