"""People and groups from a real OpenLDAP server: paging, limits, renames, TLS."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority
from deliveries import hand_in, item, read
from servers.processes import free_port
from servers.slapd import BASE, READER, READER_SECRET, Directory, SlapdMissing, person, slapd

from data_platform.errors import DirectoryError, DirectoryIncomplete, DirectoryUnavailable, SettingsError
from data_platform.settings import Settings, load, settings
from populate.directory.ldap import read_ldap
from populate.directory.ldap_search import next_part
from populate.directory.members import members_of
from populate.directory.sync import SyncResult, take_in
from populate.ingest import Ingest
from schemas.binding import Binding
from schemas.directory import AccountMoved, AccountState, DirectoryGroup, GroupMember
from schemas.identity import account_id
from schemas.people import Account, AccountName, Departure, Membership, Person

DAY = datetime(2026, 5, 20, 9)
Serve = Callable[..., Directory]


@pytest.fixture(autouse=True)
def _realm(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_PLATFORM_REALM", "acme")
    settings.cache_clear()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    found = Authority(tmp_path)
    found.server_side("127.0.0.1")  # writes the file with key and certificate
    return found


@contextmanager
def served(tmp_path: Path, **options: Any) -> Iterator[Directory]:
    file = tmp_path / "127.0.0.1.pem"
    try:
        with slapd(tmp_path / "slapd", certificate=file, key=file, **options) as found:
            yield found
    except SlapdMissing as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture
def serve(tmp_path: Path, authority: Authority) -> Iterator[Serve]:
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(served(tmp_path, **options))


def reached(directory: Directory, home: Path, authority: Authority, **changes: Any) -> Settings:
    """Return settings that lead to the directory."""
    values: dict[str, Any] = {
        "ldap_url": directory.url,
        "ldap_base": BASE,
        "ldap_user": READER,
        "ldap_password": READER_SECRET,
        "ldap_ca": authority.path,
        "ldap_page": 100,
    }
    return load(home=home, directory=values | changes)


def sync(binding: Binding, wanted: Settings, now: datetime = DAY, **options: Any) -> SyncResult:
    return take_in(binding, "ldap", lambda positions: read_ldap(wanted), now=now, **options)


def ours(login: str) -> str:
    """Return whose a machine login is."""
    return str((Account() & {"account_id": account_id("acme", login)}).fetch1("person_id"))


def test_everybody_is_read_page_by_page(serve: Serve, home: Path, authority: Authority) -> None:
    directory = serve(people=345)
    picture = read_ldap(reached(directory, home, authority))
    assert len(picture.people) == 345
    assert {said.fields["department"] for said in picture.people.values()} == {f"Department {n}" for n in range(7)}
    assert all(said.since is not None for said in picture.people.values())


@pytest.mark.parametrize(("limit", "total"), [("50", "hard"), ("unlimited", "200")])
def test_a_limit_of_the_server_is_no_departure(
    serve: Serve, home: Path, authority: Authority, limit: str, total: str
) -> None:
    directory = serve(people=345, limit=limit, total=total)
    with pytest.raises(DirectoryIncomplete, match=r"sizeLimitExceeded|adminLimitExceeded"):
        read_ldap(reached(directory, home, authority))


def test_people_groups_and_managers_arrive_and_the_rest_is_steady(
    serve: Serve, home: Path, authority: Authority, binding: Binding
) -> None:
    directory = serve()
    wanted = reached(directory, home, authority)
    directory.hire("zoe", "Zoë Zander", departmentNumber="Chemistry", title="Head")
    directory.hire("amy", "Amy Ash", manager="zoe", departmentNumber="Chemistry", employeeNumber="17")
    directory.hire("ben", "Ben Bay", manager="zoe", departmentNumber="Physics")
    chemists = directory.group("chemists", person("amy"))
    directory.group("scientists", chemists, person("ben"))
    hand_in(binding, [read(item("/plate.csv"), "amy")], run="1")
    Ingest.populate()
    done = sync(binding, wanted)
    assert (done.told, done.new, done.groups, done.members_joined, done.odd) == (3, 3, 2, 2, [])
    assert done.joined == 0  # whoever read before is who they are: nobody has to be moved
    assert (Person() & {"person_id": ours("amy")}).fetch1("full_name") == "Amy Ash"
    stint = (Membership() & {"person_id": ours("amy")}).fetch1()
    assert (stint["department"], stint["manager_id"]) == ("Chemistry", ours("zoe"))
    names = {row["group_key"]: row["group_id"] for row in DirectoryGroup.to_dicts()}
    assert len(names) == 2
    everybody = members_of(binding, names.values())
    assert sorted(len(found) for found in everybody.values()) == [1, 2]  # by way of the other group
    again = sync(binding, wanted, DAY + timedelta(days=1))
    assert (again.new, again.changed, again.members_joined, again.members_left) == (0, 0, 0, 0)
    assert len(Membership()) == 3


def test_a_new_login_is_the_same_person_and_who_is_deleted_or_locked_leaves(
    serve: Serve, home: Path, authority: Authority, binding: Binding
) -> None:
    directory = serve()
    wanted = reached(directory, home, authority)
    for login in ("amy", "ben", "cy", "dora", "eve"):
        directory.hire(login, login.title(), departmentNumber="Chemistry")
    group = directory.group("chemists", person("amy"), person("ben"))
    sync(binding, wanted)
    amy, ben = ours("amy"), ours("ben")
    directory.rename("amy", "amy.elm")
    directory.change(person("amy.elm"), cn=["Amy Elm"], mail=["elm@lab.example"])
    directory.change(group, member=[person("amy.elm")])
    directory.delete(person("ben"))
    done = sync(binding, wanted, DAY + timedelta(days=1))
    assert (done.renamed, done.deleted, done.left, done.members_left) == (1, 1, 1, 1)
    assert ours("amy.elm") == ours("amy") == amy  # and what amy read is still Amy's
    assert (Person() & {"person_id": amy}).fetch1("full_name") == "Amy Elm"
    assert {row["account_name"] for row in AccountName.to_dicts()} >= {"amy", "amy.elm"}
    assert [row["person_id"] for row in Departure.to_dicts()] == [ben]
    assert len(GroupMember()) == 2
    assert sorted(row["account_state"] for row in AccountState.to_dicts()) == ["deleted", *["enabled"] * 5]
    assert len(AccountMoved()) == 0


def test_an_odd_filter_or_base_deactivates_nobody(
    serve: Serve, home: Path, authority: Authority, binding: Binding
) -> None:
    directory = serve(people=5)
    sync(binding, reached(directory, home, authority))
    for changes in ({"ldap_filter": "(uid=nobody)"}, {"ldap_filter": "(uid=p0001)"}, {"ldap_base": f"ou=none,{BASE}"}):
        with pytest.raises(DirectoryError, match=r"nobody|--allow-drop"):
            sync(binding, reached(directory, home, authority, **changes))
    assert {row["account_state"] for row in AccountState.to_dicts()} == {"enabled"}


def test_who_is_not_let_in_is_told_so_without_the_password(serve: Serve, home: Path, authority: Authority) -> None:
    directory = serve()
    with pytest.raises(DirectoryUnavailable, match="ldap_password") as refused:
        read_ldap(reached(directory, home, authority, ldap_password="PASSWORD-OF-NOBODY"))
    assert "PASSWORD-OF-NOBODY" not in str(refused.value)
    with pytest.raises(DirectoryUnavailable):
        read_ldap(reached(directory, home, authority, ldap_url=f"ldap://127.0.0.1:{free_port()}"))
    with pytest.raises(DirectoryUnavailable, match="ldap_ca"):
        read_ldap(reached(directory, home, authority, ldap_ca=None))  # nobody vouches for the server
    with pytest.raises(SettingsError, match="starttls"):
        read_ldap(reached(directory, home, authority, ldap_url="ldap://directory.lab.example", ldap_security="none"))
    with pytest.raises(SettingsError, match=r"directory\.ldap_base"):
        read_ldap(reached(directory, home, authority, ldap_base=""))


def test_long_lists_of_active_directory_are_gone_on_with() -> None:
    assert next_part("member;range=0-1499") == "member;range=1500-*"
    assert next_part("member;Range=1500-*") is None
    assert next_part("member") is None
