"""What changed in the directory since a position that a client was told: users with managers, groups with members."""

from __future__ import annotations

from typing import Any

from servers.microsoft365 import groups, users
from servers.microsoft365.access import require
from servers.microsoft365.people import Group, User
from servers.microsoft365.shapes import collection
from servers.microsoft365.users import condition, user_shape
from servers.microsoft365.web import Answer, Refusal, Request, Routes
from servers.microsoft365.world import Json

routes = Routes()
OPTIONS = ("$select", "$filter", "$skiptoken", "$deltatoken")
MOST_FILTERED = 50
State = dict[str, Any]


@routes("GET", "/users/delta")
def user_delta(request: Request) -> Answer:
    """Return a page of users that changed; of each what it is now."""
    require(request, *users.READ)
    log = request.world.user_log
    state = _state(request, log, users.KNOWN | {"manager"})
    found: list[Json] = []
    while state["after"] < len(log) and len(found) < request.world.pages.users_delta:
        user = request.world.users[log[state["after"]]]
        state["after"] += 1
        if user.change == state["after"] and not (user.purged and state["after"] <= state["began"]):
            found.append(_user(request, user, state))
    if state["filter"]:
        meets = condition(state["filter"])
        found = [one for one in found if meets(request.world.users[one["id"]])]
    return _page(request, "users", found, log, state)


@routes("GET", "/groups/delta")
def group_delta(request: Request) -> Answer:
    """Return a page of groups that changed; one with many members is in several pages, with some of them in each."""
    require(request, *groups.READ)
    log = request.world.group_log
    state = _state(request, log, groups.KNOWN | {"members"})
    found: list[Json] = []
    while state["after"] < len(log) and len(found) < request.world.pages.groups_delta:
        group = request.world.groups[log[state["after"]]]
        number = state["after"] + 1
        whole = True
        if group.change == number and not (group.purged and number <= state["began"]):
            whole = _group(request, group, state, found)
        if not whole:
            break
        state |= {"after": number, "member": ""}
    return _page(request, "groups", found, log, state)


def _state(request: Request, log: list[str], known: set[str]) -> State:
    for name in request.options:
        if name not in OPTIONS:
            raise Refusal(400, "Request_UnsupportedQuery", f"The query option {name} is not supported with delta.")
    for parameter in ("$skiptoken", "$deltatoken"):
        if request.options.get(parameter) == "latest":
            return {**_start(request, log, known), "after": len(log), "since": len(log)}
        if (place := request.server.links.place(request, parameter)) is not None:
            if place.state["epoch"] != request.world.directory_epoch or request.server.links.expired(place):
                fresh = {**place.state, "after": 0, "since": 0, "began": len(log), "member": ""}
                location = request.server.links.next(request, {**fresh, "epoch": request.world.directory_epoch})
                raise Refusal(410, "syncStateNotFound", "The sync state generation is not found.", Location=location)
            return dict(place.state)
    return _start(request, log, known)


def _start(request: Request, log: list[str], known: set[str]) -> State:
    text = request.option("select")
    names = None if text is None else {name.strip() for name in text.split(",")}
    if names is not None and (unknown := names - known):
        raise Refusal(400, "BadRequest", f"Could not find a property named '{min(unknown)}'.")
    chosen_by = request.option("filter")
    if chosen_by is not None and (chosen_by.count(" or ") >= MOST_FILTERED or "id eq" not in chosen_by):
        raise Refusal(400, "Request_UnsupportedQuery", "A delta is filtered by up to 50 ids only.")
    return {
        "after": 0,
        "since": 0,
        "began": len(log),
        "chosen": names,
        "filter": chosen_by,
        "member": "",
        "epoch": request.world.directory_epoch,
    }


def _page(request: Request, kind: str, found: list[Json], log: list[str], state: State) -> Answer:
    if request.world.quirks.repeat_in_delta and found:
        found = [dict(found[-1]), *found]
    if state["after"] < len(log):
        links = {"nextLink": request.server.links.next(request, state)}
    else:
        done = {**state, "since": state["after"]}
        links = {"deltaLink": request.server.links.next(request, done, "$deltatoken")}
    return Answer(200, collection(request, kind, found, **links))


def _user(request: Request, user: User, state: State) -> Json:
    if user.deleted is not None:
        return {"id": user.id, "@removed": {"reason": "deleted" if user.purged else "changed"}}
    since = state["since"]
    names = set(users.USUAL) if state["chosen"] is None else state["chosen"]
    managed = "manager" in names
    names = names - {"manager"} | {"id"}
    if "return=minimal" in request.preferences and since and user.born <= since:
        names = {name for name in names if user.touched.get(name, 0) > since} | {"id"}
    found = user_shape(request, user, names)
    if managed and (changes := _managers(user, state)):
        found["manager@delta"] = changes
    return found


def _managers(user: User, state: State) -> list[Json]:
    """Return who the manager is, if that is new to the client, and who no longer is."""
    kind = {"@odata.type": "#microsoft.graph.user"}
    told = _told(state)
    before = dict.fromkeys(key for number, key in user.managers_before if number > told)
    gone = [{**kind, "id": key, "@removed": {"reason": "deleted"}} for key in before if key != user.manager]
    known = state["since"] and user.born <= state["since"] and user.touched.get("manager", 0) <= state["since"]
    return gone if known or user.manager is None else [*gone, {**kind, "id": user.manager}]


def _told(state: State) -> int:
    """Return from which change on the client has to be told that something ended: it may know of it from before."""
    return int(state["since"] or state["began"])


def _group(request: Request, group: Group, state: State, found: list[Json]) -> bool:
    """Add a group to a page; tell whether all of its members are told by now."""
    if group.deleted is not None:
        found.append({"id": group.id, "@removed": {"reason": "deleted" if group.purged else "changed"}})
        return True
    names = set(groups.USUAL) if state["chosen"] is None else state["chosen"]
    shown = groups.group_shape(group, names - {"members"} | {"id"})
    members = _members(request, group, state) if "members" in names else []
    most = request.world.pages.delta_members
    if members:
        shown["members@delta"] = members[:most]
    found.append(shown)
    if len(members) > most:
        state["member"] = members[most - 1]["id"]
        return False
    return True


def _members(request: Request, group: Group, state: State) -> list[Json]:
    """Return the members that follow those that were told, if they are new to the client, and who is none any more."""
    since, told = state["since"], _told(state)
    ended = {key: False for key, (number, there) in group.member_changes.items() if number > told and not there}
    if since == 0 or group.born > since:
        changes = {**ended, **dict.fromkeys(group.members, True)}
    else:
        begun = {key: True for key, (number, there) in group.member_changes.items() if number > since and there}
        changes = {**ended, **begun}
    found = []
    for key in sorted(key for key in changes if key > state["member"]):
        gone = {} if changes[key] else {"@removed": {"reason": "deleted"}}
        found.append({"@odata.type": groups.kind_of(request, key), "id": key, **gone})
    return found
