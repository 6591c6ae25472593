"""Drives and sites: where a path of Graph leads."""

from __future__ import annotations

import re
from urllib.parse import unquote

from servers.microsoft365 import items
from servers.microsoft365.access import FULL, READ, SELECTED, allow, allow_drive, missing, require_files
from servers.microsoft365.addresses import (
    any_user,
    caller,
    drive_by_id,
    drive_of_user,
    item_in,
    site_at,
    site_by_path,
)
from servers.microsoft365.library import Drive, Site
from servers.microsoft365.shapes import collection, drive_shape, item_shape, selection, site_shape
from servers.microsoft365.web import Answer, Refusal, Request, Routes

routes = Routes()
_BY_PATH = re.compile(r"(?P<host>[^/:]+):(?P<path>/[^:]+)(?::(?P<rest>.*))?\Z")
_BY_ID = re.compile(r"(?P<key>[^/:]+)(?P<rest>/.*)?\Z")


@routes("GET", "/me/drive{rest}")
@routes("POST", "/me/drive{rest}")
@routes("DELETE", "/me/drive{rest}")
def mine(request: Request, rest: str) -> Answer:
    return _in_drive(request, drive_of_user(request, caller(request)), rest)


@routes("GET", "/users/{key}/drive{rest}")
@routes("POST", "/users/{key}/drive{rest}")
def of_user(request: Request, key: str, rest: str) -> Answer:
    require_files(request, *READ)
    return _in_drive(request, drive_of_user(request, any_user(request, key)), rest)


@routes("GET", "/groups/{key}/drive{rest}")
def of_group(request: Request, key: str, rest: str) -> Answer:
    group = request.world.groups.get(key)
    drive = request.world.drive_of(group) if group else None
    if drive is None:
        raise missing()
    return _in_drive(request, drive, rest)


@routes("GET", "/teams/{key}/channels/{channel}/filesFolder")
def of_channel(request: Request, key: str, channel: str) -> Answer:
    """Return the folder that the files of a channel are in."""
    require_files(request, *READ)
    for site in request.world.sites.values():
        if site.group is not None and site.group.id == key and (name := site.channels.get(unquote(channel))):
            folder = site.drive.at([name])
            if folder is None:
                break
            allow(request, folder)
            return Answer(200, item_shape(request, folder))
    raise missing()


@routes("GET", "/drives/{key}{rest}")
@routes("POST", "/drives/{key}{rest}")
@routes("PATCH", "/drives/{key}{rest}")
@routes("DELETE", "/drives/{key}{rest}")
def by_id(request: Request, key: str, rest: str) -> Answer:
    return _in_drive(request, drive_by_id(request, key), rest)


@routes("GET", "/sites")
def sites(request: Request) -> Answer:
    """Find sites by a word; only those that the caller may see are found."""
    require_files(request, *READ)
    word = (request.option("search") or "").strip('"*').lower()
    found = [site for site in request.world.sites.values() if word in site.name.lower() and _sees(request, site)]
    return Answer(200, collection(request, "sites", [site_shape(site) for site in found]))


@routes("GET", "/sites/{rest}")
@routes("POST", "/sites/{rest}")
def in_site(request: Request, rest: str) -> Answer:
    """Answer for a site, addressed by id or as ``host:/path`` with or without more behind a colon."""
    match = _BY_PATH.match(rest) or _BY_ID.match(rest)
    if match is None:
        raise Refusal(400, "invalidRequest", "Invalid hostname for this tenancy.")
    parts = match.groupdict()
    if parts.get("host"):
        site = site_by_path(request, parts["host"], parts["path"])
    else:
        site = site_at(request, unquote(parts["key"]))
    return _site(request, site, parts["rest"] or "")


def _site(request: Request, site: Site, rest: str) -> Answer:
    selected = request.grant.has(SELECTED[0]) and request.grant.application.client_id in site.granted
    if not selected:
        require_files(request, *READ)
    if rest == "":
        allow_drive(request, site.drive)
        return Answer(200, site_shape(site))
    if rest == "/drives":
        allow_drive(request, site.drive)
        return Answer(200, collection(request, "drives", [drive_shape(drive) for drive in site.drives]))
    if rest == "/permissions":
        return _site_permissions(request, site)
    if (match := re.match(r"/drives/(?P<key>[^/]+)", rest)) is not None:
        drive = drive_by_id(request, unquote(match["key"]))
        if drive not in site.drives:
            raise missing()
        return _in_drive(request, drive, rest[match.end() :])
    if rest.startswith("/drive"):
        return _in_drive(request, site.drive, rest.removeprefix("/drive"))
    raise Refusal(400, "BadRequest", f"Resource not found for the segment '{rest.strip('/')}'.")


def _site_permissions(request: Request, site: Site) -> Answer:
    """Let an administrator's application give another one roles on this site alone."""
    require_files(request, FULL)
    if request.method == "GET":
        found = [
            {"id": key, "roles": roles, "grantedToIdentitiesV2": [{"application": {"id": key}}]}
            for key, roles in site.granted.items()
        ]
        return Answer(200, collection(request, "permissions", found))
    body = request.json()
    given = body.get("grantedTo") or body.get("grantedToIdentities")
    granted = given[0] if isinstance(given, list) and given else given
    if not isinstance(granted, dict) or not body.get("roles"):
        raise Refusal(400, "invalidRequest", "roles and grantedTo are required.")
    site.granted[granted["application"]["id"]] = list(body["roles"])
    return Answer(201, {"id": request.world.new_token(), **body})


def _in_drive(request: Request, drive: Drive, rest: str) -> Answer:
    if rest == "":
        request.template = "GET drive"
        allow_drive(request, drive)
        chosen = selection(request)
        found = drive_shape(drive)
        return Answer(200, {k: v for k, v in found.items() if chosen is None or k in chosen})
    item, verb = item_in(request, drive, rest)
    return items.answer(request, item, verb)


def _sees(request: Request, site: Site) -> bool:
    user = request.grant.user
    return user is None or request.world.may(user, site.drive.root)
