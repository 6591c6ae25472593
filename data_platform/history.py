"""Reading older versions: which bytes a link had at a time, and getting exactly these back.

Whoever asks needs what a read of the present bytes needs: the source must let *them* open
the item now. If it does not (no longer allowed, or the file is gone), only a version that
this account has itself read before is handed out. So nobody reads the past of a file that
they may not see, and nobody loses what their own analysis stands on.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from data_platform import past as catalogue
from data_platform.errors import (
    AccessDenied,
    BlobDamaged,
    BlobMissing,
    DataPlatformError,
    SourceError,
    StoreError,
    StoreUnavailable,
    VersionUnavailable,
)
from data_platform.past import Member, Past
from data_platform.redact import redact_url
from data_platform.settings import Settings, settings
from populate.backup.tables import Placement
from populate.pipeline import bind_all
from populate.store import Place, Store, reachable_stores
from readers import freshness
from readers.cache import Cache
from readers.cache_sets import set_path
from readers.event import access_record, consumer
from readers.fileset import members_of
from readers.outbox import outbox
from readers.registry import source_for
from readers.seeing import see
from readers.shipper import flush
from readers.source import Item, Source
from schemas.catalogue import FileSet
from schemas.identity import account_id, file_id, identity
from schemas.restrict import where

SHORTEST_PREFIX = 8
_VERSION = re.compile(rf"sha256:([0-9a-f]{{{SHORTEST_PREFIX},64}})", re.IGNORECASE)
_log = logging.getLogger(__name__)
_one_at_a_time = threading.Lock()  # a database connection is not thread-safe


def read(
    url: str | os.PathLike[str],
    *,
    kind: str | None,
    version: str | None,
    as_of: datetime | str | None,
    on_stale: freshness.OnStale = "warn",
) -> Path:
    """Return a read-only path with the bytes of an older version.

    See `data_platform.face.read` for the arguments, of which exactly one of `version` and `as_of`
    is given, and for the errors.
    """
    wanted = Wanted.parse(version, as_of)
    here = settings()
    link = os.fsdecode(url)
    with _one_at_a_time:
        reading = Reading(link, source_for(link, here, kind), here)
        path = reading.run(wanted, on_stale)
    if reading.stale is not None:
        freshness.warn(*reading.stale)
    return path


class Wanted(NamedTuple):
    """Which version: the one whose hash begins so, or the one in force at a moment (UTC, naive)."""

    prefix: str
    moment: datetime | None

    @classmethod
    def parse(cls, version: str | None, as_of: datetime | str | None) -> Wanted:
        """Read the arguments of a user.

        Raises
        ------
        VersionUnavailable
            If they say nothing that could be a version.
        """
        if version is not None and as_of is not None:
            raise VersionUnavailable("Both version and as_of are given. Give one of them.")
        if version is None:
            return cls("", _moment(as_of))
        match = _VERSION.fullmatch(version.strip())
        if match is None:
            raise VersionUnavailable(
                f"{version!r} is not a version. Write sha256: and at least {SHORTEST_PREFIX} digits of the hash."
            )
        return cls(match[1].lower(), None)

    def find(self, identity: str) -> Past:
        """Return the version of the file that is wanted."""
        if self.moment is not None:
            return catalogue.in_force(identity, self.moment)
        return catalogue.with_hash(identity, self.prefix)


def _moment(as_of: datetime | str | None) -> datetime:
    """Return a moment in UTC, naive as the database keeps it; what names no zone is UTC already."""
    try:
        moment = datetime.fromisoformat(as_of.strip()) if isinstance(as_of, str) else as_of
    except ValueError as error:
        raise VersionUnavailable(f"{as_of!r} is not a moment. Write it as 2026-05-01T12:00.") from error
    if not isinstance(moment, datetime):
        raise VersionUnavailable("as_of is neither a datetime nor text. Write it as 2026-05-01T12:00.")
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


class Reading:
    """One read of an older version, by the account of this process."""

    def __init__(self, url: str, source: Source, here: Settings) -> None:
        self.url = url
        self.source = source
        self.settings = here
        self.consumer = consumer(here, source.account())
        self.account = account_id(self.consumer.login.realm, self.consumer.login.name)
        self.cache = Cache(here.cache_folder, here.cache.max_bytes, here.cache.keep_seconds)
        self.item: Item | None = None
        self.stale: tuple[freshness.Met, freshness.Stale] | None = None

    def run(self, wanted: Wanted, on_stale: freshness.OnStale = "warn") -> Path:
        """Find the version, see that it may be had, fetch it, and note down how it went."""
        found: Past | None = None
        try:
            refusal = self._refusal()
            flush(self.settings)  # what was read a moment ago counts
            bind_all(self.settings).ensure()
            found = self._find(wanted, refusal)
            path = self._fetch(found, trusted=refusal is not None)
            self._guard(found, refused=refusal is not None)
            if self.stale is not None and on_stale == "error":
                raise freshness.refuse(*self.stale)
        except DataPlatformError as error:
            self._note(found, error)
            raise
        self._note(found, None)
        return path

    def _guard(self, past: Past, *, refused: bool) -> None:
        """Remember why the bytes are out of date if they are; what came later is not for whom the source refuses."""
        met = freshness.Met(past.item.source_system, past.item.item_id, past.item.name, past.sha256)
        self.stale = freshness.look(self.settings, [met], pinned=not refused)

    def _refusal(self) -> SourceError | None:
        """Open the item with the user's own credentials; return why the source does not let them."""
        try:
            self.item = self.source.resolve(self.url)
            see(self.source, self.item)
        except SourceError as error:
            return error
        return None

    def _find(self, wanted: Wanted, refusal: SourceError | None) -> Past:
        """Return the version; where the source refuses, only if this account has read it before.

        The refusal is then the same whether such a version exists or not.
        """
        if refusal is None and self.item is not None:
            return wanted.find(file_id(self.item.source_system, self.item.item_id))
        known = self._known_file()
        try:
            found = wanted.find(known) if known else None
        except VersionUnavailable:
            found = None
        if found is None or not catalogue.has_read(self.account, found.file_id, found.sha256):
            raise refusal or VersionUnavailable("The link leads nowhere. Check it.")
        return found

    def _known_file(self) -> str:
        if self.item is not None:
            return file_id(self.item.source_system, self.item.item_id)
        return catalogue.last_read_under(redact_url(self.url), self.account)

    def _fetch(self, past: Past, *, trusted: bool) -> Path:
        """Return the path of the bytes, or of the folder of a set's members, in the cache.

        `trusted` means that the account has read just this before, so nothing is left to ask.
        """
        is_set = self.item.is_folder if self.item is not None else bool(where(FileSet, file_id=past.file_id))
        if not is_set:
            return self._content(past.sha256, past.item.name)
        if not trusted:
            self._see_members(catalogue.members(past))
        manifest = self._content(past.sha256, past.item.name).read_bytes()
        members = dict(members_of(manifest))
        for path, sha256 in members.items():
            self._content(sha256, path.rsplit("/", 1)[-1])
        folder = set_path(self.cache, past.item.name, members)
        if folder is None:
            raise VersionUnavailable(f"{past.item.name} was evicted while it was read. Raise cache.max_bytes.")
        return folder

    def _see_members(self, members: Iterable[Member]) -> None:
        """Refuse unless the source lets the user open each member now, or the account has read it before."""
        present = {file_id(item.source_system, item.item_id): item for _, item in self._listed()}
        for member in members:
            if member.file_id in present:
                see(self.source, present[member.file_id])
            elif not catalogue.has_read(self.account, member.file_id, member.sha256):
                raise AccessDenied(
                    f"{member.path} was in the folder then and is not now, and you have not read it before. "
                    "Ask its owner for it."
                )

    def _listed(self) -> Iterable[tuple[str, Item]]:
        return self.source.list(self.item) if self.item is not None else ()

    def _content(self, sha256: str, name: str) -> Path:
        """Return the path of a content in the cache, from the backup if it is not there."""
        for _ in range(2):
            if (path := self.cache.path(sha256, name)) is not None:
                return path
            try:
                bring_from_any(self.cache, reachable_stores(self.settings), sha256)
            except BlobMissing as error:
                raise VersionUnavailable(str(error)) from error
        raise VersionUnavailable(f"{name} was evicted while it was read. Raise cache.max_bytes.")

    def _note(self, past: Past | None, error: DataPlatformError | None) -> None:
        had = past if error is None else None
        outbox().append(
            access_record(
                self.consumer,
                url=self.url,
                function=catalogue.FUNCTION,
                item=self.item or (past.item if past else None),
                source_kind=self.source.kind,
                revision=had.revision if had else "",
                sha256=had.sha256 if had else "",
                size=had.size if had else -1,
                from_cache=had is not None,
                error=error,
            )
        )


def bring_from_any(cache: Cache, stores: Sequence[Store], sha256: str) -> None:
    """Bring a content from the first store that gives it into the cache, verified.

    Raises
    ------
    BlobMissing, BlobDamaged, StoreUnavailable
        If none gives it: what the first one says.
    """
    failure: StoreError | None = None
    for store in stores:
        try:
            return bring_from_store(cache, store, sha256)
        except (BlobMissing, BlobDamaged, StoreUnavailable) as error:
            failure = failure or error
    raise failure or BlobMissing("There is no content store. Set store.url.")


def bring_from_store(cache: Cache, store: Store, sha256: str) -> None:
    """Bring a content from the store into the cache, verified.

    Raises
    ------
    BlobMissing, BlobDamaged
        If the store does not hold these bytes, or holds others.
    """
    places = where(Placement, sha256=sha256, store_id=identity("store", store.name)).to_dicts(limit=1)
    if not places:
        raise BlobMissing(f"The content sha256:{sha256} is not backed up in {store.name} (yet). Let the worker run.")
    place = Place(*(places[0][name] for name in ("object_name", "place_offset", "place_length")))
    with cache.receive(place.length) as incoming:
        for piece in store.read(place):
            incoming.write(piece)
        if incoming.sha256 != sha256:
            raise BlobDamaged(f"The backup of sha256:{sha256} is damaged. Run `data-platform check --verify-data`.")
        incoming.commit()
