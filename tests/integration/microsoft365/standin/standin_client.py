"""A plain HTTPS client for the tests of the stand-in: what goes over the wire, and nothing clever."""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass, field
from http.client import HTTPSConnection
from typing import Any
from urllib.parse import urlencode, urlsplit

from servers.microsoft365.server import Server

PATIENCE = 120.0
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Got:
    """An answer."""

    status: int
    headers: dict[str, str]
    content: bytes = field(repr=False)

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def code(self) -> str:
        """The code of the error that the answer is."""
        return str(self.json["error"]["code"])


@dataclass(frozen=True)
class Client:
    """Sends requests to a stand-in, with a token if it has one."""

    server: Server
    token: str = ""

    def get(self, target: str, **headers: str) -> Got:
        """Ask Graph (``/users``), or a whole address."""
        return self.send("GET", target, None, **headers)

    def post(self, target: str, body: object, **headers: str) -> Got:
        return self.send("POST", target, json.dumps(body).encode(), content_type="application/json", **headers)

    def form(self, target: str, **fields: str) -> Got:
        """Send a form to a page of the sign-in."""
        return self.send("POST", f"{self.server.url}{target}", urlencode(fields).encode(), content_type=FORM)

    def send(self, method: str, target: str, body: bytes | None = None, **headers: str) -> Got:
        url = target if target.startswith("https://") else f"{self.server.graph_url}{target}"
        parts = urlsplit(url)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token and "authorization" not in named and parts.netloc == urlsplit(self.server.url).netloc:
            named["authorization"] = f"Bearer {self.token}"
        trust = ssl.create_default_context(cafile=str(self.server.ca))
        connection = HTTPSConnection(parts.netloc, timeout=PATIENCE, context=trust)
        try:
            connection.request(method, parts._replace(scheme="", netloc="").geturl(), body, named)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Got(answer.status, found, answer.read())
        finally:
            connection.close()

    def pages(self, target: str, **headers: str) -> tuple[list[Any], str, int]:
        """Return all values, the delta link at the end, and the number of pages."""
        values: list[Any] = []
        pages = 0
        link: str | None = target
        while link:
            body = self.get(link, **headers).json
            values += body["value"]
            pages += 1
            link = body.get("@odata.nextLink")
        return values, body.get("@odata.deltaLink", ""), pages
