"""Kills, full disks and failing disks, really brought about; what can be seen is always whole."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import resource
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from servers.processes import S3Server
from small_disk import small_disk
from store_contract import AT_ONCE, MIB, content_of_size, get, put, sha256_of

from data_platform.errors import StoreError, StoreFull
from populate.store import Store, content_of
from populate.store.folder import FolderStore
from populate.store.multipart import MAX_PARTS, PART, part_size

VICTIM = Path(__file__).with_name("store_victim.py")


def run_victim(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, VICTIM, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=280, **options)


def whole_objects(root: Path) -> int:
    """Return how many objects are visible, each of which has the bytes that its name promises."""
    store: Store = FolderStore(root)
    count = 0
    for name, _ in store.objects():
        assert hashlib.sha256((root / name).read_bytes()).hexdigest() == content_of(name)
        assert (root / name).stat().st_mode & 0o777 == 0o444
        count += 1
    assert list((root / "incoming").iterdir()) == [], "opening the store did not sweep what the dead left"
    return count


class TestKills:
    def test_at_every_line_of_a_put(self, tmp_path: Path) -> None:
        root = tmp_path / "store"
        done = run_victim("lines", root)
        assert done.returncode == 0, done.stderr
        lines = int(done.stdout)
        assert lines > 50, "the tracer did not see the store's code"
        # Those killed after the link left a whole object, those before nothing; the last was not killed.
        assert 1 <= whole_objects(root) < lines

    def test_at_fifty_random_moments(self, tmp_path: Path) -> None:
        root = tmp_path / "store"
        done = run_victim("moments", root, 50)
        assert done.returncode == 0, done.stderr
        assert int(done.stdout) == 50, "not every process was killed"
        assert whole_objects(root) >= 1


def strace_works() -> bool:
    """Tell whether processes may be traced here."""
    if shutil.which("strace") is None:
        return False
    return subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(not strace_works(), reason="needs strace and the right to trace: apt-get install strace")
class TestSystemCalls:
    """What the kernel is asked for, and what happens when it refuses or when the process dies there."""

    def traced(self, tmp_path: Path, *injections: str) -> tuple[int, list[str]]:
        """Put one content under strace; return exit status and system calls."""
        log, root = tmp_path / "log", tmp_path / "store"
        calls = "openat,write,fsync,link,linkat,unlink,rename,mkdir,fchmod"
        command = ["strace", "-f", "-y", "-o", log, "-e", f"trace={calls}"]
        command += [part for injection in injections for part in ("-e", f"inject={injection}")]
        command += [sys.executable, VICTIM, "put", root, "1", "300000"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=280)
        return done.returncode, log.read_text(errors="replace").splitlines()

    def test_bytes_are_on_the_disk_before_the_name_and_the_name_before_the_end(self, tmp_path: Path) -> None:
        status, lines = self.traced(tmp_path)
        assert status == 0
        text = "\n".join(line for line in lines if str(tmp_path) in line)
        order = re.search(
            r"write\(\d+<\S+/incoming/.*?"
            r"fsync\(\d+<\S+/incoming/\w+>\) += 0.*?"
            r"link(?:at)?\(.*?/incoming/.*?/objects/.*?= 0.*?"
            r"fsync\(\d+<\S+/objects/\w\w/\w\w>\) += 0.*?"
            r"fsync\(\d+<\S+/objects/\w\w>\) += 0.*?"
            r"fsync\(\d+<\S+/objects>\) += 0.*?"
            r"unlink\(\"\S+/incoming/",
            text,
            re.DOTALL,
        )
        assert order, text
        assert "rename(" not in text
        assert whole_objects(tmp_path / "store") == 1

    @pytest.mark.parametrize("call", ["fsync", "link,linkat", "unlink", "fchmod"])
    def test_killed_at_any_of_these_calls(self, tmp_path: Path, call: str) -> None:
        for number in range(1, 20):
            status, lines = self.traced(tmp_path, f"{call}:signal=SIGKILL:when={number}")
            whole_objects(tmp_path / "store")
            if status == 0:
                break
            assert status == -9 or any("+++ killed" in line for line in lines) or status == 137
        assert number > 1, "nothing was killed"
        assert whole_objects(tmp_path / "store") == 1

    def test_a_failed_fsync_is_an_error_and_not_tried_again(self, tmp_path: Path) -> None:
        first_of_the_file = self.number_of_fsync(tmp_path / "dry")
        status, lines = self.traced(tmp_path, f"fsync:error=EIO:when={first_of_the_file}+")
        assert status == 1
        of_the_file = [line for line in lines if "fsync(" in line and "/incoming/" in line]
        assert len(of_the_file) == 1
        assert "EIO" in of_the_file[0]
        assert "(INJECTED)" in of_the_file[0]
        assert whole_objects(tmp_path / "store") == 0

    def test_a_failed_fsync_of_the_folder_is_an_error(self, tmp_path: Path) -> None:
        number = self.number_of_fsync(tmp_path / "dry") + 1
        status, lines = self.traced(tmp_path, f"fsync:error=EIO:when={number}+")
        assert status == 1
        assert any("INJECTED" in line and "/objects/" in line for line in lines)
        status, _ = self.traced(tmp_path)
        assert status == 0
        assert whole_objects(tmp_path / "store") == 1

    def number_of_fsync(self, tmp_path: Path) -> int:
        """Return the how-manieth fsync of a put is that of the content."""
        tmp_path.mkdir()
        _, lines = self.traced(tmp_path)
        calls = [line for line in lines if "fsync(" in line]
        return 1 + next(number for number, line in enumerate(calls) if "/incoming/" in line)

    @pytest.mark.parametrize("error", ["ENOSPC", "EDQUOT"])
    def test_no_space_at_fsync_is_a_full_store(self, tmp_path: Path, error: str) -> None:
        number = self.number_of_fsync(tmp_path / "dry")
        status, lines = self.traced(tmp_path, f"fsync:error={error}:when={number}")
        assert any("INJECTED" in line for line in lines)
        assert status == 28
        assert whole_objects(tmp_path / "store") == 0


class TestFullDisk:
    @pytest.fixture
    def disk(self, tmp_path: Path) -> Iterator[Path]:
        with small_disk(tmp_path / "disk", "size=2m") as disk:
            yield disk

    def test_a_full_disk_shows_nothing_and_takes_what_fits_afterwards(self, disk: Path) -> None:
        root = disk / "store"
        store = FolderStore(root)
        with pytest.raises(StoreFull, match="no space left"):
            put(store, content_of_size(3 * MIB))
        assert list(store.incoming.iterdir()) == []
        assert whole_objects(root) == 0
        content = content_of_size(MIB)
        assert get(store, put(store, content)) == content

    def test_a_full_disk_may_be_found_at_any_piece(self, disk: Path) -> None:
        filler, store = disk / "filler", FolderStore(disk / "store")
        outcomes = set()
        for room in range(0, 64, 8):
            free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
            filler.write_bytes(bytes(free - room * 1024))
            try:
                outcomes.add(bool(put(store, content_of_size(32 * 1024, seed=room), piece=1000)))
            except StoreFull:
                outcomes.add(False)
            filler.unlink()
            whole_objects(store.root)
        assert outcomes == {True, False}

    def test_a_limit_on_the_size_of_files_is_a_full_store(self, tmp_path: Path) -> None:
        root = tmp_path / "store"
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))  # noqa: E731
        done = run_victim("put", root, 1, 300_000, preexec_fn=limit)
        assert done.returncode == errno.ENOSPC, done.stderr
        assert whole_objects(root) == 0


def test_a_writer_that_failed_takes_nothing_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FolderStore(tmp_path / "store")
    writer = store.writer(sha256_of(b"abc"), 3)

    def fail(*_: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr("os.write", fail)
        with pytest.raises(StoreError, match="Input/output error"):
            writer.write(b"abc")
    with pytest.raises(StoreError, match="before"):
        writer.write(b"abc")
    with pytest.raises(StoreError, match="before"):
        writer.commit()
    assert list(store.incoming.iterdir()) == []


MEASURE = """
import hashlib, json, sys
from data_platform.settings import StoreSettings, load
from populate.store import open_store
store = open_store(load(store=json.loads(sys.argv[1])))
size, known, piece = int(sys.argv[2]), sys.argv[3] == "known", bytes(1 << 20)
digest = hashlib.sha256()
for _ in range(size >> 20):
    digest.update(piece)
with store.writer(digest.hexdigest(), size if known else None) as writer:
    for _ in range(size >> 20):
        writer.write(piece)
    place = writer.commit()
back = hashlib.sha256()
for piece in store.read(place):
    back.update(piece)
assert back.hexdigest() == digest.hexdigest()
status = open("/proc/self/status").read()  # ru_maxrss is at first that of the process that started this one
print(int(status.partition("VmHWM:")[2].split()[0]) // 1024)
"""


class TestMemory:
    """Peak memory of a process that puts a large content and reads it back."""

    def peak_mib(self, home: Path, size: int, store: dict[str, str], known: str = "known") -> int:
        command = [sys.executable, "-c", MEASURE, json.dumps(store), str(size), known]
        done = subprocess.run(command, capture_output=True, text=True, timeout=280)
        assert done.returncode == 0, done.stderr
        return int(done.stdout)

    def settings_for(self, server: S3Server) -> dict[str, str]:
        keys = {"access_key": server.access_key, "secret_key": server.secret_key}
        return {"url": f"s3://memory/{secrets.token_hex(8)}", "endpoint": server.endpoint, **keys}

    def test_of_a_folder(self, home: Path) -> None:
        assert self.peak_mib(home, 512 * MIB, {}) < 150
        shutil.rmtree(home / "store")

    def test_of_a_bucket(self, home: Path, any_s3: S3Server) -> None:
        assert self.peak_mib(home, 256 * MIB, self.settings_for(any_s3), known="unknown") < 150


@pytest.mark.parametrize("size", [AT_ONCE + 1, 10_000 * PART, 10_000 * PART + 1, 5 * 1024**4])
def test_parts_of_a_known_size_are_alike_and_few_enough(size: int) -> None:
    parts = {part_size(size, number) for number in range(MAX_PARTS)}
    assert len(parts) == 1
    assert PART <= parts.pop() * MAX_PARTS >= size


def test_parts_of_an_unknown_size_grow_until_the_largest_object_fits() -> None:
    parts = [part_size(None, number) for number in range(MAX_PARTS)]
    assert parts == sorted(parts)
    assert parts[0] == PART
    assert parts[-1] <= 5 * 1024**3
    assert sum(parts) > 5 * 1024**4
