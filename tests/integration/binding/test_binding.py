"""The binding of a process to its database: made, used and undone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from bindings import environment, python, settings_of
from server_users import PROJECT, execute, runs

from data_platform.errors import DatabaseError, DatabaseUnavailable, NotDeployed, SchemaMismatch, SettingsError
from data_platform.settings import Settings
from schemas import declared
from schemas.binding import CORE, bind, unbind
from schemas.embedded import EmbeddedServer
from schemas.engine import dj
from schemas.people import Department, Person, PersonKind
from schemas.sharing import Channel

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
        done = python(script, cwd=tmp_path, env=foreign)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not runs(home)


def test_importing_opens_nothing(home: Path) -> None:
    script = "import os; a = os.listdir('/dev/fd'); import schemas.binding; assert os.listdir('/dev/fd') == a, a"
    done = python(script, cwd=PROJECT)
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
        subprocess.Popen([*command, str(number)], env=environment(), stderr=subprocess.PIPE) for number in range(3)
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
        assert "Another process is deploying" in python(script, env=environment).stdout
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
    other = settings_of(server, home)
    binding = bind(fresh, deploy=True)
    assert bind(fresh) is binding
    with pytest.raises(SettingsError, match=r"unbind\(\)"):
        bind(other, deploy=True)
    assert bind(fresh) is binding
    assert len(PersonKind()) == 4


def test_the_modules_can_be_bound_elsewhere(server: EmbeddedServer, fresh: Settings, home: Path) -> None:
    documentation = Person.__doc__
    other = settings_of(server, home)
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
