"""The source's own log: acts of sharing and reads of followed files, each once, as far back as it is kept.

The log comes in parts, in no order, some twice and some days late; each part is taken in once,
in one transaction with what it tells. Records of items that nobody follows are forgotten.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import quote

from data_platform.errors import ResyncRequired, SourceError, SourceNotFound
from populate import facts
from populate.facts import stored
from populate.lookup import add, lookup, unknown
from populate.sharing.grants import MAIL_REALM
from populate.sharing.log_records import Logged, acts, event_identity, logged, record_identity
from populate.sharing.parsing import Json, several, text
from populate.sharing.permissions import owners, share_edges
from populate.sharing.tree import MANY, portions
from populate.work.contention import persist
from readers.microsoft365.graph import Graph
from readers.microsoft365.refusal import refusal_of
from schemas.binding import Binding
from schemas.directory import Feed, FeedPosition
from schemas.following import LoggedItem, LoggedRead
from schemas.identity import account_id, identity, normal_login
from schemas.people import Account, AccountName, Person
from schemas.sharing import ShareEdge, ShareEvent, SourceLog, SourceRead

CONTENT = "Audit.SharePoint"
KEPT = timedelta(days=7)  # by the source
LONGEST = timedelta(hours=23)  # that is asked about at once; the source admits 24
AGAIN = timedelta(hours=1)  # is asked about once more: parts may be listed a little late
SPARE = timedelta(minutes=5)  # by which our clock may differ, at the far end of what is kept

_EXPIRED = "af20051"  # answered with 400
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Noted:
    """What was taken in: parts of the log, acts of sharing, and reads."""

    parts: int = 0
    events: int = 0
    reads: int = 0


@dataclass(slots=True)
class _Slice:
    """What the parts of a stretch of time tell."""

    parts: list[str] = field(default_factory=list)
    acts: list[Logged] = field(default_factory=list)
    reads: list[tuple[str, Logged]] = field(default_factory=list)


class SourceLogs:
    """Takes in the log of a tenant.

    Parameters
    ----------
    api
        The Management Activity API, asked as the worker.
    tenant
        Its id; also says who asks.
    now
        UTC.
    """

    def __init__(self, binding: Binding, api: Graph, tenant: str, now: datetime) -> None:
        self._binding = binding
        self._api = api
        self._tenant = tenant
        self._now = now
        self._system = f"microsoft365/{tenant.lower()}"
        self._feed = f"{self._system}/{CONTENT}"
        self.noted = Noted()

    def take(self) -> Noted:
        """Take in every part that is new.

        Raises
        ------
        SourceError
            If the log cannot be asked; what was taken in stays.
        """
        self._subscribe()
        for start, end in self._stretches():
            found = self._read(start, end)
            self._binding.ensure()  # the source may have taken long
            noted = persist(partial(self._write, found, end))
            self.noted.parts += noted.parts
            self.noted.events += noted.events
            self.noted.reads += noted.reads
        return self.noted

    def _subscribe(self) -> None:
        """Have the source collect the log for us, unless it does."""
        listed = several(self._api.get(f"subscriptions/list?{self._asking()}"), "value")
        if not any(text(one, "contentType") == CONTENT and text(one, "status") == "enabled" for one in listed):
            self._api.send("POST", f"subscriptions/start?contentType={CONTENT}&{self._asking()}")

    def _stretches(self) -> Iterator[tuple[datetime, datetime]]:
        held = [moment for moment in (_parsed(token) for token in self._positions().values()) if moment]
        start = max(self._now - KEPT + SPARE, *(moment - AGAIN for moment in held[-1:]), datetime.min)
        while start < self._now:
            end = min(start + LONGEST, self._now)
            yield start, end
            start = end

    def _read(self, start: datetime, end: datetime) -> _Slice:
        found = _Slice()
        times = f"startTime={start:%Y-%m-%dT%H:%M:%S}&endTime={end + timedelta(seconds=1):%Y-%m-%dT%H:%M:%S}"
        for page in self._api.pages(f"subscriptions/content?contentType={CONTENT}&{times}&{self._asking()}"):
            for part_id, uri in self._new_parts(page.value):
                joint = "&" if "?" in uri else "?"
                try:
                    answer = self._api.get(f"{uri}{joint}{self._asking()}")
                except SourceError as error:
                    if not _is_gone(error):
                        raise
                    _log.warning("A part of the log of %s is not there any more; the rest is taken in.", self._system)
                    continue
                self._sort(part_id, several(answer, "value"), found)
        return found

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

    def _sort(self, part_id: str, records: Iterable[Json], found: _Slice) -> None:
        """Keep what concerns followed items."""
        told = [one for one in logged(records) if one.log_item]
        known = _files(one.log_item for one in told)
        if part_id not in found.parts:
            found.parts.append(part_id)
            followed = [one for one in told if one.log_item in known]
            found.acts += [one for one in followed if not one.is_read]
            found.reads += [(part_id, one) for one in followed if one.is_read]

    def _write(self, found: _Slice, end: datetime) -> Noted:
        """Write down what a stretch of time tells, all or nothing of it, and how far the log was read."""
        with self._binding.transaction():
            noted = self._write_rows(found)
            self._move_on(end)
        return noted

    def _write_rows(self, found: _Slice) -> Noted:
        events = acts(found.acts)
        names = {one.actor for one in events} | {one.actor for _, one in found.reads}
        names |= {one.target for one in events if one.target_is_account}
        accounts = Names(names)
        files = _files(one.log_item for one in [*events, *(one for _, one in found.reads)])
        for part_id in found.parts:
            row = {"source_log_id": part_id, "log_source": stored(self._system, 255), "log_taken_at": self._now}
            add(SourceLog, [row])
        accounts.write()
        told = self._write_events(events, files, accounts)
        return Noted(len(found.parts), told, self._write_reads(found.reads, files, accounts))

    def _write_events(self, events: list[Logged], files: dict[str, str], accounts: Names) -> int:
        rows = [
            {
                "share_event_id": event_identity(self._system, one),
                "file_id": files[one.log_item],
                "actor_id": accounts.of(one.actor),
                "shared_at": one.at,
                "share_action": stored(one.operation, 64),
                "share_target": stored(one.target, 255),
            }
            for one in events
            if one.actor
        ]
        new = unknown(ShareEvent, facts.distinct(rows, "share_event_id"), "share_event_id")
        add(ShareEvent, new)
        owner = owners(set(files.values()))
        for one in events:
            if one.target_is_account and _gives(one):
                tie = (owner.get(files[one.log_item]), accounts.of(one.target), files[one.log_item])
                add(ShareEdge, share_edges([tie], one.at, "event"))
        return len(new)

    def _write_reads(self, reads: list[tuple[str, Logged]], files: dict[str, str], accounts: Names) -> int:
        first: dict[str, tuple[str, Logged]] = {}
        for part_id, one in reads:
            first.setdefault(record_identity(self._system, one.record_id), (part_id, one))
        known = {row[0] for some in portions(sorted(first), MANY)
                 for row in lookup(LoggedRead, "log_record_id", log_record_id=some)}  # fmt: skip
        new = {record_id: read for record_id, read in sorted(first.items()) if record_id not in known and read[1].actor}
        counts: Counter[tuple[Any, ...]] = Counter(
            (part_id, files[one.log_item], accounts.of(one.actor), one.at.date()) for part_id, one in new.values()
        )
        names = ("source_log_id", "file_id", "account_id", "source_read_on", "source_read_count")
        add(SourceRead, [dict(zip(names, (*key, count), strict=True)) for key, count in sorted(counts.items())])
        for some in portions(sorted(new.items()), MANY):
            add(LoggedRead, [{"log_record_id": key, "read_logged_on": one.at.date()} for key, (_, one) in some])
        owner = owners(set(files.values()))
        for _, one in new.values():
            tie = (owner.get(files[one.log_item]), accounts.of(one.actor), files[one.log_item])
            add(ShareEdge, share_edges([tie], one.at, "event"))
        return len(new)

    def _positions(self) -> dict[int, str]:
        rows = lookup(FeedPosition, "position_no", "position_token", feed=(self._feed,))
        return dict(sorted(rows))

    def _move_on(self, end: datetime) -> None:
        add(Feed, [{"feed": self._feed}])
        number = max(self._positions(), default=0) + 1
        key = {"feed": self._feed, "position_no": number}
        add(FeedPosition, [key | {"position_token": end.isoformat(), "position_at": self._now}])

    def _asking(self) -> str:
        return f"PublisherIdentifier={quote(self._tenant)}"


class Names:
    """Accounts by the names that the log calls people by."""

    def __init__(self, names: Collection[str]) -> None:
        self._accounts = {normal_login(name): "" for name in names if name}
        table = AccountName()
        for some in portions(sorted(self._accounts), MANY):
            marks = ", ".join(["%s"] * len(some))
            statement = (
                f"SELECT account_name, named_on, account_id FROM {table.full_table_name}"  # noqa: S608
                f" WHERE LOWER(account_name) IN ({marks}) ORDER BY named_on, account_id"
            )
            for name, _, account in table.connection.query(statement, args=list(some)).fetchall():
                self._accounts[normal_login(name)] = account

    def of(self, name: str) -> str:
        """Return the account of somebody: the one that the directory calls so, else one of that name alone."""
        return self._accounts[normal_login(name)] or account_id(MAIL_REALM, name)

    def write(self) -> None:
        """Add accounts for names that no directory told of."""
        rows = [
            {"account_id": key, "realm": MAIL_REALM, "login": name[:255], "person_id": key}
            for name, known in sorted(self._accounts.items())
            if not known and (key := account_id(MAIL_REALM, name))
        ]
        new = unknown(Account, facts.distinct(rows, "account_id"), "account_id")
        add(Person, facts.persons(new))
        add(Account, new)


def _gives(act: Logged) -> bool:
    """Tell whether an act gives access, rather than asking for it or taking it away."""
    operation = act.operation.lower()
    return not any(
        word in operation for word in ("revoke", "remove", "delete", "disable", "expire", "request", "reject")
    )


def _files(items: Iterable[str]) -> dict[str, str]:
    """Return the followed files, by what the log calls them."""
    found: dict[str, str] = {}
    for some in portions(sorted(set(items)), MANY):
        found |= dict(sorted(lookup(LoggedItem, "log_item", "file_id", log_item=some)))
    return found


def _is_gone(error: SourceError) -> bool:
    """Tell whether a part of the log was listed, but is not kept any more."""
    refusal = refusal_of(error)
    return isinstance(error, SourceNotFound | ResyncRequired) or (refusal is not None and _EXPIRED in refusal.codes)


def _parsed(token: str) -> datetime | None:
    try:
        return datetime.fromisoformat(token)
    except ValueError:
        return None
