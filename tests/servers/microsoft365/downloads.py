"""Downloads from addresses that need no sign-in, and bear none."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from servers.microsoft365.connections import Connection
from servers.microsoft365.web import Answer

if TYPE_CHECKING:
    from servers.microsoft365.links import Ticket
    from servers.microsoft365.server import Server


def answer(server: Server, connection: Connection) -> Answer:
    """Return the bytes, or a range of them, of an address that was given out."""
    if connection.headers.get("Authorization") is not None:
        return Answer(401, b"", {"WWW-Authenticate": "Bearer", "X-Reason": "Authorization is not accepted here."})
    if connection.command not in ("GET", "HEAD"):
        return Answer(405)
    with server.tenant.lock:
        ticket = server.links.tickets.get(connection.path)
        if ticket is None or ticket.until <= server.tenant.now():
            return Answer(401, b"", {"WWW-Authenticate": "Bearer"})
        if ticket.item.deleted:
            return Answer(404)
        if (fault := server.faults.download(connection.path)) is not None:
            return fault
        if connection.headers.get("Range") is None:
            _record(server, ticket)
    return _bytes(ticket, None if server.tenant.quirks.whole_downloads else connection.headers.get("Range"))


def _record(server: Server, ticket: Ticket) -> None:
    ticket.item.downloaded = True
    by = ticket.user or ticket.token.application
    server.tenant.record("FileDownloaded", by, ticket.item, through=ticket.token.application)


def _bytes(ticket: Ticket, asked: str | None) -> Answer:
    data = ticket.version.content.data()
    headers = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes", "ETag": ticket.item.e_tag}
    if asked is None or (match := re.fullmatch(r"bytes=(\d*)-(\d*)", asked)) is None:
        return Answer(200, data, headers)
    first, last = match.groups()
    start = int(first) if first else max(len(data) - int(last), 0)
    end = int(last) + 1 if first and last else len(data)
    if start >= len(data):
        return Answer(416, b"", {**headers, "Content-Range": f"bytes */{len(data)}"})
    part = data[start:end]
    return Answer(206, part, {**headers, "Content-Range": f"bytes {start}-{start + len(part) - 1}/{len(data)}"})
