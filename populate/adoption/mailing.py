"""The report by mail to whoever wants it, each month at most once to each."""

from __future__ import annotations

from datetime import UTC, date, datetime
from email.message import EmailMessage
from html import escape
from typing import NamedTuple

from data_platform.errors import MailRefused, MailUnavailable, ReportUnavailable
from data_platform.settings import MailSettings
from populate.adoption.pdf import pdf_of
from populate.adoption.report import Report
from populate.adoption.survey import subscribers
from populate.adoption.tables import ReportMail, ReportMailRefused, ReportMailSent
from populate.conversation.people import addresses
from populate.mail import Mailer, SendingUnknown, mailer, message
from schemas.binding import Binding
from schemas.engine import dj
from schemas.people import Departure, Membership
from schemas.restrict import where


class Mailing(NamedTuple):
    """How many mails went out, were refused, may have gone out, and how many people have no address."""

    sent: int
    refused: int
    unknown: int
    without_address: int


def mail_report(binding: Binding, settings: MailSettings, report: Report, now: datetime | None = None) -> Mailing:
    """Send the report of a month to the subscribers that have not been sent it.

    Each mail is written down before it is sent. Should the process or the connection break after that, the mail
    may have gone out, and it is not sent again.

    Raises
    ------
    ReportUnavailable
        If the month is not over: its report would be sent with what is known now, and then no more.
    SettingsError
        If somebody is to get it and no mail server is set.
    MailUnavailable
        If the mail server does not answer.
    """
    now = now or datetime.now(UTC).replace(tzinfo=None)
    label = f"{report.month:%Y-%m}"
    if label >= f"{now:%Y-%m}":
        raise ReportUnavailable(f"{label} is not over, and each report is sent once. Mail that of a month before.")
    binding.ensure()
    left = _left(now.date())
    due = {person: attempt for person in subscribers() if person not in left and (attempt := _next(person, label))}
    to = addresses(binding, sorted(due), settings, now.date()) if due else {}
    counts = {"sent": 0, "refused": 0, "unknown": 0, "elsewhere": 0}
    if to:
        pdf = pdf_of(report)
        with mailer(settings) as server:
            for person in sorted(to):
                key = {"person_id": person, "report_month": label, "report_attempt": due[person]}
                mail = _mail(report, label, to[person], pdf, settings)
                counts[_send(server, key, mail, now)] += 1
    return Mailing(counts["sent"], counts["refused"], counts["unknown"], len(due) - len(to))


def _left(today: date) -> set[str]:
    """Return who has left, and has not come back since."""
    begun = [(row["person_id"], row["member_since"]) for row in Membership.to_dicts() if row["member_since"] <= today]
    since = dict(sorted(begun))
    departed = [row for row in Departure.to_dicts() if row["departed_on"] <= today]
    return {row["person_id"] for row in departed if row["departed_on"] > since.get(row["person_id"], date.min)}


def _next(person: str, label: str) -> int:
    """Return the number of the next attempt; 0 if there must be none."""
    begun = where(ReportMail, person_id=person, report_month=label)
    attempts = begun.to_arrays("report_attempt")
    if not len(attempts):
        return 1
    refusals = (begun * ReportMailRefused).to_dicts()
    may_pass = len(refusals) == len(attempts) and not any(row["report_refused_for_good"] for row in refusals)
    return int(max(attempts)) + 1 if may_pass else 0


def _send(server: Mailer, key: dict[str, object], mail: EmailMessage, now: datetime) -> str:
    try:
        ReportMail.insert1({**key, "report_begun_at": now})
    except dj.errors.DuplicateError:  # another process sends it just now
        return "elsewhere"
    try:
        server.send(mail)
    except MailRefused as error:
        _refused(key, error, for_good=error.permanent)
        return "refused"
    except MailUnavailable as error:
        _refused(key, error, for_good=False)
        raise
    except SendingUnknown:
        return "unknown"
    ReportMailSent.insert1({**key, "report_sent_at": now})
    return "sent"


def _refused(key: dict[str, object], error: Exception, *, for_good: bool) -> None:
    row = {"report_refused_for_good": for_good, "report_refusal": str(error)[:512]}
    ReportMailRefused.insert1({**key, **row})


def _mail(report: Report, label: str, recipient: str, pdf: bytes, settings: MailSettings) -> EmailMessage:
    figures = [f"{figure.value} {figure.label} {figure.note}".strip() for figure in report.figures]
    end = "The whole report is attached. You subscribed to it; `data-platform subscribe --end` ends that."
    plain = "\n".join([report.title, report.subtitle, "", *report.sentences, "", *figures, "", end, ""])
    html = "".join(
        [
            f"<h2>{escape(report.title)}</h2><p>{escape(report.subtitle)}</p>",
            *(f"<p>{escape(sentence)}</p>" for sentence in report.sentences),
            "<ul>",
            *(f"<li>{escape(figure)}</li>" for figure in figures),
            f"</ul><p>{escape(end)}</p>",
        ]
    )
    made = message(report.title, recipient, plain, html, settings)
    made.add_attachment(pdf, maintype="application", subtype="pdf", filename=f"data-sharing-{label}.pdf")
    return made
