"""The binding of a process to its database: made, lost, found again, undone."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from server_users import PROJECT, execute, has_ended, postmaster_of, runs, until
from servers.sessions import end_session, session_of

from data_platform.errors import DatabaseError, DatabaseUnavailable, NotDeployed, SchemaMismatch, SettingsError
from data_platform.settings import Settings, load
from schemas import declared
from schemas.binding import CORE, Binding, bind, unbind
from schemas.drivers import ConnectionLost
from schemas.embedded import EmbeddedServer
from schemas.engine import dj
from schemas.people import Department, Person, PersonKind
from schemas.sharing import Channel


def _settings(server: EmbeddedServer, home: Path, **changes: Any) -> Settings:
    found = server.start()
    database = {"backend": "postgresql", "prefix": f"b{secrets.token_hex(6)}", **found.arguments(), **changes}
    database["name"] = database.pop("dbname")
    return load(home=home, database=database)


@pytest.fixture
def fresh(server: EmbeddedServer, home: Path) -> Iterator[Settings]:
    """Settings of a server that holds none of our tables."""
    made = _settings(server, home)
    yield made
    unbind()
    for name, _ in CORE:
        execute(server.home, f'DROP SCHEMA IF EXISTS "{made.database.prefix}_{name}" CASCADE')


@pytest.fixture
def own(home: Path) -> Iterator[tuple[EmbeddedServer, Settings]]:
    """A server that a test may stop, and settings that lead to it as to any server."""
    server = EmbeddedServer(home / "own", fsync=False)
    yield server, _settings(server, home)
    unbind()
    server.remove()


def _environment() -> dict[str, str]:
    paths = (str(PROJECT), os.environ.get("PYTHONPATH", ""))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def _python(script: str, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    environment = _environment() | options.pop("env", {})
    command = [sys.executable, "-W", "error", "-c", script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, **options)


def _terminate(binding: Binding) -> None:
    """End the session of a binding from outside, as an administrator or a failover does."""
    end_session(binding.settings, session_of(binding))


# --- importing and connecting


def test_importing_and_binding_say_nothing_and_read_no_foreign_configuration(home: Path, tmp_path: Path) -> None:
    (tmp_path / "datajoint.json").write_text('{"database": {"host": "elsewhere", "create_tables": false}}')
    (tmp_path / ".secrets").mkdir()
    (tmp_path / ".secrets" / "database.password").write_text("wrong")
    foreign = {
        "DJ_HOST": "elsewhere",
        "DJ_BACKEND": "mysql",
        "DJ_CREATE_TABLES": "false",
        "DJ_PROVENANCE_CAPTURE": "true",
        "DJ_DATABASE_PREFIX": "x",
        "PGHOST": "elsewhere",
        "PGPASSWORD": "wrong",
        "PGSSLMODE": "verify-full",
    }
    for script in ("import schemas.binding", "from schemas.binding import bind; assert bind().connection.is_connected"):
        done = _python(script, cwd=tmp_path, env=foreign)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not runs(home)


def test_importing_opens_nothing(home: Path) -> None:
    script = "import os; a = os.listdir('/dev/fd'); import schemas.binding; assert os.listdir('/dev/fd') == a, a"
    done = _python(script, cwd=PROJECT)
    assert done.stderr == ""
    assert not home.exists()


def test_the_embedded_database_needs_no_deploying(home: Path) -> None:
    binding = bind()
    assert binding.backend == "postgresql"
    assert bind() is binding
    Department.insert1({"department": "Biology"})
    unbind()
    assert not runs(home)
    bind()
    assert Department.fetch1("department") == "Biology"


def test_processes_that_bind_at_once_for_the_first_time_all_succeed(home: Path) -> None:
    script = """
from schemas.binding import bind
from schemas.people import Department, PersonKind
bind()
Department.insert1({"department": __import__("sys").argv[1]})
assert len(PersonKind()) == 4
"""
    command = [sys.executable, "-W", "error", "-c", script]
    started = [
        subprocess.Popen([*command, str(number)], env=_environment(), stderr=subprocess.PIPE) for number in range(3)
    ]
    assert [process.communicate()[1] for process in started] == [b""] * 3
    assert [process.returncode for process in started] == [0] * 3
    assert not runs(home)
    bind()
    assert sorted(Department.to_arrays("department")) == ["0", "1", "2"]


# --- deploying


def test_using_a_server_makes_no_table(server: EmbeddedServer, fresh: Settings) -> None:
    with pytest.raises(NotDeployed, match="data-platform deploy"):
        bind(fresh)
    schemas = "SELECT count(*) FROM pg_namespace WHERE starts_with(nspname, %s)"
    assert execute(server.home, schemas, fresh.database.prefix) == [(0,)]
    bind(fresh, deploy=True)
    assert execute(server.home, schemas, fresh.database.prefix) == [(3,)]


def test_deploying_twice_changes_nothing_and_completes_what_is_missing(server: EmbeddedServer, fresh: Settings) -> None:
    columns = (
        "SELECT table_schema, table_name, column_name, data_type FROM information_schema.columns "
        "WHERE starts_with(table_schema, %s) ORDER BY 1, 2, 3"
    )
    bind(fresh, deploy=True)
    Department.insert1({"department": "Biology"})
    before = execute(server.home, columns, fresh.database.prefix)
    assert len(before) > 100
    bind(fresh, deploy=True)
    assert execute(server.home, columns, fresh.database.prefix) == before
    assert len(Department()) == 1
    execute(server.home, f'DROP TABLE "{fresh.database.prefix}_sharing".share_edge')
    unbind()
    with pytest.raises(NotDeployed, match=r"lacks 1 tables, as .*share_edge"):
        bind(fresh)
    bind(fresh, deploy=True)
    assert execute(server.home, columns, fresh.database.prefix) == before


def test_tables_of_another_release_are_refused(server: EmbeddedServer, fresh: Settings) -> None:
    bind(fresh, deploy=True)
    unbind()
    execute(server.home, f'ALTER TABLE "{fresh.database.prefix}_people".person DROP COLUMN full_name')
    for deploy in (False, True):
        with pytest.raises(SchemaMismatch, match="person has no full_name"):
            bind(fresh, deploy=deploy)


def test_deploying_waits_for_whoever_deploys(fresh: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    binding = bind(fresh, schemas=())
    with binding._deploying():
        script = """
import sys
from schemas import binding
binding.DEPLOY_SECONDS = 0.1
from data_platform.errors import DatabaseUnavailable
try:
    binding.bind(deploy=True)
except DatabaseUnavailable as error:
    print(error)
"""
        database = fresh.database.model_dump(mode="json") | {"password": fresh.database.password.get_secret_value()}
        names = ("backend", "host", "port", "user", "password", "name", "prefix")
        environment = {f"DATA_PLATFORM_DATABASE__{name.upper()}": str(database[name]) for name in names}
        assert "Another process is deploying" in _python(script, env=environment).stdout
    bind(fresh, deploy=True)


def test_the_tables_of_jobs_are_made_when_deploying(server: EmbeddedServer, fresh: Settings) -> None:
    schema = dj.Schema()

    class Doubled(dj.Computed):
        definition = """
        # Something computed
        -> Department
        ---
        doubled : varchar(255) # its name, twice
        """

    schema(Doubled, context={"Department": Department})
    with pytest.raises(NotDeployed):
        bind(fresh, schemas=(*CORE, ("doubled", schema)))
    try:
        binding = bind(fresh, deploy=True, schemas=(*CORE, ("doubled", schema)))
        assert declared.missing(binding.connection, [(f"{fresh.database.prefix}_doubled", schema)]) == []
        execute(server.home, f'DROP TABLE "{fresh.database.prefix}_doubled"."~~doubled"')
        unbind()
        with pytest.raises(NotDeployed, match="doubled"):
            bind(fresh, schemas=(*CORE, ("doubled", schema)))
    finally:
        unbind()
        execute(server.home, f'DROP SCHEMA IF EXISTS "{fresh.database.prefix}_doubled" CASCADE')


# --- one binding a process


def test_a_process_has_one_database_at_a_time(server: EmbeddedServer, fresh: Settings, home: Path) -> None:
    other = _settings(server, home)
    binding = bind(fresh, deploy=True)
    assert bind(fresh) is binding
    with pytest.raises(SettingsError, match=r"unbind\(\)"):
        bind(other, deploy=True)
    assert bind(fresh) is binding
    assert len(PersonKind()) == 4


def test_the_modules_can_be_bound_elsewhere(server: EmbeddedServer, fresh: Settings, home: Path) -> None:
    documentation = Person.__doc__
    other = _settings(server, home)
    for settings in (fresh, other, fresh, other):
        bind(settings, deploy=True)
        Department.insert1({"department": settings.database.prefix}, skip_duplicates=True)
        assert Department.fetch1("department") == settings.database.prefix
        assert Department.database == f"{settings.database.prefix}_people"
        unbind()
        assert Person.__doc__ == documentation
        with pytest.raises(DatabaseUnavailable, match=r"closed. Call bind\(\)"):
            len(Department())
    for name, _ in CORE:
        execute(server.home, f'DROP SCHEMA "{other.database.prefix}_{name}" CASCADE')


def test_schemas_can_be_added_to_a_binding(fresh: Settings) -> None:
    bind(fresh, deploy=True)
    unbind()
    binding = bind(fresh, schemas=CORE[:1])
    with pytest.raises(DatabaseUnavailable):  # still on the connection of before
        len(Channel())
    assert bind(fresh) is binding
    assert len(Channel()) == 3


def test_a_binding_that_fails_leaves_nothing_half_bound(own: tuple[EmbeddedServer, Settings]) -> None:
    server, settings = own
    prefix = settings.database.prefix
    execute(server.home, f'CREATE SCHEMA "{prefix}_catalogue"')  # in the way: a view where a table should be
    execute(server.home, f'CREATE VIEW "{prefix}_catalogue".file AS SELECT 1 AS x')
    with pytest.raises(DatabaseError, match="file"):
        bind(settings, deploy=True)
    for table in (Person, Channel):
        assert not table.database
        with pytest.raises((dj.DataJointError, AssertionError)):
            table().to_dicts()
    execute(server.home, f'DROP SCHEMA "{prefix}_catalogue" CASCADE')
    bind(settings, deploy=True)
    assert len(Channel()) == 3


def test_a_closed_binding_says_so(fresh: Settings) -> None:
    binding = bind(fresh, deploy=True)
    binding.close()
    binding.close()
    with pytest.raises(DatabaseUnavailable, match=r"bind\(\)"):
        binding.ensure()
    assert bind(fresh) is not binding


def test_a_forked_child_binds_anew_and_leaves_its_parent_alone(fresh: Settings) -> None:
    binding = bind(fresh, deploy=True)
    table = Department()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with pytest.raises(DatabaseUnavailable, match="fork"):
                len(table)
            with pytest.raises(DatabaseUnavailable, match="fork"):
                len(Department())
            binding.close()
            assert bind(fresh) is not binding
            Department.insert1({"department": "child"})
            unbind()
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert Department.fetch1("department") == "child"
    assert bind(fresh) is binding


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
        _terminate(binding)
        Department.insert1({"department": secrets.token_hex(4)})
        assert _session(binding) == before
    assert len(Department()) == 2


def test_whether_a_connection_lives_is_told_truly(binding: Binding) -> None:
    assert binding.connection.is_connected
    _terminate(binding)
    assert not binding.connection.is_connected
    binding.ensure()
    assert binding.connection.is_connected
    assert len(Channel()) == 3


def test_a_connection_lost_in_a_transaction_raises_and_undoes_all(binding: Binding) -> None:
    def work() -> None:
        with binding.transaction():
            Department.insert1({"department": "lost"})
            _terminate(binding)
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
            _terminate(binding)

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
        bind(_settings(server, home, password="canary-7d1f"))
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
