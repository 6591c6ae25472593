"""A sync that is refused something: it goes on with the rest, and asks again for what it was refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from servers.microsoft365.library import Item
from servers.microsoft365.people import User
from servers.sessions import another_binding, end_session, session_of
from sharing_world import Company, company, noted_grants, real_grants

from data_platform.errors import DatabaseUnavailable, SignInNeeded, SourceError
from populate.sharing.notices import note, pending
from populate.sharing.permissions import held, owners
from populate.sharing.progress import Silent
from populate.sharing.sync import sync_sharing
from populate.work.lease import Lease
from readers.microsoft365.access import as_worker
from schemas.binding import Binding
from schemas.catalogue import FileOwner
from schemas.directory import FeedPosition
from schemas.following import ItemState
from schemas.restrict import where
from schemas.sharing import Permission, PermissionEnded, SourceRead


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
def files(firm: Company, binding: Binding, people: tuple[User, User, User]) -> dict[str, Item]:
    """Two files of Amy's that Bob has read and may read, by key."""
    amy, bob, _ = people
    drive = firm.world.add_drive(amy)
    items = [firm.world.upload(drive, name, b"one", amy) for name in ("a.csv", "b.csv")]
    for item in items:
        firm.world.share(item, amy, bob)
    return {firm.read(binding, item, bob): item for item in items}


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "invalidRequest"), (403, "accessDenied"), (409, "conflict"), (423, "locked"), (501, "notSupported")],
)
@pytest.mark.parametrize("backend", ["postgresql"])  # what is answered does not depend on it
def test_one_refused_item_stops_nothing_and_is_asked_again(
    binding: Binding,
    firm: Company,
    people: tuple[User, User, User],
    files: dict[str, Item],
    status: int,
    code: str,
) -> None:
    amy, _, colin = people
    firm.sync(binding)
    (key, item), (other_key, other) = files.items()
    firm.world.revoke(item, item.permissions[0], amy)
    firm.world.share(other, amy, colin)
    firm.world.record("FileDownloaded", colin, other)
    fault = firm.server.faults.plan(status, code, f"{item.id}/permissions", 99)
    versions = firm.server.faults.plan(status, code, f"{item.id}/versions", 99)
    done = firm.sync(binding)
    assert f"{item.drive.id}/{item.id}" in done.refused
    assert noted_grants([other_key]) == {other_key: real_grants(firm, other)}
    assert len(SourceRead()) == 1  # the log is taken in all the same
    rows = len(ItemState())
    firm.sync(binding)
    assert len(ItemState()) == rows  # being refused again is nothing new
    assert noted_grants([key])[key].keys() >= {firm.person(people[1])}

    fault.times = versions.times = 0
    assert firm.sync(binding).refused == {}
    assert noted_grants([key]) == {key: real_grants(firm, item)}
    asked = firm.server.count("permissions")
    firm.sync(binding)
    assert firm.server.count("permissions") == asked


@pytest.mark.parametrize("backend", ["postgresql"])
def test_without_a_valid_sign_in_no_change_is_passed_over(
    binding: Binding, firm: Company, people: tuple[User, User, User], files: dict[str, Item]
) -> None:
    amy, _, colin = people
    firm.sync(binding)
    (key, item), (_, other) = files.items()
    firm.world.revoke(item, item.permissions[0], amy)
    firm.world.record("FileDownloaded", colin, other)
    fault = firm.server.faults.plan(401, "unauthenticated", f"{item.id}/permissions", 99)
    with pytest.raises(SignInNeeded):
        firm.sync(binding)
    assert len(SourceRead()) == 1
    fault.times = 0
    firm.sync(binding)
    assert noted_grants([key]) == {key: real_grants(firm, item)}


@pytest.mark.parametrize("backend", ["postgresql"])
def test_a_notice_for_a_drive_that_is_denied_does_not_have_it_asked_all_the_time(
    binding: Binding, firm: Company, files: dict[str, Item]
) -> None:
    firm.sync(binding)
    (drive_key,) = set(ItemState.to_arrays("drive_key"))
    note([drive_key], datetime(2026, 5, 4, 8))
    firm.server.faults.plan(403, "accessDenied", "root/delta", 99)
    done = sync_sharing(binding, firm.settings(), noticed=True, progress=Silent())
    assert done.drives == 0
    assert len(done.refused) == 1
    assert pending(binding) == {}


def test_a_lost_lease_is_taken_again_or_nothing_is_written(
    binding: Binding, firm: Company, monkeypatch: pytest.MonkeyPatch, files: dict[str, Item]
) -> None:
    graph = as_worker(firm.settings())
    ask = graph.batch

    def sync_and_meanwhile(act: Callable[[], object]) -> None:
        def batch(urls: Sequence[str], **headers: str) -> list[dict[str, Any] | SourceError]:
            monkeypatch.setattr(graph, "batch", ask)
            end_session(binding.settings, session_of(binding))
            act()
            return ask(urls, **headers)

        monkeypatch.setattr(graph, "batch", batch)
        sync_sharing(binding, firm.settings(), full=True, graph=graph, progress=Silent())

    with another_binding(binding) as other:
        theirs = Lease(other, "sync_sharing")
        with pytest.raises(DatabaseUnavailable, match="another sync"):
            sync_and_meanwhile(theirs.take)
        assert len(Permission()) == 0
        theirs.give()
        sync_and_meanwhile(lambda: None)
        assert noted_grants(files) == {key: real_grants(firm, item) for key, item in files.items()}
        assert theirs.take()  # it was given back


def test_all_open_rows_of_a_grant_end_with_it(
    binding: Binding, firm: Company, people: tuple[User, User, User], files: dict[str, Item]
) -> None:
    amy, bob, _ = people
    firm.sync(binding)
    (key, item), _ = files.items()
    grant = where(Permission, file_id=key, grantee_id=firm.person(bob)).fetch1()
    later = grant["granted_since"] + timedelta(microseconds=1)
    Permission.insert1(grant | {"granted_since": later})  # as two syncs at once left it
    assert held([key])[key][firm.person(bob)].since == later
    firm.world.revoke(item, item.permissions[0], amy)
    firm.sync(binding)
    assert len(where(PermissionEnded, file_id=key, grantee_id=firm.person(bob))) == 2
    assert noted_grants([key]) == {key: real_grants(firm, item)}


@pytest.mark.parametrize(("status", "code"), [(404, "AF20050"), (410, "AF20051"), (400, "AF20051")])
@pytest.mark.parametrize("backend", ["postgresql"])
def test_a_part_of_the_log_that_is_not_kept_any_more_is_passed_over(
    binding: Binding, firm: Company, people: tuple[User, User, User], files: dict[str, Item], status: int, code: str
) -> None:
    firm.sync(binding)  # files are followed from now on
    positions = len(FeedPosition())
    for item in files.values():
        firm.world.record("FileDownloaded", people[2], item)
    gone = firm.server.faults.plan(status, code, "GET .*/audit/", 1)
    done = firm.sync(binding)
    assert gone.fired == 1
    assert done.refused == {}
    assert len(FeedPosition()) > positions
    assert len(SourceRead()) < len(files)


@pytest.mark.parametrize("backend", ["postgresql"])
def test_of_several_owners_of_a_day_the_first_by_id_counts(
    binding: Binding, firm: Company, people: tuple[User, User, User], files: dict[str, Item]
) -> None:
    key = next(iter(files))
    since = max(where(FileOwner, file_id=key).to_arrays("owner_since"))
    for user in people:
        row = {"file_id": key, "owner_since": since, "account_id": firm.person(user)}
        FileOwner.insert1(row, skip_duplicates=True)
    assert owners([key]) == {key: min(map(firm.person, people))}
