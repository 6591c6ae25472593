"""Fixtures for all floors: a home of one's own, a real database, and tables in it."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import hypothesis
import psycopg2
import pytest

from data_platform.errors import DatabaseUnavailable, NotDeployed
from data_platform.settings import settings
from schemas.binding import CORE, Binding, Schemas, bind, unbind
from schemas.embedded import EmbeddedServer
from schemas.postmaster import Address

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


class _Tables:
    """Tables that are declared once a session, and emptied and given another name for each test."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.prefix = ""

    def renew(self) -> None:
        """Give the schemas a name that no process of an earlier test knows."""
        prefix = f"t{secrets.token_hex(6)}"
        if self.prefix:
            with self._cursor() as cursor:
                for name in self._names(cursor):
                    cursor.execute(f'ALTER SCHEMA "{name}" RENAME TO "{name.replace(self.prefix, prefix)}"')
        self.prefix = prefix

    def clear(self, kept: set[str]) -> None:
        """Empty the tables; drop what a test added."""
        with self._cursor() as cursor:
            cursor.execute("SET lock_timeout = '60s'")
            for name in self._names(cursor) - kept:
                cursor.execute(f'DROP SCHEMA "{name}" CASCADE')
            cursor.execute("SELECT schemaname, tablename FROM pg_tables WHERE schemaname = ANY(%s)", ([*kept],))
            tables = [f'"{s}"."{t}"' for s, t in cursor.fetchall() if not t.startswith("#") and t != "~lineage"]
            if tables:
                cursor.execute(f"TRUNCATE {', '.join(tables)} CASCADE")

    def _names(self, cursor: Any) -> set[str]:
        cursor.execute("SELECT nspname FROM pg_namespace WHERE starts_with(nspname, %s)", (f"{self.prefix}_",))
        return {name for (name,) in cursor.fetchall()}

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        with (
            closing(psycopg2.connect(**self.address.arguments())) as connection,
            connection,
            connection.cursor() as cursor,
        ):
            yield cursor


@pytest.fixture(scope="session")
def _tables(server: EmbeddedServer) -> _Tables:
    return _Tables(server.start())


@pytest.fixture
def binding(_tables: _Tables, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Binding]:
    """Return a binding to empty tables on the session's server; the settings lead there too."""
    _tables.renew()
    address = _tables.address
    database = {
        "backend": "postgresql",
        "host": address.host,
        "port": str(address.port),
        "user": address.user,
        "password": address.password,
        "name": address.database,
        "prefix": _tables.prefix,
    }
    with monkeypatch.context() as patch:
        for name, value in database.items():
            patch.setenv(f"DATA_PLATFORM_DATABASE__{name.upper()}", value)
        settings.cache_clear()
        schemas = _schemas()
        try:
            bound = bind(schemas=schemas)
        except NotDeployed:  # the first test, or one after a test that took a table away
            bound = bind(deploy=True, schemas=schemas)
        yield bound
        unbind()
        _tables.clear({f"{_tables.prefix}_{name}" for name, _ in schemas})
    settings.cache_clear()


def _schemas() -> Schemas:
    try:
        from populate.pipeline import SCHEMAS
    except ImportError:
        return CORE
    return SCHEMAS
