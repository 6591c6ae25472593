"""What runs wrote, in their own words: a part of the inbox beside the accesses."""

from __future__ import annotations

from schemas.engine import dj
from schemas.sharing import AccessBatch  # noqa: F401  (definitions refer to it)

schema = dj.Schema()


@schema
class Output(dj.Manual):
    definition = """
    # A file that a run wrote and told of, as it happened
    event_id : char(32) # begins with its time, so that new rows go to the end of the index
    ---
    -> AccessBatch
    execution_id : char(32) # run that wrote
    written_at : datetime(6) # UTC, when it was told
    function_name='' : varchar(255) # autologged function that wrote; empty = none
    account_realm : varchar(255) # directory of who ran it
    account_login : varchar(255) # who ran it
    account_id : char(32) # identity of both
    source_system='' : varchar(255) # where it was written to
    item_id='' : varchar(4096) # the source's own id
    file_id='' : varchar(32) # identity of the item
    file_name='' : varchar(768)
    file_path='' : varchar(4096)
    sha256 : char(64) # of the bytes as they were then
    output_size=-1 : int64 # bytes
    index (execution_id)
    index (file_id)
    index (sha256)
    """
