"""Restoring many files: what was there at a moment, whose it was, exactly, and going on after it was broken off."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from deliveries import MORNING, Record, hand_in, item, read, read_file, sha256, work_off

from data_platform.errors import StoreUnavailable, VersionUnavailable
from data_platform.settings import load
from populate.adopt.share import adopt
from populate.backup.restorable import Entry, files_at, files_of_set, now, person_called, safe_path
from populate.backup.restoring import Restored, restore_files
from populate.backup.tables import Backup, Placement
from populate.ingest import Ingest
from populate.store import Place, open_store
from populate.store.folder import FolderStore
from readers.cache import Cache
from readers.fileset import manifest
from schemas.binding import Binding
from schemas.identity import file_id, version_id

on_postgresql = pytest.mark.parametrize("backend", ["postgresql"])  # where no statement differs
LATER = MORNING + timedelta(days=30)


def back_up(binding: Binding, *records: Record) -> None:
    hand_in(binding, records)
    work_off(Ingest, Backup)


def kept(data: bytes) -> bytes:
    """Put bytes into the cache of this machine, where backups find them."""
    limits = load().cache
    with Cache(load().cache_folder, limits.max_bytes, limits.keep_seconds).receive() as incoming:
        incoming.write(data)
        incoming.commit()
    return data


def state(path: str, data: bytes, day: int, owner: str = "brendan", system: str = "file/lab") -> Record:
    return read(item(path, owner, system), data=kept(data), revision=f"r{day}", day=day)


def restored(binding: Binding, to: Path, entries: list[Entry]) -> Restored:
    return restore_files(binding, open_store(load()), entries, to)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_files_are_as_they_were_at_a_moment(binding: Binding, tmp_path: Path) -> None:
    gone = state("/data/gone.csv", b"gone", 0)
    missing = read(item("/data/gone.csv"), error=FileNotFoundError("gone"), day=2) | {"outcome": "SourceNotFound"}
    back_up(
        binding,
        *(state("/data/a.csv", b"first", 0), state("/data/a.csv", b"second", 3), gone, missing),
        *(state("/data/b.csv", b"late", 5), state("/else/c.csv", b"c", 0, "carol", "nfs/filer")),
    )
    expected = {
        0: {"file_lab/data/a.csv": b"first", "file_lab/data/gone.csv": b"gone", "nfs_filer/else/c.csv": b"c"},
        2: {"file_lab/data/a.csv": b"first", "nfs_filer/else/c.csv": b"c"},
        30: {"file_lab/data/a.csv": b"second", "file_lab/data/b.csv": b"late", "nfs_filer/else/c.csv": b"c"},
    }
    for day, files in expected.items():
        to = tmp_path / str(day)
        done = restored(binding, to, list(files_at(binding, MORNING + timedelta(days=day))))
        assert tree(to) == files
        assert (done.files, done.bytes, done.present, done.refused) == (
            len(files),
            sum(map(len, files.values())),
            0,
            [],
        )

    def names(**choice: object) -> set[str]:
        return {Path(entry.path).name for entry in files_at(binding, LATER, **choice)}  # type: ignore[arg-type]

    assert names(gone=True) == {"a.csv", "b.csv", "gone.csv", "c.csv"}
    assert names(owner="CAROL") == {"c.csv"}
    assert names(owner="brendan", below="/data/") == {"a.csv", "b.csv"}
    assert names(below="/data/b.csv") == {"b.csv"}
    assert names(below="/dat") == set()
    assert names(source="NFS/filer") == {"c.csv"}
    assert list(files_at(binding, MORNING - timedelta(days=1))) == []
    with pytest.raises(VersionUnavailable, match="Nobody is called 'dora'"):
        person_called("dora")


@on_postgresql
def test_the_owner_is_who_it_was_then(binding: Binding) -> None:
    back_up(binding, state("/a", b"1", 0, "brendan"), state("/a", b"2", 5, "carol"))
    for day, owner in ((0, "brendan"), (5, "carol")):
        for name in ("brendan", "carol"):
            found = list(files_at(binding, MORNING + timedelta(days=day), owner=name))
            assert len(found) == (name == owner)


@on_postgresql
def test_names_and_times_are_those_of_the_original(binding: Binding, tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    folder.mkdir()
    names = ["plate 1.csv", "µ 细胞.bin", "no\\way", "..hidden"]
    for number, name in enumerate(names):
        (folder / name).write_bytes(name.encode())
        os.utime(folder / name, ns=(0, 1_600_000_000_123_456_789 + number))
    back_up(binding, *(read_file(folder / name) for name in names))
    to = tmp_path / "to"
    assert restored(binding, to, list(files_at(binding, LATER))).refused == []
    found = {path.read_bytes().decode(): path for path in to.rglob("*") if path.is_file()}
    assert found.keys() == set(names)
    for name in names:
        assert found[name].stat().st_mtime_ns == (folder / name).stat().st_mtime_ns
    assert {found[name].name for name in names[:2]} == set(names[:2])


@on_postgresql
def test_one_that_was_broken_off_goes_on_and_overwrites_nothing(binding: Binding, tmp_path: Path) -> None:
    back_up(binding, *(state(f"/data/{n}.csv", bytes([n]) * 100, 0) for n in range(20)))
    entries = list(files_at(binding, LATER))
    to = tmp_path / "to"
    restored(binding, to, entries[:7])
    (to / entries[1].path).write_bytes(b"of somebody else")
    (to / entries[2].path).unlink()
    done = restored(binding, to, entries)
    assert (done.files, done.present, done.refused) == (20, 5, [])
    assert (to / entries[1].path).read_bytes() == b"of somebody else"
    assert len(tree(to)) == 21
    again = restored(binding, to, entries)
    assert (again.files, again.present, again.refused) == (20, 20, [])
    assert len(tree(to)) == 21
    assert not [name for name in tree(to) if ".restore-" in name]


@on_postgresql
def test_what_cannot_be_had_is_told_and_the_rest_is_restored(binding: Binding, tmp_path: Path) -> None:
    back_up(binding, *(state(f"/{n}", bytes([n]) * 10, 0) for n in range(4)))
    store = open_store(load())
    assert isinstance(store, FolderStore)
    places = {row["sha256"]: store.root / str(row["object_name"]) for row in Placement.to_dicts()}
    damaged, lost = places[sha256(bytes([1]) * 10)], places[sha256(bytes([2]) * 10)]
    damaged.chmod(0o600)
    damaged.write_bytes(b"0123456789")
    lost.unlink()
    done = restored(binding, tmp_path / "to", list(files_at(binding, LATER)))
    assert {Path(refused.path).name for refused in done.refused} == {"1", "2"}
    assert sorted(tree(tmp_path / "to").values()) == [bytes([0]) * 10, bytes([3]) * 10]

    class Down(FolderStore):
        def read(self, place: Place):  # type: ignore[no-untyped-def]
            raise StoreUnavailable("The store does not answer.")

    with pytest.raises(StoreUnavailable):
        restore_files(binding, Down(store.root), list(files_at(binding, LATER)), tmp_path / "other")


def test_a_file_set_is_as_it_was(binding: Binding, tmp_path: Path) -> None:
    members = [state(f"/lab/{name}", name.encode(), 0) for name in ("a", "b c", "deep/d")]
    text = manifest((str(row["item_id"]).removeprefix("/lab/"), str(row["sha256"])) for row in members)
    whole = read(item("/lab"), data=text, revision=sha256(text))
    key = (file_id("file/lab", "/lab"), version_id(sha256(text), sha256(text)))
    for row in members:
        path = str(row["item_id"]).removeprefix("/lab/")
        row |= {"set_file_id": key[0], "set_version_id": key[1], "set_path": path}
    back_up(binding, whole, *members, state("/lab/a", b"newer", 4))
    restored(binding, tmp_path / "to", list(files_of_set(binding, sha256(text))))
    assert tree(tmp_path / "to") == {"a": b"a", "b c": b"b c", "deep/d": b"deep/d"}
    assert "lab" not in {Path(entry.path).name for entry in files_at(binding, LATER)}  # a manifest is no file
    with pytest.raises(VersionUnavailable, match="No version of a file set"):
        list(files_of_set(binding, sha256(b"newer")))


def test_no_path_leads_out_of_the_folder() -> None:
    for path in ("../../etc/passwd", "/etc/../passwd", "a\\..\\b", "", "/", "C:/x", "a\0b", ".."):
        parts = safe_path(path).split("/")
        assert not {"", ".", ".."} & set(parts)


@on_postgresql
def test_the_command(binding: Binding, tmp_path: Path) -> None:
    back_up(binding, state("/data/a.csv", b"first", 0), state("/data/a.csv", b"second", 3))
    command = [sys.executable, "-m", "data_platform", "restore-files", "--to", str(tmp_path / "to"), "--json"]
    done = subprocess.run([*command, "--as-of", "2026-05-05"], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"files": 1, "bytes": 5, "present": 0, "refused": []}
    assert tree(tmp_path / "to") == {"file_lab/data/a.csv": b"first"}


def test_files_that_nobody_read_come_back_as_they_were_taken_in(binding: Binding, tmp_path: Path) -> None:
    share = tmp_path / "share"
    share.mkdir()
    (share / "a.csv").write_bytes(b"first")
    adopt(share)
    between = now()
    (share / "a.csv").write_bytes(b"second")
    adopt(share)
    for moment, data in ((between, b"first"), (now(), b"second")):
        (entry,) = files_at(binding, moment)
        assert entry.sha256 == sha256(data)
