"""A MySQL server that a test may stop and kill, and start again with its data."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path

from servers.debian import FETCH_SECONDS
from servers.mysql import OPTIONS, MySQLServer, answers, program
from servers.processes import DEADLINE, start, stop, wait_until

ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C"}
DURABLE = "--innodb-flush-log-at-trx-commit=2"  # what was committed outlives a killed server, though no power cut
# Below those that systems give to whoever asks for any: it must still be free when the server starts again.
PORTS = range(20_000, 32_000)


class OwnMySQL:
    """A server of its own, with an administrator.

    Attributes
    ----------
    account
        Settings of the database that lead there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = folder / "log"
        self._sockets = Path(tempfile.mkdtemp(prefix="mysql-"))  # the path of a socket has to be short
        self._server = MySQLServer(_port(), secrets.token_hex(16), folder)
        account = {"host": self._server.host, "port": str(self._server.port), "user": self._server.user}
        self.account = {"backend": "mysql", **account, "password": self._server.password}
        self._command = [*program(), f"--datadir={folder / 'data'}", "--secure-file-priv=NULL"]
        if os.geteuid() == 0:
            self._command.append("--user=root")
        with self._log.open("ab") as output:
            subprocess.run(
                [*self._command, "--initialize-insecure"],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=ENVIRONMENT,
                check=True, timeout=FETCH_SECONDS,
            )  # fmt: skip
        first = folder / "first.sql"
        first.write_text(
            f"ALTER USER 'root'@'localhost' IDENTIFIED BY '{self._server.password}';\n"
            "RENAME USER 'root'@'localhost' TO 'root'@'%';\n"
        )
        self._start(f"--init-file={first}")

    def start(self) -> None:
        self._start()

    def stop(self) -> None:
        """Stop it as an administrator would."""
        self._process.terminate()
        self._process.wait(timeout=DEADLINE)

    def kill(self) -> None:
        """Kill it; `start` then recovers it."""
        stop([self._process])

    def remove(self) -> None:
        self.kill()
        shutil.rmtree(self._sockets, ignore_errors=True)

    def _start(self, *options: str) -> None:
        where = (f"--port={self._server.port}", f"--socket={self._sockets / 's'}", f"--pid-file={self._folder / 'pid'}")
        self._process = start([*self._command, *OPTIONS, DURABLE, *where, *options], self._log, ENVIRONMENT)
        wait_until(partial(answers, self._server), "mysqld", [self._process], self._log)


def _port() -> int:
    for _ in range(1000):
        port = secrets.choice(PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no port is free")
