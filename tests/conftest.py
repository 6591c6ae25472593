"""Fixtures for all floors: a home of one's own, a real database, and tables in it."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from data_platform.errors import DatabaseUnavailable
from data_platform.settings import settings
from schemas.binding import CORE, Binding, Schemas, bind, unbind
from schemas.embedded import EmbeddedServer

PATIENCE_SECONDS = 120.0

# Nothing that depends on the speed of the machine or on chance may decide whether a test passes.
hypothesis.settings.register_profile(
    "same everywhere",
    deadline=None,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.function_scoped_fixture],
)
hypothesis.settings.load_profile("same everywhere")


@pytest.fixture(scope="session", autouse=True)
def _no_real_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep tests that ask for nothing away from the catalogue of whoever runs them."""
    with pytest.MonkeyPatch.context() as patch:
        _set_home(patch, tmp_path_factory.mktemp("unused") / "home")
        yield
    settings.cache_clear()


def _set_home(patch: pytest.MonkeyPatch, home: Path) -> None:
    for name in os.environ:
        if name.startswith("DATA_PLATFORM_"):
            patch.delenv(name)
    patch.setenv("DATA_PLATFORM_HOME", str(home))
    settings.cache_clear()


def remove_database(home: Path) -> None:
    """Delete the embedded database of a home, once the last process that uses it has ended."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return EmbeddedServer(home).remove()
        except DatabaseUnavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a home that does not exist yet, in force for this process and those it starts."""
    folder = tmp_path / "home"
    with monkeypatch.context() as patch:
        _set_home(patch, folder)
        yield folder
        unbind()
    settings.cache_clear()
    remove_database(folder)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """Return an embedded PostgreSQL that runs for the whole session, without fsync."""
    running = EmbeddedServer(tmp_path_factory.mktemp("server"), fsync=False)
    running.start()
    yield running
    running.remove()


@pytest.fixture
def binding(server: EmbeddedServer, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Binding]:
    """Return a binding to fresh tables on the session's server; the settings lead there too."""
    address = server.start()
    database = {
        "backend": "postgresql",
        "host": address.host,
        "port": str(address.port),
        "user": address.user,
        "password": address.password,
        "name": address.database,
        "prefix": f"t{secrets.token_hex(6)}",
    }
    with monkeypatch.context() as patch:
        for name, value in database.items():
            patch.setenv(f"DATA_PLATFORM_DATABASE__{name.upper()}", value)
        settings.cache_clear()
        schemas = _schemas()
        bound = bind(deploy=True, schemas=schemas)
        yield bound
        unbind()
        again = bind(schemas=())
        for name, _ in schemas:
            again.connection.query(f'DROP SCHEMA IF EXISTS "{database["prefix"]}_{name}" CASCADE')
        unbind()
    settings.cache_clear()


def _schemas() -> Schemas:
    try:
        from populate.pipeline import SCHEMAS
    except ImportError:
        return CORE
    return SCHEMAS
