"""Files that change while they are read, and symlinks put in their place."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from folder_shelf import FolderShelf
from small_disk import small_disk
from source_contract import fetch

from data_platform.errors import (
    SourceChanged,
    SourceNotFound,
    UnsafeLink,
    UnsupportedItem,
)
from readers.file import FileSource
from readers.source import Item

# --- what changes


def test_a_rewrite_with_the_old_size_and_time_is_another_revision(shelf: FolderShelf, source: FileSource) -> None:
    path = shelf.put("a.csv", b"12345")
    item = source.resolve(path)
    fetch(source, item)  # waits until the clock has ticked on
    before, state = source.revision(item), os.stat(path)
    with open(path, "r+b") as file:
        file.write(b"54321")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert os.stat(path).st_mtime_ns == state.st_mtime_ns
    assert source.revision(item).token != before.token


def test_writes_within_one_tick_of_the_clock_are_told_apart(source: FileSource, tmp_path: Path) -> None:
    """A disk with coarse times gives two writes in a row the same one, so the second could go unseen."""
    with small_disk(tmp_path / "disk", "size=1m", kind="ramfs") as disk:
        path = disk / "a.csv"
        same_time = 0
        for n in range(1000, 1040):
            path.write_bytes(b"%d" % n)
            data, revision = fetch(source, source.resolve(str(path)))
            assert data == b"%d" % n
            path.write_bytes(b"%d" % (n + 2))
            before = path.stat().st_ctime_ns
            path.write_bytes(b"%d" % (n + 1))
            same_time += before == path.stat().st_ctime_ns
            assert source.revision(source.resolve(str(path))).token != revision.token
        if not same_time:
            pytest.skip("the clock of this disk is so fine that the case does not come up")


@pytest.mark.parametrize("change", ["overwrite", "append", "truncate", "replace"])
def test_a_change_during_the_read_is_noticed(shelf: FolderShelf, source: FileSource, change: str) -> None:
    path = Path(shelf.put("a.bin", b"a" * (3 << 20)))
    item = source.resolve(str(path))
    pieces: list[bytes] = []

    def changing(piece: bytes) -> None:
        pieces.append(piece)
        if len(pieces) > 1:
            return
        if change == "overwrite":
            with path.open("r+b") as file:
                file.write(b"b" * (3 << 20))
        elif change == "append":
            with path.open("ab") as file:
                file.write(b"b")
        elif change == "truncate":
            os.truncate(path, 2 << 20)
        else:
            other = path.with_name("other.bin")
            other.write_bytes(b"b" * (3 << 20))
            other.replace(path)

    with pytest.raises(SourceChanged, match=r"a\.bin"):
        source.download(item, source.revision(item), changing)
    assert pieces  # it changed after the first piece, not before
    assert len(set(fetch(source, item)[0][: 2 << 20])) == 1


def test_a_writer_never_makes_a_torn_read(shelf: FolderShelf, source: FileSource) -> None:
    """A thread keeps overwriting a file with the next value: each read gives one value or is refused.

    A file that rests half-written, as when the machine lets its writer wait, cannot be told
    from a finished one by anybody; so passes that took long are known and their halves allowed.
    """
    size = 4 << 20
    path = shelf.put("a.bin", bytes(size))
    item = source.resolve(path)
    stop = threading.Event()
    slow: dict[int, bool] = {0: False}

    def keep_writing() -> None:
        descriptor = os.open(path, os.O_WRONLY)
        for value in itertools.cycle(range(1, 256)):
            started = time.monotonic()
            for start in range(0, size, size // 8):
                os.pwrite(descriptor, bytes([value]) * (size // 8), start)
            slow[value] = slow.get(value, False) or time.monotonic() - started > 0.01
            if stop.wait(0.025):
                break
        os.close(descriptor)

    def read_slowly() -> set[int]:
        values: set[int] = set()

        def take(piece: bytes) -> None:
            values.update(piece)
            time.sleep(0.01)  # the pieces of a read take longer than the writer rests: it does get in between

        source.download(item, source.revision(item), take)
        return values

    writer = threading.Thread(target=keep_writing, daemon=True)
    writer.start()
    served, refused = [], 0
    while len(slow) < 20 or not refused:
        try:
            served.append(read_slowly() if len(slow) % 2 else set(fetch(source, item)[0]))
        except SourceChanged:
            refused += 1
    stop.set()
    writer.join()
    served.append(set(fetch(source, item)[0]))
    for values in served:
        assert len(values) == 1 or any(slow[value] for value in values), values


# --- symlinks put in place of folders and files


def test_symlinks_put_in_later_are_not_followed(shelf: FolderShelf, source: FileSource, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "a.csv").write_bytes(b"SECRET")
    received: list[bytes] = []
    for part in ("deep/er/a.csv", "deep/er", "deep"):
        item = source.resolve(shelf.put("deep/er/a.csv", b"public"))
        revision = source.revision(item)
        (shelf.root / part).rename(shelf.root / "aside")
        target = tmp_path / "secret" / "a.csv" if part.endswith(".csv") else tmp_path / "secret"
        if part == "deep":
            (tmp_path / "secret" / "er").symlink_to(tmp_path / "secret")
        (shelf.root / part).symlink_to(target)
        with pytest.raises(UnsafeLink, match="was put in place of") as caught:
            source.download(item, revision, received.append)
        assert isinstance(caught.value, PermissionError)
        (shelf.root / part).unlink()
        (shelf.root / "aside").rename(shelf.root / part)
        assert fetch(source, item)[0] == b"public"
    assert received == []


SWAPPER = """
import os, select, sys
shared, aside, secret = sys.argv[1:]
swaps = 0
print("ready", flush=True)
while not select.select([sys.stdin], [], [], 0)[0]:
    os.rename(shared, aside); os.symlink(secret, shared)
    swaps += 1
    os.unlink(shared); os.rename(aside, shared)
print(swaps, flush=True)
"""


def test_ten_thousand_reads_of_a_swapped_folder_leak_nothing(source: FileSource, tmp_path: Path) -> None:
    """Threat 6: whoever shares a folder swaps it for a symlink to a secret while it is read."""
    shared, secret = tmp_path / "share" / "data", tmp_path / "secret"
    for folder, data in ((shared, b"public"), (secret, b"SECRET")):
        folder.mkdir(parents=True)
        (folder / "a.csv").write_bytes(data)
    item, parent = source.resolve(str(shared / "a.csv")), source.resolve(str(shared.parent))
    outcomes = {"public": 0, "refused": 0, "missing": 0}
    command = [sys.executable, "-c", SWAPPER, str(shared), str(tmp_path / "share" / "aside"), str(secret)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as swapper:
        try:
            assert swapper.stdout is not None
            assert swapper.stdout.readline() == "ready\n"
            deadline, tries = time.monotonic() + 120, 0
            while tries < 10_000 or min(outcomes["public"], outcomes["refused"]) < 100:
                tries += 1
                outcomes[_try_to_read(source, item)] += 1
                if tries % 20 == 0:
                    _try_to_list(source, parent)
                assert time.monotonic() < deadline, outcomes
        finally:
            swaps = int(swapper.communicate("stop\n")[0])
    assert swaps >= 100


def _try_to_read(source: FileSource, item: Item) -> str:
    received: list[bytes] = []
    try:
        source.download(item, source.revision(item), received.append)
    except UnsafeLink:
        return "refused"
    except (SourceNotFound, SourceChanged, UnsupportedItem):
        return "missing"
    finally:
        assert b"SECRET" not in b"".join(received)
    assert b"".join(received) == b"public"
    return "public"


def _try_to_list(source: FileSource, folder: Item) -> None:
    try:
        for _, member in source.list(folder):
            assert "/secret/" not in member.item_id
            _try_to_read(source, member)
    except (UnsafeLink, SourceNotFound):
        pass
