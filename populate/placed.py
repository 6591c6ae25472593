"""What computed tables over the contents of a batch have in common: which of these are in a store, and where."""

from __future__ import annotations

from typing import Any, ClassVar

from data_platform.settings import Settings
from populate.backup.tables import ContentStore, Placement
from schemas.catalogue import Blob, Version


class OfContents:
    """Looks into the contents of a batch by a method, outside of any transaction; beside `dj.Computed`.

    Attributes
    ----------
    members
        Table of the versions in a batch.
    method
        Lookup table with the limits of a method: ``most_bytes``, ``most_memory``, ``most_seconds``.
    settings
        Of an instance, whose worker sets them; None stands for those of the process.
    """

    members: ClassVar[Any]
    method: ClassVar[Any]
    settings: Settings | None = None

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Return what `placed_of` does for the versions of the batch."""
        return placed_of(self.members() & key, self.method() & key)

    def make_compute(self, key: dict[str, Any], *fetched: Any) -> tuple[Any, ...]:
        """Return the number of contents, and rows of those that the method has not seen."""
        return self.look(key, fetched)

    def make_insert(self, key: dict[str, Any], count: int, rows: Any) -> None:
        """Keep these."""
        self.keep(key, count, rows)

    def look(self, key: dict[str, Any], fetched: tuple[Any, ...]) -> tuple[int, Any]:
        """Do what `make_compute` does."""
        raise NotImplementedError

    def keep(self, key: dict[str, Any], count: int, rows: Any) -> None:
        """Do what `make_insert` does."""
        raise NotImplementedError


def placed_of(members: Any, method: Any) -> tuple[Any, ...]:
    """Return arrays: contents of `members` that are in a store, their sizes and places; then the method's limits."""
    columns = ("sha256", "blob_size", "store_name", "object_name", "place_offset", "place_length")
    placed = members * Version * Blob * Placement * ContentStore
    limits = method.fetch1("most_bytes", "most_memory", "most_seconds")
    return (*placed.proj(*columns).to_arrays(*columns, order_by="KEY"), [int(limit) for limit in limits])
