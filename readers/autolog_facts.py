"""What is noted of a call of an autologged function: the item behind its link, and the bytes of a file it returned."""
# ruff: noqa: PTH113
# (os.path answers with no where pathlib raises, as for a path without permission)

from __future__ import annotations

import inspect
import logging
import os
import stat
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit
from uuid import UUID

from data_platform.errors import AutologError, DataPlatformError
from data_platform.redact import redact_text, redact_url
from data_platform.settings import Settings, settings
from readers.event import access_record, consumer
from readers.fetch import fetch, local_cache
from readers.registry import source_of_kind
from readers.source import Item, Login, Source
from schemas.identity import identity

KIND = "autolog"
ANY_SOURCE = "function"
"""Source of items whose function does not say where they come from."""

_CHUNK = 1 << 20
_SETTLED_SECONDS = 2.0  # a file changed since may change again under the same time stamp
_log = logging.getLogger(__name__)


class Options(NamedTuple):
    """Options of the decorator: name of the source, login of the owner."""

    source: str | None
    owner: str | None


class Link(NamedTuple):
    """Which argument of a function is the link."""

    name: str
    position: int
    default: object

    @classmethod
    def of(cls, function: Callable[..., object], name: str | None) -> Link:
        """Find the parameter called `name`, or the first one.

        Raises
        ------
        AutologError
            If the function has no parameter of that name.
        """
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except ValueError:  # some functions written in C
            parameters = []
        keywords = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
        bound = bool(parameters) and parameters[0].name in ("self", "cls")
        for position, parameter in enumerate(parameters):
            if parameter.name == name or (name is None and position == bound):
                default = "" if parameter.default is parameter.empty else parameter.default
                return cls(parameter.name, -1 if parameter.kind is parameter.KEYWORD_ONLY else position, default)
        if name is None or keywords:
            return cls(name or "", -1 if name else int(bound), "")
        raise AutologError(f"{function.__qualname__} has no parameter {name!r}. Name the one that holds the link.")

    def text(self, arguments: tuple[object, ...], keywords: Mapping[str, object]) -> str:
        """Return the link of a call, as it was given."""
        value = self.default
        if self.name in keywords:
            value = keywords[self.name]
        elif 0 <= self.position < len(arguments):
            value = arguments[self.position]
        return _link_text(value)


def _link_text(value: object) -> str:
    """Return what can be a link as text, and of anything else only its type: it may be data."""
    if isinstance(value, bytes | os.DirEntry):
        return os.fsdecode(value)
    # Not os.fspath: that of a path in a cloud may download the file.
    if isinstance(value, str | os.PathLike | int | date | UUID) or type(value).__name__.lower().endswith("url"):
        return str(value)
    return f"<{type(value).__name__}>"


def record_of(
    function: str, link: str, options: Options, value: object, error: BaseException | None
) -> dict[str, object]:
    """Return the record of a call that was given `link` and returned `value` or raised `error`."""
    chosen = settings()
    subject = _subject(function, link, options, chosen)
    if options.source is None and subject.source is None and error is not None:
        subject = _Subject(None, None, "")  # nobody knows whether there is such a thing
    revision, content = subject.revision, None
    if error is None and isinstance(value, str | Path) and os.path.isfile(value):
        revision, content = _content(os.fspath(value), subject, chosen)
    item = subject.item
    if item is not None and options.owner:
        item = replace(item, owner=Login(chosen.realm, options.owner))
    return access_record(
        consumer(chosen, None),
        url=_without_secrets(link) or function,
        function=function,
        item=item,
        source_kind="" if item is None else subject.source.kind if subject.source is not None else KIND,
        revision=revision,
        sha256=content.sha256 if content else "",
        size=content.size if content else -1,
        error=error,
    )


class _Subject(NamedTuple):
    """What a link stands for; `source` is there if that is a file of this machine."""

    item: Item | None
    source: Source | None
    revision: str


class _Content(NamedTuple):
    sha256: str
    size: int


def _subject(function: str, link: str, options: Options, chosen: Settings) -> _Subject:
    """Return what the link stands for; a function without a link stands for itself."""
    path = unquote(urlsplit(link).path) if link.startswith("file://") else link
    if options.source is None and os.path.isfile(path):
        try:
            source = source_of_kind("file", chosen)
            item = source.resolve(os.path.abspath(path))
            return _Subject(item, source, source.revision(item).token)
        except DataPlatformError as error:
            _log.debug("%s could not be looked at: %s", link, error)
    text = _without_secrets(link) or function
    name = text.partition("?")[0].rstrip("/").rpartition("/")[2]
    return _Subject(Item(options.source or ANY_SOURCE, text, name or text, text, text), None, "")


def _without_secrets(link: str) -> str:
    """Redact a link or path as such, other text (a query, a connection string) as text."""
    text = redact_url(link)
    return text if text.startswith(("/", "./", "../", "~")) or "://" in text.partition(" ")[0] else redact_text(text)


def _content(path: str, subject: _Subject, chosen: Settings) -> tuple[str, _Content | None]:
    """Return revision and content of what a function read and returned the path of; its bytes are in the cache then.

    What a function makes of a file of this machine is no version of that file, so there only
    the file itself counts.
    """
    try:
        if subject.source is None or subject.item is None:
            return subject.revision, _taken(path, chosen)
        if subject.source.resolve(os.path.abspath(path)).item_id != subject.item.item_id:
            return subject.revision, None
        held = fetch(subject.source, subject.item, local_cache(chosen), named=False)
        return held.revision, _Content(held.sha256, held.size)
    except (OSError, DataPlatformError) as error:
        _log.warning("%s was noted without its bytes, which will not be backed up: %s", _without_secrets(path), error)
        return subject.revision, None


def _taken(path: str, chosen: Settings) -> _Content | None:
    """Take the bytes of a file into the cache, once for each of its states; None if they may not be taken."""
    cache = local_cache(chosen)
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        before = os.fstat(file.fileno())
        if not stat.S_ISREG(before.st_mode) or before.st_size > chosen.file.max_bytes:
            return None
        key, state = identity("returned", os.path.realpath(path)), _state(before)
        known = cache.known(key, state)
        if known is not None and cache.holds(known):
            return _Content(known, before.st_size)
        with cache.receive(before.st_size) as incoming:
            while chunk := file.read(_CHUNK):
                incoming.write(chunk)
            after = os.fstat(file.fileno())
            if _state(after) != state or incoming.size != after.st_size:
                return None  # still being written, so nobody knows what the caller will see
            sha256 = incoming.commit()
    if time.time() - max(after.st_mtime, after.st_ctime) > _SETTLED_SECONDS:
        cache.remember(key, state, sha256)
    return _Content(sha256, after.st_size)


def _state(status: os.stat_result) -> str:
    return f"{status.st_mtime_ns}-{status.st_ctime_ns}-{status.st_size}-{status.st_ino}-{status.st_dev}"
