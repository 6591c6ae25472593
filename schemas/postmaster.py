"""One PostgreSQL server over a data folder: launched, asked how it is, stopped.

``DATA/server.lock`` is inherited by every process of the server and so tells beyond doubt
whether one is alive, which a pid in a file does not: pids are given away again, and mean
nothing outside their container.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from data_platform.errors import DatabaseUnavailable
from schemas.installation import Account, Installation
from schemas.locks import EXCLUSIVE, is_locked, locked

MAX_SOCKET_PATH = 100  # of the 104 bytes that every system allows
_SOCKET = ".s.PGSQL.5432"
_LOG_BYTES = 1024 * 1024
_OPTIONS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "work_mem": "64MB",  # with less, DataJoint's antijoins are quadratic
    "max_connections": "100",
    "max_parallel_workers_per_gather": "0",  # their shared memory does not fit into a container's /dev/shm
    "lc_messages": "C",
    "log_checkpoints": "off",
    "log_min_messages": "log",  # a statement that fails is its sender's business, and may hold what no log should
    "log_min_error_statement": "panic",
}
_WITHOUT_FSYNC = {"fsync": "off", "full_page_writes": "off"}  # a crash of the server alone still loses nothing


class Address(NamedTuple):
    """How to reach a server: `host` is the folder of its socket."""

    host: str
    port: int
    user: str
    password: str
    database: str

    def arguments(self) -> dict[str, str | int]:
        """Return them under the names that psycopg2 has for them."""
        return {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "password": self.password,
            "dbname": self.database,
        }

    def __repr__(self) -> str:
        return f"Address({self.host!r})"  # never the password


class Status(NamedTuple):
    """What PostgreSQL writes into ``postmaster.pid``; the socket's folder, last, when it listens."""

    pid: int
    port: int
    socket: str


def is_alive(data: Path) -> bool:
    """Return whether any process of the server of this folder lives."""
    return is_locked(data / "server.lock")


def status(data: Path) -> Status | None:
    """Return what the server, or one that crashed, wrote down about itself."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
        return Status(int(lines[0]), int(lines[3]), lines[4])
    except (OSError, IndexError, ValueError):  # not there, or being written
        return None


def refusal(address: Address) -> str:
    """Return why the server takes no connection yet; empty if it does.

    Raises
    ------
    DatabaseUnavailable
        If it never will.
    """
    import psycopg2

    try:
        psycopg2.connect(**address.arguments(), connect_timeout=10).close()
    except psycopg2.OperationalError as error:
        if "password authentication failed" in str(error):
            raise DatabaseUnavailable(
                "The embedded database refuses the password in HOME/postgres.password. Restore that file."
            ) from error
        return "" if "connection slots" in str(error) or "too many clients" in str(error) else str(error).strip()
    return ""


def launch(data: Path, programs: Installation, *, fsync: bool) -> None:
    """Start the server detached from this process: no zombie, no descriptor but its own lock."""
    _clear_crashed(data)
    _cut_log(data / "server.log")
    options = _OPTIONS | {"unix_socket_directories": _socket_folder(data, programs.account)}
    if not fsync:
        options |= _WITHOUT_FSYNC
    command = [programs.program("postgres"), "-D", str(data)]
    command += [argument for name, value in options.items() for argument in ("-c", f"{name}={value}")]
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    with locked(data / "server.lock", EXCLUSIVE, 1.0) as lock:
        log = os.open(data / "server.log", flags, 0o600)
        try:
            # The shell ends at once and leaves the server to init; it takes the words as they are.
            programs.run("/bin/sh", "-c", '"$@" &', "sh", *command, output=log, keep=(lock,))
        finally:
            os.close(log)


def stop(data: Path) -> None:
    """Stop the server of a data folder, if it runs, and clear its socket away."""
    _until(lambda: status(data) is not None or not is_alive(data), 20.0)  # it may have been launched this moment
    known = status(data)
    if known is not None and is_alive(data):
        with suppress(psutil.Error):
            process = psutil.Process(known.pid)
            if process.name().startswith("postgres"):
                end(process)
        _until(lambda: not is_alive(data), 20.0)  # its children, should it have been killed before
    if known is not None:
        _clear_socket(data, known.socket)


def end(process: psutil.Process) -> None:
    """Shut a server down in good order, or at once if that takes too long."""
    with suppress(psutil.Error):
        for number, seconds in ((signal.SIGINT, 60.0), (signal.SIGQUIT, 20.0)):
            process.send_signal(number)  # psutil makes sure that it is still the same process
            if _until(lambda: _has_ended(process), seconds):
                return


def end_of_log(data: Path) -> str:
    """Return the last words of the server."""
    try:
        return " / ".join((data / "server.log").read_text(errors="replace").splitlines()[-3:]) or "it says nothing"
    except OSError as error:
        return str(error)


def _until(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def _has_ended(process: psutil.Process) -> bool:
    # Not `Process.wait`: where init does not collect its dead, a zombie would be waited for.
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def _clear_crashed(data: Path) -> None:
    """Remove what a crashed server left; nothing of it is alive, as its lock is free.

    PostgreSQL would take the pid in these files for a server if another process, or a zombie, has it.
    """
    if (known := status(data)) is not None:
        _clear_socket(data, known.socket)
    for name in ("postmaster.pid", _SOCKET, f"{_SOCKET}.lock"):
        (data / name).unlink(missing_ok=True)


def _socket_folder(data: Path, account: Account | None) -> str:
    """Return a private folder whose path is short and plain enough for a socket."""
    if len(os.fsencode(data / _SOCKET)) <= MAX_SOCKET_PATH and all(c.isalnum() or c in "/._-" for c in str(data)):
        return str(data)
    place = tempfile.gettempdir() if len(tempfile.gettempdir()) < 40 else "/tmp"
    folder = tempfile.mkdtemp(prefix="data-platform-", dir=place)  # new, 0700: nobody can have made it before
    if account is not None:
        os.chown(folder, account.uid, account.gid)
    return folder


def _clear_socket(data: Path, folder: str) -> None:
    path = Path(folder)
    if path == data or not path.name.startswith("data-platform-"):
        return
    with suppress(OSError):
        if path.lstat().st_uid == data.stat().st_uid:
            for name in (_SOCKET, f"{_SOCKET}.lock"):
                (path / name).unlink(missing_ok=True)
            path.rmdir()


def _cut_log(log: Path) -> None:
    with suppress(FileNotFoundError):
        if log.lstat().st_size > _LOG_BYTES:
            log.replace(log.with_name("server.log.old"))
