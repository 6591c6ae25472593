"""Grants as dated rows: what a source lists now against what was noted, and what ran out meanwhile."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from populate import facts
from populate.facts import stored
from populate.lookup import add, lookup, unknown
from populate.sharing.grants import Grant
from populate.sharing.parsing import NEVER
from populate.sharing.tree import MANY, portions
from populate.work.contention import persist
from schemas.binding import Binding
from schemas.catalogue import FileOwner
from schemas.following import PermissionDetail, PermissionExpiry
from schemas.identity import normal_login
from schemas.people import Account, Person
from schemas.sharing import Permission, PermissionEnded, ShareEdge


@dataclass(frozen=True, slots=True)
class Held:
    """A grant that was noted and has not ended."""

    since: datetime
    level: str
    expires_at: datetime
    link: tuple[str, str]
    older: tuple[Held, ...] = ()
    """Grants of the same to the same that are open too, as two syncs at once leave them."""

    @property
    def all(self) -> tuple[Held, ...]:
        """This one and the older ones."""
        return (self, *self.older)


@dataclass(slots=True)
class Changed:
    """Grants that were noted, and grants that ended."""

    granted: int = 0
    ended: int = 0


def held(file_ids: Collection[str]) -> dict[str, dict[str, Held]]:
    """Return the grants in force of files, by file and grantee."""
    found: dict[str, dict[str, Held]] = {}
    for some in portions(sorted(file_ids), MANY):
        key = ("file_id", "grantee_id", "granted_since")
        ended = {row[:3] for row in lookup(PermissionEnded, *key, file_id=some)}
        expiry: dict[tuple[Any, ...], tuple[datetime, datetime]] = {}
        for *grant, told, expires in lookup(PermissionExpiry, *key, "expiry_told_at", "expires_at", file_id=some):
            expiry[tuple(grant)] = max((told, expires), expiry.get(tuple(grant), (told, expires)))
        details = {row[:3]: row[3:] for row in lookup(PermissionDetail, *key, "link_scope", "link_type", file_id=some)}
        for *grant, level in sorted(lookup(Permission, *key, "permission_level", file_id=some)):  # the latest counts
            identity = tuple(grant)
            if identity not in ended:
                file_id, grantee_id, since = identity
                expires_at = expiry.get(identity, (since, NEVER))[1]
                link = details.get(identity, ("", ""))
                of_file = found.setdefault(file_id, {})
                older = of_file[grantee_id].all if grantee_id in of_file else ()
                of_file[grantee_id] = Held(since, level, expires_at, (link[0], link[1]), older)
    return found


class Ledger:
    """Collects what changes in the grants of files, and writes it.

    Parameters
    ----------
    now
        UTC: when the source was asked.
    """

    def __init__(self, now: datetime) -> None:
        self.changed = Changed()
        self._now = now
        self._rows: dict[Any, facts.Rows] = {
            table: [] for table in (Person, Account, Permission, PermissionDetail, PermissionExpiry, PermissionEnded)
        }
        self._accounts: facts.Rows = []
        self._edges: list[tuple[str, str]] = []

    def compare(self, file_id: str, listed: Iterable[Grant], before: Mapping[str, Held]) -> None:
        """Note how the grants of a file differ from those `before`; what has run out by now is not granted."""
        granted = {grant.grantee.grantee_id: grant for grant in listed if grant.expires_at > self._now}
        for grantee_id, old in sorted(before.items()):
            new = granted.get(grantee_id)
            if new is not None:
                self._end_each(file_id, grantee_id, old.older)
            if new is None:
                self._end_each(file_id, grantee_id, old.all)
            elif (new.level, (new.link_scope, new.link_type)) != (old.level, old.link):
                self._end_each(file_id, grantee_id, [old])
                self._grant(file_id, new, max(self._now, old.since + timedelta(microseconds=1)))
            elif new.expires_at != old.expires_at:
                self._note_expiry(file_id, grantee_id, old.since, new.expires_at)
        for grantee_id, new in sorted(granted.items()):
            if grantee_id not in before:
                self._grant(file_id, new, self._now)

    def end_due(self, file_id: str, grantee_id: str, old: Held) -> None:
        """Note the end of what ran out by now of a grant and of older ones."""
        self._end_each(file_id, grantee_id, [one for one in old.all if one.expires_at <= self._now])

    def _end_each(self, file_id: str, grantee_id: str, grants: Iterable[Held]) -> None:
        """Note that grants are no longer in force: since they ran out, if they did, else since now."""
        for one in grants:
            key = {"file_id": file_id, "grantee_id": grantee_id, "granted_since": one.since}
            self._rows[PermissionEnded].append(key | {"ended_at": min(self._now, one.expires_at)})
            self.changed.ended += 1

    def write(self) -> None:
        """Add the rows; to be called within a transaction, once files and owners are there."""
        accounts = unknown(Account, facts.distinct(self._accounts, "account_id"), "account_id")
        add(Person, facts.persons(accounts))
        add(Account, accounts)
        for table in (Permission, PermissionDetail, PermissionExpiry, PermissionEnded):
            for some in portions(self._rows[table], MANY):
                add(table, some)
        for some in portions(self._grant_edges(), MANY):
            add(ShareEdge, some)

    def _grant(self, file_id: str, grant: Grant, since: datetime) -> None:
        grantee = grant.grantee
        key = {"file_id": file_id, "grantee_id": grantee.grantee_id, "granted_since": since}
        about = {"grantee": stored(grantee.label, 255), "grantee_kind": grantee.kind}
        self._rows[Permission].append(key | about | {"permission_level": stored(grant.level, 32)})
        self._rows[PermissionDetail].append(
            key
            | {
                "source_permission": stored(grant.source_permission, 512),
                "link_scope": stored(grant.link_scope, 32),
                "link_type": stored(grant.link_type, 32),
                "is_inherited": grant.inherited,
                "is_invitation": grant.invitation,
            }
        )
        if grant.expires_at != NEVER:
            self._note_expiry(file_id, grantee.grantee_id, since, grant.expires_at)
        if grantee.kind == "account":
            self._edges.append((file_id, grantee.grantee_id))
            names = {"realm": normal_login(grantee.realm)[:255], "login": normal_login(grantee.login)[:255]}
            self._accounts.append({"account_id": grantee.grantee_id, **names, "person_id": grantee.grantee_id})
        self.changed.granted += 1

    def _note_expiry(self, file_id: str, grantee_id: str, since: datetime, expires_at: datetime) -> None:
        key = {"file_id": file_id, "grantee_id": grantee_id, "granted_since": since}
        self._rows[PermissionExpiry].append(key | {"expiry_told_at": self._now, "expires_at": expires_at})

    def _grant_edges(self) -> facts.Rows:
        """Return an edge from a file's owner to each account that was granted something."""
        owner = owners({file_id for file_id, _ in self._edges})
        return share_edges(((owner.get(file), consumer, file) for file, consumer in self._edges), self._now, "grant")


def owners(file_ids: Collection[str]) -> dict[str, str]:
    """Return the account that owns each file, by the latest that the source said; of several of a day the first."""
    found: dict[str, tuple[Any, str]] = {}
    for some in portions(sorted(file_ids), MANY):
        for file_id, since, account in lookup(FileOwner, "file_id", "owner_since", "account_id", file_id=some):
            known = found.get(file_id)
            if known is None or since > known[0] or (since == known[0] and account < known[1]):
                found[file_id] = (since, account)
    return {file_id: account for file_id, (_, account) in found.items()}


def share_edges(ties: Iterable[tuple[str | None, str, str]], at: datetime, channel: str) -> facts.Rows:
    """Return `ShareEdge` rows of producer, consumer and file; none where one of these is not known, or both are one."""
    rows = (
        {
            "producer_id": producer,
            "consumer_id": consumer,
            "file_id": file_id,
            "shared_on": at.date(),
            "channel": channel,
        }
        for producer, consumer, file_id in ties
        if producer and producer != consumer
    )
    return facts.distinct(rows, "producer_id", "consumer_id", "file_id", "shared_on", "channel")


def end_expired(binding: Binding, now: datetime) -> int:
    """Note the end of grants that ran out by now, whether or not their source tells of it; return their number."""
    due = lookup_due(binding, now)
    ledger = Ledger(now)
    for file_id, grants in held(due).items():
        for grantee_id, old in sorted(grants.items()):
            ledger.end_due(file_id, grantee_id, old)
    persist(partial(_write_alone, binding, ledger))
    return ledger.changed.ended


def _write_alone(binding: Binding, ledger: Ledger) -> None:
    with binding.transaction():
        ledger.write()


_DUE = """
SELECT DISTINCT x.file_id FROM {expiry} x
WHERE x.expires_at <= %s AND NOT EXISTS (
    SELECT 1 FROM {ended} e
    WHERE e.file_id = x.file_id AND e.grantee_id = x.grantee_id AND e.granted_since = x.granted_since)
"""


def lookup_due(binding: Binding, now: datetime) -> set[str]:
    """Return the files some grant of which ran out by now and is not noted as ended."""
    statement = _DUE.format(expiry=PermissionExpiry().full_table_name, ended=PermissionEnded().full_table_name)
    return {file_id for (file_id,) in binding.connection.query(statement, args=(now,)).fetchall()}
