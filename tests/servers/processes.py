"""Starting and ending server processes so that none outlives the tests."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

DEADLINE = 120.0


@dataclass(frozen=True)
class S3Server:
    """An S3-compatible server and an account on it."""

    endpoint: str
    access_key: str
    secret_key: str = field(repr=False)


def free_port() -> int:
    """Return a port of loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(command: Sequence[str | Path], log: Path, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start a server that dies with this process, however that ends."""
    tied = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
    with log.open("ab") as output:
        return subprocess.Popen(
            [*tied, *map(str, command)], stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env
        )


def stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """End the processes; nothing on these servers is worth an orderly end."""
    for process in processes:
        process.kill()
    for process in processes:
        process.wait(timeout=DEADLINE)


def wait_until(ready: Callable[[], bool], what: str, processes: Sequence[subprocess.Popen[bytes]], log: Path) -> None:
    """Poll until `ready`; say what the servers wrote if they end or do not get there."""
    deadline = time.monotonic() + DEADLINE
    while not ready():
        ended = [process.args for process in processes if process.poll() is not None]
        if ended or time.monotonic() > deadline:
            raise RuntimeError(f"{what}: {ended or 'no answer'}\n{log.read_text(errors='replace')[-3000:]}")
        time.sleep(0.05)


def accepts(port: int) -> bool:
    """Tell whether something listens on a port of loopback."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0
