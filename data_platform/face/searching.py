"""Finding files."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from data_platform.errors import at_caller
from data_platform.settings import settings

if TYPE_CHECKING:
    from populate.search.follower import Check
    from populate.search.searching import Results
    from populate.who.asker import Asker


def search(
    text: str,
    *,
    kind: str | Collection[str] = (),
    source: str | Collection[str] = (),
    owner: str | Collection[str] = (),
    department: str | Collection[str] = (),
    month: str | Collection[str] = (),
    limit: int = 20,
    offset: int = 0,
    explain: bool = False,
) -> Results:
    """Return the files that fit, best first, each with the reason; how many there are; and how they divide.

    Parameters
    ----------
    text
        Words of names, folders, people, departments, tags, notes, columns and their values, descriptions. The last
        word may be unfinished, and a word that nothing is called is taken for mistyped.
    kind, source, owner, department, month
        Only files with this extension, source system, owner, department of the owner, or month of the last read
        (as 2026-11); or with one of several.
    limit, offset
        How many hits, after how many.
    explain
        Tell what each score is the sum of.

    Raises
    ------
    DatabaseUnavailable
        If no connection can be had.
    SearchUnavailable
        If the index is being made, or cannot be written; or if `search.semantic` is on without a model.
    MissingExtra
        If ``data-platform[platform]`` is not installed; or ``data-platform[semantic]`` if `search.semantic` is on.

    Notes
    -----
    What the caller may not know takes no part in any of it. Of files whose owner lets them be found there are
    title, kind and whom to ask (``limited``).

    Examples
    --------
    >>> from data_platform import search
    >>> for hit in search("flow cytometry plate", kind="csv").hits:
    ...     print(hit.name, hit.owner, hit.reasons)
    """
    chosen = {"kind": kind, "source": source, "owner": owner, "department": department, "month": month}
    facets = {name: [one] if isinstance(one, str) else list(one) for name, one in chosen.items() if one}
    with at_caller:
        from populate.search.searching import search as find

        return find(_asker(), text, facets=facets, limit=limit, offset=offset, explain=explain)


def complete_search(prefix: str, *, limit: int = 8) -> list[str]:
    """Return how a search that is being typed could go on, by words of files that the caller may know.

    Raises
    ------
    DatabaseUnavailable
        If no connection can be had.
    SearchUnavailable
        If the index is being made, or cannot be written.
    """
    with at_caller:
        from populate.search.searching import complete as go_on

        return go_on(_asker(), prefix, limit)


def rebuild_search() -> int:
    """Make the search index anew from the tables, and return how many files and titles are in it."""
    with at_caller:
        from populate.search.following import rebuild

        return rebuild(_asker().binding)


def check_search() -> Check:
    """Compare the search index with the tables, put right what differs, and say how much that was."""
    with at_caller:
        from populate.search.following import check

        return check(_asker().binding)


def keep_search() -> None:
    """Make the search index and keep it up to date and checked, until stopped.

    To be called in the main thread; SIGTERM and Ctrl-C stop it.
    """
    from populate.search.keeping import keep_index

    keep_index(settings())


def _asker() -> Asker:
    from populate.pipeline import bind_all
    from populate.who.asker import asker

    return asker(bind_all(), settings())
