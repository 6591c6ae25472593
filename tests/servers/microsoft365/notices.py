"""What the service sends by itself, to addresses that clients named."""

from __future__ import annotations

import json
import ssl
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from servers.microsoft365.server import Server

PATIENCE = 60.0
"""Seconds; the real service waits for ten, which a busy machine may need by itself."""


class NoAnswer(Exception):
    """Nobody answered at the address, or in a way that is not HTTP."""


def send(server: Server, address: str, body: object, headers: dict[str, str]) -> tuple[int, bytes]:
    """Post something to an address and return status and body; certificates are those of the stand-in's authority.

    Raises
    ------
    NoAnswer
        If there is no answer.
    """
    parts = urlsplit(address)
    if parts.scheme == "https":
        trust = ssl.create_default_context(cafile=str(server.ca))
        connection: HTTPConnection = HTTPSConnection(parts.netloc, timeout=PATIENCE, context=trust)
    else:
        connection = HTTPConnection(parts.netloc, timeout=PATIENCE)
    target = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
    content = b"" if body is None else json.dumps(body).encode()
    try:
        connection.request("POST", target, content, {"Content-Type": "application/json; charset=utf-8", **headers})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, HTTPException) as error:
        raise NoAnswer(str(error)) from error
    finally:
        connection.close()
