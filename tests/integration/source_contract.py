"""What every source must do, as tests that each source subclasses.

A source's test module needs a `Shelf` (how a test puts things into that system, without
using the source) and two fixtures::

    import pytest
    from source_contract import Shelf, SourceContract

    class BucketShelf(Shelf):
        def put(self, path: str, data: bytes) -> str: ...   # returns the link of the file
        def remove(self, path: str) -> None: ...
        def link(self, path: str) -> str: ...
        def folder(self, path: str) -> str: ...             # only where the system has folders

    class TestS3Source(SourceContract):
        @pytest.fixture
        def shelf(self, ...) -> Shelf: ...                  # empty at the start of each test
        @pytest.fixture
        def source(self, ...) -> Source: ...
        @pytest.fixture
        def reopened(self, ...) -> Source: ...              # optional: a second, fresh instance

`SourceContract.has_folders` and `.reopens` say what the system can do; where they are False
the tests ask that the source says so with `NotImplementedError`. `.names` lists the file
names that are tried; a system that cannot hold one of them overrides the list.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import pytest

from data_platform.errors import SourceError, SourceNotFound
from readers.source import Item, Revision, Source

PIECE_LIMIT = 16 * 1024 * 1024
NAMES = (
    "plain.csv",
    "two words.csv",
    "Zellzählung µ 细胞.csv",
    "e\u0301 decomposed.csv",
    "100%25 done%.csv",
    "a+b=c&d.csv",
    "question?.csv",
    "hash#1.csv",
    "semi;colon,comma.csv",
    "[brackets]{braces}.csv",
    "quote'\"s.csv",
    "-rf.csv",
    ".hidden",
    "no_suffix",
    "dots..in...name.tar.gz",
)


class Shelf(ABC):
    """How a test puts files into a source system, by other means than the source."""

    @abstractmethod
    def put(self, path: str, data: bytes) -> str:
        """Write `data` under `path` (relative, with ``/``), new or over what is there; return its link."""

    @abstractmethod
    def remove(self, path: str) -> None:
        """Remove the file at `path`."""

    @abstractmethod
    def link(self, path: str) -> str:
        """Return the link of the file at `path`, whether it exists or not."""

    def folder(self, path: str) -> str:
        """Return the link of the folder at `path`."""
        raise NotImplementedError


def fetch(source: Source, item: Item) -> tuple[bytes, Revision]:
    """Return an item's bytes and the revision that the source says they belong to."""
    received: list[bytes] = []
    revision = source.download(item, source.revision(item), received.append)
    assert all(len(piece) <= PIECE_LIMIT for piece in received)
    return b"".join(received), revision


def refuse(path: str, error: SourceError) -> None:
    raise error


class SourceContract:
    """Subclass me as ``class TestXSource(SourceContract)``."""

    has_folders: ClassVar[bool] = True
    reopens: ClassVar[bool] = True
    names: ClassVar[tuple[str, ...]] = NAMES

    @pytest.fixture
    def shelf(self) -> Shelf:
        raise NotImplementedError

    @pytest.fixture
    def source(self) -> Source:
        raise NotImplementedError

    @pytest.fixture
    def reopened(self, source: Source) -> Source:
        """Return another instance, as another process has it."""
        return type(source)(source.settings)

    # --- links and identities

    def test_understands_its_own_links_and_no_others(self, shelf: Shelf, source: Source) -> None:
        assert type(source).understands(shelf.put("a.csv", b"1"))
        assert not type(source).understands("unheard-of://host/a.csv")
        assert source.kind

    def test_resolves_to_an_item_the_catalogue_can_hold(self, shelf: Shelf, source: Source) -> None:
        item = source.resolve(shelf.put("folder/a.csv", b"1"))
        assert item.name == "a.csv"
        assert not item.is_folder
        assert item.source_system == item.source_system.lower()
        assert 0 < len(item.source_system) <= 255
        assert 0 < len(item.item_id) <= 4096
        assert item.path.endswith("a.csv")

    def test_identity_is_stable(self, shelf: Shelf, source: Source, reopened: Source) -> None:
        link = shelf.put("a.csv", b"1")
        first = source.resolve(link)
        shelf.put("a.csv", b"other bytes")
        for again in (source.resolve(link), reopened.resolve(link), source.resolve(first.url)):
            assert (again.source_system, again.item_id) == (first.source_system, first.item_id)

    def test_different_files_have_different_identities(self, shelf: Shelf, source: Source) -> None:
        links = [shelf.put(path, b"same") for path in ("a.csv", "A.csv", "b/a.csv")]
        assert len({source.resolve(link).item_id for link in links}) == len(links)

    # --- revisions

    def test_revision_stays_while_the_bytes_stay(self, shelf: Shelf, source: Source, reopened: Source) -> None:
        item = source.resolve(shelf.put("a.csv", b"12345"))
        revision = source.revision(item)
        assert revision.size in {5, None}
        assert 0 < len(revision.token) <= 512
        assert source.revision(item).token == revision.token == reopened.revision(item).token

    @pytest.mark.parametrize("changed", [b"54321", b"", b"12345 and more"], ids=["same size", "emptied", "longer"])
    def test_revision_changes_with_the_bytes(self, shelf: Shelf, source: Source, changed: bytes) -> None:
        item = source.resolve(shelf.put("a.csv", b"12345"))
        before = source.revision(item)
        shelf.put("a.csv", changed)
        assert source.revision(item).token != before.token
        assert fetch(source, item)[0] == changed

    # --- bytes

    @pytest.mark.parametrize("size", [0, 1, 3 * 1024 * 1024 + 7])
    def test_downloads_the_very_bytes(self, shelf: Shelf, source: Source, size: int) -> None:
        data = random.Random(size).randbytes(size)
        item = source.resolve(shelf.put("data.bin", data))
        received, revision = fetch(source, item)
        assert received == data
        assert revision.token == source.revision(item).token
        assert revision.size in {size, None}

    def test_a_download_tells_the_revision_of_its_bytes(self, shelf: Shelf, source: Source) -> None:
        item = source.resolve(shelf.put("a.csv", b"old"))
        stale = source.revision(item)
        shelf.put("a.csv", b"newer")
        received: list[bytes] = []
        told = source.download(item, stale, received.append)
        assert b"".join(received) == b"newer"
        assert told.token == source.revision(item).token != stale.token

    def test_names_of_all_kinds(self, shelf: Shelf, source: Source) -> None:
        for name in self.names:
            data = name.encode("utf-8", "surrogateescape")
            item = source.resolve(shelf.put(f"odd names/{name}", data))
            assert item.name == name
            assert fetch(source, item)[0] == data
            assert source.resolve(item.url).item_id == item.item_id

    def test_an_error_of_the_receiver_passes_unchanged(self, shelf: Shelf, source: Source) -> None:
        class Full(Exception):
            pass

        def refuse(piece: bytes) -> None:
            raise Full

        item = source.resolve(shelf.put("a.csv", b"bytes"))
        with pytest.raises(Full):
            source.download(item, source.revision(item), refuse)
        assert fetch(source, item)[0] == b"bytes"

    def test_threads_share_a_source(self, shelf: Shelf, source: Source) -> None:
        expected = {f"{n}.bin": random.Random(n).randbytes(50_000 + n) for n in range(12)}
        items = [source.resolve(shelf.put(path, data)) for path, data in expected.items()]
        with ThreadPoolExecutor(6) as threads:
            received = dict(zip(expected, threads.map(lambda item: fetch(source, item)[0], items), strict=True))
        assert received == expected

    # --- what is not there

    def test_missing_file(self, shelf: Shelf, source: Source) -> None:
        shelf.put("there.csv", b"1")
        with pytest.raises(SourceNotFound) as caught:
            fetch(source, source.resolve(shelf.link("not there.csv")))
        assert isinstance(caught.value, FileNotFoundError)
        assert str(caught.value).rstrip().endswith(".")

    def test_removed_file(self, shelf: Shelf, source: Source) -> None:
        shelf.put("other.csv", b"1")
        item = source.resolve(shelf.put("a.csv", b"1"))
        revision = source.revision(item)
        shelf.remove("a.csv")
        with pytest.raises(SourceNotFound):
            source.revision(item)
        with pytest.raises(SourceNotFound):
            source.download(item, revision, lambda piece: None)

    # --- the worker's way

    def test_reopens_what_the_catalogue_knows(self, shelf: Shelf, source: Source, reopened: Source) -> None:
        item = source.resolve(shelf.put("sub folder/a b.csv", b"bytes"))
        if not self.reopens:
            with pytest.raises(NotImplementedError):
                source.reopen(item.source_system, item.item_id)
            return
        again = reopened.reopen(item.source_system, item.item_id)
        assert (again.source_system, again.item_id, again.name) == (item.source_system, item.item_id, item.name)
        assert fetch(reopened, again)[0] == b"bytes"

    # --- folders

    def test_lists_every_file_below_a_folder(self, shelf: Shelf, source: Source) -> None:
        expected = {"a.csv": b"1", "deep/er/b.csv": b"22", "deep/c d.csv": b"", "é.csv": b"4444"}
        for path, data in expected.items():
            shelf.put(f"set/{path}", data)
        shelf.put("set beside/x.csv", b"not in it")
        if not self.has_folders:
            with pytest.raises(NotImplementedError):
                list(source.list(source.resolve(shelf.link("set/a.csv"))))
            return
        folder = source.resolve(shelf.folder("set"))
        assert folder.is_folder
        assert folder.name == "set"
        listed = dict(source.list(folder))
        assert {path: fetch(source, item)[0] for path, item in listed.items()} == expected
        direct = source.resolve(shelf.link("set/deep/er/b.csv"))
        assert listed["deep/er/b.csv"].item_id == direct.item_id
        assert source.revision(listed["a.csv"]).token

    def test_a_list_tells_revisions_as_they_are_asked_for(self, shelf: Shelf, source: Source, reopened: Source) -> None:
        if not self.has_folders:
            pytest.skip("this system has no folders")
        for path in ("a.csv", "deep/er/b.csv", "deep/c d.csv", "é.csv", "other/d.csv"):
            shelf.put(f"set/{path}", path.encode())
        folder = source.resolve(shelf.folder("set"))
        items = {path: item for path, item in source.walk(folder, refuse) if "/deep/" not in item.path}
        listed = {one.path: one for one in source.listed(folder, refuse, lambda item: "/deep/" in f"{item.path}/")}
        assert [*listed] == [*items]
        assert len(listed) == 3
        for path, one in listed.items():
            item = one.item or reopened.reopen(one.source_system, one.item_id)
            assert (item, one.item_id) == (items[path], items[path].item_id)
            revision = source.revision(item)
            assert (one.token, one.size) in ((revision.token, revision.size), ("", 0))

    def test_a_folder_has_a_stable_identity(self, shelf: Shelf, source: Source) -> None:
        if not self.has_folders:
            pytest.skip("this system has no folders")
        shelf.put("set/a.csv", b"1")
        first = source.resolve(shelf.folder("set"))
        shelf.put("set/b.csv", b"2")
        again = source.resolve(shelf.folder("set"))
        assert (again.source_system, again.item_id) == (first.source_system, first.item_id)
        assert {path for path, _ in source.list(again)} == {"a.csv", "b.csv"}
