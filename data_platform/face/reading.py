"""Reading a link, now or as it was."""

from __future__ import annotations

from datetime import datetime
from os import fspath
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from data_platform.errors import DataPlatformError, SourceError, StaleData, VersionUnavailable, at_caller
from data_platform.links import Link
from data_platform.settings import settings

if TYPE_CHECKING:
    from readers.freshness import OnStale

OLDER = "read_version"
"""Recorded as the function that read an older version: such a read does not say what is in force now."""


def read(
    url: Link, *, version: str | None = None, as_of: datetime | str | None = None, on_stale: OnStale | None = None
) -> Path:
    """Return a read-only local path with the bytes behind a shared link, and note down who read them.

    Parameters
    ----------
    url
        A path, ``file://``, ``https://`` or ``s3://`` link, or whatever an installed reader
        understands. A folder is read as a file set: the path returned is a folder.
    version
        ``sha256:`` and 64 hex digits, or as many as are unique among the file's versions:
        exactly these bytes, from the backup if the source has moved on.
    as_of
        A moment, as a datetime or ISO text (UTC unless it says otherwise): the version that
        was in force then.
    on_stale
        What to do if these bytes are known to be recalled by their owner, not the newest version, or a copy of what
        has changed since: ``warn`` (a `StaleDataWarning` of one line), ``latest`` (the right or newest version
        instead, where there is one that you may read; else a warning) or ``error``. The setting
        ``reading.on_stale`` unless given. It is known from a local file: no database is asked.

    Returns
    -------
    Path
        Keeps the file's own name; valid until the cache evicts it, which takes at least
        ``cache.keep_seconds``.

    Raises
    ------
    UnknownSource, MissingExtra, SourceError
        If the link cannot be read; each is also the fitting built-in.
    VersionUnavailable
        If no such version is known, or its bytes cannot be had any more.
    StaleData
        If the bytes are out of date, with ``on_stale="error"``.
    """
    with at_caller:
        return _read(_Asked(url, None, "read", version, as_of), on_stale)


def read_file(
    path: Link, *, version: str | None = None, as_of: datetime | str | None = None, on_stale: OnStale | None = None
) -> Path:
    """Read a file or folder of this machine or of a mounted share; see `read`."""
    with at_caller:
        return _read(_Asked(path, "file", "read_file", version, as_of), on_stale)


def read_http(
    url: str, *, version: str | None = None, as_of: datetime | str | None = None, on_stale: OnStale | None = None
) -> Path:
    """Read an http(s) link; see `read`."""
    with at_caller:
        return _read(_Asked(url, "http", "read_http", version, as_of), on_stale)


def read_s3(
    url: str, *, version: str | None = None, as_of: datetime | str | None = None, on_stale: OnStale | None = None
) -> Path:
    """Read an ``s3://bucket/key`` link, or a prefix as a file set; see `read`."""
    with at_caller:
        return _read(_Asked(url, "s3", "read_s3", version, as_of), on_stale)


def read_onedrive(
    url: str, *, version: str | None = None, as_of: datetime | str | None = None, on_stale: OnStale | None = None
) -> Path:
    """Read a OneDrive link, as the person who ran `data-platform login`; see `read`.

    Parameters
    ----------
    url
        A sharing link, a link copied from the address bar, or a folder's, which is read as a file set.
    version
        ``sha256:…`` as in `read`, or a label of OneDrive's own history, as ``3.0``.
    as_of
        A moment: the version in force then by OneDrive's own history, else by what was read.
    on_stale
        As in `read`.

    Raises
    ------
    SignInNeeded
        If nobody is signed in, or has to sign in anew; the message says what to run.
    UnsupportedItem
        If it is a OneNote notebook or another package, which has no bytes of its own.
    """
    with at_caller:
        return _read(_Asked(url, "microsoft365", "read_onedrive", version, as_of), on_stale)


def read_sharepoint(
    url: str, *, version: str | None = None, as_of: datetime | str | None = None, on_stale: OnStale | None = None
) -> Path:
    """Read a link into a SharePoint library; see `read_onedrive`."""
    with at_caller:
        return _read(_Asked(url, "microsoft365", "read_sharepoint", version, as_of), on_stale)


def read_teams(
    url: str, *, version: str | None = None, as_of: datetime | str | None = None, on_stale: OnStale | None = None
) -> Path:
    """Read a link to a file of a Teams channel or chat; see `read_onedrive`."""
    with at_caller:
        return _read(_Asked(url, "microsoft365", "read_teams", version, as_of), on_stale)


class _Asked(NamedTuple):
    """What is to be read, as which kind of link and under the name of which function, and of when."""

    url: Link
    kind: str | None
    function: str
    version: str | None
    as_of: datetime | str | None

    @property
    def is_present(self) -> bool:
        """Whether the present version is wanted."""
        return self.version is None and self.as_of is None


def _read(asked: _Asked, on_stale: OnStale | None) -> Path:
    if on_stale is None and asked.is_present and settings().reading.on_stale != "latest":
        from readers import reading

        return reading.read(asked.url, kind=asked.kind, function=asked.function)
    from readers.freshness import how

    wanted = how(on_stale, settings())
    if wanted != "latest":
        return _read_as(asked, wanted)
    try:
        return _read_as(asked, "error")
    except StaleData as stale:
        return _instead(stale, asked)


def _instead(stale: StaleData, asked: _Asked) -> Path:
    """Return the right or newest bytes if there are such that can be had; else those, with the warning."""
    if stale.kind == "superseded":
        return _read_as(asked._replace(version=None, as_of=None), "warn")
    if stale.right:
        try:
            return _read_as(asked._replace(version=f"sha256:{stale.right}", as_of=None), "warn")
        except DataPlatformError:  # of a copy there is no such version; or the backup is not to be had now
            pass
    return _read_as(asked, "warn")


def _read_as(asked: _Asked, on_stale: OnStale) -> Path:
    if asked.is_present:
        from readers import reading

        return reading.read(asked.url, kind=asked.kind, function=asked.function, on_stale=on_stale)
    if (own := _in_own_history(asked, on_stale)) is not None:
        return own
    from data_platform import history

    return history.read(asked.url, kind=asked.kind, version=asked.version, as_of=asked.as_of, on_stale=on_stale)


def _in_own_history(asked: _Asked, on_stale: OnStale) -> Path | None:
    """Return the version by the source's own history, None if that is not asked for or does not tell."""
    from readers import reading
    from readers.registry import source_class, source_for

    version, as_of = asked.version, asked.as_of
    if version is not None and (as_of is not None or version.strip().lower().startswith("sha256:")):
        return None
    link = fspath(asked.url)
    source = source_class(asked.kind) if asked.kind else type(source_for(link, settings()))
    if not source.keeps_versions:
        return None
    wanted = f"version={quote(version)}" if version is not None else f"as-of={quote(_text(as_of))}"
    try:
        pinned = f"{link.partition('#')[0]}#{wanted}"
        return reading.read(pinned, kind=source.kind, function=OLDER, on_stale=on_stale)
    except (SourceError, VersionUnavailable):
        if version is not None:
            raise
    return None  # what was read by then may still be known, and be backed up


def _text(as_of: datetime | str | None) -> str:
    return as_of.isoformat() if isinstance(as_of, datetime) else str(as_of)
