"""What a store should hold by the catalogue, a page at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from populate.backup.check import Kept
from populate.backup.erased import Erasure
from populate.backup.tables import Placement
from populate.store import Place
from schemas.catalogue import Blob

PAGE = 5_000
"""Rows that are fetched at once."""

FIRST, LAST = "0" * 64, "f" * 64

_HELD = """
SELECT p.sha256, b.blob_size, p.object_name, p.place_offset, p.place_length
FROM {placement} AS p JOIN {blob} AS b ON b.sha256 = p.sha256
WHERE p.store_id = %s AND p.sha256 >= %s AND p.sha256 <= %s {condition}
AND NOT EXISTS (SELECT 1 FROM {erasure} AS e WHERE e.sha256 = p.sha256)
ORDER BY p.sha256 LIMIT {page}
"""


def held(
    connection: Any, store_id: str, first: str = FIRST, last: str = LAST, condition: str = "", *arguments: object
) -> Iterator[Kept]:
    """Yield the contents that should be in a store, in the order of their hashes.

    Parameters
    ----------
    connection
        Of the binding.
    store_id
        Identity of the store.
    first, last
        Hashes between which theirs are to lie, both included.
    condition, arguments
        SQL that the rows have to fulfil, where ``p`` is the row in `Placement`.
    """
    names = {
        "placement": Placement().full_table_name,
        "blob": Blob().full_table_name,
        "erasure": Erasure().full_table_name,
    }
    statement = _HELD.format(**names, condition=f"AND {condition}" if condition else "", page=PAGE)
    while True:
        page = connection.query(statement, args=(store_id, first, last, *arguments)).fetchall()
        for sha256, size, name, offset, length in page:
            yield Kept(sha256, int(size), Place(name, int(offset), int(length)))
        if len(page) < PAGE:
            return
        first = _after(page[-1][0])


def _after(sha256: str) -> str:
    """Return the next hash; there is always one, for nobody finds a content whose hash is all f."""
    return f"{int(sha256, 16) + 1:064x}"
