"""Of which new version each subscriber was told, or not."""

from __future__ import annotations

from schemas.catalogue import Version  # noqa: F401  (definitions refer to both)
from schemas.engine import dj
from schemas.notes import Subscription  # noqa: F401

schema = dj.Schema()


@schema
class VersionNotice(dj.Manual):
    definition = """
    # A subscriber is about to be told of a version; without one of the next two it may have gone out
    -> Subscription
    -> Version
    notice_attempt : int16 # from 1
    ---
    notice_begun_at : datetime(6) # UTC
    """


@schema
class VersionNoticeSent(dj.Manual):
    definition = """
    # The mail server, or the program that listens, took it
    -> VersionNotice
    ---
    notice_sent_at : datetime(6) # UTC
    """


@schema
class VersionNoticeRefused(dj.Manual):
    definition = """
    # It was not taken
    -> VersionNotice
    ---
    notice_refused_at : datetime(6) # UTC
    notice_refused_for_good : bool # trying again cannot help
    notice_refusal : varchar(512) # why, secrets removed
    """
