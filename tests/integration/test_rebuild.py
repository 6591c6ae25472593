"""The catalogue of contents is lost and made anew from the store, whole packs and single objects alike."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from pathlib import Path

import pytest
from deliveries import sha256
from servers.processes import S3Server
from store_contract import content_of_size, put

from data_platform.settings import StoreSettings, load
from populate.backup import rebuild as rebuilding
from populate.backup.check import check
from populate.backup.erased import Erasure
from populate.backup.rebuild import rebuild
from populate.backup.restore import restore
from populate.backup.tables import Placement
from populate.store import Store, object_name_of, open_store
from populate.store.folder import FolderStore
from populate.store.pack import keep
from populate.store.s3 import BucketStore
from schemas.binding import Binding
from schemas.catalogue import Blob

on_postgresql = pytest.mark.parametrize("backend", ["postgresql"])  # where no statement differs


def filled(store: Store) -> dict[str, bytes]:
    """Fill a store with two packs and some objects, one content being in two places."""
    contents = [content_of_size(100 + n, seed=n) for n in range(60)] + [b""]
    by_hash = {sha256(content): content for content in contents}
    hashes = list(by_hash)
    for part in (hashes[:20], hashes[20:45]):
        keep(store, {one: by_hash[one] for one in part})
    for one in (*hashes[45:], hashes[3]):
        put(store, by_hash[one])
    return by_hash


def assert_whole(binding: Binding, store: Store, contents: dict[str, bytes], folder: Path) -> None:
    assert set(Placement.to_arrays("sha256").tolist()) == contents.keys()
    assert dict(zip(*Blob.to_arrays("sha256", "blob_size"), strict=True)) == {k: len(v) for k, v in contents.items()}
    assert list(check(binding, store, verify_data=True)) == []
    for one in list(contents)[::10]:
        assert restore(binding, store, one, folder / one).read_bytes() == contents[one]


def test_everything_in_the_store_has_its_place_again(binding: Binding, tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    contents = filled(store)
    found = rebuild(binding, store)
    assert (found.added, found.refused) == (len(contents), [])
    assert_whole(binding, store, contents, tmp_path)
    assert rebuild(binding, store, verify_data=True).added == 0


@on_postgresql
def test_who_was_broken_off_goes_on(binding: Binding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FolderStore(tmp_path / "store")
    contents = filled(store)
    monkeypatch.setattr(rebuilding, "MANY", 7)

    def stop(found: object) -> None:
        raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            rebuild(binding, store, progress=stop)
    rebuild(binding, store)
    assert_whole(binding, store, contents, tmp_path)


@on_postgresql
def test_what_is_damaged_or_erased_is_not_entered(binding: Binding, tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    contents = filled(store)
    hashes = list(contents)
    spoilt, short, gone = hashes[50], hashes[51], hashes[52]
    for one in (spoilt, short):
        (store.root / object_name_of(one)).chmod(0o600)
    (store.root / object_name_of(spoilt)).write_bytes(bytes(len(contents[spoilt])))
    (store.root / object_name_of(short)).write_bytes(b"short")
    (store.root / "objects" / "stray").write_bytes(b"somebody's")
    pack = store.root / next(name for name, _ in store.objects() if "packs" in name)
    pack.chmod(0o600)
    pack.write_bytes(pack.read_bytes()[:-1])
    Blob.insert([{"sha256": one, "blob_size": len(contents[one])} for one in (short, gone)])
    order = {"sha256": gone, "erased_at": "2026-05-04 08:00:00", "erased_by": "acme/amy", "erase_reason": "x"}
    Erasure.insert1(order)
    found = rebuild(binding, store, verify_data=True)
    assert len(found.refused) == 4
    for what in (spoilt, short, "objects/stray", "footer"):
        assert any(what in text for text in found.refused)
    assert not {spoilt, short, gone} & set(Placement.to_arrays("sha256").tolist())
    assert found.added == len(Placement())
    assert list(check(binding, store, verify_data=True)) == []


@on_postgresql
def test_what_is_damaged_at_one_place_is_entered_at_another(binding: Binding, tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    contents = filled(store)
    twice = list(contents)[3]  # by itself, and in a pack, which is listed later
    own = store.root / object_name_of(twice)
    own.chmod(0o600)
    own.write_bytes(bytes(len(contents[twice])))
    found = rebuild(binding, store)
    assert [twice in text for text in found.refused] == [True]
    assert (found.added, found.contents) == (len(contents), len(contents))
    assert_whole(binding, store, contents, tmp_path)


@on_postgresql
def test_an_object_that_was_cut_short_does_not_tell_the_size_of_a_content(binding: Binding, tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    contents = filled(store)
    short, *others = list(contents)[50:]
    path = store.root / object_name_of(short)
    path.chmod(0o600)
    path.write_bytes(contents[short][:-1])
    found = rebuild(binding, store)
    assert [short in text for text in found.refused] == [True]
    assert short not in Blob.to_arrays("sha256")
    assert set(others) <= set(Placement.to_arrays("sha256").tolist())
    path.write_bytes(contents[short])
    assert rebuild(binding, store).refused == []
    assert_whole(binding, store, contents, tmp_path)


@on_postgresql
def test_a_bucket(binding: Binding, any_s3: S3Server, tmp_path: Path) -> None:
    keys = {"access_key": any_s3.access_key, "secret_key": any_s3.secret_key}
    store = BucketStore(StoreSettings(url=f"s3://rebuild/{secrets.token_hex(8)}", endpoint=any_s3.endpoint, **keys))
    contents = filled(store)
    assert rebuild(binding, store).refused == []
    assert_whole(binding, store, contents, tmp_path)


@on_postgresql
def test_the_command(binding: Binding) -> None:
    contents = filled(open_store(load()))
    command = [sys.executable, "-m", "data_platform", "rebuild", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["added"] == len(contents)
