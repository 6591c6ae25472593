"""Where a result comes from, and what became of data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from data_platform.errors import at_caller
from data_platform.links import Link
from data_platform.settings import settings

if TYPE_CHECKING:
    from populate.provenance.graph import Provenance


def log_output(path: Link) -> Path:
    """Note down that this run wrote a file, as its bytes are now, and return its path.

    Whoever reads these bytes later, there or anywhere else, finds this run and what it had read until now. It
    costs reading the file once; the bytes are not copied. Calling it again after changing the file notes another
    output.

    Parameters
    ----------
    path
        A file of this machine, complete and closed.

    Raises
    ------
    SourceNotFound
        If there is no such file.
    UnsupportedItem
        If it is a folder, or no file of bytes.
    SourceChanged
        If it changes while it is read.
    TooLarge
        If it is larger than ``file.max_bytes``.

    Examples
    --------
    >>> from data_platform import log_output
    >>> frame.to_csv("result.csv")
    >>> log_output("result.csv")
    PosixPath('result.csv')
    """
    from readers.output import log_output as log

    with at_caller:
        return log(path)


def whence(about: Link, *, depth: int = 10) -> Provenance:
    """Return where a result comes from: the runs that wrote it, their code, what they read, and who shared that.

    Parameters
    ----------
    about
        A link or path, or the SHA-256 of the bytes (or its first 8 digits and more). Of a file of this machine
        its bytes of now count, of any other its latest version that is catalogued.
    depth
        Runs one after the other that are followed, at most.

    Returns
    -------
    Provenance
        ``nodes`` and ``edges``, each edge with the time and the grade of evidence; see
        `populate.provenance.graph`. It holds only what the caller may know.

    Raises
    ------
    VersionUnavailable
        If nothing is known of it, or the caller may not know it.
    RestrictionError
        If the depth is less than 1.
    """
    return _follow(about, depth, back=True)


def whither(about: Link, *, depth: int = 10) -> Provenance:
    """Return what became of data: the runs that read them, what these wrote, and who read that; the mirror of `whence`.

    Parameters
    ----------
    about
        As for `whence`; of a link all versions count.
    depth
        Runs one after the other that are followed, at most.

    Raises
    ------
    VersionUnavailable
        If nothing is known of it, or the caller may not know it.
    RestrictionError
        If the depth is less than 1.
    """
    return _follow(about, depth, back=False)


def _follow(about: Link, depth: int, *, back: bool) -> Provenance:
    from os import fspath

    from populate.pipeline import bind_all
    from populate.provenance.walk import follow
    from populate.who.asker import asker

    return follow(asker(bind_all(settings()), settings()), fspath(about), settings(), depth=depth, back=back)
