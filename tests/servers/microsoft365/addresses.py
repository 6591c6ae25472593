"""Finding drives, sites and items by the addresses that Graph has for them."""

from __future__ import annotations

import re
from urllib.parse import unquote

from servers.microsoft365.access import allow, missing
from servers.microsoft365.library import Drive, Item, Site
from servers.microsoft365.people import User
from servers.microsoft365.web import Refusal, Request

_ITEM = re.compile(r"/(?:root|items/(?P<id>[^/:]+))(?::(?P<path>/[^:]*)(?::|\Z))?(?P<verb>/.*)?\Z")


def drive_by_id(request: Request, key: str) -> Drive:
    drive = request.world.drives.get(key)
    if drive is None:
        raise Refusal(404, "itemNotFound", "The drive could not be found.", "ResourceNotFound")
    return drive


def drive_of_user(request: Request, user: User | None) -> Drive:
    """Return somebody's OneDrive; the words are those that callers meet for people without one."""
    drive = request.world.drive_of(user) if user is not None else None
    if drive is None:
        raise Refusal(404, "ResourceNotFound", "User's mysite not found.", "itemNotFound")
    return drive


def caller(request: Request) -> User:
    """Return the person who calls.

    Raises
    ------
    Refusal
        If an application calls by itself.
    """
    if request.grant.user is None:
        raise Refusal(400, "BadRequest", "/me request is only valid with delegated authentication flow.")
    return request.grant.user


def any_user(request: Request, key: str) -> User:
    user = request.world.user(key)
    if user is None:
        message = f"Resource '{key}' does not exist or one of its queried reference-property objects are not present."
        raise Refusal(404, "Request_ResourceNotFound", message)
    return user


def site_at(request: Request, key: str) -> Site:
    """Return a site by its id, or the part of it that is a GUID."""
    for site in request.world.sites.values():
        if key.lower() in (site.id, site.guid) or (key.lower(), "/") == (site.host, site.path):
            return site
    raise missing()


def site_by_path(request: Request, host: str, path: str) -> Site:
    wanted = unquote(path).rstrip("/").lower()
    for site in request.world.sites.values():
        if (site.host, site.path.lower()) == (host.lower(), wanted):
            return site
    raise missing()


def item_in(request: Request, drive: Drive, rest: str) -> tuple[Item, str]:
    """Return the item that the rest of a path names, which the caller may see, and what is asked of it."""
    match = _ITEM.match(rest)
    if match is None:
        raise Refusal(400, "invalidRequest", f"Resource not found for the segment '{rest.strip('/')}'.")
    item = _by_id(drive, unquote(match["id"])) if match["id"] else drive.root
    if match["path"] is not None:
        item = below(item, match["path"])
    allow(request, item)
    return item, (match["verb"] or "").strip("/")


def _by_id(drive: Drive, key: str) -> Item:
    item = drive.items.get(key)
    if item is None:
        raise missing()
    return item


def below(item: Item, path: str) -> Item:
    """Return the item at a path, percent-encoded, from another one."""
    for name in (unquote(part) for part in path.split("/") if part):
        found = (item.children or {}).get(name.lower())
        if found is None:
            raise missing()
        item = found
    return item
