"""A home whose outbox ships nothing, and a shared folder to read from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from read_noted import UnsteadySource

from data_platform.settings import settings
from readers import registry


@pytest.fixture(autouse=True)
def _at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_PLATFORM_OUTBOX__SHIP", "false")
    settings.cache_clear()


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    folder = tmp_path / "shared"
    folder.mkdir()
    return folder


@pytest.fixture
def unsteady(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[UnsteadySource]]:
    monkeypatch.setitem(registry.BUILT_IN, "unsteady", f"{UnsteadySource.__module__}:UnsteadySource")
    for name, value in (("failures", 0), ("told", None), ("downloads", 0)):
        monkeypatch.setattr(UnsteadySource, name, value)
    yield UnsteadySource
    registry.source_class.cache_clear()
