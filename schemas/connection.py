"""A DataJoint connection that comes back by itself, and does not outlive a fork."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from data_platform.errors import DatabaseUnavailable
from schemas.described import Known
from schemas.drivers import ConnectionLost, MySQL, PostgreSQL, Target
from schemas.engine import dj

from datajoint.connection import EmulatedCursor  # isort: skip  (after the quiet import)
from datajoint.settings import Config  # isort: skip  (after the quiet import)


class Connection(dj.Connection):
    """A connection that finds its server anew each time it has to connect.

    Outside a transaction a statement that meets a broken connection is repeated on a new one.
    Within a transaction it raises `ConnectionLost`: the work has to be repeated as a whole.

    Parameters
    ----------
    adapter
        The driver's dialect.
    locate
        Returns the server to connect to, having started it if need be.

    Attributes
    ----------
    known
        What the database would answer to some statements about its tables; see `schemas.described`.
    interrupted_id
        Number of the session, if any, in a statement of which a signal came last; it may be over.
    """

    def __init__(self, adapter: PostgreSQL | MySQL, locate: Callable[[], Target]) -> None:
        self._mended = adapter
        self._locate = locate
        self._pid = os.getpid()
        self._ended = False
        self._in_transaction = False
        self._acting: Callable[[], Target] | None = None
        self.known: Known = {}
        self.interrupted_id: int | None = None
        config = _private_config(adapter.backend)
        try:
            super().__init__("", "", "", 0, use_tls=False, backend=adapter.backend, config_override=config)
        except adapter.errors as error:  # connected, and cut off at once
            raise self._unavailable(error) from error

    def connect(self) -> None:
        """Connect, or connect anew.

        Raises
        ------
        DatabaseUnavailable
            If that does not succeed, or this object is no longer to be used.
        """
        self._assert_usable()
        self.adapter = self._mended
        found = (self._acting or self._locate)()
        self.conn_info.update(host=found.host, port=found.port, user=found.user, passwd="", ssl=None)
        try:
            self._conn = self._mended.open(found)
            self.connection_id = self._mended.get_connection_id(self._conn)  # reservations of jobs name it
        except (self._mended.errors, OSError) as error:  # OSError: no such file of certificates
            raise self._unavailable(error) from error
        self._is_closed = False

    def _unavailable(self, error: BaseException) -> DatabaseUnavailable:
        server = "{host}:{port} as {user}".format_map(self.conn_info)
        return DatabaseUnavailable(
            f"No connection to the {self._mended.backend} server {server}: {str(error).strip()}. "
            "See that it runs and that the settings `database.*` are right."
        )

    def query(self, query: str, args: Any = (), **options: Any) -> Any:
        """Execute a statement; see `datajoint.Connection.query`.

        Raises
        ------
        ConnectionLost
            If the connection broke within a transaction.
        DatabaseUnavailable
            If it broke and cannot be had again.
        """
        self._assert_usable()
        if query in self.known and (rows := self.known[query].get(args)) is not None:
            return EmulatedCursor([*rows] if options.get("as_dict") else [tuple(row.values()) for row in rows])
        if self._mended.is_broken(self._conn):
            if self._in_transaction:
                self._in_transaction = False
                raise ConnectionLost("The connection was lost during a transaction. Repeat what was being done.")
            self.connect()
        try:
            return super().query(query, args, **options)
        except dj.errors.LostConnectionError as error:
            if isinstance(error, DatabaseUnavailable):
                raise
            raise ConnectionLost(f"{error} Repeat what was being done.") from error
        except Exception:
            raise
        except BaseException:
            self.interrupted_id = self.connection_id
            self._mended.give_up(self._conn)
            raise

    def cancel_transaction(self) -> None:
        """Roll back. A transaction whose connection is lost was rolled back by the server."""
        try:
            super().cancel_transaction()
        except DatabaseUnavailable:
            self._in_transaction = False

    def another(self) -> Any:
        """Return a further connection of the driver's to the same server, for another thread.

        Raises what the driver raises if there is none.
        """
        return self._mended.open(self._locate())

    @contextmanager
    def acting(self, login: Callable[[], Target]) -> Iterator[None]:
        """Have all statements of the block go through a session of another login, which ends with the block.

        Tables are bound to this object, so theirs go there too; `another` still connects as before.

        Raises
        ------
        DatabaseUnavailable
            If that login gets no session.
        """
        self._assert_usable()
        own, number, told = self._conn, self.connection_id, dict(self.conn_info)
        self._acting = login
        try:
            self.connect()
            yield
        finally:
            self._acting, self._in_transaction = None, False
            if self._conn is not own:
                with suppress(self._mended.errors):
                    self._conn.close()
            self._conn, self.connection_id = own, number
            self.conn_info.update(told)

    def ensure(self) -> None:
        """Connect anew if the connection was lost. Raises `DatabaseUnavailable` if that fails."""
        self._assert_usable()
        if not self.is_connected:
            self._in_transaction = False
            self.connect()

    def close(self) -> None:
        """Close for good; a forked child leaves its parent's session alone."""
        self._ended = True
        if self._pid == os.getpid():
            super().close()

    def _assert_usable(self) -> None:
        if self._ended:
            raise DatabaseUnavailable("This connection was closed. Call bind() for a new one.")
        if self._pid != os.getpid():
            raise DatabaseUnavailable("This connection belongs to the parent process. Call bind() after a fork.")


class Instance(dj.Instance):
    """A DataJoint instance round such a connection."""

    def __init__(self, adapter: PostgreSQL | MySQL, locate: Callable[[], Target]) -> None:
        self.connection = Connection(adapter, locate)
        self.config = self.connection._config


def _private_config(backend: str) -> Config:
    """Return a configuration that no ``datajoint.json`` or ``DJ_*`` variable changes where it matters."""
    config = Config()
    config.database.backend = backend
    config.database.name = None
    config.database.reconnect = True
    config.database.database_prefix = ""
    config.database.create_tables = False
    config.provenance.capture = False
    config.jobs.add_job_metadata = False
    config.jobs.allow_new_pk_fields_in_computed_tables = False
    config.query_cache = None
    return config
