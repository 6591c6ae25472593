"""The mails that whoever keeps the queues sends by itself, if the setting ``mail.automatic`` says so.

Both kinds know what has gone out: running this as often as one likes sends nothing twice.
"""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime, timedelta

from data_platform.errors import DataPlatformError, ReportUnavailable
from schemas.binding import Binding

_log = logging.getLogger(__name__)
_said: set[date] = set()
"""Months of which was said in this process that they have no report."""


def mail_due(binding: Binding, now: datetime | None = None) -> int:
    """Ask about duplicates what is due, and send the report of the month before this one; return the mails sent.

    What cannot be sent now is logged, and tried again the next time.

    Parameters
    ----------
    now
        UTC; the time of the machine unless given.
    """
    now = now or datetime.now(UTC).replace(tzinfo=None)
    sent = 0
    for send in (_questions, _report):
        try:
            sent += send(binding, now)
        except DataPlatformError as error:
            _log.warning("Mail that is due did not go out: %s", error)
    return sent


def _questions(binding: Binding, now: datetime) -> int:
    from populate.conversation.asking import ask_due
    from populate.conversation.plan import SENT

    done = ask_due(binding, binding.settings, now=now)
    if done.stopped:
        _log.warning("Questions about duplicates wait: %s", done.stopped)
    return sum(mail.state == SENT for mail in done.mails)


def _report(binding: Binding, now: datetime) -> int:
    from populate.adoption.mailing import mail_report
    from populate.adoption.report import report_of
    from populate.adoption.survey import subscribers

    if not subscribers():
        return 0
    try:
        report = report_of(month_before(now.date()))
    except ReportUnavailable:  # the catalogue is younger, its figures are not computed yet, or stand back
        _say_that_none_comes(month_before(now.date()))
        return 0
    return mail_report(binding, binding.settings.mail, report, now).sent


def _say_that_none_comes(month: date) -> None:
    """Log once that a month has no report for good, if so: its subscribers get none and nobody else would know."""
    from populate.adoption.publish import published_adoption, standing_back

    back = standing_back(month)
    if back is None or month in _said:
        return
    _said.add(month)
    try:
        instead = f"those of {published_adoption(back.number).day} stand for them"
    except LookupError:
        instead = "there are none that stand for them"
    _log.warning(
        "There is no report of %s: its figures differ from some shown before by what fewer than five people did, so "
        "they are not shown, and %s. Nothing is to be done: the report of a later month comes by itself.",
        f"{month:%Y-%m}",
        instead,
    )


def month_before(day: date) -> date:
    """Return the first day of the month before that of `day`: the last one that is over."""
    return (day.replace(day=1) - timedelta(days=1)).replace(day=1)
