"""A disk of a few megabytes, for tests of what happens when it is full."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, options: str, kind: str = "tmpfs") -> Iterator[Path]:
    """Mount a disk in memory at `folder` with mount options as ``size=1m``; skips where that is not allowed."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    folder.mkdir()
    command = ["mount", "-t", kind, "-o", f"mode=0700,{options}", kind, str(folder)]
    mounted = subprocess.run(command, check=False, capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


_SHUTDOWN, _WITHOUT_JOURNAL = 0x8004587D, 2  # EXT4_IOC_SHUTDOWN


@contextmanager
def power_cut(folder: Path) -> Iterator[Path]:
    """Mount an ext4 of its own at `folder`, and take its power away at the end: what is there then had got to the disk.

    Skips where that is not allowed.
    """
    if os.geteuid() != 0:
        pytest.skip("only root may mount a disk")
    image = folder.with_suffix(".image")
    with image.open("wb") as file:
        file.truncate(32 * 1024 * 1024)
    folder.mkdir()
    for command in (["mkfs.ext4", "-q", image], ["mount", "-o", "loop", image, folder]):
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
        descriptor = os.open(folder, os.O_RDONLY)
        fcntl.ioctl(descriptor, _SHUTDOWN, struct.pack("I", _WITHOUT_JOURNAL))
        os.close(descriptor)
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def after_power_cut(folder: Path) -> Iterator[Path]:
    """Mount the disk of `power_cut` again."""
    subprocess.run(["mount", "-o", "loop", folder.with_suffix(".image"), folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)
