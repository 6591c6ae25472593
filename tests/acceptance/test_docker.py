"""The whole stack in containers, with the public data of the demo, where a Docker engine answers."""

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
        "COMPOSE_PROFILES": "database,object-store,answers,notices",
        "DATABASE_MEMORY": "256M",
    }


@pytest.fixture(scope="module")
def containers(engine: docker.DockerClient, variables: dict[str, str], site: Path) -> Iterator[dict[str, Any]]:
    """Bring the stack up as the page says, and take it down with all that it kept; the containers by service."""
    name = f"data-platform-test-{secrets.token_hex(4)}"
    (site / ".env").write_text("".join(f"{key}={value}\n" for key, value in variables.items()))
    compose = ["docker", "compose", "--project-name", name, "--env-file", str(site / ".env")]
    run = {"cwd": PROJECT, "capture_output": True, "text": True, "check": False}
    try:
        up = subprocess.run([*compose, "up", "--detach", "--build", "--wait"], timeout=START_SECONDS, **run)
        found = engine.containers.list(all=True, filters={"label": f"com.docker.compose.project={name}"})
        said = "\n".join(f"{one.name}: {one.logs(tail=20).decode(errors='replace')}" for one in found)
        assert up.returncode == 0, f"{up.stderr}\n{said}"
        yield {one.labels["com.docker.compose.service"]: one for one in found}
    finally:
        subprocess.run([*compose, "down", "--volumes", "--timeout", "60"], timeout=WORK_SECONDS, **run)


def asked(container: Any, *command: str) -> str:
    """Run a command in a container and return what it printed."""
    code, (output, complaints) = container.exec_run(["data-platform", *command], demux=True)
    assert code == 0, complaints
    return str(output.decode())


def test_every_service_is_up_and_confined(containers: dict[str, Any], variables: dict[str, str]) -> None:
    assert set(containers) == set(load(variables)["services"])
    for name, container in containers.items():
        container.reload()
        host = container.attrs["HostConfig"]
        assert (host["ReadonlyRootfs"], host["CapDrop"], host["Privileged"]) == (True, ["ALL"], False), name
        if name == "migrate":
            assert container.attrs["State"]["ExitCode"] == 0
        else:
            assert container.attrs["State"]["Health"]["Status"] == "healthy", name


def test_what_people_read_is_backed_up_and_restored(
    containers: dict[str, Any], variables: dict[str, str], site: Path, tmp_path: Path
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
        counts = json.loads(asked(containers["worker"], "status", "--json"))
        if counts["blob_bytes"] == sum(map(len, contents)):
            break
        assert time.monotonic() < deadline, counts
        time.sleep(2)
    assert (counts["files"], counts["blobs"], counts["backups_failed"]) == (len(files), len(contents), 0)
    for content in contents:
        digest = hashlib.sha256(content).hexdigest()
        back = f"/var/lib/data-platform/tmp/{digest}"
        asked(containers["worker"], "restore", digest, "--to", back)
        code, restored = containers["worker"].exec_run(["cat", back])
        assert (code, restored) == (0, content)
