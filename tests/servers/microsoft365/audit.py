"""The Management Activity API: subscriptions to a part of the audit log, lists of blobs, and blobs of records."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from typing import Any

from servers.microsoft365.notices import NoAnswer, send
from servers.microsoft365.people import Application
from servers.microsoft365.web import Answer, Refusal, Request, Routes
from servers.microsoft365.world import Json, moment

routes = Routes()
ROOT = "/api/v1.0/{tenant}/activity/feed"
TYPES = ("Audit.AzureActiveDirectory", "Audit.Exchange", "Audit.SharePoint", "Audit.General", "DLP.All")
LONGEST, KEPT = timedelta(hours=24), timedelta(days=7)
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z", re.IGNORECASE)
_TIMES = (
    "startTime and endTime must both be specified (or both omitted) and must be less than or equal to 24 hours apart, "
    "with the start time no more than 7 days in the past."
)


class Wrong(Refusal):
    """A refusal in the form of this API, whose errors have nothing inside."""

    def answer(self, request_id: str, date: str) -> Answer:
        return Answer(self.status, {"error": {"code": self.code, "message": self.message}}, self.headers)


Handler = Callable[..., Answer]


def feed(method: str, path: str, *, unlocked: bool = False) -> Callable[[Handler], Handler]:
    """Register a function of the feed, which is called for callers who may ask it."""

    def register(handler: Handler) -> Handler:
        @wraps(handler)
        def judged(request: Request, tenant: str, **given: str) -> Answer:
            if tenant.lower() != request.world.tenant_id:
                raise Wrong(400, "AF20013", "The tenant ID passed in the URL does not match the access token.")
            if not request.grant.has("ActivityFeed.Read"):
                raise Wrong(403, "AF10001", "The permission set does not include the expected permission.")
            if not _GUID.match(request.options.get("PublisherIdentifier", "")):
                raise Wrong(400, "AF20001", "Missing parameter: PublisherIdentifier.")
            return handler(request, **given)

        return routes(method, f"{ROOT}{path}", unlocked=unlocked)(judged)

    return register


@feed("POST", "/subscriptions/start", unlocked=True)
def start(request: Request) -> Answer:
    """Begin to collect a content type; a webhook has to answer its validation first."""
    kind = _type(request)
    given = json.loads(request.body).get("webhook") if request.body.strip() else None
    mine = request.server.subscribed.setdefault(request.grant.application.client_id, {})
    before = mine.get(kind)
    if before is not None and before["status"] == "enabled" and given is None:
        raise Wrong(400, "AF20024", "The subscription is already enabled. No property change.")
    webhook = None
    if given is not None:
        _validate(request, given)
        webhook = {"status": "enabled", "address": given["address"], "authId": given.get("authId")}
        webhook["expiration"] = given.get("expiration") or None
    mine[kind] = {"contentType": kind, "status": "enabled", "webhook": webhook}
    return Answer(200, mine[kind])


def _validate(request: Request, webhook: Json) -> None:
    address = str(webhook.get("address", ""))
    if not address.startswith("https://"):
        raise Wrong(400, "AF20030", "The webhook address has to begin with HTTPS.")
    code = request.world.new_guid()
    try:
        status, _ = send(request.server, address, {"validationCode": code}, {"Webhook-ValidationCode": code})
    except NoAnswer as error:
        raise Wrong(400, "AF20061", f"The webhook could not be reached: {error}") from None
    if status != 200:
        raise Wrong(400, "AF20061", f"The webhook endpoint did not return HTTP 200 but {status}.")


@feed("POST", "/subscriptions/stop")
def stop(request: Request) -> Answer:
    kind = _type(request)
    _subscription(request, kind)["status"] = "disabled"
    return Answer(200)


@feed("GET", "/subscriptions/list")
def listing(request: Request) -> Answer:
    """Return an array, in which what was never begun is missing."""
    return Answer(200, list(request.server.subscribed.get(request.grant.application.client_id, {}).values()))


@feed("GET", "/subscriptions/content")
def content(request: Request) -> Answer:
    """Return what blobs were made within a day; a further page is in the header NextPageUri."""
    place = request.server.links.place(request, "nextPage", verbatim=False)
    if place is None:
        kind = _type(request)
        _subscription(request, kind)
        blobs = [_listed(request, blob) for blob in _within(request, kind)]
        request.world.random.shuffle(blobs)
    else:
        blobs = place.state
    most = request.world.pages.blobs
    headers = {}
    if len(blobs) > most:
        publisher = f"PublisherIdentifier={request.options['PublisherIdentifier']}&nextPage"
        headers["NextPageUri"] = request.server.links.next(request, blobs[most:], publisher)
    return Answer(200, blobs[:most], headers)


@feed("GET", "/audit/{key}")
def records(request: Request, key: str) -> Answer:
    """Return the records of a blob, as an array."""
    blob = request.world.blobs.get(key)
    if blob is None:
        raise Wrong(404, "AF20050", "The specified content does not exist.")
    if blob.created + KEPT <= request.world.now():
        raise Wrong(400, "AF20051", "Content requested with the key has already expired.")
    _subscription(request, blob.kind)
    return Answer(200, [record.body for record in blob.records])


def _type(request: Request) -> str:
    kind = request.options.get("contentType", "")
    if kind not in TYPES:
        raise Wrong(400, "AF20020", f"The specified content type is not valid: {kind}.")
    return kind


def _subscription(request: Request, kind: str) -> Json:
    found = request.server.subscribed.get(request.grant.application.client_id, {}).get(kind)
    if found is None:
        raise Wrong(400, "AF20022", "No subscription found for the specified content type.")
    if found["status"] != "enabled":
        raise Wrong(400, "AF20023", "The subscription was disabled by the tenant admin.")
    return found


def _within(request: Request, kind: str) -> list[Any]:
    now = request.world.now()
    begin, end = _times(request, now)
    return [blob for blob in request.world.collect() if blob.kind == kind and begin <= blob.created < end]


def _times(request: Request, now: datetime) -> tuple[datetime, datetime]:
    texts = [request.options.get(name) for name in ("startTime", "endTime")]
    if texts == [None, None]:
        return now - LONGEST, now
    try:
        begin, end = (moment(text or "") for text in texts)
    except ValueError:
        raise Wrong(400, "AF20030", _TIMES) from None
    # Whoever asks for just seven days has taken a moment to ask.
    if not begin <= end <= begin + LONGEST or begin < now - KEPT - timedelta(minutes=1):
        raise Wrong(400, "AF20030", _TIMES)
    return begin, end


def _listed(request: Request, blob: Any) -> Json:
    root = request.path.removesuffix("/subscriptions/content")
    return {
        "contentUri": f"{request.origin}{root}/audit/{blob.key}",
        "contentId": blob.key,
        "contentType": blob.kind,
        "contentCreated": _precise(blob.created),
        "contentExpiration": _precise(blob.created + KEPT),
    }


def _precise(when: datetime) -> str:
    return f"{when:%Y-%m-%dT%H:%M:%S}.{when.microsecond // 1000:03}Z"


def webhook_notices(server: Any, app: Application) -> list[Json]:
    """Return what a webhook is told of the blobs that there are: an array."""
    tenant = server.tenant
    root = f"{server.url}/api/v1.0/{tenant.tenant_id}/activity/feed"
    return [
        {
            "tenantId": tenant.tenant_id,
            "clientId": app.client_id,
            "contentType": blob.kind,
            "contentId": blob.key,
            "contentUri": f"{root}/audit/{blob.key}",
            "contentCreated": _precise(blob.created),
            "contentExpiration": _precise(blob.created + KEPT),
        }
        for blob in tenant.collect()
    ]
