"""Many small files with one call to the disk: no name before it, and none for what did not get there."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from restored_victim import COUNT, MODIFIED, contents, packed, trust
from small_disk import after_power_cut, power_cut
from test_store_faults import strace_works

from populate.backup import target as module
from populate.backup.disk import Disk
from populate.backup.neighbours import Located, groups
from populate.backup.new_file import NewFile
from populate.backup.restorable import Entry
from populate.backup.target import Target
from populate.store import Place
from populate.store.folder import FolderStore, sync_folder

pytestmark = pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="only Linux has files without a name")
VICTIM = Path(__file__).with_name("restored_victim.py")
traced = pytest.mark.skipif(not strace_works(), reason="needs strace and the right to trace: apt-get install strace")


def whole(folder: Path) -> list[str]:
    """Return the names that files have, each of which has the bytes and the time that belong to it."""
    names = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
    for name in names:
        assert (folder / name).read_bytes() == contents()[name]
        assert (folder / name).stat().st_mtime_ns == MODIFIED
    return names


def calls(tmp_path: Path, *injections: str, most: int = 20) -> tuple[int, list[str]]:
    """Restore under strace, some files at a time; return exit status and system calls."""
    log = tmp_path / "log"
    command = ["strace", "-f", "-y", "-o", log, "-e", "trace=write,utimensat,syncfs,fsync,linkat"]
    command += [part for injection in injections for part in ("-e", f"inject={injection}")]
    command += [sys.executable, VICTIM, tmp_path / "store", tmp_path / "to", str(most)]
    done = subprocess.run(command, capture_output=True, timeout=280, check=False)
    return done.returncode, [line for line in log.read_text().splitlines() if f"{tmp_path}/to" in line]


def early(lines: list[str], brought: str) -> list[str]:
    """Return the names that were given to files that nothing had brought to the disk since they were changed."""
    changed, named = set[str](), list[str]()
    for line in lines:
        if found := re.search(r"(?:write|utimensat)\((\d+)<", line):
            changed.add(found[1])
        elif found := re.search(r"syncfs\(\d+<.*= 0", line) if brought == "syncfs" else None:
            changed.clear()
        elif found := re.search(r"fsync\((\d+)<.*= 0", line) if brought == "fsync" else None:
            changed.discard(found[1])
        elif (found := re.search(r"linkat\((\d+)<", line)) and found[1] in changed:
            named.append(line)
    return named


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def linked(lines: list[str]) -> int:
    return sum("linkat(" in line for line in lines)


@traced
def test_no_file_has_a_name_before_it_is_on_the_disk(tmp_path: Path) -> None:
    status, lines = calls(tmp_path)
    assert (status, len(whole(tmp_path / "to")), linked(lines)) == (0, COUNT, COUNT)
    assert early(lines, "syncfs") == []
    assert sum("syncfs(" in line for line in lines) == COUNT / 20
    assert not [line for line in lines if "fsync(" in line]
    assert early([line for line in lines if "syncfs(" not in line], "syncfs"), "the test sees nothing"


@traced
def test_where_the_call_for_all_fails_each_is_brought_there(tmp_path: Path) -> None:
    status, lines = calls(tmp_path, "syncfs:error=EIO")
    assert (status, len(whole(tmp_path / "to")), linked(lines)) == (0, COUNT, COUNT)
    assert sum("fsync(" in line for line in lines) == COUNT
    assert early(lines, "fsync") == []


@traced
def test_what_does_not_get_to_the_disk_gets_no_name(tmp_path: Path) -> None:
    status, lines = calls(tmp_path, "syncfs:error=EIO", "fsync:error=EIO:when=30+")
    lost = [line for line in lines if "fsync(" in line and "EIO" in line]
    assert (status, len(whole(tmp_path / "to"))) == (0, COUNT - len(lost))
    assert 0 < len(lost) < COUNT
    assert early(lines, "fsync") == []


@traced
@pytest.mark.parametrize(
    ("call", "names"),
    [
        ("write:signal=KILL:when=60", {0, 20, 40}),
        ("syncfs:signal=KILL:when=2", {20}),
        ("linkat:signal=KILL:when=27", {26, 27}),
    ],
)
def test_a_kill_leaves_whole_files_and_nothing_else(tmp_path: Path, call: str, names: set[int]) -> None:
    packed(tmp_path / "store")  # so that no call is counted that writes to the store
    status, _ = calls(tmp_path, call)
    assert status == -9
    assert len(whole(tmp_path / "to")) in names
    status, _ = calls(tmp_path)
    assert (status, len(whole(tmp_path / "to"))) == (0, COUNT)


@pytest.fixture
def target(tmp_path: Path) -> Target:
    trust(tmp_path)
    return Target(tmp_path / "to", 2)


def test_names_are_given_after_the_call(tmp_path: Path, target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = list[list[str]]()
    bring = Disk.bring

    def watched(disk: Disk, files: list[NewFile]) -> None:
        seen.append([str(file.target) for file in files if os.path.lexists(file.target)])
        bring(disk, files)

    monkeypatch.setattr(Disk, "bring", watched)
    for group in groups(packed(tmp_path / "store"), 20):
        assert len(target.write_together(group)) == 20
    assert seen == [[]] * 3
    assert len(whole(tmp_path / "to")) == COUNT


def test_few_files_are_open_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trust(tmp_path)
    monkeypatch.setattr(module.resource, "getrlimit", lambda what: (320, 320))
    target = Target(tmp_path / "to", 8)
    before, opened = open_files(), list[int]()
    monkeypatch.setattr(Disk, "bring", lambda disk, files: opened.append(open_files()))
    target.write_together(packed(tmp_path / "store"))
    assert opened == [before + 320 // 2 // 8] * 3
    assert open_files() == before
    assert whole(tmp_path / "to") == []  # nothing was brought to the disk


def test_elsewhere_files_are_written_one_by_one_and_still_read_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("populate.backup.disk._has_syncfs", lambda: False)
    brought, reads = list[int](), list[Place]()
    bring, read = Disk.bring, FolderStore.read
    monkeypatch.setattr(Disk, "bring", lambda disk, files: brought.append(len(files)) or bring(disk, files))
    monkeypatch.setattr(FolderStore, "read", lambda store, place: reads.append(place) or read(store, place))
    assert len(Target(tmp_path / "to", 8).write_together(packed(tmp_path / "store"))) == COUNT
    assert (brought, len(reads)) == ([1] * COUNT, 1)
    assert len(whole(tmp_path / "to")) == COUNT


def test_what_is_there_damaged_or_missing_is_left_to_who_does_one_by_one(tmp_path: Path, target: Target) -> None:
    group = packed(tmp_path / "store")
    there, altered, missing = (one.entry for one in group[:3])
    (tmp_path / "to" / "0").mkdir()
    (tmp_path / "to" / there.path).write_bytes(b"of somebody else")
    group[1] = Located(altered._replace(sha256="0" * 64), group[1].places)
    group[2] = Located(missing, [])
    assert target.write_together(group) == {one.entry for one in group[3:]}
    assert (tmp_path / "to" / there.path).read_bytes() == b"of somebody else"
    assert len(list((tmp_path / "to").rglob("*.csv"))) == COUNT - 2
    (pack,) = (tmp_path / "store" / "objects" / "packs").rglob("*/*")
    pack.unlink()
    assert Target(tmp_path / "other", 2).write_together(group) == set()
    assert list((tmp_path / "other").rglob("*.csv")) == []


def test_a_name_that_is_taken_meanwhile_stays(tmp_path: Path, target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    group = packed(tmp_path / "store")
    bring = Disk.bring

    def overtaken(disk: Disk, files: list[NewFile]) -> None:
        Path(files[5].target).write_bytes(b"of somebody else")
        bring(disk, files)

    monkeypatch.setattr(Disk, "bring", overtaken)
    written = target.write_together(group)
    assert {one.entry for one in group} - written == {group[5].entry}
    assert (tmp_path / "to" / group[5].entry.path).read_bytes() == b"of somebody else"


def test_groups_are_small_in_number_and_bytes_and_neighbours_are_read_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FolderStore(tmp_path / "store")
    files = list[Located]()
    for number, size in enumerate([400_000] * 5 + [3_000_000] + [100] * 300):
        start = sum(one.entry.size for one in files)
        entry = Entry(str(number), hashlib.sha256(bytes(size)).hexdigest(), size, -1, str(number))
        files.append(Located(entry, [(store, Place("objects/packs/aa/b", start, size))]))
    found = list(groups(files, 128))
    assert [one for group in found for one in group] == files
    assert max(map(len, found)) == 128
    assert [[one.entry.path for one in group] for group in found[:4]] == [["0", "1"], ["2", "3"], ["4"], ["5"]]
    reads = list[Place]()
    monkeypatch.setattr(FolderStore, "read", lambda store, place: reads.append(place) or iter([b""]))
    Target(tmp_path / "to", 2).write_together(found[-1])
    assert [place.length for place in reads] == [sum(one.entry.size for one in found[-1])]


def leave_to_chance(disk: Disk, files: list[NewFile]) -> None:
    for file in files:
        file.on_disk = True


@pytest.mark.parametrize("is_brought", [True, False])
def test_what_has_a_name_after_a_power_cut_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_brought: bool
) -> None:
    if not is_brought:
        monkeypatch.setattr(Disk, "bring", leave_to_chance)
    with power_cut(tmp_path / "disk") as disk:
        target = Target(disk / "to", 2)
        for group in groups(packed(tmp_path / "store"), 20):
            target.write_together(group)
        sync_folder(disk / "to")  # names get there by themselves, sooner or later
    with after_power_cut(tmp_path / "disk") as disk:
        if is_brought:
            assert len(whole(disk / "to")) == COUNT
        else:
            with pytest.raises(AssertionError):
                whole(disk / "to")
