"""The cache: whole, under any name, private, shared by processes."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import random
import stat
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from cached import damage, files_in, given, put

from readers.cache import Cache
from readers.cache_sets import set_path

FILE = "f" * 32


# --- whole or not there


@pytest.mark.parametrize("size", [0, 1, 3_000_001])
def test_received_bytes_are_found_by_their_hash(cache: Cache, size: int) -> None:
    data = random.Random(size).randbytes(size)
    sha256 = put(cache, data)
    assert sha256 == hashlib.sha256(data).hexdigest()
    path = given(cache, sha256, "two words ü.csv")
    assert path.name == "two words ü.csv"
    assert path.read_bytes() == data
    assert cache.size(sha256) == size


def test_unknown_content_is_not_there(cache: Cache) -> None:
    assert cache.path("0" * 64, "a.csv") is None
    assert cache.open("0" * 64) is None
    assert cache.size("0" * 64) is None
    assert not cache.holds("0" * 64)
    assert not Path(cache.folder).exists()  # asking makes nothing


def test_nothing_is_visible_before_the_commit(cache: Cache) -> None:
    with cache.receive() as incoming:
        incoming.write(b"all but the last byte")
        assert (incoming.size, incoming.sha256) == (21, hashlib.sha256(b"all but the last byte").hexdigest())
        assert cache.path(incoming.sha256, "a.csv") is None
        incoming.write(b"!")
        sha256 = incoming.commit()
    assert given(cache, sha256).read_bytes() == b"all but the last byte!"


def test_an_error_on_the_way_leaves_nothing(cache: Cache) -> None:
    def fail_halfway() -> None:
        with cache.receive() as incoming:
            incoming.write(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_halfway()
    assert files_in(cache.folder) == []


def test_leaving_without_a_commit_leaves_nothing(cache: Cache) -> None:
    with cache.receive() as incoming:
        incoming.write(b"half")
    assert files_in(cache.folder) == []


# --- once, under any name


def test_the_same_bytes_are_kept_once_under_all_their_names(cache: Cache) -> None:
    first, second = put(cache, b"same"), put(cache, b"same")
    assert first == second
    names = ["a.csv", "b.csv", "../../b.csv", "c" * 300]
    inodes = {given(cache, first, name).stat().st_ino for name in names}
    assert len(inodes) == 1
    assert {path.parent for path in (given(cache, first, name) for name in names)} == {
        Path(cache.content_folder(first), "names")
    }


def test_files_are_read_only_and_folders_private(cache: Cache) -> None:
    before = os.umask(0)
    try:
        path = given(cache, put(cache, b"1"))
        cache.remember(FILE, "token", "0" * 64)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o444
    folders = [Path(cache.folder), *(path for path in Path(cache.folder).rglob("*") if path.is_dir())]
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}


def test_a_folder_that_others_can_enter_is_closed(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    folder.mkdir()
    folder.chmod(0o755)
    put(Cache(folder, 1 << 30, 3600), b"1")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_where_hard_links_are_refused_names_are_copies(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    sha256 = put(cache, b"bytes")
    path = given(cache, sha256)
    assert path.read_bytes() == b"bytes"
    assert path.stat().st_nlink == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o444
    inode = path.stat().st_ino
    assert given(cache, sha256).stat().st_ino == inode  # found intact, not copied again
    damage(path, b"BYTES")
    assert given(cache, sha256).read_bytes() == b"bytes"
    folder = set_path(cache, "set", {"a.csv": sha256})
    assert folder is not None
    assert (folder / "a.csv").read_bytes() == b"bytes"


# --- what is remembered


def test_a_revision_is_remembered_by_all_processes(cache: Cache, tmp_path: Path) -> None:
    assert cache.known(FILE, "token") is None
    cache.remember(FILE, "token", "0" * 64)
    other = Cache(tmp_path / "cache", 1 << 30, 3600)
    for knowing in (cache, other, other):
        assert knowing.known(FILE, "token") == "0" * 64
        assert knowing.known(FILE, "another token") is None
        assert knowing.known("e" * 32, "token") is None
    other.remember(FILE, "token", "1" * 64)
    assert other.known(FILE, "token") == "1" * 64
    assert Cache(tmp_path / "cache", 1 << 30, 3600).known(FILE, "token") == "1" * 64


@pytest.mark.parametrize("text", [b"", b"0" * 63, b"0" * 65, b"X" * 64, b"\xff" * 64])
def test_a_damaged_memory_is_none(cache: Cache, tmp_path: Path, text: bytes) -> None:
    cache.remember(FILE, "token", "0" * 64)
    (note,) = files_in(Path(cache.folder, "revisions"))
    note.write_bytes(text)
    assert Cache(tmp_path / "cache", 1 << 30, 3600).known(FILE, "token") is None


@pytest.mark.parametrize("token", ["", "x" * 512, "a/b\x00../c", "\ud800"])
def test_any_token_can_be_remembered(cache: Cache, tmp_path: Path, token: str) -> None:
    cache.remember(FILE, token, "0" * 64)
    assert Cache(tmp_path / "cache", 1 << 30, 3600).known(FILE, token) == "0" * 64


# --- several processes

ROUNDS = 12


def _fetch_all(folder: str, barrier: Barrier, number: int) -> None:
    cache = Cache(Path(folder), 1 << 30, 3600)
    for n in range(ROUNDS):
        data = random.Random(n).randbytes(20_000)
        barrier.wait(120)
        sha256 = put(cache, data)
        path = cache.path(sha256, f"{number % 2}.bin")
        assert path is not None
        assert path.read_bytes() == data
        cache.remember(FILE, str(n), sha256)
        assert cache.known(FILE, str(n)) == sha256
        pair = set_path(cache, "set", {"x/a.bin": sha256, "b.bin": sha256})
        assert pair is not None
        assert (pair / "x/a.bin").read_bytes() == (pair / "b.bin").read_bytes() == data


def test_processes_that_fetch_the_same_agree(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    count = 4
    barrier = context.Barrier(count)
    processes = [
        context.Process(target=_fetch_all, args=(str(tmp_path / "cache"), barrier, number)) for number in range(count)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(240)
    assert [process.exitcode for process in processes] == [0] * count
    contents = Path(tmp_path, "cache", "content").glob("*/*")
    assert sum(1 for _ in contents) == ROUNDS
    assert files_in(tmp_path / "cache" / "incoming") == []
