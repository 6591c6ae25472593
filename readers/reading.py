"""One read, end to end: find the source, serve the bytes, note down who read them.

The user gets a path or the error of the read. That an access could not be noted down is
never their problem here: it is logged, and the read goes on.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path

from data_platform.errors import CacheError, SettingsError, StaleData, UnknownSource, at_caller
from data_platform.settings import Settings, settings
from readers import freshness
from readers.autolog import current_function
from readers.cache import Cache
from readers.event import Consumer, Handed, access_payload, access_record, consumer
from readers.fetch import Held, fetch, local_cache, overflow
from readers.fileset import HeldSet, fetch_set
from readers.outbox import outbox
from readers.registry import source_for
from readers.source import Item, Login, Source
from schemas.identity import file_id, version_id

Record = dict[str, object]
_AT_ONCE = 1000  # records of a file set's members that are handed on together
_log = logging.getLogger(__name__)


def read(
    url: str | os.PathLike[str], *, kind: str | None = None, function: str = "read", on_stale: str | None = None
) -> Path:
    """Return a read-only local path with the bytes behind a link, and note down who read them.

    Parameters
    ----------
    url
        A path or a link. A folder or prefix is read as a file set: the path is a folder.
    kind
        The source to use; None picks it by the link.
    function
        What the user called, for the record; a function under `autolog` counts instead.
    on_stale
        Whether bytes that are known to be out of date (`readers.freshness`) are an ``error``; anything else
        gives a warning. By default as the settings say.

    Raises
    ------
    DataPlatformError
        Why it cannot be read. The traceback ends in the caller's line.
    StaleData
        If the bytes are out of date and that is to be an error.
    """
    with at_caller:
        if not (link := os.fsdecode(url)):
            raise UnknownSource("There is no link to read. Give a path or a URL.")
        reading = _Reading(link, function, settings())  # wrong settings: where would they be noted?
        reading.on_stale = on_stale
        try:
            path = reading.run(kind)
        except Exception as error:
            reading.note(error)
            raise
        for told in (*reading.late, *([reading.stale] if reading.stale is not None else [])):
            freshness.warn(*told)
        return path


@lru_cache(maxsize=8)
def _tell_once(problem: str) -> None:
    _log.warning("%s The bytes are kept elsewhere until this process ends.", problem)


class _Reading:
    """One read, and what is known of it so far, for the record."""

    def __init__(self, link: str, function: str, configuration: Settings) -> None:
        self.link = link
        self.function = function
        self.settings = configuration
        self.source: Source | None = None
        self.item: Item | None = None
        self.consumer: Consumer | None = None
        self.on_stale: str | None = None
        self.stale: tuple[freshness.Met, freshness.Stale] | None = None
        self.late: list[tuple[freshness.Met, freshness.Stale]] = []

    def run(self, kind: str | None) -> Path:
        self.source = source = source_for(self.link, self.settings, kind)
        self.consumer = self._consumer()  # before the read: somebody else may sign in meanwhile
        self.item = item = source.resolve(self.link)
        try:
            return self._into(local_cache(self.settings), source, item)
        except CacheError as error:
            _tell_once(str(error))
            try:
                return self._into(overflow(), source, item)
            except CacheError:
                raise error from None

    def _into(self, cache: Cache, source: Source, item: Item) -> Path:
        """Bring the item into `cache`, note down that it was read, and return its path there."""
        held = fetch_set(source, item, cache) if item.is_folder else fetch(source, item, cache)
        try:
            self._consult(held)
        except (StaleData, SettingsError):  # as asked for, or asked for wrongly
            raise
        except Exception:
            _log.debug("What is out of date could not be looked up.", exc_info=True)
        self.note(held)
        assert held.path is not None  # as asked for
        return held.path

    def _consult(self, held: Held | HeldSet) -> None:
        """Look up what is known against these bytes, and what has become known against those read before."""
        stale = freshness.known(self.settings)
        met = [freshness.Met(held.item.source_system, held.item.item_id, held.item.name, held.sha256)]
        if stale and (held.sha256 in stale or freshness.MARKS in stale or isinstance(held, HeldSet)):
            self._guard(held, met)
        told = self.stale[0] if self.stale is not None and self.stale[1].kind == "recalled" else None
        self.late = freshness.late(self.settings, met, told)

    def _guard(self, held: Held | HeldSet, read: list[freshness.Met]) -> None:
        """Remember why the bytes are out of date if they are, or raise that if it is to be an error."""
        if isinstance(held, HeldSet):
            members = held.members.items()
            read += [freshness.Met(m.item.source_system, m.item.item_id, path, m.sha256) for path, m in members]
        self.stale = freshness.look(self.settings, read, pinned=self.function == freshness.OLDER)
        if self.stale is not None and freshness.how(self.on_stale, self.settings) == "error":
            raise freshness.refuse(*self.stale)

    def note(self, outcome: Held | HeldSet | Exception) -> None:
        """Hand the record of a read to the outbox; whatever goes wrong with that, the read goes on."""
        try:
            who, name = self.consumer or self._consumer(), current_function() or self.function
            if isinstance(outcome, Held):
                outbox().append(access_payload(who, self.link, name, outcome.item, self._handed(outcome)))
            elif isinstance(outcome, HeldSet):
                records = self._records_of_set(who, name, outcome)
                while batch := list(islice(records, _AT_ONCE)):
                    outbox().append(*batch)
            else:
                kind = self._kind()
                outbox().append(
                    access_record(who, url=self.link, function=name, item=self.item, source_kind=kind, error=outcome)
                )
        except Exception:
            _log.warning("An access could not be noted down. Run `data-platform doctor`.", exc_info=True)

    def _handed(self, held: Held) -> Handed:
        return self._kind(), held.revision, held.sha256, held.size, held.from_cache, held.source_hash

    def _record(self, who: Consumer, name: str, held: Held, part_of: tuple[str, str, str] | None = None) -> Record:
        return access_record(
            who,
            url=self.link,
            function=name,
            item=held.item,
            source_kind=self._kind(),
            revision=held.revision,
            sha256=held.sha256,
            size=held.size,
            from_cache=held.from_cache,
            source_hash=held.source_hash,
            part_of=part_of,
        )

    def _records_of_set(self, who: Consumer, name: str, held: HeldSet) -> Iterator[Record]:
        """Yield one record for the set, whose content is its manifest, and one for each member."""
        from_cache = all(member.from_cache for member in held.members.values())
        yield self._record(who, name, Held(held.item, held.sha256, held.sha256, held.size, from_cache))
        identity = file_id(held.item.source_system, held.item.item_id)
        version = version_id(held.sha256, held.sha256)
        for path, member in held.members.items():
            yield self._record(who, name, member, (identity, version, path))

    def _kind(self) -> str:
        return self.source.kind if self.source is not None else ""

    def _consumer(self) -> Consumer:
        """Return who reads; a source that fails to tell does not fail the read."""
        signed_in: Login | None = None
        if self.source is not None:
            try:
                signed_in = self.source.account()
            except Exception:
                _log.debug("The signed-in account is not known.", exc_info=True)
        return consumer(self.settings, signed_in)
