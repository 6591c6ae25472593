"""What the directory says about whoever signed in: whether they are still here, and in which groups."""

from __future__ import annotations

from dataclasses import dataclass

from populate.lookup import lookup
from populate.who.asker import Asker
from schemas.directory import AccountState, DirectoryEntry, DirectoryGroup
from schemas.people import Departure, Membership
from schemas.restrict import where

OPEN = "enabled"


@dataclass(frozen=True, slots=True)
class Standing:
    """What the directory says about an account.

    Only what directories wrote is in here: what readers tell of themselves gives nobody a role.

    Attributes
    ----------
    closed
        The account is disabled or deleted, or the person left and has not come back.
    login, name
        That people sign in with, and of the person; empty if no directory tells.
    groups
        Ids of the groups that the person is in, as the directory itself writes them.
    """

    closed: bool
    login: str
    name: str
    groups: frozenset[str]


def standing_of(asker: Asker, account: str) -> Standing:
    """Return what is known of one of the asker's accounts."""
    states = where(AccountState, account_id=account).to_dicts(order_by="state_since")
    entries = where(DirectoryEntry, account_id=account).to_dicts(order_by="entry_since")
    entry = entries[-1] if entries else {"entry_login": "", "entry_name": ""}
    closed = bool(states) and states[-1]["account_state"] != OPEN
    keys = lookup(DirectoryGroup, "group_key", group_id=set(asker.groups))
    groups = frozenset(str(key) for (key,) in keys)
    return Standing(closed or _left(asker), str(entry["entry_login"]), str(entry["entry_name"]), groups)


def _left(asker: Asker) -> bool:
    if not asker.person_id:
        return False
    today = asker.now.date()
    left = [day for day in where(Departure, person_id=asker.person_id).to_arrays("departed_on") if day <= today]
    since = [day for day in where(Membership, person_id=asker.person_id).to_arrays("member_since") if day <= today]
    return bool(left) and not any(day >= max(left) for day in since)
