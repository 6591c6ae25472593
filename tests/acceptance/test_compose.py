"""Every service of docker-compose.yml does its work on real servers, run as written there but without an engine."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.request import Request, urlopen

import boto3
import pytest
from servers.compose import PATIENCE, PROJECT, Stack, another_name
from servers.moto import moto_server
from servers.mysql import MySQLMissing, MySQLServer, client, mysql_server
from servers.processes import S3Server

pytestmark = pytest.mark.timeout(3000)  # on a very busy machine
SECRETS_SCRIPT = PROJECT / "deploy" / "make-secrets.sh"
CONTENT = b"well,signal\nA1,0.1\n"
LOGINS = ("reader", "worker", "dashboard", "steward", "answers", "entries", "notices")


@pytest.fixture(scope="module")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with moto_server(tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture(scope="module")
def secrets(object_store: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that deploy/make-secrets.sh fills; the keys of the object store are somebody's own."""
    folder = tmp_path_factory.mktemp("deployment") / "secrets"
    folder.mkdir()
    (folder / "object_store_access_key").write_text(object_store.access_key)
    (folder / "object_store_secret_key").write_text(object_store.secret_key)
    command = ["sh", str(SECRETS_SCRIPT), str(folder), "db.example.org"]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def mysql_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for PATH with the client ``mysql``, as the image of the database has it."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "mysql").write_text(f'#!/bin/sh\nexec {shlex.join(client("mysql"))} "$@"\n')
    (folder / "mysql").chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def database(secrets: Path, mysql_client: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MySQLServer]:
    """Run MySQL with the options of docker-compose.yml, and make the logins as its container does."""
    variables = {"SECRETS": str(secrets), "SHARES": "/shares", "SHARES_HOST": "lab", "DATABASE_MEMORY": "64M"}
    stack = Stack(variables, tmp_path_factory.mktemp("database"))
    program, *options = stack.command("database")
    assert program == "mysqld"
    folder = tmp_path_factory.mktemp("mysql")
    try:
        with mysql_server(folder, *options, ssl_ca=str(secrets / "database_ca.pem")) as server:
            environment = {
                "PATH": f"{mysql_client}:{os.environ['PATH']}",
                "MYSQL_UNIX_PORT": server.socket,
                "MYSQL_ROOT_PASSWORD": server.password,
                "SECRETS": str(stack.mounted("database")),
            }
            script = PROJECT / "deploy" / "mysql" / "logins.sh"
            for _ in range(2):  # again for the logins that a release adds; those that are there stay as they are
                done = subprocess.run([script], env=environment, capture_output=True, text=True, check=False)
                assert done.returncode == 0, done.stderr
            yield server
    except MySQLMissing as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def shares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shares")
    (folder / "plate.csv").write_bytes(CONTENT)
    return folder


@pytest.fixture(scope="module")
def named() -> list[str]:
    """Return what gives services a hostname that is not this machine's, as containers have; only root may."""
    return another_name()


@pytest.fixture(scope="module")
def shares_host(named: list[str]) -> str:
    """Return what people's programs call the disks here: the hostname, or else a name that is no hostname."""
    return socket.gethostname() if named else "another-lab"


@pytest.fixture(scope="module")
def stack(
    named: list[str],
    shares_host: str,
    database: MySQLServer,
    object_store: S3Server,
    secrets: Path,
    shares: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Stack:
    """Return the services, with the tables deployed by `migrate`."""
    variables = {
        "SECRETS": str(secrets),
        "SHARES": str(shares),
        "SHARES_HOST": shares_host,
        "DATABASE_HOST": "localhost",  # one of the certificate's names, as `database` is
        "DATABASE_PORT": str(database.port),
        "OBJECT_STORE_ENDPOINT": object_store.endpoint,
        "OBJECT_STORE_URL": "s3://catalogue/content",
    }
    made = Stack(variables, tmp_path_factory.mktemp("stack"), ("8501", "8502", "8511", "9464"), named)
    deployed = made.run("migrate")
    assert deployed.returncode == 0, deployed.stderr
    assert "reader: INSERT on " in deployed.stdout
    assert "data_platform_sharing.access_batch" in deployed.stdout
    return made


def until(condition: Callable[[], bool], stack: Stack, **running: subprocess.Popen[bytes]) -> None:
    """Wait until something holds; fail if it never does, or one of the services that run ends before."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        for name, process in running.items():
            assert process.poll() is None, stack.said(name)
            assert time.monotonic() < deadline, stack.said(name)
        time.sleep(0.2)


def test_a_read_of_somebody_outside_is_worked_off(
    stack: Stack,
    database: MySQLServer,
    secrets: Path,
    shares: Path,
    named: list[str],
    shares_host: str,
    tmp_path: Path,
) -> None:
    """A program elsewhere has the reader's password and the authority's certificate, and nothing else."""
    called = {} if named else {"DATA_PLATFORM_FILE__HOST": shares_host}
    outside = {
        "PATH": stack.environment("worker")["PATH"],
        "DATA_PLATFORM_HOME": str(tmp_path / "home"),
        "DATA_PLATFORM_DATABASE__BACKEND": "mysql",
        "DATA_PLATFORM_DATABASE__PORT": str(database.port),
        "DATA_PLATFORM_DATABASE__TLS_CA": str(secrets / "database_ca.pem"),
        "DATA_PLATFORM_DATABASE__USER": "reader",
        "DATA_PLATFORM_DATABASE__PASSWORD": (secrets / "database_reader_password").read_text(),
        "DATA_PLATFORM_OUTBOX__SHIP": "false",
        **called,
    }
    for command in (["read", str(shares / "plate.csv")], ["flush"]):
        done = subprocess.run(
            ["data-platform", *command], env=outside, capture_output=True, text=True, check=False, timeout=PATIENCE
        )
        assert done.returncode == 0, done.stderr
    digest = hashlib.sha256(CONTENT).hexdigest()
    with stack.running("scheduler") as scheduler, stack.running("worker") as worker:
        placed = "SELECT placement.sha256 FROM data_platform_backup.placement"
        until(lambda: database.execute(placed) == [(digest,)], stack, worker=worker, scheduler=scheduler)
        systems = database.execute("SELECT source_system FROM data_platform_catalogue.source_system")
        assert systems == [(f"file/{shares_host.lower()}",)]
        for name, process in (("scheduler", scheduler), ("worker", worker)):
            until(partial(stack.is_well, name), stack, **{name: process})
            process.terminate()
            assert process.wait(PATIENCE) == 0, stack.said(name)
            assert not stack.is_well(name)
    restored = stack.run("worker", "data-platform", "restore", digest, "--to", str(tmp_path / "back.csv"))
    assert restored.returncode == 0, restored.stderr
    assert (tmp_path / "back.csv").read_bytes() == CONTENT


def test_only_the_steward_of_the_stack_may_have_backups_go(
    stack: Stack, database: MySQLServer, object_store: S3Server
) -> None:
    keys = {"aws_access_key_id": object_store.access_key, "aws_secret_access_key": object_store.secret_key}
    store = boto3.client("s3", endpoint_url=object_store.endpoint, region_name="us-east-1", **keys)
    store.create_bucket(Bucket="catalogue")  # which a worker makes, too
    rounds = "SELECT COUNT(*) FROM data_platform_removal.removal"
    refused = stack.run("worker", "data-platform", "retain")
    assert (refused.returncode, database.execute(rounds)) == (1, [(0,)])
    assert "denied" in refused.stderr
    assert "`seal` are a steward's" in refused.stderr
    service = stack.service("steward")
    done = stack.run("steward", *service["entrypoint"], "retain")
    assert (done.returncode, done.stderr) == (0, "")
    assert database.execute(rounds) == [(1,)]


def test_the_dashboard_answers_and_stops_when_told(stack: Stack) -> None:
    assert not stack.is_well("dashboard")  # it does not run
    with stack.running("dashboard") as dashboard:
        until(partial(stack.is_well, "dashboard"), stack, dashboard=dashboard)
        address = f"http://127.0.0.1:{stack.taken['dashboard', '8501']}"
        assert "<title>" in urlopen(address, timeout=PATIENCE).read().decode()
        dashboard.terminate()
        assert dashboard.wait(PATIENCE) == 0, stack.said("dashboard")


def test_the_index_is_made_before_anybody_searches_and_the_dashboard_finds_it(stack: Stack) -> None:
    search = stack.volume("search")

    def whole() -> bool:
        return any('"complete":true' in path.read_text() for path in search.glob("*/state.json"))

    with stack.running("index") as index:
        until(whole, stack, index=index)
        until(partial(stack.is_well, "index"), stack, index=index)
        (made,) = search.iterdir()
        found = stack.run("dashboard", "data-platform", "search", "plate", "--json")
        assert (found.returncode, found.stderr) == (0, "")
        assert list(search.iterdir()) == [made]
        index.terminate()
        assert index.wait(PATIENCE) == 0, stack.said("index")


def test_questions_and_notices_listen_apart_and_show_nothing_else(stack: Stack) -> None:
    with stack.running("answers") as answers, stack.running("notices") as notices:
        until(partial(stack.is_well, "answers"), stack, answers=answers, notices=notices)
        until(partial(stack.is_well, "notices"), stack, answers=answers, notices=notices)
        told = Request(f"http://127.0.0.1:{stack.taken['notices', '8511']}", b'{"value": []}')
        with urlopen(told, timeout=PATIENCE) as response:
            assert response.status == 202
        for name, process in (("answers", answers), ("notices", notices)):
            process.terminate()
            assert process.wait(PATIENCE) == 0, stack.said(name)


class Answer(BaseHTTPRequestHandler):
    """An object store that does, or does not, let in who brings no key."""

    status = 403

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.mark.skipif(shutil.which("wget") is None, reason="wget is not installed, which the image has from busybox")
@pytest.mark.parametrize(("status", "well"), [(403, True), (200, False), (500, False)])
def test_an_object_store_that_is_open_to_all_is_not_well(
    secrets: Path, tmp_path: Path, status: int, well: bool
) -> None:
    stack = Stack({"SECRETS": str(secrets), "SHARES": "/shares", "SHARES_HOST": "lab"}, tmp_path, ("8333",))
    handler = type("Handler", (Answer,), {"status": status})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        stack.taken["object-store", "8333"] = server.server_port
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            assert stack.is_well("object-store") is well
        finally:
            server.shutdown()
    assert not stack.is_well("object-store")


def test_each_service_has_the_least_role(stack: Stack, database: MySQLServer) -> None:
    users = {
        name: stack.environment(name)["DATA_PLATFORM_DATABASE__USER"]
        for name in ("migrate", "worker", "dashboard", "notices", "steward")
    }
    own = {name: name for name in ("worker", "dashboard", "notices", "steward")}
    assert users == {"migrate": "data_platform_owner", **own}
    for login in LOGINS:
        roles = database.execute(f"SHOW GRANTS FOR {login}")
        assert [grant for (grant,) in roles if "data_platform" in grant] == [
            f"GRANT `data_platform_{login}`@`%` TO `{login}`@`%`"
        ]


@pytest.mark.parametrize(
    ("service", "secret"),
    [("worker", "object_store_secret_key"), ("dashboard", "questions_key"), ("scheduler", "database_worker_password")],
)
def test_no_service_starts_with_an_empty_secret(secrets: Path, tmp_path: Path, service: str, secret: str) -> None:
    shutil.copytree(secrets, tmp_path / "secrets")
    (tmp_path / "secrets" / secret).unlink()
    (tmp_path / "secrets" / secret).write_text("\n")
    variables = {"SECRETS": str(tmp_path / "secrets"), "SHARES": "/shares", "SHARES_HOST": "lab"}
    started = Stack(variables, tmp_path / "stack").run(service)
    assert started.returncode != 0
    assert " is empty. Fill it in" in started.stderr


def make_secrets(folder: Path, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(path)} if path else None
    command = [str(shutil.which("sh")), str(SECRETS_SCRIPT), str(folder)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("openssl", [None, "#!/bin/sh\nexit 1\n"], ids=["missing", "failing"])
def test_without_openssl_no_secret_is_made(tmp_path: Path, openssl: str | None) -> None:
    (tmp_path / "bin").mkdir()
    for program in ("cat", "chmod", "mkdir", "mv", "rm", "tr"):
        (tmp_path / "bin" / program).symlink_to(str(shutil.which(program)))
    if openssl is not None:
        (tmp_path / "bin" / "openssl").write_text(openssl)
        (tmp_path / "bin" / "openssl").chmod(0o755)
    done = make_secrets(tmp_path / "secrets", tmp_path / "bin")
    assert done.returncode != 0
    assert ("openssl is missing" in done.stderr) is (openssl is None)
    assert not list((tmp_path / "secrets").glob("*"))


def test_an_empty_secret_is_not_kept_for_one(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "questions_key").write_text("\n")
    done = make_secrets(tmp_path / "secrets")
    assert (done.returncode, done.stdout) == (1, "")
    assert "questions_key is empty. Fill it" in done.stderr
    (tmp_path / "secrets" / "questions_key").unlink()
    assert make_secrets(tmp_path / "secrets").returncode == 0
    assert all(path.read_text().strip() for path in (tmp_path / "secrets").iterdir())
    assert make_secrets(tmp_path / "secrets").returncode == 0


def test_nobody_connects_without_encryption(database: MySQLServer, secrets: Path) -> None:
    for login in LOGINS:
        password = (secrets / f"database_{login}_password").read_text()
        database.connect(user=login, password=password).close()
        with pytest.raises(database.errors):
            database.connect(user=login, password=password, ssl_disabled=True, ssl_ca=None)


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_text("\n")], ids=["missing", "empty"])
def test_no_login_is_made_without_a_password(
    spoil: Callable[[Path], object], mysql_client: Path, secrets: Path, tmp_path: Path
) -> None:
    """It ends before it says anything to a server, so none is needed."""
    for login in ("owner", *LOGINS):
        (tmp_path / f"database_{login}_password").write_text("secret")
    spoil(tmp_path / "database_worker_password")
    environment = {
        "PATH": f"{mysql_client}:{os.environ['PATH']}",
        "MYSQL_ROOT_PASSWORD": "x",
        "SECRETS": str(tmp_path),
    }
    script = PROJECT / "deploy" / "mysql" / "logins.sh"
    done = subprocess.run([script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "database_worker_password is missing or empty" in done.stderr
    assert "ERROR" not in done.stderr
