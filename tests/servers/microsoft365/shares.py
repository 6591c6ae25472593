"""Sharing addresses: from a link, or the address of an item, to the item."""

from __future__ import annotations

import base64
import re
from urllib.parse import parse_qsl, unquote, urlsplit

from servers.microsoft365 import addresses, items
from servers.microsoft365.access import READ, allow, denied
from servers.microsoft365.library import Item, Permission
from servers.microsoft365.permissions import permission_shape
from servers.microsoft365.shapes import identity, item_shape, site_shape
from servers.microsoft365.web import Answer, Refusal, Request, Routes

routes = Routes()
DOCUMENTED = ("Files.ReadWrite", "Files.ReadWrite.All", "Sites.ReadWrite.All", "Sites.FullControl.All")
DURABLY, ONCE = "redeemsharinglink", "redeemsharinglinkifnecessary"
_BELOW = re.compile(r"/driveItem:(?P<path>/[^:]+)(?::(?P<verb>/.*)?)?\Z")
_BY_PATH = re.compile(r"/:[a-z]:/r(?P<path>/.+)\Z")


@routes("GET", "/shares/{token}{rest}")
def share(request: Request, token: str, rest: str) -> Answer:
    """Answer for what a sharing address leads to.

    The documented scopes are those that write, although nothing is written. A link that the
    caller has not used before is opened by one of two preferences, for good or for this request.
    """
    request.template = "GET shares"
    if not request.grant.has(*DOCUMENTED, *(READ if request.world.quirks.lenient_shares else ())):
        raise denied()
    item, permission = _target(request, token)
    if permission is not None:
        _open(request, item, permission)
    if rest == "/permission" and permission is not None:
        return Answer(200, permission_shape(request, item, permission, item))
    return _about(request, item, token, rest)


def _about(request: Request, item: Item, token: str, rest: str) -> Answer:
    allow(request, item)
    if rest == "":
        found = item_shape(request, item, {"id", "name"})
        found |= {"id": token, "owner": identity(item.drive.owner)}
        return Answer(200, found)
    if rest == "/site":
        return Answer(200, site_shape(item.drive.site))
    if rest == "/list":
        return Answer(200, {"id": item.drive.list_id, "name": item.drive.folder, "displayName": item.drive.name})
    if rest == "/listItem":
        return items.answer(request, item, "listItem")
    if (match := _BELOW.match(rest)) is not None and not request.world.quirks.shares_without_paths:
        # What lies below is opened by the same link, for the same request.
        inner = addresses.below(item, match["path"])
        allow(request, inner)
        return items.answer(request, inner, (match["verb"] or "").strip("/"))
    if rest == "/driveItem" or rest.startswith("/driveItem/"):
        if request.world.quirks.only_list_item:
            raise Refusal(400, "invalidRequest", "Invalid request", "invalidRequest")
        return items.answer(request, item, rest.removeprefix("/driveItem").strip("/"))
    raise Refusal(400, "invalidRequest", f"Resource not found for the segment '{rest.strip('/')}'.")


def _target(request: Request, token: str) -> tuple[Item, Permission | None]:
    """Return the item that an encoded address or a share id leads to, with the link if it is one."""
    world = request.world
    url = _decoded(token)
    # What follows the question mark of a link is for counting and may be left out.
    known = world.links.get(token) or world.links.get(url.partition("?")[0])
    if known is not None and (known[1].expires is None or known[1].expires > world.now()):
        return known
    if world.quirks.refuse_plain_addresses:
        raise _gone()
    return _by_address(request, url), None


def _decoded(token: str) -> str:
    encoded = token.removeprefix("u!")
    if encoded == token or not re.fullmatch(r"[A-Za-z0-9_-]+", encoded):
        raise Refusal(400, "invalidRequest", "Invalid shares key.", "invalidRequest")
    try:
        return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    except ValueError:
        return ""


def _by_address(request: Request, url: str) -> Item:
    parts = urlsplit(url)
    path = parts.path
    options = dict(parse_qsl(parts.query))
    if "sourcedoc" in options:
        return _by_unique_id(request, parts.hostname or "", options["sourcedoc"].strip("{}").lower())
    if "resid" in options:
        return _by_personal_id(request, options["resid"])
    if (match := _BY_PATH.match(path)) is not None:
        path = match["path"]
    for drive in request.world.drives.values():
        base = unquote(urlsplit(drive.url).path)
        if parts.hostname == drive.site.host and unquote(path).lower().startswith(f"{base.lower()}/"):
            names = [part for part in unquote(path)[len(base) :].split("/") if part]
            if (item := drive.at(names)) is not None:
                return item
    raise _gone()


def _by_unique_id(request: Request, host: str, guid: str) -> Item:
    for drive in request.world.drives.values():
        if drive.site.host == host:
            for item in drive.items.values():
                if item.guid == guid:
                    return item
    raise _gone()


def _by_personal_id(request: Request, key: str) -> Item:
    drive = request.world.drives.get(key.partition("!")[0].lower())
    if drive is None or key not in drive.items:
        # Addresses of newer documents have a GUID there, which the service itself does not understand.
        raise Refusal(400, "invalidRequest", "Invalid shares key.", "invalidRequest")
    return drive.items[key]


def _gone() -> Refusal:
    return Refusal(
        403, "accessDenied", "The sharing link no longer exists, or you do not have permission to access it."
    )


def _open(request: Request, item: Item, permission: Permission) -> None:
    user = request.grant.user
    if not request.world.opens(permission, user):
        return
    if DURABLY in request.preferences and user is not None and not request.world.may(user, item):
        request.world.redeem(item, permission, user)
    elif ONCE in request.preferences:
        request.opened = item
