"""File sets in the cache."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from cached import damage, files_in, put, replace, used_at

from readers.cache import Cache
from readers.cache_sets import set_path
from readers.cache_space import VERIFIED

FILE = "f" * 32


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
