"""From a link to what Graph says of the item: the ways that are known to work, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote, unquote, urlsplit

from data_platform.errors import AccessDenied, SettingsError, SourceError, SourceNotFound, UnsafeLink, UnsupportedItem
from readers.microsoft365 import items
from readers.microsoft365.clouds import CLOUDS
from readers.microsoft365.graph import Graph
from readers.microsoft365.links import SharedLink, understands
from readers.source import Item

Json = dict[str, Any]
T = TypeVar("T")
_TRY_ANOTHER_WAY = (UnsupportedItem, AccessDenied)


def open_link(graph: Graph, link: SharedLink) -> tuple[Json, str]:
    """Return the driveItem that a link leads to, of a shortcut the item itself, and how to ask again.

    That is the link's token, or empty if the item can be asked for by its ids.

    Raises
    ------
    UnsafeLink
        If its path leads up again.
    SourceError
        What the first way was answered, if no other one leads there; or that there is nothing,
        where the path could be looked up: a missing file's sharing address is only "denied".
    """
    refuse_way_up(link)
    first: SourceError | None = None
    for way in _ways(link):
        try:
            if (told := way(graph, link)) is not None:
                by_link = way is _by_share and items.remote(told) is None
                return follow(graph, told), link.token if by_link else ""
        except _TRY_ANOTHER_WAY as error:
            first = first or error
        except SourceNotFound:
            if way is _by_path or first is None:
                raise
    raise first or SourceNotFound("The link leads nowhere. Check it, or ask its owner for another one.")


def _ways(link: SharedLink) -> tuple[Callable[[Graph, SharedLink], Json | None], ...]:
    return (_by_channel,) if all(link.channel) else (_by_share, _by_list_item, _by_path, _by_personal_id)


def asked(item: Item, ask: Callable[[str, dict[str, str]], T]) -> T:
    """Return what Graph says of an item, by the link that it was opened with, else by its ids."""
    first: SourceError | None = None
    for place, headers in items.places_of(item):
        try:
            return ask(place, headers)
        except SourceNotFound as error:
            if not items.within(item):  # else it may be that there are no paths below a link
                raise
            first = first if isinstance(first, SourceNotFound) else error
        except (AccessDenied, UnsupportedItem) as error:
            first = first or error
    assert first is not None  # an item has a place
    raise first


def told_of(graph: Graph, item: Item) -> Json:
    """Return what Graph says of an item now; raises `SourceNotFound` if another one has taken its place."""

    def ask(place: str, headers: dict[str, str]) -> Json:
        told = graph.get(place, **headers)
        items.refuse_another(item, told)
        return told

    return asked(item, ask)


def follow(graph: Graph, told: Json) -> Json:
    """Return the item that a shortcut stands for, any other item as it is."""
    target = items.remote(told)
    return told if target is None else in_drive(target[0], graph.get(items.place(*target)))


def in_drive(drive: str, told: Json) -> Json:
    """Return `told` with the drive that it was asked from, which is not always told (of a drive's root)."""
    reference = told.get("parentReference")
    given = reference if isinstance(reference, dict) else {}
    return told if given.get("driveId") else told | {"parentReference": given | {"driveId": drive}}


def refuse_other_cloud(link: SharedLink, cloud: str) -> None:
    """Raise if the link leads into another of Microsoft's clouds than the one that is configured."""
    own = CLOUDS[cloud].files
    for other, place in CLOUDS.items():
        if link.host.endswith(place.files) and not link.host.endswith(own):
            raise SettingsError(f"{link.host} is in another cloud of Microsoft's. Set microsoft365.cloud to {other!r}.")


def refuse_way_up(link: SharedLink) -> None:
    """Raise if the link's path leads up again: servers disagree where that is, and it may be another library.

    Raises
    ------
    UnsafeLink
        If a part of it is ``.`` or ``..``.
    """
    if {".", ".."} & set(link.path.replace("\\", "/").split("/")):
        raise UnsafeLink("The path of the link has '..' in it. Copy it again with the button 'Copy link'.")


def _by_share(graph: Graph, link: SharedLink) -> Json | None:
    told = graph.get(f"/shares/{link.token}/driveItem", **items.REDEEM)
    return told if all(items.identity(told)) or items.remote(told) else _identified(graph, told, link)


def _by_list_item(graph: Graph, link: SharedLink) -> Json | None:
    """Ask for the list's entry, which is told of some links whose item is not; it has the item, or its address."""
    entry = graph.get(f"/shares/{link.token}/listItem?$expand=driveItem", **items.REDEEM)
    told, address = entry.get("driveItem"), entry.get("webUrl")
    if isinstance(told, dict) and all(items.identity(told)):
        return told
    return _by_path(graph, SharedLink.parse(address)) if isinstance(address, str) and understands(address) else None


def _by_path(graph: Graph, link: SharedLink) -> Json | None:
    """Find the library that the path is in, and the item in it."""
    if not link.path or (library := _library(graph, link)) is None:
        return None
    drive, inner = library
    root = f"/drives/{quote(drive, safe='!')}/root"
    return in_drive(drive, graph.get(f"{root}:/{quote(inner)}" if inner else root))


def _by_channel(graph: Graph, link: SharedLink) -> Json | None:
    """Ask for the folder of a channel; private and shared channels have theirs in sites of their own."""
    team, channel = link.channel
    return graph.get(f"/teams/{items.quoted(team)}/channels/{items.quoted(channel)}/filesFolder")


def _by_personal_id(graph: Graph, link: SharedLink) -> Json | None:
    drive, inner = link.personal
    # The service writes the id of the drive in small letters, and links have it in large ones.
    return in_drive(drive.lower(), graph.get(items.place(drive.lower(), inner))) if drive else None


def _library(graph: Graph, link: SharedLink) -> tuple[str, str] | None:
    """Return the drive whose address is the longest beginning of the link's path, and the rest of that."""
    refuse_way_up(link)  # it may be an address that an answer gave
    site = f"/sites/{link.host}:{quote(link.site_path)}:/drives" if link.site_path else f"/sites/{link.host}/drives"
    found: list[tuple[int, str, str]] = []
    wanted = link.path.casefold() + "/"
    for page in graph.pages(site):
        for drive in page.value:
            base = unquote(urlsplit(str(drive.get("webUrl", ""))).path).rstrip("/")
            if base and wanted.startswith(base.casefold() + "/") and isinstance(drive.get("id"), str):
                found.append((len(base), drive["id"], link.path[len(base) :].strip("/")))
    return max(found)[1:] if found else None


def _identified(graph: Graph, told: Json, link: SharedLink) -> Json:
    """Return the item with the drive that it is in, for an answer that does not tell it."""
    library = _library(graph, link) if link.path else None
    if library is None:
        raise UnsupportedItem("Microsoft 365 does not say in which drive this is. Ask its owner for another link.")
    return in_drive(library[0], told)
