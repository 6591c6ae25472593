"""What lies below a root, listed in a thread of its own while the database is asked about what was listed before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, takewhile
from threading import Event
from typing import NamedTuple

from data_platform.errors import SourceError
from readers.source import Item, Listed, Source
from schemas.identity import file_id

LISTED = 5000  # files of which the database is asked at once whether they are as they were


class Portion(NamedTuple):
    """Some of what is listed: by its identity each file, and what was met that could not be looked at."""

    met: dict[str, Listed]
    refused: list[tuple[str, SourceError]]


class Listing:
    """All that is listed below a root, in portions: one is listed as soon as this is made, the next one meanwhile.

    Parameters
    ----------
    source, root
        The folder to look at.
    left_out
        Tells of an item whether to leave it out, and all below it.
    size
        Files of a portion.
    """

    def __init__(self, source: Source, root: Item, left_out: Callable[[Item], bool], size: int) -> None:
        self._refused: list[tuple[str, SourceError]] = []
        self._ended = Event()  # who is interrupted does not wait for the portion that is being listed
        self._listed = takewhile(lambda _: not self._ended.is_set(), source.listed(root, self._refuse, left_out))
        self._size = size
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="listing")
        self._next = self._thread.submit(self._portion)

    def __iter__(self) -> Iterator[Portion]:
        """Yield the portions; may be done once.

        Raises
        ------
        SourceError
            If the root itself cannot be listed.
        """
        while any(portion := self._next.result()):
            self._next = self._thread.submit(self._portion)
            yield portion

    def close(self) -> None:
        """List no more."""
        self._ended.set()
        self._thread.shutdown()

    def _portion(self) -> Portion:
        some = {file_id(one.source_system, one.item_id): one for one in islice(self._listed, self._size)}
        refused, self._refused = self._refused, []
        return Portion(some, refused)

    def _refuse(self, path: str, error: SourceError) -> None:
        if not path:
            raise error
        self._refused.append((path, error))
