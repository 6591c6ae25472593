"""Tells everybody whom a recall concerns: a notice each, and by mail at most one.

Both are safe to do at any time and as often as one likes. Whoever reads recalled bytes later is told then. A mail is
three steps as with questions (`populate.conversation.asking`), so that one that may have gone out is never sent again.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage

from data_platform.errors import MailRefused, MailUnavailable
from data_platform.redact import redact_text
from data_platform.settings import Settings
from populate.conversation.people import addresses
from populate.conversation.statements import ask as ask_people
from populate.lookup import add, lookup
from populate.mail import Mailer, SendingUnknown, mailer, message
from populate.recall.looking import Recalled, recalls_of
from populate.recall.reach import concerned
from populate.recall.statements import ask
from populate.recall.tables import RecallMail, RecallMailRefused, RecallMailSent, RecallNotice
from populate.recall.wording import html_text, plain_text, subject
from populate.who.asker import asker_of
from populate.work.lease import Lease
from readers.freshness import mark_of
from schemas.binding import Binding
from schemas.engine import dj
from schemas.people import Person
from schemas.recall import RecallMark

_log = logging.getLogger(__name__)
FOLLOWED = timedelta(days=90)
"""For so long somebody who meets recalled bytes gets a notice; who reads them later still is warned by the read."""

MOST_ATTEMPTS = 5
"""After so many refusals that might have passed a person sees to the address; the notice stays."""


@dataclass(slots=True)
class Told:
    """How many were noticed for the first time, mails that went out, were refused, or may have gone out.

    `without_address` counts people who get no mail; `stopped` says why no more were sent, or is empty.
    """

    noticed: int = 0
    sent: int = 0
    refused: int = 0
    unknown: int = 0
    without_address: int = 0
    stopped: str = ""


def raise_notices(binding: Binding, now: datetime | None = None) -> int:
    """Note down whom the recalls in force concern who has not been told; return how many these are."""
    noticed_at, raised = now or datetime.now(UTC).replace(tzinfo=None), 0
    for recall_id, file_id, sha256, recaller in ask(binding, "open", since=noticed_at - FOLLOWED):
        marks = {row[0] for row in lookup(RecallMark, "mark_id", recall_id={recall_id})}
        found = concerned(binding, file_id, sha256, wide=mark_of(sha256) in marks)
        known = {row[0] for row in lookup(RecallNotice, "account_id", recall_id={recall_id})}
        accounts = tuple(sorted({each.account_id for each in found} | {recaller}))
        people = dict(ask(binding, "people", accounts=accounts))
        rows = [
            {
                "recall_id": recall_id,
                "account_id": each.account_id,
                "concern": each.concern,
                "met_file_id": each.file_id,
                "met_sha256": each.sha256,
                "met_at": each.met_at,
                "noticed_at": noticed_at,
            }
            for each in found
            if each.account_id in people
            and each.account_id not in known
            and people[each.account_id] != people.get(recaller)
        ]
        add(RecallNotice, rows)
        raised += len(rows)
    return raised


def tell_due(binding: Binding, settings: Settings, now: datetime | None = None) -> Told:
    """Raise notices, and send the mails that have not been sent.

    Raises
    ------
    SettingsError
        If somebody is to be told and no mail server is set.
    MailUnavailable
        If the mail server does not answer at all.
    """
    moment = now or datetime.now(UTC).replace(tzinfo=None)
    with Lease(binding, "recall").held() as alone:
        if not alone:
            return Told(stopped="Another process is telling at the moment.")
        done = Told(raise_notices(binding, moment))
        due = _due(binding, moment)
        left = {row[0] for row in ask_people(binding, "departed", people=_people(due), today=moment.date())}
        due = [mail for mail in due if mail.person_id not in left]
        to = addresses(binding, _people(due), settings.mail, moment.date()) if due else {}
        done.without_address = len({mail.person_id for mail in due} - set(to))
        if to:
            _send(binding, settings, [(mail, to[mail.person_id]) for mail in due if mail.person_id in to], done, moment)
        return done


def tell_of_recalls(binding: Binding, *, by_mail: bool) -> int:
    """Raise notices, and send mail if wanted, as whoever keeps the queues does; return how many were noticed."""
    if not by_mail:
        return raise_notices(binding)
    done = tell_due(binding, binding.settings)
    if done.stopped:
        _log.warning("Mails about recalls wait: %s", done.stopped)
    return done.noticed


@dataclass(frozen=True, slots=True)
class _Mail:
    recall_id: str
    account_id: str
    person_id: str
    attempt: int

    @property
    def key(self) -> dict[str, object]:
        return {"recall_id": self.recall_id, "account_id": self.account_id, "recall_attempt": self.attempt}


def _people(due: list[_Mail]) -> list[str]:
    return sorted({mail.person_id for mail in due})


def _due(binding: Binding, now: datetime) -> list[_Mail]:
    """Return the mails to send: one for each recall and person who has not been sent it nor acknowledged it."""
    recalls = tuple(row[0] for row in ask(binding, "open", since=now - FOLLOWED))
    last: dict[tuple[str, str], int] = {}
    over: set[tuple[str, str]] = set()
    for recall_id, account, attempt, sent_at, for_good in ask(binding, "mails", recalls=recalls):
        last[recall_id, account] = max(attempt, last.get((recall_id, account), 0))
        if sent_at is not None or for_good is None or for_good or attempt >= MOST_ATTEMPTS:
            over.add((recall_id, account))
    accounts: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for recall_id, account, person, *_, acknowledged_at in ask(binding, "notices", recalls=recalls):
        accounts[recall_id, person].append(account)
        if acknowledged_at is not None or (recall_id, account) in over:
            over.add((recall_id, person))
    return [
        _Mail(recall_id, min(found), person, last.get((recall_id, min(found)), 0) + 1)
        for (recall_id, person), found in sorted(accounts.items())
        if (recall_id, person) not in over
    ]


def _send(binding: Binding, settings: Settings, due: list[tuple[_Mail, str]], done: Told, now: datetime) -> None:
    names = dict(lookup(Person, "person_id", "full_name", person_id={mail.person_id for mail, _ in due}))
    with mailer(settings.mail) as server:
        for mail, address in due:
            (recalled,) = recalls_of(asker_of(binding, mail.account_id, now), {mail.recall_id})
            made = _compose(recalled, names[mail.person_id], address, settings)
            if not _begin(mail, now):
                continue  # somebody else sends it
            done.stopped = _hand_over(binding, server, made, mail, done)
            if done.stopped:
                return


def _compose(recalled: Recalled, person: str, address: str, settings: Settings) -> EmailMessage:
    return message(subject(recalled), address, plain_text(recalled, person), html_text(recalled, person), settings.mail)


def _begin(mail: _Mail, now: datetime) -> bool:
    try:
        RecallMail.insert1({**mail.key, "recall_mail_at": now})
    except dj.errors.DuplicateError:
        return False
    return True


def _hand_over(binding: Binding, server: Mailer, made: EmailMessage, mail: _Mail, done: Told) -> str:
    """Send a mail and write down what became of it; return why to stop, or nothing."""
    try:
        server.send(made)
    except MailRefused as error:
        done.refused += 1
        _refused(binding, mail, error, for_good=error.permanent)
        return ""
    except MailUnavailable as error:
        done.refused += 1
        _refused(binding, mail, error, for_good=False)
        return str(error)
    except SendingUnknown as error:
        done.unknown += 1
        return str(error)
    done.sent += 1
    binding.ensure()
    RecallMailSent.insert1({**mail.key, "recall_sent_at": datetime.now(UTC).replace(tzinfo=None)})
    return ""


def _refused(binding: Binding, mail: _Mail, error: Exception, *, for_good: bool) -> None:
    binding.ensure()
    refusal = redact_text(str(error))[:512]
    RecallMailRefused.insert1({**mail.key, "recall_refused_for_good": for_good, "recall_refusal": refusal})
