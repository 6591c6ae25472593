"""Groups in Graph, who is in them, and the applications of the tenant."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from servers.microsoft365 import users
from servers.microsoft365.access import require
from servers.microsoft365.addresses import any_user, caller
from servers.microsoft365.people import Application, Group
from servers.microsoft365.shapes import collection, site_shape
from servers.microsoft365.users import condition, page_size, user_shape
from servers.microsoft365.web import Answer, Refusal, Request, Routes
from servers.microsoft365.world import Json, stamp

T = TypeVar("T")
routes = Routes()
READ = ("GroupMember.Read.All", "Group.Read.All", "Group.ReadWrite.All", "Directory.Read.All")
APPLICATIONS = ("Application.Read.All", "Directory.Read.All")
USUAL = (
    *("createdDateTime", "description", "displayName", "groupTypes", "id", "mail", "mailEnabled"),
    *("mailNickname", "onPremisesSecurityIdentifier", "onPremisesSyncEnabled", "securityEnabled", "visibility"),
)
KNOWN = {*USUAL, "deletedDateTime", "onPremisesSamAccountName", "resourceProvisioningOptions", "proxyAddresses"}


@routes("GET", "/groups")
def listing(request: Request) -> Answer:
    require(request, *READ)
    names = _chosen(request)
    meets = condition(request.option("filter"))
    found = [group for group in request.world.groups.values() if group.deleted is None and meets(group)]
    return _page(request, "groups", found, lambda group: group_shape(group, names))


@routes("GET", "/directory/deletedItems/microsoft.graph.group")
def deleted(request: Request) -> Answer:
    require(request, *READ)
    found = [group for group in request.world.groups.values() if group.deleted is not None and not group.purged]
    names = _chosen(request) or {*USUAL, "deletedDateTime"}
    return _page(request, "groups", found, lambda group: group_shape(group, names))


@routes("GET", "/groups/{key}")
def one(request: Request, key: str) -> Answer:
    require(request, *READ)
    return Answer(200, group_shape(_group(request, key), _chosen(request)))


@routes("GET", "/groups/{key}/members")
def members(request: Request, key: str) -> Answer:
    require(request, *READ)
    return _objects(request, _group(request, key).members)


@routes("GET", "/groups/{key}/owners")
def owners(request: Request, key: str) -> Answer:
    require(request, *READ)
    return _objects(request, _group(request, key).owners)


@routes("GET", "/groups/{key}/transitiveMembers")
def transitive_members(request: Request, key: str) -> Answer:
    """Return everybody and every group that is in a group, be it through others."""
    require(request, *READ)
    return _objects(request, _all_members(request, _group(request, key)))


@routes("GET", "/groups/{key}/transitiveMembers/microsoft.graph.user")
def transitive_users(request: Request, key: str) -> Answer:
    require(request, *READ)
    everybody = _all_members(request, _group(request, key))
    return _objects(request, [member for member in everybody if member in request.world.users])


@routes("GET", "/groups/{key}/sites/root")
def root_site(request: Request, key: str) -> Answer:
    group = _group(request, key)
    for site in request.world.sites.values():
        if site.group is group:
            return Answer(200, site_shape(site))
    raise _missing(key)


@routes("GET", "/users/{key}/memberOf")
def member_of(request: Request, key: str) -> Answer:
    require(request, *READ)
    user = any_user(request, key)
    return _objects(request, [g.id for g in request.world.groups.values() if user.id in g.members and not g.deleted])


@routes("GET", "/users/{key}/transitiveMemberOf")
def transitive_member_of(request: Request, key: str) -> Answer:
    require(request, *READ)
    return _objects(request, sorted(request.world.member_of(any_user(request, key).id)))


@routes("GET", "/me/transitiveMemberOf")
def my_groups(request: Request) -> Answer:
    require(request, *READ)
    return _objects(request, sorted(request.world.member_of(caller(request).id)))


@routes("GET", "/servicePrincipals")
def service_principals(request: Request) -> Answer:
    require(request, *APPLICATIONS)
    return _page(request, "servicePrincipals", request.world.applications.values(), application_shape)


@routes("GET", "/organization")
def organization(request: Request) -> Answer:
    require(request, "User.Read", "Organization.Read.All", *users.READ)
    world = request.world
    domain = {"name": world.domain, "isDefault": True, "isInitial": True}
    found = {"id": world.tenant_id, "displayName": world.name.title(), "verifiedDomains": [domain]}
    return Answer(200, collection(request, "organization", [found]))


def group_shape(group: Group, names: set[str] | None) -> Json:
    properties = {**group.properties, "id": group.id}
    properties["deletedDateTime"] = stamp(group.deleted) if group.deleted else None
    return {name: properties.get(name) for name in sorted(set(USUAL) if names is None else names)}


def application_shape(app: Application) -> Json:
    return {
        "id": app.id,
        "appId": app.client_id,
        "displayName": app.name,
        "accountEnabled": True,
        "createdDateTime": app.created,
        "servicePrincipalType": "Application",
        "servicePrincipalNames": [app.client_id],
    }


def kind_of(request: Request, key: str) -> str:
    """Return the type that a member of a group has in Graph."""
    world = request.world
    kind = "user" if key in world.users else "group" if key in world.groups else "servicePrincipal"
    return f"#microsoft.graph.{kind}"


def _objects(request: Request, keys: Iterable[str]) -> Answer:
    return _page(request, "directoryObjects", keys, lambda key: _object(request, key))


def _object(request: Request, key: str) -> Json:
    kind = {"@odata.type": kind_of(request, key)}
    if (user := request.world.users.get(key)) is not None:
        if not request.grant.has(*users.READ, users.BASIC):
            return {**kind, "id": key}
        return {**kind, **user_shape(request, user, users.chosen(request))}
    if (group := request.world.groups.get(key)) is not None:
        return {**kind, **group_shape(group, None)}
    app = next(app for app in request.world.applications.values() if app.id == key)
    return {**kind, **application_shape(app)}


def _page(request: Request, kind: str, found: Iterable[T], shape: Callable[[T], Json]) -> Answer:
    """Return a page; who comes back for the next gets what follows in the list as it was at first."""
    place = request.server.links.place(request, "$skiptoken")
    if place is not None:
        every, start, size, shape = place.state
    else:
        every, start, size = list(found), 0, page_size(request)
    links = {}
    if len(every) > start + size:
        links["nextLink"] = request.server.links.next(request, (every, start + size, size, shape))
    return Answer(200, collection(request, kind, [shape(one) for one in every[start : start + size]], **links))


def _all_members(request: Request, group: Group) -> list[str]:
    found: dict[str, None] = {}
    new = [group]
    while new:
        keys = [key for key in new.pop().members if key not in found]
        found |= dict.fromkeys(keys)
        new += [request.world.groups[key] for key in keys if key in request.world.groups]
    return list(found)


def _group(request: Request, key: str) -> Group:
    group = request.world.groups.get(key.lower())
    if group is None or group.deleted is not None:
        raise _missing(key)
    return group


def _missing(key: str) -> Refusal:
    return Refusal(404, "Request_ResourceNotFound", f"Resource '{key}' does not exist.")


def _chosen(request: Request) -> set[str] | None:
    text = request.option("select")
    names = None if text is None else {name.strip() for name in text.split(",")}
    if names is not None and (unknown := names - KNOWN):
        raise Refusal(400, "BadRequest", f"Could not find a property named '{min(unknown)}' on type 'group'.")
    return names
