"""Reading a link, now or as it was."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from data_platform.errors import at_caller
from data_platform.links import Link


def read(url: Link, *, version: str | None = None, as_of: datetime | str | None = None) -> Path:
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
    """
    with at_caller:
        return _read(url, None, "read", version, as_of)


def read_file(path: Link, *, version: str | None = None, as_of: datetime | str | None = None) -> Path:
    """Read a file or folder of this machine or of a mounted share; see `read`."""
    with at_caller:
        return _read(path, "file", "read_file", version, as_of)


def read_http(url: str, *, version: str | None = None, as_of: datetime | str | None = None) -> Path:
    """Read an http(s) link; see `read`."""
    with at_caller:
        return _read(url, "http", "read_http", version, as_of)


def read_s3(url: str, *, version: str | None = None, as_of: datetime | str | None = None) -> Path:
    """Read an ``s3://bucket/key`` link, or a prefix as a file set; see `read`."""
    with at_caller:
        return _read(url, "s3", "read_s3", version, as_of)


def _read(url: Link, kind: str | None, function: str, version: str | None, as_of: datetime | str | None) -> Path:
    if version is None and as_of is None:
        from readers import reading

        return reading.read(url, kind=kind, function=function)
    from data_platform import history

    return history.read(url, kind=kind, version=version, as_of=as_of)
