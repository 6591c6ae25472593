"""Every form of link that people copy leads to the same item, and nobody's permissions change."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from reading_world import Place, fetch, place, read
from servers.microsoft365.library import Item

from data_platform.errors import AccessDenied, SettingsError, SourceNotFound, UnknownSource, VersionUnavailable
from readers.microsoft365.source import Microsoft365Source

DATA = b"plate,value\nA1,0.5\n"


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    with place(tmp_path, monkeypatch) as found:
        yield found


@pytest.fixture
def plate(found: Place) -> Item:
    return found.upload("Data 2026/plate 1 µ.csv", DATA)


def forms(item: Item) -> list[str]:
    """Return the links that lead to an item by its path."""
    site, path = item.drive.site, item.url.removeprefix(f"https://{item.drive.site.host}")
    host, folder = f"https://{site.host}", item.url.rpartition("/")[0].removeprefix(f"https://{site.host}")
    inner = quote(path.replace("%20", " ").replace("%C2%B5", "µ"), safe="")
    return [
        item.url,
        f"{item.url}?web=1",
        f"{host}/:x:/r{path}?d=w0123&csf=1&web=1&e=AbC",
        f"{host.upper()}{path}",
        f"{site.url}/_layouts/15/onedrive.aspx?id={inner}&parent={quote(folder, safe='')}",
        f"{item.drive.url}/Forms/AllItems.aspx?id={inner}&viewid=1",
        f"{site.url}/_layouts/15/download.aspx?SourceUrl={inner}",
        f"https://teams.microsoft.com/l/file/0A1B?tenantId=t&objectUrl={quote(item.url, safe='')}&baseUrl=x",
    ]


@pytest.mark.parametrize("who", ["the owner", "a reader", "a worker"])
def test_links_by_path(found: Place, plate: Item, who: str) -> None:
    found.world.share(plate, found.amy, found.bob)
    source = {"the owner": found.amy, "a reader": found.bob}.get(who)
    reading = found.source(source)
    for link in forms(plate):
        item = reading.resolve(link)
        assert (item.item_id, item.name) == (f"{plate.drive.id}/{plate.id}", "plate 1 µ.csv"), link
        assert fetch(reading, item)[0] == DATA, link


def test_a_library_of_a_site(found: Place) -> None:
    site = found.world.add_site("Lab Site", found.bob)
    library = found.world.add_library(site, "Raw Data")
    one = found.world.upload(site.drive, "a.csv", b"1", found.bob)
    two = found.world.upload(library, "x/b.csv", b"2", found.bob)
    source = found.source(found.bob)
    found.world.quirks.refuse_plain_addresses = True
    for item, data in ((one, b"1"), (two, b"2")):
        for link in forms(item)[:4]:
            assert read(source, link) == data
    root = source.resolve(library.url)
    assert root.is_folder
    assert [path for path, _ in source.list(root)] == ["x/b.csv"]
    owner = source.resolve(two.url).owner
    assert owner is not None
    assert owner.name == found.bob.id


def test_a_team_is_a_site(found: Place) -> None:
    team = found.world.add_team("Screening", found.bob)
    item = found.world.upload(team.drive, "General/a.csv", b"1", found.bob)
    source = found.source(found.bob)
    assert read(source, forms(item)[-1]) == b"1"
    assert source.resolve(item.url).source_system == "microsoft365/contoso.sharepoint.com"


@pytest.mark.parametrize("scope", ["organization", "users", "anonymous"])
def test_a_sharing_link_opens_for_the_one_request_only(found: Place, plate: Item, scope: str) -> None:
    link = found.world.link(plate, found.amy, *([found.bob] if scope == "users" else []), scope=scope).link
    assert link is not None
    source = found.source(found.bob)
    item = source.resolve(link.url)
    assert fetch(source, item)[0] == DATA
    assert item.owner is not None
    assert (item.owner.name, item.owner.shown) == (found.amy.id, found.amy.upn)
    assert read(source, link.url.partition("?")[0]) == DATA
    assert not link.redeemed
    assert all(asked.headers.get("prefer", "").lower() != "redeemsharinglink" for asked in found.server.requests)
    if scope != "users":
        with pytest.raises(AccessDenied):
            source.resolve(plate.url)


def test_a_link_for_others_stays_closed(found: Place, plate: Item) -> None:
    colin = found.world.add_user("Colin Cole")
    link = found.world.link(plate, found.amy, colin, scope="users").link
    assert link is not None
    with pytest.raises(AccessDenied) as caught:
        found.source(found.bob).resolve(link.url)
    assert link.url.partition("?")[0].rpartition("/")[2] not in str(caught.value)


def test_a_folder_that_is_open_by_its_link_alone(found: Place) -> None:
    inside = ("a.csv", "b.csv", "Plate #1 50%/c µ.csv", "Plate #1 50%/Deep/d.csv")
    for name in inside:
        found.upload(f"Set/{name}", name.encode())
    folder = found.drive.at(["Set"])
    assert folder is not None
    link = found.world.link(folder, found.amy).link
    assert link is not None
    found.world.pages.children = 1
    source = found.source(found.bob)
    listed = dict(source.list(source.resolve(link.url)))
    assert {path: fetch(source, item)[0] for path, item in listed.items()} == {name: name.encode() for name in inside}
    assert not link.redeemed
    deep = listed[inside[3]]
    assert (deep.owner.name if deep.owner else "") == found.amy.id
    found.server.faults.cut_downloads()  # what breaks off is asked for by the link again
    assert fetch(source, deep)[0] == inside[3].encode()
    assert [past.token for past in source.versions(deep)] == ["version:1.0"]


def test_where_a_link_does_not_reach_below_its_folder_it_is_said_what_to_do(found: Place) -> None:
    for name in ("a.csv", "Deep/b.csv"):
        found.upload(f"Set/{name}", name.encode())
    folder = found.drive.at(["Set"])
    assert folder is not None
    permission = found.world.link(folder, found.amy)
    assert permission.link is not None
    found.world.quirks.shares_without_paths = True
    source = found.source(found.bob)
    opened = source.resolve(permission.link.url)
    refused: dict[str, str] = {}
    listed = dict(source.walk(opened, lambda path, error: refused.update({path: str(error)})))
    assert {path: fetch(source, item)[0] for path, item in listed.items()} == {"a.csv": b"a.csv"}
    assert refused.keys() == {"Deep"}
    assert "Open the link once in the browser" in refused["Deep"]
    with pytest.raises(AccessDenied, match="ask its owner to share it"):
        list(source.list(opened))
    found.world.redeem(folder, permission, found.bob)  # as opening it in the browser does
    assert {path for path, _ in source.list(source.resolve(permission.link.url))} == {"a.csv", "Deep/b.csv"}


def test_another_file_in_the_place_of_one_behind_a_link_is_not_taken_for_it(found: Place) -> None:
    item = found.upload("Set/Deep/a.csv", DATA)
    folder = found.drive.at(["Set"])
    assert folder is not None
    link = found.world.link(folder, found.amy).link
    assert link is not None
    source = found.source(found.bob)
    ((_, listed),) = source.list(source.resolve(link.url))
    revision = source.revision(listed)
    found.world.delete(item, found.amy)
    found.upload("Set/Deep/a.csv", b"other")
    with pytest.raises(SourceNotFound, match="another item"):
        source.download(listed, revision, lambda piece: None)


def test_where_only_the_entry_of_the_list_is_told(found: Place, plate: Item) -> None:
    found.world.share(plate, found.amy, found.bob)
    link = found.world.link(plate, found.amy).link
    assert link is not None
    found.world.quirks.only_list_item = True
    assert read(found.source(found.amy), link.url) == DATA


def test_without_the_right_to_open_opaque_links_paths_still_work(found: Place, plate: Item) -> None:
    link = found.world.link(plate, found.amy).link
    assert link is not None
    source = found.source(found.amy, scopes=("Files.Read.All",))
    assert read(source, plate.url) == DATA
    with pytest.raises(AccessDenied):
        source.resolve(link.url)


def test_links_that_are_none(found: Place) -> None:
    source = found.source(found.amy)
    with pytest.raises(UnknownSource):
        source.resolve("https://teams.microsoft.com/l/channel/19%3a/General")
    with pytest.raises(SettingsError, match="gcchigh"):
        source.resolve("https://contoso.sharepoint.us/sites/Lab/a.csv")
    with pytest.raises(SourceNotFound):
        source.resolve(f"{found.drive.url}/never.csv")
    assert not Microsoft365Source.understands("https://sharepoint.com.example/a")
    assert not Microsoft365Source.understands("https://example.org/?u=https://contoso.sharepoint.com/a")


def test_versions_by_label_and_by_date(found: Place, plate: Item) -> None:
    second = b"second"
    found.world.advance(days=2)
    found.world.edit(plate, second, found.amy)
    found.world.advance(days=2)
    found.world.edit(plate, b"third", found.amy)
    source = found.source(found.amy)
    assert read(source, plate.url) == b"third"
    assert read(source, f"{plate.url}#version=1.0") == DATA
    assert read(source, f"{plate.url}#as-of={plate.versions[1].modified:%Y-%m-%dT%H:%M:%S}Z") == second
    for wrong in ("#version=99.0", "#as-of=1999-01-01", "#as-of=yesterday"):
        with pytest.raises(VersionUnavailable):
            source.revision(source.resolve(plate.url + wrong))
    tokens = [past.token for past in source.versions(source.resolve(plate.url))]
    assert tokens == ["version:3.0", "version:2.0", "version:1.0"]
    found.world.quirks.current_version_refused = True
    assert read(source, f"{plate.url}#version=3.0") == b"third"
    assert source.resolve(f"{plate.url}#version=1.0").item_id == source.resolve(plate.url).item_id
