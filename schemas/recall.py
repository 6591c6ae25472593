"""Which contents their owners recalled, and who has taken note. All dated, none overwritten."""

from __future__ import annotations

from schemas.catalogue import Version  # noqa: F401  (definitions refer to both)
from schemas.engine import dj
from schemas.people import Account  # noqa: F401

schema = dj.Schema()


@schema
class Recall(dj.Manual):
    definition = """
    # An owner said that a version of a file is wrong; it holds for its bytes wherever they are
    recall_id : char(32) # begins with its time
    ---
    -> Version
    -> Account.proj(recaller_id='account_id')
    recalled_at : datetime(6) # UTC
    recall_reason : varchar(1000) # as the owner tells it to everybody whom it concerns
    right_version_id='' : varchar(32) # version of the same file to use instead; empty = none
    """


@schema
class RecallMark(dj.Manual):
    definition = """
    # What readers' machines see of a recall: whoever has met the bytes can tell that these are meant
    mark_id : char(32) # identity of the SHA-256 of the recalled bytes
    -> Recall
    ---
    marked_at : datetime(6) # UTC
    right_mask='' : varchar(64) # SHA-256 of the bytes to use instead, for whoever knows that of the recalled ones
    """


@schema
class RecallEnded(dj.Manual):
    definition = """
    # A recall was taken back by whoever made it
    -> Recall
    ---
    recall_ended_at : datetime(6) # UTC
    """


@schema
class RecallAcknowledged(dj.Manual):
    definition = """
    # Somebody whom a recall concerns has taken note of it
    -> Recall
    -> Account
    ---
    acknowledged_at : datetime(6) # UTC
    """


TOLD = (Recall, RecallMark, RecallEnded, RecallAcknowledged)
"""Tables that people add rows to."""

SHOWN = (RecallMark, RecallEnded)
"""What every reader may look at: it tells nothing to whoever has not met the bytes."""
