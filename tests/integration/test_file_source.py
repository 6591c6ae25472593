"""Files of this machine: the contract, odd things in folders, and attempts to slip in others."""

from __future__ import annotations

import logging
import os
import pwd
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from small_disk import small_disk
from source_contract import Shelf, SourceContract, fetch

from data_platform.errors import (
    AccessDenied,
    SettingsError,
    SourceChanged,
    SourceError,
    SourceNotFound,
    SourceUnavailable,
    TooLarge,
    UnknownSource,
    UnsafeLink,
    UnsupportedItem,
)
from data_platform.settings import Settings, load
from readers.event import machine_login
from readers.file import FileSource
from readers.source import Item, Source

as_a_user = pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may do that")


class FolderShelf(Shelf):
    """A folder on this machine."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, path: str, data: bytes) -> str:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        return str(target)

    def remove(self, path: str) -> None:
        (self.root / path).unlink()

    def link(self, path: str) -> str:
        return str(self.root / path)

    folder = link


@pytest.fixture
def shelf(tmp_path: Path) -> FolderShelf:
    (tmp_path / "shelf").mkdir()
    return FolderShelf(tmp_path / "shelf")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(home=tmp_path / "home")


@pytest.fixture
def source(settings: Settings) -> FileSource:
    return FileSource(settings)


class TestFileSource(SourceContract):
    names = (*SourceContract.names, "back\\slash.csv", "new\nline.csv", "caf\udce9.csv", "x" * 255)

    @pytest.fixture
    def shelf(self, shelf: FolderShelf) -> Shelf:
        return shelf

    @pytest.fixture
    def source(self, source: FileSource) -> Source:
        return source


# --- links


def test_every_way_to_name_a_file_leads_to_one_item(
    shelf: FolderShelf, source: FileSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = shelf.put("sub folder/50% ü#1?.csv", b"1")
    (tmp_path / "shortcut").symlink_to(shelf.root)
    monkeypatch.chdir(shelf.root)
    monkeypatch.setenv("HOME", str(shelf.root))
    ways = [
        path,
        Path(path).as_uri(),
        Path(path).as_uri().replace("file:///", "FILE://localhost/"),
        Path(path).as_uri().replace("file:///", "file:/"),
        f"file://{path.replace('%', '%25')}",
        "sub folder/50% ü#1?.csv",
        "./sub folder/../sub folder//50% ü#1?.csv",
        "~/sub folder/50% ü#1?.csv",
        str(tmp_path / "shortcut" / "sub folder" / "50% ü#1?.csv"),
    ]
    items = {source.resolve(way) for way in ways}
    (item,) = items
    assert item.item_id == os.path.realpath(path)
    assert item.source_system == f"file/{socket.gethostname().lower()}"
    assert item.name == "50% ü#1?.csv"
    assert item.url == Path(os.path.realpath(path)).as_uri()


@pytest.mark.parametrize(
    ("link", "error"),
    [
        ("file://fileserver/share/a.csv", UnknownSource),
        ("file://user:secret@localhost/a.csv", UnknownSource),
        ("file:a.csv", UnknownSource),
        ("file://", UnknownSource),
        ("/no/such/file.csv", SourceNotFound),
        ("", SourceNotFound),
        ("a\0b", SourceNotFound),
        ("file:///a%00b", SourceNotFound),
        ("/etc/passwd/x", SourceNotFound),
        ("/" + "x" * 300, SourceNotFound),
        ("/x" * 5000, SourceNotFound),
        ("~no_such_user/a.csv", SourceNotFound),
    ],
)
def test_links_that_lead_nowhere(source: FileSource, link: str, error: type[SourceError]) -> None:
    with pytest.raises(error) as caught:
        source.resolve(link)
    assert str(caught.value).endswith(".")
    assert "secret" not in str(caught.value)


def test_a_broken_symlink_and_a_circle(shelf: FolderShelf, source: FileSource) -> None:
    (shelf.root / "broken").symlink_to("nothing")
    (shelf.root / "a").symlink_to("b")
    (shelf.root / "b").symlink_to("a")
    for name in ("broken", "a"):
        with pytest.raises(SourceNotFound):
            source.resolve(shelf.link(name))


def test_errors_carry_the_number_of_the_system(shelf: FolderShelf, source: FileSource) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        source.resolve(shelf.link("nothing"))
    assert caught.value.errno == 2
    assert str(caught.value).startswith("There is nothing at ")


# --- owners


def test_the_owner_is_the_user_of_the_file(shelf: FolderShelf, source: FileSource) -> None:
    owner = source.resolve(shelf.put("a.csv", b"1")).owner
    assert owner is not None
    # The same words as for the reader, or everybody's own files would look shared.
    assert (owner.realm, owner.name) == ("local", machine_login())


@as_root
def test_users_without_a_name_have_their_number(shelf: FolderShelf, settings: Settings) -> None:
    path = shelf.put("a.csv", b"1")
    nobody_knows = 1_999_999_999
    with pytest.raises(KeyError):
        pwd.getpwuid(nobody_knows)
    os.chown(path, nobody_knows, -1)
    owner = FileSource(settings).resolve(path).owner
    assert owner is not None
    assert owner.name == f"uid-{nobody_knows}"


def test_the_setting_names_owners_by_folder(shelf: FolderShelf, tmp_path: Path) -> None:
    (tmp_path / "shortcut").symlink_to(shelf.root)
    settings = load(
        home=tmp_path / "home",
        realm="example.org",
        file={
            "owners": {
                str(tmp_path / "shortcut"): "amy",
                f"{shelf.root}/chem/": "brendan",
                f"{shelf.root}/chem/screens": "colin",
            }
        },
    )
    source = FileSource(settings)
    owners = {
        path: source.resolve(shelf.put(path, b"1")).owner
        for path in ("a.csv", "chem/a.csv", "chem/screens/x/a.csv", "chem/screens beside/a.csv", "chemistry/a.csv")
    }
    assert {path: owner.name for path, owner in owners.items() if owner is not None} == {
        "a.csv": "amy",
        "chem/a.csv": "brendan",
        "chem/screens/x/a.csv": "colin",
        "chem/screens beside/a.csv": "brendan",
        "chemistry/a.csv": "amy",
    }
    assert {owner.realm for owner in owners.values() if owner is not None} == {"example.org"}


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
        for value in range(1, 256):
            started = time.monotonic()
            for start in range(0, size, size // 8):
                os.pwrite(descriptor, bytes([value]) * (size // 8), start)
            slow[value] = time.monotonic() - started > 0.01
            if stop.wait(0.025):
                break
        os.close(descriptor)

    writer = threading.Thread(target=keep_writing)
    writer.start()
    served, refused = [], 0
    while writer.is_alive() and (len(slow) < 20 or not refused):
        try:
            served.append(set(fetch(source, item)[0]))
        except SourceChanged:
            refused += 1
    stop.set()
    writer.join()
    served.append(set(fetch(source, item)[0]))
    assert refused  # the writer did get in between
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


# --- folders


def test_what_a_listing_leaves_out_is_told(
    shelf: FolderShelf, source: FileSource, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "outside.csv").write_bytes(b"outside")
    (tmp_path / "shelf beside").mkdir()
    (tmp_path / "shelf beside" / "x.csv").write_bytes(b"beside")
    shelf.put("a.csv", b"1")
    shelf.put("sub/b.csv", b"2")
    root = shelf.root
    (root / "inner link.csv").symlink_to("sub/b.csv")
    (root / "outer link.csv").symlink_to(tmp_path / "outside.csv")
    (root / "beside.csv").symlink_to(tmp_path / "shelf beside" / "x.csv")
    (root / "etc").symlink_to("/etc")
    (root / "loop").symlink_to(".")
    (root / "broken").symlink_to("nothing")
    os.mkfifo(root / "sub" / "pipe")
    with socket.socket(socket.AF_UNIX) as server, caplog.at_level(logging.WARNING):
        server.bind(str(root / "socket"))
        listed = dict(source.list(source.resolve(str(root))))
    assert list(listed) == ["a.csv", "inner link.csv", "sub/b.csv"]
    assert listed["inner link.csv"].item_id == listed["sub/b.csv"].item_id
    (told,) = (record.getMessage() for record in caplog.records)
    assert "1 broken symlinks" in told
    assert "3 symlinks that leave the folder" in told
    assert "1 symlinks that do not lead to a file" in told
    assert "2 sockets, pipes or devices" in told


def test_an_ordinary_listing_tells_nothing(
    shelf: FolderShelf, source: FileSource, caplog: pytest.LogCaptureFixture
) -> None:
    shelf.put("a.csv", b"1")
    (shelf.root / "empty").mkdir()
    assert [path for path, _ in source.list(source.resolve(str(shelf.root)))] == ["a.csv"]
    assert caplog.records == []


def test_a_folder_that_went_away(shelf: FolderShelf, source: FileSource) -> None:
    (shelf.root / "sub").mkdir()
    folder = source.resolve(shelf.link("sub"))
    assert source.revision(folder).token
    (shelf.root / "sub").rmdir()
    with pytest.raises(SourceNotFound):
        list(source.list(folder))


# --- the worker's way


def test_names_that_are_not_utf8_are_found_by_how_they_are_shown(shelf: FolderShelf, source: FileSource) -> None:
    item = source.resolve(shelf.put("caf\udce9/b\udcff.csv", b"1"))
    again = source.reopen(item.source_system, item.item_id.replace("\udce9", "\\xe9").replace("\udcff", "\\xff"))
    assert again == item
    literal = source.resolve(shelf.put("caf\\xe9.csv", b"2"))  # a name that only looks so
    assert source.reopen(literal.source_system, literal.item_id) == literal


@pytest.mark.parametrize(
    "item_id", ["a.csv", "../a.csv", "/data/../etc/passwd", "/data/./x", "", "~/.ssh/id_rsa", "/a\0b"]
)
def test_forged_identities_are_refused(source: FileSource, item_id: str) -> None:
    with pytest.raises(UnsafeLink):
        source.reopen(f"file/{socket.gethostname().lower()}", item_id)


def test_a_symlink_is_not_reopened(shelf: FolderShelf, source: FileSource) -> None:
    item = source.resolve(shelf.put("a.csv", b"1"))
    (shelf.root / "b.csv").symlink_to("a.csv")
    with pytest.raises(UnsafeLink):
        source.reopen(item.source_system, os.path.realpath(shelf.root) + "/b.csv")


@pytest.mark.parametrize("system", ["file/another-host", "nfs/filer/export/lab", "smb/files/chemistry"])
def test_files_of_other_machines_are_told_apart(source: FileSource, system: str) -> None:
    with pytest.raises(SourceUnavailable, match=system) as caught:
        source.reopen(system, "/a.csv")
    assert isinstance(caught.value, ConnectionError)


def test_a_new_mount_is_noticed(source: FileSource, tmp_path: Path) -> None:
    """The table of mounts is kept, and read anew when the kernel says that it changed."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "a.csv").write_bytes(b"below")
    (tmp_path / "disk" / "a.csv").unlink()
    (tmp_path / "disk").rmdir()
    assert source.resolve(str(tmp_path)).is_folder
    with small_disk(tmp_path / "disk", "size=1m") as disk:
        (disk / "a.csv").write_bytes(b"on it")
        assert fetch(source, source.resolve(str(disk / "a.csv")))[0] == b"on it"
        subprocess.run(["mount", "-t", "proc", "proc", str(disk)], check=True)
        try:
            with pytest.raises(UnsupportedItem):
                source.resolve(str(disk / "version"))
        finally:
            subprocess.run(["umount", str(disk)], check=True)
        assert stat.S_ISREG(os.stat(disk / "a.csv").st_mode)
        assert fetch(source, source.resolve(str(disk / "a.csv")))[0] == b"on it"
