"""From versions to content in the store, a batch at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from data_platform.errors import StoreSealed, StoreUnavailable
from data_platform.settings import Settings
from populate.backup.contents import Failure, Fetcher, Outcome, Wanted
from populate.backup.elsewhere import out_of_sight
from populate.backup.erased import erased
from populate.backup.removal import claimed, latest_removal, pass_gate, within_transaction, without_place
from populate.backup.stores import ContentStore, record_store, schema
from populate.ingest import BackupBatch, BackupMember  # noqa: F401  (definitions refer to both)
from populate.lookup import add, as_text, from_text, lookup
from populate.reaching import WithinReach
from populate.store import Place, Store, Traits, open_replica, open_store
from populate.watch.seldom import Seldom
from readers.fileset import manifest
from schemas.catalogue import Blob, File, FileSet, FileSetMember, SourceSystem, Version
from schemas.engine import dj
from schemas.identity import identity
from schemas.restrict import where

__all__ = [
    "COLUMNS",
    "Backup",
    "BackupFailure",
    "ContentStore",
    "Placement",
    "Relied",
    "StoreProbe",
    "assert_recorded",
    "manifests",
    "ready_store",
    "record_places",
    "record_traits",
    "schema",
]

# What `Wanted` holds, in its order.
COLUMNS = (
    "file_id",
    "version_id",
    "sha256",
    "blob_size",
    "revision",
    "source_kind",
    "source_system",
    "item_id",
)


REMOVED = Failure(
    permanent=False,
    name="RemovedMeanwhile",  # which is tried for as long as it takes, and whatever other stores hold
    message="It was removed from the store while it was counted on. Nothing to do: it is tried again later.",
)


class Relied(NamedTuple):
    """What a batch counts on: the versions that are to have a place, and the store as it was at that removal."""

    since: int
    members: list[Wanted]


@schema
class StoreProbe(dj.Manual):
    definition = """
    # What a store was found to enforce when it was first used, by trying
    -> ContentStore
    probed_at : datetime(6) # UTC
    ---
    create_only : bool # an object is not overwritten by who says that it must not be
    payload : bool # bytes that were altered on their way are refused; else they are read back
    checksum : bool # bytes are refused that do not have the SHA-256 sent along with them
    multipart : bool # a large content can be sent in parts
    versioning : bool # what is overwritten or deleted is kept as an older version
    object_lock : bool # objects can be locked against deletion
    """


@schema
class Placement(dj.Manual):
    definition = """
    # Where a content is kept: all of an object, or a piece of it
    -> Blob
    -> ContentStore
    ---
    object_name : varchar(255) # within the store
    place_offset : int64 # bytes from the start of the object
    place_length : int64 # bytes
    index (store_id, object_name)
    """


@schema
class Backup(WithinReach, dj.Imported):
    definition = """
    # The versions of a batch are in the store, but for those that failed
    -> BackupBatch
    ---
    backed_up_at : datetime(6) # UTC, by the clock of the worker
    """

    _away: Seldom[list[dict[str, Any]]] | None = None

    def out_of_reach(self) -> list[dict[str, Any]]:
        """Return waiting batches of files that this machine does not see, as restrictions: others may."""
        if self._away is None:
            settings = self.in_force
            self._away = Seldom(lambda: out_of_sight(self, BackupFailure, settings))
        return self._away.latest().value

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Return `COLUMNS` of each member of the batch, as a text."""
        return (as_text((BackupMember() & key) * Version * Blob * File * SourceSystem, *COLUMNS),)

    def make_compute(self, key: dict[str, Any], fetched: str) -> tuple[Any, ...]:
        """Put what has no place yet into the store; outside the transaction, and harmless to repeat.

        Which contents have a place already is asked here and not in `make_fetch`, since it
        changes under way when two batches bring the same content, and what is fetched must not.
        """
        settings = self.in_force
        store = ready_store(settings)
        since = latest_removal(identity("store", store.name))
        members = [Wanted(*member) for member in from_text(fetched)]
        hashes = {one.sha256 for one in members}
        placed = _placed(hashes, store)
        gone = erased(hashes)
        wanted = [one for one in members if one.sha256 not in placed | gone]
        fetcher = Fetcher(settings, store, manifests(wanted))
        traits = None if lookup(StoreProbe, "store_id", store_id=(identity("store", store.name),)) else store.traits()
        relied = Relied(since, [one for one in members if one.sha256 not in gone])
        try:
            return store.name, fetcher.store_all(wanted), traits, relied
        except BaseException:  # told to stop: the next attempt need not fetch again what is there already
            record_places(store.name, fetcher.outcome.places, since)
            raise

    def make_insert(
        self, key: dict[str, Any], store_name: str, outcome: Outcome, traits: Traits | None, relied: Relied
    ) -> None:
        """Record where contents are and which versions failed, and what a store enforces that is new."""
        kept = [one for one in relied.members if one not in outcome.failures]
        lost = record_places(store_name, outcome.places, relied.since, {one.sha256 for one in kept})
        failures = {**outcome.failures, **{one: REMOVED for one in kept if one.sha256 in lost}}
        if traits is not None:
            record_traits(store_name, traits)
        BackupFailure.insert(_failures(key, failures.items()), skip_duplicates=True)
        # A worker that lost its connection may meet its own row, written by the one that took over.
        self.insert1({**key, "backed_up_at": datetime.now(UTC).replace(tzinfo=None)}, skip_duplicates=True)


@schema
class BackupFailure(dj.Manual):
    definition = """
    # A version that an attempt could not back up
    -> BackupMember
    ---
    failure_permanent : bool # trying again cannot help
    failure : varchar(64) # name of the error
    failure_message : varchar(512) # text of the error, secrets removed
    """


def record_traits(store_name: str, traits: Traits) -> None:
    """Note down what a store enforces."""
    store_id = record_store(store_name)
    now = datetime.now(UTC).replace(tzinfo=None)
    StoreProbe.insert1({"store_id": store_id, "probed_at": now, **traits._asdict()}, skip_duplicates=True)


def ready_store(settings: Settings, store_id: str = "") -> Store:
    """Return the store to write to.

    Parameters
    ----------
    store_id
        Of the store or its replica; the store unless given.

    Raises
    ------
    StoreUnavailable
        If it is empty and should not be: the folder of a disk that is not mounted would take
        everything, and hide it once the disk is back. Or if these settings name no such store.
    """
    store = next((one for one in _named(settings, store_id)), None)
    if store is None:
        raise StoreUnavailable("The settings name another store by now. Set store.url or store.replica_url to it.")
    assert_mounted(store)
    return store


def assert_mounted(store: Store) -> None:
    """Raise `StoreUnavailable` if a store is empty and should not be: nothing is written to it then."""
    if store.looks_empty() and (kept := len(where(Placement, store_id=identity("store", store.name)))):
        raise StoreUnavailable(
            f"{store.name} is empty, and {kept:,} contents should be there. Mount its disk. "
            "If it is lost, set store.url to a new folder and run `data-platform retry`."
        )


def _named(settings: Settings, store_id: str) -> Iterator[Store]:
    if not store_id:
        yield open_store(settings)
        return
    for opened in (open_store, open_replica):  # one by one: the first may be lost
        try:
            store = opened(settings)
        except StoreSealed:
            raise
        except StoreUnavailable:
            continue
        if store is not None and identity("store", store.name) == store_id:
            yield store


def record_places(
    store_name: str, found: Mapping[str, Place], since: int, counted: Collection[str] = frozenset()
) -> set[str]:
    """Note down where contents are kept, unless what they were put into was removed meanwhile.

    Parameters
    ----------
    store_name
        The store.
    found
        Places, by SHA-256.
    since
        The latest removal in the store (`latest_removal`), asked before anything was looked up or stored.
    counted
        SHA-256 of further contents that are counted on because they had a place.

    Returns
    -------
    set of str
        SHA-256 of `found` and `counted` that have no place now: to be stored once more.
    """
    store_id = record_store(store_name)
    connection = Placement().connection
    with within_transaction(connection):
        pass_gate(connection, store_id)
        gone = claimed(connection, store_id, since, found)
        # In order, so that workers cannot deadlock.
        add(Placement, [_row(store_id, *one) for one in sorted(found.items()) if one[0] not in gone])
        return without_place(connection, Placement, store_id, {*found, *counted})


def assert_recorded(store_name: str, found: Mapping[str, Place], since: int, counted: Collection[str]) -> None:
    """Note down where contents are kept, as `record_places` does, all or none.

    Raises
    ------
    StoreUnavailable
        If something that was counted on was removed meanwhile. Within a transaction that is undone.
    """
    if lost := record_places(store_name, found, since, counted):
        raise StoreUnavailable(
            f"{len(lost)} contents were removed from {store_name} while they were counted on, as {min(lost)}. "
            "Nothing to do: they are stored again."
        )


def _row(store_id: str, sha256: str, place: Place) -> dict[str, Any]:
    return {
        "sha256": sha256,
        "store_id": store_id,
        "object_name": place.object_name,
        "place_offset": place.offset,
        "place_length": place.length,
    }


def _placed(hashes: Collection[str], store: Store) -> set[str]:
    rows = lookup(Placement, "sha256", sha256=hashes, store_id=(identity("store", store.name),))
    return {sha256 for (sha256,) in rows}


def manifests(wanted: list[Wanted]) -> dict[str, bytes]:
    """Return the manifests of the file sets among `wanted`, by SHA-256, made of their members' rows.

    No source keeps a manifest, and it may have been read on a machine whose cache is not ours.
    """
    candidates = {one.file_id: one for one in wanted if one.revision == one.sha256}
    sets = {file_id for (file_id,) in lookup(FileSet, "file_id", file_id=candidates.keys())}
    return {one.sha256: _manifest(one) for one in wanted if one.file_id in sets and one.revision == one.sha256}


def _manifest(wanted: Wanted) -> bytes:
    members = where(FileSetMember, file_id=wanted.file_id, version_id=wanted.version_id) * Version.proj(
        member_id="file_id", member_version="version_id", member_sha256="sha256"
    )
    return manifest(zip(*members.to_arrays("member_path", "member_sha256"), strict=True))


def _failures(key: dict[str, Any], failures: Iterable[tuple[Wanted, Failure]]) -> list[dict[str, Any]]:
    rows = (
        {
            **key,
            "file_id": wanted.file_id,
            "version_id": wanted.version_id,
            "failure_permanent": failure.permanent,
            "failure": failure.name,
            "failure_message": failure.message,
        }
        for wanted, failure in failures
    )
    return sorted(rows, key=lambda row: (row["file_id"], row["version_id"]))
