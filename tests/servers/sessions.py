"""Sessions at a database server, looked at and ended from another one, on either kind of server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from data_platform.settings import Settings
from schemas import binding as binding_module
from schemas.binding import Binding
from schemas.drivers import MySQL, PostgreSQL, target
from servers.processes import DEADLINE

_LIVING = {
    "postgresql": "SELECT pid FROM pg_stat_activity WHERE application_name = 'data-platform' AND usename = %s",
    "mysql": "SELECT id FROM information_schema.processlist WHERE user = %s",
}
_END = {"postgresql": "SELECT pg_terminate_backend({})", "mysql": "KILL {}"}


def another_session(settings: Settings) -> Any:
    """Return a connection of the driver's, made as the product makes its own."""
    adapter = PostgreSQL() if settings.database.backend == "postgresql" else MySQL()
    return adapter.open(target(settings.database))


@contextmanager
def another_binding(binding: Binding) -> Iterator[Binding]:
    """Return a second session of the same login, as another process has one."""
    made = binding_module._connect(binding.settings)
    try:
        yield made
    finally:
        made.close()


def session_of(binding: Binding) -> int:
    """Return the number that the server knows the session of a binding by."""
    return int(binding.connection.adapter.get_connection_id(binding.connection._conn))


def others(binding: Binding) -> set[int]:
    """Return the sessions that the login of a binding has besides the binding's."""
    found = binding.connection.query(_LIVING[binding.backend], (binding.settings.database.user,)).fetchall()
    return {int(number) for (number,) in found} - {session_of(binding)}


def end_session(settings: Settings, number: int) -> None:
    """End a session as an administrator or a failover does, and wait until it is gone."""
    backend, user = settings.database.backend, settings.database.user
    with closing(another_session(settings)) as connection, connection.cursor() as cursor:
        cursor.execute(_END[backend].format(number))
        deadline = time.monotonic() + DEADLINE
        while True:
            cursor.execute(_LIVING[backend], (user,))
            if number not in {living for (living,) in cursor.fetchall()}:
                return
            assert time.monotonic() < deadline, "the session does not end"
            time.sleep(0.01)
