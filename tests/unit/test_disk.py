"""Many files to the disk with one call: where that can be relied on, and as long as it is quick."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from populate.backup import disk as module
from populate.backup.disk import Disk
from populate.backup.new_file import NewFile, new_file


class Kernel:
    """Notes down what it is asked for, and answers as it was told."""

    def __init__(self, answer: int, kind: int = 0xEF53) -> None:
        self.answer, self.kind = answer, kind
        self.all, self.each = list[int](), list[int]()
        self.failing = set[int]()

    def syncfs(self, descriptor: int) -> int:
        self.all.append(os.fstat(descriptor).st_dev)
        return self.answer

    def fstatfs(self, descriptor: int, told: Any) -> int:
        told[0] = self.kind
        return 0

    def fsync(self, descriptor: int) -> None:
        self.each.append(descriptor)
        if descriptor in self.failing:
            raise OSError(errno.EIO, "lost")


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    kernel = Kernel(0)
    monkeypatch.setattr(module, "_system", lambda: kernel)
    monkeypatch.setattr(module, "_has_syncfs", lambda: True)
    monkeypatch.setattr("os.fsync", kernel.fsync)
    return kernel


@pytest.fixture
def files(tmp_path: Path) -> Iterator[list[NewFile]]:
    with ExitStack() as opened:
        files = [opened.enter_context(new_file(tmp_path / str(number))) for number in range(5)]
        for file in files:
            file.write(b"1,2")
        yield files


def test_a_folder_that_cannot_be_listed_is_written_to_file_by_file(tmp_path: Path) -> None:
    assert not Disk(tmp_path / "none").takes_many  # fails to open, as one does that may only be written to


def test_one_call_brings_all(tmp_path: Path, kernel: Kernel, files: list[NewFile]) -> None:
    disk = Disk(tmp_path)
    assert disk.takes_many
    disk.bring(files)
    assert (len(kernel.all), kernel.each) == (1, [])
    assert all(file.on_disk and file.publish() for file in files)
    assert kernel.each == []  # not once more


def test_if_it_fails_each_tells_for_itself(tmp_path: Path, kernel: Kernel, files: list[NewFile]) -> None:
    kernel.answer = -1
    kernel.failing = {files[2].descriptor}
    Disk(tmp_path).bring(files)
    assert kernel.each == [file.descriptor for file in files]
    assert [file.on_disk for file in files] == [True, True, False, True, True]


@pytest.mark.parametrize("kind", [0x6969, 0x65735546, 0x794C7630, 0x01021997])  # NFS, FUSE, overlay, 9p
def test_file_systems_that_do_not_tell_are_not_asked(
    tmp_path: Path, kernel: Kernel, files: list[NewFile], kind: int
) -> None:
    kernel.kind = kind
    disk = Disk(tmp_path)
    assert not disk.takes_many
    disk.bring(files)
    assert (kernel.all, len(kernel.each)) == ([], 5)
    assert all(file.on_disk for file in files)


def test_one_file_by_itself_waits_for_no_other(tmp_path: Path, kernel: Kernel, files: list[NewFile]) -> None:
    Disk(tmp_path).bring(files[:1])
    assert (kernel.all, len(kernel.each)) == ([], 1)


def test_what_takes_long_is_left_alone_for_as_long(
    tmp_path: Path, kernel: Kernel, files: list[NewFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = iter([100.0, 103.0, 105.0, 106.5, 106.6, 200.0, 200.5, 201.0, 201.5])
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: next(moments)))
    disk = Disk(tmp_path)
    asked = []
    for _ in range(5):
        disk.bring(files)
        asked.append((len(kernel.all), len(kernel.each)))
    assert asked == [(1, 0), (1, 5), (2, 5), (3, 5), (4, 5)]


def test_each_file_system_is_asked_once(tmp_path: Path, kernel: Kernel, files: list[NewFile]) -> None:
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no other file system here")
    with new_file(other / "dp-a") as one, new_file(other / "dp-b") as two:
        Disk(tmp_path).bring([files[0], one, files[1], two, files[2]])
        assert kernel.all == [tmp_path.stat().st_dev, other.stat().st_dev]
        assert kernel.each == []


@pytest.mark.parametrize(
    ("system", "release", "has"),
    [
        ("Linux", "5.8.0-1-amd64", True),
        ("Linux", "6.18", True),
        ("Linux", "5.7.19", False),
        ("Darwin", "24.1.0", False),
    ],
)
def test_older_kernels_do_not_tell(monkeypatch: pytest.MonkeyPatch, system: str, release: str, has: bool) -> None:
    monkeypatch.setattr(module, "_system", lambda: Kernel(0))
    monkeypatch.setattr(module.os, "uname", lambda: SimpleNamespace(sysname=system, release=release))
    assert module._has_syncfs.__wrapped__() is has


@pytest.mark.skipif(not Path("/dev/shm").exists(), reason="only Linux has a file system in memory there")
def test_the_kernel_tells_of_which_kind_a_file_system_is() -> None:
    descriptor = os.open("/dev/shm", os.O_RDONLY)
    try:
        assert module._kind_of(descriptor) == 0x01021994
    finally:
        os.close(descriptor)
    assert module._kind_of(-1) == 0
