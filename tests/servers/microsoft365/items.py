"""What can be asked of an item: itself, its bytes, children, versions, permissions, and what changed below it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from servers.microsoft365 import drive_delta, permissions
from servers.microsoft365.access import missing
from servers.microsoft365.library import Item, Version
from servers.microsoft365.shapes import collection, identity, item_shape, selection, version_shape
from servers.microsoft365.web import Answer, Refusal, Request

if TYPE_CHECKING:
    from servers.microsoft365.world import Json

_VERSION = re.compile(r"versions/(?P<key>[^/]+)(?P<content>/content)?\Z")


def answer(request: Request, item: Item, verb: str) -> Answer:
    """Answer what is asked of an item, which the caller may see."""
    request.template = f"{request.method} item/{verb}".rstrip("/")
    if request.method == "GET" and verb in _GET:
        return _GET[verb](request, item)
    if verb == "permissions" or verb.startswith("permissions/") or verb in ("createLink", "invite"):
        request.template = f"{request.method} item/{verb.partition('/')[0]}"
        return permissions.answer(request, item, verb)
    if verb in ("delta", "delta()"):
        request.template = "GET drive/delta"
        return drive_delta.answer(request, item)
    if (match := _VERSION.match(verb)) is not None:
        request.template = f"GET item/versions/{{}}{match['content'] or ''}"
        return _version(request, item, match["key"], content=bool(match["content"]))
    raise Refusal(400, "BadRequest", f"Resource not found for the segment '{verb}'.")


def _whole(request: Request, item: Item) -> Answer:
    chosen = selection(request)
    expanded = request.option("expand") or ""
    found = item_shape(request, item, chosen, download=True)
    if expanded.startswith("children"):
        found["children"] = [item_shape(request, child) for child in (item.children or {}).values()]
    elif expanded:
        raise Refusal(400, "notSupported", f"{expanded} cannot be expanded here.")
    return Answer(200, found, {"ETag": item.e_tag})


def _content(request: Request, item: Item) -> Answer:
    """Lead to the bytes; a condition is on the item's tags, and a range belongs to the address that this leads to."""
    _servable(item)
    if request.headers.get("If-None-Match") in (item.e_tag, item.c_tag):
        return Answer(304)
    return Answer(302, b"", {"Location": request.server.links.download(request, item, item.versions[-1])})


def _servable(item: Item) -> None:
    if "malware" in (item.facets or {}):
        raise Refusal(403, "malwareDetected", "Malware was detected in the requested resource.", "malwareDetected")
    if not item.is_file:
        raise Refusal(400, "invalidRequest", "The item has no content.", "invalidRequest")


def _children(request: Request, item: Item) -> Answer:
    """Return a page of what is in a folder, by name."""
    if item.children is None:
        raise Refusal(400, "invalidRequest", "The item has no children.", "invalidRequest")
    place = request.server.links.place(request, "$skiptoken")
    state: Json = place.state if place else {"chosen": selection(request), "after": "", "top": _top(request)}
    if place is None and request.world.quirks.empty_pages:
        link = request.server.links.next(request, state)
        return Answer(200, collection(request, "driveItems", [], nextLink=link))
    names = sorted(name for name in item.children if name > state["after"])
    page = names[: state["top"]]
    values = [item_shape(request, item.children[name], state["chosen"]) for name in page]
    links = {}
    if len(names) > len(page):
        links["nextLink"] = request.server.links.next(request, {**state, "after": page[-1]})
    return Answer(200, collection(request, "driveItems", values, **links))


def _top(request: Request) -> int:
    asked, most = request.option("top"), request.world.pages.children
    if asked is not None and not (asked.isdigit() and int(asked) > 0):
        raise Refusal(400, "invalidRequest", "The value of $top is not a positive number.")
    return min(int(asked), most) if asked else most


def _versions(request: Request, item: Item) -> Answer:
    if not item.is_file:
        raise Refusal(400, "invalidRequest", "The item has no versions.", "invalidRequest")
    found = [version_shape(version) for version in reversed(item.versions)]
    return Answer(200, collection(request, "versions", found))


def _version(request: Request, item: Item, key: str, *, content: bool) -> Answer:
    version = _numbered(item, key)
    if not content:
        return Answer(200, version_shape(version))
    _servable(item)
    if request.world.quirks.current_version_refused and version is item.versions[-1]:
        raise Refusal(400, "invalidRequest", "You cannot get the content of the current version.", "invalidRequest")
    return Answer(302, b"", {"Location": request.server.links.download(request, item, version)})


def _numbered(item: Item, key: str) -> Version:
    for version in item.versions:
        if key in (f"{version.number}.0", "current") and (key != "current" or version is item.versions[-1]):
            return version
    raise missing()


def _list_item(request: Request, item: Item) -> Answer:
    found = item_shape(request, item, {"createdDateTime", "eTag", "lastModifiedDateTime", "webUrl", "sharepointIds"})
    ids = found.pop("sharepointIds", None)
    if ids is None:
        raise missing()
    if request.option("expand") == "driveItem":
        found["driveItem"] = item_shape(request, item)
    parent = {"id": ids["listItemUniqueId"], "siteId": item.drive.site.id}
    more = {"id": ids["listItemId"], "createdBy": identity(item.by), "parentReference": parent, "sharepointIds": ids}
    return Answer(200, found | more | {"contentType": {"id": "0x0101", "name": "Document"}})


_GET = {
    "": _whole,
    "content": _content,
    "children": _children,
    "versions": _versions,
    "listItem": _list_item,
}
