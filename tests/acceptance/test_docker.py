"""The whole stack in containers, with the public data of the demo, where a Docker engine answers.

All images come from a registry, or from the engine, if it has images of these names. Where the object store's cannot be
had, the stack is brought up with an S3 elsewhere, as the page has it; these variables tell which:

DOCKER_TEST_OBJECT_STORE
    Its address as containers reach it, ``http://172.17.0.1:9000``. It keeps what the test stores, in the bucket
    ``data-platform``, which is made there if it is missing.
DOCKER_TEST_ACCESS_KEY, DOCKER_TEST_SECRET_KEY
    Keys of an account there.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import secrets
import socket
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import DockerException
from servers.compose import PROJECT, load, read_env
from servers.processes import free_port

from data_platform.demo import shares as demo

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(3600)]
READERS = ("aiko.tanaka", "samuel.okafor")
START_SECONDS = 1800  # images are fetched and built
WORK_SECONDS = 600
ENDING = "migrate"
CALLED = "steward"
HEALTHY_SECONDS = 180  # twice the time between two looks, and what a service takes to start
ELSEWHERE = os.environ.get("DOCKER_TEST_OBJECT_STORE")


@pytest.fixture(scope="module")
def engine() -> Iterator[docker.DockerClient]:
    """Return the engine; that there is none is no fault of the machine that the tests run on."""
    client = _answering()
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip(
            "The Docker engine answers, but `docker compose` is not installed, so the stack was not brought up."
        )
    yield client
    client.close()


def _answering() -> docker.DockerClient:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # where nobody answers the SDK leaves its socket open
        try:
            client = docker.from_env(timeout=120)
            client.ping()
            return client
        except DockerException as error:
            reason = str(error)
        gc.collect()
    pytest.skip(f"No Docker engine answers: the stack was not brought up ({reason})")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with secrets and with shares that hold the data of the demo, readable for containers."""
    folder = tmp_path_factory.mktemp("site")
    if ELSEWHERE:
        (folder / "secrets").mkdir()
        for kind in ("access", "secret"):
            key = os.environ[f"DOCKER_TEST_{kind.upper()}_KEY"]
            (folder / "secrets" / f"object_store_{kind}_key").write_text(key)
    command = ["sh", str(PROJECT / "deploy" / "make-secrets.sh"), str(folder / "secrets")]
    subprocess.run(command, check=True, capture_output=True)
    (folder / "settings").mkdir()
    for path in demo.LAYOUT:
        target = demo.shares(folder) / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(demo.dataset(demo.LAYOUT[path]))
    for path in (demo.shares(folder), *demo.shares(folder).rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


def _elsewhere(site: Path) -> dict[str, str]:
    """Return what .env says where the object store is elsewhere."""
    return {
        "COMPOSE_PROFILES": "database,answers,notices",
        "OBJECT_STORE_ENDPOINT": str(ELSEWHERE),
        "OBJECT_STORE_URL": f"s3://data-platform/{site.name}-{secrets.token_hex(4)}",
    }


@pytest.fixture(scope="module")
def variables(site: Path) -> dict[str, str]:
    return {
        **read_env(PROJECT / ".env.example"),
        "SECRETS": str(site / "secrets"),
        "SHARES": str(demo.shares(site)),
        "SHARES_HOST": socket.gethostname(),
        "DATABASE_PUBLISHED": f"127.0.0.1:{free_port()}",
        "DASHBOARD_PUBLISHED": f"127.0.0.1:{free_port()}",
        "ANSWERS_PUBLISHED": f"127.0.0.1:{free_port()}",
        "NOTICES_PUBLISHED": f"127.0.0.1:{free_port()}",
        "SETTINGS": str(site / "settings"),
        **(_elsewhere(site) if ELSEWHERE else {"COMPOSE_PROFILES": "database,object-store,answers,notices"}),
        "COMPOSE_FILE": f"{PROJECT / 'docker-compose.yml'}:{PROJECT / 'deploy' / 'sealing.yml'}",
        "DATABASE_MEMORY": "256M",
    }


class Stack:
    """The stack of a project's name, as ``docker compose`` sees it."""

    def __init__(self, engine: docker.DockerClient, variables: dict[str, str], site: Path) -> None:
        self._engine, self._project = engine, f"data-platform-test-{secrets.token_hex(4)}"
        self._settings = site / ".env"
        self._settings.write_text("".join(f"{key}={value}\n" for key, value in variables.items()))

    def compose(self, *command: str, patience: float = WORK_SECONDS) -> subprocess.CompletedProcess[str]:
        """Carry out a command of ``docker compose``."""
        options = ["--project-name", self._project, "--env-file", str(self._settings)]
        return subprocess.run(
            ["docker", "compose", *options, *command], cwd=PROJECT, timeout=patience,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def up(self, *options: str) -> None:
        """Bring it up and wait until all services are well."""
        done = self.compose("up", "--detach", *options, "--wait", patience=START_SECONDS)
        assert done.returncode == 0, f"{done.stderr}\n{self.said()}"

    def containers(self, service: str | None = None) -> list[Any]:
        """Return its containers, or those of a service."""
        labels = [f"com.docker.compose.project={self._project}"]
        labels += [f"com.docker.compose.service={service}"] if service else []
        return list(self._engine.containers.list(all=True, filters={"label": labels}))

    def said(self) -> str:
        """Return what containers said last."""
        return "\n".join(f"{one.name}: {one.logs(tail=20).decode(errors='replace')}" for one in self.containers())

    def asked(self, service: str, *command: str) -> str:
        """Run a command of the product's in a container of a service, and return what it printed."""
        code, (output, complaints) = self.containers(service)[0].exec_run(["data-platform", *command], demux=True)
        assert code == 0, complaints
        return str(output.decode())


@pytest.fixture(scope="module")
def stack(engine: docker.DockerClient, variables: dict[str, str], site: Path) -> Iterator[Stack]:
    """Bring the stack up as the page says, and take it down with all that it kept."""
    made = Stack(engine, variables, site)
    try:
        made.up("--build")
        yield made
    finally:
        made.compose("down", "--volumes", "--timeout", "60")


def kind(container: Any) -> str:
    """Return the service that a container belongs to."""
    return str(container.labels["com.docker.compose.service"])


def is_well(container: Any) -> bool:
    container.reload()
    state = container.attrs["State"]
    return bool(state["Running"] and state["Health"]["Status"] == "healthy")


def test_every_service_is_up_and_confined(stack: Stack, variables: dict[str, str]) -> None:
    file = load(variables)["services"]
    expected = Counter(dict.fromkeys(set(file) - {CALLED} - ({"object-store"} if ELSEWHERE else set()), 1))
    expected["worker"] = int(file["worker"]["deploy"]["replicas"])
    containers = stack.containers()
    assert Counter(map(kind, containers)) == expected
    for container in containers:
        host, name = container.attrs["HostConfig"], kind(container)
        assert (host["ReadonlyRootfs"], host["CapDrop"], host["Privileged"]) == (True, ["ALL"], False), name
        assert container.attrs["Config"]["User"] == file[name]["user"], name
        if name == ENDING:
            assert container.attrs["State"]["ExitCode"] == 0
        else:
            assert is_well(container), name
            code, _ = container.exec_run(["sh", "-c", "echo x >/x"])
            assert code != 0, name


def test_what_people_read_is_backed_up_and_restored(
    stack: Stack, variables: dict[str, str], site: Path, tmp_path: Path
) -> None:
    folder = demo.shares(site)
    files = sorted(folder / path for path in demo.LAYOUT)
    contents = {path.read_bytes() for path in files}
    for reader in READERS:
        outside = {name: value for name, value in os.environ.items() if not name.startswith("DATA_PLATFORM_")} | {
            "DATA_PLATFORM_HOME": str(tmp_path / reader),
            "DATA_PLATFORM_ACCOUNT": reader,
            "DATA_PLATFORM_DATABASE__BACKEND": "mysql",
            "DATA_PLATFORM_DATABASE__PORT": variables["DATABASE_PUBLISHED"].rpartition(":")[2],
            "DATA_PLATFORM_DATABASE__TLS_CA": str(site / "secrets" / "database_ca.pem"),
            "DATA_PLATFORM_DATABASE__USER": "reader",
            "DATA_PLATFORM_DATABASE__PASSWORD": (site / "secrets" / "database_reader_password").read_text(),
        }
        program = "import sys; from data_platform import flush, read\nfor p in sys.argv[1:]: read(p)\nflush()"
        command = [sys.executable, "-c", program, *map(str, files)]
        done = subprocess.run(command, env=outside, capture_output=True, text=True, check=False, timeout=WORK_SECONDS)
        assert done.returncode == 0, done.stderr
    deadline = time.monotonic() + WORK_SECONDS
    while True:
        counts = json.loads(stack.asked("worker", "status", "--json"))
        if counts["blob_bytes"] == sum(map(len, contents)):
            break
        assert time.monotonic() < deadline, counts
        time.sleep(2)
    assert (counts["files"], counts["blobs"], counts["backups_failed"]) == (len(files), len(contents), 0)
    for content in contents:
        digest = hashlib.sha256(content).hexdigest()
        back = f"/var/lib/data-platform/tmp/{digest}"
        stack.asked("worker", "restore", digest, "--to", back)
        code, restored = stack.containers("worker")[0].exec_run(["cat", back])
        assert (code, restored) == (0, content)


def test_what_a_steward_has_done_is_done(stack: Stack) -> None:
    """`seal` needs the rights of one, the store and its key; all is sealed already, for the stack says so."""
    done = stack.compose("run", "--rm", "-T", CALLED, "seal")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("0 objects of 0 bytes were sealed")
    assert "Every backup is in place." in stack.compose("run", "--rm", "-T", CALLED, "check", "--verify-data").stdout


def test_a_worker_that_is_killed_is_started_again(stack: Stack) -> None:
    workers = stack.containers("worker")
    for worker in workers:
        worker.exec_run(["sh", "-c", "kill -9 -1"])  # all but the container's init, which then ends
    deadline = time.monotonic() + HEALTHY_SECONDS
    while not all(map(is_well, workers)) or any(worker.attrs["RestartCount"] != 1 for worker in workers):
        assert time.monotonic() < deadline, stack.said()
        time.sleep(1)


def test_services_stop_when_told_and_what_they_kept_is_there_again(stack: Stack) -> None:
    before = json.loads(stack.asked("worker", "status", "--json"))
    assert stack.compose("stop").returncode == 0
    killed = [kind(one) for one in stack.containers() if one.attrs["State"]["ExitCode"] != 0]
    assert killed == []  # as who is not done within its time is
    assert stack.compose("down").returncode == 0
    assert stack.containers() == []
    stack.up()
    after = json.loads(stack.asked("worker", "status", "--json"))
    kept = ("files", "blobs", "blob_bytes", "accesses", "people")
    assert [after[name] for name in kept] == [before[name] for name in kept]
    assert before["files"] > 0


def test_what_services_say_for_themselves_are_objects(stack: Stack) -> None:
    assert stack.compose("restart", "scheduler").returncode == 0
    (scheduler,) = stack.containers("scheduler")
    deadline = time.monotonic() + HEALTHY_SECONDS
    while not (lines := scheduler.logs().decode().splitlines()):
        assert time.monotonic() < deadline
        time.sleep(1)
    assert all(json.loads(line)["logger"] for line in lines)
