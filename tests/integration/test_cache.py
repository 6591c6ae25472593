"""The cache: whole, intact, private, shared by processes, and bounded."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import random
import shutil
import stat
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

import readers.cache
from readers.cache import Cache
from readers.cache_sets import set_path
from readers.cache_space import VERIFIED, Unit

FILE = "f" * 32


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache", max_bytes=1 << 30, keep_seconds=3600)


def put(cache: Cache, data: bytes) -> str:
    with cache.receive(len(data)) as incoming:
        incoming.write(data[: len(data) // 2])
        incoming.write(data[len(data) // 2 :])
        return incoming.commit()


def given(cache: Cache, sha256: str, name: str = "a.csv") -> Path:
    path = cache.path(sha256, name)
    assert path is not None
    return path


def used_at(cache: Cache, sha256: str, seconds: float) -> None:
    """Make it look as if the content was last used then."""
    for mark in Path(cache.content_folder(sha256)).glob(f"{VERIFIED}*"):
        os.utime(mark, (seconds, seconds))


def files_in(folder: str | Path) -> list[Path]:
    return [path for path in Path(folder).rglob("*") if path.is_file()]


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


# --- intact


def damage(path: Path, data: bytes) -> None:
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.truncate(len(data))
        file.write(data)
    path.chmod(0o444)
    # Not left to the clock's grain: a damage within the tick of the commit would keep the time.
    state = path.stat()
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 1))


def replace(path: Path) -> None:
    path.unlink()
    path.write_bytes(b"others")


def replace_by_symlink(path: Path) -> None:
    path.unlink()
    (path.parent / "elsewhere").write_bytes(b"other")
    path.symlink_to("elsewhere")


DAMAGES: dict[str, Callable[[Path], None]] = {
    "overwritten": lambda path: damage(path, b"BYTES"),
    "emptied": lambda path: damage(path, b""),
    "cut short": lambda path: damage(path, b"byte"),
    "grown": lambda path: damage(path, b"bytes and more"),
    "replaced": replace,
    "replaced by a symlink": replace_by_symlink,
    "deleted": lambda path: path.unlink(),
}


@pytest.mark.parametrize("harm", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("where", ["data", "names/a.csv"])
def test_damaged_content_is_never_handed_out(cache: Cache, harm: Callable[[Path], None], where: str) -> None:
    sha256 = put(cache, b"bytes")
    given(cache, sha256)
    harm(Path(cache.content_folder(sha256), where))
    for name in ("a.csv", "new name.csv"):
        path = cache.path(sha256, name)
        assert path is None or path.read_bytes() == b"bytes"
        file = cache.open(sha256)
        if file is not None:
            with file:
                assert file.read() == b"bytes"
    assert put(cache, b"bytes") == sha256  # fetched again
    assert given(cache, sha256).read_bytes() == b"bytes"
    assert stat.S_IMODE(given(cache, sha256).stat().st_mode) == 0o444


def test_overwritten_content_is_thrown_away(cache: Cache, caplog: pytest.LogCaptureFixture) -> None:
    sha256 = put(cache, b"bytes")
    held_open = given(cache, sha256)
    damage(held_open, b"BYTES")
    assert cache.path(sha256, "a.csv") is None
    assert "was damaged and is thrown away" in caplog.text
    assert not Path(cache.content_folder(sha256)).exists()


def test_receiving_repairs_what_is_damaged(cache: Cache) -> None:
    sha256 = put(cache, b"bytes")
    damage(Path(cache.content_folder(sha256), "data"), b"BYTES")
    assert put(cache, b"bytes") == sha256
    assert given(cache, sha256).read_bytes() == b"bytes"


def test_what_was_only_touched_is_hashed_and_kept(cache: Cache) -> None:
    path = given(cache, put(cache, b"bytes"))
    os.utime(path, (1, 1))
    path.chmod(0o666)
    again = given(cache, hashlib.sha256(b"bytes").hexdigest())
    assert again.read_bytes() == b"bytes"
    assert stat.S_IMODE(again.stat().st_mode) == 0o444


def test_after_a_boot_the_bytes_are_hashed_once_more(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power failure can leave a file of the right size and time with wrong bytes."""
    whole, torn = put(cache, b"whole bytes"), put(cache, b"torn bytes")
    path = given(cache, torn)
    state = path.stat()
    damage(path, b"\0" * 10)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    monkeypatch.setattr(readers.cache, "machine_boot", lambda: "another1")
    booted = Cache(tmp_path / "cache", 1 << 30, 3600)
    assert booted.path(torn, "a.csv") is None
    assert given(booted, whole).read_bytes() == b"whole bytes"


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="only Linux counts what a process reads")
def test_a_hit_reads_none_of_the_bytes(cache: Cache) -> None:
    sha256 = put(cache, bytes(8 << 20))
    given(cache, sha256)

    def read_so_far() -> int:
        return int(Path("/proc/self/io").read_text().split()[1])

    before = read_so_far()
    for _ in range(10):
        given(cache, sha256)
    assert read_so_far() - before < 1 << 20


# --- bounded


def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", 1 << 30, keep_seconds=0)
    contents = [put(cache, bytes([n]) * 1000) for n in range(4)]
    for seconds, sha256 in enumerate(contents, start=1000):
        used_at(cache, sha256, seconds)
    given(cache, contents[0])  # used now
    used_at(cache, contents[3], 500)
    small = Cache(tmp_path / "cache", max_bytes=2500, keep_seconds=0)
    assert small.evict() == 2000
    assert [small.holds(sha256) for sha256 in contents] == [True, False, True, False]
    assert small.evict() == 0


def test_recently_used_content_stays_whatever_the_limit(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", max_bytes=0, keep_seconds=3600)
    path = given(cache, put(cache, b"bytes"))
    old = put(cache, b"old bytes")
    used_at(cache, old, 1000)
    assert cache.evict() == len(b"old bytes")
    assert path.read_bytes() == b"bytes"


def test_a_commit_past_the_limit_evicts(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", max_bytes=2500, keep_seconds=0)
    for n in range(10):
        sha256 = put(cache, bytes([n]) * 1000)
        assert cache.holds(sha256)  # never what has just come
    assert sum(path.stat().st_size for path in files_in(Path(cache.folder, "content"))) <= 2500


def test_content_past_the_limit_by_itself_can_still_be_read(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", max_bytes=10, keep_seconds=0)
    assert given(cache, put(cache, bytes(1000))).read_bytes() == bytes(1000)


def test_what_was_used_since_it_was_looked_at_stays(cache: Cache) -> None:
    """The race of an eviction with a hit: the hit comes between looking and evicting."""
    sha256 = put(cache, b"bytes")
    used_at(cache, sha256, 1000)
    path = given(cache, sha256)
    folder = cache.content_folder(sha256)
    assert not cache.space._evict(Unit(folder, used=1000, size=5, pinned=False))
    assert path.read_bytes() == b"bytes"
    assert given(cache, sha256) == path
    used_at(cache, sha256, 1000)
    assert cache.space._evict(Unit(folder, used=1000, size=5, pinned=False))
    assert not path.exists()


def test_revisions_go_with_their_content(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", max_bytes=0, keep_seconds=3600)
    old, kept = put(cache, b"old"), put(cache, b"kept")
    cache.remember(FILE, "1", old)
    cache.remember(FILE, "2", kept)
    used_at(cache, old, 1000)
    cache.evict()
    assert len(files_in(Path(cache.folder, "revisions"))) == 1
    assert Cache(tmp_path / "cache", 0, 3600).known(FILE, "2") == kept


def test_a_wrong_count_is_counted_anew(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", max_bytes=2500, keep_seconds=0)
    put(cache, b"1" * 1000)
    Path(cache.folder, "size").write_text("nonsense")
    for n in range(4):
        put(cache, bytes([n]) * 1000)
    assert sum(path.stat().st_size for path in files_in(Path(cache.folder, "content"))) <= 2500


# --- file sets


def members(cache: Cache, **contents: bytes) -> dict[str, str]:
    return {f"{name}/x.csv": put(cache, data) for name, data in contents.items()}


def test_a_set_is_a_read_only_folder_of_its_members(cache: Cache) -> None:
    content = members(cache, a=b"1", b=b"22") | {"top.csv": put(cache, b""), "odd*.csv": put(cache, b"3")}
    folder = set_path(cache, "my set", content)
    assert folder is not None
    assert folder.name == "my set"
    found = {str(path.relative_to(folder)): path.read_bytes() for path in files_in(folder)}
    assert found == {"a/x.csv": b"1", "b/x.csv": b"22", "top.csv": b"", "odd_.csv": b"3"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files_in(folder)} == {0o444}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / "a")} == {0o555}
    assert (folder / "a/x.csv").samefile(Path(cache.content_folder(content["a/x.csv"]), "data"))


def test_an_unchanged_set_is_found_again_and_a_changed_one_is_another(cache: Cache) -> None:
    content = members(cache, a=b"1", b=b"22")
    folder = set_path(cache, "set", content)
    assert folder is not None
    inode = folder.stat().st_ino
    again = set_path(cache, "set", dict(reversed(content.items())))
    assert again == folder
    assert again.stat().st_ino == inode
    other = set_path(cache, "set", content | {"b/x.csv": put(cache, b"333")})
    assert other != folder
    assert set_path(cache, "renamed", content) not in {folder, other}
    assert (folder / "b/x.csv").read_bytes() == b"22"


def test_an_empty_set_is_an_empty_folder(cache: Cache) -> None:
    put(cache, b"")
    folder = set_path(cache, "set", {})
    assert folder is not None
    assert list(folder.iterdir()) == []


def test_a_set_whose_member_is_not_here_is_none(cache: Cache) -> None:
    assert set_path(cache, "set", {"a": put(cache, b"1"), "b": "0" * 64}) is None
    assert not files_in(Path(cache.folder, "sets"))


SET_DAMAGES: dict[str, Callable[[Path], None]] = {
    "a file added": lambda folder: (folder / "a" / "extra.csv").write_bytes(b"extra") and None,
    "a file removed": lambda folder: (folder / "a" / "x.csv").unlink(),
    "a file renamed": lambda folder: (folder / "a" / "x.csv").rename(folder / "a" / "y.csv") and None,
    "a file replaced": lambda folder: replace(folder / "a" / "x.csv"),
    "a folder removed": lambda folder: shutil.rmtree(folder / "a"),
    "all removed": lambda folder: shutil.rmtree(folder),
}


@pytest.mark.parametrize("harm", SET_DAMAGES.values(), ids=SET_DAMAGES)
def test_a_damaged_set_is_made_anew(cache: Cache, harm: Callable[[Path], None]) -> None:
    content = members(cache, a=b"1", b=b"22")
    folder = set_path(cache, "set", content)
    assert folder is not None
    for inner in (folder, folder / "a", folder / "b"):
        inner.chmod(0o755)
    harm(folder)
    for inner in filter(Path.exists, (folder, folder / "a")):  # as in damage()
        os.utime(inner, ns=(0, inner.stat().st_mtime_ns + 1))
    again = set_path(cache, "set", content)
    assert again == folder
    assert {str(path.relative_to(folder)): path.read_bytes() for path in files_in(folder)} == {
        "a/x.csv": b"1",
        "b/x.csv": b"22",
    }


def test_an_overwritten_member_is_not_handed_out(cache: Cache) -> None:
    content = members(cache, a=b"1", b=b"22")
    folder = set_path(cache, "set", content)
    assert folder is not None
    damage(folder / "b/x.csv", b"XX")
    assert set_path(cache, "set", content) is None  # for the caller to fetch it again
    put(cache, b"22")
    again = set_path(cache, "set", content)
    assert again is not None
    assert (again / "b/x.csv").read_bytes() == b"22"


def test_members_are_evicted_with_their_set_and_not_before(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", max_bytes=1 << 30, keep_seconds=3600)
    content = members(cache, a=b"1" * 1000, b=b"2" * 1000)
    folder = set_path(cache, "set", content)
    assert folder is not None
    single = put(cache, b"3" * 1000)
    for sha256 in (*content.values(), single):
        used_at(cache, sha256, 1000)
    small = Cache(tmp_path / "cache", max_bytes=0, keep_seconds=3600)
    assert small.evict() == 1000  # only the single one: the set was used now
    assert [small.holds(sha256) for sha256 in (*content.values(), single)] == [True, True, False]
    assert {path.read_bytes()[:1] for path in files_in(folder)} == {b"1", b"2"}
    for sha256 in content.values():
        used_at(cache, sha256, 1000)
    for mark in folder.parent.glob(f"{VERIFIED}*"):
        os.utime(mark, (2000, 2000))
    assert small.evict() == 2000
    assert not folder.exists()
    assert not files_in(Path(cache.folder, "content"))


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
