"""A folder that is read as a file set, end to end."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
from read_noted import accesses, half_things, sha256_of, write

from data_platform.errors import (
    SourceUnavailable,
)
from data_platform.settings import settings
from readers.fetch import local_cache
from readers.file import FileSource
from readers.fileset import members_of
from readers.reading import read
from readers.source import Item, Revision, Sink
from schemas.identity import file_id, version_id

# --- file sets


def test_a_folder_is_read_as_a_set(shared: Path) -> None:
    contents = {"a.csv": b"1", "deep/er/b.csv": b"22", "deep/c d.csv": b""}
    for name, data in contents.items():
        write(shared / name, data)
    folder = read(shared)
    assert folder.name == "shared"
    assert {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()} == contents
    whole, *parts = accesses()
    source = FileSource(settings())
    item = source.resolve(str(shared))
    manifest = local_cache(settings()).open(whole["sha256"])
    assert manifest is not None
    with manifest:
        text = manifest.read()
    assert dict(members_of(text)) == {name: sha256_of(data) for name, data in contents.items()}
    assert (whole["item_id"], whole["access_size"]) == (item.item_id, len(text))
    assert {part["set_path"]: part["sha256"] for part in parts} == dict(members_of(text))
    assert {part["set_file_id"] for part in parts} == {file_id(item.source_system, item.item_id)}
    assert {part["set_version_id"] for part in parts} == {version_id(whole["revision"], whole["sha256"])}
    assert {part["url"] for part in parts} == {str(shared)}
    assert {part["item_id"] for part in parts} == {os.path.realpath(shared / name) for name in contents}


def test_the_version_of_a_set_is_that_of_its_contents(shared: Path, tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        write(shared / name, name.encode())
    first = read(shared)
    again = read(shared)
    assert again == first
    write(shared / "b.csv", b"changed")
    changed = read(shared)
    assert changed != first
    assert ((first / "b.csv").read_bytes(), (changed / "b.csv").read_bytes()) == (b"b.csv", b"changed")
    write(shared / "b.csv", b"b.csv")
    assert read(shared) == first
    write(shared / "c.csv", b"")
    read(shared)
    versions = [noted["sha256"] for noted in accesses() if "set_path" not in noted]
    assert versions[0] == versions[1] == versions[3]
    assert len(set(versions)) == 3
    assert [noted.get("from_cache", False) for noted in accesses()[:6]] == [False] * 3 + [True] * 3


def test_an_empty_folder_is_an_empty_set(shared: Path) -> None:
    assert list(read(shared).iterdir()) == []
    (noted,) = accesses()
    assert (noted["outcome"], noted["access_size"], noted["sha256"]) == ("ok", 0, sha256_of(b""))


def test_a_set_is_whole_or_refused(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(40):
        write(shared / f"{n:02}.csv", b"%d" % n)
    original = FileSource.download

    def failing(source: FileSource, item: Item, revision: Revision, sink: Sink) -> Revision:
        if item.name == "20.csv":
            raise SourceUnavailable("The disk does not answer. Try again.")
        return original(source, item, revision, sink)

    with monkeypatch.context() as patch:
        patch.setattr(FileSource, "download", failing)
        with pytest.raises(SourceUnavailable):
            read(shared)
    (noted,) = accesses()  # no member was handed out, so none is noted
    assert (noted["outcome"], noted["item_id"]) == ("SourceUnavailable", os.path.realpath(shared))
    assert len(list(read(shared).iterdir())) == 40


def test_the_first_error_ends_what_is_still_under_way(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("endless", "fails"):
        write(shared / name)
    under_way = threading.Event()
    pieces = 0

    def download(source: FileSource, item: Item, revision: Revision, sink: Sink) -> Revision:
        nonlocal pieces
        if item.name == "fails":
            assert under_way.wait(120)
            raise SourceUnavailable("The disk does not answer. Try again.")
        while True:
            pieces += 1
            sink(b"x")
            under_way.set()
            time.sleep(0.001)

    monkeypatch.setattr(FileSource, "download", download)
    with pytest.raises(SourceUnavailable):
        read(shared)  # and does not wait for ever
    assert pieces
    assert half_things() == []


def test_a_large_set_with_odd_names(shared: Path) -> None:
    for n in range(1100):
        write(shared / f"{n % 7}" / f"file {n}*.csv", b"%d" % (n % 500))
    folder = read(shared)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) == 1100
    assert {int(path.name[5:-5]) % 500 for path in files} == set(range(500))
    assert all(int(path.read_bytes()) == int(path.name[5:-5]) % 500 for path in files)
    noted = accesses()
    assert len(noted) == 1101
    assert len({access["event_id"] for access in noted}) == 1101
    assert {access["set_path"] for access in noted[1:]} == {f"{n % 7}/file {n}*.csv" for n in range(1100)}
