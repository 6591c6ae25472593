"""OneDrive, SharePoint and Teams files as a source: one implementation, for they are one system."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any, ClassVar

from data_platform.errors import (
    AccessDenied,
    IncompleteDownload,
    SourceChanged,
    SourceError,
    SourceNotFound,
    SourceTimeout,
    SourceUnavailable,
    TooLarge,
    UnknownSource,
    UnsupportedItem,
    VersionUnavailable,
)
from data_platform.settings import Settings
from readers.microsoft365 import items
from readers.microsoft365.download import Download
from readers.microsoft365.graph import Graph
from readers.microsoft365.identities import Identities
from readers.microsoft365.items import DriveItem
from readers.microsoft365.links import SharedLink, understands
from readers.microsoft365.listing import Listing
from readers.microsoft365.opening import asked, in_drive, open_link, refuse_other_cloud, told_of
from readers.microsoft365.sessions import Session, Sessions
from readers.source import Item, Login, Refused, Revision, Sink, Source

Json = dict[str, Any]
VERSION = "version:"
"""What the token of an older version begins with; its label in the source's own history follows."""

_RESUMES = 4
_PAUSE_SECONDS = 0.2
_BROKEN_OFF = (IncompleteDownload, SourceUnavailable, SourceTimeout)


class Microsoft365Source(Source):
    """Reads links into OneDrive, SharePoint and Teams files, as the person who is signed in.

    An item is known by drive and item id, which stay when it is renamed or moved within its
    drive; a shortcut is the item that it leads to. What the source says of size and checksum
    may be untrue of the bytes (Office files that SharePoint changed, protected files): it is
    never taken for the content.

    ``#version=3.0`` or ``#as-of=2026-05-01`` after a link mean the version of the source's own
    history that has this label, or was the present one then.
    """

    kind: ClassVar[str] = "microsoft365"
    needs: ClassVar[tuple[str, ...]] = ("msal",)
    keeps_versions: ClassVar[bool] = True

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._given = settings.microsoft365
        self._sessions = Sessions(settings)
        self._identities = Identities()

    @classmethod
    def understands(cls, url: str) -> bool:
        return understands(url)

    def account(self) -> Login | None:
        """Return who is signed in, None if nobody is: then a worker reads as its application."""
        return self._sessions.reader()

    def resolve(self, url: str) -> Item:
        """Return the item behind a link; of a shortcut, the item it leads to."""
        link = SharedLink.parse(url)
        refuse_other_cloud(link, self._given.cloud)
        session = self._sessions.of_reader()
        told, share = open_link(session.graph, link)
        item = self._item(session, told, url, version=link.version, share=share)
        if link.as_of is not None:
            item.remember(told, session=session, version=self._label_at(item, link.as_of), share=share)
        return item

    def reopen(self, source_system: str, item_id: str) -> Item:
        """Return an item by its ids, with the worker's credentials."""
        drive, _, inner = item_id.partition("/")
        if not source_system.startswith(f"{self.kind}/") or not (drive and inner):
            raise UnknownSource(f"{source_system} has no item {item_id[:80]!a}. Check the catalogue's row.")
        session = self._sessions.of_worker()
        told = in_drive(drive, session.graph.get(items.place(drive, inner)))
        return self._item(session, told, "")

    def revision(self, item: Item) -> Revision:
        """Return the item's state; of an older version, that one's."""
        graph = self._graph(item)
        if label := items.version_of(item):
            return self._past(item, label)
        told = items.take_told(item) or told_of(graph, item)
        items.refuse_unreadable(told)
        found = items.revision(told)
        if found.size is not None and found.size > self._given.max_bytes:
            raise TooLarge(
                f"{item.name!r} has {found.size} bytes, over the limit of {self._given.max_bytes}."
                " Raise the setting microsoft365.max_bytes if it is to be read."
            )
        return found

    def download(self, item: Item, revision: Revision, sink: Sink) -> Revision:
        """Stream the item; where it breaks off, go on from a new address, as long as it is the same state."""
        graph = self._graph(item)
        if label := items.version_of(item):
            size = self._download_version(graph, item, label, sink)
            return Revision(revision.token, size, revision.modified_at)
        told = self._present(graph, item)
        items.refuse_unreadable(told)
        download = self._download(graph, item, sink)
        for attempt in range(_RESUMES + 1):
            try:
                download.receive(self._address(graph, item, told), graph.patience)
                break
            except _BROKEN_OFF:
                if attempt == _RESUMES:
                    raise
                time.sleep(_PAUSE_SECONDS * 2**attempt)
                told = self._same_state(graph, item, told, started=download.done > 0)
        return self._confirmed(graph, item, told, download)

    def download_version(self, item: Item, token: str, sink: Sink) -> None:
        """Stream an older version: ``version:`` and its label in the source's own history.

        Raises
        ------
        VersionUnavailable
            If the history does not tell (any more) which version that was.
        """
        graph = self._graph(item)
        if token.startswith(VERSION):
            self._download_version(graph, item, token.removeprefix(VERSION), sink)
            return
        if self.revision(item).token != token:
            raise VersionUnavailable(
                f"The history of {item.name!r} does not tell which version that was. Ask for it by its label."
            )
        if self.download(item, self.revision(item), sink).token != token:
            raise SourceChanged(f"{item.name!r} changed just now. Ask for the version again.")

    def versions(self, item: Item) -> Iterator[Revision]:
        """Yield the states in the source's own history, newest first; tokens are as `download_version` takes them."""
        graph = self._graph(item)
        for told in asked(item, lambda place, headers: _versions(graph, place, headers)):
            if isinstance(label := told.get("id"), str) and label:
                yield Revision(f"{VERSION}{label}", items.size(told), items.modified_at(told))

    def list(self, folder: Item) -> Iterator[tuple[str, Item]]:
        """Yield the files below a folder, those behind shortcuts too; notebooks and other packages are left out."""

        def refuse(path: str, error: SourceError) -> None:
            raise error

        return self.walk(folder, refuse)

    def walk(self, folder: Item, refused: Refused) -> Iterator[tuple[str, Item]]:
        """Yield the same as `list`, but tell `refused` of what cannot be listed, and go on."""
        session = self._session(folder)

        def item(told: Json, share: str, within: str) -> DriveItem:
            return self._item(session, told, "", share=share, within=within)

        return Listing(session.graph, item, refused).below(folder)

    # --- what is asked of Graph

    def _item(
        self, session: Session, told: Json, link: str, *, version: str = "", share: str = "", within: str = ""
    ) -> DriveItem:
        drive, inner = items.identity(told)
        if not (drive and inner):
            raise UnsupportedItem("Microsoft 365 does not say where this item is. Ask its owner for another link.")
        host, name = items.host(told), str(told.get("name") or "")
        folder = items.is_folder(told)
        if isinstance(told.get("root"), dict) or not name:
            name = items.name_of_root(told) or name or inner
        if not folder:
            items.refuse_unreadable(told)
        item = DriveItem(
            source_system=f"{self.kind}/{host}",
            item_id=f"{drive}/{inner}",
            name=name,
            path=items.path(told),
            url=items.web_url(told, link),
            is_folder=folder,
            owner=self._identities.owner(session.graph, told, session.tenant, share),
        )
        return item.remember(told, session=session, version=version, share=share, within=within)

    def _session(self, item: Item) -> Session:
        found = items.session_of(item)
        return found if isinstance(found, Session) else self._sessions.of_reader()

    def _graph(self, item: Item) -> Graph:
        return self._session(item).graph

    def _address(self, graph: Graph, item: Item, told: Json) -> str:
        if url := items.download_url(told):
            return url
        return self._located(graph, item, "/content")

    def _located(self, graph: Graph, item: Item, rest: str) -> str:
        """Return the address that an item's content is redirected to."""

        def ask(place: str, headers: dict[str, str]) -> str:
            return graph.request("GET", items.part(place, rest), None, headers).headers.get("location", "")

        if address := asked(item, ask):
            return address
        raise SourceUnavailable(f"Microsoft 365 gives no address to read {item.name!r} from. Try again later.")

    def _present(self, graph: Graph, item: Item) -> Json:
        """Return what Graph says of the item now, or what was listed of it, where only the list may be seen."""
        try:
            return told_of(graph, item)
        except (AccessDenied, UnsupportedItem):
            listed = items.last_told(item)
            opened = items.by_link(item) and not items.within(item)
            if listed is None or not items.download_url(listed) or opened:
                raise
            return listed

    def _same_state(self, graph: Graph, item: Item, told: Json, *, started: bool) -> Json:
        """Ask for a new address; once bytes have been passed on, the item must not have changed."""
        now = told_of(graph, item)
        items.refuse_unreadable(now)
        if started and items.revision(now).token != items.revision(told).token:
            raise SourceChanged(f"{item.name!r} changed while it was read. Read it again.")
        return now

    def _confirmed(self, graph: Graph, item: Item, told: Json, download: Download) -> Revision:
        """Return the revision of the bytes; what was told before may be of a state that is over.

        The vendor's checksum saves asking again: if it fits, these are the bytes of what was told. If
        it does not, that means nothing (it is often wrong), and only the item itself can tell.
        """
        found = items.revision(told)
        if items.hashes(told).get("quickXorHash", "").casefold() != download.quick_xor.casefold():
            now = items.revision(self._present(graph, item))
            if now.token != found.token:
                raise SourceChanged(f"{item.name!r} changed while it was read. Read it again.")
        return Revision(found.token, download.done, found.modified_at, found.source_hash)

    def _download(self, graph: Graph, item: Item, sink: Sink) -> Download:
        limit, deadline = self._given.max_bytes, self.settings.http.deadline_seconds
        return Download(graph.exchange, graph.brake, sink, name=item.name, limit=limit, deadline=deadline)

    # --- the source's own history

    def _past(self, item: Item, label: str) -> Revision:
        for found in self.versions(item):
            if found.token == f"{VERSION}{label}":
                return found
        raise VersionUnavailable(f"{item.name!r} has no version {label[:40]!r} at its source. Check the label.")

    def _label_at(self, item: Item, moment: datetime) -> str:
        """Return the label of the version that was the present one at `moment`."""
        for found in self.versions(item):
            if found.modified_at is not None and found.modified_at <= moment:
                return found.token.removeprefix(VERSION)
        raise VersionUnavailable(
            f"The source's history of {item.name!r} does not reach back to {moment:%Y-%m-%d %H:%M}."
            " Ask for a later time, or for what was backed up: sha256:… as version."
        )

    def _download_version(self, graph: Graph, item: Item, label: str, sink: Sink) -> int:
        """Stream a version; returns its size."""
        download = self._download(graph, item, sink)
        for attempt in range(_RESUMES + 1):
            try:
                download.receive(self._version_address(graph, item, label), graph.patience)
                return download.done
            except _BROKEN_OFF:
                if attempt == _RESUMES:
                    raise
                time.sleep(_PAUSE_SECONDS * 2**attempt)
            except SourceNotFound as error:
                raise VersionUnavailable(
                    f"{item.name!r} has no version {label[:40]!r} at its source (any more). Ask the backup."
                ) from error
        raise AssertionError("unreachable")

    def _version_address(self, graph: Graph, item: Item, label: str) -> str:
        try:
            return self._located(graph, item, f"/versions/{items.quoted(label)}/content")
        except UnsupportedItem:
            # The newest version has no content of its own at some services: it is the item's.
            if next(self.versions(item)).token != f"{VERSION}{label}":
                raise
            return self._located(graph, item, "/content")


def _versions(graph: Graph, place: str, headers: dict[str, str]) -> list[Json]:
    return [told for page in graph.pages(items.part(place, "/versions"), **headers) for told in page.value]
