"""Notices of the source that something has changed in a drive: who may send them, and what is still to be looked at."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Iterable
from datetime import datetime

from pydantic import SecretStr

from data_platform.settings import Microsoft365Settings
from populate.lookup import add
from populate.sharing.parsing import several, text
from schemas.binding import Binding
from schemas.following import ChangeNotice, ChangeNoticeTaken

LEAST_KEY = 32  # characters
_PENDING = """
SELECT n.drive_key, n.noticed_at FROM {notice} n
WHERE NOT EXISTS (SELECT 1 FROM {taken} t WHERE t.drive_key = n.drive_key AND t.noticed_at = n.noticed_at)
"""

Notices = dict[str, list[datetime]]
"""For each drive, when it was said that something has changed."""


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
    """Return the drives that the notices in `body` are about; those that are not the source's are left out."""
    found = set()
    for notice in several(body, "value"):
        state = text(notice, "clientState")
        drive_key = state.partition(".")[0]
        if hmac.compare_digest(client_state(key, drive_key).encode(), state.encode("utf-8", "replace")):
            found.add(drive_key)
    return found


def note(drives: Iterable[str], now: datetime) -> None:
    """Note that something has changed in drives."""
    add(ChangeNotice, [{"drive_key": drive, "noticed_at": now} for drive in sorted(set(drives))])


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
