"""Whom recalls concern, and what is known of the mails about them.

A mail is written down before it is sent (`RecallMail`) and again when the server has taken it (`RecallMailSent`) or
refused it (`RecallMailRefused`). One that has neither row may have gone out, and is not sent again.
"""

from __future__ import annotations

from schemas.engine import dj
from schemas.people import Account  # noqa: F401  (definitions refer to both)
from schemas.recall import Recall  # noqa: F401

schema = dj.Schema()


@schema
class RecallNotice(dj.Manual):
    definition = """
    # A recall concerns somebody; each account is told once
    -> Recall
    -> Account
    ---
    concern : varchar(16) # read: these bytes | holds: a copy | wrote: a result of them | result: read such a result
    met_file_id='' : varchar(32) # file by which they met them, or what was made of them
    met_sha256 : char(64) # of the bytes that they met
    met_at : datetime(6) # UTC, when first
    noticed_at : datetime(6) # UTC
    """


@schema
class RecallMail(dj.Manual):
    definition = """
    # A mail about a recall that is about to be sent; without one of the next two nobody knows whether it went out
    -> RecallNotice
    recall_attempt : int16 # from 1; another one follows only on a refusal
    ---
    recall_mail_at : datetime(6) # UTC
    """


@schema
class RecallMailSent(dj.Manual):
    definition = """
    # The mail server took it
    -> RecallMail
    ---
    recall_sent_at : datetime(6) # UTC
    """


@schema
class RecallMailRefused(dj.Manual):
    definition = """
    # It certainly did not go out
    -> RecallMail
    ---
    recall_refused_for_good : bool # trying again cannot help
    recall_refusal : varchar(512) # what the server said, secrets removed
    """
