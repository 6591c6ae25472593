"""Fixtures for all floors: a home of one's own, a real database, and tables in it."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import hypothesis
import pytest
from servers.homes import ReadyHome
from servers.mysql import MySQLMissing, MySQLServer, mysql_server
from servers.tables import MySQLTables, PostgreSQLTables

from data_platform.errors import DatabaseUnavailable, NotDeployed
from data_platform.settings import settings
from schemas.binding import Binding, unbind
from schemas.embedded import EmbeddedServer

BACKENDS = ("postgresql", "mysql")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell that runs the tests in the background has Ctrl-C ignored, and processes inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
PATIENCE_SECONDS = 120.0

# Nothing that depends on the speed of the machine or on chance may decide whether a test passes.
hypothesis.settings.register_profile(
    "same everywhere",
    deadline=None,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.function_scoped_fixture],
)
hypothesis.settings.load_profile("same everywhere")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the files that take longest: what comes last keeps one core busy and the others waiting."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(autouse=True)
def _same_main_module() -> Iterator[None]:
    """Put ``__main__`` back: Streamlit makes a page that it runs that module, and new processes would run it too."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture(autouse=True)
def _same_authorities() -> Iterator[None]:
    """See that each test gives back whom this process trusts: else those after it get no answer from any store."""
    before = os.environ.get("SSL_CERT_FILE")
    yield
    assert os.environ.get("SSL_CERT_FILE") == before


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
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a home that does not exist yet, in force for this process and those it starts.

    Not below `tmp_path`, which may be too long for a socket: then each start of the database
    takes another folder for it, and a test that restarts it would keep an address of the past.
    """
    outer = Path(tempfile.mkdtemp(prefix="h-"))
    folder = outer / "home"
    with monkeypatch.context() as patch:
        _set_home(patch, folder)
        yield folder
        unbind()
    settings.cache_clear()
    remove_database(folder)
    _delete(outer)


@pytest.fixture(scope="session")
def _ready_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReadyHome]:
    folder = tmp_path_factory.mktemp("ready") / "home"
    with pytest.MonkeyPatch.context() as patch:
        _set_home(patch, folder)
        made = ReadyHome(folder)
    settings.cache_clear()
    yield made
    remove_database(folder)


@pytest.fixture
def running(_ready_home: ReadyHome, home: Path) -> Iterator[Path]:
    """Return a home whose embedded database has its tables and runs, so that not each command starts and stops it."""
    from populate.pipeline import bind_all  # here, so that unit tests do not wait for it

    _ready_home.copy_to(home)
    bind_all(settings())
    yield home
    unbind()


def _delete(folder: Path) -> None:
    """Delete a folder, read-only files and folders within it included."""
    for inner, folders, _ in os.walk(folder):
        for name in folders:
            if not (place := Path(inner, name)).is_symlink():
                place.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """Return an embedded PostgreSQL that runs for the whole session, without fsync."""
    running = EmbeddedServer(tmp_path_factory.mktemp("server"), fsync=False)
    running.start()
    yield running
    running.remove()


@pytest.fixture(scope="session")
def mysql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MySQLServer]:
    """Return a real MySQL server that runs for the whole session."""
    with ExitStack() as stack:
        try:
            found = stack.enter_context(mysql_server(tmp_path_factory.mktemp("mysql")))
        except MySQLMissing as error:
            if os.environ.get("CI") == "true":
                pytest.fail(str(error))
            pytest.skip(str(error))
        yield found


@pytest.fixture(scope="session")
def _postgresql_tables(server: EmbeddedServer) -> PostgreSQLTables:
    return PostgreSQLTables(server.start())


@pytest.fixture(scope="session")
def _mysql_tables(mysql: MySQLServer) -> MySQLTables:
    return MySQLTables(mysql)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """Return the kind of database; what is about one of them says so by ``parametrize("backend", …)``."""
    return str(request.param)


@pytest.fixture
def binding(
    backend: str, request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Binding]:
    """Return a binding to empty tables on the session's server; the settings lead there too."""
    tables: PostgreSQLTables | MySQLTables = request.getfixturevalue(f"_{backend}_tables")
    with monkeypatch.context() as patch:
        patch.setattr("schemas.binding.describe", tables.describe)
        for name, value in tables.renew().items():
            patch.setenv(f"DATA_PLATFORM_DATABASE__{name.upper()}", value)
        settings.cache_clear()
        from populate.pipeline import SCHEMAS, bind_all  # here, so that unit tests do not wait for it

        try:
            bound = bind_all()
        except NotDeployed:  # the first test, or one after a test that took a table away
            bound = bind_all(deploy=True)
        yield bound
        unbind()
        tables.clear({f"{tables.prefix}_{name}" for name, _ in SCHEMAS})
    settings.cache_clear()
