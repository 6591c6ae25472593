"""Bytes as they are: cut, changed, without a checksum, with a wrong one, protected, none at all."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from reading_world import Place, fetch, place, read
from servers.microsoft365.contents import Content

from data_platform.errors import (
    AccessDenied,
    SourceChanged,
    SourceNotFound,
    SourceUnavailable,
    TooLarge,
    UnsafeLink,
    UnsupportedItem,
)

LARGE = random.Random(5).randbytes(1_500_000)


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    with place(tmp_path, monkeypatch) as found:
        yield found


def test_a_download_that_breaks_off_goes_on_from_a_new_address(found: Place) -> None:
    item = found.upload("large.bin", LARGE)
    found.server.faults.cut_downloads(times=2)
    assert read(found.source(found.amy), item.url) == LARGE
    asked = found.server.downloads
    assert len({one.target for one in asked}) == len(asked) == 3
    assert [bool(one.headers.get("range")) for one in asked] == [False, True, True]
    assert not any("authorization" in one.headers for one in asked)


def test_an_item_that_changes_meanwhile_is_not_mixed(found: Place) -> None:
    item = found.upload("large.bin", LARGE)
    found.server.faults.cut_downloads(act=lambda: found.world.edit(item, b"other", found.amy))
    source = found.source(found.amy)
    with pytest.raises(SourceChanged):
        read(source, item.url)
    assert read(source, item.url) == b"other"


def test_a_change_of_columns_alone_does_not_matter(found: Place) -> None:
    item = found.upload("large.bin", LARGE)
    source = found.source(found.amy)
    before = source.revision(source.resolve(item.url))
    found.server.faults.cut_downloads(act=lambda: found.world.touch(item, found.amy))
    data, after = fetch(source, source.resolve(item.url))
    assert (data, after.token) == (LARGE, before.token)


def test_a_right_that_is_revoked_meanwhile_ends_the_read(found: Place) -> None:
    item = found.upload("large.bin", LARGE)
    [given] = found.world.share(item, found.amy, found.bob)
    source = found.source(found.bob)
    found.server.faults.cut_downloads(act=lambda: found.world.revoke(item, given, found.amy))
    with pytest.raises(AccessDenied):
        read(source, item.url)


def test_an_address_that_has_expired_is_replaced(found: Place) -> None:
    item = found.upload("a.csv", b"1")
    found.server.faults.plan(401, "unauthenticated", "download", 1)
    assert read(found.source(found.amy), item.url) == b"1"
    found.server.faults.plan(401, "unauthenticated", "download", 99)
    with pytest.raises(SourceUnavailable, match="not valid any more"):
        read(found.source(found.amy), item.url)


@pytest.mark.parametrize("late", [False, True])
def test_no_bytes_are_bytes(found: Place, late: bool) -> None:
    found.world.quirks.late_hashes = late
    empty, full = found.upload("empty.csv", b""), found.upload("full.csv", b"1,2\n")
    source = found.source(found.amy)
    data, revision = fetch(source, source.resolve(empty.url))
    assert (data, revision.size, revision.source_hash) == (b"", 0, "")
    assert read(source, full.url) == b"1,2\n"
    assert source.revision(source.resolve(full.url)).source_hash.startswith("quickXorHash:")


def test_what_the_source_says_of_size_and_checksum_is_not_believed(found: Place) -> None:
    rewritten = found.upload("protected.docx", b"what is served")
    rewritten.versions[-1].shown = 123_456
    rewritten.versions[-1].shown_hash = "AAAAAAAAAAAAAAAAAAAAAAAAAAA="
    source = found.source(found.amy)
    item = source.resolve(rewritten.url)
    assert source.revision(item).size == 123_456
    data, revision = fetch(source, item)
    assert (data, revision.size) == (b"what is served", len(b"what is served"))
    assert revision.source_hash == "quickXorHash:AAAAAAAAAAAAAAAAAAAAAAAAAAA="
    assert revision.token == rewritten.c_tag


def test_packages_and_malware_have_an_outcome(found: Place, caplog: pytest.LogCaptureFixture) -> None:
    notebook = found.world.add_package(found.drive, "Set/Lab book", by=found.amy)
    found.upload("Set/a.csv", b"1")
    source = found.source(found.amy)
    with pytest.raises(UnsupportedItem, match="OneNote"):
        source.resolve(notebook.url)
    with caplog.at_level(logging.WARNING):
        listed = [path for path, _ in source.list(source.resolve(f"{found.drive.url}/Set"))]
    assert listed == ["a.csv"]
    assert "Lab book" in caplog.text
    bad = found.world.upload(found.drive, "Set/bad.exe", b"x", found.amy, malware={"description": "EICAR"})
    with pytest.raises(UnsafeLink, match="malware"):
        source.resolve(bad.url)
    refused: list[str] = []
    folder = source.resolve(f"{found.drive.url}/Set")
    assert [path for path, _ in source.walk(folder, lambda path, error: refused.append(path))] == ["a.csv"]
    assert refused == ["bad.exe"]
    found.server.faults.plan(403, "accessDenied", "items/", 1, "malwareDetected")
    with pytest.raises(UnsafeLink):
        source.reopen("microsoft365/contoso-my.sharepoint.com", f"{found.drive.id}/x")


def test_too_large_is_refused_before_it_is_sent(found: Place) -> None:
    item = found.upload("large.bin", LARGE)
    with pytest.raises(TooLarge, match=r"microsoft365\.max_bytes"):
        read(found.source(found.amy, max_bytes=1000), item.url)
    item.versions[-1].shown = 10
    with pytest.raises(TooLarge):
        read(found.source(found.amy, max_bytes=1000), item.url)


def test_shortcuts_are_the_items_that_they_lead_to(found: Place) -> None:
    shared = found.world.add_site("Lab", found.amy)
    target = found.world.upload(shared.drive, "Deep/er/x.csv", b"shared", found.amy)
    folder = shared.drive.at(["Deep"])
    assert folder is not None
    to_file = found.world.add_shortcut(found.drive, "Set/link.csv", target, found.amy)
    found.world.add_shortcut(found.drive, "Set/folder", folder, found.amy)
    found.upload("Set/own.csv", b"own")
    source = found.source(found.amy)
    item = source.resolve(to_file.url)
    assert (item.item_id, item.name) == (f"{shared.drive.id}/{target.id}", "x.csv")
    assert fetch(source, item)[0] == b"shared"
    listed = dict(source.list(source.resolve(f"{found.drive.url}/Set")))
    assert sorted(listed) == ["folder/er/x.csv", "link.csv", "own.csv"]
    assert listed["link.csv"].item_id == listed["folder/er/x.csv"].item_id == item.item_id


def test_a_shortcut_back_up_does_not_go_round_in_circles(found: Place) -> None:
    found.upload("Set/inner/a.csv", b"1")
    folder = found.drive.at(["Set"])
    assert folder is not None
    found.world.add_shortcut(found.drive, "Set/inner/up", folder, found.amy)
    source = found.source(found.amy)
    assert [path for path, _ in source.list(source.resolve(folder.url))] == ["inner/a.csv"]


def test_large_folders_come_in_pages_and_some_pages_are_empty(found: Place) -> None:
    found.world.pages.children = 7
    found.world.quirks.empty_pages = True
    names = [f"plate {number:02}.csv" for number in range(30)]
    for name in names:
        found.upload(f"Set/{name}", name.encode())
    source = found.source(found.amy)
    listed = dict(source.list(source.resolve(f"{found.drive.url}/Set")))
    assert sorted(listed) == names
    assert found.server.count("skiptoken") == 5


def test_a_renamed_or_moved_item_is_the_same_and_a_deleted_one_is_gone(found: Place) -> None:
    item = found.upload("Set/a.csv", b"1")
    source = found.source(found.amy)
    before = source.resolve(item.url)
    found.world.rename(item, "b.csv", found.amy)
    found.world.move(item, found.world.make_folder(found.drive, "Other", found.amy), found.amy)
    after = source.resolve(item.url)
    assert (after.item_id, after.path) == (before.item_id, "Other/b.csv")
    assert fetch(source, before)[0] == b"1"
    worker = found.source()
    assert worker.reopen(before.source_system, before.item_id).path == "Other/b.csv"
    found.world.delete(item, found.amy)
    with pytest.raises(SourceNotFound):
        worker.reopen(before.source_system, before.item_id)


def test_sites_that_an_application_is_let_into_one_by_one(found: Place) -> None:
    open_site, closed_site = (found.world.add_site(name, found.amy) for name in ("Open", "Closed"))
    files = [found.world.upload(site.drive, "a.csv", b"1", found.amy) for site in (open_site, closed_site)]
    app = found.world.add_application("careful", application="Sites.Selected", secret="careful")
    open_site.granted[app.client_id] = ["read"]
    source = found.source(client_id=app.client_id, client_secret="careful")
    assert read(source, files[0].url) == b"1"
    with pytest.raises(AccessDenied):
        source.resolve(files[1].url)


def test_a_generated_content_of_many_pieces(found: Place) -> None:
    content = Content(LARGE * 4)
    item = found.world.upload(found.drive, "x.bin", content, found.amy)
    data, revision = fetch(source := found.source(found.amy), source.resolve(item.url))
    assert data == LARGE * 4
    assert revision.source_hash == f"quickXorHash:{content.hash()}"
    # The source's checksum fits, so nothing had to be asked again.
    assert found.server.count(r"GET /v1.0/(shares|drives)/.*(driveItem|items/)") == 2
