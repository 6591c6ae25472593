"""What a site, a drive, an item, a version and a permission are."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from urllib.parse import quote

from servers.microsoft365.contents import Content
from servers.microsoft365.people import Application, Group, User
from servers.microsoft365.world import Json

Actor = User | Application | None
BUSINESS, LIBRARY, PERSONAL = "business", "documentLibrary", "personal"


@dataclass(slots=True, eq=False)
class Version:
    """Bytes that a file had; `shown` and `shown_hash` are the size and hash that are told, if those are others."""

    number: int
    content: Content
    modified: datetime
    by: Actor
    shown: int | None = None
    shown_hash: str = ""

    @property
    def size(self) -> int:
        return self.content.size if self.shown is None else self.shown


@dataclass(slots=True)
class Link:
    """A sharing link; `people` are ids of users and addresses of those it is for, or who redeemed it."""

    scope: str
    kind: str
    url: str
    people: dict[str, None] = field(default_factory=dict)
    redeemed: dict[str, None] = field(default_factory=dict)
    no_download: bool = False


@dataclass(slots=True, eq=False)
class Permission:
    """A grant on an item; `grantee` is the id of a user, group or application."""

    id: str
    roles: list[str]
    granted: datetime
    grantee: str = ""
    email: str = ""
    invited_by: str = ""
    link: Link | None = None
    expires: datetime | None = None
    password: bool = False
    share_id: str = ""


@dataclass(slots=True, eq=False)
class Item:
    """A file (it has versions), a folder (it has children), a shortcut (a target), or only facets."""

    drive: Drive
    name: str
    parent: Item | None
    created: datetime
    by: Actor
    children: dict[str, Item] | None = None
    versions: list[Version] = field(default_factory=list)
    target: Item | None = None
    facets: Json | None = None
    permissions: list[Permission] = field(default_factory=list)
    id: str = ""
    unique: bytes = b""
    changes: int = 1
    content_changes: int = 1
    change: int = 0
    shared_change: int = 0
    modified: datetime | None = None
    deleted: bool = False
    downloaded: bool = False

    @property
    def is_file(self) -> bool:
        return bool(self.versions)

    @property
    def guid(self) -> str:
        """Its listItemUniqueId, as audit records name it."""
        text = self.unique.hex()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    @property
    def e_tag(self) -> str:
        return f'"{{{self.guid.upper()}}},{self.changes}"'

    @property
    def c_tag(self) -> str:
        return f'"c:{{{self.guid.upper()}}},{self.content_changes}"'

    @property
    def size(self) -> int:
        if self.children is not None:
            return sum(child.size for child in self.children.values())
        return self.versions[-1].size if self.versions else 0

    @property
    def parts(self) -> list[str]:
        """Names from below the root to this."""
        found: list[str] = []
        item = self
        while item.parent is not None:
            found.append(item.name)
            item = item.parent
        return found[::-1]

    @property
    def url(self) -> str:
        """Its webUrl; that of a notebook or shortcut looks like that of a file."""
        if self.drive.kind == PERSONAL:
            return f"https://onedrive.live.com/redir?resid={self.id}"
        return "/".join([self.drive.url, *(quoted(part) for part in self.parts)])

    def chain(self) -> Iterator[Item]:
        """Yield the item and what it is in, up to the root."""
        item: Item | None = self
        while item is not None:
            yield item
            item = item.parent

    def walk(self) -> Iterator[Item]:
        """Yield the item and all that is in it."""
        yield self
        for child in list((self.children or {}).values()):
            yield from child.walk()


@dataclass(slots=True, eq=False)
class Drive:
    """A library of a site, or somebody's OneDrive. Its log says which item changed with which number."""

    site: Site
    kind: str
    name: str
    folder: str
    owner: User | Group
    list_id: str
    created: datetime
    id: str = ""
    prefix: str = ""
    root: Item = field(init=False)
    items: dict[str, Item] = field(default_factory=dict)
    bin: dict[str, Item] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    retention_labels: bool = False
    epoch: int = 0
    resync: str = "resyncChangesApplyDifferences"

    @property
    def url(self) -> str:
        return f"{self.site.url}/{quote(self.folder)}".rstrip("/")

    def log_change(self, item: Item, *, shared: bool = False) -> None:
        self.log.append(item.id)
        item.change = len(self.log)
        if shared:
            item.shared_change = len(self.log)

    def at(self, path: list[str]) -> Item | None:
        """Return the item at a path below the root, in any case of letters."""
        item = self.root
        for name in path:
            found = (item.children or {}).get(name.lower())
            if found is None:
                return None
            item = found
        return item


@dataclass(slots=True, eq=False)
class SiteGroup:
    """A group that a site has for itself, with a number of its own; members are ids of users and groups."""

    site: Site
    number: int
    name: str
    members: dict[str, None]

    @property
    def id(self) -> str:
        """What permissions know it by here; it is never told."""
        return f"{self.site.guid}/{self.number}"


@dataclass(slots=True, eq=False)
class Site:
    """A site collection; `granted` are the roles that an administrator gave applications with selected scopes."""

    host: str
    path: str
    name: str
    guid: str
    web: str
    group: Group | None = None
    drives: list[Drive] = field(default_factory=list)
    channels: dict[str, str] = field(default_factory=dict)
    groups: list[SiteGroup] = field(default_factory=list)
    granted: dict[str, list[str]] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"{self.host},{self.guid},{self.web}"

    @property
    def url(self) -> str:
        return f"https://{self.host}{quote(self.path)}".rstrip("/")

    @property
    def drive(self) -> Drive:
        return self.drives[0]


@lru_cache(maxsize=65536)
def quoted(name: str) -> str:
    """Return a name as it is in a path."""
    return quote(name)


def unique(prefix: str, guid: bytes) -> str:
    """Return an item's id: 34 letters and digits, as SharePoint makes them from the unique id."""
    return f"01{prefix}{base64.b32encode(guid).decode().rstrip('=')}"
