"""Personal OneDrives of people who are not of the company, and channels of teams."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from reading_world import Place, fetch, place, read
from servers.microsoft365.people import User

from data_platform.errors import AccessDenied, SourceNotFound, UnknownSource
from readers.microsoft365.items import PERSONAL_TENANT
from readers.microsoft365.sign_in import sign_in
from readers.microsoft365.source import Microsoft365Source


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    with place(tmp_path, monkeypatch) as found:
        yield found


def test_links_into_somebody_s_personal_onedrive(found: Place) -> None:
    drive = found.world.add_personal_drive("Eve Elsewhere")
    assert drive.owner.id not in found.world.users  # the company's directory knows nothing of her
    gel = found.world.upload(drive, "Pictures/gel.png", b"gel", drive.owner)
    found.world.upload(drive, "Pictures/plate.csv", b"plate", drive.owner)
    pictures = drive.at(["Pictures"])
    assert pictures is not None
    link, folder = (found.world.link(item, drive.owner, scope="anonymous").link for item in (gel, pictures))
    assert link is not None
    assert folder is not None
    assert link.url.startswith("https://1drv.ms/")
    source = found.source(found.bob)
    item = source.resolve(link.url)
    assert fetch(source, item)[0] == b"gel"
    assert (item.source_system, item.item_id) == ("microsoft365/onedrive.live.com", f"{drive.id}/{gel.id}")
    assert item.owner is not None
    cid = drive.owner.id  # of which the object id is made under which she would sign in herself
    account = f"00000000-0000-0000-{cid[:4]}-{cid[4:]}"
    assert (item.owner.realm, item.owner.name) == (f"entra/{PERSONAL_TENANT}", account)
    assert not link.redeemed
    listed = dict(source.list(source.resolve(folder.url)))
    assert {path: fetch(source, one)[0] for path, one in listed.items()} == {"gel.png": b"gel", "plate.csv": b"plate"}
    found.world.share(gel, drive.owner, found.bob)
    for address in (gel.url, f"https://onedrive.live.com/?id={gel.id}&cid={drive.id}"):
        assert read(source, address) == b"gel"


def test_who_signs_in_with_a_personal_account_owns_what_is_hers(found: Place) -> None:
    drive = found.world.add_personal_drive("Eve Elsewhere")
    owner = drive.owner
    assert isinstance(owner, User)
    gel = found.world.upload(drive, "gel.png", b"gel", owner)
    link = found.world.link(gel, owner, scope="users").link
    assert link is not None
    settings = found.settings(home="eve")
    found.server.sign_in(owner)
    account = sign_in(settings, lambda sentence: None, tenant="consumers")
    source = Microsoft365Source(settings)
    item = source.resolve(link.url)
    assert fetch(source, item)[0] == b"gel"
    reader = source.account()
    assert reader is not None
    assert reader == account.login
    assert item.owner is not None
    assert (reader.realm, reader.name) == (item.owner.realm, item.owner.name)  # she shares nothing with herself


def test_the_link_of_a_channel_is_its_folder(found: Place) -> None:
    team = found.world.add_team("Screening", found.bob, channels=("General", "Plates µ"))
    found.world.upload(team.drive, "Plates µ/a.csv", b"a", found.bob)
    found.world.upload(team.drive, "Plates µ/more/b.csv", b"b", found.bob)
    found.world.upload(team.drive, "General/c.csv", b"c", found.bob)
    assert team.group is not None
    (channel,) = (key for key, name in team.channels.items() if name == "Plates µ")
    where = f"{quote(channel, safe='')}/Plates%20%C2%B5?groupId={team.group.id}"
    link = f"https://teams.microsoft.com/l/channel/{where}&tenantId=t"
    source = found.source(found.bob)
    folder = source.resolve(link)
    assert (folder.is_folder, folder.name) == (True, "Plates µ")
    assert {path: fetch(source, one)[0] for path, one in source.list(folder)} == {"a.csv": b"a", "more/b.csv": b"b"}
    with pytest.raises(AccessDenied):
        found.source(found.amy).resolve(link)
    with pytest.raises(SourceNotFound):
        source.resolve(link.replace(team.group.id, found.world.new_guid()))
    with pytest.raises(UnknownSource):
        source.resolve(link.replace(team.group.id, "no-team"))
