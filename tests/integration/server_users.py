"""Processes that use the embedded server, and a look at the server itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import psycopg2

from schemas import cluster, postmaster
from schemas.postmaster import Address

ROOT = os.geteuid() == 0
PROJECT = Path(__file__).parents[2]
PATIENCE_SECONDS = 120.0

_SCRIPT = """
import sys
from pathlib import Path
from schemas.embedded import EmbeddedServer

server = EmbeddedServer(Path(sys.argv[1]), fsync=False)
address = server.start()
print(address.host, flush=True)
for command in sys.stdin:
    {"leave": server.leave, "start": server.start}[command.strip()]()
    print("done", flush=True)
"""


class User:
    """A process that starts or joins the server of a home and lives until it is told otherwise."""

    def __init__(self, home: Path, *, script: str = _SCRIPT, **options: Any) -> None:
        self.process: subprocess.Popen[str] = subprocess.Popen(
            [options.pop("python", sys.executable), "-c", script, str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=PROJECT,
            start_new_session=True,
            **options,
        )

    def word(self) -> str:
        """Return the next line that the process writes; empty if it has ended."""
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def do(self, command: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()
        assert self.word() == "done"

    def end(self) -> int:
        """Let the process come to its end, and return its exit code."""
        assert self.process.stdin
        self.process.stdin.close()
        code = self.process.wait(PATIENCE_SECONDS)
        self._close()
        return code

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal that ends the process."""
        self.process.send_signal(number)
        self.process.wait(PATIENCE_SECONDS)
        self._close()

    def _close(self) -> None:
        for stream in (self.process.stdin, self.process.stdout):
            if stream and not stream.closed:
                stream.close()

    def __enter__(self) -> User:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.kill()
        self._close()


def started(home: Path, **options: Any) -> User:
    """Return a user whose server runs."""
    user = User(home, **options)
    assert user.word(), "the server did not start"
    return user


def data(home: Path) -> Path:
    found = cluster.data_folder(home)
    assert found is not None
    return found


def runs(home: Path) -> bool:
    return postmaster.is_alive(data(home))


def postmaster_of(home: Path) -> psutil.Process:
    known = postmaster.status(data(home))
    assert known is not None
    process = psutil.Process(known.pid)
    assert process.name() == "postgres"
    return process


def address(home: Path) -> Address:
    known = postmaster.status(data(home))
    assert known is not None
    return Address(known.socket, known.port, cluster.USER, cluster.password_of(home), cluster.DATABASE)


def execute(home: Path, statement: str, *arguments: object) -> list[tuple[Any, ...]]:
    """Execute a statement on a connection of its own."""
    connection = psycopg2.connect(**address(home).arguments())
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement, arguments)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def until(condition: Callable[[], bool]) -> None:
    """Wait until something holds; fail if it never does."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it never came to pass"
        time.sleep(0.02)


def has_ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
