"""Restoring: the bytes that were read come back, under their name, or one clear word why not."""

from __future__ import annotations

import os
import secrets
from datetime import date
from pathlib import Path

import pytest
from deliveries import Record, hand_in, item, read, read_file, sha256, work_off
from servers.processes import S3Server
from small_disk import small_disk

from data_platform.errors import BlobDamaged, BlobMissing, RestoreError, TargetExists, VersionUnavailable
from data_platform.settings import settings
from populate.backup.restore import restore
from populate.backup.tables import Backup
from populate.ingest import Ingest
from populate.store import Store, object_name_of, open_store
from populate.store.folder import FolderStore
from schemas.binding import Binding
from schemas.catalogue import Blob, FileName
from schemas.identity import name_id

on_postgresql = pytest.mark.parametrize("backend", ["postgresql"])  # where no statement differs


def back_up(binding: Binding, *records: Record) -> Store:
    """Deliver and work off `records`; return the store."""
    hand_in(binding, records)
    work_off(Ingest, Backup)
    return open_store(settings())


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    made = tmp_path / "lab"
    made.mkdir()
    return made


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, empty."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def object_of(store: Store, data: bytes) -> Path:
    assert isinstance(store, FolderStore)
    path = store.root / object_name_of(sha256(data))
    path.chmod(0o600)
    return path


def test_the_bytes_come_back_under_their_name(binding: Binding, lab: Path, here: Path) -> None:
    contents = {"counts.tsv": b"1\t2\n", "empty": b"", "µ 细胞.bin": os.urandom(9_000_000)}
    store = back_up(binding, *(read_file(write(lab / name, data)) for name, data in contents.items()))
    for name, data in contents.items():
        (lab / name).unlink()
        restored = restore(binding, store, sha256(data))
        assert restored == here / name
        assert restored.read_bytes() == data
    assert names_in(here) == sorted(contents)


@on_postgresql
def test_from_a_bucket(
    binding: Binding, lab: Path, here: Path, any_s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {"url": f"s3://restore/{secrets.token_hex(8)}", "endpoint": any_s3.endpoint}
    values |= {"access_key": any_s3.access_key, "secret_key": any_s3.secret_key}
    for name, value in values.items():
        monkeypatch.setenv(f"DATA_PLATFORM_STORE__{name.upper()}", value)
    settings.cache_clear()
    contents = [b"small", os.urandom(9_000_000)]
    store = back_up(binding, *(read_file(write(lab / f"{len(data)}", data)) for data in contents))
    assert store.name.startswith("s3:")
    assert [restore(binding, store, sha256(data)).read_bytes() for data in contents] == contents


@on_postgresql
def test_to_a_path_and_into_a_folder(binding: Binding, lab: Path, here: Path) -> None:
    store = back_up(binding, read_file(write(lab / "a.csv", b"1,2")))
    (here / "sub").mkdir()
    assert restore(binding, store, sha256(b"1,2"), Path("old.csv")) == here / "old.csv"
    assert restore(binding, store, sha256(b"1,2"), here / "sub") == here / "sub" / "a.csv"
    assert (here / "old.csv").read_bytes() == (here / "sub" / "a.csv").read_bytes() == b"1,2"


@on_postgresql
def test_it_has_the_permissions_that_new_files_have_here(binding: Binding, lab: Path, here: Path) -> None:
    store = back_up(binding, read_file(write(lab / "a.csv", b"1,2")))
    new = write(here / "new", b"")
    assert restore(binding, store, sha256(b"1,2")).stat().st_mode == new.stat().st_mode


def test_the_latest_name_is_taken(binding: Binding, here: Path, lab: Path) -> None:
    store = back_up(binding, read_file(write(lab / "draft.csv", b"1,2")))
    file_id = FileName.to_dicts()[0]["file_id"]
    for day, name in ((date(2025, 1, 1), "oldest.csv"), (date(2027, 1, 1), "final.csv")):
        path = f"/lab/{name}"
        row = {"file_id": file_id, "named_on": day, "name_id": name_id(path), "file_name": name, "file_path": path}
        FileName.insert1(row)
    assert restore(binding, store, sha256(b"1,2")).name == "final.csv"


@on_postgresql
def test_a_name_leads_nowhere_else(binding: Binding, here: Path, lab: Path) -> None:
    store = back_up(binding, read_file(write(lab / "a.csv", b"1,2")))
    file_id = FileName.to_dicts()[0]["file_id"]
    before = {path for path in here.parent.rglob("*") if here not in path.parents}
    names = ["../../etc/passwd", "..", "a\\x00b", "/etc/cron.d/x", "x" * 700, "C:\\x", "\u202egpj.exe"]
    for number, name in enumerate(names):
        # The reader and the ingestion see to names as well, so the rows are made by hand.
        row = {"file_id": file_id, "named_on": date(2027, 1, 1 + number), "name_id": name_id(name), "file_path": "x"}
        FileName.insert1(row | {"file_name": name})
        restored = restore(binding, store, sha256(b"1,2"))
        assert restored.parent == here
        assert restored.read_bytes() == b"1,2"
        assert len(names_in(here)) == number + 1
    assert {path for path in here.parent.rglob("*") if here not in path.parents} == before


class TestHashes:
    def test_forms(self, binding: Binding, lab: Path, here: Path) -> None:
        store = back_up(binding, read_file(write(lab / "a.csv", b"1,2")))
        whole = sha256(b"1,2")
        for form in (whole, whole.upper(), f"sha256:{whole}", f" {whole}\n", whole[:8], whole[:63]):
            restored = restore(binding, store, form)
            assert restored.read_bytes() == b"1,2"
            restored.unlink()

    def test_a_beginning_of_several(self, binding: Binding, home: Path) -> None:
        Blob.insert({"sha256": "abcdef01" + digit * 56, "blob_size": 1} for digit in "0123f")
        with pytest.raises(VersionUnavailable, match=r"Several.*abcdef0100000000.*more digits"):
            restore(binding, open_store(settings()), "abcdef01")
        with pytest.raises(BlobMissing):
            restore(binding, open_store(settings()), "abcdef01f")

    def test_what_is_none(self, binding: Binding, home: Path) -> None:
        Blob.insert1({"sha256": "abcdef01" * 8, "blob_size": 1})
        for text in ("", "abcdef0", "x" * 64, "0" * 65, "' OR 1=1 --", "%", "abcdef01%", "abcdef01'"):
            with pytest.raises(VersionUnavailable, match="not a SHA-256"):
                restore(binding, open_store(settings()), text)

    def test_unknown(self, binding: Binding, home: Path) -> None:
        Blob.insert1({"sha256": "abcdef01" * 8, "blob_size": 1})
        with pytest.raises(VersionUnavailable, match=r"was ever read.*data-platform flush"):
            restore(binding, open_store(settings()), sha256(b"never"))


@on_postgresql
class TestTargets:
    def test_the_same_bytes_are_left_as_they_are(self, binding: Binding, lab: Path, here: Path) -> None:
        store = back_up(binding, read_file(write(lab / "a.csv", b"1,2")))
        before = restore(binding, store, sha256(b"1,2")).stat()
        object_of(store, b"1,2").unlink()
        after = restore(binding, store, sha256(b"1,2")).stat()
        assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)

    def test_other_bytes_are_left_as_they_are(self, binding: Binding, lab: Path, here: Path) -> None:
        store = back_up(binding, read_file(write(lab / "a.csv", b"1,2")))
        for other in (b"3,4", b"longer"):
            write(here / "a.csv", other)
            with pytest.raises(TargetExists, match="--to") as caught:
                restore(binding, store, sha256(b"1,2"))
            assert isinstance(caught.value, FileExistsError)
            assert (here / "a.csv").read_bytes() == other
        assert names_in(here) == ["a.csv"]

    def test_a_dangling_link_is_not_followed(self, binding: Binding, lab: Path, here: Path, tmp_path: Path) -> None:
        store = back_up(binding, read_file(write(lab / "a.csv", b"1,2")))
        (here / "a.csv").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(TargetExists):
            restore(binding, store, sha256(b"1,2"))
        assert not (tmp_path / "elsewhere").exists()

    def test_a_file_that_appears_meanwhile_is_kept(self, binding: Binding, lab: Path, here: Path) -> None:
        store = back_up(binding, read_file(write(lab / "a.csv", b"1,2")))
        target, genuine = here / "a.csv", store.read

        class Meddled(type(store)):  # type: ignore[misc]
            def read(self, place):  # type: ignore[no-untyped-def]
                target.write_bytes(b"somebody was quicker")
                return genuine(place)

        store.__class__ = Meddled
        with pytest.raises(TargetExists):
            restore(binding, store, sha256(b"1,2"))
        assert target.read_bytes() == b"somebody was quicker"
        assert names_in(here) == ["a.csv"]

    def test_a_folder_that_is_not_there(self, binding: Binding, lab: Path, here: Path) -> None:
        store = back_up(binding, read_file(write(lab / "a.csv", b"1,2")))
        with pytest.raises(RestoreError, match="existing folder"):
            restore(binding, store, sha256(b"1,2"), here / "nowhere" / "a.csv")

    def test_a_full_disk(self, binding: Binding, lab: Path, tmp_path: Path) -> None:
        data = os.urandom(3_000_000)
        store = back_up(binding, read_file(write(lab / "a.bin", data)))
        with small_disk(tmp_path / "disk", "size=1m") as disk:
            with pytest.raises(RestoreError, match="No space left"):
                restore(binding, store, sha256(data), disk / "a.bin")
            assert names_in(disk) == []


@on_postgresql
class TestStores:
    def test_damaged_bytes_are_not_restored(self, binding: Binding, lab: Path, here: Path) -> None:
        data = bytes(range(256)) * 100
        store = back_up(binding, read_file(write(lab / "a.bin", data)))
        flipped = data[:999] + bytes([data[999] ^ 1]) + data[1000:]
        for damaged in (flipped, data[:-1], b"x" + data, b""):
            object_of(store, data).write_bytes(damaged)
            with pytest.raises(BlobDamaged, match="copy of the store"):
                restore(binding, store, sha256(data))
            assert names_in(here) == []

    def test_a_missing_object(self, binding: Binding, lab: Path, here: Path) -> None:
        store = back_up(binding, read_file(write(lab / "a.csv", b"1,2")))
        object_of(store, b"1,2").unlink()
        with pytest.raises(BlobMissing, match="data-platform check"):
            restore(binding, store, sha256(b"1,2"))
        assert names_in(here) == []

    def test_what_is_not_backed_up_yet(self, binding: Binding, here: Path) -> None:
        Blob.insert1({"sha256": sha256(b"1,2"), "blob_size": 3})
        with pytest.raises(BlobMissing, match=r"not backed up yet.*data-platform worker --once"):
            restore(binding, open_store(settings()), sha256(b"1,2"))

    def test_what_could_not_be_backed_up(self, binding: Binding, lab: Path, here: Path) -> None:
        path = write(lab / "a.csv", b"1,2")
        record = read_file(path)
        path.unlink()
        store = back_up(binding, record)
        with pytest.raises(BlobMissing, match="could not be backed up: SourceNotFound"):
            restore(binding, store, sha256(b"1,2"))

    def test_what_is_kept_in_another_store(self, binding: Binding, lab: Path, here: Path, tmp_path: Path) -> None:
        store = back_up(binding, read_file(write(lab / "a.csv", b"1,2")))
        with pytest.raises(BlobMissing, match=rf"kept in {store.name} .*store\.url"):
            restore(binding, FolderStore(tmp_path / "other"), sha256(b"1,2"))


@on_postgresql
def test_a_content_without_any_name_is_called_by_its_hash(binding: Binding, lab: Path, here: Path) -> None:
    store = back_up(binding, read_file(write(lab / "a.csv", b"1,2")))
    FileName().delete_quick()
    assert restore(binding, store, sha256(b"1,2")).name == sha256(b"1,2")


@on_postgresql
def test_a_name_of_another_content_is_not_taken(binding: Binding, lab: Path, here: Path) -> None:
    store = back_up(
        binding,
        read_file(write(lab / "a.csv", b"1,2")),
        read(item("/elsewhere/z.csv"), data=b"other"),
    )
    assert restore(binding, store, sha256(b"1,2")).name == "a.csv"
