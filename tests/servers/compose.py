"""docker-compose.yml without an engine: what compose makes of it, and its services as processes of this machine."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from servers.processes import stop

PROJECT = Path(__file__).parents[2]
FILE = PROJECT / "docker-compose.yml"
MOUNTED = "/run/secrets"
HOME = "/var/lib/data-platform"
PATIENCE = 600.0
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?:(?P<how>:?[-?])(?P<word>[^}]*))?\}")


class Refused(Exception):
    """A variable without which compose does not start; the message is what it says then."""


def read_env(path: Path) -> dict[str, str]:
    """Return what a file like ``.env`` sets."""
    lines = (line.strip() for line in path.read_text().splitlines())
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))  # type: ignore[misc]


def load(variables: Mapping[str, str]) -> dict[str, Any]:
    """Return docker-compose.yml with its variables replaced.

    Raises
    ------
    Refused
        If one that is needed is missing or empty.
    """
    found: dict[str, Any] = _replaced(yaml.safe_load(FILE.read_text()), variables)
    return found


def _replaced(value: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _replaced(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, variables) for item in value]
    if isinstance(value, str):
        return VARIABLE.sub(lambda match: _value(match, variables), value)
    return value


def _value(match: re.Match[str], variables: Mapping[str, str]) -> str:
    given, how, word = variables.get(match["name"]), match["how"] or "", match["word"]
    if given is None or (given == "" and how.startswith(":")):
        if how.endswith("?"):
            raise Refused(f"{match['name']}: {word}")
        return word or ""
    return given


def _port_of_no_client() -> int:
    """Return a free port that no outgoing connection is given, so that it is still free a while later."""
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("", port))
            return port


def another_name() -> list[str]:
    """Return what runs a command under a hostname of its own; nothing if this user may not have that."""
    command = ["unshare", "--uts", "sh", "-c", 'hostname 0123456789ab && exec "$@"', "sh"]
    if any(shutil.which(program) is None for program in ("unshare", "hostname")):
        return []
    may = subprocess.run([*command, "true"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return command if may.returncode == 0 else []


class Stack:
    """The services of docker-compose.yml as processes, each with the secrets that are mounted for it.

    Parameters
    ----------
    variables
        What ``.env`` says.
    folder
        For what containers have of their own.
    ports
        Ports in containers. Each service has a free one of this machine in place of each of them, as
        containers have an address of their own; `taken` tells which.
    named
        What runs a command under another hostname (see `another_name`), as a container has one.
    """

    def __init__(
        self, variables: Mapping[str, str], folder: Path, ports: Sequence[str] = (), named: Sequence[str] = ()
    ) -> None:
        self.file = load(variables)
        self._folder, self._ports, self._named = folder, ports, named
        self.taken: dict[tuple[str, str], int] = {}

    def _port(self, name: str, port: str) -> int:
        if (name, port) not in self.taken:
            self.taken[name, port] = _port_of_no_client()
        return self.taken[name, port]

    def service(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.file["services"][name]
        return found

    def command(self, name: str) -> list[str]:
        """Return what the service runs."""
        return [self._here(name, str(word)) for word in self.service(name)["command"]]

    def environment(self, name: str) -> dict[str, str]:
        """Return the environment of the service, and no other variables of the product's."""
        ours = {key: self._here(name, str(value)) for key, value in self.service(name).get("environment", {}).items()}
        home = self._folder / name
        temporary = home / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        self._mount(name, home)
        return {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            **ours,
            "HOME": str(home),  # as Dockerfile has it
            "DATA_PLATFORM_HOME": str(home),
            **({"TMPDIR": str(temporary)} if "TMPDIR" in ours else {}),
        }

    def _mount(self, name: str, home: Path) -> None:
        """Let the service see volumes below its home that others see, too."""
        for volume in self.service(name).get("volumes", []):
            source, _, target = volume.partition(":") if isinstance(volume, str) else ("", "", "")
            if source in self.file["volumes"] and target.startswith(f"{HOME}/"):
                self.volume(source).mkdir(exist_ok=True)
                place = home / target.removeprefix(f"{HOME}/")
                if not place.is_symlink():
                    place.symlink_to(self.volume(source))

    def volume(self, name: str) -> Path:
        """Return the folder of a volume."""
        return self._folder / f"volume-{name}"

    def mounted(self, name: str) -> Path:
        """Return the folder of the service's secrets, made as compose makes ``/run/secrets``."""
        folder = self._folder / f"{name}-secrets"
        if not folder.exists():
            folder.mkdir(parents=True)
            for secret in self.service(name).get("secrets", []):
                source, target = (secret, secret) if isinstance(secret, str) else (secret["source"], secret["target"])
                shutil.copyfile(self.file["secrets"][source]["file"], folder / target)
        return folder

    def _here(self, name: str, text: str) -> str:
        text = text.replace(MOUNTED, str(self.mounted(name)))
        for port in self._ports:
            text = re.sub(rf"\b{port}\b", str(self._port(name, port)), text)
        return text

    def run(self, name: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Run the service to its end; or, as ``docker compose exec`` does, another command in its place."""
        return subprocess.run(
            [*self._named, *(command or self.command(name))], env=self.environment(name), cwd=self._folder,
            capture_output=True, text=True, check=False, timeout=PATIENCE,
        )  # fmt: skip

    @contextmanager
    def running(self, name: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run the service for the length of a block; what it says goes to a file."""
        with (self._folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [*self._named, *self.command(name)], env=self.environment(name), cwd=self._folder,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
            try:
                yield process
            finally:
                stop([process])

    def said(self, name: str) -> str:
        """Return what the service has said so far."""
        return (self._folder / f"{name}.log").read_text()

    def is_well(self, name: str) -> bool:
        """Carry out the service's health check as docker-compose.yml has it."""
        how, *command = self.service(name)["healthcheck"]["test"]
        if how == "CMD-SHELL":
            command = ["sh", "-c", *command]
        return self.run(name, *(self._here(name, word) for word in command)).returncode == 0
