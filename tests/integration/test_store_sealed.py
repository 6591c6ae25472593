"""Stores that seal what they keep: the contract, mixed stores, keys that change or are missing, and the whole way."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from deliveries import hand_in, read_file, sha256, work_off
from servers.processes import S3Server
from store_contract import MIB, StoreContract, content_of_size, get, put, sha256_of

from data_platform import face
from data_platform.doctor import Finding, examine
from data_platform.errors import BlobDamaged, BlobMissing, ObjectLocked, SettingsError, StoreSealed
from data_platform.settings import Settings, load, settings
from populate.backup.check import check
from populate.backup.proving import plan_due
from populate.backup.rebuild import rebuild
from populate.backup.replica import Replica, plan_copies
from populate.backup.restore import restore
from populate.backup.tables import Backup, Placement
from populate.backup.verification import Damage, DamageMended, Verify
from populate.ingest import Ingest
from populate.store import Place, Store, object_name_of, open_replica, open_store, stores
from populate.store.base import PACKS, SEALED, SEALS
from populate.store.folder import FolderStore
from populate.store.pack import PACKED, contents_of_pack, keep
from populate.store.s3 import BucketStore
from populate.store.sealed import NO_SIZE, SealedStore
from populate.store.sealing import HEADER, SEGMENT, TAG, MasterKey, sealed_size
from schemas.binding import Binding

OLD, NEW, OTHER = "0a" * 32, "0b" * 32, "0c" * 32


def settings_of(folder: Path, seal: bool = True, keys: str = OLD, **more: Any) -> Settings:
    return load(home=folder, store={"url": str(folder / "store"), "seal": seal, "seal_keys": keys, **more})


def opened(folder: Path, seal: bool = True, keys: str = OLD) -> Store:
    return open_store(settings_of(folder, seal, keys))


def files_of(folder: Path) -> dict[str, Path]:
    return {str(path.relative_to(folder)): path for path in (folder).rglob("*") if path.is_file()}


def spoil(path: Path, content: bytes) -> None:
    path.chmod(0o600)
    path.write_bytes(content)


def altered(content: bytes, at: int = -1) -> bytes:
    """Return bytes of which one is another: a fixed one in its place might be the very same."""
    at %= len(content)
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


class SealedContract(StoreContract):
    """A sealed store does what every store does; what lies in it is of another size."""

    def overwrite(self, store: Store, object_name: str, content: bytes) -> None:
        assert isinstance(store, SealedStore)
        self.overwrite_stored(store.inner, object_name + SEALED, bytes(sealed_size(len(content))))

    def overwrite_stored(self, inner: Store, object_name: str, content: bytes) -> None:
        raise NotImplementedError


class TestSealedFolder(SealedContract):
    @pytest.fixture
    def open_store(self, tmp_path: Path) -> Callable[[], Store]:
        return lambda: opened(tmp_path)

    def leftovers(self, store: Store) -> list[str]:
        assert isinstance(store, SealedStore)
        assert isinstance(store.inner, FolderStore)
        return [path.name for path in store.inner.incoming.iterdir()]

    def overwrite_stored(self, inner: Store, object_name: str, content: bytes) -> None:
        assert isinstance(inner, FolderStore)
        spoil(inner.root / object_name, content)


def test_a_bucket(s3_server: S3Server, tmp_path: Path) -> None:
    at = {"url": f"s3://sealed/{secrets.token_hex(8)}", "endpoint": s3_server.endpoint}
    keys = {"access_key": s3_server.access_key, "secret_key": s3_server.secret_key}
    store = open_store(settings_of(tmp_path, **at, **keys))
    assert isinstance(store, SealedStore)
    assert isinstance(store.inner, BucketStore)
    contents = [content_of_size(size, seed=size) for size in (0, 100, SEGMENT, 9 * MIB)]
    places = [put(store, content) for content in contents]
    assert places == [put(store, content, size_known=False) for content in contents]
    assert [get(store, place) for place in places] == contents
    with store.writer(None, None) as writer:
        writer.write(contents[3][::-1])
        assert get(store, writer.commit()) == contents[3][::-1]
    store.remove(writer.object_name)
    assert get(store, Place(places[3].object_name, 5 * MIB - 3, MIB)) == contents[3][5 * MIB - 3 : 6 * MIB - 3]
    assert dict(store.objects()) == {place.object_name: place.length for place in places}
    assert store.remove_many([place.object_name for place in places[:2]])
    assert get(store, places[2]) == contents[2]
    assert store.size(places[0].object_name) is None
    listed = store.inner.client.list_objects_v2(Bucket=store.inner.bucket)["Contents"]
    assert not any(store.inner.client.list_multipart_uploads(Bucket=store.inner.bucket).get("Uploads", []))
    for found in listed:
        body = store.inner.client.get_object(Bucket=store.inner.bucket, Key=found["Key"])["Body"].read()
        assert not any(content[:50] in body for content in contents[1:])
    with pytest.raises(StoreSealed, match=r"store\.seal_keys"):
        open_store(settings_of(tmp_path, False, "", **at, **keys))


def test_what_was_stored_before_stays_readable_and_switching_off_does_too(tmp_path: Path) -> None:
    before, meanwhile, after, everywhere = (content_of_size(1000 + n, seed=n) for n in range(4))
    places = [put(opened(tmp_path, False, ""), one) for one in (before, everywhere)]
    places += [put(opened(tmp_path), one) for one in (meanwhile, everywhere)]
    places += [put(opened(tmp_path, False), one) for one in (after, everywhere)]
    expected = {place.object_name: place.length for place in places}
    for store in (opened(tmp_path), opened(tmp_path, False)):
        assert [get(store, place) for place in places] == [before, everywhere, meanwhile, everywhere, after, everywhere]
        assert dict(store.objects()) == expected
        assert [store.size(name) for name in expected] == list(expected.values())
        with pytest.raises(BlobMissing):
            get(store, Place(object_name_of("0" * 64), 0, 1))
    assert len(files_of(tmp_path / "store" / "objects")) == len(expected) + 1  # one is there both ways
    assert opened(tmp_path).remove(places[1].object_name)
    assert not opened(tmp_path, False).remove(places[1].object_name)
    assert sorted(opened(tmp_path).remove_many(list(expected))) == sorted({*expected} - {places[1].object_name})
    assert files_of(tmp_path / "store" / "objects") == {}


def test_keys_are_rotated(tmp_path: Path) -> None:
    old = put(opened(tmp_path, keys=OLD), b"written with the old key")
    store = opened(tmp_path, keys=f"{NEW} {OLD}")
    new = put(store, b"written with the new key")
    assert [get(store, place) for place in (old, new)] == [b"written with the old key", b"written with the new key"]
    ids = sorted(MasterKey(bytes.fromhex(text)).id for text in (OLD, NEW))
    assert sorted(name.removeprefix(SEALS) for name in files_of(tmp_path / "store") if name.startswith(SEALS)) == ids
    partly = opened(tmp_path, keys=NEW)
    assert get(partly, new) == b"written with the new key"
    assert isinstance(partly, SealedStore)
    assert partly.unknown_keys() == [MasterKey(bytes.fromhex(OLD)).id]
    with pytest.raises(StoreSealed, match=MasterKey(bytes.fromhex(OLD)).id):
        get(partly, old)


def doctor(given: Settings, monkeypatch: pytest.MonkeyPatch) -> Finding:
    from data_platform import doctor

    monkeypatch.setattr(doctor, "load", lambda: given)
    monkeypatch.setattr(doctor, "EXAMINATIONS", {"store": doctor.EXAMINATIONS["store"]})
    found = {finding.name: finding for finding in examine().findings}
    return found.get("sealing") or found["store"]


def test_without_the_right_key_one_error_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running = opened(tmp_path, False, "")  # of a process that began before sealing was switched on
    wrong = opened(tmp_path, keys=OTHER)  # and so did this one
    place = put(opened(tmp_path), b"secret")
    for attempt in (
        lambda: opened(tmp_path, False, ""),
        lambda: get(running, place),
        lambda: list(running.objects()),
        running.refuse_seals,
        wrong.refuse_seals,
        lambda: get(wrong, place),
        lambda: put(wrong, b"more"),
        lambda: opened(tmp_path, False, OTHER),
        lambda: opened(tmp_path, True, OTHER),
    ):
        with pytest.raises(StoreSealed, match=r"Set store\.seal_keys"):
            attempt()
    assert len(list(opened(tmp_path).objects())) == 1
    with pytest.raises(SettingsError, match="openssl rand -hex 32"):
        opened(tmp_path, True, "")
    for given in (settings_of(tmp_path, False, ""), settings_of(tmp_path, True, OTHER)):
        found = doctor(given, monkeypatch)
        assert (found.state, "store.seal_keys" in found.detail) == ("todo", True)
        assert OTHER not in str(found)
    told = doctor(settings_of(tmp_path), monkeypatch)
    assert (told.state, MasterKey(bytes.fromhex(OLD)).id in told.detail) == ("ok", True)
    put(opened(tmp_path, keys=f"{NEW},{OLD}"), b"more")
    assert doctor(settings_of(tmp_path), monkeypatch).state == "todo"
    assert doctor(settings_of(tmp_path, False, f"{NEW},{OLD}"), monkeypatch).state == "note"


def test_what_is_spoilt_is_damaged_and_is_replaced(tmp_path: Path) -> None:
    content = content_of_size(3 * SEGMENT)
    place = put(opened(tmp_path), content)
    reader = opened(tmp_path)
    assert get(reader, place) == content
    path = tmp_path / "store" / (place.object_name + SEALED)
    stored = path.read_bytes()
    for at in (0, 9, 20, 50, HEADER, HEADER + SEGMENT + TAG + 5, len(stored) - 1):
        spoil(path, altered(stored, at))
        with pytest.raises(BlobDamaged):
            get(opened(tmp_path), place)
    # A piece that is whole is had from what is spoilt elsewhere.
    assert get(reader, Place(place.object_name, 5, SEGMENT)) == content[5 : 5 + SEGMENT]
    for end in (0, 50, HEADER + 3, HEADER + SEGMENT + TAG):
        spoil(path, stored[:end])
        assert reader.size(place.object_name) in (NO_SIZE, SEGMENT)
        with pytest.raises(BlobDamaged):
            get(opened(tmp_path), place)
    spoil(path, altered(stored))
    with opened(tmp_path).writer(place.object_name[-64:], len(content)) as writer:
        writer.replace = True
        writer.write(content)
        writer.commit()
    assert path.read_bytes()[:HEADER] != stored[:HEADER]
    assert get(reader, place) == content  # which remembers the header of before


def test_of_a_content_that_is_there_both_ways_the_whole_one_counts(tmp_path: Path) -> None:
    content = content_of_size(3 * SEGMENT)
    place = put(opened(tmp_path, False, ""), content)
    assert put(opened(tmp_path), content) == place
    plain, sealed = (tmp_path / "store" / (place.object_name + form) for form in ("", SEALED))
    stored = sealed.read_bytes()
    spoil(plain, bytes(len(content)))
    for seal in (True, False):
        assert get(opened(tmp_path, seal), place) == content
    spoil(plain, content)
    spoil(sealed, altered(stored, HEADER + SEGMENT + TAG + 5))
    for seal in (True, False):
        assert get(opened(tmp_path, seal), place) == content
    spoil(plain, bytes(len(content)))
    with opened(tmp_path, False).writer(place.object_name[-64:], len(content)) as writer:
        writer.replace = True
        writer.write(content)
        writer.commit()
    assert (plain.read_bytes(), sealed.exists()) == (content, False)


def test_a_pack_is_sealed_as_a_whole_and_read_in_pieces(tmp_path: Path) -> None:
    store = opened(tmp_path)
    contents = {sha256(one): one for one in (content_of_size(9000 + n, seed=n) for n in range(30))}
    places = keep(store, contents)
    assert {one: get(store, place) for one, place in places.items()} == contents
    ((name, size),) = store.objects(PACKS)
    assert contents_of_pack(opened(tmp_path), name, size) == places
    for path in files_of(tmp_path / "store").values():
        body = path.read_bytes()
        assert not any(one[:100] in body or bytes.fromhex(known) in body for known, one in contents.items())


def test_the_replica_is_sealed_with_the_same_keys(tmp_path: Path) -> None:
    replica = open_replica(settings_of(tmp_path, replica_url=str(tmp_path / "second")))
    assert isinstance(replica, SealedStore)
    assert get(replica, put(replica, b"secret")) == b"secret"
    assert set(files_of(tmp_path / "second" / "objects")) == {
        f"{object_name_of(sha256_of(b'secret')).removeprefix('objects/')}{SEALED}"
    }


def test_what_is_locked_is_called_by_the_name_that_rows_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = opened(tmp_path)
    place = put(store, b"locked")
    assert isinstance(store, SealedStore)

    def refuse(object_name: str) -> bool:
        error = ObjectLocked("It is locked. Wait.")
        error.names = frozenset({object_name})
        raise error

    monkeypatch.setattr(store.inner, "remove", refuse)
    with pytest.raises(ObjectLocked) as caught:
        store.remove(place.object_name)
    assert caught.value.names == {place.object_name}


@pytest.fixture
def _sealed(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "PACK_BYTES": "8000000",
        "SEAL": "true",
        "SEAL_KEYS": OLD,
        "REPLICA_URL": str(tmp_path / "second"),
    }.items():
        monkeypatch.setenv(f"DATA_PLATFORM_STORE__{name}", value)
    settings.cache_clear()


@pytest.mark.parametrize("backend", ["postgresql"])  # no statement is another one
@pytest.mark.usefixtures("_sealed")
def test_all_that_is_done_to_backups_is_done_to_sealed_ones(
    binding: Binding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = [content_of_size(1000 + n, seed=n) for n in range(12)] + [content_of_size(PACKED + 5, seed=99), b""]
    paths = [tmp_path / "lab" / f"{n}.bin" for n in range(len(contents))]
    paths[0].parent.mkdir()
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    hand_in(binding, [read_file(path) for path in paths])
    work_off(Ingest, Backup)
    plan_copies(binding)
    work_off(Replica)
    assert_sealed(binding, tmp_path, contents)
    for path in paths:
        path.unlink()

    large = sha256(contents[-2])
    first, second = stores(load())
    stored = Path(load().store_url) / (object_name_of(large) + SEALED)
    spoil(stored, altered(stored.read_bytes()))
    assert [(one.sha256, one.problem) for one in check(binding, first, verify_data=True)] == [(large, "damaged")]
    plan_due(binding, 1)
    work_off(Verify)  # had again from the replica
    assert (len(Damage()), len(DamageMended())) == (1, 1)
    assert_sealed(binding, tmp_path, contents)

    Placement.delete_quick()
    with monkeypatch.context() as lost:
        lost.delenv("DATA_PLATFORM_STORE__SEAL_KEYS")
        lost.delenv("DATA_PLATFORM_STORE__SEAL")
        settings.cache_clear()
        with pytest.raises(StoreSealed):
            face.rebuild()
    settings.cache_clear()
    for store in (first, second):
        assert rebuild(binding, store, verify_data=True).refused == []
    assert_sealed(binding, tmp_path, contents)
    assert restore(binding, first, large, tmp_path / "back").read_bytes() == contents[-2]

    monkeypatch.setenv("DATA_PLATFORM_STORE__SEAL_KEYS", f"{NEW} {OLD}")
    settings.cache_clear()
    assert len(face.erase(sha256(contents[3]), reason="consent withdrawn").removed) == 2  # packs, written anew
    assert len(face.erase(large, reason="consent withdrawn").removed) == 2
    del contents[-2], contents[3]
    assert_sealed(binding, tmp_path, contents)
    packs = [store_file.read_bytes()[8:16].hex() for name, store_file in kept(tmp_path).items() if "packs" in name]
    assert packs == [MasterKey(bytes.fromhex(NEW)).id] * 2
    done = face.restore_files(tmp_path / "all")
    assert {path.read_bytes() for path in (tmp_path / "all").rglob("*.bin")} == set(contents)
    assert len(done.refused) == 2


def kept(tmp_path: Path) -> dict[str, Path]:
    return {
        f"{number}/{name}": path
        for number, root in enumerate((Path(load().store_url), tmp_path / "second"))
        for name, path in files_of(root).items()
    }


def assert_sealed(binding: Binding, tmp_path: Path, contents: list[bytes]) -> None:
    """The store and its replica have all contents, and no byte of them."""
    for store in stores(load()):
        assert list(check(binding, store, verify_data=True, unreferenced=True)) == []
    assert len(Placement()) == 2 * len(contents)
    for name, path in kept(tmp_path).items():
        assert name.endswith(SEALED) or SEALS in name
        body = path.read_bytes()
        assert not any(content[:40] in body for content in contents if content)
