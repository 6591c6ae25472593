"""Servers and settings for tests that bind and unbind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bindings import settings_of
from server_users import execute

from data_platform.settings import Settings
from schemas.binding import CORE, unbind
from schemas.embedded import EmbeddedServer


@pytest.fixture
def fresh(server: EmbeddedServer, home: Path) -> Iterator[Settings]:
    """Settings of a server that holds none of our tables."""
    made = settings_of(server, home)
    yield made
    unbind()
    for name, _ in CORE:
        execute(server.home, f'DROP SCHEMA IF EXISTS "{made.database.prefix}_{name}" CASCADE')


@pytest.fixture
def own(home: Path) -> Iterator[tuple[EmbeddedServer, Settings]]:
    """A server that a test may stop, and settings that lead to it as to any server."""
    server = EmbeddedServer(home / "own", fsync=False)
    yield server, settings_of(server, home)
    unbind()
    server.remove()
