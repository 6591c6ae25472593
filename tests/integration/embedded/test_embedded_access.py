"""Who may use the embedded server, what it leaves alone, and how its data are deleted."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from server_users import (
    PROJECT,
    ROOT,
    data,
    execute,
    has_ended,
    postmaster_of,
    runs,
    started,
    until,
)

from data_platform.errors import DatabaseUnavailable
from schemas import installation, postmaster
from schemas.embedded import EmbeddedServer

# --- who may, and what is left alone


def test_no_other_user_can_connect(server: EmbeddedServer) -> None:
    found = server.start()
    socket = Path(found.host) / f".s.PGSQL.{found.port}"
    password = server.home / "postgres.password"
    for path, mode in ((data(server.home), 0o700), (socket, 0o700), (password, 0o600)):
        assert stat.S_IMODE(path.stat().st_mode) == mode
    assert socket.stat().st_uid == data(server.home).stat().st_uid != 0
    assert password.stat().st_uid == os.geteuid()
    if ROOT:
        psql = installation.find().program("psql")
        for account in (installation.ACCOUNT, "nobody"):
            done = subprocess.run(
                [psql, "--host", found.host, "--username", found.user, "--command", "SELECT 1", found.database],
                env={"PGPASSWORD": found.password},
                user=account,
                extra_groups=[],
                capture_output=True,
                text=True,
                check=False,
                cwd="/",
            )
            assert ("Permission denied" in done.stderr) == (account == "nobody"), done.stderr


def test_the_way_to_the_socket_alone_does_not_open_the_database(server: EmbeddedServer) -> None:
    found = server.start()
    for user, password in (
        ("data_platform", ""),
        ("data_platform", "x"),
        ("postgres", ""),
        ("postgres", found.password),
    ):
        with pytest.raises(psycopg2.OperationalError, match=r"password|no pg_hba\.conf entry"):
            psycopg2.connect(**found._replace(user=user, password=password).arguments())
    psycopg2.connect(**found.arguments()).close()


def test_what_gets_into_the_database_does_not_get_out_of_it(server: EmbeddedServer) -> None:
    for statement in (
        "COPY (SELECT 1) TO PROGRAM 'id'",
        "COPY (SELECT 1) TO '/tmp/data-platform-was-here'",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT lo_import('/etc/passwd')",
        "SELECT * FROM pg_authid",
        "ALTER ROLE data_platform SUPERUSER",
        "CREATE ROLE another",
        "CREATE FUNCTION f() RETURNS int LANGUAGE c AS '/tmp/x'",
        "ALTER SYSTEM SET fsync = off",
    ):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            execute(server.home, statement)


def test_no_permission_of_the_home_or_above_changes(tmp_path: Path) -> None:
    private = tmp_path / "private"
    home = private / "home"
    home.mkdir(parents=True)
    for folder in (private, home):
        folder.chmod(0o700)
    above = [home, *home.parents]
    before = [(folder.stat().st_mode, folder.stat().st_uid) for folder in above]
    server = EmbeddedServer(home, fsync=False)
    try:
        server.start()
        assert execute(home, "SELECT 1") == [(1,)]
        assert [(folder.stat().st_mode, folder.stat().st_uid) for folder in above] == before
        server.leave()
        assert [(folder.stat().st_mode, folder.stat().st_uid) for folder in above] == before
    finally:
        server.remove()
    assert [(folder.stat().st_mode, folder.stat().st_uid) for folder in above] == before


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs Linux's /proc")
def test_the_server_holds_nothing_of_the_process_that_started_it(home: Path) -> None:
    with started(home) as user:
        server = Path("/proc", str(postmaster_of(home).pid))
        held = {str(descriptor.readlink()) for descriptor in (server / "fd").iterdir()}
        ours = {str(descriptor.readlink()) for descriptor in Path("/proc", str(user.process.pid), "fd").iterdir()}
        assert str((server / "fd" / "0").readlink()) == "/dev/null"
        assert held & ours <= {"/dev/null"}
        assert str(data(home) / "server.lock") in held
        environment = (server / "environ").read_bytes()
        assert b"DATA_PLATFORM" not in environment
        assert b"HOME=" not in environment


def test_the_settings_of_the_server(server: EmbeddedServer) -> None:
    expected = {
        "listen_addresses": "",
        "unix_socket_permissions": "0700",
        "TimeZone": "UTC",
        "work_mem": "64MB",
        "max_connections": "100",
        "data_checksums": "on",
        "server_encoding": "UTF8",
        "fsync": "off",
    }
    found = {name: execute(server.home, "SELECT current_setting(%s)", name)[0][0] for name in expected}
    assert found == expected


def test_a_crash_proof_server_is_the_default(home: Path) -> None:
    server = EmbeddedServer(home)
    try:
        server.start()
        for name in ("fsync", "full_page_writes", "synchronous_commit"):
            assert execute(home, "SELECT current_setting(%s)", name) == [("on",)]
    finally:
        server.leave()


ODD = ("a b'c\"d$(touch x)`touch y`;e\\f,g%s&", "ünïcode", "l" * 120)


@pytest.mark.parametrize("name", ODD)
def test_a_home_may_have_any_name(tmp_path: Path, name: str) -> None:
    home = tmp_path / name
    server = EmbeddedServer(home, fsync=False)
    try:
        found = server.start()
        assert execute(home, "SELECT 1") == [(1,)]
        assert len(os.fsencode(found.host)) < 90
        folder = Path(found.host)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert server.leave() is True
        assert folder == data(home) or not folder.exists()
    finally:
        server.remove()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_socket_folder_of_a_crashed_server_is_cleared_away(tmp_path: Path) -> None:
    home = tmp_path / "with space"
    server = EmbeddedServer(home, fsync=False)
    try:
        first = Path(server.start().host)
        killed = postmaster_of(home)
        killed.kill()
        until(lambda: has_ended(killed) and not runs(home))
        second = Path(server.start().host)
        assert first == second == data(home) or not first.exists()
    finally:
        server.remove()
    assert not second.exists()


def test_the_log_does_not_grow_for_ever(embedded: EmbeddedServer, home: Path) -> None:
    embedded.start()
    log = data(home) / "server.log"
    with pytest.raises(psycopg2.errors.UndefinedTable):
        execute(home, "SELECT 'secret' FROM nowhere")
    assert "secret" not in log.read_text()
    embedded.leave()
    with log.open("a") as file:
        file.write("x" * (2 * 1024 * 1024))
    embedded.start()
    assert log.stat().st_size < 1024 * 1024


# --- deleting


def test_a_database_in_use_is_not_deleted(embedded: EmbeddedServer, home: Path) -> None:
    embedded.start()
    with started(home) as other:
        with pytest.raises(DatabaseUnavailable, match="in use"):
            embedded.remove()
        assert execute(home, "SELECT 1") == [(1,)]
        assert other.end() == 0
    where = data(home)
    embedded.remove()
    assert not where.exists()
    assert not os.path.lexists(home / "postgres")


def test_deleting_what_a_deleted_home_left_behind(embedded: EmbeddedServer, home: Path) -> None:
    embedded.start()
    where = data(home)
    shutil.rmtree(home)
    assert where.exists() == ROOT
    embedded.remove()
    assert not where.exists()
    assert not home.exists()


def test_deleting_what_is_not_there(home: Path) -> None:
    EmbeddedServer(home).remove()
    assert not home.exists()


# --- the other kind of user


@pytest.mark.skipif(not ROOT, reason="as root only: others run the programs where the wheel has them")
def test_programs_that_only_root_can_read_are_copied_and_left_as_they_are(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, wheel = max(installation._releases().items())
    private = tmp_path / "root" / "venv"
    for folder in (wheel, wheel.parent.with_name(f"{installation.WHEEL}.libs")):
        if folder.is_dir():
            shutil.copytree(folder, private / folder.relative_to(wheel.parent.parent), symlinks=True)
    private.parent.chmod(0o700)
    (private / installation.WHEEL / wheel.name / "bin" / "postgres").chmod(0o700)
    place = Path(tempfile.mkdtemp(prefix="dp-"))
    place.chmod(0o755)
    monkeypatch.setattr(installation, "ROOT_PLACE", place)
    monkeypatch.setattr(installation, "_releases", lambda: {release: private / installation.WHEEL / wheel.name})
    modes = {path: path.lstat().st_mode for path in (tmp_path, private.parent, *private.rglob("*"))}
    server = EmbeddedServer(home, fsync=False)
    try:
        server.start()
        assert execute(home, "SELECT 1") == [(1,)]
        assert str(place) in postmaster_of(home).exe()
        assert {path: path.lstat().st_mode for path in modes} == modes
        server.leave()
        copies = sorted(place.iterdir())
        server.start()
        assert sorted(place.iterdir()) == copies
    finally:
        server.remove()
        shutil.rmtree(place)


def _python_for_others() -> dict[str, Any]:
    """Return how a process of another user can run this checkout."""
    packages = [str(PROJECT), *(path for path in sys.path if path.endswith("site-packages"))]
    for python in (sys.executable, "/usr/bin/python3"):
        options: dict[str, Any] = {
            "user": "nobody",
            "group": "nogroup",
            "extra_groups": (),
            "env": {"PYTHONPATH": ":".join(packages)},
        }
        try:
            subprocess.run([python, "-c", "import schemas.embedded, psycopg2"], cwd=PROJECT, check=True, **options)
        except (OSError, KeyError, subprocess.CalledProcessError):
            continue
        return {"python": python, **options}
    pytest.skip("other users cannot run this checkout; put it and its Python where they can read them")


@pytest.mark.skipif(not ROOT, reason="as root only: a normal user runs all other tests as one")
def test_a_normal_user_works_beside_root() -> None:
    folder = Path(tempfile.mkdtemp(prefix="dp-"))
    try:
        options = _python_for_others()
        shutil.chown(folder, "nobody")
        home = folder / "home"
        with started(home, **options) as first, started(home, **options) as second:
            assert (home / "postgres").owner() == "nobody"
            with pytest.raises(DatabaseUnavailable, match="Work as that user"):
                EmbeddedServer(home).start()
            assert first.end() == 0
            assert postmaster.is_alive(home / "postgres")
            assert second.end() == 0
        assert not postmaster.is_alive(home / "postgres")
    finally:
        shutil.rmtree(folder)
