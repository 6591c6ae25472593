"""What contents say, and which files say the same, as computed tables.

What computes them is loaded by `make()`, so that workers start quickly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from data_platform.settings import Settings
from populate.adopt.tables import Adopt, AdoptMember  # noqa: F401  (foreign key)
from populate.backup.tables import Backup  # noqa: F401  (foreign key)
from populate.ingest import BackupMember
from populate.lookup import add
from populate.placed import OfContents
from populate.snapshot import Snapshot, cover  # noqa: F401  (foreign key)
from schemas.catalogue import Blob, Version  # noqa: F401  (foreign keys)
from schemas.engine import dj

schema = dj.Schema()

METHOD = 1
"""The method that this release compares forms of; one with other results gets another number."""


@schema
class CanonicalMethod(dj.Lookup):
    definition = """
    # How contents are reduced to what they say
    method_no : int16 # rises; forms of different methods cannot be compared
    ---
    method_name : varchar(255)
    most_bytes : int64 # bytes; larger contents are not opened
    most_memory : int64 # bytes that finding a form may take
    most_seconds : int16 # of processor time that finding a form may take
    """
    contents = (
        {
            "method_no": METHOD,
            "method_name": "rows, parts and words; order of rows and columns does not count",
            "most_bytes": 1024**3,
            "most_memory": 2 * 1024**3,
            "most_seconds": 60,
        },
    )


@schema
class CanonicalContent(dj.Manual):
    definition = """
    # What a content says, whatever it was saved as; equal hashes say the same
    -> Blob
    -> CanonicalMethod
    ---
    form_kind : varchar(16) # table | workbook | document | text | json | archive | bytes | none
    form_sha256 : varchar(64) # hash of the form, hex; of bytes the SHA-256 of what was unpacked; empty = no form
    element_count : int64 # different rows, or runs of words
    sketch : varchar(1536) # least hashes of these, 12 hex digits each
    form_reason : varchar(255) # why there is no form, or none but the bytes; mostly empty
    index (form_sha256)
    """


class _Forms(OfContents):
    method, kept = CanonicalMethod, CanonicalContent

    def look(self, settings: Settings, contents: Mapping[str, Sequence[Any]], limits: Sequence[int]) -> Any:
        from populate.duplicates.forms.stored import forms_of

        return forms_of(settings, contents, limits)

    def keep(self, key: dict[str, Any], count: int, rows: list[dict[str, Any]]) -> None:
        add(CanonicalContent, [{"sha256": row["sha256"], "method_no": key["method_no"], **row} for row in rows])
        # A worker that lost its connection may meet its own row, written by the one that took over.
        self.insert1({**key, "form_count": count}, skip_duplicates=True)  # type: ignore[attr-defined]


@schema
class Canonical(_Forms, dj.Computed):
    definition = """
    # The contents of a backup batch were reduced to what they say
    -> Backup
    -> CanonicalMethod
    ---
    form_count : int32 # contents of the batch that were in the store
    """
    members = BackupMember


@schema
class CanonicalAdopted(_Forms, dj.Computed):
    definition = """
    # The contents of a batch of files that were taken in unread were reduced to what they say
    -> Adopt
    -> CanonicalMethod
    ---
    form_count : int32 # contents of the batch's files that were in the store
    """
    members = AdoptMember


@schema
class SnapshotForms(dj.Manual):
    definition = """
    # The first snapshot that covers what the contents of a backup batch say
    -> Canonical
    ---
    -> Snapshot
    """


@schema
class SnapshotFormsAdopted(dj.Manual):
    definition = """
    # The first snapshot that covers what the contents of a batch of files that were taken in unread say
    -> CanonicalAdopted
    ---
    -> Snapshot
    """


cover(Canonical.proj, SnapshotForms)
cover(CanonicalAdopted.proj, SnapshotFormsAdopted)


@schema
class DuplicateSet(dj.Computed):
    definition = """
    # Files that held the same bytes, or once did, or that say the same, among what a snapshot covers
    -> Snapshot
    ---
    content_count : int32 # contents that several files held
    copy_count : int32 # files that held them
    bytes_logical : int64 # bytes of all these files
    bytes_distinct : int64 # bytes of the contents, each once
    stale_count : int32 # files that were a copy of an older version of another
    diverged_count : int32 # pairs of files that once were the same
    """

    class Copy(dj.Part):
        definition = """
        # A file that held a content which another held, too; of the 10,000 contents that most could be saved of
        -> master
        -> Version
        ---
        -> Blob
        first_seen : datetime(6) # UTC; when the file was first met with this content
        is_origin : bool # the original, one for each content
        evidence : varchar(16) # for that: read | modified | seen | none
        """

    class Relation(dj.Part):
        definition = """
        # Two files that once held the same content; at most 10,000 of these pairs
        -> master
        -> Version
        -> Version.proj(other_id='file_id', other_version='version_id')
        ---
        relation_kind : varchar(16) # stale: the file is a copy of an older version of the other | diverged
        -> Blob.proj(common_sha256='sha256')
        """

    class AlikeCount(dj.Part):
        definition = """
        # Pairs of files that are alike in other ways; without a row they were not looked for
        -> master
        ---
        near_count=null : int64 # pairs that say the same in other bytes, or almost; none = no form was covered
        same_name_count : int64 # pairs of other files that have only their name in common
        """

    class Alike(dj.Part):
        definition = """
        # Two such files; at most 10,000 of these pairs, the most similar of each kind
        -> master
        -> Version
        -> Version.proj(other_id='file_id', other_version='version_id')
        ---
        alike_kind : varchar(16) # near | same name
        similarity : float64 # 1 = they say the same, else the share of rows or words in common; 0 = name only
        alike_form : varchar(64) # hash of what both say, hex; empty if it is not the same
        """

    def make(self, key: dict[str, Any]) -> None:
        """Judge what the snapshot covers."""
        from populate.duplicates.covered import set_rows

        rows = set_rows(self.connection, key["snapshot_no"])
        self.insert1({**key, **rows.totals})
        self.Copy.insert(({**key, **row} for row in rows.copies), chunk_size=5000)
        self.Relation.insert(({**key, **row} for row in rows.relations), chunk_size=5000)
        self.AlikeCount.insert1({**key, **rows.alike_count})
        self.Alike.insert(({**key, **row} for row in rows.alike), chunk_size=5000)
