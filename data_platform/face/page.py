"""The page of a file, and what differs between its versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_platform.links import Link
from data_platform.settings import settings

if TYPE_CHECKING:
    from populate.page.finding import Found
    from populate.page.reply import Difference
    from populate.page.shape import FilePage
    from populate.who.asker import Asker


def show(about: Link) -> FilePage:
    """Return everything about a file that the caller may know.

    That is: versions with their authors and readers, what is in the newest one, copies, folders that were read as
    a whole, grants and whom to ask; for the owner also who uses it.

    Parameters
    ----------
    about
        A link or path; or the name of a file that the caller may know, or its ``file_id``.

    Returns
    -------
    FilePage
        See `populate.page.shape`. Of a file that the caller can open just now all versions are told, of one that
        they only read before those that they read.

    Raises
    ------
    VersionUnavailable
        If nothing is known of it, the caller may not know it, or several files have that name.
    DatabaseUnavailable
        If no connection can be had.

    Examples
    --------
    >>> from data_platform import show
    >>> page = show("/shares/screening/plate_12.csv")
    >>> [column.name for column in page.profile.sheets[0].columns]
    ['well', 'signal']
    """
    return _page(about)[2]


def diff(about: Link, old: str = "", new: str = "") -> Difference:
    """Return what differs between two versions of a file: rows and columns of tables, lines of texts.

    Parameters
    ----------
    about
        As for `show`.
    old, new
        SHA-256 of the versions, or the first 8 digits and more, or what the source calls them. The newest version and
        the one before it unless given.

    Returns
    -------
    TableDifference, TextDifference or OpaqueDifference
        See `populate.page.reply`.

    Raises
    ------
    VersionUnavailable
        If there are no two such versions, the caller may not know them, or they are not backed up.
    StoreUnavailable
        If the content store does not answer.
    BlobDamaged
        If it gives other bytes than were read.
    """
    from populate.page.difference import difference
    from populate.page.finding import two_of

    asker, found, page = _page(about)
    before, after = two_of(page, old, new)
    return difference(asker, found.file_id, before.version_id, after.version_id, settings=settings(), shown=found.shown)


def _page(about: Link) -> tuple[Asker, Found, FilePage]:
    from os import fspath

    from populate.page.finding import page_of
    from populate.pipeline import bind_all
    from populate.who.asker import asker

    here = asker(bind_all(settings()), settings())
    return here, *page_of(here, fspath(about), settings())
