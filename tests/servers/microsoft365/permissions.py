"""Permissions of an item in Graph: listing them as far as the caller may see, giving and taking them."""

from __future__ import annotations

from datetime import datetime

from servers.microsoft365.access import WRITE, allow, missing
from servers.microsoft365.library import PERSONAL, Actor, Item, Permission
from servers.microsoft365.people import Group, User
from servers.microsoft365.shapes import collection, identity
from servers.microsoft365.web import Answer, Refusal, Request
from servers.microsoft365.world import Json, moment, stamp

DEPRECATED = {
    "grantedTo": ("@deprecated.GrantedTo", "GrantedTo has been deprecated. Refer to GrantedToV2"),
    "grantedToIdentities": (
        "@deprecated.GrantedToIdentities",
        "GrantedToIdentities has been deprecated. Refer to GrantedToIdentitiesV2",
    ),
}


def answer(request: Request, item: Item, verb: str) -> Answer:
    """Answer what is asked about the permissions of an item."""
    word, _, key = verb.partition("/")
    if request.method == "GET" and not key:
        values = [permission_shape(request, item, *pair) for pair in visible(request, item)]
        return Answer(200, collection(request, "permissions", values))
    if request.method == "GET":
        return Answer(200, permission_shape(request, item, *_find(request, item, key)))
    allow(request, item, write=True)
    if request.method == "DELETE" and key:
        permission, holder = _find(request, item, key)
        if holder is not item:
            raise Refusal(403, "accessDenied", "An inherited permission is taken where it was given.", "accessDenied")
        request.world.revoke(item, permission, _caller(request))
        return Answer(204)
    if request.method == "POST" and word in ("createLink", "invite"):
        return (_create_link if word == "createLink" else _invite)(request, item)
    raise Refusal(405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target.")


def visible(request: Request, item: Item) -> list[tuple[Permission, Item]]:
    """Return what the caller may see: an owner all of it, others what applies to themselves."""
    user, found = request.grant.user, list(request.world.of(item))
    if user is None or _owns(request, item):
        return found
    keys = {user.id, *request.world.member_of(user.id)}
    return [pair for pair in found if request.world.applies(pair[0], user, keys)]


def permission_shape(request: Request, item: Item, permission: Permission, holder: Item) -> Json:
    found: Json = {"id": permission.id, "roles": permission.roles}
    if permission.link is not None:
        found |= _link(request, item, permission)
    elif permission.grantee:
        found |= _granted(request, permission)
    if permission.email:
        found["invitation"] = {"email": permission.email, "signInRequired": True}
        if inviter := request.world.users.get(permission.invited_by):
            found["invitation"]["invitedBy"] = identity(inviter)
    if permission.share_id and _creates(request, item):
        found["shareId"] = permission.share_id
    if permission.expires is not None:
        found["expirationDateTime"] = stamp(permission.expires)
    elif permission.link is not None:
        found["expirationDateTime"] = "0001-01-01T00:00:00Z"
    if holder is not item and item.drive.kind == PERSONAL:
        # Only personal drives say where a permission comes from.
        path = "".join(f"/{part}" for part in holder.parts)
        found["inheritedFrom"] = {"driveId": item.drive.id, "id": holder.id, "path": f"/drive/root:{path}"}
    return found


def _link(request: Request, item: Item, permission: Permission) -> Json:
    link = permission.link
    assert link is not None
    shown: Json = {"scope": link.scope, "type": link.kind, "preventsDownload": link.no_download}
    if _creates(request, item):
        shown["webUrl"] = link.url
    found: Json = {"link": shown, "hasPassword": permission.password}
    people = [_someone(request, key) for key in {**link.people, **link.redeemed}]
    if people:
        name, text = DEPRECATED["grantedToIdentities"]
        plain = [{"user": {k: v for k, v in person["user"].items() if k != "email"}} for person in people]
        found |= {name: text, "grantedToIdentities": plain, "grantedToIdentitiesV2": people}
    return found


def _granted(request: Request, permission: Permission) -> Json:
    someone = _someone(request, permission.grantee)
    name, text = DEPRECATED["grantedTo"]
    kind = next(kind for kind in ("user", "group", "application", "siteGroup") if kind in someone)
    if kind == "siteGroup":  # the deprecated form knows no such groups
        plain: Json = {"user": {"displayName": someone[kind]["displayName"]}}
        return {name: text, "grantedTo": plain, "grantedToV2": someone}
    plain = {"user" if kind != "application" else kind: {k: someone[kind].get(k) for k in ("displayName", "id")}}
    return {name: text, "grantedTo": plain, "grantedToV2": someone}


def _someone(request: Request, key: str) -> Json:
    """Return the identities of somebody; one who is known by address only has nothing else."""
    world = request.world
    if (user := world.users.get(key)) is not None:
        login = f"i:0#.f|membership|{user.upn.lower()}"
        return identity(user) | {"siteUser": {"id": _local(key), "displayName": user.name, "loginName": login}}
    if (group := world.groups.get(key)) is not None:
        login = f"c:0t.c|tenant|{key}"
        return identity(group) | {"siteUser": {"id": _local(key), "displayName": group.name, "loginName": login}}
    if (own := world.site_groups.get(key)) is not None:
        return {"siteGroup": {"id": str(own.number), "displayName": own.name, "loginName": own.name}}
    app = next((app for app in world.applications.values() if app.id == key), None)
    return identity(app) if app is not None else {"user": {"email": key}}


def _local(key: str) -> str:
    return str(int(key[:4], 16))


def _creates(request: Request, item: Item) -> bool:
    user = request.grant.user
    return request.grant.has(*WRITE, "Files.ReadWrite") and (user is None or request.world.may(user, item, write=True))


def _owns(request: Request, item: Item) -> bool:
    user = request.grant.user
    assert user is not None
    owner = item.drive.owner
    members = owner.members if isinstance(owner, Group) else {}
    return owner is user or user.id in members or item.by is user


def _find(request: Request, item: Item, key: str) -> tuple[Permission, Item]:
    for pair in visible(request, item):
        if pair[0].id == key:
            return pair
    raise missing()


def _caller(request: Request) -> Actor:
    return request.grant.user or request.grant.application


def _create_link(request: Request, item: Item) -> Answer:
    body = request.json()
    kind, scope = body.get("type"), body.get("scope", "organization")
    if kind not in ("view", "edit", "embed") or scope not in ("anonymous", "organization", "users"):
        raise Refusal(400, "invalidRequest", "The type or scope of a link is not one that there is.", "invalidRequest")
    found = request.world.link(item, _caller(request), scope=scope, kind=kind, expires=_expiry(body))
    return Answer(201, permission_shape(request, item, found, item))


def _invite(request: Request, item: Item) -> Answer:
    body = request.json()
    if not body.get("recipients") or not body.get("roles"):
        raise Refusal(400, "invalidRequest", "recipients and roles are required.", "invalidRequest")
    people = [_recipient(request, recipient) for recipient in body["recipients"]]
    given = request.world.share(item, _caller(request), *people, role=body["roles"][0], expires=_expiry(body))
    values = [permission_shape(request, item, permission, item) for permission in given]
    # The vendor announced the end of this call, and answers all the same.
    headers = {"Deprecation": "Fri, 03 Sep 2021 23:59:59 GMT"}
    return Answer(200, collection(request, "permissions", values), headers)


def _recipient(request: Request, recipient: Json) -> User | Group | str:
    if (key := recipient.get("objectId")) is not None:
        found = request.world.users.get(key) or request.world.groups.get(key)
        if found is None:
            raise Refusal(400, "invalidRequest", "One or more users could not be resolved.", "noResolvedUsers")
        return found
    email = str(recipient.get("email", ""))
    return next((user for user in request.world.users.values() if email in (user.mail, user.upn)), email)


def _expiry(body: Json) -> datetime | None:
    return moment(body["expirationDateTime"]) if body.get("expirationDateTime") else None
