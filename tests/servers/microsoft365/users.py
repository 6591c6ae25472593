"""Users in Graph: listing, one of them, managers, groups, deleted ones."""

from __future__ import annotations

import re
from collections.abc import Callable

from servers.microsoft365.access import require
from servers.microsoft365.addresses import any_user, caller
from servers.microsoft365.people import Group, User
from servers.microsoft365.shapes import collection
from servers.microsoft365.web import Answer, Refusal, Request, Routes
from servers.microsoft365.world import Json, stamp

routes = Routes()
READ = ("User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All")
BASIC = "User.ReadBasic.All"
USUAL = (
    *("businessPhones", "displayName", "givenName", "id", "jobTitle", "mail", "mobilePhone", "officeLocation"),
    *("preferredLanguage", "surname", "userPrincipalName"),
)
OF_BASIC = {"displayName", "givenName", "mail", "surname", "userPrincipalName", "id"}
KNOWN = {
    *USUAL,
    *("accountEnabled", "companyName", "createdDateTime", "creationType", "deletedDateTime", "department"),
    *("employeeId", "employeeType", "externalUserState", "externalUserStateChangeDateTime", "identities"),
    *("onPremisesDomainName", "onPremisesImmutableId", "onPremisesSamAccountName", "onPremisesSecurityIdentifier"),
    *("onPremisesSyncEnabled", "onPremisesUserPrincipalName", "otherMails", "proxyAddresses", "userType"),
    *("city", "country", "state", "usageLocation"),
}
NOT_IN_LISTS = {"aboutMe", "birthday", "hireDate", "interests", "mySite", "pastProjects", "responsibilities", "skills"}
_MANAGER = re.compile(r"manager(?:\((?P<options>.*)\))?\Z")
_EQUAL = re.compile(r"(?P<name>\w+) eq (?:'(?P<text>(?:[^']|'')*)'|(?P<word>true|false|null))\Z")


@routes("GET", "/me")
def me(request: Request) -> Answer:
    require(request, "User.Read", "User.ReadWrite", *READ)
    return Answer(200, _context(request, "users/$entity") | user_shape(request, caller(request), chosen(request)))


@routes("GET", "/users")
def listing(request: Request) -> Answer:
    """Return a page of users, by id."""
    require(request, BASIC, *READ)
    if request.grant.user is not None and request.grant.user.guest:
        raise Refusal(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
    place = request.server.links.place(request, "$skiptoken")
    state: Json = place.state if place else _first(request)
    if state["count"] and request.headers.get("ConsistencyLevel", "").lower() != "eventual":
        raise Refusal(400, "Request_UnsupportedQuery", "$count needs the header ConsistencyLevel: eventual.")
    every = sorted(user.id for user in request.world.users.values() if user.deleted is None)
    found = [key for key in every if state["filter"](request.world.users[key])]
    page = [key for key in found if key > state["after"]]
    links = {}
    if len(page) > state["top"]:
        page = page[: state["top"]]
        links["nextLink"] = request.server.links.next(request, {**state, "after": page[-1]})
    values = [_expanded(request, request.world.users[key], state) for key in page]
    body = collection(request, "users", values, **links)
    if state["count"] and place is None:
        body = {"@odata.context": body.pop("@odata.context"), "@odata.count": len(found), **body}
    return Answer(200, body)


def _first(request: Request) -> Json:
    for name in request.options:
        if name not in ("$select", "$top", "$expand", "$filter", "$count", "$orderby"):
            raise Refusal(400, "Request_UnsupportedQuery", f"The query option {name} is not supported.")
    expand = request.option("expand")
    if expand is not None and _MANAGER.match(expand) is None:
        raise Refusal(400, "Request_UnsupportedQuery", f"{expand} cannot be expanded.")
    if expand is not None and "$levels" in expand and request.option("count") != "true":
        raise Refusal(400, "Request_UnsupportedQuery", "$levels needs $count=true.")
    return {
        "chosen": chosen(request, listed=True),
        "top": page_size(request),
        "expand": expand,
        "after": "",
        "count": request.option("count") == "true",
        "filter": condition(request.option("filter")),
    }


@routes("GET", "/users/{key}")
def one(request: Request, key: str) -> Answer:
    require(request, BASIC, *READ)
    state = {"chosen": chosen(request), "expand": request.option("expand")}
    user = any_user(request, key)
    return Answer(200, _context(request, "users/$entity") | _expanded(request, user, state))


@routes("GET", "/users/{key}/manager")
def manager(request: Request, key: str) -> Answer:
    require(request, *READ)
    found = any_user(request, key).manager
    if found is None:
        raise Refusal(404, "Request_ResourceNotFound", "Resource 'manager' does not exist.")
    return Answer(200, directory_object(request, request.world.users[found]))


@routes("GET", "/directory/deletedItems/microsoft.graph.user")
def deleted(request: Request) -> Answer:
    """Return those who were deleted within the last 30 days and may be restored."""
    require(request, *READ)
    found = [user for user in request.world.users.values() if user.deleted is not None and not user.purged]
    values = [user_shape(request, user, chosen(request) or {*USUAL, "deletedDateTime"}) for user in found]
    return Answer(200, collection(request, "users", values))


def page_size(request: Request) -> int:
    """Return how many directory objects a page is to have: $top, up to 999, or the usual 100."""
    top = request.option("top") or str(request.world.pages.users)
    if not top.isdigit() or not 0 < int(top) <= request.world.pages.users_most:
        raise Refusal(400, "Request_UnsupportedQuery", "Invalid page size specified: it is from 1 to 999.")
    return int(top)


def user_shape(request: Request, user: User, names: set[str] | None) -> Json:
    """Return properties of a user; what he has no value for is null, as it is in Graph."""
    properties = {**user.properties, "id": user.id, "businessPhones": user.properties.get("businessPhones", [])}
    properties["deletedDateTime"] = stamp(user.deleted) if user.deleted else None
    wanted = set(USUAL) if names is None else names
    if not request.grant.has(*READ, "User.Read", "User.ReadWrite"):
        wanted = wanted & OF_BASIC
    return {name: properties.get(name) for name in sorted(wanted)}


def directory_object(request: Request, user: User) -> Json:
    return {"@odata.type": "#microsoft.graph.user", **user_shape(request, user, None)}


def chosen(request: Request, *, listed: bool = False) -> set[str] | None:
    """Return the properties that $select names.

    Raises
    ------
    Refusal
        501 for those that a list cannot have, 400 for those that there are not.
    """
    text = request.option("select")
    if text is None:
        return None
    names = {name.strip() for name in text.split(",")}
    if listed and names & NOT_IN_LISTS:
        raise Refusal(501, "NotImplemented", "This operation target is not yet supported.")
    if unknown := names - KNOWN:
        raise Refusal(400, "BadRequest", f"Could not find a property named '{min(unknown)}' on type 'user'.")
    return names


def condition(text: str | None) -> Callable[[User | Group], bool]:
    """Return what tells whether a user or group meets a $filter: comparisons by eq, all with `and` or all with `or`."""
    if text is None:
        return lambda _: True
    joint = " or " if " or " in text else " and "
    parts = [_EQUAL.match(part.strip()) for part in text.split(joint)]
    if any(part is None for part in parts):
        raise Refusal(400, "Request_UnsupportedQuery", "Unsupported query.")
    wanted = [(part["name"], _value(part)) for part in parts if part is not None]
    any_or_all = any if joint == " or " else all

    def meets(one: User | Group) -> bool:
        return any_or_all(_same({**one.properties, "id": one.id}.get(name), value) for name, value in wanted)

    return meets


def _value(part: re.Match[str]) -> object:
    if part["word"] is not None:
        return {"true": True, "false": False, "null": None}[part["word"]]
    return part["text"].replace("''", "'")


def _same(found: object, wanted: object) -> bool:
    if isinstance(found, str) and isinstance(wanted, str):
        return found.lower() == wanted.lower()
    return found == wanted


def _expanded(request: Request, user: User, state: Json) -> Json:
    found = user_shape(request, user, state["chosen"])
    if (match := _MANAGER.match(state["expand"] or "")) is None or user.manager is None:
        return found
    options = dict(part.split("=", 1) for part in (match["options"] or "").split(";") if "=" in part)
    names = set(options["$select"].split(",")) if "$select" in options else None
    levels = options.get("$levels", "1")
    above = request.world.users[user.manager]
    shown = {"@odata.type": "#microsoft.graph.user", **user_shape(request, above, names)}
    if levels == "max" or int(levels) > 1:
        fewer = levels if levels == "max" else str(int(levels) - 1)
        inner = f"manager($levels={fewer};$select={','.join(names or USUAL)})"
        shown |= _expanded(request, above, {"chosen": names, "expand": inner})
    return {**found, "manager": shown}


def _context(request: Request, kind: str) -> Json:
    return {"@odata.context": f"{request.origin}/v1.0/$metadata#{kind}"}
