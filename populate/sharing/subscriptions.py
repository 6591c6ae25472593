"""Asking the source to tell us of changes, drive by drive, and asking again before it would stop."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from urllib.parse import quote

from data_platform.errors import SourceNotFound
from data_platform.settings import Microsoft365Settings
from populate.facts import stored
from populate.lookup import add, unknown
from populate.sharing.drives import Drive, lookup_all
from populate.sharing.notices import can_be_told, client_state
from populate.sharing.parsing import Json, moment, text
from readers.microsoft365.graph import Graph
from schemas.following import ChangeSubscription, ChangeSubscriptionTerm
from schemas.identity import identity

TERM = timedelta(minutes=42_000)  # the source admits 42,300
RENEW = timedelta(days=7)  # before its end, so that a week's outage costs nothing


class Subscriptions:
    """Keeps a subscription for each drive, where the source can reach us."""

    def __init__(self, graph: Graph, settings: Microsoft365Settings, now: datetime) -> None:
        self._graph = graph
        self._settings = settings
        self._now = now

    def keep(self, drives: Iterable[Drive]) -> int:
        """Make what is missing and prolong what would end soon; return how many requests that took.

        Raises
        ------
        SourceError
            If the source refuses one, as when it cannot reach us: then it would refuse the rest.
        """
        if not can_be_told(self._settings):
            return 0
        held, asked = self._held(), 0
        for drive in drives:
            source_id, until = held.get(drive.key, ("", datetime.min))
            if until - self._now > RENEW:
                continue
            asked += 1
            if not (source_id and until > self._now and self._prolong(drive, source_id)):
                self._make(drive)
        return asked

    def _held(self) -> dict[str, tuple[str, datetime]]:
        """Return for each drive the subscription that lasts longest."""
        ends: dict[str, datetime] = {}
        for key, until in lookup_all(ChangeSubscriptionTerm, "subscription_id", "subscribed_until"):
            ends[key] = max(until, ends.get(key, until))
        found: dict[str, tuple[str, datetime]] = {}
        for key, drive, source_id in lookup_all(
            ChangeSubscription, "subscription_id", "drive_key", "source_subscription"
        ):
            until = ends.get(key, datetime.min)
            if until >= found.get(drive, ("", datetime.min))[1]:
                found[drive] = (source_id, until)
        return found

    def _make(self, drive: Drive) -> None:
        body = {
            "changeType": "updated",
            "notificationUrl": self._settings.notify_url,
            "lifecycleNotificationUrl": self._settings.notify_url,
            "resource": f"{drive.address}/root",
            "expirationDateTime": self._end,
            "clientState": client_state(self._settings.notify_key, drive.key),
            "latestSupportedTlsVersion": "v1_2",
        }
        self._note(drive, self._graph.send("POST", "/subscriptions", body, Prefer="includesecuritywebhooks"))

    def _prolong(self, drive: Drive, source_id: str) -> bool:
        """Ask for more time; False if the source does not know the subscription any more."""
        address = f"/subscriptions/{quote(source_id)}"
        try:
            answer = self._graph.send("PATCH", address, {"expirationDateTime": self._end})
        except SourceNotFound:
            return False
        self._note(drive, {"id": source_id, **answer})
        return True

    @property
    def _end(self) -> str:
        return f"{(self._now + TERM).isoformat(timespec='seconds')}Z"

    def _note(self, drive: Drive, answer: Json) -> None:
        source_id = text(answer, "id")
        until = moment(text(answer, "expirationDateTime")) or self._now + TERM
        key = {"subscription_id": identity("subscription", source_id)}
        rows = [key | {"drive_key": drive.key, "source_subscription": stored(source_id, 255)}]
        add(ChangeSubscription, unknown(ChangeSubscription, rows, "subscription_id"))
        add(ChangeSubscriptionTerm, [key | {"agreed_at": self._now, "subscribed_until": until}])
