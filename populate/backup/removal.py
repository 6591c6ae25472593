"""What is taken out of a store, and how everybody else learns of it in time.

Whoever stores contents relies on what a store holds: a content that has a place is not stored again, nor an
object written that is there already. Whoever removes an object must not pull it away from under them. No
clock tells that: a worker may be suspended for a week. So this holds:

1. *An object is removed only after a claim to it was committed* (`RemovalClaim`), by the one round of removals
   (`Removal`) that is at work in that store, and while no row in `Placement` leads to it.
2. *Claims are made, and places recorded, on two sides of a gate* that each store has, a lock to the end of a
   transaction: many record at once, or one claims alone. So a claim is judged by all that was recorded before
   it, and whoever records after it sees it.
3. *Whoever records a place says since when it has relied on the store* (`latest_removal`, asked before
   anything else). What was claimed since, or was claimed and not yet removed then, is not recorded, and the
   content is stored once more later. The same goes for contents that had a place and have none any more.
4. *Whoever is to remove asks once more*: an object to which a row leads stays, whatever was claimed.

Rounds and claims are numbered, so that no clock takes part in the third point either.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Any

from populate.backup.stores import ContentStore
from populate.store import Place
from schemas.engine import dj
from schemas.identity import identity

schema = dj.Schema()


@schema
class Removal(dj.Manual):
    definition = """
    # A round of removing objects from a store: by a sweep, or because a content is erased
    -> ContentStore
    removal : int32 # from 1; of a store only the highest is at work
    ---
    removal_began_at : datetime(6) # UTC
    removal_by : varchar(255) # realm and login of whoever had it done
    """


@schema
class RemovalClaim(dj.Manual):
    definition = """
    # An object that is going to be removed: nobody relies on it any more
    -> Removal
    object_id : char(32) # identity of its name
    ---
    object_name : varchar(255) # within the store
    claim_number : int64 # from 1 in a store, in the order in which claims were made
    claimed_at : datetime(6) # UTC
    index (store_id, object_id)
    index (store_id, claim_number)
    """


@schema
class RemovalDone(dj.Manual):
    definition = """
    # A claimed object is gone: whoever stores it again may
    -> RemovalClaim
    ---
    removed_at : datetime(6) # UTC
    """


_GATE = {
    "postgresql": ("SELECT pg_advisory_xact_lock_shared(%s)", "SELECT pg_advisory_xact_lock(%s)"),
    "mysql": (
        "SELECT store_id FROM {store} WHERE store_id = %s LOCK IN SHARE MODE",
        "SELECT store_id FROM {store} WHERE store_id = %s FOR UPDATE",
    ),
}
# What others have committed by now, whenever this transaction began.
_NOW = {"postgresql": "", "mysql": " LOCK IN SHARE MODE"}
_CLAIMED = (
    "SELECT c.object_name FROM {claim} AS c WHERE c.store_id = %s AND c.claim_number > %s AND c.object_id IN ({marks})"
)
_LATEST = "SELECT COALESCE(MAX(c.claim_number), 0) FROM {claim} AS c WHERE c.store_id = %s"
_FIRST_OPEN = (
    "SELECT MIN(c.claim_number) FROM {claim} AS c WHERE c.store_id = %s AND NOT EXISTS (SELECT 1 FROM {done} AS d"
    " WHERE d.store_id = c.store_id AND d.removal = c.removal AND d.object_id = c.object_id)"
)
_CLOCK = {"postgresql": "SELECT clock_timestamp() AT TIME ZONE 'UTC'", "mysql": "SELECT UTC_TIMESTAMP(6)"}
_PLACED = "SELECT sha256 FROM {placement} WHERE store_id = %s AND sha256 IN ({marks})"


def object_id(object_name: str) -> str:
    """Return the identity of an object's name: keys of that length fit into every index."""
    return identity("object", object_name)


def server_now(connection: Any) -> datetime:
    """Return the present moment by the clock of the database, UTC and naive: the one that all machines share."""
    (found,) = connection.query(_CLOCK[connection.adapter.backend]).fetchone()
    assert isinstance(found, datetime)
    return found


def latest_removal(store_id: str) -> int:
    """Return the number of the claim in a store up to which all objects are gone; 0 = none was ever claimed.

    To be asked before relying on the store: what is claimed later, or is still there, may be pulled away.
    """
    latest = _number(_LATEST, store_id) or 0  # first: a claim that is made in between counts as a later one
    first = _number(_FIRST_OPEN, store_id)
    return latest if first is None else min(latest, first - 1)


def claims_made(store_id: str) -> int:
    """Return the number of the latest claim in a store. To be asked behind the gate, alone."""
    return _number(_LATEST, store_id) or 0


def _number(statement: str, store_id: str) -> int | None:
    claim = RemovalClaim()
    names = {"claim": claim.full_table_name, "done": RemovalDone().full_table_name}
    (found,) = claim.connection.query(statement.format(**names), args=(store_id,)).fetchone()
    return None if found is None else int(found)


def pass_gate(connection: Any, store_id: str, *, alone: bool = False) -> None:
    """Wait until nobody is on the other side of a store's gate, and keep them out to the end of the transaction.

    Parameters
    ----------
    alone
        To claim objects; else to record places, as many may at once.
    """
    backend = connection.adapter.backend
    store = ContentStore().full_table_name
    argument: object = store_id
    if backend == "postgresql":
        digest = hashlib.sha256(f"{store} {store_id}".encode()).digest()
        argument = int.from_bytes(digest[:8], "big", signed=True)
    connection.query(_GATE[backend][alone].format(store=store), args=(argument,)).fetchall()


def within_transaction(connection: Any) -> AbstractContextManager[Any]:
    """Return the transaction that is under way, or begin one."""
    found: AbstractContextManager[Any] = nullcontext() if connection.in_transaction else connection.transaction
    return found


def claimed(connection: Any, store_id: str, since: int, places: Mapping[str, Place]) -> set[str]:
    """Return the contents, by SHA-256, whose objects were claimed since a claim. To be called behind the gate."""
    if not places:
        return set()
    named: dict[str, str] = {object_id(place.object_name): place.object_name for place in places.values()}
    statement = _CLAIMED.format(claim=RemovalClaim().full_table_name, marks=", ".join(["%s"] * len(named)))
    statement += _NOW[connection.adapter.backend]
    names = {name for (name,) in connection.query(statement, args=(store_id, since, *named)).fetchall()}
    return {sha256 for sha256, place in places.items() if place.object_name in names}


def without_place(connection: Any, placement: Any, store_id: str, hashes: Collection[str]) -> set[str]:
    """Return those of some SHA-256 that have no row in the table `placement` by now. To be called behind the gate."""
    if not hashes:
        return set()
    statement = _PLACED.format(placement=placement().full_table_name, marks=", ".join(["%s"] * len(hashes)))
    statement += _NOW[connection.adapter.backend]
    found = {sha256 for (sha256,) in connection.query(statement, args=(store_id, *hashes)).fetchall()}
    return set(hashes) - found
