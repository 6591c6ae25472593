"""Rounds of removals: how objects leave a store. Why it is safe stands in `populate.backup.removal`."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from data_platform.errors import ObjectLocked, StoreUnavailable
from data_platform.settings import Settings
from populate.backup.erased import erased
from populate.backup.removal import Removal, RemovalClaim, RemovalDone, claims_made, object_id, pass_gate, server_now
from populate.backup.stores import record_store
from populate.backup.tables import Placement
from populate.lookup import lookup
from populate.store import Store, content_of
from populate.work.lease import Lease
from readers.event import consumer
from schemas.binding import Binding
from schemas.identity import display_text

AT_ONCE = 200
"""Objects that are removed between two looks whether this is still the round at work."""

TAKE_OVER = timedelta(hours=1)
"""After which the claims of a round that was killed are carried out by another one."""

VALID_SECONDS = 1800.0
"""After which a round removes none of its own claims any more: well before anybody takes them over.

A process that is suspended between looking and removing is told by no lock; only that such a pause of half an
hour, and to the instruction, is nothing that happens.
"""

PATIENCE_SECONDS = 30.0
# It sees what others committed while it waited at the gate, whatever the server is set to.
_SEES_ALL = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED"
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # goes on while a machine sleeps
_OPEN = (
    "SELECT c.removal, c.object_name, c.claimed_at FROM {claim} AS c LEFT JOIN {done} AS d"
    " ON d.store_id = c.store_id AND d.removal = c.removal AND d.object_id = c.object_id"
    " WHERE c.store_id = %s AND d.store_id IS NULL ORDER BY c.removal, c.object_name"
)


class Round:
    """The round of removals that is at work in a store; `removing` makes it.

    Attributes
    ----------
    store_id
        Identity of the store.
    number
        Of the round.
    locked
        Objects that the store lets nobody remove yet. Without rows they are met, and tried, again.
    """

    def __init__(self, binding: Binding, store: Store, by: str, lease: Lease) -> None:
        self.store = store
        self.store_id = record_store(store.name)
        self._binding = binding
        self._lease = lease
        self._but_for: dict[str, Collection[str]] = {}
        self._claimed_at: dict[str, float] = {}
        self.locked: set[str] = set()
        self.number = self._begin(by)

    def _begin(self, by: str) -> int:
        with self._alone():
            number = max((n for (n,) in lookup(Removal, "removal", store_id=(self.store_id,))), default=0) + 1
            Removal.insert1(
                {"store_id": self.store_id, "removal": number, "removal_began_at": self._now(), "removal_by": by}
            )
        return number

    @contextmanager
    def behind_gate(self) -> Iterator[None]:
        """Keep everybody from recording places in a transaction: what is judged in it is judged by all there is.

        Raises
        ------
        StoreUnavailable
            If another round is at work by now.
        """
        with self._alone():
            self.assert_at_work()
            yield

    @contextmanager
    def _alone(self) -> Iterator[None]:
        connection = self._binding.connection
        if self._binding.backend == "mysql":
            connection.query(_SEES_ALL)  # of the next transaction
        session = connection.connection_id
        with self._binding.transaction():
            if self._binding.backend == "postgresql":
                connection.query(_SEES_ALL)  # of this transaction
            pass_gate(connection, self.store_id, alone=True)
            if connection.connection_id != session:
                raise StoreUnavailable("The connection to the database was lost meanwhile. Do the same once more.")
            yield

    def claim(self, names: Collection[str], but_for: Collection[str] = frozenset()) -> list[str]:
        """Claim those of some objects to which no row leads, and return them. To be called behind the gate.

        Parameters
        ----------
        names
            Of objects.
        but_for
            SHA-256 of contents whose rows do not count: they are erased, or lost anyway.
        """
        free = sorted(set(names) - self._in_use(names, but_for) - self._stored_again(names, but_for))
        ids = {object_id(name) for name in free}
        known = {name for (name,) in lookup(RemovalClaim, "object_name", object_id=ids, **self._round())}
        made = claims_made(self.store_id)
        new = enumerate((name for name in free if name not in known), start=made + 1)
        rows = [self._key(name) | {"object_name": name, "claim_number": number} for number, name in new]
        now = self._now()
        RemovalClaim.insert(row | {"claimed_at": now} for row in rows)
        self._claimed_at |= dict.fromkeys(free, time.clock_gettime(_CLOCK))
        self._but_for |= dict.fromkeys(free, but_for)
        return free

    def remove(self, names: Sequence[str]) -> list[str]:
        """Remove claimed objects, some at a time, and return those that were there.

        Raises
        ------
        StoreUnavailable, StoreError
            If the store does not let them be removed, or another round is at work by now.
        """
        removed: list[str] = []
        for start in range(0, len(names), AT_ONCE):
            some = names[start : start + AT_ONCE]
            self.assert_at_work()
            used = {name for name in some if self._in_use([name], self._but_for.get(name, ()))}
            free = [name for name in some if name not in used and self._is_valid(name)]
            removed += self._removed(free)
            self._done(self.number, free)  # locked ones, too: they stay, so whoever finds them may rely on them
        return removed

    def _removed(self, names: list[str]) -> list[str]:
        try:
            return self.store.remove_many(names)
        except ObjectLocked as error:
            self.locked |= error.names
            return [name for name in names if name not in error.names]

    def carry_on(self, take_over: timedelta = TAKE_OVER) -> list[str]:
        """Remove what rounds claimed that were killed, and return it; what rows lead to by now stays.

        Until then whoever backs up stores none of it again, nor what went after it.
        """
        names = {"claim": RemovalClaim().full_table_name, "done": RemovalDone().full_table_name}
        rows = self._binding.connection.query(_OPEN.format(**names), args=(self.store_id,)).fetchall()
        before = self._now() - take_over
        old = [(number, name) for number, name, at in rows if number < self.number and at <= before]
        removed: list[str] = []
        for start in range(0, len(old), AT_ONCE):
            some = old[start : start + AT_ONCE]
            with self.behind_gate():
                free = self.claim({name for _, name in some})
            removed += self.remove(free)
            for number in sorted({number for number, _ in some}):
                self._done(number, [name for of, name in some if of == number])
        return removed

    def _done(self, number: int, names: Collection[str]) -> None:
        """Note down that a round's claims are carried out. Who removes may only insert, and skip nothing."""
        now = self._now()
        rows = {object_id(name): self._key(name) | {"removal": number, "removed_at": now} for name in names}
        known = lookup(RemovalDone, "object_id", store_id=(self.store_id,), removal=(number,), object_id=rows.keys())
        RemovalDone.insert(row for key, row in rows.items() if (key,) not in known)

    def _stored_again(self, names: Collection[str], but_for: Collection[str]) -> set[str]:
        """Return those of some objects that this round has removed before, but for those of contents in `but_for`.

        What has such a name was stored by somebody who knows of that claim, and who would not meet a second one
        of the same number. The next round may have it.
        """
        ids = {object_id(name): name for name in names if content_of(name) not in but_for}
        done = lookup(RemovalDone, "object_id", object_id=ids.keys(), **self._round())
        return {ids[found] for (found,) in done}

    def _in_use(self, names: Collection[str], but_for: Collection[str]) -> set[str]:
        """Return those of some objects to which rows lead; not those of contents that are erased."""
        own = {sha256: name for name in names if (sha256 := content_of(name))}
        rows = lookup(Placement, "sha256", "object_name", store_id=(self.store_id,), sha256=own.keys())
        packs = set(names) - set(own.values())
        rows += lookup(Placement, "sha256", "object_name", store_id=(self.store_id,), object_name=packs)
        wanted = {sha256 for sha256, _ in rows} - set(but_for)
        wanted -= erased(wanted)
        return {name for sha256, name in rows if sha256 in wanted and name in names}

    def _now(self) -> datetime:
        return server_now(self._binding.connection)

    def _is_valid(self, name: str) -> bool:
        return time.clock_gettime(_CLOCK) - self._claimed_at.get(name, float("-inf")) < VALID_SECONDS

    def assert_at_work(self) -> None:
        """Raise `StoreUnavailable` if another round is at work by now."""
        numbers = [n for (n,) in lookup(Removal, "removal", store_id=(self.store_id,))]
        if max(numbers) != self.number or not self._lease.take():
            raise StoreUnavailable(
                f"Another round of removals is at work in {self.store.name}. Nothing to do: it carries on."
            )

    def _round(self) -> dict[str, Collection[str] | Collection[int]]:
        return {"store_id": (self.store_id,), "removal": (self.number,)}

    def _key(self, name: str) -> dict[str, object]:
        return {"store_id": self.store_id, "removal": self.number, "object_id": object_id(name)}


@contextmanager
def removing(binding: Binding, store: Store, settings: Settings) -> Iterator[Round]:
    """Begin a round of removals in a store; of several, one is at work.

    Raises
    ------
    StoreUnavailable
        If another one is, and does not end soon; or if contents are sealed, and nobody here opens them.
    """
    store.refuse_seals()
    login = consumer(settings, None).login
    lease = Lease(binding, f"removal_{record_store(store.name)}")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not lease.take():
        if time.monotonic() > deadline:
            raise StoreUnavailable(f"Something else is being removed from {store.name}. Try again once that is done.")
        time.sleep(0.1)
    try:
        yield Round(binding, store, display_text(f"{login.realm}/{login.name}")[:255], lease)
    finally:
        lease.give()
