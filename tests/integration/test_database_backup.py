"""The commands of docs/how-to/back-up-the-database.md, as they stand there: what was dumped is what is restored."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from deliveries import hand_in, item, read, read_file, sha256
from servers.mysql import client
from servers.sessions import another_session

from data_platform import face
from data_platform.errors import DatabaseOutdated
from data_platform.settings import settings
from populate.backup.tables import Placement
from populate.pipeline import SCHEMAS, bind_all
from populate.retention.retaining import retain
from populate.store import open_store
from populate.work.worker import run_worker
from schemas import declared, installation
from schemas.binding import Binding, unbind

pytestmark = pytest.mark.timeout(1800)  # the client may have to be fetched, on a very busy machine
PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "back-up-the-database.md"
HEADINGS = {"postgresql": "## PostgreSQL", "mysql": "## MySQL"}


def commands(backend: str) -> tuple[str, str]:
    """Return what the page has for a backup and for its restoration."""
    section = PAGE.read_text(encoding="utf-8").split(HEADINGS[backend])[1].split("\n## ")[0]
    blocks = re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    return blocks[0], blocks[1]


def programs(backend: str, folder: Path) -> None:
    """Put the client's programs into a folder for PATH."""
    found = installation.find()
    for name in ("mysql", "mysqldump") if backend == "mysql" else ("pg_dump", "pg_restore"):
        command = client(name) if backend == "mysql" else [found.program(name)]
        (folder / name).write_text(f'#!/bin/sh\nexec {shlex.join(map(str, command))} "$@"\n')
        (folder / name).chmod(0o755)


def account(backend: str, folder: Path) -> dict[str, str]:
    """Return the environment by which the clients know server and login, as the page says."""
    database = settings().database
    password = database.password.get_secret_value()
    if backend == "postgresql":
        (folder / ".pgpass").write_text(f"*:*:*:{database.user}:{password}\n")
        (folder / ".pgpass").chmod(0o600)
        return {
            "PGHOST": database.host,
            "PGPORT": str(database.port),
            "PGUSER": database.user,
            "PGDATABASE": database.name,
            "PGPASSFILE": str(folder / ".pgpass"),
        }
    lines = (f"host={database.host}", f"port={database.port}", f"user={database.user}", f"password={password}")
    (folder / ".my.cnf").write_text("\n".join(("[client]", *lines, "")))
    return {}


def carry_out(script: str, prefix: str, folder: Path, environment: dict[str, str]) -> None:
    script = script.replace(r"data\_platform", prefix).replace("data_platform", prefix)
    variables = {"PATH": f"{folder}:{os.environ['PATH']}", "HOME": str(folder), **environment}
    done = subprocess.run(
        ["sh", "-euc", script], cwd=folder, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def rows(binding: Binding) -> dict[str, list[tuple[Any, ...]]]:
    """Return all that the tables hold, those of the jobs included."""
    quote = binding.connection.adapter.quote_identifier
    names = [f"{binding.settings.database.prefix}_{name}" for name, _ in SCHEMAS]
    found = {}
    for schema, table in declared._columns(binding.connection, names):
        everything = binding.connection.query(f"SELECT * FROM {quote(schema)}.{quote(table)}").fetchall()
        found[f"{schema}.{table}"] = sorted(everything, key=repr)
    return found


def drop_all(backend: str, names: list[str]) -> None:
    statement = 'DROP SCHEMA "{}" CASCADE' if backend == "postgresql" else "DROP DATABASE `{}`"
    with closing(another_session(settings())) as connection, connection.cursor() as cursor:
        if backend == "mysql":
            cursor.execute("SET foreign_key_checks = 0")
        for name in names:
            cursor.execute(statement.format(name))


def test_what_was_dumped_comes_back(binding: Binding, backend: str, tmp_path: Path) -> None:
    hand_in(binding, [read(item("/Zoë's \\ 'plates'.csv"), data=b"a"), read(item("/b.csv"), data=b"b")])
    assert run_worker(settings(), once=True).failed_jobs == 0
    before = rows(binding)
    assert len(before[f"{settings().database.prefix}_catalogue.blob"]) == 2
    dump, restore = commands(backend)
    programs(backend, tmp_path)
    login = account(backend, tmp_path)
    carry_out(dump, settings().database.prefix, tmp_path, login)
    unbind()
    drop_all(backend, [f"{settings().database.prefix}_{name}" for name, _ in SCHEMAS])
    carry_out(restore, settings().database.prefix, tmp_path, login)
    assert rows(bind_all()) == before


def test_a_hold_of_after_the_dump_is_not_forgotten(
    binding: Binding, backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA_PLATFORM_STORE__URL", str(settings().home / "store"))
    settings.cache_clear()
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(name.encode())
    hand_in(binding, [read_file(tmp_path / name) for name in ("a", "b")])
    assert run_worker(settings(), once=True).failed_jobs == 0
    assert len(Placement()) == 2
    face.add_rule("days", 1)
    dump, restore = commands(backend)
    programs(backend, tmp_path)
    login = account(backend, tmp_path)
    carry_out(dump, settings().database.prefix, tmp_path, login)
    held = face.hold("case 17", sha256=sha256(b"a"))
    unbind()
    drop_all(backend, [f"{settings().database.prefix}_{name}" for name, _ in SCHEMAS])
    carry_out(restore, settings().database.prefix, tmp_path, login)
    store, later = open_store(settings()), datetime.now(UTC).replace(tzinfo=None) + timedelta(days=100)
    with pytest.raises(DatabaseOutdated, match="rebuild"):
        retain(bind_all(), store, settings(), now=later)
    assert len(face.rebuild().decisions) == 1
    assert face.retention().holds == [held]
    for days in (0, 100):
        retain(bind_all(), store, settings(), now=later + timedelta(days=days))
    assert set(Placement.to_arrays("sha256").tolist()) == {sha256(b"a")}


@pytest.mark.parametrize("backend", ["postgresql", "mysql"])
def test_the_page_has_both_commands(backend: str) -> None:
    dump, restore = commands(backend)
    assert "catalogue." in dump
    assert "catalogue." in restore
