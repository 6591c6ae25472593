"""Which contents are to be nowhere any more."""

from __future__ import annotations

from collections.abc import Collection

from populate.lookup import lookup
from schemas.catalogue import Blob  # noqa: F401  (the definition refers to it)
from schemas.engine import dj

schema = dj.Schema()


@schema
class Erasure(dj.Manual):
    definition = """
    # A content that was ordered to be erased everywhere; this row stays, and keeps it from coming back
    -> Blob
    ---
    erased_at : datetime(6) # UTC
    erased_by : varchar(255) # realm and login of whoever ordered it
    erase_reason : varchar(512)
    """


def erased(hashes: Collection[str]) -> set[str]:
    """Return those of some SHA-256 that were erased."""
    return {sha256 for (sha256,) in lookup(Erasure, "sha256", sha256=hashes)}
