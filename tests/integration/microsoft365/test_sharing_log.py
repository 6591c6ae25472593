"""The source's own log: what people did with followed files, once, however often and late it is told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from servers.microsoft365.library import Item
from servers.microsoft365.people import User
from sharing_world import Company, company

from populate.sharing.log import SourceLogs
from readers.microsoft365.access import audit_as_worker
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
        audit_as_worker(firm.settings()),
        firm.world.tenant_id,
        datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=31),
    )
    log.take()
    assert log.noted.reads == 1
    lists = firm.server.count("subscriptions/content")
    firm.world.advance(days=30)
    log = SourceLogs(
        binding,
        audit_as_worker(firm.settings()),
        firm.world.tenant_id,
        datetime.now(UTC).replace(tzinfo=None) + timedelta(days=30, hours=31),
    )
    log.take()  # and is not refused for asking about too long ago
    assert firm.server.count("subscriptions/content") - lists == 8
    assert log.noted.parts == 0


def test_without_the_permission_the_rest_goes_on(binding: Binding, firm: Company) -> None:
    amy, bob = firm.world.add_user("Amy Ade"), firm.world.add_user("Bob Bell")
    firm.app.application = frozenset(firm.app.application) - {"ActivityFeed.Read"}
    item = firm.world.upload(firm.world.add_drive(amy), "a.csv", b"a", amy)
    firm.read(binding, item, bob)
    done = firm.sync(binding)
    assert done.drives == 1
    assert done.refused.keys() == {"log"}
