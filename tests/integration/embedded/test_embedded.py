"""The embedded server under the hands of several processes, some of which come to a bad end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import psutil
import psycopg2
import pytest
from server_users import (
    PATIENCE_SECONDS,
    ROOT,
    User,
    address,
    data,
    execute,
    has_ended,
    postmaster_of,
    runs,
    started,
    until,
)

from data_platform.errors import DatabaseUnavailable
from schemas import cluster, installation
from schemas.embedded import EmbeddedServer, launched, server_of
from schemas.locks import is_locked

# --- sharing


def test_the_last_of_several_processes_stops_the_server(home: Path) -> None:
    with started(home) as first:
        running = postmaster_of(home)
        with started(home) as second, started(home) as third:
            assert postmaster_of(home) == running
            assert first.end() == 0
            assert execute(home, "SELECT 1") == [(1,)]
            assert third.end() == 0
            assert execute(home, "SELECT 1") == [(1,)]
            assert second.end() == 0
    assert not runs(home)
    assert has_ended(running)


def test_processes_that_come_at_once_make_and_start_one_server(home: Path) -> None:
    users = [User(home) for _ in range(4)]
    try:
        assert {user.word() for user in users} == {address(home).host}
        assert len([p for p in home.iterdir() if p.name.startswith("postgres.new")]) == 0
        assert execute(home, "SELECT 1") == [(1,)]
        assert {user.end() for user in users} == {0}
    finally:
        for user in users:
            user.__exit__()
    assert not runs(home)


def test_coming_and_going_at_once_never_stops_a_server_under_anybody(home: Path) -> None:
    with started(home):
        running = postmaster_of(home)
        users = [User(home) for _ in range(4)]
        try:
            for user in users:
                assert user.word()
                user.do("leave")
                user.do("start")
            assert {user.end() for user in users} == {0}
        finally:
            for user in users:
                user.__exit__()
        assert postmaster_of(home) == running


def test_a_server_that_was_launched_is_the_one_that_is_used(embedded: EmbeddedServer, home: Path) -> None:
    embedded.start()
    embedded.leave()
    with launched(home), launched(home):
        server = server_of(home)
        assert server_of(home) is not server
    try:
        assert server.start().host == str(data(home))
        assert runs(home)
    finally:
        assert server.leave()
    assert not runs(home)


def test_a_server_that_was_launched_in_vain_does_not_stay(embedded: EmbeddedServer, home: Path) -> None:
    embedded.start()
    embedded.leave()
    for _ in range(5):
        with pytest.raises(ZeroDivisionError), launched(home):
            1 / 0  # noqa: B018
        assert not runs(home)


def test_nothing_is_launched_where_this_process_uses_the_server_already(embedded: EmbeddedServer, home: Path) -> None:
    embedded.start()
    with launched(home):
        assert server_of(home).leave() is False
    assert embedded.leave()  # as its only user
    assert not runs(home)


def test_nothing_is_launched_where_there_is_no_database(home: Path) -> None:
    with launched(home):
        assert not (home / "postgres").exists()
        assert not (home / "postgres.users").exists()


def test_leaving_and_starting_again_in_one_process(embedded: EmbeddedServer, home: Path) -> None:
    assert embedded.leave() is False
    embedded.start()
    first = postmaster_of(home)
    assert embedded.start() == embedded.start()
    assert embedded.leave() is True
    assert embedded.leave() is False
    assert has_ended(first)
    embedded.start()
    assert postmaster_of(home) != first


def test_a_forked_child_stops_nothing(home: Path) -> None:
    script = """
import os, sys
from pathlib import Path
from schemas.embedded import EmbeddedServer

home = Path(sys.argv[1])
server = EmbeddedServer(home, fsync=False)
print(server.start().host, flush=True)
if os.fork() == 0:
    sys.exit(0)  # with all handlers that its parent registered
os.wait()
print("idle child ended", flush=True)
if os.fork() == 0:
    server.start()
    sys.exit(0)
os.wait()
print("child that used the server ended", flush=True)
sys.stdin.readline()
"""
    with started(home, script=script) as parent:
        for told in ("idle child ended", "child that used the server ended"):
            assert parent.word() == told
            assert execute(home, "SELECT 1") == [(1,)]
        assert parent.end() == 0
    assert not runs(home)


def test_a_forked_child_that_uses_the_server_keeps_it_when_its_parent_leaves(home: Path) -> None:
    script = """
import os, sys
from pathlib import Path
from schemas.embedded import EmbeddedServer

server = EmbeddedServer(Path(sys.argv[1]), fsync=False)
server.start()
ready, tell = os.pipe()
if os.fork() == 0:
    print(server.start().host, flush=True)
    os.write(tell, b"x")
    sys.stdin.readline()
    sys.exit(0)
os.read(ready, 1)
server.leave()
print("parent left", flush=True)
os.wait()
"""
    with started(home, script=script) as family:
        assert family.word() == "parent left"
        assert execute(home, "SELECT 1") == [(1,)]
        assert family.end() == 0
    assert not runs(home)


def test_ctrl_c_in_a_terminal_does_not_reach_the_server(home: Path) -> None:
    with started(home) as first, started(home) as second:
        running = postmaster_of(home)
        os.killpg(first.process.pid, signal.SIGINT)
        assert first.process.wait(PATIENCE_SECONDS) == -signal.SIGINT
        assert postmaster_of(home) == running
        assert execute(home, "SELECT 1") == [(1,)]
        assert second.end() == 0
    assert not runs(home)


# --- bad ends


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda number: number.name)
def test_the_server_of_a_killed_process_is_adopted(home: Path, number: int) -> None:
    with started(home) as first:
        running = postmaster_of(home)
        first.kill(number)
    assert runs(home)
    with started(home) as second:
        assert postmaster_of(home) == running
        assert second.end() == 0
    assert not runs(home)


def test_a_killed_server_recovers_with_all_that_was_committed(embedded: EmbeddedServer, home: Path) -> None:
    embedded.start()
    execute(home, "CREATE TABLE kept (n int)")
    execute(home, "INSERT INTO kept SELECT generate_series(1, 1000)")
    killed = postmaster_of(home)
    killed.kill()
    until(lambda: has_ended(killed))
    with pytest.raises(psycopg2.OperationalError):
        execute(home, "SELECT 1")
    embedded.start()
    assert postmaster_of(home) != killed
    assert execute(home, "SELECT count(*) FROM kept") == [(1000,)]


def test_a_killed_server_is_not_started_beside_its_own_orphans(embedded: EmbeddedServer, home: Path) -> None:
    """A backend that works outlives its postmaster; a second server on the same files would ruin them."""
    found = embedded.start()
    killed = postmaster_of(home)
    connection = psycopg2.connect(**found.arguments())
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        backend = psutil.Process(cursor.fetchone()[0])
    backend.suspend()  # it cannot notice the end of its postmaster
    killed.kill()
    until(lambda: has_ended(killed))
    with User(home) as other:
        until(lambda: is_locked(home / "postgres.start"))  # it is at work, and waits
        assert runs(home)
        assert backend.is_running()
        backend.resume()
        assert other.word() == found.host
        assert has_ended(backend)
        assert execute(home, "SELECT 1") == [(1,)]
    connection.close()


def _sleep_as(account: installation.Account | None) -> subprocess.Popen[bytes]:
    identity = {"user": account.uid, "group": account.gid, "extra_groups": []} if account else {}
    return subprocess.Popen(["sleep", "1000"], **identity)  # type: ignore[call-overload,no-any-return]


def test_a_pid_that_now_is_another_process_is_no_server(embedded: EmbeddedServer, home: Path) -> None:
    embedded.start()
    killed = postmaster_of(home)
    killed.kill()
    until(lambda: has_ended(killed) and not runs(home))
    programs = installation.find()
    stranger = _sleep_as(programs.account)
    try:
        file = data(home) / "postmaster.pid"
        file.write_text(file.read_text().replace(str(killed.pid), str(stranger.pid), 1))
        with tempfile.TemporaryFile() as output:  # PostgreSQL by itself takes the stranger for a server
            programs.run(programs.program("postgres"), "-D", str(data(home)), "-c", "listen_addresses=", output=output)
            output.seek(0)
            assert b"already exists" in output.read()
        embedded.start()
        assert execute(home, "SELECT 1") == [(1,)]
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_process_killed_while_it_makes_the_database_leaves_nothing_in_the_way(home: Path) -> None:
    script = """
import os, signal, sys
from pathlib import Path
from schemas import cluster
from schemas.embedded import EmbeddedServer

make = cluster._initialise

def make_and_die(*arguments):
    make(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)  # all is there, and nothing in its place

cluster._initialise = make_and_die
EmbeddedServer(Path(sys.argv[1]), fsync=False).start()
"""

    def made() -> list[Path]:
        places = [*home.glob("postgres*"), *installation.ROOT_PLACE.glob(f"{cluster._digest(home)}-*")]
        return [place for place in places if not place.is_symlink() and any(place.rglob("PG_VERSION"))]

    with User(home, script=script) as first:
        assert first.process.wait(PATIENCE_SECONDS) == -signal.SIGKILL
    assert len(made()) == 1
    assert not os.path.lexists(home / "postgres")
    with started(home) as second:
        assert execute(home, "SELECT 1") == [(1,)]
        assert len(made()) == 1
        assert second.end() == 0


def test_a_server_that_cannot_start_says_why(embedded: EmbeddedServer, home: Path) -> None:
    embedded.start()
    embedded.leave()
    (data(home) / "postgresql.conf").write_text("nonsense = here\n")
    with pytest.raises(DatabaseUnavailable, match="nonsense"):
        embedded.start()
    assert not is_locked(home / "postgres.users")


def test_without_its_password_the_database_says_what_to_do(embedded: EmbeddedServer, home: Path) -> None:
    embedded.start()
    embedded.leave()
    password = home / "postgres.password"
    password.write_text("wrong")
    with pytest.raises(DatabaseUnavailable, match=r"Restore that file"):
        embedded.start()
    password.unlink()
    with pytest.raises(DatabaseUnavailable, match=r"postgres\.password.*to begin anew"):
        embedded.start()


def test_what_is_no_database_says_so(embedded: EmbeddedServer, home: Path) -> None:
    home.mkdir()
    if ROOT:
        (home / "postgres").symlink_to("/etc")
    else:
        (home / "postgres").mkdir()
        cluster.new_password(home)
    with pytest.raises(DatabaseUnavailable, match="not a database"):
        embedded.start()
    (home / "postgres").unlink() if ROOT else (home / "postgres").rmdir()


def test_a_home_deleted_under_its_server_can_be_used_again(embedded: EmbeddedServer, home: Path) -> None:
    embedded.start()
    execute(home, "CREATE TABLE old (n int)")
    old = postmaster_of(home)
    shutil.rmtree(home)
    embedded.start()
    assert postmaster_of(home) != old
    assert execute(home, "SELECT to_regclass('old')") == [(None,)]
    assert has_ended(old)


def test_a_home_deleted_when_nobody_was_left_can_be_used_again(home: Path) -> None:
    with started(home) as user:
        old = postmaster_of(home)
        user.kill()
    shutil.rmtree(home)
    try:
        with started(home) as user:
            assert postmaster_of(home) != old
            if ROOT:  # else PostgreSQL itself ends it within a minute, when it misses its data
                assert has_ended(old)
            assert user.end() == 0
    finally:
        if not has_ended(old):
            old.kill()


def test_leaving_after_the_home_was_deleted_ends_the_server(embedded: EmbeddedServer, home: Path) -> None:
    embedded.start()
    old = postmaster_of(home)
    shutil.rmtree(home)
    assert embedded.leave() is True
    assert has_ended(old)
