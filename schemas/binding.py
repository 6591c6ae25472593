"""The one connection of a process to the catalogue, and the tables bound to it.

The table modules import without a connection; `bind` connects, finds out whether the tables
are there, and activates the modules in the order in which they depend on each other.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from data_platform import settings as configuration
from data_platform.errors import DatabaseError, DatabaseUnavailable, NotDeployed, SettingsError
from data_platform.settings import Settings
from schemas import catalogue, declared, people, sharing
from schemas.connection import Connection, Instance
from schemas.described import describe
from schemas.drivers import DRIVER_ERRORS, MySQL, PostgreSQL, Target, target
from schemas.embedded import EmbeddedServer, server_of
from schemas.engine import dj

Schemas = Sequence[tuple[str, dj.Schema]]
CORE: Schemas = (("people", people.schema), ("catalogue", catalogue.schema), ("sharing", sharing.schema))
DEPLOY_SECONDS = 120.0


@dataclass(eq=False)
class Binding:
    """A process's connection to the catalogue. Not thread-safe: one process, one binding, one connection.

    Attributes
    ----------
    instance
        The DataJoint instance round the connection.
    backend
        ``postgresql`` (the embedded database too) or ``mysql``.
    settings
        What it was made with.
    """

    instance: dj.Instance
    backend: str
    settings: Settings = field(repr=False)
    _server: EmbeddedServer | None = field(default=None, repr=False)
    _active: dict[str, dj.Schema] = field(default_factory=dict, repr=False)

    @property
    def connection(self) -> Connection:
        """The DataJoint connection."""
        found: Connection = self.instance.connection
        return found

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Commit what the block does, or undo all of it if it raises.

        Raises
        ------
        DatabaseUnavailable
            If the connection breaks on the way; then nothing of the block is done.
        """
        with self.connection.transaction:
            yield self.connection

    def ensure(self) -> None:
        """Reconnect if the connection was lost. Call it before each unit of work.

        Raises
        ------
        DatabaseUnavailable
            If no connection can be had.
        """
        self.connection.ensure()

    def close(self) -> None:
        """Disconnect and release the table modules; the last user of the embedded server stops it."""
        with _guard:
            global _current
            if _current is self:
                _current = None
            for schema in self._active.values():
                if schema.connection is self.connection:
                    declared.release(schema)
            self._active.clear()
            with suppress(*DRIVER_ERRORS):
                self.connection.close()
            if self._server is not None:
                self._server.leave()

    def _bind(self, schemas: Schemas, deploy: bool) -> None:
        named = [(f"{self.settings.database.prefix}_{name}", schema) for name, schema in schemas]
        if not deploy:
            named = [(name, schema) for name, schema in named if name not in self._active]
        if not named:
            return
        absent = declared.missing(self.connection, named)
        if absent and not deploy and self._server is None:
            raise NotDeployed(
                f"The database lacks {len(absent)} tables, as {absent[0]}. Its owner has to run `data-platform deploy`."
            )
        try:
            if deploy or absent:
                self.connection.known.clear()
                with self._deploying(), declared.quickly(self.connection, named[0][0]):
                    self._each(declared.declare, named)
                self.connection.known |= describe(self.connection, [*self._active])
            else:
                self.connection.known |= describe(self.connection, [name for name, _ in named])
                self._each(declared.activate, named)
        except BaseException:
            for name, schema in named:  # half bound is worse than not bound
                self._active.pop(name, None)
                declared.forget(schema)
            raise

    def _each(self, step: Callable[[Connection, str, dj.Schema], None], named: Schemas) -> None:
        for name, schema in named:
            step(self.connection, name, schema)
            self._active[name] = schema

    @contextmanager
    def _deploying(self) -> Iterator[None]:
        """Keep others from declaring tables at the same time; the lock ends with the connection."""
        key = f"{self.settings.database.prefix}_deploy"
        number = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big", signed=True)
        take, release, argument = {
            "postgresql": ("SELECT pg_try_advisory_lock(%s)", "SELECT pg_advisory_unlock(%s)", number),
            "mysql": ("SELECT GET_LOCK(%s, 0)", "SELECT RELEASE_LOCK(%s)", key),
        }[self.backend]
        deadline = time.monotonic() + DEPLOY_SECONDS
        while not self.connection.query(take, (argument,)).fetchone()[0]:
            if time.monotonic() > deadline:
                raise DatabaseUnavailable("Another process is deploying all the time. Retry when it has ended.")
            time.sleep(0.05)
        try:
            yield
        finally:
            with suppress(DatabaseError, dj.DataJointError, *DRIVER_ERRORS):
                self.connection.query(release, (argument,))


def bind(settings: Settings | None = None, *, deploy: bool = False, schemas: Schemas = CORE) -> Binding:
    """Connect this process to the catalogue; a second call returns the same binding.

    Parameters
    ----------
    settings
        Those of the process unless given.
    deploy
        Declare the tables that are missing. The embedded database needs no deploying: there
        whoever comes first declares them.
    schemas
        Names (without the prefix) and DataJoint schemas, in the order of their foreign keys.
        Those of an earlier call stay bound.

    Raises
    ------
    DatabaseUnavailable
        If no connection can be had.
    NotDeployed
        If tables are missing and are not to be declared.
    SchemaMismatch
        If the tables were made by another release.
    SettingsError
        If the process is bound to another database.
    DatabaseError
        If the database refuses, say for want of rights.
    """
    global _current
    with _guard:
        wanted = settings or configuration.settings()
        binding = _current
        if binding is None:
            binding = _connect(wanted)
        elif _place(binding.settings) != _place(wanted):
            raise SettingsError("This process is bound to another database. Call unbind() first.")
        try:
            binding._bind(schemas, deploy)
        except BaseException as error:
            if binding is not _current:
                binding.close()
            if isinstance(error, (dj.DataJointError, *DRIVER_ERRORS)) and not isinstance(error, DatabaseError):
                advice = "Deploy with an account that owns the schemas."
                raise DatabaseError(f"The database refuses: {error} {advice}") from error
            raise
        _current = binding
        return binding


def unbind() -> None:
    """Close this process's binding, if there is one, so that it can bind to another database."""
    with _guard:
        if _current is not None:
            _current.close()


def _place(settings: Settings) -> tuple[object, ...]:
    database = settings.database
    if database.backend == "embedded":
        return (database.backend, settings.home, database.prefix)
    return (database.backend, database.host, database.port, database.name, database.user, database.prefix)


def _connect(settings: Settings) -> Binding:
    database = settings.database
    server = server_of(settings.home) if database.backend == "embedded" else None
    adapter = MySQL() if database.backend == "mysql" else PostgreSQL()
    locate = _locator(server) if server else lambda: target(database)
    try:
        instance = Instance(adapter, locate)
    except BaseException:
        if server:
            server.leave()
        raise
    return Binding(instance, adapter.backend, settings, server)


def _locator(server: EmbeddedServer) -> Callable[[], Target]:
    return lambda: Target(*server.start())


_guard = threading.RLock()
_current: Binding | None = None
_inherited: list[Binding] = []


def _forget_in_child() -> None:
    """A forked child has no binding: a session cannot be shared. It is kept, as its end would be the parent's too."""
    global _guard, _current
    _guard = threading.RLock()
    if _current is not None:
        _inherited.append(_current)
        for schema in _current._active.values():
            declared.release(schema)
        _current = None


os.register_at_fork(after_in_child=_forget_in_child)
