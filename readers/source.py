"""What a source system is: the contract that every reader implements.

A `Source` turns a link into an `Item`, asks for its current `Revision` and streams bytes.
It knows nothing of the cache, the outbox or the database, so a company adds a system of
its own in one file and registers it under the entry-point group ``data_platform.readers``.
What some systems cannot do (list folders, tell permissions, give old versions) is a method
that raises `NotImplementedError` until a source overrides it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Literal, NamedTuple

from data_platform.errors import SourceError
from data_platform.settings import Settings

Sink = Callable[[bytes], object]
"""Takes the next piece of the bytes, in order."""


Refused = Callable[[str, SourceError], object]
"""Takes the path within a folder of what cannot be listed, and why."""


@dataclass(frozen=True, slots=True)
class Login:
    """A name within a directory: the raw fact from which a person is resolved later.

    `shown` is what people know the account by, where the name is a number that stays when they
    are renamed; it is no part of the identity.
    """

    realm: str
    name: str
    shown: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Item:
    """What a link points to, in the words of its source.

    Attributes
    ----------
    source_system
        Kind and address in lower case, at most 255 characters: ``file/labhost``,
        ``nfs/filer/export``, ``https/data.example.org``, ``s3/store.example/bucket``.
    item_id
        The source's own stable id, at most 4096 characters.
    name, path
        For display; never used to open anything on this machine.
    url
        A link that opens the item again, without secrets.
    owner
        Whom the source names as the owner, or None.
    """

    source_system: str
    item_id: str
    name: str
    path: str
    url: str
    is_folder: bool = False
    owner: Login | None = None


@dataclass(frozen=True, slots=True)
class Revision:
    """The state of an item at one moment.

    `token` changes whenever the bytes do (at most 512 characters); `size` is in bytes and
    None where the source does not tell. `source_hash` is a checksum that the source tells, as
    ``quickXorHash:…``: kept beside the content, never taken for it.
    """

    token: str
    size: int | None = None
    modified_at: datetime | None = None
    source_hash: str = field(default="", compare=False)


class Listed(NamedTuple):
    """A file as a list shows it: enough to tell whether it is as it was, at no cost beyond the list.

    Attributes
    ----------
    path
        Within the folder.
    source_system, item_id
        As those of its `Item`.
    token, size
        Of its `Revision`; no token: ask `Source.revision`.
    item
        If the list has it; else `Source.reopen` makes it.
    """

    path: str
    source_system: str
    item_id: str
    token: str = ""
    size: int = 0
    item: Item | None = None


@dataclass(frozen=True, slots=True)
class Permission:
    """A grant as the source lists it."""

    grantee: str
    kind: Literal["account", "group", "link"]
    level: str
    since: datetime | None = None


class Source(ABC):
    """A system that people keep files in. Methods raise the errors of `data_platform.errors` only."""

    kind: ClassVar[str]
    """Name in the registry and in the catalogue, as ``file``."""

    needs: ClassVar[tuple[str, ...]] = ()
    """Modules of packages that the system cannot be read without, and that need not be installed."""

    keeps_versions: ClassVar[bool] = False
    """Whether `versions` lists older versions, and ``#version=…`` or ``#as-of=…`` after a link mean one."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @classmethod
    @abstractmethod
    def understands(cls, url: str) -> bool:
        """Tell whether `url` is a link into such a system, from its text alone."""

    @abstractmethod
    def resolve(self, url: str) -> Item:
        """Return the item that `url` points to, with the caller's credentials."""

    @abstractmethod
    def revision(self, item: Item) -> Revision:
        """Return the item's present revision; the cheapest question that the source answers."""

    @abstractmethod
    def download(self, item: Item, revision: Revision, sink: Sink) -> Revision:
        """Stream the item's bytes into `sink`, once, in order, and return their revision.

        The revision returned is the one that the bytes truly belong to, which may be newer
        than `revision`.

        Raises
        ------
        SourceChanged
            If the item changed while it was streamed; the caller starts again.
        IncompleteDownload
            If the source sent another number of bytes than it announced.
        """

    def is_local(self, source_system: str, item_id: str) -> bool:
        """Tell whether an item is on a disk of this machine: threads gain nothing with small files there."""
        return False

    def download_version(self, item: Item, token: str, sink: Sink) -> None:
        """Stream the bytes of an older revision from the source's own version history."""
        raise NotImplementedError(f"{self.kind} keeps no version history")

    def versions(self, item: Item) -> Iterator[Revision]:
        """Yield the states in the source's own history, newest first; `download_version` takes their tokens."""
        raise NotImplementedError(f"{self.kind} keeps no version history")

    def list(self, folder: Item) -> Iterator[tuple[str, Item]]:
        """Yield path within the folder (with ``/``) and item of every file below `folder`."""
        raise NotImplementedError(f"{self.kind} has no folders")

    def walk(self, folder: Item, refused: Refused) -> Iterator[tuple[str, Item]]:
        """Yield the same as `list`, but tell `refused` of what cannot be listed, and go on.

        The path of the folder itself is empty. A source whose lists come whole or not at all
        need not override this.
        """
        return self.list(folder)

    def listed(self, folder: Item, refused: Refused, left_out: Callable[[Item], bool]) -> Iterator[Listed]:
        """Yield what `walk` yields, in the same order, but nothing that `left_out` tells of, or of a folder above.

        Of millions of files most are as they were when they were last looked at. A source whose lists
        tell revisions overrides this: then nothing more is asked about those.
        """
        for path, item in self.walk(folder, refused):
            if not left_out(item):
                yield Listed(path, item.source_system, item.item_id, item=item)

    def reopen(self, source_system: str, item_id: str) -> Item:
        """Return the item that the catalogue knows by these, with the worker's credentials."""
        raise NotImplementedError(f"{self.kind} items cannot be fetched again")

    def permissions(self, item: Item) -> Iterator[Permission]:
        """Yield who may read or change the item."""
        raise NotImplementedError(f"{self.kind} does not tell permissions")

    def account(self) -> Login | None:
        """Return the signed-in account, or None where the source has no sign-in."""
        return None
