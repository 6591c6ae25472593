"""What lies below a root, listed in a thread of its own while the database is asked about what was listed before."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice, takewhile
from threading import Event
from typing import NamedTuple

from data_platform.errors import SourceError
from readers.source import Item, Listed, Source
from schemas.identity import file_id


class Portion(NamedTuple):
    """Some of what is listed: by its identity each file, and what was met that could not be looked at."""

    met: dict[str, Listed]
    refused: list[tuple[str, SourceError]]


def listed_ahead(source: Source, root: Item, left_out: Callable[[Item], bool], size: int) -> Generator[Portion]:
    """Yield all that is listed below `root`, up to `size` files at a time; the next portion is listed meanwhile.

    Raises
    ------
    SourceError
        If the root itself cannot be listed.
    """
    refused: list[tuple[str, SourceError]] = []

    def refuse(path: str, error: SourceError) -> None:
        if not path:
            raise error
        refused.append((path, error))

    def portion() -> Portion:
        some = {file_id(one.source_system, one.item_id): one for one in islice(listed, size)}
        told, refused[:] = refused[:], []
        return Portion(some, told)

    ended = Event()  # who is interrupted does not wait for the portion that is being listed
    listed = takewhile(lambda _: not ended.is_set(), source.listed(root, refuse, left_out))
    with ThreadPoolExecutor(1, thread_name_prefix="listing") as thread, _set_at_end(ended):
        waiting = thread.submit(portion)
        while any(one := waiting.result()):
            waiting = thread.submit(portion)
            yield one


@contextmanager
def _set_at_end(event: Event) -> Iterator[None]:
    try:
        yield
    finally:
        event.set()
