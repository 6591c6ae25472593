"""Earlier versions of files that were read, from the source's own history into the content store, by policy."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from tempfile import SpooledTemporaryFile
from typing import Any, NamedTuple, Self

from data_platform.settings import Settings
from data_platform.settings import settings as settings_of_process
from populate import facts
from populate.backup.contents import THREADS, Failure
from populate.backup.erased import erased
from populate.backup.removal import latest_removal
from populate.backup.tables import Placement, assert_recorded, ready_store
from populate.lookup import add, lookup, unknown
from populate.sharing.tree import MANY, portions
from populate.store import Place, Store
from populate.store.base import CHUNK
from readers.registry import source_of_kind
from schemas.catalogue import Blob, File, SourceSystem, Version
from schemas.engine import dj
from schemas.following import SourceVersion
from schemas.identity import identity, version_id

schema = dj.Schema()

MEMBERS = 200  # versions in a batch
AT_ONCE = 32  # versions whose bytes wait together until it is known which are kept already
IN_MEMORY = 1024 * 1024  # bytes of one of them, before they wait in a file
ATTEMPTS = 3
REVISION = "version:"  # begins the revision of a version that is known by its label
COLUMNS = ("file_id", "version_label", "source_kind", "source_system", "item_id")


@schema
class HistoryBatch(dj.Manual):
    definition = """
    # Earlier versions that are backed up together
    history_id : char(32) # identity of its members and of the moment
    ---
    planned_at : datetime(6) # UTC
    """


@schema
class HistoryMember(dj.Manual):
    definition = """
    # A version to back up
    -> HistoryBatch
    -> SourceVersion
    ---
    index (file_id, version_label)
    """


@schema
class History(dj.Imported):
    definition = """
    # The versions of a batch are in the store, but for those that failed
    -> HistoryBatch
    ---
    history_taken_at : datetime(6) # UTC, by the clock of the worker
    """

    settings: Settings | None = None
    """Of an instance, whose worker sets them; None stands for those of the process."""

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Return an array for each of `COLUMNS`, an element a version."""
        members = (HistoryMember() & key) * File * SourceSystem
        return tuple(members.proj(*COLUMNS).to_arrays(*COLUMNS, order_by="KEY"))

    def make_compute(self, key: dict[str, Any], *columns: Any) -> tuple[Any, ...]:
        """Read the versions and put them into the store; outside the transaction, and harmless to repeat."""
        settings = self.settings or settings_of_process()
        store = ready_store(settings)
        members = [Earlier(*member) for member in zip(*(column.tolist() for column in columns), strict=True)]
        since, counted = latest_removal(identity("store", store.name)), set[str]()
        outcomes: list[Outcome] = []
        with ThreadPoolExecutor(THREADS, thread_name_prefix="history") as pool:
            for some in portions(members, AT_ONCE):
                with ExitStack() as stack:
                    read = list(pool.map(lambda member: _read(settings, member), some))
                    spools = [stack.enter_context(one) for one in read if isinstance(one, Spool)]
                    wanted = _wanted_by(store, {spool.sha256: spool for spool in spools}, counted)
                    places = dict(zip(wanted, pool.map(lambda spool: spool.store(store), wanted.values()), strict=True))
                    outcomes += [one if isinstance(one, Failure) else one.taken(places) for one in read]
        return store.name, list(zip(members, outcomes, strict=True)), since, counted

    def make_insert(
        self,
        key: dict[str, Any],
        store_name: str,
        outcomes: list[tuple[Earlier, Outcome]],
        since: int,
        counted: set[str],
    ) -> None:
        """Record contents, versions, places, and which versions failed."""
        taken = [(member, outcome) for member, outcome in outcomes if isinstance(outcome, Taken)]
        blobs = [{"sha256": found.sha256, "blob_size": found.size} for _, found in taken]
        add(Blob, unknown(Blob, facts.distinct(blobs, "sha256"), "sha256"))
        rows = facts.distinct((_version(member, found) for member, found in taken), "file_id", "version_id")
        add(Version, unknown(Version, rows, "file_id", "version_id"))
        assert_recorded(store_name, {found.sha256: found.place for _, found in taken if found.place}, since, counted)
        add(HistoryContent, sorted((_content(*one) for one in taken), key=lambda row: tuple(row.values())))
        failed = [_failure(key, member, one) for member, one in outcomes if isinstance(one, Failure)]
        add(HistoryFailure, sorted(failed, key=lambda row: (row["file_id"], row["version_label"])))
        # A worker that lost its connection may meet its own row, written by the one that took over.
        now = datetime.now(UTC).replace(tzinfo=None)
        self.insert1({**key, "history_taken_at": now}, skip_duplicates=True)


@schema
class HistoryContent(dj.Manual):
    definition = """
    # The bytes of a version in the source's own history
    -> SourceVersion
    ---
    -> Version
    """


@schema
class HistoryFailure(dj.Manual):
    definition = """
    # A version that could not be backed up
    -> HistoryMember
    ---
    failure_permanent : bool # trying again cannot help
    failure : varchar(64) # name of the error
    failure_message : varchar(512) # text of the error, secrets removed
    """


class Taken(NamedTuple):
    """The bytes of a version, and where they were put; nowhere if they are kept already, or must not be."""

    sha256: str
    size: int
    place: Place | None


Outcome = Taken | Failure


class Earlier(NamedTuple):
    """A version to take, and what is needed to fetch it."""

    file_id: str
    label: str
    source_kind: str
    source_system: str
    item_id: str


def plan(file_ids: Collection[str], keep: int, now: datetime) -> int:
    """Make batches of the newest `keep` earlier versions of files that are not backed up; return their number.

    To be called within a transaction. The present version is none of them: that is backed up
    once somebody reads it.
    """
    wanted = [] if keep <= 0 else sorted(_wanted(file_ids, keep))
    for members in portions(wanted, MEMBERS):
        history_id = identity("history", now.isoformat(), *(text for member in members for text in member))
        add(HistoryBatch, [{"history_id": history_id, "planned_at": now}])
        rows = [{"history_id": history_id, "file_id": file, "version_label": label} for file, label in members]
        add(HistoryMember, rows)
    return len(wanted)


def _wanted(file_ids: Collection[str], keep: int) -> Iterable[tuple[str, str]]:
    for some in portions(sorted(file_ids), MANY):
        listed: dict[str, list[tuple[datetime, str]]] = {}
        for file, label, at in lookup(SourceVersion, "file_id", "version_label", "version_modified_at", file_id=some):
            listed.setdefault(file, []).append((at, label))
        done = {*lookup(HistoryContent, "file_id", "version_label", file_id=some)}
        failed = lookup(HistoryFailure, "file_id", "version_label", "failure_permanent", file_id=some)
        done |= {(file, label) for file, label, permanent in failed if permanent}
        failures = Counter((file, label) for file, label, _ in failed)
        tried = Counter(lookup(HistoryMember, "file_id", "version_label", file_id=some))
        for file, versions in listed.items():
            for _, label in sorted(versions, reverse=True)[1 : keep + 1]:
                one = (file, label)
                # One that is planned and has not failed is still to come.
                if one not in done and tried[one] == failures[one] < ATTEMPTS:
                    yield one


class Spool:
    """The bytes of a version until it is known whether they are to be stored: few in memory, many in a file."""

    def __init__(self) -> None:
        self.size = 0
        self._file = SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - closed with the spool
        self._digest = hashlib.sha256()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def write(self, chunk: bytes) -> None:
        """Take the next bytes."""
        self._file.write(chunk)
        self._digest.update(chunk)
        self.size += len(chunk)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def store(self, store: Store) -> Place:
        """Put the bytes into the store, and return where they are."""
        self._file.seek(0)
        with store.writer(self.sha256, self.size) as writer:
            while chunk := self._file.read(CHUNK):
                writer.write(chunk)
            return writer.commit()

    def taken(self, places: Mapping[str, Place]) -> Taken:
        """Return what became of the bytes."""
        return Taken(self.sha256, self.size, places.get(self.sha256))


def _read(settings: Settings, member: Earlier) -> Spool | Failure:
    """Read a version; whatever a source does, it costs this one only."""
    spool = Spool()
    try:
        source = source_of_kind(member.source_kind, settings)
        item = source.reopen(member.source_system, member.item_id)
        source.download_version(item, f"{REVISION}{member.label}", spool.write)
        return spool
    except Exception as error:
        spool.__exit__()
        return Failure.of(error)


def _wanted_by(store: Store, spools: Mapping[str, Spool], counted: set[str]) -> dict[str, Spool]:
    """Return those whose bytes the store does not hold, and that were not erased: none of these is to come back.

    What the store holds is added to `counted`.
    """
    placed = lookup(Placement, "sha256", sha256=spools.keys(), store_id=(identity("store", store.name),))
    there, gone = {sha256 for (sha256,) in placed}, erased(spools.keys())
    counted.update(there - gone)
    return {sha256: spool for sha256, spool in sorted(spools.items()) if sha256 not in there | gone}


def _version(member: Earlier, found: Taken) -> dict[str, Any]:
    revision = f"{REVISION}{member.label}"
    ids = {"file_id": member.file_id, "version_id": version_id(revision, found.sha256)}
    return ids | {"sha256": found.sha256, "revision": facts.stored(revision, 512)}


def _content(member: Earlier, found: Taken) -> dict[str, Any]:
    made = _version(member, found)
    return {"file_id": member.file_id, "version_label": member.label, "version_id": made["version_id"]}


def _failure(key: dict[str, Any], member: Earlier, failure: Failure) -> dict[str, Any]:
    return {
        "history_id": key["history_id"],
        "file_id": member.file_id,
        "version_label": member.label,
        "failure_permanent": failure.permanent,
        "failure": failure.name,
        "failure_message": failure.message,
    }
