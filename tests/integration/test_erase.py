"""Erasing: the bytes are nowhere any more and do not come back; their neighbours stay, and so does the order."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from deliveries import hand_in, read_file, sha256, stored, work_off
from servers.processes import S3Server
from store_contract import content_of_size, put

from data_platform.errors import RestrictionError, StoreUnavailable, VersionUnavailable
from data_platform.settings import StoreSettings, load, settings
from populate.backup.check import check
from populate.backup.erased import Erasure
from populate.backup.erasing import Erased, erase
from populate.backup.proving import plan_due
from populate.backup.restore import restore
from populate.backup.tables import Backup, ContentStore, Placement
from populate.backup.verification import Damage, Verify
from populate.ingest import Ingest
from populate.store import object_name_of, open_store
from populate.store.clients import control_client, session_of
from populate.store.folder import FolderStore
from populate.store.s3 import BucketStore
from populate.watch.status import needs, status
from populate.work.queue import Queue
from readers.cache import Cache
from readers.cache_sets import set_path
from schemas.binding import Binding
from schemas.catalogue import Blob, Version

on_postgresql = pytest.mark.parametrize("backend", ["postgresql"])  # where no statement differs


def back_up(binding: Binding, *paths: Path) -> None:
    hand_in(binding, [read_file(path) for path in paths])
    work_off(Ingest, Backup)


def files(binding: Binding, folder: Path, number: int) -> list[Path]:
    paths = [folder / f"{n}.bin" for n in range(number)]
    for n, path in enumerate(paths):
        path.write_bytes(content_of_size(1000 + n, seed=n))
    back_up(binding, *paths)
    return paths


def erased(binding: Binding, data: bytes) -> Erased:
    return erase(binding, open_store(load()), load(), sha256(data), "consent withdrawn")


def bytes_below(folder: Path, data: bytes) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and data in path.read_bytes()]


@pytest.fixture(autouse=True)
def _packs(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_PLATFORM_STORE__PACK_BYTES", "8000000")
    settings.cache_clear()


@pytest.mark.parametrize("number", [1, 20])
def test_it_is_gone_and_does_not_come_back(binding: Binding, tmp_path: Path, number: int) -> None:
    paths = files(binding, tmp_path, number)
    data = paths[0].read_bytes()
    others = {path.read_bytes() for path in paths[1:]}
    done = erased(binding, data)
    assert (len(done.removed), done.elsewhere) == (1, ())
    assert set(stored().values()) == others
    store = open_store(load())
    assert list(check(binding, store, verify_data=True, unreferenced=True)) == []
    assert bytes_below(load().home, data) == []
    (order,) = Erasure.to_dicts()
    assert (order["sha256"], order["erase_reason"]) == (sha256(data), "consent withdrawn")
    assert (len(Blob()), len(Version())) == (number, number)
    with pytest.raises(VersionUnavailable, match=r"was erased on .*consent withdrawn"):
        restore(binding, store, sha256(data), tmp_path / "back")

    (tmp_path / "copy").write_bytes(data)
    back_up(binding, tmp_path / "copy")
    assert set(stored().values()) == others
    plan_due(binding, 1)
    queue = Queue(Verify())
    queue.refresh()
    while queue.run(10):
        pass
    assert len(Damage()) == 0
    numbers = status(binding, settings())
    assert (numbers["needs_person"], numbers["backups_pending"], numbers["contents_damaged"]) == (0, 0, 0)


@on_postgresql
def test_who_was_broken_off_does_it_again(binding: Binding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = files(binding, tmp_path, 20)
    data = paths[5].read_bytes()

    def cut(act: Callable[..., object]) -> Callable[..., object]:
        def die(*arguments: object, **options: object) -> object:
            raise KeyboardInterrupt

        return die

    for owner, name in ((FolderStore, "writer"), (FolderStore, "remove"), (type(Placement()), "delete_quick")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, cut(getattr(owner, name)))
            with pytest.raises(KeyboardInterrupt):
                erased(binding, data)
        assert len(Erasure()) == 1
        (need,) = needs(binding)
        assert (need.what, need.key) == ("Erasure", {"sha256": sha256(data)})
        assert status(binding, settings())["needs_person"] == 1
    erased(binding, data)
    assert needs(binding) == []
    assert set(stored().values()) == {path.read_bytes() for path in paths if path != paths[5]}
    assert bytes_below(load().home, data) == []


@on_postgresql
def test_a_damaged_neighbour_is_told_and_not_dropped(binding: Binding, tmp_path: Path) -> None:
    paths = files(binding, tmp_path, 12)
    store = open_store(load())
    assert isinstance(store, FolderStore)
    row = (Placement() & {"sha256": sha256(paths[3].read_bytes())}).fetch1()
    pack = store.root / str(row["object_name"])
    whole = bytearray(pack.read_bytes())
    whole[row["place_offset"]] ^= 1
    pack.chmod(0o600)
    pack.write_bytes(whole)
    erased(binding, paths[0].read_bytes())
    assert Damage.to_arrays("sha256").tolist() == [sha256(paths[3].read_bytes())]
    assert [problem.problem for problem in check(binding, store, verify_data=True)] == ["missing"]
    assert len(Placement()) == 11


@on_postgresql
def test_the_cache_of_this_machine_forgets_it_and_the_sets_that_have_it(binding: Binding, tmp_path: Path) -> None:
    paths = files(binding, tmp_path, 2)
    data, other = (path.read_bytes() for path in paths)
    limits = load().cache
    cache = Cache(load().cache_folder, limits.max_bytes, limits.keep_seconds)
    for content in (data, other):
        with cache.receive() as incoming:
            incoming.write(content)
            incoming.commit()
    for name in ("both", "one"):
        members = {"a": sha256(other)} | ({"b": sha256(data)} if name == "both" else {})
        assert set_path(cache, name, members) is not None
    assert erased(binding, data).cached
    assert bytes_below(load().home, data) == []
    assert len(bytes_below(load().cache_folder, other)) >= 2
    assert not erased(binding, data).cached


@on_postgresql
def test_other_stores_are_named_and_reasons_are_asked_for(binding: Binding, tmp_path: Path) -> None:
    data = files(binding, tmp_path, 1)[0].read_bytes()
    ContentStore.insert1({"store_id": "0" * 32, "store_name": "folder:/elsewhere"})
    Placement.insert1({**Placement.to_dicts()[0], "store_id": "0" * 32})
    with pytest.raises(RestrictionError, match="reason"):
        erase(binding, open_store(load()), load(), sha256(data), " ")
    assert len(Erasure()) == 0
    assert erased(binding, data).elsewhere == ("folder:/elsewhere",)
    assert [need.what for need in needs(binding)] == ["Erasure"]


@on_postgresql
def test_the_command(binding: Binding, tmp_path: Path) -> None:
    data = files(binding, tmp_path, 1)[0].read_bytes()
    command = [sys.executable, "-m", "data_platform", "erase", sha256(data)[:12], "--reason", "case 17"]
    asked = subprocess.run(command, env=os.environ, input="n\n", capture_output=True, text=True, timeout=280)
    assert asked.returncode != 0
    assert len(stored()) == 1
    done = subprocess.run([*command, "--yes"], env=os.environ, capture_output=True, text=True, timeout=280)
    assert (done.returncode, done.stdout) == (0, f"{sha256(data)} is gone from 1 objects.\n"), done.stderr
    assert stored() == {}


class TestBucket:
    @pytest.fixture
    def store(self, any_s3: S3Server) -> BucketStore:
        keys = {"access_key": any_s3.access_key, "secret_key": any_s3.secret_key}
        return BucketStore(StoreSettings(url=f"s3://b{secrets.token_hex(8)}/x", endpoint=any_s3.endpoint, **keys))

    def test_every_version_is_removed_and_nothing_else(self, store: BucketStore) -> None:
        contents = [content_of_size(100, seed=n) for n in range(2)]
        names = [put(store, content).object_name for content in contents]
        store.client.put_bucket_versioning(Bucket=store.bucket, VersioningConfiguration={"Status": "Enabled"})
        key = f"x/{names[0]}"
        store.client.put_object(Bucket=store.bucket, Key=key, Body=b"newer")
        store.client.delete_object(Bucket=store.bucket, Key=key)
        assert store.size(names[0]) is None
        assert store.remove(names[0])
        left = store.client.list_object_versions(Bucket=store.bucket, Prefix=f"x/{names[0]}")
        assert not left.get("Versions")
        assert not left.get("DeleteMarkers")
        assert store.size(names[1]) == 100
        assert not store.remove(object_name_of(sha256(b"never")))

    def test_many_are_removed_at_once(self, store: BucketStore) -> None:
        names = [put(store, content_of_size(100, seed=n)).object_name for n in range(6)]
        assert set(store.remove_many(names[:5])) == set(names[:5])
        assert [store.size(name) for name in names] == [None] * 5 + [100]
        store.client.put_bucket_versioning(Bucket=store.bucket, VersioningConfiguration={"Status": "Enabled"})
        for n in range(4):
            put(store, content_of_size(100, seed=n))
        assert set(store.remove_many(names[:5])) == set(names[:4])
        left = store.client.list_object_versions(Bucket=store.bucket, Prefix="x/objects")
        assert [version["Key"] for version in left["Versions"]] == [f"x/{names[5]}"]
        assert not left.get("DeleteMarkers")

    def test_a_refusal_is_told(self, store: BucketStore, any_s3: S3Server) -> None:
        put(store, b"x")
        keys = {"access_key": any_s3.access_key, "secret_key": "wrong-" + any_s3.secret_key}
        wrong = StoreSettings(url=f"s3://{store.bucket}/x", endpoint=any_s3.endpoint, **keys)
        store.client = control_client(session_of(wrong), wrong)
        with pytest.raises(StoreUnavailable, match="refuses these credentials"):
            store.remove(object_name_of(sha256(b"x")))
