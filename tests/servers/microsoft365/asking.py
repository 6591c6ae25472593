"""Writing to people: chats, which only people can write to, and mail."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from servers.microsoft365.access import require
from servers.microsoft365.addresses import any_user, caller
from servers.microsoft365.people import User
from servers.microsoft365.web import Answer, Refusal, Request, Routes
from servers.microsoft365.world import Json, stamp

routes = Routes()
_MEMBER = re.compile(r".*/users\('(?P<key>[^']+)'\)\Z")


@dataclass
class Post:
    """What was written."""

    chats: dict[frozenset[str], Json] = field(default_factory=dict)
    messages: list[Json] = field(default_factory=list)
    mails: list[tuple[User, Json]] = field(default_factory=list)


@routes("POST", "/chats")
def chat(request: Request) -> Answer:
    """Return the chat of two people, the caller among them; there is one at most."""
    require(request, "Chat.Create", "Chat.ReadWrite")
    body = request.json()
    keys = [_MEMBER.match(str(member.get("user@odata.bind"))) for member in body.get("members", [])]
    people = frozenset(any_user(request, key["key"]).id for key in keys if key is not None)
    if body.get("chatType") != "oneOnOne" or len(people) != 2 or caller(request).id not in people:
        raise Refusal(400, "BadRequest", "A chat of type oneOnOne has two members, and the caller is one of them.")
    now = stamp(request.world.now())
    made: Json = {
        "@odata.context": f"{request.origin}/v1.0/$metadata#chats/$entity",
        "id": f"19:{'_'.join(sorted(people))}@unq.gbl.spaces",
        "topic": None,
        "createdDateTime": now,
        "lastUpdatedDateTime": now,
        "chatType": "oneOnOne",
    }
    return Answer(201, request.server.post.chats.setdefault(people, made))


@routes("POST", "/chats/{key}/messages")
def message(request: Request, key: str) -> Answer:
    if request.grant.user is None:
        raise Refusal(403, "Forbidden", "Applications cannot send messages; they only migrate them.")
    require(request, "ChatMessage.Send", "Chat.ReadWrite")
    if key not in {found["id"] for found in request.server.post.chats.values()}:
        raise Refusal(404, "NotFound", "The chat does not exist.")
    content = _content(request.json())
    user = request.grant.user
    sender = {"id": user.id, "displayName": user.name, "userIdentityType": "aadUser"}
    now = stamp(request.world.now())
    made: Json = {
        "id": str(1_600_000_000_000 + len(request.server.post.messages)),
        "replyToId": None,
        "messageType": "message",
        "createdDateTime": now,
        "chatId": key,
        "from": {"application": None, "device": None, "user": sender},
        "body": {"contentType": "text", "content": content},
        "attachments": [],
    }
    request.server.post.messages.append(made)
    return Answer(201, made)


@routes("POST", "/me/sendMail")
def my_mail(request: Request) -> Answer:
    return _mail(request, caller(request))


@routes("POST", "/users/{key}/sendMail")
def mail(request: Request, key: str) -> Answer:
    user = any_user(request, key)
    if request.grant.user not in (None, user):
        raise Refusal(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
    return _mail(request, user)


def _mail(request: Request, sender: User) -> Answer:
    require(request, "Mail.Send")
    found: Any = request.json().get("message")
    if not isinstance(found, dict) or not found.get("toRecipients"):
        raise Refusal(400, "ErrorInvalidRecipients", "At least one recipient is not valid.")
    request.server.post.mails.append((sender, found))
    return Answer(202)


def _content(body: Json) -> str:
    content = body.get("body", {}).get("content")
    if not isinstance(content, str) or not content:
        raise Refusal(400, "BadRequest", "Message body cannot be empty.")
    return content
