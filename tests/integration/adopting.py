"""Adopting in tests: without a word to the terminal, and which files it opens."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from populate.adopt.progress import Lines
from populate.adopt.share import Adopted, adopt
from readers.file import FileSource


def quietly(url: str | Path, **options: Any) -> Adopted:
    """Adopt, without a word to the terminal."""
    return adopt(url, progress=Lines(StringIO()), **options)


def noted_downloads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the paths of files whose bytes are asked for, as it happens."""
    paths: list[str] = []
    download = FileSource.download

    def noted(self: FileSource, item: Any, *arguments: Any) -> Any:
        paths.append(item.path)
        return download(self, item, *arguments)

    monkeypatch.setattr(FileSource, "download", noted)
    return paths
