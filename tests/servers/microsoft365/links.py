"""Addresses that only this service can make: next pages, positions of deltas, downloads."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from servers.microsoft365.library import Item, Version
from servers.microsoft365.people import User
from servers.microsoft365.tenant import Tenant
from servers.microsoft365.tokens import Token
from servers.microsoft365.web import Refusal, Request

DIRECTORY_DAYS = 7
DOWNLOAD_MINUTES = 60


@dataclass(frozen=True)
class Place:
    """Where a client is in a listing or delta: the address that was given to it, and what it stands for."""

    target: str
    state: Any
    made: datetime


@dataclass
class Ticket:
    """A pre-authenticated download; the query has to come back as it was given."""

    target: str
    item: Item
    version: Version
    user: User | None
    token: Token
    until: datetime


@dataclass
class Links:
    tenant: Tenant
    places: dict[str, Place] = field(default_factory=dict)
    tickets: dict[str, Ticket] = field(default_factory=dict)

    def next(self, request: Request, state: Any, parameter: str = "$skiptoken", path: str = "") -> str:
        """Return an address that leads to what `state` stands for; the query of the request is part of the token."""
        text = self.tenant.new_token(48)
        target = f"{path or request.path}?{parameter}={text}"
        self.places[text] = Place(target, state, self.tenant.now())
        return f"{request.origin}{target}"

    def place(self, request: Request, parameter: str, *, verbatim: bool = True) -> Place | None:
        """Return what the address of a request stands for, or None if it has no such token.

        Raises
        ------
        Refusal
            If the address is not one that was given out, to the letter.
        """
        text = request.options.get(parameter)
        if text is None:
            return None
        place = self.places.get(text)
        if place is None or (verbatim and place.target != request.target):
            raise Refusal(400, "invalidRequest", f"The {parameter} is not one that this service gave out, verbatim.")
        return place

    def download(self, request: Request, item: Item, version: Version) -> str:
        """Return the address of bytes, for whoever has it."""
        text = self.tenant.new_token(48)
        path = urlsplit(item.drive.site.url).path
        query = f"UniqueId={item.guid}&Translate=false&tempauth=v1.{text}&ApiVersion=2.0"
        target = f"{path}/_layouts/15/download.aspx?{query}"
        until = self.tenant.now() + timedelta(minutes=DOWNLOAD_MINUTES)
        self.tickets[target] = Ticket(target, item, version, request.grant.user, request.grant, until)
        return f"{request.server.download_url}{target}"

    def expired(self, place: Place) -> bool:
        """Tell whether a position in a directory delta is too old."""
        return place.made + timedelta(days=DIRECTORY_DAYS) <= self.tenant.now()
