"""Where people get mail, and what they answered to questions about duplicates."""

from __future__ import annotations

from schemas.engine import dj
from schemas.people import Person  # noqa: F401  (definitions refer to it)

schema = dj.Schema()

ANSWERS = ("keep", "canonical", "withdraw", "never")


@schema
class MailAddress(dj.Manual):
    definition = """
    # Where a person gets mail since a date, as the directory tells
    -> Person
    address_since : date # first day, UTC
    ---
    mail_address : varchar(254)
    """


@schema
class AnswerKind(dj.Lookup):
    definition = """
    # What can be answered to a question about a copy
    answer : varchar(16) # keep: still needed | canonical: the one to use | withdraw: its owner will remove it | never: do not ask again
    """  # noqa: E501
    contents = tuple({"answer": answer} for answer in ANSWERS)


@schema
class Answer(dj.Manual):
    definition = """
    # What somebody answered; a changed mind is a new row, the latest counts
    answer_id : char(32) # begins with its time
    ---
    question_id : char(32) # no foreign key: whoever adds answers may do nothing else
    -> AnswerKind
    answered_at : datetime(6) # UTC
    answered_by : varchar(16) # link | command | python: the way it came
    index (question_id)
    """
