"""Asking Graph and the Management Activity API, with the manners that they ask for.

One request at a time per connection and a bounded number of them; when told to wait, nobody of
this application asks (`readers.microsoft365.brake`); what fails for a moment is asked again; a
token that is not taken any more is renewed once; links to go on with are followed as they are.
"""

from __future__ import annotations

import json
import random
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from data_platform.errors import SourceError, SourceTimeout, SourceUnavailable, UnsafeLink
from data_platform.settings import Settings
from readers.addresses import Link
from readers.microsoft365.brake import Brake, brake
from readers.microsoft365.challenge import claims_of
from readers.microsoft365.exchange import Exchange, Reply
from readers.microsoft365.refusal import THROTTLED, Refusal

Json = dict[str, Any]
Token = Callable[[bool], str]
"""Returns a token; True = a new one, for the last was not taken."""
Challenge = Callable[[str], str]
"""Returns a token that meets the claims, or raises `SignInNeeded`."""

AT_ONCE = 20
"""Requests in one batch, at most."""
CONCURRENT = 8
PATIENCE_SECONDS = 300.0
_TRIES = 6
_FIRST_PAUSE = 0.5
_SHARE = re.compile(r"/shares/[^/]+")
_POSITION = re.compile(r"(?:\(|%28)\s*token\b.*", re.IGNORECASE | re.DOTALL)
_SAFE = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list, and the link to the next part, or from which changes can be asked for later."""

    value: list[Json] = field(repr=False)
    next_link: str = field(default="", repr=False)
    delta_link: str = field(default="", repr=False)


class Graph:
    """One service of Microsoft 365, asked as one account.

    Parameters
    ----------
    token
        Gives the token to send; see `Token`.
    base
        What relative links begin with; empty = Graph's own address in force.
    challenge
        Meets a claims challenge; without it a new token is tried.
    patience
        Seconds that a request waits, at most, if the service asks to wait.
    shared
        Wait for what the application's processes on other machines were told, too; see `brake.shared_by`.
    """

    def __init__(
        self,
        settings: Settings,
        token: Token,
        *,
        base: str = "",
        challenge: Challenge | None = None,
        patience: float = PATIENCE_SECONDS,
        shared: bool = False,
    ) -> None:
        self.exchange = Exchange(settings)
        self.brake: Brake = brake(settings, shared=shared)
        self._base = (base or self.exchange.places.graph).rstrip("/")
        self._origin = Link.parse(self._base).origin
        self._token = token
        self._challenge = challenge
        self.patience = patience
        self._places = threading.BoundedSemaphore(CONCURRENT)

    def get(self, url: str, **headers: str) -> Json:
        """Return what is at `url`, relative to the base or absolute.

        Headers are given with underscores, as ``ConsistencyLevel="eventual"``, ``If_None_Match=…``.

        Raises
        ------
        SourceError
            What the answer means; `readers.microsoft365.refusal.refusal_of` has its codes.
        """
        found = self.request("GET", url, None, headers).json(self._where(url))
        return found if isinstance(found, dict) else {"value": found}

    def pages(self, url: str, **headers: str) -> Iterator[Page]:
        """Yield the parts of a list; an empty part may still have one after it.

        Raises
        ------
        ResyncRequired
            If it is a list of changes, and what changed since is not known any more.
        """
        while url:
            reply = self.request("GET", url, None, headers)
            found = reply.json(self._where(url))
            if isinstance(found, list):  # the Management Activity API
                page = Page(_objects(found), reply.headers.get("nextpageuri", ""))
            else:
                page = Page(
                    _objects(found.get("value")),
                    _text(found.get("@odata.nextLink")),
                    _text(found.get("@odata.deltaLink")),
                )
            yield page
            url = page.next_link

    def send(self, method: str, url: str, body: Json | None = None, **headers: str) -> Json:
        """Ask for a change, or for what has to be asked with a body; returns the answer's body."""
        found = self.request(method, url, body, headers).json(self._where(url))
        return found if isinstance(found, dict) else {"value": found}

    def batch(self, urls: Sequence[str], **headers: str) -> list[Json | SourceError]:
        """Return what is at each of `urls` (relative to the base), or the error that it answers.

        Twenty go in one request. Those that are told to wait, or fail for a moment, are asked again.
        """
        answers: dict[int, Json | SourceError] = {}
        for start in range(0, len(urls), AT_ONCE):
            numbers = range(start, min(start + AT_ONCE, len(urls)))
            answers |= self._batch({number: urls[number] for number in numbers}, _named(headers))
        return [answers[number] for number in range(len(urls))]

    def request(
        self,
        method: str,
        url: str,
        body: Json | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        again: bool = False,
    ) -> Reply:
        """Return the answer's status, headers and body; the others are made of this.

        Parameters
        ----------
        again
            Whether it may be sent twice although it is no GET.
        """
        link = self._link(url)
        content = None if body is None else json.dumps(body).encode()
        given = _named(headers or {}) | ({} if content is None else {"Content-Type": "application/json"})
        renewed = False
        token = self._token(False)
        for tried in range(1, _TRIES + 1):
            try:
                reply = self._once(method, link, given | {"Authorization": f"Bearer {token}"}, content)
            except (SourceUnavailable, SourceTimeout):
                if tried == _TRIES or not (again or method in _SAFE) or self.brake.left > self.patience:
                    raise
                time.sleep(_pause(tried))
                continue
            if reply.status < 400:
                return reply
            refusal = Refusal.of(reply.status, reply.lenient_json(), reply.headers)
            if reply.status == 401 and not renewed:
                token, renewed = self._renewed(reply), True
                continue
            if not refusal.may_pass or tried == _TRIES or not (again or method in _SAFE or reply.status in THROTTLED):
                raise refusal.error(self._where(url), reply.headers.get("location", ""))
            if reply.status not in THROTTLED:
                time.sleep(_pause(tried))
        raise AssertionError("unreachable")

    def _once(self, method: str, link: Link, headers: Mapping[str, str], content: bytes | None) -> Reply:
        """Send as soon as nobody has to wait, and remember how long to wait if the answer says so."""
        with self._places:
            self.brake.wait(self.patience)
            identified = {"Accept": "application/json", "client-request-id": str(uuid.uuid4()), **headers}
            reply = self.exchange.ask(method, link, identified, content)
            if (wait := told_to_wait(reply.status, reply.headers)) is not None:
                self.brake.hold(wait)
        return reply

    def _renewed(self, reply: Reply) -> str:
        claims = claims_of(reply.headers.get("www-authenticate", ""))
        return self._challenge(claims) if claims and self._challenge is not None else self._token(True)

    def _batch(self, wanted: dict[int, str], headers: Mapping[str, str]) -> dict[int, Json | SourceError]:
        answers: dict[int, Json | SourceError] = {}
        for tried in range(1, _TRIES + 1):
            requests = [
                {"id": str(number), "method": "GET", "url": url} | ({"headers": dict(headers)} if headers else {})
                for number, url in wanted.items()
            ]
            reply = self.request("POST", f"{self._base}/$batch", {"requests": requests}, again=True)
            parts = {_text(part.get("id")): part for part in _objects(reply.json("$batch").get("responses"))}
            for number, url in list(wanted.items()):
                answer = self._part(url, parts.get(str(number)), last=tried == _TRIES)
                if answer is not None:
                    answers[number] = answer
                    del wanted[number]
            if not wanted:
                break
            if not self.brake.left:
                time.sleep(_pause(tried))
        return answers

    def _part(self, url: str, part: Json | None, *, last: bool) -> Json | SourceError | None:
        """Return what a part of a batch's answer says, None if it is to be asked for again."""
        if part is None:
            return SourceUnavailable(f"{self._where(url)} was left unanswered. Try again later.") if last else None
        status, body = int(part.get("status", 500)), part.get("body")
        headers = {str(name).lower(): str(value) for name, value in (part.get("headers") or {}).items()}
        if (wait := told_to_wait(status, headers)) is not None:
            self.brake.hold(wait)
        if status < 400:
            location = {"location": headers["location"]} if "location" in headers else {}
            return body if isinstance(body, dict) and body else location
        refusal = Refusal.of(status, body, headers)
        return None if refusal.may_pass and not last else refusal.error(self._where(url), headers.get("location", ""))

    def _link(self, url: str) -> Link:
        link = Link.parse(url if urlsplit(url).scheme else f"{self._base}/{url.lstrip('/')}")
        if link.origin != self._origin:  # a token is for its service alone
            raise UnsafeLink(f"{link.origin} is not {self._origin}, where this is asked. Check the settings.")
        return link

    def _where(self, url: str) -> str:
        """Return what a message may show of `url`: names and ids, no query and no link that opens something."""
        path = _POSITION.sub("(...)", _SHARE.sub("/shares/...", urlsplit(url).path))
        return f"Microsoft 365 ({path[:200]})"


def told_to_wait(status: int, headers: Mapping[str, str]) -> float | None:
    """Return how many seconds an answer asks everybody to wait, None if it does not.

    ``Retry-After`` may be a fraction or a date, ``RateLimit-Reset`` may say more, and then counts.
    """
    throttled = status in THROTTLED
    used_up = headers.get("ratelimit-remaining", "").strip() in {"0", "0.0"}
    waits = [_seconds(headers.get("retry-after", ""))] if throttled else []
    waits += [_seconds(headers.get("ratelimit-reset", ""))] if throttled or used_up else []
    told = [wait for wait in waits if wait is not None]
    if told:
        return max(told)
    return _FIRST_PAUSE * 2 * (1 + random.random()) if throttled else None


def _seconds(text: str) -> float | None:
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    return max(0.0, (until - datetime.now(UTC)).total_seconds()) if until.tzinfo else None


def _pause(tried: int) -> float:
    # At random, so that many who failed together do not come again together.
    return _FIRST_PAUSE * float(2 ** (tried - 1)) * (0.5 + random.random())


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def _objects(found: object) -> list[Json]:
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _text(found: object) -> str:
    return found if isinstance(found, str) else ""
