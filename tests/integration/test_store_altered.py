"""A server that keeps whatever arrives: what was altered or cut on its way is no backup, and nothing is lost to it.

moto is one. A proxy before it spoils the bytes, and each test sees that it did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from bucket_stores import prefix_of, settings_for, unfinished, unused_url
from servers.fault_proxy import FaultProxy
from servers.processes import S3Server
from store_contract import AT_ONCE, content_of_size, get, put, sha256_of

from data_platform.errors import StoreUnavailable
from populate.backup.sealing import Object, seal_object
from populate.store import Place, Store
from populate.store.base import SEALED
from populate.store.s3 import BucketStore
from populate.store.s3_beside import BESIDE
from populate.store.sealed import SealedStore
from populate.store.sealing import MasterKey, sealed_size

BYTES = "/(objects|incoming)/"
OLD, NEW = (MasterKey(bytes([number] * 32)) for number in range(2))
SIZES = [1000, AT_ONCE + 1000]


@pytest.fixture
def written_before(s3_server: S3Server) -> Iterator[tuple[FaultProxy, BucketStore]]:
    """A store behind a proxy, whose bucket and probe are done."""
    with FaultProxy(s3_server.endpoint) as proxy:
        store = BucketStore(settings_for(s3_server, unused_url(), endpoint=proxy.endpoint))
        put(store, b"so that bucket and probe are done")
        yield proxy, store


def replace(store: Store, content: bytes) -> Place:
    """Put a content whose object is taken for damaged."""
    with store.writer(sha256_of(content), len(content)) as writer:
        writer.replace = True
        writer.write(content)
        return writer.commit()


def set_bytes(store: BucketStore, object_name: str, content: bytes) -> None:
    store.client.put_object(Bucket=store.bucket, Key=f"{prefix_of(store)}/{object_name}", Body=content)


def assert_tidy(store: BucketStore) -> None:
    assert unfinished(store) == []
    assert list(store.objects(BESIDE)) == []


@pytest.mark.parametrize("size", SIZES)
class TestAlteredUploads:
    def test_one_is_sent_again(self, written_before: tuple[FaultProxy, BucketStore], size: int) -> None:
        proxy, store = written_before
        fault = proxy.spoil("alter request", "PUT", target=BYTES)
        content = content_of_size(size)
        if size > AT_ONCE:
            with pytest.raises(StoreUnavailable, match="other bytes"):
                put(store, content)
        for _ in range(2):  # what is left of it is not believed
            assert get(store, put(store, content)) == content
        assert fault.fired == 1
        assert_tidy(store)

    def test_one_that_stays_so_is_no_backup(self, written_before: tuple[FaultProxy, BucketStore], size: int) -> None:
        proxy, store = written_before
        proxy.spoil("alter request", "PUT", times=1000, target=BYTES)
        with pytest.raises(StoreUnavailable, match="other bytes"):
            put(store, content_of_size(size))
        assert_tidy(store)

    def test_what_is_there_is_not_lost_to_one(self, written_before: tuple[FaultProxy, BucketStore], size: int) -> None:
        proxy, store = written_before
        content = content_of_size(size)
        place = put(store, content)
        fault = proxy.spoil("alter request", "PUT", times=1000, target=BYTES)
        assert replace(store, content) == place  # it is taken for damaged, and is whole
        assert (get(store, place), fault.fired) == (content, 0)
        partly = bytes(size // 2) + content[size // 2 :]  # as a pack may be, of which the rest is somebody's last copy
        proxy.faults.clear()
        set_bytes(store, place.object_name, partly)
        proxy.faults.append(fault)
        for attempt in (replace, put) if size < AT_ONCE else (replace,):  # the latter takes some time
            with pytest.raises(StoreUnavailable, match="other bytes"):
                attempt(store, content)
            assert get(store, place) == partly
        assert fault.fired > 0
        proxy.faults.clear()
        assert get(store, replace(store, content)) == content
        assert_tidy(store)

    def test_nor_is_what_is_there_sealed(self, written_before: tuple[FaultProxy, BucketStore], size: int) -> None:
        proxy, inner = written_before
        store = SealedStore(inner, [OLD], seals=True)
        content = content_of_size(size)
        place = put(store, content)
        sealed = Place(place.object_name + SEALED, 0, sealed_size(size))
        before = get(inner, sealed)
        proxy.spoil("alter request", "PUT", times=1000, target=BYTES)
        attempts: list[Callable[[Store, bytes], Place]] = [put, replace]
        for attempt in attempts:  # each with another data key, so with other bytes
            assert attempt(store, content) == place
            assert get(inner, sealed) == before
        assert_tidy(inner)


def test_nor_is_what_is_sealed_with_another_key(written_before: tuple[FaultProxy, BucketStore]) -> None:
    proxy, inner = written_before
    content = content_of_size(1000)
    place = put(SealedStore(inner, [OLD], seals=True), content)
    sealed = Place(place.object_name + SEALED, 0, sealed_size(len(content)))
    before = get(inner, sealed)
    store = SealedStore(inner, [NEW, OLD], seals=True)
    store.note_key()
    fault = proxy.spoil("alter request", "PUT", times=1000, target=BYTES)
    with pytest.raises(StoreUnavailable, match="other bytes"):
        seal_object(store, Object(place.object_name, len(content), is_plain=False))
    assert (get(inner, sealed), fault.fired) == (before, 1)
    proxy.faults.clear()
    assert seal_object(store, Object(place.object_name, len(content), is_plain=False)) is True
    assert (store.key_of(place.object_name), get(store, place)) == (NEW.id, content)
    set_bytes(inner, sealed.object_name, bytes(9) + before[9:])
    assert get(store, put(store, content)) == content
    assert_tidy(inner)


class TestShortUploads:
    """Only reading back tells that it is not all."""

    def test_one_is_sent_again(self, written_before: tuple[FaultProxy, BucketStore]) -> None:
        proxy, store = written_before
        fault = proxy.spoil("cut request", "PUT")
        content = content_of_size(1000)
        assert get(store, put(store, content)) == content
        assert fault.fired == 1

    @pytest.mark.parametrize("size", [1000, 3 * AT_ONCE])
    def test_one_that_stays_short_is_no_backup_and_healed_later(
        self, written_before: tuple[FaultProxy, BucketStore], size: int
    ) -> None:
        proxy, store = written_before
        # Half a part is too small for the server unless it is the last one.
        fault = proxy.spoil("cut request", "PUT", times=1000, target="partNumber=3" if size > AT_ONCE else BYTES)
        content = content_of_size(size)
        with pytest.raises(StoreUnavailable, match=f"accepted {size} bytes"):
            put(store, content)
        assert fault.fired >= 1
        proxy.faults.clear()
        assert get(store, put(store, content)) == content
        assert_tidy(store)
