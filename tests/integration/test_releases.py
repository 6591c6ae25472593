"""Data made by an earlier release open in this one, and those of a later one are left alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from deliveries import hand_in, item, read
from servers.mysql import MySQLServer
from servers.sites import Site, mysql_site, postgresql_site

from data_platform.errors import NotDeployed, SchemaMismatch
from data_platform.settings import load
from populate import releases
from populate.ingest import Ingest
from populate.pipeline import SCHEMAS, bind_all
from populate.releases import STEPS, Release
from schemas.binding import Binding, bind, unbind
from schemas.catalogue import File
from schemas.people import Department
from schemas.sharing import Access

NEW_IN_ACCESS = ("account_name", "owner_name", "source_hash")
HELD = len(STEPS)  # version of this release's tables


@pytest.fixture(params=["postgresql", "mysql"])
def site(request: pytest.FixtureRequest, tmp_path: Path, home: Path) -> Iterator[Site]:
    """A server that nothing is deployed on."""
    mysql: MySQLServer | None = request.getfixturevalue("mysql") if request.param == "mysql" else None
    with mysql_site(mysql, tmp_path) if mysql else postgresql_site(tmp_path) as made:
        yield made
        unbind()


def led_by(site: Site, schema: str, table: str, *columns: str) -> list[str]:
    """Return the indexes that begin with some columns of a table."""
    if site.backend == "mysql":
        found = site.execute(
            "SELECT index_name, GROUP_CONCAT(column_name ORDER BY seq_in_index) FROM information_schema.statistics"
            f" WHERE table_schema = '{site.prefix}_{schema}' AND table_name = '{table}' GROUP BY index_name"
        )
        return [str(name) for name, of in found if str(of).startswith(",".join(columns))]
    found = site.execute(
        "SELECT schemaname || '.' || indexname FROM pg_indexes"
        f" WHERE schemaname = '{site.prefix}_{schema}' AND tablename = '{table}'"
        f" AND indexdef LIKE '%({', '.join(columns)})'"
    )
    return [str(name) for (name,) in found]


def added(site: Site) -> dict[str, list[str]]:
    """Return the indexes that came with a step, by the table they are of."""
    return {
        "sharing.access": led_by(site, "sharing", "access", "accessed_at"),
        "backup.placement": led_by(site, "backup", "placement", "store_id", "object_name"),
    }


def by_start(site: Site) -> list[str]:
    """Return the indexes by which files are found from how their names start."""
    index, schema = "file_name_file_name_start", f"{site.prefix}_catalogue"
    if site.backend == "mysql":
        found = site.execute(
            "SELECT DISTINCT index_name FROM information_schema.statistics"
            f" WHERE table_schema = '{schema}' AND index_name = '{index}'"
        )
    else:
        found = site.execute(
            f"SELECT indexname FROM pg_indexes WHERE schemaname = '{schema}' AND indexname = '{index}'"
        )
    return [str(name) for (name,) in found]


def make_version_0(site: Site) -> None:
    """Make what the code of before the first version made: the same tables, without versions and collation.

    No index finds the latest accesses, names by their start, or what an object holds. There is no release
    yet that could be recorded. From the first one on, a dump of its tables takes the place of this function.
    """
    binding = bind_all(site.settings(), deploy=True)
    hand_in(binding, [read(item(f"/{name}.csv"), data=name.encode()) for name in ("a", "B")])
    Ingest.populate()
    Department.insert1({"department": "Biology"})
    unbind()
    for column in NEW_IN_ACCESS:
        site.execute(f"ALTER TABLE {site.prefix}_sharing.access DROP COLUMN {column}")
    if site.backend == "mysql":  # which would not take away the only index of a foreign key
        site.execute(f"ALTER TABLE {site.prefix}_backup.placement ADD INDEX (store_id)")
    for table, names in added(site).items():
        on = "" if site.backend == "postgresql" else f" ON {site.prefix}_{table}"
        site.execute(*(f"DROP INDEX {name}{on}" for name in names))
    for name in by_start(site):
        if site.backend == "postgresql":
            site.execute(f"DROP INDEX {site.prefix}_catalogue.{name}")
        else:
            site.execute(f"DROP INDEX {name} ON {site.prefix}_catalogue.file_name")
    if site.backend == "postgresql":
        site.execute(f"DROP SCHEMA {site.prefix}_releases CASCADE")
        return
    site.execute(f"DROP DATABASE {site.prefix}_releases")
    schemas = tuple(f"{site.prefix}_{name}" for name, _ in SCHEMAS if name != "releases")
    tables = site.execute(
        f"SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema IN {schemas}"
    )
    convert = "CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci"
    site.execute("SET foreign_key_checks = 0", *(f"ALTER TABLE `{s}`.`{t}` {convert}" for s, t in tables))
    site.execute(*(f"ALTER DATABASE `{schema}` COLLATE utf8mb4_0900_ai_ci" for schema in schemas))


def test_the_data_of_the_release_before_the_first_version_still_open(site: Site) -> None:
    make_version_0(site)
    with pytest.raises(NotDeployed, match="data-platform deploy"):
        bind_all(site.settings())
    unbind()
    for _ in range(2):
        bind_all(site.settings(), deploy=True)
        assert sorted(Release.to_arrays("schema_version")) == list(range(1, HELD + 1))
        assert sorted(File.to_arrays("item_id")) == ["/B.csv", "/a.csv"]
        assert len(Access()) == 2
        unbind()
        assert len(by_start(site)) == 1
        assert [len(names) for names in added(site).values()] == [1, 1]
    bind_all(site.settings())
    assert set(Access.to_arrays(*NEW_IN_ACCESS)[0]) == {""}
    unbind()
    binding = bind_all(site.settings())
    Department.insert1({"department": "biology"})  # another text now, on MySQL too
    hand_in(binding, [read(item("/c.csv"))])
    Ingest.populate()
    assert len(File()) == 3


def test_what_a_newer_release_has_changed_is_left_alone(site: Site) -> None:
    bind_all(site.settings(), deploy=True)
    newer = {"schema_version": len(STEPS) + 1, "applied_at": "2030-01-01", "package_version": "7.1.0"}
    Release.insert1(newer)
    unbind()
    for deploy in (False, True):
        with pytest.raises(SchemaMismatch, match=r"Install release 7\.1\.0 or newer"):
            bind_all(site.settings(), deploy=deploy)
    with pytest.raises(Exception, match=r"bind\(\)"):  # nothing is left half bound
        len(Department())


def test_steps_are_taken_in_their_order_and_each_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    bind_all(site.settings(), deploy=True)
    unbind()
    taken: list[str] = []

    def fail(binding: Binding, names: list[str]) -> None:
        taken.append("third")
        Release.insert1({"schema_version": 99, "applied_at": "2030-01-01", "package_version": "x"})
        raise RuntimeError("cut short")

    monkeypatch.setattr(releases, "STEPS", (*STEPS, lambda b, n: taken.append("second"), fail))
    with pytest.raises(SchemaMismatch, match=f"version {HELD} and this release needs {HELD + 2}"):
        bind_all(site.settings())
    with pytest.raises(RuntimeError, match="cut short"):
        bind_all(site.settings(), deploy=True)
    monkeypatch.setattr(releases, "STEPS", (*STEPS, fail, lambda b, n: taken.append("third again")))
    bind_all(site.settings(), deploy=True)
    assert taken == ["second", "third", "third again"]
    assert sorted(Release.to_arrays("schema_version")) == [HELD, HELD + 1, HELD + 2]


def test_the_embedded_database_brings_itself_up_to_date(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bind(load())  # as readers do, who come before the first worker
    unbind()
    bind_all(load())
    assert max(Release.to_arrays("schema_version")) == HELD
    unbind()
    taken: list[int] = []
    monkeypatch.setattr(releases, "STEPS", (*STEPS, lambda b, n: taken.append(2)))
    bind_all(load())
    assert taken == [2]
    assert max(Release.to_arrays("schema_version")) == HELD + 1
