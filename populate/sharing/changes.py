"""What has changed in a drive since it was asked last; and what single items are like now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from data_platform.errors import ResyncRequired, SourceError, SourceNotFound
from populate.sharing.drives import ALL, Drive
from populate.sharing.items import Seen, seen
from readers.microsoft365.graph import Graph, Page

PART = 5_000  # items of a drive all of which are listed that are taken in together

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
        Where to go on next time; empty if it is too early to say.
    afresh
        It began anew: of a drive that is followed as a whole, what no part told of is gone; of
        others each file has to be asked about.
    in_part
        It is one of several parts of a list of everything, so folders may be told of in another.
    number
        Which one, from 0.
    more
        Others follow; `link` leads to them, unless it began anew: if that is left it has to begin anew again.
    """

    drive: Drive
    items: dict[str, Seen] = field(default_factory=dict)
    link: str = ""
    afresh: bool = False
    in_part: bool = False
    number: int = 0
    more: bool = False

    def take(self, page: Page) -> None:
        """Take in what a page tells."""
        for item in page.value:
            one = seen(item, self.drive.system, self.drive.source_id)
            if one is not None:
                self.items[one.key] = one
        self.link = page.delta_link or self.link


def ask(graph: Graph, drive: Drive, again: bool = False) -> Iterator[Changes]:
    """Yield what has changed in a drive, or everything if that is not known any more.

    What a drive holds comes in parts, so that a list of any length fits into memory. Each can be written
    down; when all of it is asked for the first time the list is gone on with where it was left.

    Raises
    ------
    SourceError
        If the drive cannot be asked (any more).
    """
    start = ""
    if drive.position and not again:
        try:
            yield from _in_parts(graph, drive, drive.position) if drive.unfinished else [_changed(graph, drive)]
            return
        except ResyncRequired as error:
            start = error.url if drive.scope == ALL else ""
        except SourceNotFound:  # so some servers say that they have forgotten
            pass
    elif drive.scope == ALL and not drive.was_listed:
        yield from _in_parts(graph, drive, drive.fresh())
        return
    yield from _anew(graph, drive, start or drive.fresh())


def _changed(graph: Graph, drive: Drive) -> Changes:
    found = Changes(drive)
    for page in graph.pages(drive.position, Prefer=PREFER):
        found.take(page)
    return found


def _in_parts(graph: Graph, drive: Drive, url: str) -> Iterator[Changes]:
    found = Changes(drive, in_part=drive.unfinished)
    for page in graph.pages(url, Prefer=PREFER):
        found.take(page)
        if page.next_link and len(found.items) >= PART:
            found.link, found.in_part, found.more = page.next_link, True, True
            yield found
            found = Changes(drive, in_part=True, number=found.number + 1)
    found.afresh = not found.in_part
    yield found


def _anew(graph: Graph, drive: Drive, url: str) -> Iterator[Changes]:
    """Yield everything, of a drive that was listed before; its place moves with the last part alone."""
    found = Changes(drive, afresh=True)
    for page in graph.pages(url, Prefer=PREFER):
        found.take(page)
        if page.next_link and len(found.items) >= PART:
            found.in_part, found.more = True, True
            yield found
            found = Changes(drive, afresh=True, in_part=True, number=found.number + 1)
    yield found


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
