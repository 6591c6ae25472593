"""Files of this machine: the contract, links, owners, folders, and the way of the worker."""

from __future__ import annotations

import logging
import os
import pwd
import socket
import stat
import subprocess
from pathlib import Path

import pytest
from folder_shelf import FolderShelf, as_root
from small_disk import small_disk
from source_contract import Shelf, SourceContract, fetch

from data_platform.errors import (
    SourceError,
    SourceNotFound,
    SourceUnavailable,
    UnknownSource,
    UnsafeLink,
    UnsupportedItem,
)
from data_platform.settings import Settings, load
from readers.event import machine_login
from readers.file import FileSource
from readers.source import Source


class TestFileSource(SourceContract):
    names = (*SourceContract.names, "back\\slash.csv", "new\nline.csv", "caf\udce9.csv", "x" * 255)

    @pytest.fixture
    def shelf(self, shelf: FolderShelf) -> Shelf:
        return shelf

    @pytest.fixture
    def source(self, source: FileSource) -> Source:
        return source


# --- links


def test_every_way_to_name_a_file_leads_to_one_item(
    shelf: FolderShelf, source: FileSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = shelf.put("sub folder/50% ü#1?.csv", b"1")
    (tmp_path / "shortcut").symlink_to(shelf.root)
    monkeypatch.chdir(shelf.root)
    monkeypatch.setenv("HOME", str(shelf.root))
    ways = [
        path,
        Path(path).as_uri(),
        Path(path).as_uri().replace("file:///", "FILE://localhost/"),
        Path(path).as_uri().replace("file:///", "file:/"),
        f"file://{path.replace('%', '%25')}",
        "sub folder/50% ü#1?.csv",
        "./sub folder/../sub folder//50% ü#1?.csv",
        "~/sub folder/50% ü#1?.csv",
        str(tmp_path / "shortcut" / "sub folder" / "50% ü#1?.csv"),
    ]
    items = {source.resolve(way) for way in ways}
    (item,) = items
    assert item.item_id == os.path.realpath(path)
    assert item.source_system == f"file/{socket.gethostname().lower()}"
    assert item.name == "50% ü#1?.csv"
    assert item.url == Path(os.path.realpath(path)).as_uri()


@pytest.mark.parametrize(
    ("link", "error"),
    [
        ("file://fileserver/share/a.csv", UnknownSource),
        ("file://user:secret@localhost/a.csv", UnknownSource),
        ("file:a.csv", UnknownSource),
        ("file://", UnknownSource),
        ("/no/such/file.csv", SourceNotFound),
        ("", SourceNotFound),
        ("a\0b", SourceNotFound),
        ("file:///a%00b", SourceNotFound),
        ("/etc/passwd/x", SourceNotFound),
        ("/" + "x" * 300, SourceNotFound),
        ("/x" * 5000, SourceNotFound),
        ("~no_such_user/a.csv", SourceNotFound),
    ],
)
def test_links_that_lead_nowhere(source: FileSource, link: str, error: type[SourceError]) -> None:
    with pytest.raises(error) as caught:
        source.resolve(link)
    assert str(caught.value).endswith(".")
    assert "secret" not in str(caught.value)


def test_a_broken_symlink_and_a_circle(shelf: FolderShelf, source: FileSource) -> None:
    (shelf.root / "broken").symlink_to("nothing")
    (shelf.root / "a").symlink_to("b")
    (shelf.root / "b").symlink_to("a")
    for name in ("broken", "a"):
        with pytest.raises(SourceNotFound):
            source.resolve(shelf.link(name))


def test_errors_carry_the_number_of_the_system(shelf: FolderShelf, source: FileSource) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        source.resolve(shelf.link("nothing"))
    assert caught.value.errno == 2
    assert str(caught.value).startswith("There is nothing at ")


# --- owners


def test_the_owner_is_the_user_of_the_file(shelf: FolderShelf, source: FileSource) -> None:
    owner = source.resolve(shelf.put("a.csv", b"1")).owner
    assert owner is not None
    # The same words as for the reader, or everybody's own files would look shared.
    assert (owner.realm, owner.name) == ("local", machine_login())


@as_root
def test_users_without_a_name_have_their_number(shelf: FolderShelf, settings: Settings) -> None:
    path = shelf.put("a.csv", b"1")
    nobody_knows = 1_999_999_999
    with pytest.raises(KeyError):
        pwd.getpwuid(nobody_knows)
    os.chown(path, nobody_knows, -1)
    owner = FileSource(settings).resolve(path).owner
    assert owner is not None
    assert owner.name == f"uid-{nobody_knows}"


def test_the_setting_names_owners_by_folder(shelf: FolderShelf, tmp_path: Path) -> None:
    (tmp_path / "shortcut").symlink_to(shelf.root)
    settings = load(
        home=tmp_path / "home",
        realm="example.org",
        file={
            "owners": {
                str(tmp_path / "shortcut"): "amy",
                f"{shelf.root}/chem/": "brendan",
                f"{shelf.root}/chem/screens": "colin",
            }
        },
    )
    source = FileSource(settings)
    owners = {
        path: source.resolve(shelf.put(path, b"1")).owner
        for path in ("a.csv", "chem/a.csv", "chem/screens/x/a.csv", "chem/screens beside/a.csv", "chemistry/a.csv")
    }
    assert {path: owner.name for path, owner in owners.items() if owner is not None} == {
        "a.csv": "amy",
        "chem/a.csv": "brendan",
        "chem/screens/x/a.csv": "colin",
        "chem/screens beside/a.csv": "brendan",
        "chemistry/a.csv": "amy",
    }
    assert {owner.realm for owner in owners.values() if owner is not None} == {"example.org"}


# --- folders


def test_what_a_listing_leaves_out_is_told(
    shelf: FolderShelf, source: FileSource, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "outside.csv").write_bytes(b"outside")
    (tmp_path / "shelf beside").mkdir()
    (tmp_path / "shelf beside" / "x.csv").write_bytes(b"beside")
    shelf.put("a.csv", b"1")
    shelf.put("sub/b.csv", b"2")
    root = shelf.root
    (root / "inner link.csv").symlink_to("sub/b.csv")
    (root / "outer link.csv").symlink_to(tmp_path / "outside.csv")
    (root / "beside.csv").symlink_to(tmp_path / "shelf beside" / "x.csv")
    (root / "etc").symlink_to("/etc")
    (root / "loop").symlink_to(".")
    (root / "broken").symlink_to("nothing")
    os.mkfifo(root / "sub" / "pipe")
    with socket.socket(socket.AF_UNIX) as server, caplog.at_level(logging.WARNING):
        server.bind(str(root / "socket"))
        listed = dict(source.list(source.resolve(str(root))))
    assert list(listed) == ["a.csv", "inner link.csv", "sub/b.csv"]
    assert listed["inner link.csv"].item_id == listed["sub/b.csv"].item_id
    (told,) = (record.getMessage() for record in caplog.records)
    assert "1 broken symlinks" in told
    assert "3 symlinks that leave the folder" in told
    assert "1 symlinks that do not lead to a file" in told
    assert "2 sockets, pipes or devices" in told


def test_an_ordinary_listing_tells_nothing(
    shelf: FolderShelf, source: FileSource, caplog: pytest.LogCaptureFixture
) -> None:
    shelf.put("a.csv", b"1")
    (shelf.root / "empty").mkdir()
    assert [path for path, _ in source.list(source.resolve(str(shelf.root)))] == ["a.csv"]
    assert caplog.records == []


def test_a_folder_that_went_away(shelf: FolderShelf, source: FileSource) -> None:
    (shelf.root / "sub").mkdir()
    folder = source.resolve(shelf.link("sub"))
    assert source.revision(folder).token
    (shelf.root / "sub").rmdir()
    with pytest.raises(SourceNotFound):
        list(source.list(folder))


# --- the worker's way


def test_names_that_are_not_utf8_are_found_by_how_they_are_shown(shelf: FolderShelf, source: FileSource) -> None:
    item = source.resolve(shelf.put("caf\udce9/b\udcff.csv", b"1"))
    again = source.reopen(item.source_system, item.item_id.replace("\udce9", "\\xe9").replace("\udcff", "\\xff"))
    assert again == item
    literal = source.resolve(shelf.put("caf\\xe9.csv", b"2"))  # a name that only looks so
    assert source.reopen(literal.source_system, literal.item_id) == literal
    shelf.put("cafA.csv", b"3")
    with pytest.raises(SourceNotFound):  # what is shown is undone once
        source.reopen(literal.source_system, literal.item_id.replace("\\xe9", "\\x5cx41"))


@pytest.mark.parametrize(
    "item_id", ["a.csv", "../a.csv", "/data/../etc/passwd", "/data/./x", "", "~/.ssh/id_rsa", "/a\0b"]
)
def test_forged_identities_are_refused(source: FileSource, item_id: str) -> None:
    with pytest.raises(UnsafeLink):
        source.reopen(f"file/{socket.gethostname().lower()}", item_id)


def test_a_symlink_is_not_reopened(shelf: FolderShelf, source: FileSource) -> None:
    item = source.resolve(shelf.put("a.csv", b"1"))
    (shelf.root / "b.csv").symlink_to("a.csv")
    with pytest.raises(UnsafeLink):
        source.reopen(item.source_system, os.path.realpath(shelf.root) + "/b.csv")


@pytest.mark.parametrize("system", ["file/another-host", "nfs/filer/export/lab", "smb/files/chemistry"])
def test_files_of_other_machines_are_told_apart(source: FileSource, system: str) -> None:
    with pytest.raises(SourceUnavailable, match=system) as caught:
        source.reopen(system, "/a.csv")
    assert isinstance(caught.value, ConnectionError)


def test_a_new_mount_is_noticed(source: FileSource, tmp_path: Path) -> None:
    """The table of mounts is kept, and read anew when the kernel says that it changed."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "a.csv").write_bytes(b"below")
    (tmp_path / "disk" / "a.csv").unlink()
    (tmp_path / "disk").rmdir()
    assert source.resolve(str(tmp_path)).is_folder
    with small_disk(tmp_path / "disk", "size=1m") as disk:
        (disk / "a.csv").write_bytes(b"on it")
        assert fetch(source, source.resolve(str(disk / "a.csv")))[0] == b"on it"
        subprocess.run(["mount", "-t", "proc", "proc", str(disk)], check=True)
        try:
            with pytest.raises(UnsupportedItem):
                source.resolve(str(disk / "version"))
        finally:
            subprocess.run(["umount", str(disk)], check=True)
        assert stat.S_ISREG(os.stat(disk / "a.csv").st_mode)
        assert fetch(source, source.resolve(str(disk / "a.csv")))[0] == b"on it"
