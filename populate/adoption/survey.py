"""The survey: one number, told when one likes; and who gets the monthly report."""

from __future__ import annotations

import math
from typing import Any

from data_platform.errors import RestrictionError
from populate.who.asker import Asker, oneself
from schemas.restrict import where
from schemas.survey import HoursSaved, ReportSubscription, ReportSubscriptionEnded

WEEK = 168.0


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
