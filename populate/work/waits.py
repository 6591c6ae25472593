"""Waiting together: an application that a source told to wait is told of on all machines, by the database.

A look is one row by its key, on a connection of its own, for that of the process may be in the
midst of a transaction, which sees nothing of what others commit. Moments are those of the
database's clock, which all machines share. Without a database each machine keeps to what it was
told itself; whoever lost it has other work to end.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from data_platform.errors import DatabaseUnavailable
from populate.watch.session import Watch
from readers.microsoft365.brake import shared_by
from schemas.binding import Binding
from schemas.following import SourceWait

_LEFT = {
    "postgresql": "SELECT EXTRACT(EPOCH FROM MAX(wait_until) - (clock_timestamp() AT TIME ZONE 'UTC'))"
    " FROM {table} WHERE application_id = %s",
    "mysql": "SELECT TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(6), MAX(wait_until)) / 1000000"
    " FROM {table} WHERE application_id = %s",
}
_TELL = {
    "postgresql": "INSERT INTO {table} (application_id, wait_until, wait_told_at)"
    " SELECT %s, n.now + %s * INTERVAL '1 microsecond', n.now"
    " FROM (SELECT clock_timestamp() AT TIME ZONE 'UTC' AS now) AS n ON CONFLICT DO NOTHING RETURNING application_id",
    "mysql": "INSERT IGNORE INTO {table} (application_id, wait_until, wait_told_at)"
    " VALUES (%s, UTC_TIMESTAMP(6) + INTERVAL %s MICROSECOND, UTC_TIMESTAMP(6))",
}

_log = logging.getLogger(__name__)


class Waits:
    """The board of waits in the database; see `readers.microsoft365.brake.Board`."""

    def __init__(self, binding: Binding) -> None:
        table = SourceWait().full_table_name
        self._left, self._tell = (text[binding.backend].format(table=table) for text in (_LEFT, _TELL))
        self._watch = Watch(binding)

    def left(self, application: str) -> float:
        """Return how many seconds an application has still to wait, 0 if none or if the database is away."""
        try:
            ((found,),) = self._watch.ask(self._left, (application,))
        except DatabaseUnavailable as error:
            _log.warning("Whether Microsoft 365 told another machine to wait is not known now: %s", error)
            return 0.0
        return max(0.0, float(found or 0.0))

    def tell(self, application: str, seconds: float) -> None:
        """Have all machines wait for so many seconds from now."""
        try:
            self._watch.ask(self._tell, (application, round(seconds * 1_000_000)))
        except DatabaseUnavailable as error:
            _log.warning("Other machines could not be told to wait for Microsoft 365: %s", error)

    def close(self) -> None:
        """Hang up."""
        self._watch.close()


@contextmanager
def waiting_together(binding: Binding) -> Iterator[None]:
    """Wait, for the length of a block, for what other machines are told by a source, and tell them."""
    waits = Waits(binding)
    try:
        with shared_by(waits):
            yield
    finally:
        waits.close()
