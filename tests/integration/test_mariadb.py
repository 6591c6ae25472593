"""The platform on MariaDB: no more than a smoke test, as DataJoint does not support it officially."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers.mariadb import MariaDBMissing, mariadb_server
from servers.mysql import MySQLServer

from data_platform import face
from data_platform.errors import DatabaseError
from data_platform.settings import settings
from schemas.binding import unbind

pytestmark = [
    pytest.mark.filterwarnings("ignore:MariaDB is not officially supported:UserWarning"),  # DataJoint's own
    pytest.mark.timeout(1800),  # it may have to be fetched, on a very busy machine
]
FIRST, SECOND = b"well,signal\n", b"WELL,SIGNAL\n"


@pytest.fixture(scope="module")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MySQLServer]:
    try:
        with mariadb_server(tmp_path_factory.mktemp("mariadb")) as server:
            yield server
    except MariaDBMissing as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture
def configured(mariadb: MySQLServer, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the settings lead to an owner's login on the server."""
    mariadb.execute(
        "CREATE OR REPLACE USER owner IDENTIFIED BY 'secret'", r"GRANT ALL ON `data\_platform\_%`.* TO owner"
    )
    values = {"BACKEND": "mysql", "PORT": str(mariadb.port), "USER": "owner", "PASSWORD": "secret"}
    with monkeypatch.context() as patch:
        for name, value in values.items():
            patch.setenv(f"DATA_PLATFORM_DATABASE__{name}", value)
        settings.cache_clear()
        yield
        unbind()
    settings.cache_clear()


def test_reads_are_catalogued_backed_up_and_restored(configured: None, tmp_path: Path) -> None:
    from populate.pipeline import bind_all

    face.deploy()
    shares = tmp_path / "shares"
    shares.mkdir()
    for name, content in (("Plate.csv", FIRST), ("plate.csv", SECOND)):  # two names, which MariaDB's usual text is not
        (shares / name).write_bytes(content)
        face.read(shares / name)
    face.flush()
    assert face.worker(once=True) == 0
    counts = face.status()
    assert (counts["files"], counts["blobs"], counts["accesses"], counts["backups_failed"]) == (2, 2, 2, 0)
    for sha256 in bind_all().connection.query("SELECT sha256 FROM data_platform_catalogue.`blob`").fetchall():
        assert face.restore(*sha256, tmp_path / "back").read_bytes() in (FIRST, SECOND)
        (tmp_path / "back").unlink()


def test_roles_are_left_to_the_administrator(configured: None) -> None:
    """MariaDB has no REVOKE IF EXISTS, without which grants that somebody added could not be taken away."""
    from populate.pipeline import bind_all
    from populate.roles import deploy_roles

    with pytest.raises(DatabaseError, match="data-platform deploy --no-roles"):
        deploy_roles(bind_all(deploy=True))
