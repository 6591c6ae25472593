"""A real MySQL server on loopback, without Docker and without installing anything.

Where MySQL is not installed, Debian's packages of it are fetched with apt and unpacked below
the user's cache folder, once for all sessions of a machine.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pymysql

from servers import debian
from servers.debian import FETCH_SECONDS
from servers.processes import free_port, start, stop, wait_until

HOW_TO_INSTALL = (
    "install MySQL 8.4 or newer to run this (not MariaDB), or run on Debian, where the tests fetch it by apt"
)

# Nothing on this server is worth a flush.
OPTIONS = (
    "--bind-address=127.0.0.1",
    "--mysqlx=OFF",
    "--skip-log-bin",
    "--skip-name-resolve",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-flush-method=nosync",
    "--innodb-doublewrite=OFF",
    "--innodb-buffer-pool-size=128M",
    "--innodb-redo-log-capacity=64M",
    "--performance-schema=OFF",
    "--default-time-zone=+05:45",  # the product must not rely on the server's
    "--max-connections=200",
)


class MySQLMissing(Exception):
    """No MySQL is installed here, and none can be fetched."""


@dataclass(frozen=True)
class MySQLServer:
    """A running server and its administrator."""

    port: int
    password: str = field(repr=False)
    folder: Path
    host: str = "127.0.0.1"
    user: str = "root"
    socket: str = ""
    tls: dict[str, Any] = field(default_factory=dict)
    errors: ClassVar[type[Exception]] = pymysql.Error

    def connect(self, **changes: Any) -> Any:
        """Return a connection of the administrator's, in autocommit mode."""
        account = {"host": self.host, "port": self.port, "user": self.user, "password": self.password}
        tls = self.tls or {"ssl_disabled": True}  # else each connection reads the machine's certificate authorities
        return pymysql.connect(**{**account, **tls, "autocommit": True, "charset": "utf8mb4", **changes})

    def execute(self, *statements: str) -> list[tuple[Any, ...]]:
        """Execute statements on a connection of their own; return the rows of the last."""
        with self.connect() as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())


def program() -> list[str]:
    """Return the command that is ``mysqld`` here: the installed one, else an unpacked one.

    Raises
    ------
    MySQLMissing
        If there is none, and none can be fetched.
    """
    if (installed := shutil.which("mysqld", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")) and _is_mysql(
        installed
    ):
        return [installed, "--no-defaults"]
    root = _unpacked("mysql", "mysql-server-core")
    return [
        *debian.command(root, "usr/sbin/mysqld"),
        "--no-defaults",
        f"--basedir={root / 'usr'}",
        f"--lc-messages-dir={root / 'usr/share/mysql'}",
        f"--character-sets-dir={root / 'usr/share/mysql/charsets'}",
        f"--plugin-dir={root / 'usr/lib/mysql/plugin'}",
    ]


def client(name: str) -> list[str]:
    """Return the command that is a program of MySQL's client here, as ``mysqldump``.

    Raises
    ------
    MySQLMissing
        If there is none, and none can be fetched.
    """
    if (installed := shutil.which(name)) and _is_mysql(installed):
        return [installed]
    return debian.command(_unpacked("mysql-client", "mysql-client-core"), f"usr/bin/{name}")


def _unpacked(name: str, package: str) -> Path:
    try:
        return debian.unpacked(name, package, suite="sid")  # no stable release has MySQL
    except debian.Unavailable as error:
        raise MySQLMissing(f"{HOW_TO_INSTALL} ({error})") from error


def _is_mysql(installed: str) -> bool:
    return "MariaDB" not in subprocess.run([installed, "--version"], capture_output=True, text=True, check=False).stdout


@contextmanager
def mysql_server(folder: Path, *options: str, **tls: Any) -> Iterator[MySQLServer]:
    """Run a server that keeps its data in `folder` and is gone afterwards.

    More `options` go before those that keep it quick and to itself; `tls` is how its administrator connects.

    A port that was free may be taken by the time the server binds it, so it is tried thrice.

    Raises
    ------
    MySQLMissing
        If there is no MySQL here.
    """
    mysqld = [*program(), f"--datadir={folder / 'data'}", "--secure-file-priv=NULL"]
    if os.geteuid() == 0:
        mysqld.append("--user=root")
    log = folder / "log"
    environment = {"PATH": os.defpath, "LC_ALL": "C"}
    with log.open("ab") as output:
        subprocess.run(
            [*mysqld, "--initialize-insecure"],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, check=True, timeout=FETCH_SECONDS,
        )  # fmt: skip
    password = secrets.token_hex(16)
    (folder / "first.sql").write_text(
        f"CREATE USER IF NOT EXISTS 'root'@'%' IDENTIFIED BY '{password}';\n"
        "GRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION;\n"
        "DROP USER IF EXISTS 'root'@'localhost';\n"
    )
    for attempt in range(3):
        socket = tempfile.mkdtemp(prefix="mysql-")  # the path of a socket has to be short
        server = MySQLServer(free_port(), password, folder, socket=f"{socket}/s", tls=tls)
        command = [
            *mysqld,
            *options,
            *OPTIONS,
            f"--port={server.port}",
            f"--socket={server.socket}",
            f"--pid-file={folder / 'pid'}",
            f"--init-file={folder / 'first.sql'}",
        ]
        process = start(command, log, environment)
        try:
            try:
                wait_until(partial(answers, server), "mysqld", [process], log)
            except RuntimeError:
                if attempt == 2:
                    raise
                continue
            yield server
            return
        finally:
            stop([process])
            shutil.rmtree(socket, ignore_errors=True)


def answers(server: MySQLServer) -> bool:
    with suppress(pymysql.Error, OSError):
        server.execute("SELECT 1")
        return True
    return False
