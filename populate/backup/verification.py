"""Backups that prove themselves: contents are read back from the store, and what is lost is fetched again.

Each day has a slice of all hashes, so that each content is read back once in a rotation; the
scheduler plans the slice as batches and workers read them. A content that was whole gets a row
in `Verification`; one that was not gets one in `Damage`, and `DamageMended` once it is whole
again. Its row in `Placement` stays whatever happens: nothing is silently dropped.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, NamedTuple

from populate.backup.check import Kept, Problem, verified
from populate.backup.contents import Outcome
from populate.backup.held import held
from populate.backup.mending import fetch_again
from populate.backup.removal import claimed, latest_removal, pass_gate
from populate.backup.stores import ContentStore, OnStores  # noqa: F401  (definitions refer to the former)
from populate.backup.tables import Placement, ready_store
from populate.lookup import add, lookup
from populate.store import Place, Store, reachable_stores
from schemas.catalogue import Blob  # noqa: F401  (definitions refer to it)
from schemas.engine import dj
from schemas.identity import display_text
from schemas.restrict import where

schema = dj.Schema()

FETCHED = "fetched again"
FOUND = "found whole"


@schema
class VerificationBatch(dj.Manual):
    definition = """
    # Contents that are to be read back from a store: those whose hashes lie in a range
    -> ContentStore
    verify_on : date # day whose slice of all hashes this belongs to, UTC
    part : int32 # from 0 of the slice; below 0: a damaged content that is looked at once more
    ---
    first_sha256 : char(64)
    last_sha256 : char(64)
    """


@schema
class Verification(dj.Manual):
    definition = """
    # A content was read back from a store and had its hash
    -> Blob
    -> ContentStore
    verified_on : date # day, UTC
    """


@schema
class Damage(dj.Manual):
    definition = """
    # A content was found missing or damaged in a store
    -> Blob
    -> ContentStore
    found_at : datetime(6) # UTC
    ---
    damage : varchar(32) # missing, wrong size, damaged or unreadable
    damage_detail : varchar(512)
    """


@schema
class DamageMended(dj.Manual):
    definition = """
    # A content that was damaged is whole again
    -> Damage
    ---
    mended_at : datetime(6) # UTC
    mended_how : varchar(32) # fetched again, or found whole: somebody put it back
    """


class Looked(NamedTuple):
    """How long reading back took, and the latest removal from the store before that."""

    milliseconds: int
    since: int


@schema
class Verify(OnStores, dj.Imported):
    definition = """
    # The contents of a batch were read back
    -> VerificationBatch
    ---
    verify_ended_at : datetime(6) # UTC, by the clock of the worker
    verify_milliseconds : int64 # from the first content to the last
    verify_bytes : int64 # that were read
    verify_contents : int32 # that were whole
    """

    def stores(self) -> list[Store]:
        """Return the store and its replica, as far as they answer."""
        return reachable_stores(self.in_force)

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Return store, first and last hash."""
        batch = (VerificationBatch() & key).fetch1()
        return batch["store_id"], batch["first_sha256"], batch["last_sha256"]

    def make_compute(self, key: dict[str, Any], store_id: str, first: str, last: str) -> tuple[Any, ...]:
        """Read the contents and fetch again what is lost; outside the transaction, and harmless to repeat.

        What is in the store is asked here and not in `make_fetch`, since it grows under way, and
        what is fetched must not.
        """
        settings = self.in_force
        store = ready_store(settings, store_id)
        since = latest_removal(store_id)
        began, sound, problems = time.monotonic(), list[Kept](), list[Problem]()
        for one in verified(store, held(self.connection, store_id, first, last)):
            sound.append(one) if isinstance(one, Kept) else problems.append(one)
        took = round(1000 * (time.monotonic() - began))
        mended = fetch_again(settings, store, [problem.sha256 for problem in problems])
        return Looked(took, since), sound, problems, mended

    def make_insert(
        self, key: dict[str, Any], looked: Looked, sound: list[Kept], problems: list[Problem], mended: Outcome
    ) -> None:
        """Record what was proven, what was lost and what of it is whole again."""
        pass_gate(self.connection, key["store_id"])
        gone = claimed(self.connection, key["store_id"], looked.since, mended.places)
        places = {sha256: place for sha256, place in mended.places.items() if sha256 not in gone}
        record(key["store_id"], sound, problems, places)
        self.insert1(
            {
                **key,
                "verify_ended_at": _now(),
                "verify_milliseconds": looked.milliseconds,
                "verify_bytes": sum(kept.size for kept in sound),
                "verify_contents": len(sound),
            },
            skip_duplicates=True,  # a worker that lost its connection may meet its own row
        )


def record(
    store_id: str,
    sound: Iterable[Kept],
    problems: Iterable[Problem] = (),
    mended: Mapping[str, Place] = MappingProxyType({}),
) -> None:
    """Note down what was found in a store.

    Parameters
    ----------
    store_id
        Identity of the store.
    sound
        Contents that were read back whole.
    problems
        What was wrong with others. One that is known to be damaged gets no second row.
    mended
        SHA-256 of those of the latter that were fetched again, and where each is now.
    """
    now = _now()
    hashes = sorted(kept.sha256 for kept in sound)
    add(Verification, [{"sha256": one, "store_id": store_id, "verified_on": now.date()} for one in hashes])
    add(Damage, _new_damages(store_id, problems, now))
    _close(store_id, hashes, FOUND, now)
    _close(store_id, sorted(mended), FETCHED, now)
    move(store_id, mended)


def move(store_id: str, places: Mapping[str, Place]) -> None:
    """Note down where contents are kept now that have been elsewhere in a store, by SHA-256.

    The only rows that change: what a place was is of no use to anybody.
    """
    columns = ("sha256", "object_name", "place_offset", "place_length")
    for row in lookup(Placement, *columns, sha256=places.keys(), store_id=(store_id,)):
        if row[1:] != places[row[0]]:
            values = dict(zip(columns[1:], places[row[0]], strict=True))
            Placement.update1({"sha256": row[0], "store_id": store_id, **values})


def open_damages(store_id: str, hashes: Collection[str] | None = None) -> dict[str, datetime]:
    """Return the damages of a store that nobody has mended: SHA-256 and when it was found, UTC.

    Parameters
    ----------
    store_id
        Identity of the store.
    hashes
        Contents to look for; all unless given.
    """
    among: dict[str, Collection[str]] = {"store_id": (store_id,)}
    if hashes is not None:
        among["sha256"] = hashes
    if not (known := lookup(Damage, "sha256", "found_at", **among)):  # as it nearly always is
        return {}
    closed = set(lookup(DamageMended, "sha256", "found_at", **among))
    return dict(row for row in known if row not in closed)


def look_again(store_id: str) -> int:
    """Have every content of a store that is damaged read, and fetched, once more; return their number."""
    today = _now().date()
    planned = where(VerificationBatch, store_id=store_id, verify_on=today) & "part < 0"
    part = min(planned.to_arrays("part").tolist(), default=0)
    damaged = sorted(open_damages(store_id))
    for number, sha256 in enumerate(damaged, start=1):
        key = {"store_id": store_id, "verify_on": today, "part": part - number}
        VerificationBatch.insert1({**key, "first_sha256": sha256, "last_sha256": sha256}, skip_duplicates=True)
    return len(damaged)


def _new_damages(store_id: str, problems: Iterable[Problem], now: datetime) -> list[dict[str, Any]]:
    found = {problem.sha256: problem for problem in problems}
    # What lost its place meanwhile was removed on purpose, by a sweep or because it is erased.
    placed = {sha256 for (sha256,) in lookup(Placement, "sha256", sha256=found, store_id=(store_id,))}
    known = open_damages(store_id, found)
    return [
        {
            "sha256": sha256,
            "store_id": store_id,
            "found_at": now,
            "damage": problem.problem,
            "damage_detail": display_text(problem.detail)[:512],
        }
        for sha256, problem in sorted(found.items())
        if sha256 in placed and sha256 not in known
    ]


def _close(store_id: str, hashes: Collection[str], how: str, now: datetime) -> None:
    damages = open_damages(store_id, hashes)
    add(
        DamageMended,
        [
            {"sha256": sha256, "store_id": store_id, "found_at": found_at, "mended_at": now, "mended_how": how}
            for sha256, found_at in sorted(damages.items())
        ],
    )


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
