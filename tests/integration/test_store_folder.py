"""The content store in a folder: permissions, links, leftovers, and the contract."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from store_contract import StoreContract, content_of_size, get, put, sha256_of

from data_platform.errors import BlobDamaged, SettingsError, StoreError, StoreUnavailable
from data_platform.settings import load
from populate.store import Place, Store, object_name_of, open_store
from populate.store.folder import ABANDONED_AFTER, FolderStore


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data" / "store"


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


class TestFolder(StoreContract):
    @pytest.fixture
    def open_store(self, root: Path) -> Callable[[], Store]:
        return lambda: FolderStore(root)

    def leftovers(self, store: Store) -> list[str]:
        assert isinstance(store, FolderStore)
        return [path.name for path in store.incoming.iterdir()]

    def overwrite(self, store: Store, object_name: str, content: bytes) -> None:
        assert isinstance(store, FolderStore)
        path = store.root / object_name
        path.chmod(0o600)
        path.write_bytes(content)

    def test_the_layout_is_the_one_that_others_rely_on(self, store: Store, root: Path) -> None:
        put(store, b"abc")
        sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        assert [path for path in root.rglob("*") if path.is_file()] == [root / "objects" / "ba" / "78" / sha256]
        assert store.name == f"folder:{root}"

    def test_nobody_else_may_look_and_nothing_is_written_again(self, store: Store, root: Path) -> None:
        place = put(store, b"abc")
        assert mode_of(root / place.object_name) == 0o444
        for folder in (root.parent, root, root / "incoming", *(root / place.object_name).parents[:3]):
            assert mode_of(folder) == 0o700, folder

    def test_a_folder_that_is_there_keeps_its_permissions(self, root: Path) -> None:
        root.mkdir(parents=True)
        root.chmod(0o750)
        put(FolderStore(root), b"abc")
        assert mode_of(root) == 0o750

    def test_a_link_in_the_place_of_an_object_is_not_followed(self, store: Store, root: Path, tmp_path: Path) -> None:
        secret = tmp_path / "secret"
        secret.write_bytes(b"abc")
        place = put(store, b"abc")
        path = root / place.object_name
        path.unlink()
        path.symlink_to(secret)
        with pytest.raises(StoreError, match="cannot be read"):
            get(store, place)
        assert store.size(place.object_name) is None
        assert list(store.objects()) == []
        put(store, b"abc")
        assert not path.is_symlink()
        assert secret.read_bytes() == b"abc"

    def test_a_pipe_in_the_place_of_an_object_does_not_hang(self, store: Store, root: Path) -> None:
        place = put(store, b"abc")
        path = root / place.object_name
        path.unlink()
        os.mkfifo(path)
        with pytest.raises(BlobDamaged):
            get(store, place)

    def test_a_folder_in_the_place_of_an_object_is_an_error(self, store: Store, root: Path) -> None:
        (root / object_name_of(sha256_of(b"abc"))).mkdir(parents=True)
        with pytest.raises(StoreError):
            put(store, b"abc")
        assert self.leftovers(store) == []


WRITE_AND_WAIT = """
import sys
from pathlib import Path
from populate.store.folder import FolderStore
writer = FolderStore(Path(sys.argv[1])).writer("0" * 64, None)
writer.write(b"half")
print("half", flush=True)
sys.stdin.read()
"""


def test_what_dead_writers_left_is_swept_and_what_living_ones_write_is_not(root: Path) -> None:
    command = [sys.executable, "-c", WRITE_AND_WAIT, str(root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"half\n"
        store = FolderStore(root)
        assert len(list(store.incoming.iterdir())) == 1
        child.kill()
    assert len(list(store.incoming.iterdir())) == 1
    FolderStore(root)
    assert list(store.incoming.iterdir()) == []


def test_a_writer_of_this_process_is_not_swept_by_another_store(root: Path) -> None:
    with FolderStore(root).writer(sha256_of(b"abc"), 3) as writer:
        writer.write(b"abc")
        FolderStore(root)
        place = writer.commit()
    assert get(FolderStore(root), place) == b"abc"


def test_without_locks_only_old_leftovers_are_swept(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some network file systems refuse locks; no such file system can be mounted here."""

    def no_locks(*_: object) -> None:
        raise OSError(38, os.strerror(38))

    incoming = FolderStore(root).incoming
    (incoming / "new").write_bytes(b"half")
    (incoming / "old").write_bytes(b"half")
    os.utime(incoming / "old", (0, (incoming / "new").stat().st_mtime - ABANDONED_AFTER - 10))
    monkeypatch.setattr("fcntl.flock", no_locks)
    store = FolderStore(root)
    assert [path.name for path in incoming.iterdir()] == ["new"]
    assert get(store, put(store, b"abc")) == b"abc"


def test_without_hard_links_a_content_is_renamed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some file systems of memory sticks and network shares know no links."""

    def no_links(*_: object, **__: object) -> None:
        raise OSError(1, os.strerror(1))

    monkeypatch.setattr("os.link", no_links)
    store = FolderStore(root)
    assert get(store, put(store, b"abc")) == b"abc"
    assert list(store.incoming.iterdir()) == []


def test_a_place_where_no_folder_can_be_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreUnavailable, match="Check that it is mounted"):
        FolderStore(tmp_path / "file" / "store")


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_the_setting_names_a_folder(root: Path, form: str, home: Path) -> None:
    store = open_store(load(store={"url": form.format(root)}))
    assert store.name == f"folder:{root}"


def test_the_default_is_a_folder_in_the_home(home: Path) -> None:
    assert open_store(load()).name == f"folder:{home / 'store'}"


def test_another_scheme_is_refused(home: Path) -> None:
    with pytest.raises(SettingsError, match="s3://bucket/prefix"):
        open_store(load(store={"url": "gs://bucket/prefix"}))


WITHOUT = """
import sys
sys.modules[sys.argv[1]] = None  # as if it were not installed
from data_platform.errors import MissingExtra
from data_platform.settings import load
from populate.store import open_store
try:
    open_store(load(store={"url": "s3://bucket/prefix"}))
except MissingExtra as error:
    print(error)
"""


@pytest.mark.parametrize("package", ["obstore", "boto3"])
def test_a_missing_package_is_named(home: Path, package: str) -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT, package], capture_output=True, text=True, check=True)
    assert package in done.stdout
    assert 'pip install "data-platform[platform]"' in done.stdout


def test_a_folder_needs_none_of_these_packages(root: Path) -> None:
    program = "import sys\nfrom pathlib import Path\nfrom populate.store.folder import FolderStore\n"
    program += "FolderStore(Path(sys.argv[1]))\nprint([name for name in ('boto3', 'obstore') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program, root], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_object_that_shrinks_while_it_is_read_is_noticed(root: Path) -> None:
    store = FolderStore(root)
    content = content_of_size(3 * 1024 * 1024)
    place = put(store, content)
    pieces = store.read(Place(place.object_name, 0, len(content)))
    next(pieces)
    (root / place.object_name).chmod(0o600)
    os.truncate(root / place.object_name, 1024 * 1024)
    with pytest.raises(BlobDamaged, match="shorter"):
        list(pieces)
