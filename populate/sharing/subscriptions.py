"""Asking the source to tell us of changes, drive by drive, and asking again before it would stop."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote

from data_platform.errors import SourceNotFound
from data_platform.settings import Microsoft365Settings
from populate.facts import stored
from populate.lookup import add, unknown
from populate.sharing.drives import Drive, lookup_all
from populate.sharing.notices import REAUTHORIZE, REMOVED, can_be_told, client_state, subscription_id
from populate.sharing.parsing import Json, moment, text
from readers.microsoft365.graph import Graph
from schemas.following import ChangeSubscription, ChangeSubscriptionEvent, ChangeSubscriptionTerm

TERM = timedelta(minutes=42_000)  # the source admits 42,300
RENEW = timedelta(days=7)  # before its end, so that a week's outage costs nothing


@dataclass(frozen=True, slots=True)
class _Held:
    """The subscription of a drive: its id, its end, and what the source said of it that is not answered yet."""

    source_id: str = ""
    until: datetime = datetime.min
    pressed: bool = False
    removed: bool = False


class Subscriptions:
    """Keeps a subscription for each drive, where the source can reach us."""

    def __init__(self, graph: Graph, settings: Microsoft365Settings, now: datetime) -> None:
        self._graph = graph
        self._settings = settings
        self._now = now

    def keep(self, drives: Iterable[Drive], *, told_only: bool = False) -> int:
        """Make what is missing and prolong what would end soon; return how many requests that took.

        What the source has removed is made anew, and what it wants to be asked for again is prolonged, which counts
        as that.

        Parameters
        ----------
        told_only
            Only those of which the source said so.

        Raises
        ------
        SourceError
            If the source refuses one, as when it cannot reach us: then it would refuse the rest.
        """
        if not can_be_told(self._settings):
            return 0
        held, asked = self._held(), 0
        for drive in drives:
            one = held.get(drive.key, _Held())
            if not one.pressed and (one.until - self._now > RENEW or (told_only and not one.removed)):
                continue
            asked += 1
            if not (one.source_id and one.until > self._now and self._prolong(drive, one.source_id)):
                self._make(drive)
        return asked

    def _held(self) -> dict[str, _Held]:
        """Return for each drive the subscription that lasts longest; one that was removed does not last."""
        terms: dict[str, tuple[datetime, datetime]] = {}
        for key, *term in lookup_all(ChangeSubscriptionTerm, "subscription_id", "agreed_at", "subscribed_until"):
            terms[key] = max((term[0], term[1]), terms.get(key, (datetime.min, datetime.min)))
        events: dict[tuple[str, str], datetime] = {}
        for key, event, at in lookup_all(ChangeSubscriptionEvent, "told_subscription", "lifecycle_event", "event_at"):
            events[key, event] = max(at, events.get((key, event), at))
        found: dict[str, _Held] = {}
        for key, drive, source_id in lookup_all(
            ChangeSubscription, "subscription_id", "drive_key", "source_subscription"
        ):
            agreed, until = terms.get(key, (datetime.min, datetime.min))
            pressed = events.get((key, REAUTHORIZE), datetime.min) > agreed
            removed = (key, REMOVED) in events
            one = _Held("", removed=True) if removed else _Held(source_id, until, pressed)
            if one.until >= found.get(drive, _Held()).until:
                found[drive] = one
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
        key = {"subscription_id": subscription_id(source_id)}
        rows = [key | {"drive_key": drive.key, "source_subscription": stored(source_id, 255)}]
        add(ChangeSubscription, unknown(ChangeSubscription, rows, "subscription_id"))
        add(ChangeSubscriptionTerm, [key | {"agreed_at": self._now, "subscribed_until": until}])
