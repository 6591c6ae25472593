"""Which files are described for search, and when what is indexed of one changed.

The description itself is not kept: it is computed from the tables, and each machine that searches keeps
an index of them (`populate.search.following`). What computes them is loaded by `make()`, so that workers
start quickly.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from populate.adopt.tables import AdoptMember
from populate.describe.tables import Description  # noqa: F401  (foreign key)
from populate.ingest import BackupMember, Ingest  # noqa: F401  (foreign key)
from populate.profile.tables import Profile, ProfileAdopted  # noqa: F401  (foreign key)
from schemas.catalogue import File  # noqa: F401  (foreign key)
from schemas.engine import dj
from schemas.sharing import Access

schema = dj.Schema()


class _OfDelivery:
    """Describes the files of a delivery as the tables know them now: a later one describes its own files again."""

    def make(self, key: dict[str, Any]) -> None:
        _describe(self, key, Access() & key & dj.Not({"file_id": ""}))


@schema
class Document(_OfDelivery, dj.Computed):
    definition = """
    # What is indexed of the files of a delivery has been described
    -> Ingest
    ---
    document_count : int32 # files whose description was another one before
    """


@schema
class DocumentProfiled(dj.Computed):
    definition = """
    # What is indexed of the files of a backup batch has been described with what is in them
    -> Profile
    ---
    document_count : int32 # files whose description was another one before
    """

    def make(self, key: dict[str, Any]) -> None:
        """Describe the files as the tables know them now."""
        _describe(self, key, BackupMember() & key)


@schema
class DocumentAdopted(dj.Computed):
    definition = """
    # What is indexed of a batch of files that were taken in unread has been described
    -> ProfileAdopted
    ---
    document_count : int32 # files whose description was another one before
    """

    def make(self, key: dict[str, Any]) -> None:
        """Describe the files as the tables know them now."""
        _describe(self, key, AdoptMember() & key)


@schema
class DocumentDescribed(_OfDelivery, dj.Computed):
    definition = """
    # What is indexed of the files of a delivery has been described with what its runs are about
    -> Description
    ---
    document_count : int32 # files whose description was another one before
    """


@schema
class DocumentChange(dj.Manual):
    definition = """
    # What is indexed of a file is another than before; the latest counts
    -> File
    described_at : datetime(6) # UTC, by the clock of the worker
    ---
    document_sha256 : char(64) # of what is indexed, hex
    index (described_at)
    """


@schema
class DocumentLook(dj.Manual):
    definition = """
    # How far was looked for files of which something has changed otherwise; the latest counts
    looked_at : datetime(6) # UTC
    ---
    look_count : int32 # files whose description was another one before
    """


def _describe(table: Any, key: dict[str, Any], files: Any) -> None:
    from populate.search.describing import describe

    count = describe(table.connection, set(files.to_arrays("file_id").tolist()))
    # A worker that lost its connection may meet its own row, written by the one that took over.
    table.insert1({**key, "document_count": count}, skip_duplicates=True)


def now() -> datetime:
    """Return the time of the machine, UTC without zone."""
    return datetime.now(UTC).replace(tzinfo=None)
