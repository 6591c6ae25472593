"""Bringing bytes into the store: several at once, and what becomes of them when the worker is told to stop."""

from __future__ import annotations

import hashlib
import sys
import threading
from pathlib import Path
from typing import ClassVar

import pytest

from data_platform.errors import SourceUnavailable
from data_platform.settings import Settings, load
from populate.backup import contents
from populate.backup.contents import GIVE_UP_AFTER, Fetcher, Stopped, Wanted
from populate.store import Store, open_store
from readers import registry
from readers.source import Item, Revision, Sink, Source
from schemas.identity import file_id, version_id

SYSTEM = "shelf/test"


class ShelfSource(Source):
    """Holds bytes by name. ``slow`` waits for a test, ``rude`` calls an error of the store one of its own."""

    kind: ClassVar[str] = "shelf"
    reading = threading.Event()
    go = threading.Event()

    @classmethod
    def understands(cls, url: str) -> bool:
        return False

    def resolve(self, url: str) -> Item:
        return self.reopen(SYSTEM, url)

    def reopen(self, source_system: str, item_id: str) -> Item:
        return Item(source_system, item_id, item_id, item_id, item_id)

    def revision(self, item: Item) -> Revision:
        return Revision("r1", len(item.item_id))

    def download(self, item: Item, revision: Revision, sink: Sink) -> Revision:
        if item.item_id == "slow":
            self.reading.set()
            self.go.wait(60)
        try:
            sink(item.item_id.encode())
        except Exception as error:
            raise SourceUnavailable("The shelf has fallen down.") from error
        return revision


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setitem(registry.BUILT_IN, "shelf", f"{__name__}:ShelfSource")
    registry.source_class.cache_clear()
    ShelfSource.reading.clear()
    ShelfSource.go.clear()
    return load(home=tmp_path)


@pytest.fixture
def store(settings: Settings) -> Store:
    return open_store(settings)


def wanted(name: str, data: bytes | None = None) -> Wanted:
    """Return a version of the item `name` on the shelf, whose bytes were `data`, or are its name."""
    data = name.encode() if data is None else data
    sha256 = hashlib.sha256(data).hexdigest()
    key = (file_id(SYSTEM, name), version_id("r1", sha256))
    return Wanted(*key, sha256, len(data), "r1", "shelf", SYSTEM, name)


def test_several_versions_of_one_content_are_stored_once(settings: Settings, store: Store) -> None:
    versions = [wanted("missing", b"here"), wanted("here"), wanted("there")]
    outcome = Fetcher(settings, store).store_all(versions)
    assert sorted(outcome.places) == sorted({one.sha256 for one in versions})
    assert outcome.failures == {}
    assert len(list(store.objects())) == 2


def test_threads_do_not_get_into_each_others_way(settings: Settings, store: Store, tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.csv" for number in range(100)]
    for file in files:
        file.write_bytes(file.name.encode())
    source = registry.source_of_kind("file", settings)
    versions = []
    for file in files:
        item = source.resolve(str(file))
        version = wanted(file.name)
        place = (source.revision(item).token, "file", item.source_system, item.item_id)
        versions.append(Wanted(version.file_id, version.version_id, version.sha256, version.size, *place))
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        outcome = Fetcher(settings, store).store_all(versions)
    finally:
        sys.setswitchinterval(interval)
    assert outcome.failures == {}
    assert len(outcome.places) == 100


def test_an_error_of_the_store_is_not_blamed_on_the_source(settings: Settings, store: Store) -> None:
    outcome = Fetcher(settings, store).store_all([wanted("longer than it was", b"short")])
    assert [failure.name for failure in outcome.failures.values()] == ["SourceChanged"]
    assert list(store.objects()) == []


def test_a_manifest_that_is_not_the_one_that_was_read_is_not_stored(settings: Settings, store: Store) -> None:
    version = wanted("set")
    outcome = Fetcher(settings, store, {version.sha256: b"another"}).store_all([version])
    assert b"".join(store.read(outcome.places[version.sha256])) == b"set"


def test_what_is_done_when_told_to_stop_is_kept(settings: Settings, store: Store) -> None:
    fetcher = Fetcher(settings, store)
    quick, slow = wanted("quick"), wanted("slow")

    class Told(BaseException):
        pass

    def tell(futures: object, timeout: float | None = None) -> None:
        # In the place of the wait that a signal breaks off in the main thread.
        if timeout == contents.TOGETHER_SECONDS:
            assert ShelfSource.reading.wait(60)
            raise Told
        ShelfSource.go.set()
        real_wait(futures)  # type: ignore[arg-type]

    real_wait = contents.wait
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contents, "wait", tell)
        with pytest.raises(Told):
            fetcher.store_all([quick, slow])
    assert fetcher.outcome.places.keys() == {quick.sha256, slow.sha256}  # within the grace


def test_what_takes_too_long_when_told_to_stop_is_given_up(settings: Settings, store: Store) -> None:
    fetcher = Fetcher(settings, store)
    fetcher._give_up_at = 0.0
    with pytest.raises(Stopped):
        fetcher.store_all([wanted("any")])
    assert fetcher.outcome.places == {}
    assert list(store.objects()) == []


def test_a_source_that_fails_is_left_alone_for_the_rest(settings: Settings, store: Store) -> None:
    asked = []
    source = registry.source_of_kind("shelf", settings)

    def refuse(source_system: str, item_id: str) -> Item:
        asked.append(item_id)
        raise SourceUnavailable("down")

    source.reopen = refuse  # type: ignore[method-assign]
    outcome = Fetcher(settings, store).store_all([wanted(str(number)) for number in range(100)])
    assert len(outcome.failures) == 100
    assert {failure.name for failure in outcome.failures.values()} == {"SourceUnavailable"}
    assert GIVE_UP_AFTER <= len(asked) < 50
