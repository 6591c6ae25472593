"""What every content store must do; each kind of store subclasses this."""

from __future__ import annotations

import hashlib
import itertools
import random
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import pytest

from data_platform.errors import BlobDamaged, BlobMissing, StoreError
from populate.store import Place, Store, object_name_of

MIB = 1024 * 1024
AT_ONCE = 8 * MIB
SIZES = [0, 1, MIB - 1, MIB + 1, AT_ONCE, AT_ONCE + 1, 17 * MIB + 3]


@lru_cache(maxsize=8)
def content_of_size(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def sha256_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def put(store: Store, content: bytes, *, size_known: bool = True, piece: int = MIB) -> Place:
    with store.writer(sha256_of(content), len(content) if size_known else None) as writer:
        for start in range(0, len(content), piece):
            writer.write(content[start : start + piece])
        return writer.commit()


def get(store: Store, place: Place) -> bytes:
    return b"".join(store.read(place))


class StoreContract(ABC):
    """Subclasses give `open_store` and `leftovers`; the fixture is fresh and empty for each test."""

    @pytest.fixture
    @abstractmethod
    def open_store(self) -> Callable[[], Store]:
        """Return a function that opens this test's store anew each time."""

    @abstractmethod
    def leftovers(self, store: Store) -> list[str]:
        """Return what lies about that is not a visible object: temporary files, parts of uploads."""

    @abstractmethod
    def overwrite(self, store: Store, object_name: str, content: bytes) -> None:
        """Change an object behind the store's back."""

    @pytest.fixture
    def store(self, open_store: Callable[[], Store]) -> Store:
        return open_store()

    @pytest.mark.parametrize("size_known", [True, False])
    def test_what_was_put_is_read_back(self, store: Store, size_known: bool) -> None:
        for size in SIZES:
            content = content_of_size(size, seed=size_known)
            place = put(store, content, size_known=size_known)
            assert place == Place(object_name_of(sha256_of(content)), 0, size)
            assert store.size(place.object_name) == size
            assert get(store, place) == content
        assert self.leftovers(store) == []

    def test_a_content_without_announced_hash_is_named_by_its_own(self, store: Store) -> None:
        for size in (0, 1000, AT_ONCE + MIB):
            content = content_of_size(size, seed=3)
            for announced in (None, size):
                with store.writer(None, announced) as writer:
                    for start in range(0, size, MIB - 1):
                        writer.write(content[start : start + MIB - 1])
                    place = writer.commit()
                assert (writer.sha256, place) == (
                    sha256_of(content),
                    Place(object_name_of(sha256_of(content)), 0, size),
                )
                assert get(store, place) == content
        with store.writer(None, None) as writer:
            writer.write(content)
        with store.writer(None, 3) as writer:
            writer.write(b"ab")
            with pytest.raises(BlobDamaged):
                writer.commit()
        assert len(list(store.objects())) == 3
        assert self.leftovers(store) == []

    def test_a_place_may_be_a_piece_of_an_object(self, store: Store) -> None:
        size = AT_ONCE + MIB
        content = content_of_size(size)
        name = put(store, content).object_name
        for offset, length in [(0, 0), (0, 1), (5, 7), (size - 1, 1), (size, 0), (size // 2, size // 2), (1, size - 1)]:
            assert get(store, Place(name, offset, length)) == content[offset : offset + length]

    def test_a_place_beyond_the_end_is_damage(self, store: Store) -> None:
        name = put(store, content_of_size(100)).object_name
        for offset, length in [(0, 101), (100, 1), (500, 10)]:
            with pytest.raises(BlobDamaged):
                get(store, Place(name, offset, length))

    def test_pieces_of_any_size_make_the_same_content(self, store: Store) -> None:
        content = content_of_size(AT_ONCE + 12345)
        for piece in (len(content), AT_ONCE - 1, 65_537):
            place = put(store, content, piece=piece)
        assert get(store, place) == content
        assert list(store.objects()) == [(place.object_name, len(content))]

    @pytest.mark.parametrize(("size", "size_known"), [(10, True), (AT_ONCE + 10, True), (AT_ONCE + 10, False)])
    def test_other_bytes_than_announced_are_never_visible(self, store: Store, size: int, size_known: bool) -> None:
        wanted, other = content_of_size(size, seed=1), content_of_size(size, seed=2)
        with store.writer(sha256_of(wanted), size if size_known else None) as writer:
            writer.write(other)
            with pytest.raises(BlobDamaged):
                writer.commit()
        assert store.size(object_name_of(sha256_of(wanted))) is None
        assert list(store.objects()) == []
        assert self.leftovers(store) == []

    def test_another_number_of_bytes_than_announced_is_never_visible(self, store: Store) -> None:
        def put_it(content: bytes, announced: int) -> None:
            with store.writer(sha256_of(content), announced) as writer:
                writer.write(content)
                writer.commit()

        for size, error in itertools.product((10, AT_ONCE + 10), (-1, 1)):
            with pytest.raises(BlobDamaged):
                put_it(content_of_size(size), size + error)
        assert list(store.objects()) == []
        assert self.leftovers(store) == []

    @pytest.mark.parametrize("size", [10, AT_ONCE + 10])
    def test_an_error_in_the_middle_leaves_nothing(self, store: Store, size: int) -> None:
        content = content_of_size(size)

        def fail_in_the_middle() -> None:
            with store.writer(sha256_of(content), size) as writer:
                writer.write(content)
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fail_in_the_middle()
        assert list(store.objects()) == []
        assert self.leftovers(store) == []

    def test_a_writer_works_once(self, store: Store) -> None:
        writer = store.writer(sha256_of(b"one"), 3)
        writer.write(b"one")
        writer.commit()
        writer.abort()
        assert store.size(writer.object_name) == 3
        with pytest.raises(StoreError, match="before"):
            writer.commit()
        with pytest.raises(StoreError, match="before"):
            writer.write(b"more")

    @pytest.mark.parametrize("size", [1000, AT_ONCE + 1000])
    def test_the_same_content_is_kept_once(self, open_store: Callable[[], Store], size: int) -> None:
        content = content_of_size(size)
        stores = [open_store(), open_store()]
        places = {
            put(stores[number], content, size_known=known) for number, known in ((0, True), (1, False), (1, True))
        }
        assert len(places) == 1
        assert list(stores[0].objects()) == [(object_name_of(sha256_of(content)), size)]
        assert self.leftovers(stores[0]) == []

    @pytest.mark.parametrize("size", [1000, AT_ONCE + 1000])
    def test_many_writers_of_one_content_at_once(self, open_store: Callable[[], Store], size: int) -> None:
        content, writers = content_of_size(size), 4
        stores = [open_store() for _ in range(2)]
        barrier = threading.Barrier(writers)

        def put_with_the_others(number: int) -> Place:
            with stores[number % 2].writer(sha256_of(content), size) as writer:
                writer.write(content[:-1])
                barrier.wait(timeout=120)
                writer.write(content[-1:])
                barrier.wait(timeout=120)
                return writer.commit()

        with ThreadPoolExecutor(writers) as pool:
            places = set(pool.map(put_with_the_others, range(writers)))
        assert len(places) == 1
        assert get(stores[0], places.pop()) == content
        assert len(list(stores[0].objects())) == 1
        assert self.leftovers(stores[0]) == []

    def test_what_is_not_there_is_missing(self, store: Store) -> None:
        put(store, b"so that there is something")
        name = object_name_of(sha256_of(b"never put"))
        assert store.size(name) is None
        for place in (Place(name, 0, 9), Place(name, 0, 0)):
            with pytest.raises(BlobMissing, match="data-platform check"):
                get(store, place)

    def test_every_object_is_listed_in_order(self, store: Store) -> None:
        contents = [content_of_size(size, seed=size) for size in range(1, 30)]
        expected = sorted((put(store, content).object_name, len(content)) for content in contents)
        assert list(store.objects()) == expected

    def test_names_that_lead_elsewhere_are_refused(self, store: Store) -> None:
        outside = [
            "../x",
            "/etc/passwd",
            "objects/../../x",
            "objects//x",
            "objects",
            "",
            "objects/.x",
            "objects/a\x00b",
        ]
        for name in outside:
            with pytest.raises(StoreError, match="not the name"):
                get(store, Place(name, 0, 1))
            with pytest.raises(StoreError, match="not the name"):
                store.size(name)

    def test_what_is_no_hash_is_refused(self, store: Store) -> None:
        for text in ("", "abc", "G" * 64, "A" * 64, "../" + "0" * 61, "0" * 63 + "\n"):
            with pytest.raises(StoreError, match="not a SHA-256"):
                store.writer(text, 3)

    @pytest.mark.parametrize(("size", "size_known"), [(1000, True), (AT_ONCE + 1000, True), (AT_ONCE + 1000, False)])
    def test_an_object_of_the_wrong_size_is_healed(self, store: Store, size: int, size_known: bool) -> None:
        content = content_of_size(size)
        place = put(store, content)
        self.overwrite(store, place.object_name, content[:-100])
        assert store.size(place.object_name) == size - 100
        assert put(store, content, size_known=size_known) == place
        assert get(store, place) == content
        assert self.leftovers(store) == []

    def test_its_name_is_stable(self, open_store: Callable[[], Store]) -> None:
        names = {open_store().name for _ in range(2)}
        assert len(names) == 1
        assert len(names.pop()) <= 255

    def test_what_it_enforces_is_told(self, store: Store) -> None:
        put(store, b"x")
        traits = store.traits()
        assert traits.multipart
        assert [name for name, _ in store.objects()] == [object_name_of(sha256_of(b"x"))]
        assert self.leftovers(store) == []
        assert store.traits() == traits
