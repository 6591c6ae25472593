"""Small contents in packs: each is had back exactly, a pack tells what it holds, and one that is lost is mended."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from deliveries import hand_in, read_file, sha256, stored, work_off
from store_contract import content_of_size

from data_platform.errors import BlobDamaged
from data_platform.settings import load, settings
from populate.backup import check as checking
from populate.backup import repacking
from populate.backup.check import Kept, check
from populate.backup.erased import Erasure
from populate.backup.erasing import erase
from populate.backup.proving import plan_due
from populate.backup.removing import removing
from populate.backup.repacking import repack
from populate.backup.restorable import files_at, now
from populate.backup.restore import restore
from populate.backup.restoring import restore_files
from populate.backup.tables import Backup, Placement
from populate.backup.verification import Damage, DamageMended, Verify
from populate.ingest import Ingest
from populate.retention import quarantine
from populate.retention.keeping import add_rule, hold
from populate.retention.retaining import Retained, retain
from populate.store import Place, object_name_of, open_store
from populate.store.base import PACKS, pack_name_of
from populate.store.folder import FolderStore
from populate.store.pack import FEW, PACKED, contents_of_pack, divided, keep
from populate.work.queue import Queue
from schemas.binding import Binding
from schemas.catalogue import Version
from schemas.restrict import where

MOST = 8_000_000
on_postgresql = pytest.mark.parametrize("backend", ["postgresql"])  # where no statement differs


def some(number: int, size: int = 100) -> dict[str, bytes]:
    contents = (content_of_size(size, seed=seed) for seed in range(number))
    return {sha256(content): content for content in contents}


@pytest.fixture
def folder(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "store")


def test_a_pack_gives_back_what_it_took_and_tells_what_it_holds(folder: FolderStore) -> None:
    contents = some(50) | {sha256(b""): b""}
    places = keep(folder, contents)
    assert {sha256_: b"".join(folder.read(place)) for sha256_, place in places.items()} == contents
    ((name, size),) = folder.objects()
    assert name == pack_name_of(sha256((folder.root / name).read_bytes()))
    assert contents_of_pack(folder, name, size) == places
    assert keep(folder, contents) == places  # the same pack is one object
    assert len(list(folder.objects())) == 1


def test_what_is_no_pack_is_told(folder: FolderStore) -> None:
    places = keep(folder, some(FEW))
    name = next(iter(places.values())).object_name
    path = folder.root / name
    whole = path.read_bytes()
    path.chmod(0o600)
    chance = random.Random(1)
    broken = [whole[:cut] for cut in (0, 5, len(whole) - 1, len(whole) - 20)] + [chance.randbytes(500)]
    broken.append(whole[:-16] + (10**9).to_bytes(8, "big") + whole[-8:])
    for data in broken:
        path.write_bytes(data)
        with pytest.raises(BlobDamaged, match="footer"):
            contents_of_pack(folder, name, len(data))


def test_contents_are_divided_so_that_each_goes_somewhere() -> None:
    small, large = some(3 * FEW, 1000), some(2, PACKED + 1)
    for contents, most in ((small | large, 10_000), (small | large, 0), (some(FEW - 1), MOST), ({}, MOST), (small, 1)):
        groups = list(divided(contents, most))
        assert {k: v for group in groups for k, v in group.items()} == contents
        assert sum(map(len, groups)) == len(contents)
        for group in groups:
            assert len(group) == 1 or (len(group) >= FEW and sum(map(len, group.values())) <= most)
    assert max(map(len, divided(small | large, MOST))) == 3 * FEW
    assert {len(group) for group in divided(small, 0)} == {1}


@pytest.fixture(autouse=True)
def _packs(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_PLATFORM_STORE__PACK_BYTES", str(MOST))
    settings.cache_clear()


def backed_up(binding: Binding, folder: Path, number: int) -> list[Path]:
    folder.mkdir()
    paths = [folder / str(n) for n in range(number)]
    for n, path in enumerate(paths):
        path.write_bytes(content_of_size(100 + n, seed=n))
    hand_in(binding, [read_file(path) for path in paths])
    work_off(Ingest, Backup)
    return paths


def test_many_small_files_are_few_objects(binding: Binding, tmp_path: Path) -> None:
    paths = backed_up(binding, tmp_path / "lab", 40)
    store = open_store(load())
    names = [name for name, _ in store.objects()]
    assert len(names) == 1
    assert names[0].startswith(PACKS)
    assert sorted(stored().values()) == sorted(path.read_bytes() for path in paths)
    assert list(check(binding, store, verify_data=True, unreferenced=True)) == []
    back = restore(binding, store, sha256(paths[7].read_bytes()), tmp_path / "back")
    assert back.read_bytes() == paths[7].read_bytes()


def test_packs_are_full_before_they_are_stored(
    binding: Binding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA_PLATFORM_STORE__PACK_BYTES", "2000")
    settings.cache_clear()
    paths = backed_up(binding, tmp_path / "lab", 60)
    assert len(stored()) == len(paths)
    sizes = [size for name, size in open_store(load()).objects() if name.startswith(PACKS)]
    assert 2 <= len(sizes) <= 60 // FEW
    assert max(sizes) < 2000 + 60 * 48 + 16
    monkeypatch.setenv("DATA_PLATFORM_STORE__PACK_BYTES", "0")
    settings.cache_clear()
    for n in range(20):
        (tmp_path / f"own{n}").write_bytes(os.urandom(10))
    hand_in(binding, [read_file(tmp_path / f"own{n}") for n in range(20)])
    for table in (Ingest, Backup):
        queue = Queue(table())
        queue.refresh()
        queue.run(50)
    assert len(stored()) == len(paths) + 20
    assert sum(not name.startswith(PACKS) for name, _ in open_store(load()).objects()) >= 20


def test_contents_of_a_damaged_pack_are_fetched_again_by_themselves(binding: Binding, tmp_path: Path) -> None:
    paths = backed_up(binding, tmp_path / "lab", 10)
    store = open_store(load())
    assert isinstance(store, FolderStore)
    ((name, _),) = store.objects()
    (store.root / name).unlink()
    paths[3].unlink()
    assert {(one.object_name, one.problem) for one in check(binding, store)} == {(name, "missing")}
    assert len(list(check(binding, store, verify_data=True))) == 10
    plan_due(binding, 1)
    queue = Queue(Verify())
    queue.refresh()
    while queue.run(10):
        pass
    assert queue.failed() == 0
    assert (len(Damage()), len(DamageMended())) == (10, 9)
    places = {row["sha256"]: str(row["object_name"]) for row in Placement.to_dicts()}
    assert sum(place == name for place in places.values()) == 1
    assert [problem.problem for problem in check(binding, store, verify_data=True)] == ["missing"]


def test_neighbours_in_a_pack_are_read_together(
    binding: Binding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "IN_MEMORY", 15)
    monkeypatch.setenv("DATA_PLATFORM_STORE__PACK_BYTES", "3000")
    settings.cache_clear()
    paths = backed_up(binding, tmp_path / "lab", 60)
    store = open_store(load())
    assert isinstance(store, FolderStore)
    asked, read = list[Place](), FolderStore.read

    def noted(self: FolderStore, place: Place) -> Iterator[bytes]:
        asked.append(place)
        return read(self, place)

    monkeypatch.setattr(FolderStore, "read", noted)
    sound = list[Kept]()
    assert list(check(binding, store, verify_data=True, unreferenced=True, sound=sound.append)) == []
    assert {kept.sha256 for kept in sound} == {sha256(path.read_bytes()) for path in paths}
    assert len(asked) < len(paths) // 2
    asked.clear()
    done = restore_files(binding, store, files_at(binding, now()), tmp_path / "back")
    assert (done.files, done.present, done.refused, len(asked) < len(paths) // 2) == (60, 0, [], True)
    came = [path.read_bytes() for path in (tmp_path / "back").rglob("*") if path.is_file()]
    assert sorted(came) == sorted(path.read_bytes() for path in paths)
    asked.clear()
    assert restore_files(binding, store, files_at(binding, now()), tmp_path / "back").present == 60
    assert asked == []
    spoilt = [place_of(sha256(path.read_bytes())) for path in paths[10:12]]
    for place in spoilt:
        pack = bytearray((store.root / place.object_name).read_bytes())
        pack[place.offset] ^= 1
        (store.root / place.object_name).chmod(0o600)
        (store.root / place.object_name).write_bytes(pack)
    found = list(check(binding, store, verify_data=True))
    assert {(one.sha256, one.problem) for one in found} == {
        (sha256(path.read_bytes()), "damaged") for path in paths[10:12]
    }
    cut = store.root / spoilt[0].object_name
    cut.write_bytes(cut.read_bytes()[: spoilt[0].offset + 5])
    beyond = {row["sha256"] for row in Placement.to_dicts() if row["object_name"] == spoilt[0].object_name}
    found = list(check(binding, store, verify_data=True))
    assert {one.problem for one in found} <= {"wrong size", "damaged"}
    assert {one.sha256 for one in found} <= beyond | {sha256(paths[11].read_bytes())}
    assert sha256(paths[10].read_bytes()) in {one.sha256 for one in found}
    done = restore_files(binding, store, files_at(binding, now()), tmp_path / "again")
    assert (done.files, len(done.refused)) == (60 - len(found), len(found))


def spoil(store: FolderStore, sha256_: str) -> None:
    """Have a content lie by itself, damaged, as the catalogue knows, while packs may have it whole."""
    content = b"".join(store.read(place_of(sha256_)))
    with store.writer(sha256_, len(content)) as writer:
        writer.write(content)
        writer.commit()
    name = object_name_of(sha256_)
    own = {"object_name": name, "place_offset": 0, "place_length": len(content)}
    Placement.update1({**where(Placement, sha256=sha256_).fetch1("KEY"), **own})
    (store.root / name).chmod(0o600)
    (store.root / name).write_bytes(bytes(len(content)))
    (store_id,) = Placement.to_arrays("store_id").tolist()[:1]
    damage = {
        "found_at": datetime.now(UTC).replace(tzinfo=None),
        "damage": "damaged",
        "damage_detail": "as the test wants",
    }
    Damage.insert1({"sha256": sha256_, "store_id": store_id, **damage})


def place_of(sha256_: str) -> Place:
    row: dict[str, Any] = where(Placement, sha256=sha256_).fetch1()
    return Place(row["object_name"], row["place_offset"], row["place_length"])


def test_the_last_whole_bytes_of_something_damaged_do_not_go_with_a_pack(binding: Binding, tmp_path: Path) -> None:
    add_rule(binding, load(), "versions", 1)
    paths = backed_up(binding, tmp_path / "lab", 30)
    store = open_store(load())
    assert isinstance(store, FolderStore)
    first = {path: path.read_bytes() for path in paths}
    for path in paths[:2]:
        spoil(store, sha256(first[path]))
    erase(binding, store, load(), sha256(first[paths[29]]), "an erasure writes the pack anew")
    assert held_by(store) == {first[path] for path in paths[:29]}
    assert (len(Damage()), len(DamageMended())) == (2, 2)
    assert list(check(binding, store, verify_data=True)) == []

    for step, going in ((1, paths[3:20]), (2, paths[20:28])):  # most of the pack goes, then all that rows lead to
        spoil(store, sha256(first[paths[2 if step == 1 else 28]]))
        for number, path in enumerate(going):
            path.write_bytes(content_of_size(50, seed=1000 * step + number))
        hand_in(binding, [read_file(path, day=step) for path in going], run=str(step))
        work_off(Ingest, Backup)
        for later in (0, 20):
            retained(binding, 40 * step + later)
        assert held_by(store) == {path.read_bytes() for path in paths[:29]}
        assert len(DamageMended()) == 2 + step
    assert list(check(binding, store, verify_data=True, unreferenced=True)) == []


def held_by(store: FolderStore) -> set[bytes]:
    """Return what places lead to, whatever else is in the store."""
    places = {sha256_: place_of(sha256_) for sha256_ in Placement.to_arrays("sha256").tolist()}
    contents = {sha256_: b"".join(store.read(place)) for sha256_, place in places.items()}
    assert all(sha256(content) == sha256_ for sha256_, content in contents.items())
    return set(contents.values())


def retained(binding: Binding, day: int) -> Retained:
    return retain(binding, open_store(load()), load(), now=datetime(2026, 6, 1) + timedelta(days=day))


def test_an_erased_content_is_in_no_pack_that_others_keep(binding: Binding, tmp_path: Path) -> None:
    paths = backed_up(binding, tmp_path / "lab", 20)
    store = open_store(load())
    assert isinstance(store, FolderStore)
    contents = [path.read_bytes() for path in paths]
    spoil(store, sha256(contents[0]))  # so its row leads elsewhere
    gone = erase(binding, store, load(), sha256(contents[0]), "consent withdrawn")
    assert len(gone.removed) == 2
    assert [path for path in store.root.rglob("*") if path.is_file() and contents[0] in path.read_bytes()] == []
    assert held_by(store) == set(contents[1:])
    assert list(check(binding, store, verify_data=True, unreferenced=True)) == []
    assert len(Version()) == 20


def bytes_in(store: FolderStore, content: bytes) -> list[Path]:
    return [path for path in store.root.rglob("*") if path.is_file() and content in path.read_bytes()]


def changed(binding: Binding, paths: list[Path], day: int) -> None:
    for number, path in enumerate(paths):
        path.write_bytes(content_of_size(50, seed=1000 * day + number))
    hand_in(binding, [read_file(path, day=day) for path in paths], run=str(day))
    work_off(Ingest, Backup)


@on_postgresql
def test_an_erased_content_is_in_no_pack_without_rows(binding: Binding, tmp_path: Path) -> None:
    paths = backed_up(binding, tmp_path / "lab", 12)
    store = open_store(load())
    assert isinstance(store, FolderStore)
    contents = [path.read_bytes() for path in paths]
    Placement().delete_quick()  # a worker was killed before it recorded any
    order = {"erased_at": datetime(2026, 6, 1), "erased_by": "x/y", "erase_reason": "was broken off"}
    Erasure.insert1({"sha256": sha256(contents[0]), **order})
    assert retained(binding, 0).removed == 1
    assert bytes_in(store, contents[0]) == []
    assert held_by(store) == set(contents[1:])

    Placement().delete_quick()
    assert len(erase(binding, store, load(), sha256(contents[1]), "consent withdrawn").removed) == 1
    assert bytes_in(store, contents[1]) == []
    for day in (1, 30):
        retained(binding, day)
    assert held_by(store) == set(contents[2:])


@on_postgresql
def test_what_turns_out_to_be_damaged_while_a_pack_is_written_anew_stays(
    binding: Binding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = backed_up(binding, tmp_path / "lab", 12)
    store = open_store(load())
    assert isinstance(store, FolderStore)
    contents = [path.read_bytes() for path in paths]
    pack = place_of(sha256(contents[0])).object_name
    spoil(store, sha256(contents[0]))
    row = Damage.fetch1()
    Damage().delete_quick()
    store_anew = repacking._stored_anew

    def found_meanwhile(*arguments: Any) -> dict[str, Place]:
        Damage.insert1(row)
        return store_anew(*arguments)

    with removing(binding, store, load()) as round_:
        with monkeypatch.context() as patch:
            patch.setattr(repacking, "_stored_anew", found_meanwhile)
            assert repack(round_, pack) == []
        assert repack(round_, pack) == [pack]
    assert held_by(store) == set(contents)
    assert len(DamageMended()) == 1


@on_postgresql
def test_what_is_spared_at_the_last_moment_does_not_go_with_a_pack(
    binding: Binding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_rule(binding, load(), "versions", 1)
    paths = backed_up(binding, tmp_path / "lab", 12)
    store = open_store(load())
    assert isinstance(store, FolderStore)
    kept = paths[0].read_bytes()
    spoil(store, sha256(kept))
    changed(binding, paths, 1)
    packs_of = quarantine._packs_of

    def held_meanwhile(*arguments: Any) -> dict[str, set[str]]:
        hold(binding, load(), "case 17", sha256=sha256(kept))
        return packs_of(*arguments)

    retained(binding, 40)
    monkeypatch.setattr(quarantine, "_packs_of", held_meanwhile)
    assert retained(binding, 60).swept == 11
    assert held_by(store) == {kept, *(path.read_bytes() for path in paths)}


@on_postgresql
def test_a_pack_of_which_nobody_knows_what_it_holds_stays(binding: Binding, tmp_path: Path) -> None:
    add_rule(binding, load(), "versions", 1)
    paths = backed_up(binding, tmp_path / "lab", 20)
    store = open_store(load())
    assert isinstance(store, FolderStore)
    pack = store.root / place_of(sha256(paths[0].read_bytes())).object_name
    pack.chmod(0o600)
    pack.write_bytes(pack.read_bytes()[:-1] + b"?")
    for day, going, swept in ((1, paths[:14], 14), (2, paths[14:], 6)):  # most of what it held, then all
        changed(binding, going, day)
        retained(binding, 40 * day)
        assert retained(binding, 40 * day + 20).swept == swept
        assert pack.exists()
    assert held_by(store) == {path.read_bytes() for path in paths}
