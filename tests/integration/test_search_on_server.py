"""The index that the catalogue's server keeps: who may do what with it, what a killed one leaves, and changing over."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg2
import pytest
from click.testing import CliRunner
from removal_victim import killed_at
from servers.sessions import another_binding, end_session, session_of
from servers.sites import Site, postgresql_site
from servers.sites import hire as give_role
from small_company import NOW, REALM, asking, deliver, hire, path_id
from waiting import wait_until

from data_platform.cli import main
from data_platform.errors import DatabaseError, DatabaseUnavailable, NotDeployed, SearchUnavailable
from data_platform.settings import SearchSettings, Settings, load, settings
from populate.notes.tags import add_tag
from populate.pipeline import bind_all
from populate.roles import deploy_roles
from populate.search import following, server, views
from populate.search.checkup import checkup
from populate.search.describing import Tables, describe
from populate.search.following import advance, check, index_of, rebuild, share
from populate.search.on_server import OnServer
from populate.search.searching import prepare, prepared, search
from populate.search.server_tables import are_there, deploy_index, rendered
from populate.search.tables import Document
from schemas.binding import Binding, unbind

ROLES = ("worker", "dashboard", "reader")
PATHS = [f"/lab/plate {n}.csv" for n in range(7)]


@pytest.fixture
def backend(home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the kind of database, which keeps the index."""
    monkeypatch.setenv("DATA_PLATFORM_SEARCH__ENGINE", "postgresql")
    return "postgresql"


@pytest.fixture
def lab(binding: Binding) -> Binding:
    """Amy read seven plates, and the server has the tables for the index."""
    deploy_index(binding)
    fill(binding)
    return binding


def fill(binding: Binding) -> None:
    hire("amy", "Lab")
    deliver(binding, [("amy", path, "amy", 0) for path in PATHS], batch="first")
    Document.populate()


def found(binding: Binding, text: str) -> int:
    return search(asking(binding, "amy", NOW), text).total


@pytest.mark.slow
def test_whoever_is_killed_at_any_statement_leaves_an_index_that_goes_on(
    lab: Binding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "TOGETHER", 3)
    amy = asking(lab, "amy", NOW)

    killed = 0
    for number in range(1, 200, 2):
        OnServer(lab)._forget()
        code = killed_at(number, lambda: index_of(bind_all(load())))
        assert code in (0, -signal.SIGKILL)
        killed += code != 0
        lab.ensure()
        wait_until(lambda: advance(lab, 60.0))
        assert check(lab) == (len(PATHS), 0)  # nothing twice, nothing by halves
        if not code:
            break
    assert killed > 10
    for number in range(1, 200, 3):
        add_tag(amy, path_id(PATHS[number % 7]), f"tag {number}")
        describe(lab.connection, {path_id(PATHS[number % 7])})
        act = (lambda: index_of(bind_all(load()))) if number % 2 else (lambda: rebuild(bind_all(load())))
        code = killed_at(number, act)
        lab.ensure()
        assert found(lab, "plate") == len(PATHS)  # it answers all the time
        wait_until(lambda number=number: found(lab, f"tag {number}") == 1)
        assert check(lab) == (len(PATHS), 0)
        if not code and number % 2 == 0:
            break
    assert code == 0


def test_whoever_loses_the_session_does_not_go_on_with_what_another_has_begun_anew(
    lab: Binding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OnServer, "portion", 1)
    documents, calls = Tables.documents, list[int]()

    def described(tables: Tables, files: Collection[str]) -> dict[str, views.Document]:
        calls.append(len(calls))
        if len(calls) == 4:
            end_session(lab.settings, session_of(lab))
            with another_binding(lab) as other, OnServer(other)._locked(0.0):
                OnServer(other)._forget()
        return documents(tables, files)

    monkeypatch.setattr(server, "TOGETHER", 1)
    monkeypatch.setattr(Tables, "documents", described)
    with pytest.raises(DatabaseUnavailable, match="may have written the search index"):
        advance(lab, 60.0)
    assert not prepare(asking(lab, "amy", NOW), 0.0)
    assert advance(lab, 60.0)
    assert found(lab, "plate") == len(PATHS)


def test_it_is_made_in_turns_and_says_how_far_it_is(lab: Binding, monkeypatch: pytest.MonkeyPatch) -> None:
    amy = asking(lab, "amy", NOW)
    monkeypatch.setattr(server, "TOGETHER", 1)
    assert not prepare(amy, 0.0)
    assert 0 < prepared(amy) < 1
    with another_binding(lab) as other, OnServer(other)._locked(0.0):
        assert not prepare(amy, 60.0)  # another process is at it
        with pytest.raises(SearchUnavailable, match=r"being made, \d+% so far\. Try again later"):
            search(amy, "plate")
    wait_until(lambda: prepare(amy, 60.0))
    assert prepared(amy) == 1.0
    assert found(lab, "plate") == len(PATHS)


def test_a_service_makes_it_and_follows(lab: Binding, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OnServer, "may_write", False)  # what this process asks is what the service has written
    with pytest.raises(SearchUnavailable):
        found(lab, "plate")
    service = subprocess.Popen([sys.executable, "-m", "data_platform", "search", "--keep"])
    try:
        wait_until(lambda: prepare(asking(lab, "amy", NOW)))
        assert found(lab, "plate") == len(PATHS)
        assert found(lab, "murine") == 0
        add_tag(asking(lab, "amy", NOW), path_id(PATHS[0]), "murine")
        describe(lab.connection, {path_id(PATHS[0])})
        wait_until(lambda: found(lab, "murine") == 1)
        service.terminate()
        assert service.wait(60) == 0
    finally:
        service.kill()
        service.wait()


def test_changing_over_and_back(lab: Binding, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(lab, "plate") == len(PATHS)
    folder = following.folder_of(lab.settings)
    assert not folder.exists()

    with_engine(monkeypatch, lab, "tantivy")
    deploy_index(lab)
    assert not are_there(lab)
    assert found(lab, "plate") == len(PATHS)
    assert (folder / "index").is_dir()

    with_engine(monkeypatch, lab, "postgresql")
    monkeypatch.setenv("DATA_PLATFORM_REALM", REALM)
    monkeypatch.setenv("DATA_PLATFORM_ACCOUNT", "amy")
    settings.cache_clear()
    with pytest.raises(NotDeployed, match=r"data-platform deploy.* with search\.engine = postgresql"):
        found(lab, "plate")
    deploy_index(lab)
    assert "7 files" in CliRunner().invoke(main, ["search", "--rebuild"]).output
    assert not (folder / "index").exists()  # nobody follows it any more
    assert "1. plate 1.csv" in CliRunner().invoke(main, ["search", "plate", "1"]).output
    deploy_index(lab)
    assert found(lab, "plate") == len(PATHS)  # deploying again takes nothing away


def test_an_embedded_database_forgets_an_index_that_nobody_follows(
    running: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binding = bind_all(settings())
    with_engine(monkeypatch, binding, "postgresql")
    assert search(asking(binding, "amy", NOW), "plate").total == 0  # nobody has deployed
    assert are_there(binding)
    with_engine(monkeypatch, binding, "tantivy")
    assert check(binding) == (0, 0)
    assert not are_there(binding)


def test_it_is_searched_where_tantivy_is_not_installed(lab: Binding, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tantivy", None)
    assert found(lab, "plate") == len(PATHS)
    with_engine(monkeypatch, lab, "tantivy")
    with pytest.raises(ImportError):
        found(lab, "plate")


def with_engine(monkeypatch: pytest.MonkeyPatch, binding: Binding, engine: str) -> None:
    monkeypatch.setattr(binding, "settings", engine_of(binding.settings, engine))


def engine_of(chosen: Settings, engine: str = "postgresql") -> Settings:
    return chosen.model_copy(update={"search": SearchSettings(engine=engine)})


def test_an_index_of_another_format_is_made_anew(lab: Binding) -> None:
    assert found(lab, "plate") == len(PATHS)
    lab.connection.query(rendered("UPDATE $view_of_file SET weight = 0, about = '{}'", lab))
    deploy_index(lab)
    assert share(lab) == 1.0  # deploying again changes nothing
    lab.connection.query(rendered("COMMENT ON SCHEMA $schema IS 'data-platform, format 0'", lab))
    with pytest.raises(NotDeployed, match="of this release"):
        found(lab, "plate")
    deploy_index(lab)
    assert share(lab) == 0.0
    assert found(lab, "plate") == len(PATHS)
    assert check(lab) == (len(PATHS), 0)


@pytest.fixture
def site(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server of a company's, and a login of each role."""
    with postgresql_site(tmp_path_factory.mktemp("site")) as made:
        deploy_roles(bind_all(engine_of(made.settings()), deploy=True))
        for role in ROLES:
            give_role(made, role, None)
        fill(bind_all(engine_of(made.settings())))
        yield made
        unbind()


def test_a_schema_of_that_name_that_is_not_ours_is_left_alone(site: Site) -> None:
    schema = f"{site.prefix}_index"
    unbind()
    bind_all(engine_of(site.settings(), "tantivy"), deploy=True)  # ours goes
    site.execute(f"CREATE SCHEMA {schema}", f"CREATE TABLE {schema}.own AS SELECT 1 AS n")
    unbind()
    deploy_roles(bind_all(engine_of(site.settings(), "tantivy"), deploy=True))
    unbind()
    with pytest.raises(DatabaseError, match=rf"{schema} is there.* rename it, or set search\.engine to tantivy"):
        bind_all(engine_of(site.settings()), deploy=True)
    assert site.execute(
        f"SELECT n, has_schema_privilege('{site.prefix}_worker', '{schema}', 'USAGE') FROM {schema}.own"
    ) == [(1, False)]


def as_role(site: Site, role: str) -> Binding:
    unbind()
    return bind_all(engine_of(site.settings(role)))


def test_a_worker_keeps_it_a_dashboard_asks_it_and_a_reader_does_not_see_it(site: Site) -> None:
    dashboard = as_role(site, "dashboard")
    with pytest.raises(SearchUnavailable, match=r"being made, 0% so far.*search --keep"):
        found(dashboard, "plate")
    for refused in (rebuild, check, following.assert_can_keep):
        with pytest.raises(DatabaseError, match="role of a worker"):
            refused(dashboard)

    worker = as_role(site, "worker")
    following.assert_can_keep(worker)
    assert rebuild(worker) == len(PATHS)
    assert check(worker) == (len(PATHS), 0)

    dashboard = as_role(site, "dashboard")
    assert found(dashboard, "plate") == len(PATHS)
    view = f"{site.prefix}_index.view_of_file"
    for role, verb in (("dashboard", "DELETE FROM"), ("reader", "SELECT * FROM"), ("worker", "TRUNCATE")):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            site.execute(f"{verb} {view}", login=role)


def examined(site: Site, role: str, engine: str = "postgresql") -> tuple[str, str, bool]:
    unbind()
    (seen,) = checkup(engine_of(site.settings(role), engine))
    return seen.state, seen.detail, bool(seen.advice)


def test_the_doctor_tells_whether_it_is_there_whole_and_followed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = "postgresql: on the server, whole; "
    assert examined(site, "dashboard") == ("todo", "postgresql: on the server, 0% made so far", True)
    rebuild(as_role(site, "worker"))
    assert examined(site, "dashboard") == ("ok", f"{whole}it follows the tables", False)
    assert examined(site, "reader") == (
        "note",
        "postgresql: on the server; this login may not search (role dashboard)",
        False,
    )
    owner = as_role(site, "owner")
    add_tag(asking(owner, "amy", datetime.now(UTC).replace(tzinfo=None)), path_id(PATHS[0]), "murine")
    describe(owner.connection, {path_id(PATHS[0])})
    assert examined(site, "dashboard") == ("ok", f"{whole}1 changes wait", False)
    monkeypatch.setattr("populate.search.checkup.LATE", timedelta(0))
    assert examined(site, "dashboard") == ("todo", f"{whole}1 changes wait, the oldest for 0 minutes", True)
    index_of(as_role(site, "worker"))
    assert examined(site, "dashboard") == ("ok", f"{whole}it follows the tables", False)

    site.execute(f"COMMENT ON SCHEMA {site.prefix}_index IS 'data-platform, format 0'")
    assert examined(site, "worker") == (
        "todo",
        "postgresql: the server has no tables for the index of this release",
        True,
    )

    # On this machine it is looked at only where somebody has searched.
    assert examined(site, "reader", "tantivy")[0] == "ok"
    unbind()
    with_tantivy = bind_all(engine_of(site.settings("dashboard"), "tantivy"))
    assert found(with_tantivy, "plate") == len(PATHS)
    assert examined(site, "dashboard", "tantivy")[1] == "tantivy: on this machine, whole; it follows the tables"


def test_what_is_new_is_found_by_a_dashboard_once_a_worker_has_followed(site: Site) -> None:
    rebuild(as_role(site, "worker"))
    owner = as_role(site, "owner")
    add_tag(asking(owner, "amy", datetime.now(UTC).replace(tzinfo=None)), path_id(PATHS[0]), "murine")
    describe(owner.connection, {path_id(PATHS[0])})
    assert found(as_role(site, "dashboard"), "murine") == 0
    index_of(as_role(site, "worker"))
    assert found(as_role(site, "dashboard"), "murine") == 1

    # Deploying again takes no right and no row away.
    unbind()
    deploy_roles(bind_all(engine_of(site.settings()), deploy=True))
    assert found(as_role(site, "dashboard"), "murine") == 1
    assert check(as_role(site, "worker")) == (len(PATHS), 0)
