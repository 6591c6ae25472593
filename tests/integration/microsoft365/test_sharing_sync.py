"""Following files: what people do at the source appears in the catalogue by itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from servers.microsoft365.library import Item
from sharing_world import Company, company, noted_grants, noted_items, real_grants, real_items

from schemas.binding import Binding
from schemas.catalogue import File, FileGone, FileName
from schemas.following import DrivePosition, ItemState, SourceVersion
from schemas.identity import file_id
from schemas.restrict import where
from schemas.sharing import Permission, PermissionEnded, ShareEdge


@pytest.fixture
def firm(binding: Binding, monkeypatch: pytest.MonkeyPatch) -> Iterator[Company]:
    with company(monkeypatch) as found:
        yield found


def key_of(item: Item) -> str:
    return file_id(f"microsoft365/{item.drive.site.host}", f"{item.drive.id}/{item.id}")


def names(key: str) -> set[str]:
    return set(where(FileName, file_id=key).to_arrays("file_path"))


def test_a_file_that_was_read_is_followed_and_nothing_else_of_the_drive(binding: Binding, firm: Company) -> None:
    amy, bob, colin = (firm.world.add_user(name) for name in ("Amy Ade", "Bob Bell", "Colin Cole"))
    drive = firm.world.add_drive(amy)
    results = firm.world.upload(drive, "Assays/2026/results.xlsx", b"one", amy)
    diary = firm.world.upload(drive, "Private/diary.txt", b"secret", amy)
    firm.world.share(results, amy, bob)
    key = firm.read(binding, results, bob)
    firm.sync(binding)
    assert noted_grants([key]) == {key: real_grants(firm, results)}
    assert {path for path, *_ in noted_items([drive]).values()} == {
        "",
        "Assays",
        "Assays/2026",
        "Assays/2026/results.xlsx",
    }
    assert len(File()) == 1

    firm.world.share(results, amy, colin, role="write")
    firm.world.revoke(results, results.permissions[0], amy)
    firm.world.edit(results, b"two", amy)
    firm.world.rename(list(results.chain())[1], "Year", amy)
    firm.world.rename(diary, "diary2.txt", amy)
    firm.sync(binding)
    assert noted_grants([key]) == {key: real_grants(firm, results)}
    assert "Assays/Year/results.xlsx" in names(key)
    assert noted_items([drive]).keys() <= real_items([drive]).keys()
    assert {path for path, *_ in noted_items([drive]).values()} == {
        "",
        "Assays",
        "Assays/Year",
        "Assays/Year/results.xlsx",
    }
    edges = where(ShareEdge, producer_id=firm.person(amy), file_id=key, channel="grant")
    assert set(edges.to_arrays("consumer_id")) == {firm.person(bob), firm.person(colin)}
    assert len(PermissionEnded()) == 1
    assert set(where(SourceVersion, file_id=key).to_arrays("version_label")) == {"1.0", "2.0"}

    firm.world.delete(results, amy)
    firm.sync(binding)
    assert noted_grants([key]) == {key: {}}
    assert len(where(FileGone, file_id=key)) == 1
    assert len(Permission()) == len(PermissionEnded())


def test_nothing_changed_is_one_request_a_drive_and_no_row(binding: Binding, firm: Company) -> None:
    amy, bob = firm.world.add_user("Amy Ade"), firm.world.add_user("Bob Bell")
    item = firm.world.upload(firm.world.add_drive(amy), "a.csv", b"a", amy)
    firm.read(binding, item, bob)
    firm.sync(binding)
    before = (
        ItemState.to_dicts(order_by="KEY"),
        DrivePosition.to_dicts(order_by="KEY"),
        Permission.to_dicts(order_by="KEY"),
    )
    asked = firm.server.count("^[A-Z]+ /v1.0/")
    firm.sync(binding)
    assert firm.server.count("^[A-Z]+ /v1.0/") == asked + 1
    assert (
        ItemState.to_dicts(order_by="KEY"),
        DrivePosition.to_dicts(order_by="KEY"),
        Permission.to_dicts(order_by="KEY"),
    ) == before


def test_a_site_that_was_named_is_followed_as_a_whole(binding: Binding, firm: Company) -> None:
    amy, bob = firm.world.add_user("Amy Ade"), firm.world.add_user("Bob Bell")
    site = firm.world.add_site("Lab", amy, bob)
    drive = site.drive
    paper = firm.world.upload(drive, "Papers/draft.docx", b"a", amy)
    firm.world.upload(drive, "raw.csv", b"b", bob)
    firm.world.link(paper, amy, scope="organization", kind="edit")
    firm.follow = [f"{site.host}{site.path}"]
    done = firm.sync(binding)
    assert done.refused.keys() <= {"log"}
    assert noted_items([drive]) == real_items([drive])
    shared = [paper, drive.root]
    assert noted_grants(map(key_of, shared)) == {key_of(item): real_grants(firm, item) for item in shared}

    firm.world.share(paper, amy, bob)
    firm.sync(binding)
    edges = where(ShareEdge, file_id=key_of(paper), channel="grant").to_dicts()
    assert {(edge["producer_id"], edge["consumer_id"]) for edge in edges} == {(firm.person(amy), firm.person(bob))}

    firm.world.revoke(paper, paper.permissions[0], amy)
    firm.world.move(paper, drive.root, amy)
    firm.sync(binding)
    assert noted_items([drive]) == real_items([drive])
    assert noted_grants([key_of(paper)])[key_of(paper)].items() <= real_grants(firm, paper).items()
