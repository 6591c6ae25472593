"""Whether the source lets somebody open an item, asked of the source itself."""

from __future__ import annotations

from contextlib import suppress

from readers.source import Item, Source


class _Seen(Exception):
    """The first bytes have arrived; the rest is not wanted."""


def see(source: Source, item: Item) -> None:
    """Have the source open an item, so that it can refuse; nothing is kept.

    Raises
    ------
    SourceError
        If the source does not let this account read the item.
    """
    if item.is_folder:
        next(iter(source.list(item)), None)
        return
    with suppress(_Seen):
        source.download(item, source.revision(item), _stop)


def _stop(piece: bytes) -> None:
    raise _Seen
