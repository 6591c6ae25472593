"""Change notifications: subscriptions, their validation, and telling subscribers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from servers.microsoft365.access import READ, missing, require, require_files
from servers.microsoft365.audit import webhook_notices
from servers.microsoft365.library import Drive
from servers.microsoft365.notices import NoAnswer, send
from servers.microsoft365.people import Application
from servers.microsoft365.web import Answer, Refusal, Request, Routes
from servers.microsoft365.world import Json, moment, stamp

if TYPE_CHECKING:
    from servers.microsoft365.server import Server

routes = Routes()
DRIVE_MINUTES, DIRECTORY_MINUTES = 42_300, 41_760
LONGEST_STATE = 128
SECURITY = "includesecuritywebhooks"
_DRIVE = re.compile(r"(?:drives/(?P<drive>[^/]+)|users/(?P<user>[^/]+)/drive|me/drive)/root\Z", re.IGNORECASE)


@dataclass(eq=False)
class Subscription:
    """Somebody who wants to be told; `told` is the number of the last change that he was told of."""

    id: str
    body: Json
    application: Application
    expires: datetime
    drive: Drive | None
    security: bool
    told: int
    paused: bool = False
    """It wants to be asked for again; until then nothing is told."""


@routes("POST", "/subscriptions", unlocked=True)
def create(request: Request) -> Answer:
    """Begin to tell of changes, once the address has answered its validation."""
    body = request.json()
    for name in ("changeType", "notificationUrl", "resource", "expirationDateTime"):
        if not body.get(name):
            raise _wrong(f"Property {name} is required.")
    drive, kind = _resource(request, str(body["resource"]).strip("/"))
    _judge(request, body, kind)
    expires = _expiry(request, body, kind)
    for name in ("notificationUrl", "lifecycleNotificationUrl"):
        if body.get(name):
            _validate(request, str(body[name]))
    security = SECURITY in request.preferences
    with request.world.lock:
        told = len(drive.log) if drive is not None else _directory(request, kind)
        key = request.world.new_guid()
        found = Subscription(key, body, request.grant.application, expires, drive, security, told)
        request.server.subscriptions[found.id] = found
    return Answer(201, _shape(found))


@routes("GET", "/subscriptions")
def listing(request: Request) -> Answer:
    """Return the caller's own subscriptions that are in force."""
    now, app = request.world.now(), request.grant.application
    mine = [one for one in request.server.subscriptions.values() if one.application is app and one.expires > now]
    return Answer(200, {"value": [_shape(one) for one in mine]})


@routes("GET", "/subscriptions/{key}")
def one(request: Request, key: str) -> Answer:
    return Answer(200, _shape(_mine(request, key)))


@routes("PATCH", "/subscriptions/{key}")
def renew(request: Request, key: str) -> Answer:
    found = _mine(request, key)
    kind = "drive" if found.drive is not None else "users"
    found.expires, found.paused = _expiry(request, request.json(), kind), False
    return Answer(200, _shape(found))


@routes("POST", "/subscriptions/{key}/reauthorize")
def reauthorize(request: Request, key: str) -> Answer:
    _mine(request, key).paused = False
    return Answer(204)


@routes("DELETE", "/subscriptions/{key}")
def end(request: Request, key: str) -> Answer:
    del request.server.subscriptions[_mine(request, key).id]
    return Answer(204)


def notify(server: Server, **altered: str) -> list[int]:
    """Tell every subscriber, and every webhook of the audit log, what they were not told yet.

    Returns the status of each answer, 0 for none. Who did not answer with 2xx is told again the
    next time. `altered` replaces parts of what is sent, as an attacker would.
    """
    found = []
    for subscription in list(server.subscriptions.values()):
        with server.tenant.lock:
            number = _reached(server, subscription)
            notice = _notice(server, subscription) | altered
            due = number > subscription.told and subscription.expires > server.tenant.now() and not subscription.paused
        if due:
            status = _send(server, str(subscription.body["notificationUrl"]), {"value": [notice]})
            found.append(status)
            subscription.told = number if 200 <= status < 300 else subscription.told
    return found + _tell_of_blobs(server)


def tell_of_lifecycle(server: Server, subscription: Subscription, event: str) -> int:
    """Let something become of a subscription, and tell of that; return the status of the answer.

    Parameters
    ----------
    event
        ``subscriptionRemoved``, ``reauthorizationRequired``, or ``missed``: what is due is never told.
    """
    with server.tenant.lock:
        if event == "subscriptionRemoved":
            del server.subscriptions[subscription.id]
        elif event == "missed":
            subscription.told = _reached(server, subscription)
        else:
            subscription.paused = True
    body = {
        "subscriptionId": subscription.id,
        "subscriptionExpirationDateTime": stamp(subscription.expires),
        "tenantId": server.tenant.tenant_id,
        "clientState": subscription.body.get("clientState"),
        "lifecycleEvent": event,
    }
    return _send(server, str(subscription.body["lifecycleNotificationUrl"]), {"value": [body]})


def _tell_of_blobs(server: Server) -> list[int]:
    found = []
    for client, mine in server.subscribed.items():
        hooks = [one["webhook"] for one in mine.values() if one["webhook"] and one["status"] == "enabled"]
        with server.tenant.lock:
            told = server.told_of.setdefault(client, set())
            every = webhook_notices(server, server.tenant.applications[client])
        fresh = [notice for notice in every if notice["contentId"] not in told]
        for hook in hooks if fresh else []:
            headers = {"Webhook-AuthID": hook["authId"]} if hook["authId"] else {}
            status = _send(server, hook["address"], fresh, headers)
            found.append(status)
            if status == 200:
                told |= {notice["contentId"] for notice in fresh}
    return found


def _send(server: Server, address: str, body: object, headers: dict[str, str] | None = None) -> int:
    try:
        return send(server, address, body, headers or {})[0]
    except NoAnswer:
        return 0


def _resource(request: Request, resource: str) -> tuple[Drive | None, str]:
    if resource in ("users", "groups"):
        require(request, "User.Read.All", "GroupMember.Read.All", "Group.Read.All", "Directory.Read.All")
        return None, resource
    match = _DRIVE.match(resource)
    if match is None:
        raise _wrong(f"The resource {resource} does not support subscriptions.")
    require_files(request, *READ)
    owner = request.world.user(unquote(match["user"])) if match["user"] else request.grant.user
    key = unquote(match["drive"] or "")
    drive = request.world.drives.get(key) or (request.world.drive_of(owner) if owner else None)
    if drive is None:
        raise missing()
    return drive, "drive"


def _judge(request: Request, body: Json, kind: str) -> None:
    wanted = {word.strip() for word in str(body["changeType"]).split(",")}
    if not wanted <= ({"updated"} if kind == "drive" else {"created", "updated", "deleted"}):
        raise _wrong(f"The changeType {body['changeType']} is not supported by the resource.")
    if len(str(body.get("clientState", ""))) > LONGEST_STATE:
        raise _wrong(f"clientState has up to {LONGEST_STATE} characters.")
    for name in ("notificationUrl", "lifecycleNotificationUrl"):
        url = str(body.get(name) or "https://")
        if not url.startswith("https://") and not request.world.quirks.plain_notifications:
            raise _wrong(f"The {name} has to begin with https.")


def _expiry(request: Request, body: Json, kind: str) -> datetime:
    try:
        expires = moment(str(body["expirationDateTime"]))
    except (KeyError, ValueError):
        raise _wrong("expirationDateTime is not a time.") from None
    longest = timedelta(minutes=DRIVE_MINUTES if kind == "drive" else DIRECTORY_MINUTES)
    if not request.world.now() < expires <= request.world.now() + longest:
        raise _wrong(f"Subscription expiration can only be {longest} in the future.")
    return expires


def _validate(request: Request, url: str) -> None:
    """Have the address repeat a token, decoded, as plain text."""
    token = f"Validation: Testing client application reachability for subscription {request.world.new_guid()}"
    joint = "&" if "?" in url else "?"
    address = f"{url}{joint}validationToken={quote(token, safe='')}"
    try:
        status, answer = send(request.server, address, None, {"Content-Type": "text/plain; charset=utf-8"})
    except NoAnswer as error:
        raise _wrong(f"Subscription validation request failed: {error}.", "ValidationError") from None
    if status != 200 or answer.decode(errors="replace") != token:
        message = f"Subscription validation request failed. Response must exactly match the token; status {status}."
        raise _wrong(message, "ValidationError")


def _reached(server: Server, subscription: Subscription) -> int:
    drive = subscription.drive
    if drive is None:
        kind = str(subscription.body["resource"]).strip("/")
        return len(server.tenant.user_log if kind == "users" else server.tenant.group_log)
    if subscription.security:
        return len(drive.log)
    # Without the preference, changes of permissions are not told.
    shared = {item.shared_change for item in drive.items.values()}
    number = len(drive.log)
    while number > subscription.told and number in shared:
        number -= 1
    return number


def _directory(request: Request, kind: str) -> int:
    return len(request.world.user_log if kind == "users" else request.world.group_log)


def _notice(server: Server, subscription: Subscription) -> Json:
    # A notice of a drive says nothing but that something changed.
    return {
        "subscriptionId": subscription.id,
        "clientState": subscription.body.get("clientState"),
        "changeType": "updated",
        "resource": subscription.body["resource"],
        "subscriptionExpirationDateTime": stamp(subscription.expires),
        "tenantId": server.tenant.tenant_id,
        "resourceData": {"@odata.type": "#Microsoft.Graph.DriveItem"},
    }


def _shape(subscription: Subscription) -> Json:
    body = subscription.body
    names = ("resource", "changeType", "notificationUrl", "lifecycleNotificationUrl", "latestSupportedTlsVersion")
    return {
        "id": subscription.id,
        **{name: body.get(name) for name in names},
        "clientState": None,
        "applicationId": subscription.application.client_id,
        "creatorId": subscription.application.id,
        "expirationDateTime": stamp(subscription.expires),
    }


def _mine(request: Request, key: str) -> Subscription:
    found = request.server.subscriptions.get(key)
    if found is None or found.application is not request.grant.application or found.expires <= request.world.now():
        raise Refusal(404, "ResourceNotFound", "The object was not found.")
    return found


def _wrong(message: str, code: str = "InvalidRequest") -> Refusal:
    return Refusal(400, code, message)
