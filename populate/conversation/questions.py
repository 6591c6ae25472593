"""Questions about duplicates, and what is known of their mails.

A mail is written down before it is sent (`QuestionMail`) and again when the server has taken
it (`QuestionMailSent`) or refused it (`QuestionMailRefused`). One that has neither row may
have gone out: whoever sent it was killed or lost its connection between the two. It is never
sent again, so each goes out at most once, and it is reported as unknown.
"""

from __future__ import annotations

from schemas.catalogue import Blob, Version  # noqa: F401  (definitions refer to them)
from schemas.engine import dj
from schemas.identity import identity
from schemas.people import Person  # noqa: F401

schema = dj.Schema()


@schema
class Question(dj.Manual):
    definition = """
    # Somebody is asked about the copies of a content that they own; of each content at most once
    question_id : char(32) # identity of person and content
    ---
    -> Person
    -> Blob
    raised_at : datetime(6) # UTC
    """


@schema
class QuestionCopy(dj.Manual):
    definition = """
    # A copy that a question is about
    -> Question
    -> Version
    """


@schema
class QuestionMail(dj.Manual):
    definition = """
    # A mail that is about to be sent; without one of the next two it is not known whether it went out
    -> Question
    mail_round : int16 # 1 = the question, then its reminders
    mail_attempt : int16 # from 1; another one follows only on a refusal
    ---
    begun_at : datetime(6) # UTC
    """


@schema
class QuestionMailSent(dj.Manual):
    definition = """
    # The mail server took it
    -> QuestionMail
    ---
    sent_at : datetime(6) # UTC
    """


@schema
class QuestionMailRefused(dj.Manual):
    definition = """
    # It certainly did not go out
    -> QuestionMail
    ---
    refused_for_good : bool # trying again cannot help
    refusal : varchar(512) # what the server said, secrets removed
    """


@schema
class QuestionCopyGone(dj.Manual):
    definition = """
    # A copy that its owner was to remove was looked for at its source, and is not there
    -> QuestionCopy
    ---
    gone_seen_at : datetime(6) # UTC
    """


def question_id(person_id: str, sha256: str) -> str:
    """Return the identity of the question to a person about a content."""
    return identity("question", person_id, sha256)
