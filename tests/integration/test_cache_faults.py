"""What the cache does when the disk is full, a process is killed, or it may only be read."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_disk import small_disk

from data_platform.errors import CacheError
from readers.cache import Cache
from readers.cache_space import VERIFIED

FILE = "f" * 32
MIB = 1 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", "size=2m") as folder:
        yield folder


def put(cache: Cache, data: bytes, expected: int | None = None) -> str:
    with cache.receive(expected) as incoming:
        for start in range(0, len(data), 65536):
            incoming.write(data[start : start + 65536])
        return incoming.commit()


def assert_sound(folder: Path) -> None:
    """Whatever is visible is whole, and nothing else is left but what a sweep removes."""
    for content in folder.glob("content/*/*"):
        files = [content / "data", *content.glob("names/*")]
        assert {hashlib.sha256(file.read_bytes()).hexdigest() for file in files} == {content.name}
    for note in folder.glob("revisions/*/*"):
        assert len(note.read_bytes()) == 64


# --- disk full


def test_a_full_disk_is_an_error_of_ours_and_leaves_nothing_half(disk: Path) -> None:
    cache = Cache(disk / "cache", 1 << 30, 3600)
    kept = put(cache, b"k" * (MIB // 2))
    with pytest.raises(CacheError, match="Free some space") as caught:
        put(cache, b"x" * (3 * MIB))
    assert isinstance(caught.value, OSError)
    assert caught.value.errno == errno.ENOSPC
    assert list(Path(cache.folder, "incoming").iterdir()) == []
    path = cache.path(kept, "kept.bin")
    assert path is not None
    assert path.read_bytes() == b"k" * (MIB // 2)
    assert_sound(Path(cache.folder))
    small = put(cache, b"s" * MIB)  # the space of what did not fit is free again
    assert cache.holds(small)


def test_what_cannot_fit_is_refused_before_it_fills_the_disk(disk: Path) -> None:
    cache = Cache(disk / "cache", 1 << 30, 3600)
    with pytest.raises(CacheError, match="1099511627776 bytes are needed"):
        put(cache, b"never written", expected=1 << 40)
    assert list(Path(cache.folder, "incoming").iterdir()) == []
    assert os.statvfs(disk).f_bfree * os.statvfs(disk).f_frsize > 1.9 * MIB


@pytest.mark.parametrize("told", [True, False], ids=["size known", "size unknown"])
def test_old_content_makes_room(disk: Path, told: bool) -> None:
    cache = Cache(disk / "cache", 1 << 30, keep_seconds=3600)
    old, recent = put(cache, b"o" * MIB), put(cache, b"r" * (MIB // 4))
    for mark in Path(cache.content_folder(old)).glob(f"{VERIFIED}*"):
        os.utime(mark, (1000, 1000))
    data = b"n" * (MIB + MIB // 4)
    new = put(cache, data, expected=len(data) if told else None)
    assert [cache.holds(sha256) for sha256 in (old, recent, new)] == [False, True, True]


def test_a_disk_that_runs_out_of_files_at_any_step(tmp_path: Path) -> None:
    """With one more file allowed each time, a read fails cleanly until it succeeds."""
    failed = succeeded = 0
    for files in range(2, 24):
        with small_disk(tmp_path / f"disk{files}", f"size=2m,nr_inodes={files}") as disk:
            cache = Cache(disk / "cache", 1 << 30, 3600)
            try:
                path = cache.path(put(cache, b"bytes"), "a.csv")
                assert path is not None
                cache.remember(FILE, "token", hashlib.sha256(b"bytes").hexdigest())
                assert path.read_bytes() == b"bytes"
                succeeded += 1
            except CacheError:
                failed += 1
            assert_sound(disk / "cache")
            incoming = disk / "cache" / "incoming"
            assert not incoming.exists() or list(incoming.iterdir()) == []
    assert failed >= 5
    assert succeeded >= 5


FILE_LIMIT = """
import resource, sys
from pathlib import Path
from data_platform.errors import CacheError
from readers.cache import Cache

resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
cache = Cache(Path(sys.argv[1]), 1 << 30, 3600)
try:
    with cache.receive() as incoming:
        for _ in range(10):
            incoming.write(bytes(30_000))
        incoming.commit()
except CacheError as error:
    print(error.errno, incoming.size)
with cache.receive() as incoming:
    incoming.write(bytes(99_000))
    incoming.commit()
"""


def test_a_limit_on_file_size_is_a_full_disk_for_everyone(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FILE_LIMIT, str(tmp_path / "cache")], capture_output=True, text=True, check=True
    )
    number, size = done.stdout.split()
    assert int(number) == errno.EFBIG
    assert int(size) > 90_000  # it failed while writing, not before
    assert len(list(tmp_path.glob("cache/content/*/*"))) == 1
    assert list(tmp_path.glob("cache/incoming/*")) == []
    assert_sound(tmp_path / "cache")


# --- a cache that may only be read


def test_a_read_only_cache_still_serves_what_it_holds(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "size=2m") as disk:
        cache = Cache(disk / "cache", 1 << 30, 3600)
        sha256 = put(cache, b"bytes")
        cache.remember(FILE, "token", sha256)
        path = cache.path(sha256, "a.csv")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        try:
            reader = Cache(disk / "cache", 1 << 30, 3600)
            assert reader.known(FILE, "token") == sha256
            assert reader.path(sha256, "a.csv") == path
            reader.remember(FILE, "other", sha256)  # is not worth an error
            with pytest.raises(CacheError, match="cannot take the bytes"):
                reader.path(sha256, "new name.csv")
            with pytest.raises(CacheError, match="cannot take the bytes"):
                put(reader, b"new bytes")
            assert reader.evict() == 0
        finally:
            subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)


def test_a_cache_in_place_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("not a folder")
    cache = Cache(tmp_path / "cache", 1 << 30, 3600)
    assert cache.known(FILE, "token") is None
    assert cache.path("0" * 64, "a.csv") is None
    assert cache.evict() == 0
    with pytest.raises(CacheError, match="cannot take the bytes"):
        put(cache, b"bytes")


# --- killed

KILLED_AT_EACH_LINE = """
import os, sys
from pathlib import Path
from readers.cache import Cache
from readers.cache_sets import set_path

def work(folder):
    cache = Cache(Path(folder), max_bytes=15, keep_seconds=0)
    for data in (b"first bytes", b"second bytes"):
        with cache.receive(len(data)) as incoming:
            incoming.write(data)
            sha256 = incoming.commit()
        cache.remember("f" * 32, sha256, sha256)
        cache.path(sha256, "a.csv")
        set_path(cache, "set", {"x/a.csv": sha256, "b.csv": sha256})
    cache.evict()

def child(folder, last):
    lines = 0
    def trace(frame, event, argument):
        nonlocal lines
        if "/readers/cache" not in frame.f_code.co_filename:
            return None
        if event == "line":
            lines += 1
            if lines == last:
                os._exit(99)
        return trace
    sys.settrace(trace)
    work(folder)
    sys.settrace(None)
    os._exit(0)

killed = 0
while True:
    last = 1 + killed * 17
    folder = f"{sys.argv[1]}/{last}"
    process = os.fork()
    if process == 0:
        child(folder, last)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    if code == 0:
        break
    assert code == 99, code
    killed += 1
work(f"{sys.argv[1]}/uninterrupted")
print(killed)
"""


def test_killed_at_any_line_nothing_half_is_visible(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED_AT_EACH_LINE, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) >= 50
    seen_half_way = 0
    for folder in tmp_path.iterdir():
        assert_sound(folder)
        for member in [*folder.glob("sets/*/*/set/b.csv"), *folder.glob("sets/*/*/set/x/a.csv")]:
            assert member.read_bytes() in {b"first bytes", b"second bytes"}
        for made in folder.glob("sets/*/*"):
            assert sorted(path.name for path in made.rglob("*.csv")) == ["a.csv", "b.csv"]
        seen_half_way += any(folder.glob("incoming/*"))
        cache = Cache(folder, 1 << 30, 3600)
        again = cache.path(put(cache, b"first bytes"), "a.csv")
        assert again is not None
        assert again.read_bytes() == b"first bytes"
    assert seen_half_way >= 10  # the kills did hit what was being made


LONG_READ = """
import sys, time
from pathlib import Path
from readers.cache import Cache

cache = Cache(Path(sys.argv[1]), 1 << 30, 3600)
with cache.receive() as incoming:
    incoming.write(b"half of the bytes")
    print("writing", flush=True)
    sys.stdin.readline()
"""


def test_only_what_dead_processes_left_is_swept(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", 1 << 30, 3600)
    command = [sys.executable, "-c", LONG_READ, cache.folder]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"writing\n"
        (left,) = Path(cache.folder, "incoming").iterdir()
        long_ago = time.time() - 3600
        os.utime(left, (long_ago, long_ago))
        cache.evict()
        assert left.exists()  # its process lives
        process.send_signal(signal.SIGKILL)
        process.wait()
    os.utime(left)
    cache.evict()
    assert left.exists()  # too young to be judged
    os.utime(left, (long_ago, long_ago))
    cache.evict()
    assert not left.exists()


def test_reading_on_sweeps_too(tmp_path: Path) -> None:
    left = tmp_path / "cache" / "incoming" / "0123456789abcdef"
    left.mkdir(parents=True)
    (left / "data").write_bytes(b"half")
    os.utime(left, (1000, 1000))
    put(Cache(tmp_path / "cache", 1 << 30, 3600), b"bytes")
    assert not left.exists()
