"""Groups that sites have for themselves, among the grants of files."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sharing_world import Company, company, noted_grants, real_grants

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
