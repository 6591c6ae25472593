"""Asks people about their duplicates by mail, each question and each reminder at most once.

Each mail is three steps: its row (`QuestionMail`, committed), the sending, the row of its
outcome. Killed before the first, nothing has happened and the next run asks. Killed after the
sending began, the outcome is missing: the mail may have gone out, so it is not sent again, is
reported as ``unknown``, and counts as sent for reminders and daily limits. One process asks at
a time; should two, the key of the row lets only one of them send.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage

from data_platform.errors import MailRefused, MailUnavailable
from data_platform.redact import redact_text
from data_platform.settings import Settings
from populate.conversation.links import Link, address_of, refuse_loopback, signing_key, token_of
from populate.conversation.people import addresses, silent, unnamed
from populate.conversation.plan import (
    REFUSED,
    REFUSED_FOR_GOOD,
    SENT,
    UNKNOWN,
    Due,
    Known,
    Mail,
    Plan,
    candidates,
    plan,
)
from populate.conversation.questions import (
    Question,
    QuestionCopy,
    QuestionMail,
    QuestionMailRefused,
    QuestionMailSent,
)
from populate.conversation.revisit import revisit
from populate.conversation.statements import ask
from populate.conversation.wording import Told, html_text, plain_text, subject, teams_link, told
from populate.duplicates.live import exact_duplicates
from populate.lookup import add
from populate.mail import Mailer, SendingUnknown, mailer, message
from populate.work.lease import Lease
from schemas.binding import Binding
from schemas.engine import dj


@dataclass(frozen=True, slots=True)
class Asked:
    """A mail that went out, or would, and what became of it: ``planned``, or as in `populate.conversation.plan`."""

    question_id: str
    person: str
    address: str
    subject: str
    round: int
    saving: int  # bytes
    state: str


@dataclass(slots=True)
class Round:
    """What one run of asking did.

    Attributes
    ----------
    mails
        In the order in which they were sent.
    left_out
        Reason -> number of questions that are not asked now.
    unknown
        Mails of all runs of which it is not known whether they went out.
    stopped
        Why no more were sent, or empty.
    """

    mails: list[Asked] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)
    unknown: int = 0
    stopped: str = ""


def ask_due(
    binding: Binding,
    settings: Settings,
    *,
    limit: int | None = None,
    dry_run: bool = False,
    now: datetime | None = None,
) -> Round:
    """Send the questions and reminders that are due; safe to call at any time and as often as one likes.

    Parameters
    ----------
    binding
        With the tables of `populate.pipeline`, as a role that adds results (``worker``).
    limit
        At most so many mails.
    dry_run
        Send nothing and write nothing: return what would be sent.
    now
        UTC; the time of the machine unless given.

    Raises
    ------
    SettingsError
        If something is due and no mail server, sender or key is set, or links would lead to loopback.
    MailUnavailable
        If the mail server does not answer at all; then nobody was asked.
    """
    now = now or datetime.now(UTC).replace(tzinfo=None)
    binding.ensure()
    if dry_run:
        planned = planned_mails(binding, settings, now)
        due = planned.due[:limit]
        hidden = _unnamed(binding, due, now)
        mails = [_asked(one, _question_of(one, hidden), "planned") for one in due]
        return Round(mails, dict(planned.left_out), _unknown(binding))
    with Lease(binding, "ask").held() as alone:
        if not alone:
            return Round(stopped="Another process is asking at the moment.")
        revisit(binding, settings, now)
        planned = planned_mails(binding, settings, now)
        done = Round(left_out=dict(planned.left_out))
        if due := planned.due[:limit]:
            _send(binding, settings, due, done, now)
        done.unknown = _unknown(binding)
        return done


def planned_mails(binding: Binding, settings: Settings, now: datetime) -> Plan:
    """Return which mails are due."""
    found = candidates(exact_duplicates(binding))
    people = {candidate.person_id for candidate in found}
    known = Known(
        mails=_mails(binding),
        answered=frozenset(row[0] for row in ask(binding, "answered")),
        silent=silent(binding, people, now.date()),
        addresses=addresses(binding, people, settings.mail, now.date()),
        asked_as_another=frozenset((person, sha256) for person, sha256 in ask(binding, "asked_as_another")),
    )
    return plan(found, known, settings.questions, now)


def _mails(binding: Binding) -> list[Mail]:
    return [
        Mail(question, person, number, attempt, begun_at, _state(sent_at, for_good))
        for question, person, number, attempt, begun_at, sent_at, for_good in ask(binding, "mails")
    ]


def _state(sent_at: datetime | None, refused_for_good: bool | None) -> str:
    if sent_at is not None:
        return SENT
    if refused_for_good is None:
        return UNKNOWN
    return REFUSED_FOR_GOOD if refused_for_good else REFUSED


def _unknown(binding: Binding) -> int:
    return sum(mail.state == UNKNOWN for mail in _mails(binding))


def _send(binding: Binding, settings: Settings, due: Sequence[Due], done: Round, now: datetime) -> None:
    hidden = _unnamed(binding, due, now)
    compose = _Composer(binding, settings, due, now, hidden)
    with mailer(settings.mail) as server:
        for one in due:
            question = _question_of(one, hidden)
            made = compose.mail(one, question)  # before its row: what cannot be written is not "unknown"
            if not _begin(binding, one, now):
                continue  # somebody else sends it
            state, done.stopped = _hand_over(binding, server, made, one)
            done.mails.append(_asked(one, question, state))
            if done.stopped:
                return


def _unnamed(binding: Binding, due: Sequence[Due], now: datetime) -> frozenset[str]:
    """Return the owners of others' copies whom nobody may be told the names of."""
    return unnamed(binding, {copy.owner.person_id for one in due for copy in one.candidate.others}, now)


def _question_of(due: Due, hidden: Collection[str]) -> Told:
    candidate = due.candidate
    paths = [copy.path or copy.name for copy in candidate.copies]
    others = [copy for copy in candidate.others if copy.owner.person_id != candidate.person_id]
    return told(candidate.full_name, candidate.size, paths, others, unnamed=hidden)


class _Composer:
    """Writes mails, each with its own link."""

    def __init__(
        self, binding: Binding, settings: Settings, due: Sequence[Due], now: datetime, hidden: Collection[str]
    ) -> None:
        refuse_loopback(settings)
        self._settings = settings
        self._key = signing_key(settings)
        self._until = (now + timedelta(days=settings.questions.link_days)).replace(microsecond=0)
        owners = {_owner_of_origin(one) for one in due} if settings.questions.teams else set()
        left_alone = {*hidden, *silent(binding, owners, now.date())}  # who has left, too
        self._chats = addresses(binding, owners - left_alone, settings.mail, now.date())

    def mail(self, due: Due, question: Told) -> EmailMessage:
        person, settings = due.candidate.person_id, self._settings
        link = Link(due.candidate.question_id, person, self._until)
        address = address_of(token_of(link, self._key), settings)
        owner = _owner_of_origin(due)
        teams = teams_link(self._chats[owner], question) if owner in self._chats and owner != person else ""
        plain = plain_text(question, address, self._until, teams)
        html = html_text(question, address, self._until, teams)
        made = message(subject(question, due.round), due.address, plain, html, settings.mail)
        sender = settings.mail.sender.rpartition("@")[2]
        made["Message-ID"] = f"<{due.candidate.question_id}.{due.round}.{due.attempt}@{sender}>"
        return made


def _owner_of_origin(due: Due) -> str:
    return next((copy.owner.person_id for copy in due.candidate.others if copy.is_origin), "")


def _begin(binding: Binding, due: Due, now: datetime) -> bool:
    """Write down that a mail is about to go out; False if somebody else has done so."""
    candidate = due.candidate
    key = {"question_id": candidate.question_id}
    asked = {**key, "person_id": candidate.person_id, "sha256": candidate.sha256, "raised_at": now}
    copies = [{**key, "file_id": copy.file_id, "version_id": copy.version_id} for copy in candidate.copies]
    binding.ensure()
    with suppress(dj.errors.DuplicateError):
        with binding.transaction():
            if due.round == due.attempt == 1:
                add(Question, [asked])
                add(QuestionCopy, copies)
            QuestionMail.insert1({**_key(due), "begun_at": now})
        return True
    return False


def _hand_over(binding: Binding, server: Mailer, made: EmailMessage, due: Due) -> tuple[str, str]:
    """Send a mail and write down what became of it; return its state, and why to stop or nothing."""
    try:
        server.send(made)
    except MailRefused as error:
        _refused(binding, due, error, for_good=error.permanent)
        return (REFUSED_FOR_GOOD if error.permanent else REFUSED), ""
    except MailUnavailable as error:
        _refused(binding, due, error, for_good=False)
        return REFUSED, str(error)
    except SendingUnknown as error:
        return UNKNOWN, str(error)
    binding.ensure()
    QuestionMailSent.insert1({**_key(due), "sent_at": datetime.now(UTC).replace(tzinfo=None)})
    return SENT, ""


def _refused(binding: Binding, due: Due, error: Exception, for_good: bool) -> None:
    binding.ensure()
    QuestionMailRefused.insert1({**_key(due), "refused_for_good": for_good, "refusal": redact_text(str(error))[:512]})


def _key(due: Due) -> dict[str, object]:
    return {"question_id": due.candidate.question_id, "mail_round": due.round, "mail_attempt": due.attempt}


def _asked(due: Due, question: Told, state: str) -> Asked:
    candidate = due.candidate
    return Asked(
        candidate.question_id,
        question.person,
        due.address,
        subject(question, due.round),
        due.round,
        candidate.saving,
        state,
    )
