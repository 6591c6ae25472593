"""The embedded PostgreSQL server: started by whoever comes first, stopped by whoever leaves last.

``HOME/postgres.users``
    a lock that every process which uses the server shares, for as long as it does. Whoever
    can have it alone on leaving is the last one, and stops the server.
``HOME/postgres.start``
    a lock held while a process makes the database, or starts the server or waits for it.

The kernel releases both whatever becomes of their holder. A process that is killed leaves its
server running; the next one adopts it.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import psutil

from data_platform.errors import DatabaseUnavailable, DataPlatformError
from schemas import cluster, installation, postmaster
from schemas.locks import EXCLUSIVE, SHARED, locked, still_names, take_lock, try_lock
from schemas.postmaster import Address

_log = logging.getLogger(__name__)
PATIENCE_SECONDS = 120.0  # a loaded machine, or a recovery after a crash


class EmbeddedServer:
    """The server of a home, as one process uses it.

    Parameters
    ----------
    home
        Folder that holds, or for root points to, the data.
    fsync
        False for tests only: faster, but a crash of the machine may destroy the database.
    """

    def __init__(self, home: Path, *, fsync: bool = True) -> None:
        self.home = home
        self._fsync = fsync
        self._users: int | None = None
        self._process: psutil.Process | None = None
        self._guard = threading.RLock()
        _servers.add(self)

    def start(self) -> Address:
        """Become a user of the server, which is started unless it runs. May be called again.

        Raises
        ------
        DatabaseUnavailable
            If it does not come up; the message tells why.
        MissingExtra
            If PostgreSQL's programs are not installed.
        """
        with self._guard:
            known = self._users is not None
            try:
                self._join()
                with locked(self.home / "postgres.start", EXCLUSIVE, PATIENCE_SECONDS):
                    return self._start()
            except BaseException as error:
                if not known:
                    self.leave()
                if isinstance(error, OSError) and not isinstance(error, DatabaseUnavailable):
                    raise DatabaseUnavailable(f"The embedded database does not start: {error}. Mend that.") from error
                raise

    def launch(self) -> None:
        """Become a user of the server and launch it, but do not wait for it; whatever is wrong `start` tells."""
        with self._guard, suppress(DataPlatformError, OSError):
            self._join()
            with locked(self.home / "postgres.start", EXCLUSIVE, 0.0):
                data = cluster.data_folder(self.home)
                if data is not None and not postmaster.is_alive(data):
                    postmaster.launch(data, installation.find(cluster.release_of(data)), fsync=self._fsync)

    @property
    def is_in_use(self) -> bool:
        """Whether this process is a user of it by this."""
        return self._users is not None

    def leave(self) -> bool:
        """Cease to be a user; the last one stops the server. Return whether that was this one."""
        with self._guard:
            if self._users is None:
                return False
            users, self._users = self._users, None
            atexit.unregister(self.leave)
            try:
                if last := try_lock(users, EXCLUSIVE):
                    self._stop(ours=still_names(self.home / "postgres.users", users))
                return last
            finally:
                os.close(users)

    def remove(self) -> None:
        """Leave, and delete the database; for root also those of earlier homes of this name.

        Raises
        ------
        DatabaseUnavailable
            If others use it.
        """
        with self._guard:
            self.leave()
            there = self.home.is_dir()
            try:
                with locked(self.home / "postgres.users", EXCLUSIVE, 0.0) if there else nullcontext():
                    self._stop(ours=there)
                    for orphan in cluster.abandoned(self.home):
                        postmaster.stop(orphan)
                    cluster.remove(self.home)
            except TimeoutError as error:
                raise DatabaseUnavailable("The database is in use. End the processes that use it first.") from error

    def _join(self) -> None:
        path = self.home / "postgres.users"
        if self._users is not None and not still_names(path, self._users):
            self.leave()  # the home was deleted under us
        if self._users is None:
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._users = take_lock(path, SHARED, PATIENCE_SECONDS)
            atexit.register(self.leave)

    def _start(self) -> Address:
        data = cluster.data_folder(self.home)
        if data is None:
            for orphan in cluster.abandoned(self.home):
                postmaster.stop(orphan)
                _log.warning(
                    "An earlier %s left its database in %s. Delete that if nobody misses it.", self.home, orphan
                )
            data = cluster.create(self.home, installation.find(), fsync=self._fsync)
        cluster.note_home(self.home, data)
        return self._bring_up(data)

    def _bring_up(self, data: Path) -> Address:
        password = cluster.password_of(self.home)
        deadline = time.monotonic() + PATIENCE_SECONDS
        launched, why = False, ""
        while time.monotonic() < deadline:
            if not postmaster.is_alive(data):
                if launched:
                    why = postmaster.end_of_log(data)
                    break
                postmaster.launch(data, installation.find(cluster.release_of(data)), fsync=self._fsync)
                launched = True
            if (known := postmaster.status(data)) is not None and known.socket:
                address = Address(known.socket, known.port, cluster.USER, password, cluster.DATABASE)
                if not (why := postmaster.refusal(address)):
                    with suppress(psutil.Error):
                        self._process = psutil.Process(known.pid)
                    return address
            time.sleep(0.005)
        raise DatabaseUnavailable(f"The embedded database does not start: {why or 'no answer'}. Mend it, then retry.")

    def _stop(self, *, ours: bool) -> None:
        """Stop the server; `ours` tells whether the home is still the one that was joined."""
        data = None
        if ours:
            with suppress(DatabaseUnavailable):
                data = cluster.data_folder(self.home)
        if data is not None:
            postmaster.stop(data)
        elif self._process is not None:  # the home is gone: of the server only the process is left
            postmaster.end(self._process)
        self._process = None


_servers: weakref.WeakSet[EmbeddedServer] = weakref.WeakSet()
_launched: dict[Path, EmbeddedServer] = {}


@contextmanager
def launched(home: Path) -> Iterator[None]:
    """Have the server of a home, if there is a database, come up while this process still imports what it needs.

    If it is not used by then, as when that fails, it is left. Where this process uses it already, nothing is done.
    """
    if os.path.lexists(home / "postgres") and not any(one.home == home and one.is_in_use for one in list(_servers)):
        _launched[home] = EmbeddedServer(home)
        _launched[home].launch()
    try:
        yield
    finally:
        if (server := _launched.pop(home, None)) is not None:
            server.leave()


def server_of(home: Path) -> EmbeddedServer:
    """Return the server of a home, which may have been launched."""
    return _launched.pop(home, None) or EmbeddedServer(home)


def _forget_in_child() -> None:
    """A forked child is no user: its copy of the lock is its parent's, who could not tell when to stop."""
    for server in list(_servers):
        server._guard = threading.RLock()
        if server._users is not None:
            os.close(server._users)
            server._users = None
            atexit.unregister(server.leave)


os.register_at_fork(after_in_child=_forget_in_child)
