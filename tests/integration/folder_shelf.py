"""A folder on this machine as the shelf of a source, and who may do what there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from source_contract import Shelf

as_a_user = pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may do that")


class FolderShelf(Shelf):
    """A folder on this machine."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, path: str, data: bytes) -> str:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        return str(target)

    def remove(self, path: str) -> None:
        (self.root / path).unlink()

    def link(self, path: str) -> str:
        return str(self.root / path)

    folder = link
