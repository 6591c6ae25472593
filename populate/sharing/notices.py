"""Notices of the source that something has changed in a drive: who may send them, and what is still to be looked at."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

from pydantic import SecretStr

from data_platform.settings import Microsoft365Settings
from populate.lookup import add
from populate.sharing.parsing import Json, several, text
from schemas.binding import Binding
from schemas.following import ChangeNotice, ChangeNoticeTaken, ChangeSubscriptionEvent
from schemas.identity import identity

LEAST_KEY = 32  # characters
REMOVED, REAUTHORIZE = "subscriptionRemoved", "reauthorizationRequired"
LIFECYCLE = (REMOVED, REAUTHORIZE, "missed")
"""What the source tells of its telling: it has stopped, it will stop unless asked again, it has left something out."""

_PENDING = """
SELECT n.drive_key, n.noticed_at FROM {notice} n
WHERE NOT EXISTS (SELECT 1 FROM {taken} t WHERE t.drive_key = n.drive_key AND t.noticed_at = n.noticed_at)
"""

Notices = dict[str, list[datetime]]
"""For each drive, when it was said that something has changed."""


class Lifecycle(NamedTuple):
    """What became of a subscription, and which drive it is about."""

    drive_key: str
    subscription_id: str
    event: str


def can_be_told(settings: Microsoft365Settings) -> bool:
    """Tell whether the source is to tell us of changes: it needs our address, and we a key."""
    return bool(settings.notify_url) and len(settings.notify_key.get_secret_value()) >= LEAST_KEY


def client_state(key: SecretStr, drive_key: str) -> str:
    """Return what the source has to send along with notices of a drive: nobody else can know it.

    It names the drive and proves that we chose it, so that nothing need be looked up, or kept, to judge a notice.
    """
    proof = hmac.new(key.get_secret_value().encode(), f"notice {drive_key}".encode(), hashlib.sha256)
    return f"{drive_key}.{proof.hexdigest()}"


def drives_told_of(body: object, key: SecretStr) -> set[str]:
    """Return the drives that the notices in `body` are about; those that are not the source's are left out.

    Whatever became of a subscription, something may have changed meanwhile that we were not told.
    """
    return {drive_key for drive_key, _ in _believed(body, key)}


def lifecycle_told_of(body: object, key: SecretStr) -> set[Lifecycle]:
    """Return what the notices in `body` tell of subscriptions; those that are not the source's are left out."""
    return {
        Lifecycle(drive_key, subscription_id(text(notice, "subscriptionId")), event)
        for drive_key, notice in _believed(body, key)
        if (event := text(notice, "lifecycleEvent")) in LIFECYCLE
    }


def subscription_id(source_id: str) -> str:
    """Return the identity of a subscription."""
    return identity("subscription", source_id)


def _believed(body: object, key: SecretStr) -> Iterator[tuple[str, Json]]:
    for notice in several(body, "value"):
        state = text(notice, "clientState")
        drive_key = state.partition(".")[0]
        if hmac.compare_digest(client_state(key, drive_key).encode(), state.encode("utf-8", "replace")):
            yield drive_key, notice


def note(drives: Iterable[str], now: datetime) -> None:
    """Note that something has changed in drives."""
    add(ChangeNotice, [{"drive_key": drive, "noticed_at": now} for drive in sorted(set(drives))])


def note_lifecycle(events: Iterable[Lifecycle], now: datetime) -> None:
    """Note what became of subscriptions."""
    names = ("drive_key", "told_subscription", "lifecycle_event")
    add(
        ChangeSubscriptionEvent, [{"event_at": now} | dict(zip(names, one, strict=True)) for one in sorted(set(events))]
    )


def pending(binding: Binding) -> Notices:
    """Return the notices that were not followed up yet."""
    statement = _PENDING.format(notice=ChangeNotice().full_table_name, taken=ChangeNoticeTaken().full_table_name)
    found: Notices = {}
    for drive, at in binding.connection.query(statement).fetchall():
        found.setdefault(drive, []).append(at)
    return found


def has_notices(binding: Binding) -> bool:
    """Tell whether there are such."""
    return bool(pending(binding))


def take(notices: Notices, drives: Collection[str]) -> None:
    """Note that drives were asked after these notices had come."""
    rows = [{"drive_key": drive, "noticed_at": at} for drive in sorted(drives) for at in sorted(notices.get(drive, []))]
    add(ChangeNoticeTaken, rows)
