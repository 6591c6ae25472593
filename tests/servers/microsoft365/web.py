"""Requests, answers, refusals, and which function answers what."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from email.message import Message
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from servers.microsoft365.world import Json

if TYPE_CHECKING:
    from servers.microsoft365.library import Item
    from servers.microsoft365.server import Server
    from servers.microsoft365.tenant import Tenant
    from servers.microsoft365.tokens import Token


@dataclass
class Answer:
    """What is sent back; a body that is not bytes is sent as JSON."""

    status: int = 200
    body: bytes | Json | list[Any] = b""
    headers: dict[str, str] = field(default_factory=dict)


class Refusal(Exception):
    """An answer with an error in the form of Graph; `inner` are codes that say more, from outer to inner."""

    def __init__(self, status: int, code: str, message: str, *inner: str, **headers: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.inner = status, code, message, inner
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def answer(self, request_id: str, date: str) -> Answer:
        detail: Json = {"date": date, "request-id": request_id, "client-request-id": request_id}
        for code in reversed(self.inner):
            detail = {"code": code, **({"innererror": detail} if "code" in detail else detail)}
        # Services behind Graph spell it in lower case, Graph itself does not.
        name = "innererror" if self.inner else "innerError"
        return Answer(
            self.status, {"error": {"code": self.code, "message": self.message, name: detail}}, dict(self.headers)
        )


@dataclass
class Request:
    """A request to Graph, sign-in or audit as it arrived; `target` is path and query, verbatim."""

    server: Server
    method: str
    target: str
    headers: Message
    body: bytes = b""
    origin: str = ""
    token: Token | None = None
    template: str = ""
    in_batch: bool = False
    """It came with others, before the one before it was answered."""
    notes: dict[str, str] = field(default_factory=dict)
    """Headers that the answer is to have, whatever it is."""
    opened: Item | None = None
    """What the sharing link of this request opens, for this request."""

    @property
    def world(self) -> Tenant:
        return self.server.tenant

    @property
    def path(self) -> str:
        """The path as it was written, still encoded."""
        return urlsplit(self.target).path

    @property
    def options(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    def option(self, name: str) -> str | None:
        """Return a query option, which may be written with or without the dollar."""
        options = self.options
        return options.get(f"${name}", options.get(name))

    @property
    def preferences(self) -> set[str]:
        values = ",".join(self.headers.get_all("Prefer") or [])
        return {value.strip().lower() for value in values.split(",") if value.strip()}

    def json(self) -> Json:
        """Return the body, an object.

        Raises
        ------
        Refusal
            If it is none, or is not said to be JSON.
        """
        if "application/json" not in self.headers.get("Content-Type", ""):
            raise Refusal(415, "UnsupportedMediaType", "The content type is not application/json.")
        try:
            found = json.loads(self.body)
        except ValueError:
            raise Refusal(400, "BadRequest", "Unable to read JSON request payload.") from None
        if not isinstance(found, dict):
            raise Refusal(400, "BadRequest", "An object is expected.")
        return found

    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))

    @property
    def grant(self) -> Token:
        """The token that the caller showed, which was checked."""
        assert self.token is not None
        return self.token


Handler = Callable[..., Answer]


@dataclass
class Routes:
    """Which functions answer what; parts of a pattern in braces become arguments, decoded."""

    found: list[tuple[str, re.Pattern[str], str, Handler]] = field(default_factory=list)
    unlocked: set[Handler] = field(default_factory=set)

    def __call__(self, method: str, pattern: str, *, unlocked: bool = False) -> Callable[[Handler], Handler]:
        """Register a function; one that is `unlocked` waits for others while the world goes on."""
        expression = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(pattern))
        expression = re.sub(r"\(\?P<rest>\[\^/\]\+\)", "(?P<rest>.*)", expression)

        def register(handler: Handler) -> Handler:
            if unlocked:
                self.unlocked.add(handler)
            self.found.append((method, re.compile(expression + r"\Z", re.IGNORECASE), pattern, handler))
            return handler

        return register


def dispatch(tables: Sequence[Routes], request: Request, path: str) -> Answer:
    """Answer a request by the first function whose pattern fits."""
    others = False
    for table in tables:
        for method, expression, pattern, handler in table.found:
            if (match := expression.match(path)) is None:
                continue
            if method != request.method:
                others = True
                continue
            request.template = f"{method} {pattern}"
            given = {name: value if name == "rest" else unquote(value) for name, value in match.groupdict().items()}
            with nullcontext() if handler in table.unlocked else request.world.lock:
                return handler(request, **given)
    if others:
        raise Refusal(405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target.")
    raise Refusal(400, "BadRequest", f"Resource not found for the segment '{path.rpartition('/')[2]}'.")
