"""The survey: one number, told when one likes or when the dashboard asks; and who gets the monthly report."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

from data_platform.errors import RestrictionError
from populate.who.asker import Asker, oneself
from schemas.restrict import where
from schemas.survey import HoursSaved, ReportSubscription, ReportSubscriptionEnded, SurveyAsked, SurveyChoice

WEEK = 168.0
QUARTER = timedelta(days=92)
"""Nobody is asked again sooner than this after they were asked, or told by themselves."""


def record_hours(asker: Asker, hours: float) -> None:
    """Record how many hours the product saved the asker in the last week.

    Raises
    ------
    RestrictionError
        If a week has not so many hours, or the catalogue does not know the asker.
    """
    if not math.isfinite(hours) or abs(hours) > WEEK:
        raise RestrictionError(
            f"A week has {WEEK:.0f} hours. Give the hours saved in the last one; below 0 if it cost time."
        )
    HoursSaved.insert1({"person_id": oneself(asker).person_id, "answered_at": asker.now, "hours_saved": float(hours)})


def due(asker: Asker) -> bool:
    """Tell whether the asker may be asked: not in the last quarter, nor told by themselves then, nor declined."""
    if not asker.person_id or not wanted(asker):
        return False
    since = asker.now - QUARTER
    return not any(_latest(table, asker, column) > since for table, column in _LAST)


_LAST = ((SurveyAsked, "survey_asked_at"), (HoursSaved, "answered_at"))


def _latest(table: Any, asker: Asker, column: str) -> Any:
    mine = where(table, person_id=oneself(asker).person_id).to_arrays(column)
    return max(mine.tolist(), default=asker.now - 2 * QUARTER)


def note_asked(asker: Asker) -> None:
    """Record that the asker is being asked, before they are: a question that nobody records would come each day."""
    SurveyAsked.insert1({"person_id": oneself(asker).person_id, "survey_asked_at": asker.now})


def wanted(asker: Asker) -> bool:
    """Tell whether the asker is to be asked at all."""
    rows = where(SurveyChoice, person_id=oneself(asker).person_id).to_dicts(order_by="survey_chosen_at")
    return bool(rows[-1]["survey_wanted"]) if rows else True


def choose_survey(asker: Asker, wants: bool) -> None:
    """Record whether the asker is to be asked from now on."""
    if wants != wanted(asker):
        key = {"person_id": oneself(asker).person_id, "survey_chosen_at": asker.now}
        SurveyChoice.insert1({**key, "survey_wanted": wants})


def subscribe(asker: Asker) -> None:
    """Have the monthly report sent to the asker from now on; a second time changes nothing."""
    if not subscribed(asker):
        ReportSubscription.insert1({"person_id": oneself(asker).person_id, "subscribed_at": asker.now})


def unsubscribe(asker: Asker) -> None:
    """Have it sent no more."""
    for row in _subscriptions(asker).to_dicts():
        ReportSubscriptionEnded.insert1({**row, "unsubscribed_at": asker.now})


def subscribed(asker: Asker) -> bool:
    """Tell whether the asker gets the monthly report."""
    return bool(_subscriptions(asker))


def subscribers() -> list[str]:
    """Return the people who get the monthly report, by id."""
    return sorted({row["person_id"] for row in (ReportSubscription() - ReportSubscriptionEnded).to_dicts()})


def _subscriptions(asker: Asker) -> Any:
    return where(ReportSubscription, person_id=oneself(asker).person_id) - ReportSubscriptionEnded
