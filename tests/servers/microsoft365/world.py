"""What all parts of the world have in common: a name, a clock, a lock, and chance from a seed."""

from __future__ import annotations

import base64
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import wraps
from random import Random
from typing import Any, TypeVar, cast

Json = dict[str, Any]
Method = TypeVar("Method", bound=Callable[..., Any])


@dataclass
class PageSizes:
    """How many objects a page holds at most; tests make them smaller to see more pages."""

    users: int = 100
    users_most: int = 999
    users_delta: int = 200
    groups_delta: int = 200
    delta_members: int = 1000
    children: int = 200
    drive_delta: int = 200
    blobs: int = 200
    records: int = 1000


@dataclass
class Quirks:
    """What the real service does sometimes, and a client has to bear. Off, unless it is the rule."""

    repeat_in_delta: bool = False
    """An item that changed since a delta began is shown in the page where it was, too."""
    folder_alone_in_delta: bool = False
    """Of a deleted folder only the folder itself is shown as deleted."""
    empty_pages: bool = False
    """A listing begins with an empty page, which has a next link."""
    repeat_in_log: bool = True
    """A record of the audit log is in more than one blob."""
    late_hashes: bool = False
    """An item has no hash before it was downloaded once."""
    current_version_refused: bool = False
    """The content of the newest version is served by the item only, not by the version."""
    plain_notifications: bool = False
    """Notifications are sent to addresses without TLS, too, as if a proxy stood before them."""
    whole_downloads: bool = False
    """Downloads answer a range with the whole file."""
    refuse_plain_addresses: bool = False
    """/shares knows sharing links only, and refuses the addresses of items, as some have seen."""
    only_list_item: bool = False
    """/shares tells the entry of the list, but not the item."""
    shares_without_paths: bool = False
    """/shares answers for what a link opens alone, and not for paths below it, which no page of the vendor's shows."""
    lenient_shares: bool = False
    """Scopes that only read suffice for /shares, as some have seen."""


class World:
    """A company's tenant, still empty."""

    def __init__(self, name: str = "contoso", seed: int = 1) -> None:
        self.name = name
        self.lock = threading.RLock()
        self.random = Random(seed)
        self.tenant_id = self.new_guid()
        self.domain = f"{name}.onmicrosoft.com"
        self.host = f"{name}.sharepoint.com"
        self.my_host = f"{name}-my.sharepoint.com"
        self.pages = PageSizes()
        self.quirks = Quirks()
        self._offset = timedelta()

    def now(self) -> datetime:
        """Return the time of this world, which may be moved ahead of the real one."""
        return datetime.now(UTC) + self._offset

    def advance(self, **amount: float) -> None:
        """Let time pass: ``advance(days=8)``."""
        self._offset += timedelta(**amount)

    def new_guid(self) -> str:
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def new_token(self, length: int = 32) -> str:
        """Return an opaque text for URLs, which nobody can guess from another."""
        return base64.urlsafe_b64encode(self.random.randbytes(length)).decode().rstrip("=")


def changing(method: Method) -> Method:
    """Let a method change the world while no request is being answered."""

    @wraps(method)
    def changed(self: World, *args: Any, **kwargs: Any) -> Any:
        with self.lock:
            return method(self, *args, **kwargs)

    return cast(Method, changed)


def stamp(moment: datetime) -> str:
    """Return a time as Graph writes it."""
    return f"{moment.astimezone(UTC).isoformat()[:19]}Z"


def moment(text: str) -> datetime:
    """Return the time that Graph wrote, or a client did."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
