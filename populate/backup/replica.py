"""Copies of contents in a second store, made by workers, and used when the first store does not have one.

A copy is a row in `Placement` like any other, so it is read back, mended, swept and erased like any other.
The scheduler plans what has none; a worker reads it from the first store, compares its hash and writes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from populate.backup.check import Kept
from populate.backup.copying import copied
from populate.backup.held import FIRST, LAST, held
from populate.backup.proving import BYTES, CONTENTS, Range, before
from populate.backup.removal import latest_removal
from populate.backup.stores import ContentStore, OnStores, record_store  # noqa: F401  (definitions refer to the first)
from populate.backup.tables import Placement, ready_store, record_places
from populate.backup.verification import Damage, DamageMended, record
from populate.store import Place, Store, open_replica, open_store
from schemas.binding import Binding
from schemas.engine import dj
from schemas.identity import identity

schema = dj.Schema()

# In the first store, whole as far as anybody knows, and not in the replica.
_UNCOPIED = (
    "NOT EXISTS (SELECT 1 FROM {placement} AS r WHERE r.sha256 = p.sha256 AND r.store_id = %s)"
    " AND NOT EXISTS (SELECT 1 FROM {damage} AS d WHERE d.sha256 = p.sha256 AND d.store_id = p.store_id"
    " AND NOT EXISTS (SELECT 1 FROM {mended} AS m WHERE m.sha256 = d.sha256 AND m.store_id = d.store_id"
    " AND m.found_at = d.found_at))"
)


@schema
class ReplicaBatch(dj.Manual):
    definition = """
    # Contents that are to be copied into a replica: those without a copy whose hashes lie in a range
    -> ContentStore
    copy_round : int32 # from 1; what lacks a copy is looked for again once a round is done
    part : int32 # from 0
    ---
    copies_planned_at : datetime(6) # UTC
    first_sha256 : char(64)
    last_sha256 : char(64)
    """


@schema
class Replica(OnStores, dj.Imported):
    definition = """
    # The contents of a batch are in the replica, but for those that the first store could not give
    -> ReplicaBatch
    ---
    copied_at : datetime(6) # UTC, by the clock of the worker
    copied_contents : int32
    copied_bytes : int64
    """

    def stores(self) -> list[Store]:
        """Return the replica, if there is one."""
        return [replica] if (replica := open_replica(self.in_force)) else []

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Return first and last hash."""
        batch = (ReplicaBatch() & key).fetch1()
        return batch["first_sha256"], batch["last_sha256"]

    def make_compute(self, key: dict[str, Any], first: str, last: str) -> tuple[Any, ...]:
        """Copy the contents; outside the transaction, and harmless to repeat."""
        settings = self.in_force
        source, target = ready_store(settings), ready_store(settings, key["store_id"])
        since = latest_removal(key["store_id"])
        wanted = uncopied(self.connection, identity("store", source.name), key["store_id"], first, last)
        places, problems = copied(source, target, list(wanted), settings.store.pack_bytes)
        return source.name, target.name, places, problems, since

    def make_insert(
        self,
        key: dict[str, Any],
        source: str,
        target: str,
        places: dict[str, Place],
        *rest: Any,
    ) -> None:
        """Record where the copies are, and what the first store could not give."""
        problems, since = rest
        lost = record_places(target, places, since)
        record(identity("store", source), (), problems)
        kept = [place.length for sha256, place in places.items() if sha256 not in lost]
        counts = {"copied_contents": len(kept), "copied_bytes": sum(kept)}
        now = datetime.now(UTC).replace(tzinfo=None)
        self.insert1({**key, "copied_at": now, **counts}, skip_duplicates=True)


def uncopied(connection: Any, source_id: str, target_id: str, first: str = FIRST, last: str = LAST) -> Iterator[Kept]:
    """Yield the contents of a store that another one has no copy of, in the order of their hashes."""
    condition = _UNCOPIED.format(
        placement=Placement().full_table_name, damage=Damage().full_table_name, mended=DamageMended().full_table_name
    )
    return held(connection, source_id, first, last, condition, target_id)


def plan_copies(binding: Binding) -> int:
    """Plan copies of what the replica does not have, unless such are under way; return the number of batches."""
    replica = open_replica(binding.settings)
    if replica is None:
        return 0
    target_id = record_store(replica.name)
    if len((ReplicaBatch() & {"store_id": target_id}) - Replica):
        return 0
    now = datetime.now(UTC).replace(tzinfo=None)
    source_id = identity("store", open_store(binding.settings).name)
    rounds = (ReplicaBatch() & {"store_id": target_id}).to_arrays("copy_round").tolist()
    ranges = list(_parts(uncopied(binding.connection, source_id, target_id)))
    ReplicaBatch.insert(
        {
            "store_id": target_id,
            "copy_round": max(rounds, default=0) + 1,
            "part": part,
            "copies_planned_at": now,
            "first_sha256": hashes.first,
            "last_sha256": hashes.last,
        }
        for part, hashes in enumerate(ranges)
    )
    return len(ranges)


def _parts(wanted: Iterator[Kept]) -> Iterator[Range]:
    first, contents, size = FIRST, 0, 0
    for kept in wanted:
        if contents == CONTENTS or (contents and size + kept.size > BYTES):
            yield Range(first, before(kept.sha256))
            first, contents, size = kept.sha256, 0, 0
        contents, size = contents + 1, size + kept.size
    if contents:
        yield Range(first, LAST)
