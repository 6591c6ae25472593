"""A cache that something damaged, or that has grown too large."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from cached import damage, files_in, given, put, replace, used_at

import readers.cache
from readers.cache import Cache
from readers.cache_space import Unit

FILE = "f" * 32


# --- intact


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
