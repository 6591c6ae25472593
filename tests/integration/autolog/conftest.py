"""An outbox of its own for each test of `@autolog`, and a file to read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from data_platform.settings import settings
from readers import autolog as module
from readers import outbox as outbox_module


@pytest.fixture(autouse=True)
def _outbox_of_one_test(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("DATA_PLATFORM_OUTBOX__SHIP", "false")
    monkeypatch.setenv("DATA_PLATFORM_ACCOUNT", "amy")
    monkeypatch.setattr(module, "_warned", False)
    settings.cache_clear()
    yield
    if outbox_module._current is not None:
        outbox_module._current[1].close()


@pytest.fixture
def plates(tmp_path: Path) -> Path:
    file = tmp_path / "plates.csv"
    file.write_text("well,signal\nA1,3\n")
    return file
