"""A shelf in a folder, and the source that reads it."""

from __future__ import annotations

from pathlib import Path

import pytest
from folder_shelf import FolderShelf

from data_platform.settings import Settings, load
from readers.file import FileSource


@pytest.fixture
def shelf(tmp_path: Path) -> FolderShelf:
    (tmp_path / "shelf").mkdir()
    return FolderShelf(tmp_path / "shelf")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(home=tmp_path / "home")


@pytest.fixture
def source(settings: Settings) -> FileSource:
    return FileSource(settings)
