"""Checking: every kind of loss is found, named and counted, and nothing else is."""

from __future__ import annotations

import random
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers.fault_proxy import FaultProxy
from servers.processes import S3Server
from store_contract import content_of_size, put, sha256_of

from data_platform.errors import StoreError, StoreUnavailable
from data_platform.settings import StoreSettings, load
from populate.backup import check as checking
from populate.backup.check import Problem, check
from populate.backup.tables import ContentStore, Placement
from populate.store import Place, Store, content_of, open_store
from populate.store.folder import FolderStore
from populate.store.s3 import BucketStore
from schemas.binding import Binding
from schemas.catalogue import Blob
from schemas.identity import identity

on_postgresql = pytest.mark.parametrize("backend", ["postgresql"])  # where no statement differs


def record(store: Store, places: dict[str, Place]) -> None:
    """Enter what the backup would enter."""
    store_id = identity("store", store.name)
    ContentStore.insert1({"store_id": store_id, "store_name": store.name}, skip_duplicates=True)
    Blob.insert(
        ({"sha256": sha256, "blob_size": place.length} for sha256, place in places.items()), skip_duplicates=True
    )
    Placement.insert(
        {
            "sha256": sha256,
            "store_id": store_id,
            "object_name": place.object_name,
            "place_offset": place.offset,
            "place_length": place.length,
        }
        for sha256, place in places.items()
    )


def fill(store: Store, number: int = 20) -> list[Place]:
    """Back up contents of 0, 1000, 2000 … bytes; return their places in the order of their hashes."""
    places = {sha256_of(content): put(store, content) for content in (content_of_size(1000 * n) for n in range(number))}
    record(store, places)
    return [places[sha256] for sha256 in sorted(places)]


def path_of(store: FolderStore, place: Place) -> Path:
    path = store.root / place.object_name
    path.chmod(0o600)
    return path


def flip_a_bit(path: Path, seed: int = 0) -> None:
    data = bytearray(path.read_bytes())
    position = random.Random(seed).randrange(8 * len(data))
    data[position // 8] ^= 1 << position % 8
    path.write_bytes(data)


@pytest.fixture
def folder(binding: Binding, tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "store")


def found(problems: Iterator[Problem]) -> dict[str, str]:
    """Return what is wrong by object."""
    return {problem.object_name: problem.problem for problem in problems}


def test_a_store_in_order(binding: Binding, folder: FolderStore) -> None:
    assert list(check(binding, folder, verify_data=True)) == []
    counted: list[int] = []
    places = fill(folder)
    for verify_data in (False, True):
        counted.clear()
        assert list(check(binding, folder, verify_data, progress=counted.append)) == []
        assert sum(counted) == len(places)


def test_each_loss_is_found(binding: Binding, folder: FolderStore) -> None:
    places = [place for place in fill(folder) if place.length]
    first, last = places[0], places[-1]
    path_of(folder, first).unlink()
    path_of(folder, last).unlink()
    path_of(folder, places[5]).write_bytes(b"short")
    path_of(folder, places[6]).write_bytes(bytes(99_999))
    flip_a_bit(path_of(folder, places[7]))
    expected = {
        first.object_name: "missing",
        last.object_name: "missing",
        places[5].object_name: "wrong size",
        places[6].object_name: "wrong size",
    }
    assert found(check(binding, folder)) == expected
    assert found(check(binding, folder, verify_data=True)) == expected | {places[7].object_name: "damaged"}
    for problem in check(binding, folder, verify_data=True):
        assert problem.sha256 == content_of(problem.object_name)
        assert str(problem).startswith(f"{problem.problem}: {problem.sha256}")
        assert "copy of the store" in problem.detail


@on_postgresql
def test_every_flipped_bit_is_found(binding: Binding, folder: FolderStore) -> None:
    places = [place for place in fill(folder, 60) if place.length]
    for seed, place in enumerate(places):
        flip_a_bit(path_of(folder, place), seed)
    assert found(check(binding, folder)) == {}
    assert found(check(binding, folder, verify_data=True)) == {place.object_name: "damaged" for place in places}


@on_postgresql
def test_an_unreadable_object_is_named_and_the_others_are_read(binding: Binding, folder: FolderStore) -> None:
    places = [place for place in fill(folder) if place.length]
    flip_a_bit(path_of(folder, places[4]))

    class BrokenSector(FolderStore):
        def read(self, place: Place) -> Iterator[bytes]:
            if place == places[3]:
                raise StoreError("The disk does not give these bytes (Input/output error). Check it.")
            return super().read(place)

    problems = found(check(binding, BrokenSector(folder.root), verify_data=True))
    assert problems == {places[3].object_name: "unreadable", places[4].object_name: "damaged"}


def test_pages_leave_nothing_out(binding: Binding, folder: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
    places = fill(folder)
    lost = {place.object_name for place in places[::3]}
    for place in places[::3]:
        path_of(folder, place).unlink()
    for page in (1, 7, len(places), len(places) + 1):
        monkeypatch.setattr(checking, "PAGE", page)
        assert found(check(binding, folder)) == dict.fromkeys(lost, "missing")


def test_contents_that_share_an_object(binding: Binding, folder: FolderStore) -> None:
    contents = [content_of_size(1000 + seed, seed) for seed in range(1, 11)]
    pack = folder.root / "objects" / "pack-1"
    pack.write_bytes(b"".join(contents) + b"index")
    places, offset = {}, 0
    for content in contents:
        places[sha256_of(content)] = Place("objects/pack-1", offset, len(content))
        offset += len(content)
    fill(folder, 5)
    record(folder, places)
    assert list(check(binding, folder, verify_data=True, unreferenced=True)) == []
    pack.write_bytes(pack.read_bytes()[:5500])
    short = [problem.sha256 for problem in check(binding, folder)]
    assert sorted(short) == sorted(sha256_of(content) for content in contents[5:])
    pack.unlink()
    assert [problem.problem for problem in check(binding, folder)] == ["missing"] * 10


@on_postgresql
def test_objects_without_a_row_are_told_only_if_asked_for(binding: Binding, folder: FolderStore) -> None:
    fill(folder)
    stray = put(folder, b"stored, and the worker was stopped")
    (folder.root / "objects" / "ab-stray").write_bytes(b"foreign")
    assert list(check(binding, folder, verify_data=True)) == []
    counted: list[int] = []
    problems = found(check(binding, folder, unreferenced=True, progress=counted.append))
    assert problems == {stray.object_name: "unreferenced", "objects/ab-stray": "unreferenced"}
    assert sum(counted) == 20


@on_postgresql
def test_a_catalogue_that_contradicts_itself(binding: Binding, folder: FolderStore) -> None:
    content = content_of_size(1000)
    Blob.insert1({"sha256": sha256_of(content), "blob_size": 999})
    record(folder, {sha256_of(content): put(folder, content)})
    problem = next(check(binding, folder))
    assert problem.problem == "wrong size"
    assert "the content 999" in problem.detail


def test_contents_that_are_only_in_another_store(binding: Binding, folder: FolderStore, tmp_path: Path) -> None:
    fill(folder, 5)
    other = FolderStore(tmp_path / "other")
    assert [(problem.problem, problem.object_name) for problem in check(binding, other)] == [("elsewhere", folder.name)]
    record(other, {sha256_of(content): put(other, content) for content in (content_of_size(1000), b"new")})
    (problem,) = check(binding, other)
    assert problem.detail.startswith("4 contents")


@on_postgresql
def test_what_is_stored_while_the_store_is_listed_is_not_missing(binding: Binding, folder: FolderStore) -> None:
    fill(folder)
    late = [content_of_size(50, seed) for seed in range(1000, 1030)]

    class Busy(FolderStore):
        def objects(self) -> Iterator[tuple[str, int]]:
            listed = list(super().objects())
            record(self, {sha256_of(content): put(self, content) for content in late})
            yield from listed

    assert list(check(binding, Busy(folder.root), verify_data=True)) == []


@on_postgresql
def test_a_store_that_lists_in_no_order_is_refused(binding: Binding, folder: FolderStore) -> None:
    fill(folder)

    class Disorderly(FolderStore):
        def objects(self) -> Iterator[tuple[str, int]]:
            yield from reversed(list(super().objects()))

    with pytest.raises(StoreError, match="no order"):
        list(check(binding, Disorderly(folder.root)))


@on_postgresql
def test_it_may_be_left_in_the_middle(binding: Binding, folder: FolderStore) -> None:
    for place in fill(folder, 100):
        if place.length:
            flip_a_bit(path_of(folder, place))
    problems = check(binding, folder, verify_data=True)
    assert next(problems).problem == "damaged"
    problems.close()  # type: ignore[attr-defined]


@on_postgresql
class TestBucket:
    @pytest.fixture
    def proxied(self, binding: Binding, any_s3: S3Server) -> Iterator[tuple[FaultProxy, BucketStore]]:
        with FaultProxy(any_s3.endpoint) as proxy:
            keys = {"access_key": any_s3.access_key, "secret_key": any_s3.secret_key}
            settings = StoreSettings(url=f"s3://check/{secrets.token_hex(8)}", endpoint=proxy.endpoint, **keys)
            yield proxy, BucketStore(settings)

    def test_each_loss_is_found_with_one_listing(
        self, binding: Binding, proxied: tuple[FaultProxy, BucketStore]
    ) -> None:
        proxy, store = proxied
        places = [place for place in fill(store) if place.length]
        prefix = store.name.partition("/check/")[2]
        store.client.delete_object(Bucket="check", Key=f"{prefix}/{places[0].object_name}")
        store.client.put_object(Bucket="check", Key=f"{prefix}/{places[1].object_name}", Body=b"short")
        damaged = content_of_size(places[2].length, seed=99)
        store.client.put_object(Bucket="check", Key=f"{prefix}/{places[2].object_name}", Body=damaged)
        expected = {places[0].object_name: "missing", places[1].object_name: "wrong size"}
        proxy.requests.clear()
        assert found(check(binding, store)) == expected
        # One listing, and one question for what it did not show.
        assert [method for method, _ in proxy.requests] == ["GET", "HEAD"]
        assert found(check(binding, store, verify_data=True)) == expected | {places[2].object_name: "damaged"}

    def test_bytes_altered_on_their_way_are_found(
        self, binding: Binding, proxied: tuple[FaultProxy, BucketStore]
    ) -> None:
        proxy, store = proxied
        places = [place for place in fill(store, 5) if place.length]
        fault = proxy.spoil("alter reply", "GET", target=places[1].object_name)
        assert found(check(binding, store, verify_data=True)) == {places[1].object_name: "damaged"}
        assert fault.fired == 1

    def test_a_server_that_fails_is_no_loss(self, binding: Binding, proxied: tuple[FaultProxy, BucketStore]) -> None:
        proxy, store = proxied
        places = [place for place in fill(store, 5) if place.length]
        fault = proxy.spoil("refuse", "GET", times=1000, target=places[0].object_name)
        with pytest.raises(StoreUnavailable, match="503"):
            list(check(binding, store, verify_data=True))
        assert fault.fired > 1


@on_postgresql
def test_the_command_says_what_is_wrong_and_ends_with_an_error(binding: Binding, home: Path) -> None:
    store = open_store(load())
    assert isinstance(store, FolderStore)
    places = [place for place in fill(store) if place.length]
    command = [sys.executable, "-m", "data_platform", "check", "--verify-data"]
    flip_a_bit(path_of(store, places[0]))
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert done.returncode == 1, done.stderr
    assert f"damaged: {content_of(places[0].object_name)}" in done.stdout
    assert not any(str(content_of(place.object_name)) in done.stdout for place in places[1:])
