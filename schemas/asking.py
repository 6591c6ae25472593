"""Whom people may be pointed to, and what came of asking. All dated, none overwritten."""

from __future__ import annotations

from schemas.engine import dj
from schemas.people import Person  # noqa: F401  (definitions refer to it)

schema = dj.Schema()


@schema
class AskChoice(dj.Lookup):
    definition = """
    # How far somebody lets colleagues be pointed to them
    ask_choice : varchar(16) # closed: never named; known: by files that the colleague may see; open: by counts of others too
    """  # noqa: E501
    contents = tuple({"ask_choice": choice} for choice in ("closed", "known", "open"))


@schema
class PersonAskChoice(dj.Manual):
    definition = """
    # What a person chose; the latest holds
    -> Person
    chosen_at : datetime(6) # UTC
    ---
    -> AskChoice
    """


@schema
class CompanyAskChoice(dj.Manual):
    definition = """
    # What holds for whoever has not chosen; the latest does, and before the first: known
    company_chosen_at : datetime(6) # UTC
    ---
    -> AskChoice
    """


@schema
class Ask(dj.Manual):
    definition = """
    # Somebody asked a colleague whom they had been pointed to; what about is not kept
    ask_id : char(32) # random
    ---
    -> Person.proj(asker_id='person_id')
    -> Person.proj(asked_id='person_id')
    asked_at : datetime(6) # UTC
    """


@schema
class AskResult(dj.Lookup):
    definition = """
    # What can come of asking
    ask_result : varchar(16) # answered | redirected: named somebody better | silent: no answer came
    """
    contents = tuple({"ask_result": result} for result in ("answered", "redirected", "silent"))


@schema
class AskOutcome(dj.Manual):
    definition = """
    # What came of asking, as the asker tells
    -> Ask
    ---
    -> AskResult
    told_at : datetime(6) # UTC
    """
