"""What people tell about the product, and who wants its monthly report."""

from __future__ import annotations

from schemas.engine import dj
from schemas.people import Person  # noqa: F401  (definitions refer to it)

schema = dj.Schema()


@schema
class HoursSaved(dj.Manual):
    definition = """
    # Somebody's estimate of what the product saved them
    -> Person
    answered_at : datetime(6) # UTC
    ---
    hours_saved : float64 # hours in the week before; below 0 = it cost time
    """


@schema
class SurveyAsked(dj.Manual):
    definition = """
    # The dashboard asked somebody how much time the product saves them
    -> Person
    survey_asked_at : datetime(6) # UTC
    """


@schema
class SurveyChoice(dj.Manual):
    definition = """
    # Whether somebody wants to be asked; the latest choice counts, and without one they are
    -> Person
    survey_chosen_at : datetime(6) # UTC
    ---
    survey_wanted : bool # to be asked at most once a quarter
    """


@schema
class ReportSubscription(dj.Manual):
    definition = """
    # Somebody wants the monthly report by mail
    -> Person
    subscribed_at : datetime(6) # UTC
    """


@schema
class ReportSubscriptionEnded(dj.Manual):
    definition = """
    # And does not want it any more
    -> ReportSubscription
    ---
    unsubscribed_at : datetime(6) # UTC
    """
