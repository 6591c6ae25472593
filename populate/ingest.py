"""From deliveries of accesses to typed rows, and to the batches that the backup works on."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import Any

from populate import facts
from populate.facts import Rows
from populate.lookup import add, lookup, unknown
from schemas.catalogue import Blob, File, FileGone, FileName, FileOwner, FileSet, FileSetMember, SourceSystem, Version
from schemas.engine import dj
from schemas.people import Account, AccountName, Person
from schemas.restrict import where
from schemas.sharing import Access, AccessBatch, AccessRun, Execution, ShareEdge  # noqa: F401  (definitions)

schema = dj.Schema()

# What `populate.facts` reads of an access: the widest texts (url, message …) stay where they are.
COLUMNS = (
    "accessed_at",
    "outcome",
    "account_realm",
    "account_login",
    "account_name",
    "on_behalf_of",
    "source_system",
    "source_kind",
    "item_id",
    "file_id",
    "file_name",
    "file_path",
    "owner_realm",
    "owner_login",
    "owner_name",
    "revision",
    "version_id",
    "sha256",
    "access_size",
    "set_file_id",
    "set_version_id",
    "set_path",
)


@schema
class BackupBatch(dj.Manual):
    definition = """
    # Versions that are backed up together: a part of those met in a delivery, or of these what failed before
    -> AccessBatch
    part : int16 # from 0
    attempt : int16 # from 1
    """


@schema
class BackupMember(dj.Manual):
    definition = """
    # A version to back up
    -> BackupBatch
    -> Version
    ---
    index (file_id, version_id)
    """


@schema
class Ingest(dj.Imported):
    definition = """
    # The accesses of a delivery are in the catalogue
    -> AccessBatch
    ---
    ingested_at : datetime(6) # UTC, by the clock of the worker
    """

    def make(self, key: dict[str, Any]) -> None:
        """Read the delivery's rows with a query each and write every table with a statement."""
        accesses = _accesses(batch_id=(key["batch_id"],))
        runs = (AccessRun() & key).to_dicts()
        sets = _sets(accesses)
        for table, rows in _rows(key["batch_id"], accesses, runs, sets):
            add(table, rows)
        # A worker that lost its connection may meet its own row, written by the one that took over.
        self.insert1({**key, "ingested_at": datetime.now(UTC).replace(tzinfo=None)}, skip_duplicates=True)


def _accesses(**among: Collection[str]) -> Rows:
    return [facts.sound(dict(zip(COLUMNS, row, strict=True))) for row in lookup(Access, *COLUMNS, **among)]


def _sets(accesses: Rows) -> Rows:
    """Return an access for each file set that members in this delivery belong to.

    A set of thousands of files spans deliveries. Its own access tells what the set is, and
    is looked up wherever it was delivered, so that members need not wait for it.
    """
    wanted = facts.sets_of(accesses)
    found = [access for access in accesses if (access["file_id"], access["version_id"]) in wanted]
    for file_id, version_id in sorted(wanted - {(a["file_id"], a["version_id"]) for a in found}):
        query = where(Access, file_id=file_id, version_id=version_id, outcome="ok").proj(*COLUMNS)
        found += [facts.sound(row) for row in query.to_dicts(limit=1)]
    return found


def _rows(batch_id: str, accesses: Rows, runs: Rows, sets: Rows) -> Iterable[tuple[Any, Rows]]:
    """Yield tables with their rows, parents first, always in this order: two workers cannot deadlock."""
    known_sets = {(a["file_id"], a["version_id"]) for a in sets}
    members = [a for a in accesses if (a["set_file_id"], a["set_version_id"]) in known_sets]
    things = accesses + sets
    accounts = unknown(Account, facts.accounts(accesses, runs), "account_id")
    yield SourceSystem, unknown(SourceSystem, facts.source_systems(things), "source_system")
    yield Person, facts.persons(accounts)
    yield Account, accounts
    yield AccountName, facts.account_names(accesses)
    yield File, unknown(File, facts.files(things), "file_id")
    yield FileName, facts.file_names(accesses)
    yield FileOwner, facts.file_owners(accesses)
    yield FileGone, facts.files_gone(accesses)
    yield Blob, unknown(Blob, facts.blobs(things), "sha256")
    yield Version, unknown(Version, facts.versions(things), "file_id", "version_id")
    yield FileSet, facts.file_sets(members)
    yield FileSetMember, facts.file_set_members(members)
    yield Execution, unknown(Execution, facts.executions(runs), "execution_id")
    yield ShareEdge, facts.share_edges(accesses)
    sizes = {row["sha256"]: row["blob_size"] for row in facts.blobs(accesses)}
    backups = facts.backup_members(batch_id, facts.versions(accesses), sizes)
    yield BackupBatch, facts.backup_batches(backups)
    yield BackupMember, backups
