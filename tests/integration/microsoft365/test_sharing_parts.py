"""A first sync that is killed goes on where it was left; who reads a file of a site learns what it inherits."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest
from servers.microsoft365.library import Item
from sharing_world import Company, company, noted_grants, noted_items, real_grants, real_items

from populate.sharing import changes, sync
from populate.sharing.progress import Silent
from schemas.binding import Binding
from schemas.catalogue import FileGone, FileName, FileOwner
from schemas.following import DrivePosition, ReadFile, SourceVersion
from schemas.identity import file_id
from schemas.restrict import where

FILES, PAGE, PART = 60, 7, 20


class Killed(BaseException):
    """Ends a sync as a signal does, wherever it is."""


class KilledLater(Silent):
    """Lets so many portions be written down."""

    def __init__(self, portions: int) -> None:
        self.left = portions

    def asked(self, asked: int, of: int, items: int) -> None:
        self.left -= 1
        if not self.left:
            raise Killed


@pytest.fixture
def backend() -> str:
    """Return the kind of database. The other tests of sharing run the same statements on both."""
    return "postgresql"


@pytest.fixture
def firm(binding: Binding, monkeypatch: pytest.MonkeyPatch) -> Iterator[Company]:
    monkeypatch.setattr(changes, "PART", PART)
    monkeypatch.setattr(sync, "ITEMS_AT_ONCE", PART)
    with company(monkeypatch) as found:
        found.world.pages.drive_delta = PAGE
        yield found


def key_of(item: Item) -> str:
    return file_id(f"microsoft365/{item.drive.site.host}", f"{item.drive.id}/{item.id}")


def test_a_killed_sync_goes_on_and_a_later_read_brings_inherited_grants(binding: Binding, firm: Company) -> None:
    world = firm.world
    amy, bob, colin = (world.add_user(name) for name in ("Amy Ade", "Bob Bell", "Colin Cole"))
    large, small = (world.add_site(name, amy, visitors=(bob,)).drive for name in ("Large", "Small"))
    files = [world.upload(large, f"Runs/plate {number}.csv", b"x", amy) for number in range(FILES)]
    world.upload(small, "one.csv", b"x", amy)
    world.link(files[3], amy)
    runs = large.at(["Runs"])
    assert runs is not None
    world.rename(runs, "All runs", amy)  # so the source tells of the folder last
    early = firm.read(binding, files[FILES - 1], bob)
    firm.follow = [f"{drive.site.host}{drive.site.path}" for drive in (large, small)]

    with pytest.raises(Killed):
        sync.sync_sharing(binding, firm.settings(), progress=KilledLater(2))
    half, asked = len(noted_items([large])), pages(firm, large.id)
    assert PART <= half < FILES
    world.delete(files[0], amy)
    world.rename(files[1], "renamed.csv", amy)
    firm.sync(binding)
    assert noted_items([large, small]) == real_items([large, small])
    assert pages(firm, large.id) - asked <= (FILES + 4 - half) // PAGE + 2  # none was asked for twice
    assert set(DrivePosition.to_arrays("position_scope")) == {"part", "all"}
    paths = {path for path in FileName.to_arrays("file_path") if path.startswith("All runs/")}
    assert len(paths) == FILES + 1  # plate 1 has two names; nothing was noted without its folder
    assert set(FileName.to_arrays("file_path")) - paths <= {"one.csv", "", "All runs"}
    assert noted_grants([early]) == {early: real_grants(firm, files[FILES - 1])}

    plain = files[7]
    later = key_of(plain)
    assert noted_grants([later]) == {later: {}}
    assert firm.read(binding, plain, bob) == later
    assert firm.sync(binding).refused == {}
    assert noted_grants([later]) == {later: real_grants(firm, plain)}
    assert real_grants(firm, plain).keys() >= {firm.person(bob)}
    assert len(where(SourceVersion, file_id=later)) == 1
    assert firm.person(amy) in where(FileOwner, file_id=later).to_arrays("account_id")
    assert set(ReadFile.to_arrays("file_id")) == {early, later}
    before = firm.server.count("permissions|items/")
    firm.sync(binding)
    assert firm.server.count("permissions|items/") == before  # that was asked once
    world.share(runs, amy, colin)
    firm.sync(binding)
    assert noted_grants([early, later]) == {early: real_grants(firm, files[59]), later: real_grants(firm, plain)}

    world.forget_delta(large)  # everything is told again, in parts, and what none of them tells is gone
    world.delete(files[2], amy)
    world.rename(files[40], "moved.csv", amy)
    places = len(DrivePosition())
    with pytest.raises(Killed):
        sync.sync_sharing(binding, firm.settings(), progress=KilledLater(2))
    assert key_of(files[2]) in noted_items([large])
    assert len(DrivePosition()) == places
    firm.sync(binding)
    assert noted_items([large, small]) == real_items([large, small])
    assert len(DrivePosition()) == places + 1


def test_a_site_of_which_files_were_read_is_told_of_in_parts_and_they_are_asked_about_in_pieces(
    binding: Binding, firm: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = firm.world
    amy, bob = (world.add_user(name) for name in ("Amy Ade", "Bob Bell"))
    drive = world.add_site("Large", amy, visitors=(bob,)).drive
    files = [world.upload(drive, f"Runs/plate {number}.csv", b"x", amy) for number in range(FILES)]
    old = world.upload(drive, "Old/plate.csv", b"x", amy)
    read = {firm.read(binding, item, bob): item for item in [old, *files[:6]]}

    def killed(portions: int) -> None:
        with pytest.raises(Killed):
            sync.sync_sharing(binding, firm.settings(), progress=KilledLater(portions))

    monkeypatch.setattr(sync, "ITEMS_AT_ONCE", 3)
    for _ in range(2):
        ReadFile().delete_quick()  # the second time as if it was not known yet which files were read
        killed(1)
        assert len(ReadFile()) == 3
        firm.sync(binding)
        assert set(ReadFile.to_arrays("file_id")) == read.keys()
        assert noted_grants(read) == {key: real_grants(firm, item) for key, item in read.items()}

    monkeypatch.setattr(sync, "ITEMS_AT_ONCE", PART)
    world.delete(files[0], amy)
    above = drive.at(["Old"])
    assert above is not None
    world.delete(above, amy)
    firm.follow = [f"{drive.site.host}{drive.site.path}"]
    killed(2)
    assert PART <= len(noted_items([drive])) < FILES
    assert "part" in DrivePosition.to_arrays("position_scope")
    world.delete(files[1], amy)
    firm.sync(binding)
    assert noted_items([drive]) == real_items([drive])
    assert set(FileGone.to_arrays("file_id")) >= {key_of(item) for item in (old, *files[:2])}
    asked = firm.server.count("items/")
    firm.sync(binding)
    assert firm.server.count("items/") == asked


def pages(firm: Company, drive: str) -> int:
    return firm.server.count(f"/drives/{quote(drive, safe='!')}/root/delta")
