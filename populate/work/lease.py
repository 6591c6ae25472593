"""Locks that a session of the database holds: who keeps the queues, asks or surveys, and how many workers live.

They end with the session, whichever way it ends, so nothing has to be tidied up after a
process that was killed. Taking one needs no privilege, on PostgreSQL and MySQL alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from data_platform.errors import DatabaseError
from schemas.binding import Binding
from schemas.drivers import DRIVER_ERRORS
from schemas.engine import dj

SLOTS = 256
"""Living processes of workers that are told apart; more of them work, but are not counted."""

LONGEST = 64  # letters of a lock's name on MySQL

_TAKE = {"postgresql": "SELECT pg_try_advisory_lock(%s)", "mysql": "SELECT GET_LOCK(%s, 0)"}
_GIVE = {"postgresql": "SELECT pg_advisory_unlock(%s)", "mysql": "SELECT RELEASE_LOCK(%s)"}
_END_IDLE = {"postgresql": "SET idle_session_timeout = '{}s'", "mysql": "SET SESSION wait_timeout = {}"}
_HELD = (
    "SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1"
    " AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


class Lease:
    """A lock by name, of which there is one in a catalogue.

    Parameters
    ----------
    binding
        The session that is to hold it.
    name
        Of the lock.
    idle_seconds
        Have the server end our session when nothing was asked for so long. It is the only way
        in which a server learns that a machine has gone that cannot say goodbye.
    """

    def __init__(self, binding: Binding, name: str, idle_seconds: int | None = None) -> None:
        self._binding = binding
        self._key = _key(binding, name)
        self._idle_seconds = idle_seconds
        self._session: int | None = None

    def take(self) -> bool:
        """Take it unless another session holds it; return whether this one does now."""
        connection = self._binding.connection
        if self._session == connection.connection_id:
            return True
        if self._idle_seconds is not None:
            connection.query(_END_IDLE[self._binding.backend].format(int(self._idle_seconds)))
        taken = bool(connection.query(_TAKE[self._binding.backend], (self._key,)).fetchone()[0])
        self._session = connection.connection_id if taken else None
        return taken

    @property
    def is_held(self) -> bool:
        """Whether the session in which it was taken is still the present one; else others may have had it since."""
        return bool(self._session == self._binding.connection.connection_id)

    def give(self) -> None:
        """Give it back; if the database is away, it is free anyway."""
        session, self._session = self._session, None
        if session == self._binding.connection.connection_id:
            with suppress(DatabaseError, dj.DataJointError, *DRIVER_ERRORS):
                self._binding.connection.query(_GIVE[self._binding.backend], (self._key,))

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Hold it for the length of a block, if it can be had; tell whether it is held."""
        try:
            yield self.take()
        finally:
            self.give()


def scheduler_lease(binding: Binding, idle_seconds: int | None = None) -> Lease:
    """Return the lease that whoever keeps the queues holds."""
    return Lease(binding, "scheduler", idle_seconds)


class Presence:
    """Lets others see that this process works for as long as its session lives."""

    def __init__(self, binding: Binding) -> None:
        self._binding = binding
        self._lease: Lease | None = None

    def show(self) -> None:
        """Take a place among the living, once for each session."""
        if self._lease is not None and self._lease.take():
            return
        slots = Locks(self._binding, [_slot(number) for number in range(SLOTS)])
        taken = slots.held(self._binding.connection.query(slots.statement, slots.arguments).fetchall())
        for number in (number for number, held in enumerate(taken) if not held):
            self._lease = Lease(self._binding, _slot(number))
            if self._lease.take():
                return

    def end(self) -> None:
        """Give the place back."""
        if self._lease is not None:
            self._lease.give()


class Locks:
    """Whether locks are held by anybody; `statement` and `arguments` ask for it, on whichever connection."""

    def __init__(self, binding: Binding, names: Sequence[str]) -> None:
        self._keys = [_key(binding, name) for name in names]
        asked = ", ".join(["IS_USED_LOCK(%s)"] * len(names))
        postgresql = binding.backend == "postgresql"
        self.statement = _HELD if postgresql else f"SELECT {asked}"
        self.arguments = () if postgresql else tuple(self._keys)
        self._read = self._listed if postgresql else self._asked

    def held(self, rows: Sequence[tuple[Any, ...]]) -> list[bool]:
        """Return from the answer whether each lock is held."""
        return self._read(rows)

    def _listed(self, rows: Sequence[tuple[Any, ...]]) -> list[bool]:
        found = {number for (number,) in rows}
        return [key in found for key in self._keys]

    def _asked(self, rows: Sequence[tuple[Any, ...]]) -> list[bool]:
        return [session is not None for session in rows[0]]


class Living(NamedTuple):
    """Processes of workers that live, and schedulers that keep the queues: 0 or 1."""

    workers: int
    schedulers: int


class LivingLocks(Locks):
    """The locks that tell who lives."""

    def __init__(self, binding: Binding) -> None:
        super().__init__(binding, ["scheduler", *map(_slot, range(SLOTS))])

    def living(self, rows: Sequence[tuple[Any, ...]]) -> Living:
        """Return from the answer who lives."""
        scheduler, *workers = self.held(rows)
        return Living(sum(workers), int(scheduler))


def living(binding: Binding) -> Living:
    """Return who lives. A worker that keeps the queues itself, for a moment, counts as a scheduler then."""
    locks = LivingLocks(binding)
    return locks.living(binding.connection.query(locks.statement, locks.arguments).fetchall())


def _slot(number: int) -> str:
    return f"worker_{number}"


def _key(binding: Binding, name: str) -> int | str:
    text = f"{binding.settings.database.prefix}_{name}"
    digest = hashlib.sha256(text.encode())
    if binding.backend == "mysql":
        return text if len(text) <= LONGEST else digest.hexdigest()[:LONGEST]
    return int.from_bytes(digest.digest()[:8], "big", signed=True)
