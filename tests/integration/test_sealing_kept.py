"""What was stored before contents were sealed, and what an older key sealed, is sealed: on a disk and in a bucket."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from deliveries import hand_in, read_file, sha256, work_off
from servers.processes import S3Server
from store_contract import content_of_size, get, put

from data_platform import face
from data_platform.cli import main
from data_platform.errors import SettingsError
from data_platform.settings import load, settings
from populate.backup import sealing
from populate.backup.check import check
from populate.backup.removal import Removal
from populate.backup.replica import Replica, plan_copies
from populate.backup.tables import Backup, Placement
from populate.ingest import Ingest
from populate.store import Place, object_name_of, stores
from populate.store.base import SEALED, SEALS
from populate.store.folder import FolderStore
from populate.store.pack import PACKED
from populate.store.s3 import BucketStore
from populate.store.sealed import SealedStore
from populate.store.sealing import MasterKey
from schemas.binding import Binding

OLD, NEW = "0a" * 32, "0b" * 32
IDS = {text: MasterKey(bytes.fromhex(text)).id for text in (OLD, NEW)}


class Kept:
    """The settings of a store in a folder with a copy in a bucket, and what is in both."""

    def __init__(self, patch: pytest.MonkeyPatch, server: S3Server) -> None:
        self._patch = patch
        at = {"REPLICA_URL": f"s3://sealing/{secrets.token_hex(8)}", "REPLICA_ENDPOINT": server.endpoint}
        keys = {"REPLICA_ACCESS_KEY": server.access_key, "REPLICA_SECRET_KEY": server.secret_key}
        self.set(PACK_BYTES="8000000", **at, **keys)

    def set(self, **values: str) -> None:
        for name, value in values.items():
            self._patch.setenv(f"DATA_PLATFORM_STORE__{name}", value)
        settings.cache_clear()

    def stores(self) -> list[SealedStore]:
        found = [store for store in stores(load()) if isinstance(store, SealedStore)]
        assert [type(store.inner) for store in found] == [FolderStore, BucketStore]
        return found

    def names(self) -> list[set[str]]:
        return [{name for name, _ in store.inner.objects()} for store in self.stores()]

    def bodies(self) -> Iterator[bytes]:
        for store in self.stores():
            for name, size in [*store.inner.objects(), *store.inner.objects(SEALS)]:
                yield get(store.inner, Place(name, 0, size))


def altered(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


def interrupted(*_: object) -> frozenset[str]:
    raise KeyboardInterrupt


@pytest.fixture
def kept(home: Path, any_s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Kept:
    return Kept(monkeypatch, any_s3)


def assert_sealed(binding: Binding, kept: Kept, contents: list[bytes]) -> None:
    """Both stores have all contents, sealed and whole, and no byte of them as it is."""
    for store in kept.stores():
        assert list(check(binding, store, verify_data=True, unreferenced=True)) == []
    assert all(name.endswith(SEALED) for names in kept.names() for name in names)
    for body in kept.bodies():
        assert not any(content[:40] in body for content in contents if content)


@pytest.mark.parametrize("backend", ["postgresql"])  # no statement is another one than sweeps have
def test_what_was_stored_before_is_sealed_and_then_with_another_key(
    kept: Kept, binding: Binding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = [content_of_size(1000 + n, seed=n) for n in range(12)] + [content_of_size(PACKED + 5, seed=99), b""]
    for number, content in enumerate(contents):
        (tmp_path / f"{number}.bin").write_bytes(content)
    hand_in(binding, [read_file(tmp_path / f"{number}.bin") for number in range(len(contents))])
    work_off(Ingest, Backup)
    plan_copies(binding)
    work_off(Replica)
    with pytest.raises(SettingsError, match=r"store\.seal"):
        face.seal()
    kept.set(SEAL="true", SEAL_KEYS=OLD)
    first, second = kept.stores()
    plain = kept.names()
    assert [len(names) for names in plain] == [2, 2]  # a pack and a large one

    # Killed between sealing and removing, it leaves objects there both ways.
    with monkeypatch.context() as killed:
        killed.setattr(sealing, "_without_plain", interrupted)
        with pytest.raises(KeyboardInterrupt):
            face.seal()
    assert kept.names()[0] == plain[0] | {name + SEALED for name in plain[0]}
    assert list(check(binding, first, verify_data=True)) == []
    # What is damaged, in either form, or is nothing of ours, stays and is told.
    large = object_name_of(sha256(contents[-2]))
    path = Path(load().store_url) / (large + SEALED)
    path.chmod(0o600)
    path.write_bytes(altered(path.read_bytes()))  # of which the plain one is whole
    second.inner.remove(large)
    with second.inner.writer(None, None) as writer:
        writer.stored_as = large
        writer.write(altered(contents[-2]))
        writer.commit()
    with first.inner.writer(None, None) as writer:
        writer.stored_as = "objects/other"
        writer.write(b"of somebody else")
        writer.commit()

    done = face.seal()
    assert [(large in text, "objects/other" in text) for text in done.refused] == [(False, True), (True, False)]
    assert (done.objects, done.renewed, done.locked, done.forgotten) == (3, 0, 0, [])
    assert done.bytes > 2 * sum(map(len, contents[:12])) + len(contents[-2])
    assert kept.names()[0] == {"objects/other", *(name + SEALED for name in plain[0])}
    assert large in kept.names()[1]
    first.inner.remove("objects/other")
    second.inner.remove(large)
    put(second.inner, contents[-2])
    said = CliRunner().invoke(main, ["seal", "--json"])
    assert (said.exit_code, json.loads(said.output)["objects"]) == (0, 1), said.output
    assert_sealed(binding, kept, contents)
    rounds = len(Removal())
    assert face.seal() == sealing.Sealed()
    assert len(Removal()) == rounds

    # With another key everything is sealed anew, and the older one is no longer needed.
    kept.set(SEAL_KEYS=f"{NEW} {OLD}")
    said = CliRunner().invoke(main, ["seal"])
    assert said.exit_code == 0, said.output
    assert "4 with a new key; 0 could not be." in said.output
    assert f"the key {IDS[OLD]} any more" in said.output
    kept.set(SEAL_KEYS=NEW)
    for store in kept.stores():
        assert store.noted_keys() == {IDS[NEW]}
        assert {store.key_of(name) for name, _ in store.objects()} == {IDS[NEW]}
    assert_sealed(binding, kept, contents)
    assert len(Placement()) == 2 * len(contents)
    assert len(face.erase(sha256(contents[3]), reason="consent withdrawn").removed) == 2
    del contents[3]
    assert_sealed(binding, kept, contents)
    restored = face.restore_files(tmp_path / "all")
    assert {path.read_bytes() for path in (tmp_path / "all").rglob("*.bin")} == set(contents)
    assert len(restored.refused) == 1
