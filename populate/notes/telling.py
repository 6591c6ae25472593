"""Tells people of new versions of the files that they follow: a mail to each, and a request for each webhook.

Of a mail nobody knows whether it went out if the process or the connection breaks while it is handed over: it is
not sent again. A webhook is, and has the same id each time, by which its receiver can tell.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from html import escape
from itertools import groupby
from typing import NamedTuple

from data_platform.errors import (
    DataPlatformError,
    MailRefused,
    MailUnavailable,
    SettingsError,
    UnknownSource,
    UnsafeLink,
)
from data_platform.redact import redact_text
from populate.conversation.people import addresses
from populate.conversation.wording import SHORT, harmless
from populate.mail import Mailer, SendingUnknown, mailer, message
from populate.notes.due import Due, due
from populate.notes.tables import VersionNotice, VersionNoticeRefused, VersionNoticeSent
from populate.notes.webhook import Hooks
from schemas.binding import Binding
from schemas.engine import dj
from schemas.identity import identity

ROUND_SECONDS = 30.0  # for the webhooks of a round, after which the next one goes on: queues must not wait for it
SHOWN = 20  # versions that a mail names

_log = logging.getLogger(__name__)


class Told(NamedTuple):
    """How many mails and webhooks went out, how many did not, and how many people have no address for mail."""

    mails: int
    hooks: int
    failed: int
    without_address: int


def tell_due(binding: Binding, now: datetime | None = None) -> Told:
    """Tell everybody of the new versions of the files that they follow.

    Parameters
    ----------
    now
        UTC; the time of the machine unless given.
    """
    settings = binding.settings
    if not (settings.mail.host or settings.subscriptions.webhook_hosts):
        return Told(0, 0, 0, 0)
    now = now or datetime.now(UTC).replace(tzinfo=None)
    found = due(binding, now, timedelta(seconds=settings.subscriptions.mail_seconds))
    hooks, failed_hooks = _call(binding, [one for one in found if one.way == "webhook"], now)
    by_mail = [one for one in found if one.way == "mail"] if settings.mail.host else []
    mails, failed_mails, nowhere = _mail(binding, by_mail, now)
    return Told(mails, hooks, failed_hooks + failed_mails, nowhere)


def _call(binding: Binding, wanted: Sequence[Due], now: datetime) -> tuple[int, int]:
    if not wanted or not binding.settings.subscriptions.webhook_hosts:
        return 0, 0
    hooks, sent, failed, end = Hooks(binding.settings), 0, 0, time.monotonic() + ROUND_SECONDS
    for one in wanted:
        if time.monotonic() > end:
            break
        if not _begin([one], now):
            continue
        try:
            hooks.send(one.hook_url, _message_id(one), _payload(one, now))
        except DataPlatformError as error:
            _refuse([one], now, error, for_good=isinstance(error, UnsafeLink | UnknownSource))
            failed += 1
        else:
            _sent([one], now)
            sent += 1
    return sent, failed


def _message_id(one: Due) -> str:
    return identity("version notice", one.person_id, one.file_id, one.subscribed_at.isoformat(), one.version_id)


def _payload(one: Due, now: datetime) -> dict[str, object]:
    return {
        "type": "file.version.new",
        "timestamp": f"{now.isoformat(timespec='seconds')}Z",
        "data": {
            "file_id": one.file_id,
            "version_id": one.version_id,
            "name": one.name.name,
            "path": one.name.path,
            "source_system": one.name.source_system,
            "first_read_at": f"{one.met_at.isoformat(timespec='seconds')}Z" if one.met_at else None,
        },
    }


def _mail(binding: Binding, wanted: Sequence[Due], now: datetime) -> tuple[int, int, int]:
    """Send each person one mail; return how many went out, how many did not, and how many people have no address."""
    people = {one.person_id for one in wanted}
    to = addresses(binding, sorted(people), binding.settings.mail, now.date()) if people else {}
    if not to:
        return 0, 0, len(people)
    sent = failed = 0
    try:
        with mailer(binding.settings.mail) as server:
            for person, group in groupby(wanted, key=lambda one: one.person_id):
                if person in to:
                    done = _mail_to(binding, server, to[person], list(group), now)
                    sent, failed = sent + (done is True), failed + (done is False)
    except (MailUnavailable, SettingsError) as error:
        _log.warning("Nobody was told of new versions by mail: %s", error)
        failed += 1
    return sent, failed, len(people) - len(to)


def _mail_to(binding: Binding, server: Mailer, address: str, news: list[Due], now: datetime) -> bool | None:
    """Tell whether a mail went out; None if another process sends it just now."""
    mail = message(_subject(news), address, _plain(news), _html(news), binding.settings.mail)
    if not _begin(news, now):
        return None
    try:
        server.send(mail)
    except MailRefused as error:
        _refuse(news, now, error, for_good=error.permanent)
        return False
    except MailUnavailable as error:
        _refuse(news, now, error, for_good=False)
        raise
    except SendingUnknown as error:
        _log.warning("A mail about new versions may have gone out: %s", error)
        return False
    _sent(news, now)
    return True


def _subject(news: Sequence[Due]) -> str:
    files = {one.file_id for one in news}
    return (
        f"New version of {harmless(news[0].name.name, SHORT)}"
        if len(files) == 1
        else (f"New versions of {len(files)} files")
    )


_END = "You asked to be told. `data-platform follow FILE --end` ends that for a file."


def _lines(news: Sequence[Due]) -> list[tuple[str, str]]:
    """Return name and place of each, and when it was met; what others called it is no link to any mail program."""
    lines = [(harmless(one.name.name), f"{harmless(one.name.path)}, {_met(one.met_at)}") for one in news[:SHOWN]]
    return lines + ([("…", f"and {len(news) - SHOWN} more")] if len(news) > SHOWN else [])


def _met(at: datetime | None) -> str:
    return f"first read on {at:%d %B %Y at %H:%M} UTC" if at else "not read yet"


def _plain(news: Sequence[Due]) -> str:
    return "\n".join(
        ["There are new versions:", "", *(f"- {name} ({rest})" for name, rest in _lines(news)), "", _END, ""]
    )


def _html(news: Sequence[Due]) -> str:
    lines = "".join(f"<li><b>{escape(name)}</b><br>{escape(rest)}</li>" for name, rest in _lines(news))
    return f"<p>There are new versions:</p><ul>{lines}</ul><p>{escape(_END)}</p>"


def _begin(news: Collection[Due], now: datetime) -> bool:
    """Note down that somebody is about to be told; False if another process does that just now."""
    try:
        VersionNotice.insert([{**one.key, "notice_begun_at": now} for one in news])
    except dj.errors.DuplicateError:
        return False
    return True


def _sent(news: Collection[Due], now: datetime) -> None:
    VersionNoticeSent.insert([{**one.key, "notice_sent_at": now} for one in news])


def _refuse(news: Collection[Due], now: datetime, error: Exception, *, for_good: bool) -> None:
    told = {"notice_refused_for_good": for_good, "notice_refusal": redact_text(str(error))[:512]}
    VersionNoticeRefused.insert([{**one.key, "notice_refused_at": now, **told} for one in news])
