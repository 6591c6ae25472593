"""A real MariaDB server on loopback, from Debian's packages, which are not installed: some start a service."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from servers import debian
from servers.mysql import MySQLServer, answers
from servers.processes import free_port, start, stop, wait_until

HOW_TO_INSTALL = "run on Debian, where the tests fetch MariaDB by apt"

# As the platform wants it, and nothing on this server is worth a flush.
OPTIONS = (
    "--bind-address=127.0.0.1",
    "--skip-log-bin",
    "--skip-name-resolve",
    "--character-set-server=utf8mb4",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-buffer-pool-size=64M",
    "--default-time-zone=-03:30",  # the product must not rely on the server's
)
TABLES = ("mariadb_system_tables.sql", "mariadb_performance_tables.sql", "mariadb_system_tables_data.sql")


class MariaDBMissing(Exception):
    """No MariaDB can be fetched here."""


def _program() -> tuple[list[str], Path]:
    """Return the command that is ``mariadbd``, and the folder of what belongs to it."""
    try:
        root = debian.unpacked("mariadb", "mariadb-server-core", suite="stable")
    except debian.Unavailable as error:
        raise MariaDBMissing(f"{HOW_TO_INSTALL} ({error})") from error
    share = root / "usr/share/mariadb"
    options = ("--no-defaults", f"--basedir={root / 'usr'}", f"--lc-messages-dir={share}")
    user = ("--user=root",) if os.geteuid() == 0 else ()
    return [*debian.command(root, "usr/sbin/mariadbd"), *options, *user], share


@contextmanager
def mariadb_server(folder: Path) -> Iterator[MySQLServer]:
    """Run a server that keeps its data in `folder` and is gone afterwards.

    A port that was free may be taken by the time the server binds it, so it is tried thrice.

    Raises
    ------
    MariaDBMissing
        If there is no MariaDB here.
    """
    mariadbd, share = _program()
    mariadbd.append(f"--datadir={folder / 'data'}")
    log = folder / "log"
    _make_system_tables(mariadbd, share, folder, log)
    password = secrets.token_hex(16)
    (folder / "first.sql").write_text(
        f"CREATE OR REPLACE USER root@'127.0.0.1' IDENTIFIED BY '{password}';\n"
        "GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;\n"
    )
    for attempt in range(3):
        socket = tempfile.mkdtemp(prefix="mariadb-")  # the path of a socket has to be short
        server = MySQLServer(free_port(), password, folder, socket=f"{socket}/s")
        here = (f"--port={server.port}", f"--socket={server.socket}", f"--pid-file={folder / 'pid'}")
        process = start([*mariadbd, *OPTIONS, *here, f"--init-file={folder / 'first.sql'}"], log)
        try:
            try:
                wait_until(partial(answers, server), "mariadbd", [process], log)
            except RuntimeError:
                if attempt == 2:
                    raise
                continue
            yield server
            return
        finally:
            stop([process])
            shutil.rmtree(socket, ignore_errors=True)


def _make_system_tables(mariadbd: list[str], share: Path, folder: Path, log: Path) -> None:
    """Do what mariadb-install-db does, which finds no server that is not installed."""
    (folder / "data").mkdir()
    script = "CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket=NULL;\n"
    for name in TABLES:
        script += "".join(
            line for line in (share / name).read_text().splitlines(keepends=True) if "@current_hostname" not in line
        )
    with log.open("ab") as output:
        subprocess.run(
            [*mariadbd, "--bootstrap", "--skip-networking"],
            input=script.encode(), stdout=output, stderr=output, check=True, timeout=debian.FETCH_SECONDS,
        )  # fmt: skip
