"""OneDrive and SharePoint do what every source must do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

import pytest
from reading_world import Place, place
from source_contract import NAMES, Shelf, SourceContract

from readers.microsoft365.source import Microsoft365Source
from readers.source import Source

FORBIDDEN = set('"*:<>?/\\|')  # in names of OneDrive and SharePoint


class DriveShelf(Shelf):
    """Amy's OneDrive, into which Amy puts files."""

    def __init__(self, found: Place) -> None:
        self._found = found

    def put(self, path: str, data: bytes) -> str:
        return self._found.upload(path, data).url

    def remove(self, path: str) -> None:
        item = self._found.drive.at(path.split("/"))
        assert item is not None
        self._found.world.delete(item, self._found.amy)

    def link(self, path: str) -> str:
        return f"{self._found.drive.url}/{quote(path)}"

    folder = link


class OfDrive(SourceContract):
    names: ClassVar[tuple[str, ...]] = tuple(name for name in NAMES if not FORBIDDEN.intersection(name))

    @pytest.fixture
    def found(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
        with place(tmp_path, monkeypatch) as found:
            yield found

    @pytest.fixture
    def shelf(self, found: Place) -> Shelf:
        return DriveShelf(found)

    def test_different_files_have_different_identities(self, shelf: Shelf, source: Source) -> None:
        links = [shelf.put(path, b"same") for path in ("a.csv", "b/a.csv")]
        assert len({source.resolve(link).item_id for link in links}) == len(links)
        # There, names differ by more than case.
        assert source.resolve(shelf.put("A.csv", b"same")).item_id == source.resolve(links[0]).item_id


class TestAPersonReadsFromADrive(OfDrive):
    @pytest.fixture
    def source(self, found: Place) -> Microsoft365Source:
        return found.source(found.amy)


class TestAWorkerReadsFromADrive(OfDrive):
    """With no right but to read, and so with addresses looked up by their paths."""

    @pytest.fixture
    def source(self, found: Place) -> Microsoft365Source:
        return found.source()
