"""The source's own log: acts of sharing and reads of followed files, each once, as far back as it is kept.

The log comes in parts, in no order, some twice and some days late; each part is taken in once,
in one transaction with what it tells. Records of items that nobody follows are forgotten.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from populate import facts
from populate.facts import stored
from populate.lookup import add, lookup, unknown
from populate.sharing.grants import MAIL_REALM
from populate.sharing.log_records import Logged, acts, event_identity, logged, record_identity
from populate.sharing.log_source import LogSource, system_of
from populate.sharing.parsing import Json
from populate.sharing.permissions import owners, share_edges
from populate.sharing.tree import MANY, portions
from populate.work.contention import persist
from schemas.binding import Binding
from schemas.directory import Feed, FeedPosition
from schemas.following import LoggedItem, LoggedRead
from schemas.identity import account_id, normal_login
from schemas.people import Account, AccountName, Person
from schemas.sharing import ShareEdge, ShareEvent, SourceLog, SourceRead

FIRST = timedelta(days=7)  # that are looked at when the log is read for the first time
SPARE = timedelta(minutes=5)  # by which our clock may differ, at the far end of what is kept


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
    source
        What it is taken in from.
    tenant
        Its id.
    now
        UTC.
    """

    def __init__(self, binding: Binding, source: LogSource, tenant: str, now: datetime) -> None:
        self._binding = binding
        self._source = source
        self._now = now
        self._system = system_of(tenant)
        self.noted = Noted()

    def take(self) -> Noted:
        """Take in every part that is new.

        Raises
        ------
        SourceError
            If the log cannot be asked; what was taken in stays.
        """
        self._source.begin()
        for start, end in self._stretches():
            parts = self._source.read(start, end)
            if parts is None:
                break  # the next sync asks for it
            found = _Slice()
            for part_id, records in parts:
                self._sort(part_id, records, found)
            self._binding.ensure()  # the source may have taken long
            noted = persist(partial(self._write, found, end))
            self.noted.parts += noted.parts
            self.noted.events += noted.events
            self.noted.reads += noted.reads
        return self.noted

    def _stretches(self) -> Iterator[tuple[datetime, datetime]]:
        source, last = self._source, self._last()
        if (left := source.left()) is not None:
            yield left
            last = left[1]
        if last is not None and self._now - last < source.every:
            return
        start = self._now - (source.kept if last is not None else min(source.kept, FIRST)) + SPARE
        start = start if last is None else max(start, last - source.again)
        while start < self._now:
            end = min(start + source.longest, self._now)
            yield start, end
            start = end

    def _last(self) -> datetime | None:
        held = [moment for moment in (_parsed(token) for token in self._positions().values()) if moment]
        return held[-1] if held else None

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
            self._source.taken()
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
        rows = lookup(FeedPosition, "position_no", "position_token", feed=(self._source.feed,))
        return dict(sorted(rows))

    def _move_on(self, end: datetime) -> None:
        add(Feed, [{"feed": self._source.feed}])
        number = max(self._positions(), default=0) + 1
        key = {"feed": self._source.feed, "position_no": number}
        add(FeedPosition, [key | {"position_token": end.isoformat(), "position_at": self._now}])


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


def _parsed(token: str) -> datetime | None:
    try:
        return datetime.fromisoformat(token)
    except ValueError:
        return None
