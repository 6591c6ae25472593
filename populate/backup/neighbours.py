"""Small files that are restored together, and their contents, of which those near each other are had in one request."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from data_platform.errors import StoreError, StoreUnavailable
from populate.backup.restorable import Entry
from populate.store import Place
from populate.store.base import PACKS, Readable

TOGETHER = 1024 * 1024
"""Bytes that are read for a group of files, and held in memory."""

GAP = 64 * 1024
"""Bytes between neighbours in a pack that are read in vain rather than asking twice."""

Places = Sequence[tuple[Readable, Place]]


class Located(NamedTuple):
    """A file, and where its content can be had, the first choice first."""

    entry: Entry
    places: Places


def groups(page: Sequence[Located], most: int) -> Iterator[list[Located]]:
    """Divide files into groups of at most so many, neighbours together; a large one is by itself."""
    group, size = list[Located](), 0
    for one in sorted(page, key=lambda one: one.places[0][1] if one.places else Place("", 0, 0)):
        more = _more(group[-1], one) if group else one.entry.size
        if group and (len(group) >= most or size + more > TOGETHER):
            yield group
            group, size, more = [], 0, one.entry.size
        group.append(one)
        size += more
    if group:
        yield group


def sound_contents(group: Sequence[Located]) -> list[tuple[Entry, memoryview]]:
    """Read what can be had of the contents of a group, and return those that have their hash."""
    found = list[tuple[Entry, memoryview]]()
    for run in _runs([one for one in group if one.places]):
        try:
            found += _contents(run)
        except StoreUnavailable:
            break
        except StoreError:  # whoever asks for each by itself finds out of which, and asks elsewhere
            continue
    return [(entry, content) for entry, content in found if _is_sound(entry, content)]


def _more(last: Located, one: Located) -> int:
    """Return how many bytes are to be read for one more."""
    return max(0, _end(one) - _end(last)) if _are_near(last, one) else one.entry.size


def _are_near(last: Located, one: Located) -> bool:
    if not (last.places and one.places) or last.places[0][0] is not one.places[0][0]:
        return False
    before, place = last.places[0][1], one.places[0][1]
    return (
        place.object_name == before.object_name
        and place.object_name.startswith(PACKS)
        and place.offset - _end(last) <= GAP
    )


def _end(one: Located) -> int:
    place = one.places[0][1]
    return place.offset + place.length


def _runs(group: Sequence[Located]) -> Iterator[list[Located]]:
    """Divide a group into what is read with one request."""
    run = list[Located]()
    for one in group:
        if run and not _are_near(run[-1], one):
            yield run
            run = []
        run.append(one)
    if run:
        yield run


def _contents(run: Sequence[Located]) -> list[tuple[Entry, memoryview]]:
    store, first = run[0].places[0]
    span = Place(first.object_name, first.offset, _end(run[-1]) - first.offset)
    read = memoryview(b"".join(store.read(span)))
    starts = [places[0][1].offset - span.offset for _, places in run]
    return [(one.entry, read[start : start + one.places[0][1].length]) for one, start in zip(run, starts, strict=True)]


def _is_sound(entry: Entry, content: memoryview) -> bool:
    return len(content) == entry.size and hashlib.sha256(content).hexdigest() == entry.sha256
