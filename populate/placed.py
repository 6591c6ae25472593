"""What computed tables over the contents of a batch have in common: which of these are in a store, and where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from data_platform.settings import Settings
from data_platform.settings import settings as settings_of_process
from populate.backup.tables import ContentStore, Placement
from populate.lookup import as_text, from_text, lookup
from schemas.catalogue import Blob, Version


class OfContents:
    """Looks into the contents of a batch by a method, outside of any transaction; beside `dj.Computed`.

    Attributes
    ----------
    members
        Table of the versions in a batch.
    method
        Lookup table with the limits of a method: ``most_bytes``, ``most_memory``, ``most_seconds``.
    kept
        Table with a row for each content and method that was looked into.
    settings
        Of an instance, whose worker sets them; None stands for those of the process.
    """

    members: ClassVar[Any]
    method: ClassVar[Any]
    kept: ClassVar[Any]
    settings: Settings | None = None

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Return what `placed_of` does for the versions of the batch."""
        return placed_of(self.members() & key, self.method() & key)

    def make_compute(self, key: dict[str, Any], fetched: str, limits: Sequence[int]) -> tuple[Any, ...]:
        """Return the number of contents, and rows of those that the method has not seen."""
        from populate.duplicates.forms.stored import placed

        contents = placed(from_text(fetched))
        by_method = {name: [key[name]] for name in self.method.primary_key}
        seen = {sha256 for (sha256,) in lookup(self.kept, "sha256", sha256=contents, **by_method)}
        new = {sha256: place for sha256, place in contents.items() if sha256 not in seen}
        return len(contents), self.look(self.settings or settings_of_process(), new, limits)

    def make_insert(self, key: dict[str, Any], count: int, rows: Any) -> None:
        """Keep what was found."""
        self.keep(key, count, rows)

    def look(self, settings: Settings, contents: Mapping[str, Sequence[Any]], limits: Sequence[int]) -> Any:
        """Return rows of these contents, for `keep`."""
        raise NotImplementedError

    def keep(self, key: dict[str, Any], count: int, rows: Any) -> None:
        """Keep them, and the row of the batch."""
        raise NotImplementedError


def placed_of(members: Any, method: Any) -> tuple[str, list[int]]:
    """Return contents of `members` that are in a store, their sizes and places, as a text; then the method's limits."""
    columns = ("sha256", "blob_size", "store_name", "object_name", "place_offset", "place_length")
    limits = method.fetch1("most_bytes", "most_memory", "most_seconds")
    return as_text(members * Version * Blob * Placement * ContentStore, *columns), [int(limit) for limit in limits]
