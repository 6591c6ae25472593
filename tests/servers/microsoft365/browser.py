"""A browser, as far as signing in needs one: it opens a page and does what the page says."""

from __future__ import annotations

import ssl
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, Request, build_opener, urlopen

if TYPE_CHECKING:
    from servers.microsoft365.server import Server

PATIENCE = 120.0


def visit(server: Server, url: str) -> None:
    """Open a sign-in page as whoever sits at the browser, and carry the answer to the program that waits for it."""
    address, answer = answered(server, url)
    request = Request(address, urlencode(answer).encode())
    with urlopen(request, timeout=PATIENCE) as found:
        found.read()


def answered(server: Server, url: str) -> tuple[str, dict[str, str]]:
    """Return where a sign-in page sends the browser, and what with."""
    trust = ssl.create_default_context(cafile=str(server.ca))
    opener = build_opener(HTTPSHandler(context=trust), _Stay())
    with opener.open(url, timeout=PATIENCE) as found:
        if location := found.headers.get("Location"):
            parts = urlsplit(location)
            return parts._replace(query="").geturl(), dict(parse_qsl(parts.query))
        form = _Form()
        form.feed(found.read().decode())
    return form.action, form.fields


class _Stay(HTTPRedirectHandler):
    def http_error_302(self, req: object, fp: object, code: int, msg: str, headers: object) -> object:
        return fp


class _Form(HTMLParser):
    """The form of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.action = found["action"]
        elif tag == "input":
            self.fields[found["name"]] = found["value"]
