"""A server that a test of the embedded database starts itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.embedded import EmbeddedServer


@pytest.fixture
def embedded(home: Path) -> Iterator[EmbeddedServer]:
    """A server of this process, which the test has to start."""
    server = EmbeddedServer(home, fsync=False)
    yield server
    server.leave()
