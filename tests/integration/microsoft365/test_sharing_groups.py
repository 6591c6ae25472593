"""Groups that sites have for themselves, among the grants of files."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from servers.microsoft365.people import User
from sharing_world import Company, company, noted_grants, real_grants

from data_platform.settings import load
from populate.directory.entra import read_entra
from populate.directory.sync import take_in
from populate.who.asker import asker
from schemas.binding import Binding
from schemas.restrict import where
from schemas.sharing import Permission


@pytest.fixture
def backend() -> str:
    """Return the kind of database. What a source calls its groups has nothing to do with it."""
    return "postgresql"


@pytest.fixture
def firm(binding: Binding, monkeypatch: pytest.MonkeyPatch) -> Iterator[Company]:
    with company(monkeypatch) as found:
        yield found


def test_groups_of_two_sites_with_one_name_and_number_are_two(binding: Binding, firm: Company) -> None:
    world = firm.world
    amy, bob = world.add_user("Amy Ade"), world.add_user("Bob Bell")
    sites = [world.add_site(name, amy) for name in ("Assays", "Screens")]
    own = [world.add_site_group(site, "Lab Members", bob) for site in sites]
    assert own[0].number == own[1].number
    files = [world.upload(site.drive, "a.csv", b"a", amy) for site in sites]
    second = world.upload(world.add_library(sites[0], "Raw"), "b.csv", b"b", amy)
    for file, group in ((files[0], own[0]), (files[1], own[1]), (second, own[0])):
        world.share(file, amy, group)
    keys = [firm.read(binding, file, bob) for file in (*files, second)]
    assert firm.sync(binding).refused == {}
    for key, file in zip(keys, (*files, second), strict=True):
        assert noted_grants([key]) == {key: real_grants(firm, file)}
    rows = where(Permission, grantee="Lab Members").to_dicts()
    assert {row["grantee_kind"] for row in rows} == {"group"}
    of_file = {row["file_id"]: row["grantee_id"] for row in rows}
    assert of_file[keys[0]] != of_file[keys[1]]
    assert of_file[keys[0]] == of_file[keys[2]]  # in another library of the same site
    world.revoke(files[0], files[0].permissions[-1], amy)
    firm.sync(binding)
    assert noted_grants([keys[0]]) == {keys[0]: real_grants(firm, files[0])}


def test_a_group_of_a_site_opens_a_file_to_nobody_here_whoever_is_in_it(binding: Binding, firm: Company) -> None:
    world = firm.world
    amy, bob, colin, dana = (world.add_user(name) for name in ("Amy Ade", "Bob Bell", "Colin Cole", "Dana Dee"))
    site = world.add_site("Assays", amy)
    own = world.add_site_group(site, "Lab Members", colin)
    alike = world.add_group("Lab Members", dana)  # the directory's, whose members are known
    inner, other = (world.upload(site.drive, name, b"x", amy) for name in ("inner.csv", "other.csv"))
    world.share(inner, amy, own)
    world.share(other, amy, alike)
    keys = [firm.read(binding, item, amy) for item in (inner, other)]
    take_in(binding, "entra", lambda positions: read_entra(firm.settings(), positions))
    assert firm.sync(binding).refused == {}
    assert {row["file_id"] for row in where(Permission, grantee="Lab Members").to_dicts()} == set(keys)

    def known_to(user: User) -> set[str]:
        who = asker(binding, load(realm=firm.realm, account=user.id))
        return {row[0] for row in who.ask("names_of", files=tuple(keys))}

    assert (known_to(amy), known_to(dana)) == (set(keys), {keys[1]})
    assert known_to(colin) == known_to(bob) == set()
