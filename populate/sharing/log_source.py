"""Where the log of a tenant comes from: the Management Activity API, or Graph's search of the audit log.

The first tells in parts what was logged since it was asked to collect, a week back at most. The
second looks for what happened in a stretch of time, half a year back, and takes minutes to hours
for it: what is not answered yet is asked about again by the next sync.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Protocol
from urllib.parse import quote

from data_platform.errors import ResyncRequired, SourceError, SourceNotFound, SourceUnavailable
from populate.lookup import add, lookup
from populate.sharing.parsing import Json, moment, part, several, text
from populate.sharing.tree import MANY, portions
from readers.microsoft365.graph import Graph
from readers.microsoft365.refusal import refusal_of
from schemas.directory import Feed, FeedPosition
from schemas.identity import identity
from schemas.sharing import SourceLog

CONTENT = "Audit.SharePoint"
RECORDS = ["sharePointFileOperation", "sharePointSharingOperation"]
PATIENCE = 5.0  # seconds that a sync waits for an answer to a search: notices of changes wait meanwhile
PAUSE = 1.0  # between two looks at whether there is one
LONGEST = timedelta(days=1)  # that a search may take

Stretch = tuple[datetime, datetime]
Parts = Iterator[tuple[str, Iterable[Json]]]
"""Identity and records of each part; no part is told twice once it was taken in."""

_EXPIRED = "af20051"  # answered with 400
_SEARCHES = "/security/auditLog/queries"
_FAILED = "failed"  # written in place of a search that came to nothing
_SAME = {"Id": "id", "Operation": "operation", "CreationTime": "createdDateTime", "UserId": "userPrincipalName"}
_log = logging.getLogger(__name__)


class LogSource(Protocol):
    """What the log is taken in from.

    Attributes
    ----------
    feed
        What positions in it are kept under.
    kept
        How long ago it tells of; the first time a week.
    longest
        That is asked about at once.
    again
        Before the last position that is asked about once more, for records come late.
    every
        It is not asked more often.
    """

    feed: str
    kept: timedelta
    longest: timedelta
    again: timedelta
    every: timedelta

    def begin(self) -> None:
        """Have the source do what it needs to be asked."""

    def left(self) -> Stretch | None:
        """Return a stretch of time that was asked about and is not answered yet."""

    def read(self, start: datetime, end: datetime) -> Parts | None:
        """Return what is new of a stretch of time; None if it is not known yet."""

    def taken(self) -> None:
        """Note that what was read last is written down; called within the transaction that does so."""


class Activity:
    """The Management Activity API.

    Parameters
    ----------
    api
        Asked as the worker.
    tenant
        Its id; also says who asks.
    """

    kept, longest, again, every = timedelta(days=7), timedelta(hours=23), timedelta(hours=1), timedelta()

    def __init__(self, api: Graph, tenant: str) -> None:
        self._api = api
        self._system = system_of(tenant)
        self._asking = f"PublisherIdentifier={quote(tenant)}"
        self.feed = f"{self._system}/{CONTENT}"

    def begin(self) -> None:
        """Have the source collect the log for us, unless it does."""
        listed = several(self._api.get(f"subscriptions/list?{self._asking}"), "value")
        if not any(text(one, "contentType") == CONTENT and text(one, "status") == "enabled" for one in listed):
            self._api.send("POST", f"subscriptions/start?contentType={CONTENT}&{self._asking}")

    def left(self) -> Stretch | None:
        return None

    def read(self, start: datetime, end: datetime) -> Parts:
        """Yield the parts that were made in a stretch of time."""
        times = f"startTime={start:%Y-%m-%dT%H:%M:%S}&endTime={end + timedelta(seconds=1):%Y-%m-%dT%H:%M:%S}"
        for page in self._api.pages(f"subscriptions/content?contentType={CONTENT}&{times}&{self._asking}"):
            for part_id, uri in self._new_parts(page.value):
                joint = "&" if "?" in uri else "?"
                try:
                    answer = self._api.get(f"{uri}{joint}{self._asking}")
                except SourceError as error:
                    if not _is_gone(error):
                        raise
                    _log.warning("A part of the log of %s is not there any more; the rest is taken in.", self._system)
                    continue
                yield part_id, several(answer, "value")

    def taken(self) -> None:
        """Do nothing: each part that was written down is known."""

    def _new_parts(self, listed: Iterable[Json]) -> list[tuple[str, str]]:
        """Return identity and address of the parts that were not taken in yet, each once."""
        parts = {
            identity("log part", self._system, text(one, "contentId")): text(one, "contentUri")
            for one in listed
            if text(one, "contentId") and text(one, "contentUri")
        }
        taken = {row[0] for some in portions(sorted(parts), MANY)
                 for row in lookup(SourceLog, "source_log_id", source_log_id=some)}  # fmt: skip
        return [(part_id, uri) for part_id, uri in parts.items() if part_id not in taken]


class AuditSearch:
    """Graph's search of the audit log.

    Parameters
    ----------
    graph
        Asked as the worker.
    tenant
        Its id.
    now
        UTC.
    """

    kept, longest, again, every = timedelta(days=180), timedelta(days=7), timedelta(days=1), timedelta(hours=1)

    def __init__(self, graph: Graph, tenant: str, now: datetime) -> None:
        self._graph = graph
        self._now = now
        self._system = system_of(tenant)
        self.feed = f"{self._system}/search"
        self._asked = f"{self.feed}/asked"

    def begin(self) -> None:
        """Do nothing: whoever may search can."""

    def left(self) -> Stretch | None:
        """Return the stretch of time of a search that was begun and not answered yet."""
        found = self._begun()
        return found[1] if found else None

    def read(self, start: datetime, end: datetime) -> Parts | None:
        """Return what happened in a stretch of time, page by page; None while the search goes on.

        After one that has failed, or did not end within a day, there is none for as long as between two that succeed.

        Raises
        ------
        SourceUnavailable
            If it has failed.
        """
        begun = self._begun()
        if begun is None and self._has_just_failed():
            return None
        search = begun[0] if begun and begun[1] == (start, end) else self._search(start, end)
        try:
            status = self._outcome(search)
        except SourceNotFound:  # it was forgotten: the next sync begins another one
            self._note("")
            return None
        is_young = self._now - self._last()[1] < LONGEST
        if status in ("notStarted", "running") and is_young:
            return None
        if status == "succeeded" and not is_young:
            self._note("")  # now: if what it found cannot be had, another one may be better
        if status != "succeeded":
            self._note(_FAILED)
            raise SourceUnavailable(
                f"Microsoft 365 could not search its audit log ({status[:40]}). Nothing to do: it is asked again."
            )
        return self._found(search)

    def taken(self) -> None:
        """Note that the search is over: one whose pages were not all read is gone on with by the next sync."""
        if self._begun() is not None:
            self._note("")

    def _has_just_failed(self) -> bool:
        written, at = self._last()
        return written == _FAILED and self._now - at < self.every

    def _search(self, start: datetime, end: datetime) -> str:
        body = {
            "displayName": "data-platform",
            "filterStartDateTime": f"{start.isoformat(timespec='seconds')}Z",
            "filterEndDateTime": f"{(end + timedelta(seconds=1)).isoformat(timespec='seconds')}Z",
            "recordTypeFilters": RECORDS,
        }
        search = text(self._graph.send("POST", _SEARCHES, body), "id")
        if not search:
            raise SourceUnavailable(
                "Microsoft 365 does not say which search it began. Nothing to do: it is tried again."
            )
        self._note(f"{search} {start.isoformat()} {end.isoformat()}")
        return search

    def _outcome(self, search: str) -> str:
        """Return what has become of a search, once there is something or for so long as a sync waits."""
        until = time.monotonic() + PATIENCE
        while True:
            status = text(self._graph.get(f"{_SEARCHES}/{quote(search)}"), "status")
            if status not in ("notStarted", "running") or time.monotonic() >= until:
                return status
            time.sleep(PAUSE)

    def _found(self, search: str) -> Parts:
        for number, page in enumerate(self._graph.pages(f"{_SEARCHES}/{quote(search)}/records")):
            yield identity("log part", self._system, "search", search, str(number)), map(_record, page.value)

    def _begun(self) -> tuple[str, Stretch] | None:
        written = self._last()[0].split()
        times = [moment(each) for each in written[1:]]
        if len(times) != 2 or times[0] is None or times[1] is None:
            return None
        return written[0], (times[0], times[1])

    def _last(self) -> tuple[str, datetime]:
        """Return what was noted last, and when."""
        rows = lookup(FeedPosition, "position_no", "position_token", "position_at", feed=(self._asked,))
        return (str(max(rows)[1]), max(rows)[2]) if rows else ("", self._now)

    def _note(self, written: str) -> None:
        """Note which search was begun, or that it is over, and how."""
        add(Feed, [{"feed": self._asked}])
        rows = lookup(FeedPosition, "position_no", feed=(self._asked,))
        number = max((row[0] for row in rows), default=0) + 1
        key = {"feed": self._asked, "position_no": number}
        add(FeedPosition, [key | {"position_token": written, "position_at": self._now}])


def system_of(tenant: str) -> str:
    """Return what the log of a tenant is known as."""
    return f"microsoft365/{tenant.lower()}"


def _record(found: Json) -> Json:
    """Return the record as the other way tells it; what it lacks is told beside it."""
    told = {name: text(found, other) for name, other in _SAME.items() if text(found, other)}
    return told | dict(part(found, "auditData"))


def _is_gone(error: SourceError) -> bool:
    """Tell whether a part of the log was listed, but is not kept any more."""
    refusal = refusal_of(error)
    return isinstance(error, SourceNotFound | ResyncRequired) or (refusal is not None and _EXPIRED in refusal.codes)
