"""Who may be asked, and where they get mail."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime

from data_platform.settings import MailSettings
from populate.conversation.statements import ask
from populate.mail import is_permitted
from schemas.binding import Binding

NEVER = {
    "service": "service account",
    "guest": "guest",
}


def silent(binding: Binding, people: Collection[str], today: date) -> dict[str, str]:
    """Return those of the people who must not be asked, each with the reason.

    These are service accounts, guests, people who have left, and everybody whose latest
    answer to any question is that they do not want to be asked again, whoever they passed for then.
    """
    found = {person: NEVER[kind] for person, kind in ask(binding, "kinds", people=people) if kind in NEVER}
    found |= dict.fromkeys((row[0] for row in ask(binding, "departed", people=people, today=today)), "has left")
    found |= dict.fromkeys((row[0] for row in ask(binding, "opted_out", people=people)), "does not want to be asked")
    return found


def addresses(binding: Binding, people: Collection[str], settings: MailSettings, today: date) -> dict[str, str]:
    """Return where those of the people get mail to whom mail may go.

    It is the address that the directory told last; who has none gets mail at a login that is
    an address of one of ``mail.domains``. Nothing goes to other domains if any are set.
    """
    logins = ask(binding, "own_logins", people=people) if settings.domains else []
    told = ask(binding, "told_addresses", people=people, today=today)
    return {person: address for person, address in (*logins, *told) if is_permitted(address, settings)}


def unnamed(binding: Binding, people: Collection[str], now: datetime) -> frozenset[str]:
    """Return those of the people who are not to be named to colleagues (``findable closed``), as of `now`, UTC."""
    return frozenset(person for (person,) in ask(binding, "unnamed", people=people, now=now))
