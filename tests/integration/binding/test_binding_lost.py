"""A binding that loses its connection, and servers and tables that it refuses."""

from __future__ import annotations

import secrets
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import psycopg2
import pytest
from bindings import settings_of, terminate
from server_users import execute, has_ended, postmaster_of, runs, until

from data_platform.errors import DatabaseError, DatabaseUnavailable
from data_platform.settings import Settings, load
from schemas.binding import CORE, Binding, bind, unbind
from schemas.drivers import ConnectionLost
from schemas.embedded import EmbeddedServer
from schemas.engine import dj
from schemas.people import Department
from schemas.sharing import Channel

# --- losing the connection


SESSIONS = {
    "postgresql": {
        "TimeZone": "UTC",
        "work_mem": "64MB",
        "standard_conforming_strings": "on",
        "client_encoding": "UTF8",
        "application_name": "data-platform",
    },
    "mysql": {"TimeZone": "+00:00", "strict": "1", "autocommit": "1"},
}


def _session(binding: Binding) -> dict[str, str]:
    if binding.backend == "mysql":
        found = binding.connection.query("SELECT @@time_zone, @@sql_mode LIKE '%%STRICT_ALL_TABLES%%', @@autocommit")
        return dict(zip(("TimeZone", "strict", "autocommit"), map(str, found.fetchone()), strict=True))
    names = ("TimeZone", "work_mem", "standard_conforming_strings", "client_encoding", "application_name")
    query = binding.connection.query
    return {name: query("SELECT current_setting(%s)", (name,)).fetchone()[0] for name in names}


def test_a_lost_connection_comes_back_by_itself(binding: Binding) -> None:
    before = _session(binding)
    assert before == SESSIONS[binding.backend]
    for _ in range(2):
        terminate(binding)
        Department.insert1({"department": secrets.token_hex(4)})
        assert _session(binding) == before
    assert len(Department()) == 2


def test_whether_a_connection_lives_is_told_truly(binding: Binding) -> None:
    assert binding.connection.is_connected
    terminate(binding)
    assert not binding.connection.is_connected
    binding.ensure()
    assert binding.connection.is_connected
    assert len(Channel()) == 3


# The signal may come in the end of an object.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_in_a_statement_leaves_no_answer_for_the_next(binding: Binding) -> None:
    came: list[int] = []

    def stop(number: int, frame: object) -> None:
        came.append(number)
        raise SystemExit

    query = binding.connection.query
    before = signal.signal(signal.SIGVTALRM, stop)
    try:
        for number in range(1, 101):
            came.clear()
            with suppress(SystemExit):
                signal.setitimer(signal.ITIMER_VIRTUAL, 0.001 + 0.00005 * number)
                while not came:  # it may come where exceptions are dropped, as in the end of an object
                    query("SELECT %s", (-number,)).fetchone()
            assert came
            assert query("SELECT %s", (number,)).fetchone() == (number,)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def test_a_connection_lost_in_a_transaction_raises_and_undoes_all(binding: Binding) -> None:
    def work() -> None:
        with binding.transaction():
            Department.insert1({"department": "lost"})
            terminate(binding)
            Department.insert1({"department": "lost too"})

    with pytest.raises(ConnectionLost):
        work()
    assert len(Department()) == 0
    with binding.transaction():
        Department.insert1({"department": "kept"})
    assert len(Department()) == 1


def test_a_connection_lost_at_commit_raises(binding: Binding) -> None:
    def work() -> None:
        with binding.transaction():
            Department.insert1({"department": "lost"})
            terminate(binding)

    with pytest.raises(DatabaseUnavailable):
        work()
    assert len(Department()) == 0


def test_an_error_in_a_transaction_undoes_it_and_stays_the_error(binding: Binding) -> None:
    Department.insert1({"department": "there"})
    with pytest.raises(dj.errors.DuplicateError), binding.transaction():
        Department.insert([{"department": "new"}, {"department": "there"}])
    assert len(Department()) == 1
    assert binding.connection.is_connected


@pytest.mark.parametrize("backend", ["postgresql"])
def test_a_failed_transaction_is_not_a_lost_connection(binding: Binding) -> None:
    with binding.transaction() as connection:
        with pytest.raises(psycopg2.errors.DivisionByZero):
            connection.query("SELECT 1/0")
        assert connection.is_connected
        assert connection.in_transaction
    assert not binding.connection.in_transaction


def test_a_killed_embedded_server_is_started_again_by_the_next_query(home: Path) -> None:
    binding = bind()
    Department.insert1({"department": "kept"})
    killed = postmaster_of(home)
    killed.kill()
    until(lambda: has_ended(killed))
    assert Department.fetch1("department") == "kept"
    assert postmaster_of(home) != killed
    assert bind() is binding
    unbind()
    assert not runs(home)


def test_a_server_that_is_down_says_so_until_it_is_back(own: tuple[EmbeddedServer, Settings]) -> None:
    server, settings = own
    binding = bind(settings, deploy=True)
    server.leave()
    for _ in range(2):
        with pytest.raises(DatabaseUnavailable):
            len(Channel())
        with pytest.raises(DatabaseUnavailable):
            binding.ensure()
    with pytest.raises(DatabaseUnavailable), binding.transaction():
        pytest.fail("a transaction began without a server")
    server.start()
    assert len(Channel()) == 3
    with binding.transaction():
        Department.insert1({"department": "back"})
    assert len(Department()) == 1


def test_a_server_lost_in_a_transaction_says_so_once(own: tuple[EmbeddedServer, Settings]) -> None:
    server, settings = own
    binding = bind(settings, deploy=True)

    def work() -> None:
        with binding.transaction():
            Department.insert1({"department": "lost"})
            server.leave()
            Department.insert1({"department": "lost too"})

    with pytest.raises(DatabaseUnavailable):
        work()
    server.start()
    assert len(Department()) == 0
    assert not binding.connection.in_transaction


# --- refusals


def test_a_wrong_password_is_told_without_the_password(server: EmbeddedServer, home: Path) -> None:
    with pytest.raises(DatabaseUnavailable, match=r"database\.\*") as caught:
        bind(settings_of(server, home, password="canary-7d1f"))
    assert "canary" not in str(caught.value) + repr(caught.value.__cause__)


@pytest.mark.parametrize("backend", ["postgresql"])
def test_no_secret_is_in_what_objects_say_of_themselves(server: EmbeddedServer, binding: Binding) -> None:
    password = server.start().password
    told = [repr(binding), repr(binding.connection), repr(binding.instance), str(binding.connection.conn_info)]
    assert not [text for text in told if password in text]


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 1), ("no-such-host.invalid", 5432), ("::1", 1)])
@pytest.mark.parametrize("backend", ["postgresql", "mysql"])
def test_a_server_that_is_not_there_is_told(home: Path, backend: str, host: str, port: int) -> None:
    settings = load(home=home, database={"backend": backend, "host": host, "port": port})
    with pytest.raises(DatabaseUnavailable, match=r"database\.\*"):
        bind(settings)


def test_who_may_only_read_binds_and_cannot_deploy(own: tuple[EmbeddedServer, Settings]) -> None:
    server, settings = own
    bind(settings, deploy=True)
    Department.insert1({"department": "Biology"})
    unbind()
    reader = _make_reader(server, settings.database.prefix)
    read_only = load(home=settings.home, database=settings.database.model_dump() | reader)
    binding = bind(read_only)
    assert Department.fetch1("department") == "Biology"
    with pytest.raises(dj.errors.AccessError):
        Department.insert1({"department": "Chemistry"})
    execute(server.home, f'DROP TABLE "{settings.database.prefix}_sharing".share_edge')
    with pytest.raises(DatabaseError, match="owns the schemas"):
        bind(read_only, deploy=True)
    assert bind(read_only, schemas=()) is binding


def _make_reader(server: EmbeddedServer, prefix: str) -> dict[str, str]:
    """Make a role with the privileges of the dashboard, as DATAJOINT.md lists them."""
    from schemas import cluster, installation

    server.leave()
    data = cluster.data_folder(server.home)
    assert data is not None
    statements = ["CREATE ROLE reader LOGIN PASSWORD 'reader'"]
    for name, _ in CORE:
        schema = f'"{prefix}_{name}"'
        statements += [
            f"GRANT USAGE ON SCHEMA {schema} TO reader",
            f"GRANT SELECT, REFERENCES ON ALL TABLES IN SCHEMA {schema} TO reader",
        ]
    script = server.home / "grant.sql"
    script.write_text("\n".join(statements) + "\n")
    programs = installation.find()
    with script.open("rb") as file:
        alone = (programs.program("postgres"), "--single", "-D", str(data), "-c", "exit_on_error=true", "postgres")
        assert programs.run(*alone, stdin=file, output=subprocess.DEVNULL) == 0
    with (data / "pg_hba.conf").open("a") as file_of_rules:
        file_of_rules.write("local all reader scram-sha-256\n")
    server.start()
    return {"user": "reader", "password": "reader"}
