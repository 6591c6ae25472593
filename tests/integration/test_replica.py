"""A second store: copies are made by themselves, used when the first one fails, mend it, and go when it is erased."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from deliveries import hand_in, read_file, sha256, work_off
from store_contract import content_of_size

from data_platform import face
from data_platform.errors import SettingsError
from data_platform.settings import load, settings
from populate.backup.check import Kept, check
from populate.backup.copying import copied
from populate.backup.proving import plan_due
from populate.backup.replica import Replica, plan_copies
from populate.backup.tables import Backup, Placement
from populate.backup.verification import Damage, DamageMended, Verify
from populate.ingest import Ingest
from populate.store import Place, open_replica, open_store, stores
from populate.store.folder import FolderStore
from populate.store.pack import PACKED, keep
from populate.work.scheduler import Keeper
from schemas.binding import Binding


@pytest.fixture(autouse=True)
def replica(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DATA_PLATFORM_STORE__PACK_BYTES", "8000000")
    monkeypatch.setenv("DATA_PLATFORM_STORE__REPLICA_URL", str(tmp_path / "second"))
    settings.cache_clear()
    return tmp_path / "second"


def test_copies_are_made_used_and_mend_each_other(binding: Binding, replica: Path, tmp_path: Path) -> None:
    (tmp_path / "lab").mkdir()
    contents = [content_of_size(1000 + n, seed=n) for n in range(12)] + [content_of_size(PACKED + 5, seed=99)]
    paths = [tmp_path / "lab" / f"{n}.bin" for n in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    hand_in(binding, [read_file(path) for path in paths])
    work_off(Ingest, Backup)
    Keeper(binding, snapshots=False).tend()  # a store and its replica: the keeper plans the copies
    work_off(Replica)
    assert plan_copies(binding) == 0
    first, second = stores(load())
    assert isinstance(first, FolderStore)
    assert len(Placement()) == 2 * len(contents)
    for store in (first, second):
        assert list(check(binding, store, verify_data=True, unreferenced=True)) == []
    assert len(list(second.objects())) == 2  # small ones in a pack

    damaged = (Placement() & {"sha256": sha256(contents[-1])}).to_dicts()[0]["object_name"]
    (first.root / damaged).unlink()
    for path in paths:
        path.unlink()  # no source has it any more
    assert face.restore(sha256(contents[-1]), tmp_path / "back").read_bytes() == contents[-1]
    plan_due(binding, 1)
    work_off(Verify)
    assert (len(Damage()), len(DamageMended())) == (1, 1)
    assert list(check(binding, first, verify_data=True)) == []

    shutil.move(first.root / "objects", tmp_path / "lost")
    done = face.restore_files(tmp_path / "all")
    assert (done.files, done.refused) == (len(contents), [])
    assert {path.read_bytes() for path in (tmp_path / "all").rglob("*.bin")} == set(contents)
    assert face.restore(sha256(contents[3]), tmp_path / "third").read_bytes() == contents[3]
    shutil.rmtree(first.root / "objects", ignore_errors=True)
    shutil.move(tmp_path / "lost", first.root / "objects")

    erased = face.erase(sha256(contents[3]), reason="consent withdrawn")
    assert (len(erased.removed), erased.elsewhere) == (2, ())
    assert [path for path in replica.rglob("*") if path.is_file() and contents[3] in path.read_bytes()] == []
    for store in (first, second):
        assert list(check(binding, store, verify_data=True, unreferenced=True)) == []


@pytest.mark.parametrize("backend", ["postgresql"])
def test_the_replica_is_another_place(binding: Binding, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_PLATFORM_STORE__REPLICA_URL", f"{load().store_url}/")
    with pytest.raises(SettingsError, match="second place"):
        open_replica(load())
    monkeypatch.delenv("DATA_PLATFORM_STORE__REPLICA_URL")
    assert [store.name for store in stores(load())] == [open_store(load()).name]


def test_a_copy_is_of_the_very_bytes_that_were_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = FolderStore(tmp_path / "a"), FolderStore(tmp_path / "b")
    contents = {sha256(content): content for content in (content_of_size(100, seed=n) for n in range(10))}
    wanted = [Kept(one, 100, keep(source, {one: content})[one]) for one, content in contents.items()]
    bad, read, reads = wanted[3].place.object_name, FolderStore.read, list[str]()

    def once_otherwise(self: FolderStore, place: Place) -> Iterator[bytes]:
        """Give other bytes the second time, as a cable may."""
        reads.append(place.object_name)
        yield b"0" * 100 if place.object_name == bad and reads.count(bad) == 2 else b"".join(read(self, place))

    monkeypatch.setattr(FolderStore, "read", once_otherwise)
    places, problems = copied(source, target, wanted, 8_000_000)
    assert places.keys() == contents.keys() - {wanted[3].sha256}
    assert problems == []  # it is whole, and copied the next time
    assert {one: b"".join(target.read(place)) for one, place in places.items()} == {
        one: contents[one] for one in places
    }
