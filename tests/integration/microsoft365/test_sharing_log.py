"""The source's own log: what people did with followed files, once, however often and late it is told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from servers.microsoft365.library import Item
from servers.microsoft365.people import User
from servers.microsoft365.searches import Search
from sharing_world import Company, company

from data_platform.errors import SourceUnavailable
from data_platform.settings import load
from populate.sharing import log_source
from populate.sharing.log import SourceLogs
from populate.sharing.log_source import Activity, AuditSearch
from populate.sharing.progress import Silent
from populate.sharing.sync import Synced, sync_sharing
from readers.microsoft365.access import as_worker, audit_as_worker
from schemas.binding import Binding
from schemas.restrict import where
from schemas.sharing import ShareEdge, ShareEvent, SourceLog, SourceRead


@pytest.fixture
def firm(binding: Binding, monkeypatch: pytest.MonkeyPatch) -> Iterator[Company]:
    with company(monkeypatch) as found:
        yield found


@pytest.fixture
def people(firm: Company) -> tuple[User, User, User]:
    amy, bob, colin = (firm.world.add_user(name) for name in ("Amy Ade", "Bob Bell", "Colin Cole"))
    firm.name(amy, bob, colin)
    return amy, bob, colin


@pytest.fixture
def results(firm: Company, binding: Binding, people: tuple[User, User, User]) -> Item:
    """A file of Amy's that Bob has read and that is followed since."""
    amy, bob, _ = people
    found = firm.world.upload(firm.world.add_drive(amy), "results.xlsx", b"one", amy)
    firm.read(binding, found, bob)
    firm.sync(binding)
    return found


def told(table: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = table.to_dicts(order_by="KEY")
    return rows


def test_an_act_and_reads_become_rows_once(
    binding: Binding, firm: Company, people: tuple[User, User, User], results: Item
) -> None:
    amy, bob, colin = people
    other = firm.world.upload(results.drive, "diary.txt", b"x", amy)
    firm.world.share(results, amy, colin)
    firm.world.share(other, amy, colin)
    for _ in range(3):
        firm.world.record("FileDownloaded", colin, results)
    firm.world.record("FileAccessed", bob, other)
    firm.world.record("FileDownloaded", firm.app, results)  # the worker's own look is nobody's read
    firm.sync(binding)
    (event,) = told(ShareEvent)
    assert (event["actor_id"], event["share_action"]) == (firm.person(amy), "SharingSet")
    assert event["share_target"].lower() == colin.upn.lower()
    assert [row["source_read_count"] for row in told(where(SourceRead, account_id=firm.person(colin)))] == [3]
    edges = where(ShareEdge, channel="event").to_dicts()
    assert {(edge["producer_id"], edge["consumer_id"]) for edge in edges} == {(firm.person(amy), firm.person(colin))}
    before = told(ShareEvent), told(SourceRead), told(SourceLog)
    firm.sync(binding)
    assert (told(ShareEvent), told(SourceRead), told(SourceLog)) == before

    firm.world.record("FileDownloaded", colin, results)  # this part of the log repeats an older record, too
    firm.sync(binding)
    counts = where(SourceRead, account_id=firm.person(colin)).to_arrays("source_read_count")
    assert sorted(counts) == [1, 3]


def test_a_log_that_comes_late_is_taken_in_by_day_and_not_longer_ago_than_it_is_kept(
    binding: Binding, firm: Company, people: tuple[User, User, User], results: Item
) -> None:
    colin = people[2]
    firm.world.log_delay = timedelta(hours=30)
    firm.world.record("FileDownloaded", colin, results)
    firm.sync(binding)
    assert told(SourceRead) == []
    firm.world.advance(hours=31)
    log = SourceLogs(
        binding,
        Activity(audit_as_worker(firm.settings()), firm.world.tenant_id),
        firm.world.tenant_id,
        datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=31),
    )
    log.take()
    assert log.noted.reads == 1
    lists = firm.server.count("subscriptions/content")
    firm.world.advance(days=30)
    log = SourceLogs(
        binding,
        Activity(audit_as_worker(firm.settings()), firm.world.tenant_id),
        firm.world.tenant_id,
        datetime.now(UTC).replace(tzinfo=None) + timedelta(days=30, hours=31),
    )
    log.take()  # and is not refused for asking about too long ago
    assert firm.server.count("subscriptions/content") - lists == 8
    assert log.noted.parts == 0


@pytest.mark.parametrize("backend", ["postgresql"])  # what is asked has nothing to do with it
def test_a_search_of_the_audit_log_tells_the_same(
    binding: Binding, firm: Company, people: tuple[User, User, User], results: Item, monkeypatch: pytest.MonkeyPatch
) -> None:
    amy, _, colin = people
    firm.app.application = frozenset(firm.app.application) - {"ActivityFeed.Read"}
    given = firm.server.settings(firm.app)
    given["microsoft365"] |= {"log": "search"}
    settings = load(**given)

    def sync() -> Synced:
        return sync_sharing(binding, settings, progress=Silent())

    assert log_source.PATIENCE <= 10  # seconds: a revocation that a notice tells of waits for the sync
    assert sync().refused.keys() == {"log"}  # without the permission
    firm.app.application |= {"AuditLogsQuery.Read.All"}
    monkeypatch.setattr(log_source, "PATIENCE", 0)
    firm.world.pages.users = 3  # records to a page
    firm.world.share(results, amy, colin)
    for _ in range(4):
        firm.world.record("FileDownloaded", colin, results)
    firm.world.record("FileDownloaded", firm.app, results)
    firm.server.faults.plan(403, "accessDenied", "/records")
    assert [sync().reads for _ in range(3)] == [0, 0, 4]  # a search goes on when its sync is over, or broke off
    assert firm.server.count("POST .*/auditLog/queries") == 2  # one was refused
    assert [(row["actor_id"], row["share_action"]) for row in told(ShareEvent)] == [(firm.person(amy), "SharingSet")]
    assert sum(where(SourceRead, account_id=firm.person(colin)).to_arrays("source_read_count")) == 4
    assert sync().refused == {}
    assert firm.server.count("POST .*/auditLog/queries") == 2  # not more often than once an hour

    before = told(ShareEvent), told(SourceRead)
    monkeypatch.setattr(log_source, "PATIENCE", 600)
    monkeypatch.setattr(log_source, "PAUSE", 0)
    firm.world.advance(hours=2)
    now = datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=2)
    log = SourceLogs(binding, AuditSearch(as_worker(settings), firm.world.tenant_id, now), firm.world.tenant_id, now)
    assert log.take().reads == 0  # a day is searched once more, and nothing counts twice
    assert (told(ShareEvent), told(SourceRead)) == before

    def take(hours: float) -> int:
        """Take the log in some time later; return how many searches were begun so far."""
        later = now + timedelta(hours=hours)
        SourceLogs(
            binding, AuditSearch(as_worker(settings), firm.world.tenant_id, later), firm.world.tenant_id, later
        ).take()
        return firm.server.count("POST .*/auditLog/queries")

    begun = firm.server.count("POST .*/auditLog/queries")
    monkeypatch.setattr(log_source, "PATIENCE", 0)
    monkeypatch.setattr(Search, "status", "failed")
    with pytest.raises(SourceUnavailable, match="failed"):
        take(2)
    assert take(2.1) == begun + 1  # it is not begun anew by each sync
    monkeypatch.setattr(Search, "status", "running")
    assert [take(3.1), take(20)] == [begun + 2] * 2
    with pytest.raises(SourceUnavailable, match="running"):  # one that never ends is given up
        take(28)
    assert [take(28.1), take(29.1)] == [begun + 2, begun + 3]


def test_without_the_permission_the_rest_goes_on(binding: Binding, firm: Company) -> None:
    amy, bob = firm.world.add_user("Amy Ade"), firm.world.add_user("Bob Bell")
    firm.app.application = frozenset(firm.app.application) - {"ActivityFeed.Read"}
    item = firm.world.upload(firm.world.add_drive(amy), "a.csv", b"a", amy)
    firm.read(binding, item, bob)
    done = firm.sync(binding)
    assert done.drives == 1
    assert done.refused.keys() == {"log"}
