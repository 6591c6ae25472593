"""Profiles of contents, as computed tables: what search, a file's page and descriptions tell of them.

What computes them is loaded by `make()`, so that workers start quickly. The rows repeat what is in
contents, so they go when a content is erased: `forget`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from data_platform.settings import Settings
from populate.adopt.tables import Adopt, AdoptMember  # noqa: F401  (foreign key)
from populate.backup.erased import erased
from populate.backup.tables import Backup  # noqa: F401  (foreign key)
from populate.describe.tables import forget as forget_descriptions
from populate.ingest import BackupMember
from populate.lookup import add
from populate.placed import OfContents
from schemas.catalogue import Blob  # noqa: F401  (foreign key)
from schemas.engine import dj
from schemas.restrict import where

schema = dj.Schema()

METHOD = 1
"""The method whose profiles this release shows; one that tells other things gets another number."""

Rows = list[dict[str, Any]]


@schema
class ProfileMethod(dj.Lookup):
    definition = """
    # How contents are looked into for their profiles
    profile_method : int16 # rises
    ---
    profile_method_name : varchar(255)
    most_bytes : int64 # bytes; larger contents are not opened
    most_memory : int64 # bytes that finding a profile may take
    most_seconds : int16 # of processor time that finding a profile may take
    """
    contents = (
        {
            "profile_method": METHOD,
            "profile_method_name": "tables of CSV and the like, spreadsheets, Parquet and JSON",
            "most_bytes": 1024**3,
            "most_memory": 2 * 1024**3,
            "most_seconds": 60,
        },
    )


@schema
class ContentProfile(dj.Manual):
    definition = """
    # What a content is made of
    -> Blob
    -> ProfileMethod
    ---
    profile_kind : varchar(16) # table | workbook | text | json | document | archive | bytes | none
    profile_reason : varchar(255) # why there is nothing more to tell; mostly empty
    """


@schema
class SheetProfile(dj.Manual):
    definition = """
    # A table in a content, or the lines of a text
    -> ContentProfile
    sheet_no : int16 # from 0
    ---
    sheet_name : varchar(255) # of a workbook's sheet, else empty
    row_count : int64 # without the names of columns; of a text its lines
    column_count : int32 # 0 = a text
    rows_looked_at : int64 # rows that the columns were told by
    first_rows : varchar(8192) # texts of the first cells, a JSON list of lists
    """


@schema
class ColumnProfile(dj.Manual):
    definition = """
    # A column of a table in a content; of the first 200 columns
    -> SheetProfile
    column_no : int16 # from 0
    ---
    column_name : varchar(255)
    column_type : varchar(16) # empty | integer | number | truth | date | time | text
    missing_count : int64 # rows without a value
    distinct_count : int32 # different values; -1 = more than 1,000
    least_value : varchar(255) # least value of numbers and times, else empty
    greatest_value : varchar(255) # greatest value of numbers and times, else empty
    column_values : varchar(4096) # where they are few: JSON list of value and number, the most frequent first
    """


class _Profiles(OfContents):
    method, kept = ProfileMethod, ContentProfile

    def look(self, settings: Settings, contents: Mapping[str, Sequence[Any]], limits: Sequence[int]) -> Any:
        from populate.profile.stored import profiles_of

        return profiles_of(settings, contents, limits)

    def keep(self, key: dict[str, Any], count: int, rows: tuple[Rows, Rows, Rows]) -> None:
        gone = erased({row["sha256"] for row in rows[0]})  # since its bytes were looked at
        method = {"profile_method": key["profile_method"]}
        for target, some in zip((ContentProfile, SheetProfile, ColumnProfile), rows, strict=True):
            kept = [method | row for row in some if row["sha256"] not in gone]
            for start in range(0, len(kept), 1000):
                add(target, kept[start : start + 1000])
        # A worker that lost its connection may meet its own row, written by the one that took over.
        self.insert1({**key, "profile_count": count}, skip_duplicates=True)  # type: ignore[attr-defined]


@schema
class Profile(_Profiles, dj.Computed):
    definition = """
    # The contents of a backup batch have a profile
    -> Backup
    -> ProfileMethod
    ---
    profile_count : int32 # contents of the batch that were in the store
    """
    members = BackupMember


@schema
class ProfileAdopted(_Profiles, dj.Computed):
    definition = """
    # The contents of a batch of files that were taken in unread have a profile
    -> Adopt
    -> ProfileMethod
    ---
    profile_count : int32 # contents of the batch's files that were in the store
    """
    members = AdoptMember


def forget(sha256: str) -> None:
    """Delete what profiles tell of a content, for good."""
    for table in (ColumnProfile, SheetProfile, ContentProfile):
        where(table, sha256=sha256).delete_quick()
    forget_descriptions(sha256)
