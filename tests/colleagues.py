"""Real reads by several accounts in one process, for tests of what the catalogue says afterwards."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from data_platform import face
from data_platform.settings import settings

REALM = "lab"


class Colleagues:
    """Reads as whoever is named, from shares whose folders belong to somebody.

    Attributes
    ----------
    shares
        A folder with a subfolder for each owner: what is below ``shares/maria`` is Maria's.
    """

    def __init__(self, shares: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shares = shares
        self._patch = monkeypatch
        monkeypatch.setenv("DATA_PLATFORM_REALM", REALM)
        monkeypatch.setenv("DATA_PLATFORM_OUTBOX__SHIP", "false")

    def put(self, path: str, content: bytes) -> Path:
        """Write a file as its owner does, in its place at once."""
        target = self.shares / path
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f".{target.name}.new")
        draft.write_bytes(content)
        draft.replace(target)
        return target

    def account(self, login: str) -> None:
        """Be `login` from now on."""
        owners = {str(folder): folder.name for folder in sorted(self.shares.iterdir())}
        text = ", ".join(f'"{folder}": "{name}"' for folder, name in owners.items())
        self._patch.setenv("DATA_PLATFORM_FILE__OWNERS", f"{{{text}}}")
        self._patch.setenv("DATA_PLATFORM_ACCOUNT", login)
        settings.cache_clear()

    def read(self, login: str, path: str) -> bytes:
        """Read a file as `login` and return what they got."""
        self.account(login)
        return face.read_file(self.shares / path).read_bytes()

    def work(self) -> None:
        """Let the worker do everything there is to do."""
        face.worker(once=True)

    def catalogue_only(self) -> None:
        """Let the worker enter what was read, and not yet back it up."""
        from populate.ingest import Ingest

        face.flush()
        Ingest.populate()

    def lose(self, path: str) -> None:
        """Take a file's bytes from everywhere they could be fetched from."""
        (self.shares / path).unlink()
        for folder in ("content", "revisions"):
            shutil.rmtree(settings().cache_folder / folder, ignore_errors=True)
