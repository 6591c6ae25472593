"""As whom reads are recorded on this machine."""

from __future__ import annotations

from dataclasses import dataclass

from data_platform.settings import Settings
from readers.event import consumer
from readers.microsoft365.accounts import Account, Accounts


@dataclass(frozen=True, slots=True)
class Standing:
    """Who reads.

    Attributes
    ----------
    microsoft365
        The person whose files are read and as whom it is recorded; None if nobody is signed in.
    others
        Who else is signed in.
    elsewhere
        Login, and how it is known, for sources without a sign-in.
    """

    microsoft365: Account | None
    others: tuple[Account, ...]
    elsewhere: tuple[str, str]


def standing(settings: Settings) -> Standing:
    """Return as whom reads are recorded; asks nobody."""
    accounts = Accounts(settings)
    current = accounts.current()
    machine = consumer(settings, None)
    others = tuple(one for one in accounts.all() if one != current)
    return Standing(current, others, (f"{machine.login.realm}/{machine.login.name}", machine.known_by))
