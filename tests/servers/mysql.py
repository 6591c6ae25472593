"""A real MySQL server on loopback, without Docker and without installing anything.

Where MySQL is not installed, Debian's packages of it are fetched with apt and unpacked below
the user's cache folder, once for all sessions of a machine.
"""

from __future__ import annotations

import os
import re
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

import platformdirs
import pymysql

from schemas.locks import EXCLUSIVE, locked
from servers.processes import free_port, start, stop, wait_until

HOW_TO_INSTALL = (
    "install MySQL 8.4 or newer to run this (not MariaDB), or run on Debian, where the tests fetch it by apt"
)
CACHE = platformdirs.user_cache_path("data-platform-tests")
FETCH_SECONDS = 600.0

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
    errors: ClassVar[type[Exception]] = pymysql.Error

    def connect(self, **changes: Any) -> Any:
        """Return a connection of the administrator's, in autocommit mode."""
        account = {"host": self.host, "port": self.port, "user": self.user, "password": self.password}
        return pymysql.connect(**{**account, "autocommit": True, "charset": "utf8mb4", **changes})

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
    root = CACHE / "mysql"
    if not root.is_dir():
        if not all(map(shutil.which, ("apt-get", "apt-cache", "dpkg"))):
            raise MySQLMissing(HOW_TO_INSTALL)
        CACHE.mkdir(parents=True, exist_ok=True)
        with locked(CACHE / "mysql.lock", EXCLUSIVE, FETCH_SECONDS):
            if not root.is_dir():
                _unpack(root)
    return _unpacked(root)


def _is_mysql(installed: str) -> bool:
    return "MariaDB" not in subprocess.run([installed, "--version"], capture_output=True, text=True, check=False).stdout


def _unpack(root: Path) -> None:
    making = Path(tempfile.mkdtemp(prefix="mysql-", dir=root.parent))
    try:
        _fetch(making)
        (making / "root").rename(root)
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or error
        raise MySQLMissing(f"{HOW_TO_INSTALL} ({said})") from error
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _fetch(folder: Path) -> None:
    """Fetch the packages from the mirror that this machine uses, and unpack them below ``root``.

    apt gets lists and a state of its own, so it changes nothing on the machine and needs no root.
    """
    mirror = re.search(r"\bhttps?://\S*?/debian\b", _output("apt-cache", "policy"))
    if mirror is None:
        raise FileNotFoundError("apt knows no Debian mirror")
    for name in ("lists/partial", "archives/partial", "root"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()
    (folder / "sources.list").write_text(f"deb {mirror[0]} sid main\n")
    changes = {
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::Lists": folder / "lists",
        "Dir::State::status": folder / "status",
        "Dir::Cache::archives": folder / "archives",
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "",
        "Acquire::Languages": "none",
        "Debug::NoLocking": "1",
    }
    options = [argument for name, value in changes.items() for argument in ("-o", f"{name}={value}")]
    _output("apt-get", *options, "update", "-qq")
    _output("apt-get", *options, "install", "-y", "-qq", "--download-only", "mysql-server-core")
    for package in (folder / "archives").glob("*.deb"):
        _output("dpkg", "-x", str(package), str(folder / "root"))


def _output(*command: str) -> str:
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True, timeout=FETCH_SECONDS
    ).stdout


def _unpacked(root: Path) -> list[str]:
    """Return the command for a server that is not where its package wants it, with the libraries it came with."""
    loader = next(path for path in sorted(root.glob("usr/lib*/ld-linux*")) + sorted(root.glob("usr/lib/*/ld-linux*")))
    libraries = next(path for path in sorted(root.glob("usr/lib/*-linux-gnu*")) if path.is_dir())
    return [
        str(loader),
        "--library-path",
        str(libraries),
        str(root / "usr/sbin/mysqld"),
        "--no-defaults",
        f"--basedir={root / 'usr'}",
        f"--lc-messages-dir={root / 'usr/share/mysql'}",
        f"--character-sets-dir={root / 'usr/share/mysql/charsets'}",
        f"--plugin-dir={root / 'usr/lib/mysql/plugin'}",
    ]


@contextmanager
def mysql_server(folder: Path) -> Iterator[MySQLServer]:
    """Run a server that keeps its data in `folder` and is gone afterwards.

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
    (folder / "first.sql").write_text(f"ALTER USER 'root'@'localhost' IDENTIFIED BY '{password}';\n"
                                      "RENAME USER 'root'@'localhost' TO 'root'@'%';\n")  # fmt: skip
    for attempt in range(3):
        server = MySQLServer(free_port(), password, folder)
        socket = tempfile.mkdtemp(prefix="mysql-")  # the path of a socket has to be short
        command = [*mysqld, *OPTIONS, f"--port={server.port}", f"--socket={socket}/s", f"--pid-file={folder / 'pid'}"]
        if attempt == 0:
            command.append(f"--init-file={folder / 'first.sql'}")
        process = start(command, log, environment)
        try:
            try:
                wait_until(partial(_answers, server), "mysqld", [process], log)
            except RuntimeError:
                if attempt == 2:
                    raise
                continue
            yield server
            return
        finally:
            stop([process])
            shutil.rmtree(socket, ignore_errors=True)


def _answers(server: MySQLServer) -> bool:
    with suppress(pymysql.Error, OSError):
        server.execute("SELECT 1")
        return True
    return False
