"""What is no file with bytes, and what may not be read."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from folder_shelf import FolderShelf, as_a_user, as_root
from source_contract import fetch

from data_platform.errors import (
    AccessDenied,
    SettingsError,
    SourceUnavailable,
    TooLarge,
    UnsupportedItem,
)
from data_platform.settings import load
from readers.file import FileSource

# --- what is not a file with bytes


def test_sockets_pipes_and_devices_are_refused_without_blocking(source: FileSource, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        for path in (tmp_path / "pipe", tmp_path / "socket", Path("/dev/null"), Path("/dev/zero"), Path("/dev/tty")):
            if path.exists():
                with pytest.raises(UnsupportedItem, match="not a file with bytes") as caught:
                    source.resolve(str(path))
                assert isinstance(caught.value, OSError)


@pytest.mark.skipif(not Path("/proc/self/mountinfo").exists(), reason="only Linux has these")
def test_the_disks_of_a_machine_may_be_called_otherwise_than_the_machine(home: Path, tmp_path: Path) -> None:
    """As in a container, whose hostname is a number that changes."""
    (tmp_path / "plate.csv").write_text("1")
    source = FileSource(load(home=home, file={"host": "Files.example.org"}))
    item = source.resolve(str(tmp_path / "plate.csv"))
    assert item.source_system == "file/files.example.org"
    assert source.reopen(item.source_system, item.item_id) == item
    with pytest.raises(SourceUnavailable, match="is not on this machine"):
        FileSource(load(home=home)).reopen(item.source_system, item.item_id)
    with pytest.raises(SettingsError, match=r"file\.host"):
        load(home=home, file={"host": "filer/export"})


@pytest.mark.parametrize("path", ["/proc/self/environ", "/proc/version", "/proc/sys/kernel/hostname", "/sys/kernel/mm"])
def test_pseudo_files_are_refused(source: FileSource, path: str) -> None:
    if not Path(path).exists():
        pytest.skip(f"there is no {path} here")
    with pytest.raises(UnsupportedItem):
        source.resolve(path)
    with pytest.raises(UnsupportedItem):
        source.reopen(f"file/{socket.gethostname().lower()}", os.path.realpath(path))


def test_a_file_that_became_a_pipe_does_not_block(shelf: FolderShelf, source: FileSource) -> None:
    item = source.resolve(shelf.put("a.csv", b"1"))
    revision = source.revision(item)
    shelf.remove("a.csv")
    os.mkfifo(shelf.root / "a.csv")
    with pytest.raises(UnsupportedItem):
        source.revision(item)
    with pytest.raises(UnsupportedItem):
        source.download(item, revision, lambda piece: None)


def test_sparse_files(shelf: FolderShelf, source: FileSource) -> None:
    path = Path(shelf.put("sparse.bin", b"head"))
    with path.open("r+b") as file:
        file.seek(5 << 20)
        file.write(b"tail")
    data, _ = fetch(source, source.resolve(str(path)))
    assert (len(data), data[:4], data[-4:], data[4:-4].count(0)) == ((5 << 20) + 4, b"head", b"tail", (5 << 20) - 4)


def test_a_file_over_the_limit_is_refused_however_little_it_takes(shelf: FolderShelf, tmp_path: Path) -> None:
    source = FileSource(load(home=tmp_path / "home", file={"max_bytes": 10 << 20}))
    path = shelf.put("sparse.bin", b"")
    os.truncate(path, 1 << 40)
    assert os.stat(path).st_blocks == 0
    item = source.resolve(path)
    with pytest.raises(TooLarge, match=r"file\.max_bytes") as caught:
        source.revision(item)
    assert isinstance(caught.value, OSError)
    os.truncate(path, 1)
    revision = source.revision(item)
    os.truncate(path, 1 << 40)  # grown since
    with pytest.raises(TooLarge):
        source.download(item, revision, lambda piece: None)


# --- what may not be read


@as_a_user
def test_a_file_without_permission(shelf: FolderShelf, source: FileSource) -> None:
    path = Path(shelf.put("closed/a.csv", b"1"))
    item = source.resolve(str(path))
    path.chmod(0)
    with pytest.raises(AccessDenied, match="Ask its owner") as caught:
        fetch(source, item)
    assert isinstance(caught.value, PermissionError)
    path.parent.chmod(0)
    try:
        with pytest.raises(AccessDenied):
            source.resolve(str(path))
        with pytest.raises(AccessDenied):
            list(source.list(source.resolve(str(shelf.root))))
    finally:
        path.parent.chmod(0o700)


AS_NOBODY = """
import os, sys
from data_platform.errors import AccessDenied
from data_platform.settings import load
from readers.file import FileSource

closed, behind, folder, passing = sys.argv[1:]
source = FileSource(load(home="/nonexistent"))
os.setgroups([]); os.setgid(65534); os.setuid(65534)

def outcome(step):
    try:
        return step()
    except AccessDenied as error:
        return type(error).__name__

item = source.resolve(closed)
print(outcome(lambda: source.download(item, source.revision(item), print)))
print(outcome(lambda: source.resolve(behind)))
print(outcome(lambda: list(source.list(source.resolve(folder)))))
item = source.resolve(passing)
received = []
source.download(item, source.revision(item), received.append)
print(b"".join(received).decode())
"""


@as_root
def test_permissions_of_another_user() -> None:
    """What root may not feel: done as the user nobody, in a process of its own."""
    root = Path(tempfile.mkdtemp(dir="/tmp"))  # pytest's own folders are closed to others
    try:
        shelf = FolderShelf(root)
        root.chmod(0o755)
        closed, behind = Path(shelf.put("closed.csv", b"1")), Path(shelf.put("folder/behind/a.csv", b"1"))
        passing = Path(shelf.put("only pass/a.csv", b"may be read"))
        closed.chmod(0o600)
        behind.parent.chmod(0o700)
        passing.parent.chmod(0o711)  # nobody may list it, but whoever knows the name may read
        command = [sys.executable, "-c", AS_NOBODY, str(closed), str(behind), str(behind.parent.parent), str(passing)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.stdout.split("\n")[:4] == ["AccessDenied", "AccessDenied", "AccessDenied", "may be read"], (
            done.stderr
        )
    finally:
        shutil.rmtree(root)
