"""What has changed in a drive since it was asked last; and what single items are like now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from data_platform.errors import ResyncRequired, SourceError, SourceNotFound
from populate.sharing.drives import ALL, Drive
from populate.sharing.items import Seen, seen
from readers.microsoft365.graph import Graph

PREFER = "deltashowremovedasdeleted, deltatraversepermissiongaps, deltashowsharingchanges"
"""All three or none: the source refuses one alone."""


@dataclass(slots=True)
class Changes:
    """What a drive told.

    Attributes
    ----------
    items
        By key, each as it was told last.
    link
        Where to go on next time.
    afresh
        It began anew: of a drive that is followed as a whole, what was not told of is gone; of
        others each file has to be asked about.
    """

    drive: Drive
    items: dict[str, Seen] = field(default_factory=dict)
    link: str = ""
    afresh: bool = False


def ask(graph: Graph, drive: Drive, again: bool = False) -> Changes:
    """Return what has changed in a drive, or everything if that is not known any more.

    Raises
    ------
    SourceError
        If the drive cannot be asked.
    """
    if drive.position and not again:
        try:
            return _listed(graph, drive, drive.position, afresh=False)
        except ResyncRequired as error:
            start = error.url if drive.scope == ALL else ""
            return _listed(graph, drive, start or drive.fresh(), afresh=True)
        except SourceNotFound:  # so some servers say that they have forgotten
            pass
    return _listed(graph, drive, drive.fresh(), afresh=True)


def _listed(graph: Graph, drive: Drive, url: str, *, afresh: bool) -> Changes:
    found = Changes(drive, afresh=afresh)
    for page in graph.pages(url, Prefer=PREFER):
        for item in page.value:
            one = seen(item, drive.system, drive.source_id)
            if one is not None:
                found.items[one.key] = one
        found.link = page.delta_link or found.link
    return found


def describe(
    graph: Graph, wanted: Sequence[tuple[Drive, str, str]]
) -> Iterator[tuple[Drive, str, Seen | None, SourceError | None]]:
    """Yield drive, key, and what each item is like now: None with the error if it cannot be had.

    Parameters
    ----------
    wanted
        Drives, keys and ids of items.
    """
    answers = graph.batch([drive.described(item_id) for drive, _, item_id in wanted]) if wanted else []
    for (drive, key, _), answer in zip(wanted, answers, strict=True):
        if isinstance(answer, SourceError):
            yield drive, key, None, answer
        else:
            one = seen(answer, drive.system, drive.source_id)
            yield drive, key, one, None if one else SourceNotFound("It lies elsewhere now. Nothing to do.")
