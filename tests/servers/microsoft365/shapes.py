"""How drives, items, versions and people in them look in Graph."""

from __future__ import annotations

from typing import Any

from servers.microsoft365.library import PERSONAL, Actor, Drive, Item, Site, Version, quoted
from servers.microsoft365.people import Application, Group, User
from servers.microsoft365.web import Refusal, Request
from servers.microsoft365.world import Json, stamp

DOWNLOAD = "@microsoft.graph.downloadUrl"
OPTIONS = {"select", "expand", "top", "skiptoken", "token", "filter", "orderby", "count", "search"}


def selection(request: Request) -> set[str] | None:
    """Return the names that $select asks for, or None for the usual ones."""
    for name in request.options:
        if name.startswith("$") and name[1:] not in OPTIONS:
            raise Refusal(400, "invalidRequest", f"Unknown query option {name}.")
    chosen = request.option("select")
    return None if chosen is None else {name.strip() for name in chosen.split(",") if name.strip()}


def identity(by: Actor | Group) -> Json:
    """Return an identity set; what the system did has a name without id."""
    if isinstance(by, User):
        return {"user": {"email": by.mail, "id": by.id, "displayName": by.name}}
    if isinstance(by, Application):
        return {"application": {"id": by.client_id, "displayName": by.name}}
    if isinstance(by, Group):
        return {"group": {"email": by.properties.get("mail"), "id": by.id, "displayName": by.name}}
    return {"user": {"displayName": "System Account"}}


def drive_shape(drive: Drive) -> Json:
    return {
        "createdDateTime": stamp(drive.created),
        "description": "",
        "id": drive.id,
        "lastModifiedDateTime": stamp(drive.created),
        "name": drive.name,
        "webUrl": drive.url,
        "driveType": drive.kind,
        "owner": identity(drive.owner),
        "quota": {"deleted": 0, "remaining": 1099511627776, "state": "normal", "total": 1099511627776, "used": 0},
    }


def site_shape(site: Site) -> Json:
    return {
        "createdDateTime": stamp(site.drives[0].created),
        "id": site.id,
        "name": site.path.rpartition("/")[2],
        "displayName": site.name,
        "webUrl": site.url,
        "root": {},
        "siteCollection": {"hostname": site.host},
    }


def item_shape(request: Request, item: Item, chosen: set[str] | None = None, *, download: bool = False) -> Json:
    """Return an item; the download URL only of one that was asked for by itself, or by name."""
    found = _plain(request, item)
    if item.is_file and (download if chosen is None else DOWNLOAD in chosen) and "malware" not in (item.facets or {}):
        found[DOWNLOAD] = request.server.links.download(request, item, item.versions[-1])
    if chosen is None:
        return found
    if "sharepointIds" in chosen and item.drive.kind != PERSONAL:
        found["sharepointIds"] = _sharepoint_ids(request, item)
    return {name: value for name, value in found.items() if name in chosen or name == "@odata.etag"}


def delta_shape(request: Request, item: Item, chosen: set[str] | None, shared_since: int | None) -> Json:
    """Return an item as a delta shows it: without who, without cTag in a business drive, never with its path."""
    found = item_shape(request, item, chosen)
    if item.drive.kind != PERSONAL:
        for name in ("createdBy", "lastModifiedBy", "cTag"):
            found.pop(name, None)
    if "parentReference" in found:
        found["parentReference"] = {k: v for k, v in found["parentReference"].items() if k not in ("path", "name")}
    if item.deleted:
        kept = ("id", "parentReference", "size", "eTag", "fileSystemInfo", "file", "folder")
        found = {name: found[name] for name in kept if name in found} | {"deleted": {"state": "deleted"}}
    if shared_since is not None and item.shared_change > shared_since:
        found["@microsoft.graph.sharedChanged"] = "True"
    return found


def version_shape(version: Version) -> Json:
    return {
        "id": f"{version.number}.0",
        "lastModifiedDateTime": stamp(version.modified),
        "size": version.size,
        "lastModifiedBy": identity(version.by),
    }


def parent_reference(request: Request, item: Item) -> Json:
    drive = item.drive
    found: Json = {"driveType": drive.kind, "driveId": drive.id}
    if drive.kind != PERSONAL:
        found["siteId"] = drive.site.id
    if item.parent is not None:
        path = "".join(f"/{quoted(part)}" for part in item.parent.parts)
        found |= {"id": item.parent.id, "name": item.parent.name, "path": f"/drives/{drive.id}/root:{path}"}
    return found


def _plain(request: Request, item: Item) -> Json:
    version = item.versions[-1] if item.versions else None
    modified = max(filter(None, (version.modified if version else None, item.modified, item.created)))
    found: Json = {
        "@odata.etag": item.e_tag,
        "createdDateTime": stamp(item.created),
        "eTag": item.e_tag,
        "id": item.id,
        "lastModifiedDateTime": stamp(modified),
        "name": item.name,
        "webUrl": item.url,
        "cTag": item.c_tag,
        "size": item.size,
        "createdBy": identity(item.by),
        "lastModifiedBy": identity(version.by if version else item.by),
        "parentReference": parent_reference(request, item),
        "fileSystemInfo": {"createdDateTime": stamp(item.created), "lastModifiedDateTime": stamp(modified)},
    }
    return found | _facets(request, item)


def _facets(request: Request, item: Item) -> Json:
    found: Json = {}
    if item.target is not None:
        return {"remoteItem": _remote(request, item.target)}
    if item.children is not None:
        found["folder"] = {"childCount": len(item.children)}
        if item.parent is None:
            found["root"] = {}
    if item.versions:
        found["file"] = {"mimeType": "application/octet-stream", "hashes": _hashes(request, item)}
        if not found["file"]["hashes"]:
            del found["file"]["hashes"]
    if shared := _shared(item):
        found["shared"] = shared
    return found | (item.facets or {})


def _hashes(request: Request, item: Item) -> dict[str, str]:
    quirks, content = request.world.quirks, item.versions[-1].content
    if content.size == 0 or (quirks.late_hashes and not item.downloaded):
        return {}
    return {"quickXorHash": item.versions[-1].shown_hash or content.hash()}


def _shared(item: Item) -> Json | None:
    if not item.permissions or item.parent is None:
        return None
    scopes = {permission.link.scope if permission.link else "users" for permission in item.permissions}
    return {"scope": next(scope for scope in ("anonymous", "organization", "users") if scope in scopes)}


def _remote(request: Request, target: Item) -> Json:
    found = {name: value for name, value in _plain(request, target).items() if name != "parentReference"}
    for name in ("@odata.etag", "cTag", "eTag"):
        found.pop(name, None)
    reference: Json = {"driveType": target.drive.kind, "driveId": target.drive.id}
    if target.parent is not None:
        reference["id"] = target.parent.id
    return found | {"parentReference": reference}


def _sharepoint_ids(request: Request, item: Item) -> Json:
    site = item.drive.site
    return {
        "listId": item.drive.list_id,
        "listItemId": str(int.from_bytes(item.unique[:3], "little") + 1),
        "listItemUniqueId": item.guid,
        "siteId": site.guid,
        "siteUrl": site.url,
        "tenantId": request.world.tenant_id,
        "webId": site.web,
    }


def collection(request: Request, kind: str, values: list[Any], **links: str) -> Json:
    """Return a page, with the links that follow it."""
    context = f"{request.origin}/v1.0/$metadata#{kind}"
    return {"@odata.context": context, **{f"@odata.{name}": link for name, link in links.items()}, "value": values}
