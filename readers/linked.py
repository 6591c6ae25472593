"""An item that remembers, out of the catalogue's sight, what its source needs again."""

from __future__ import annotations

import time

from readers.source import Item, Revision

_FRESH_SECONDS = 30.0


class LinkedItem(Item):
    """An `Item` with the link it came from, secrets included, and the revision seen on the way.

    Neither is a field: they are not compared, shown, pickled or copied with the rest.
    """

    __slots__ = ("_seen", "link")

    link: str
    _seen: list[tuple[float, Revision]]

    def remember(self, link: str, seen: Revision | None = None) -> LinkedItem:
        """Keep `link` and a revision that was true just now; returns the item itself."""
        object.__setattr__(self, "link", link)
        object.__setattr__(self, "_seen", [(time.monotonic(), seen)] if seen else [])
        return self


def link_of(item: Item) -> str | None:
    """Return the link with its secrets, or None where only the catalogue's words are left."""
    return getattr(item, "link", None)


def take_seen(item: Item) -> Revision | None:
    """Return the revision that was learnt while the item was resolved or listed, once.

    Whoever asks a second time, or late, wants to know what is there now.
    """
    try:
        when, revision = getattr(item, "_seen", []).pop()
    except IndexError:
        return None
    return revision if time.monotonic() - when < _FRESH_SECONDS else None
