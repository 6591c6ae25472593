"""Several requests in one: $batch."""

from __future__ import annotations

import json
from email.message import Message
from typing import Any

from servers.microsoft365.web import Answer, Refusal, Request, Routes
from servers.microsoft365.world import Json

routes = Routes()
MOST = 20


@routes("POST", "/$batch")
def batch(request: Request) -> Answer:
    """Answer each of up to twenty requests by itself, in an order of the service's own."""
    asked = request.json().get("requests")
    if not isinstance(asked, list) or not 0 < len(asked) <= MOST:
        raise Refusal(400, "BadRequest", f"A batch has from 1 to {MOST} requests.")
    ids = [part.get("id") for part in asked]
    if None in ids or len(set(ids)) < len(ids):
        raise Refusal(400, "BadRequest", "Each request of a batch has an id of its own.")
    answers: dict[str, Json] = {}
    for part in asked:
        answers[part["id"]] = _one(request, part, answers)
    return Answer(200, {"responses": list(reversed(answers.values()))})


def _one(request: Request, part: Json, before: dict[str, Json]) -> Json:
    if any(before.get(other, {"status": 424})["status"] >= 400 for other in part.get("dependsOn", [])):
        failed = {"error": {"code": "FailedDependency", "message": "A request that this depends on failed."}}
        return {"id": part["id"], "status": 424, "headers": {}, "body": failed}
    url = str(part.get("url", ""))
    if not url or "://" in url or "$batch" in url:
        wrong = {"error": {"code": "BadRequest", "message": "The url of a request in a batch is relative."}}
        return {"id": part["id"], "status": 400, "headers": {}, "body": wrong}
    answer = request.server.respond(_inner(request, part, url))
    headers = {**answer.headers, "Content-Type": "application/json"}
    found = {"id": part["id"], "status": answer.status, "headers": headers}
    return found if answer.body == b"" else {**found, "body": _body(answer.body)}


def _inner(request: Request, part: Json, url: str) -> Request:
    headers = Message()
    headers["Authorization"] = request.headers.get("Authorization", "")
    for name, value in part.get("headers", {}).items():
        if name.lower() != "authorization":
            headers[name] = str(value)
    target = f"/v1.0/{url.lstrip('/')}"
    body = json.dumps(part["body"]).encode() if "body" in part else b""
    method = str(part.get("method", "GET")).upper()
    return Request(request.server, method, target, headers, body, request.origin, in_batch=True)


def _body(body: bytes | Json | list[Any]) -> Any:
    return body if not isinstance(body, bytes) else body.decode("latin-1")
