"""The files below a folder, in all its pages and behind its shortcuts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from data_platform.errors import AccessDenied, SourceError, UnsupportedItem
from readers.microsoft365 import items
from readers.microsoft365.graph import Graph, Page
from readers.microsoft365.opening import asked, follow, in_drive
from readers.source import Item, Refused

Json = dict[str, Any]
_DEEPEST = 256
_WITH_ADDRESS = (
    "id,name,size,eTag,cTag,webUrl,lastModifiedDateTime,createdBy,parentReference,file,folder,package,remoteItem"
    ",malware,deleted,@microsoft.graph.downloadUrl"
)
_log = logging.getLogger(__name__)


class Listing:
    """Walks down from a folder.

    Parameters
    ----------
    item
        Makes an item of what Graph says of it, the link that opens a folder above it, and the path to it from there.
    refused
        Told of what cannot be listed; the rest goes on.
    """

    def __init__(self, graph: Graph, item: Callable[[Json, str, str], Item], refused: Refused) -> None:
        self._graph = graph
        self._item = item
        self._refused = refused

    def below(self, folder: Item) -> Iterator[tuple[str, Item]]:
        """Yield path within the folder and item of every file; notebooks and other packages are left out."""
        return self._below(folder, "", (folder.item_id,))

    def _below(self, folder: Item, outer: str, within: tuple[str, ...]) -> Iterator[tuple[str, Item]]:
        drive = folder.item_id.partition("/")[0]
        try:
            for page in self._pages(folder):
                for child in page.value:
                    yield from self._child(folder, in_drive(drive, child), outer, within)
        except SourceError as error:
            self._refused(outer.rstrip("/"), error)

    def _pages(self, folder: Item) -> Iterator[Page]:
        """Yield the pages of a folder's list; of one that a link opens, with the addresses of the files.

        These spare asking about each of them by the link, which is all that somebody may have.
        """
        if not items.by_link(folder):
            return self._graph.pages(f"{items.places_of(folder)[0][0]}/children")
        try:
            return asked(folder, self._first_pages)
        except (AccessDenied, UnsupportedItem) as error:
            if not items.within(folder):
                raise
            raise AccessDenied(
                f"{folder.name!r} is open to you only by the link of a folder above it, and Microsoft 365 does not list"
                " it that way. Open the link once in the browser, which gives you lasting access, or ask its owner to"
                " share it with you; then read it again."
            ) from error

    def _first_pages(self, place: str, headers: dict[str, str]) -> Iterator[Page]:
        chosen = f"?$select={_WITH_ADDRESS}" if headers else ""
        pages = self._graph.pages(items.part(place, f"/children{chosen}"), **headers)
        return chain([next(pages)], pages)  # now, so that a refusal shows

    def _child(self, folder: Item, child: Json, outer: str, within: tuple[str, ...]) -> Iterator[tuple[str, Item]]:
        path = outer + _part(child)
        if items.is_package(child):
            _log.warning("%r is left out: a notebook or another package has no bytes of its own.", path)
            return
        try:
            item = self._item(follow(self._graph, child), *items.by_link_of(folder, child))
        except SourceError as error:
            self._refused(path, error)
            return
        if not item.is_folder:
            yield path, item
        elif item.item_id in within or len(within) > _DEEPEST:  # a shortcut may lead to where it is
            _log.warning("%r is left out: it leads back to a folder that it is in.", path)
        else:
            yield from self._below(item, f"{path}/", (*within, item.item_id))


def _part(told: Json) -> str:
    """Return a name that is one part of a path, whatever it is."""
    name = str(told.get("name") or told.get("id") or "unnamed").replace("/", "_")
    return f"_{name}" if name in {".", ".."} else name
