"""Keeping what files mean, beside the index and in the same way, and asking it.

To compute what a text means takes a hundred times as long as to index it. So nobody waits until all is computed:
whoever searches goes on with it for a moment and is answered by what is there.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from populate.search.describing import Tables
from populate.search.encoder import encoder_of
from populate.search.follower import Change
from populate.search.following import folder_of
from populate.search.local import Local
from populate.search.vectors import TOGETHER, Meanings, Near, key_of
from populate.search.views import MOST_MEANT, Document
from schemas.binding import Binding
from schemas.locks import EXCLUSIVE, locked

FORMAT = 1
"""Rises when other vectors are kept of the same texts, or in another way."""

GLANCE_SECONDS = 1.0
"""That a search may spend on what is not computed yet."""

HASTY = 10
"""Texts that are computed between two looks at the clock, and files between two writings, while somebody waits."""

DESCRIBED = 200
"""Changed files that are described at a time."""

MOST_REWRITTEN = 1000
"""Views that somebody may wait for to be rewritten after an erasure; more of them wait for the check."""

MOST_PENDING = 20_000
"""Changes that are not followed yet, up to which it is told which files they make unknown."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What tells which files mean about the same as a question.

    Attributes
    ----------
    least
        Cosine from which on they do. From a half of it on it counts for files that are found by words.
    pending
        Files of which something has changed that is not followed yet: who may know them, or what was erased. They
        take no part, for it is not known what may still be told of them.
    """

    held: Meanings
    least: float
    pending: Collection[str] = ()

    def near(self, text: str, terms: Collection[str], facets: Mapping[str, Collection[str]]) -> list[Near]:
        """Return what is nearest first, of what somebody with these terms may see within facets."""
        asked = text.strip()[:MOST_MEANT]
        return self.held.near(asked, terms, facets, self.least / 2, self.pending) if asked else []

    def fit(self, similarity: float) -> float:
        """Return how well a meaning fits, from 0 to 1."""
        return (similarity - self.least / 2) / (1 - self.least / 2)


class TheMeanings(Local[Meanings]):
    """What files mean by the model of this installation, on this machine.

    Parameters
    ----------
    hasty
        Not all that has changed is computed at once, for somebody waits.

    Raises
    ------
    SearchUnavailable
        If there is no model, or it cannot be used.
    """

    portion = 50

    def __init__(self, binding: Binding, hasty: bool = True) -> None:
        self._encoder, self._hasty = encoder_of(binding.settings), hasty
        super().__init__(binding, folder_of(binding.settings) / f"meaning-{FORMAT}-{self._encoder.name[:16]}")

    def glance(self, seconds: float) -> tuple[Meanings, frozenset[str]] | None:
        """Return what is there after about so many seconds of work, and the files that it may be wrong about.

        None if nothing is there yet, or too much has changed to tell of which files.
        """
        self.go_on(seconds)
        state = self._read()  # before it is opened, for what is opened then knows at least as much
        if not (state.complete or state.after):
            return None
        try:
            held = self._present()
        except ValueError:
            self._begin_anew()
            return None
        changes = self._changes(state)
        if len(changes) > MOST_PENDING:
            return None
        known = held.digests(file_id for file_id, _, _ in changes)
        return held, frozenset(file_id for file_id, digest, _ in changes if known.get(file_id, digest) != digest)

    def go_on(self, seconds: float) -> bool:
        """Compute and follow for about so long, unless another process does, and return whether all is there."""
        until = time.monotonic() + seconds
        try:
            if not self.advance(seconds):
                return False
            if self._changes(self._read()):
                with suppress(TimeoutError), locked(self._folder / "lock", EXCLUSIVE, 0.0):
                    if self._read().complete:
                        self._catch_up(until)
        except ValueError:  # what is to be written to cannot be read
            self._begin_anew()
        except OSError as error:
            raise self._unwritable(error) from error
        return self._read().complete

    def _begin_anew(self) -> None:
        """Give up what cannot be read; the next one who searches begins anew."""
        with suppress(TimeoutError), locked(self._folder / "lock", EXCLUSIVE, 0.0):
            self._forget()

    def _opened(self, folder: Path) -> Meanings:
        held = _held.get(folder)
        if held is None or not held.is_present():
            _held.clear()
            held = _held.setdefault(folder, Meanings(folder, self._encoder))
        return held

    def _writing(self, folder: Path, before: Path | None = None) -> Meanings:
        if before:
            return Meanings(folder, self._encoder, Meanings(before, self._encoder))
        return Meanings(folder, self._encoder, together=HASTY if self._hasty else TOGETHER)

    def _others(self) -> list[Path]:
        return [path for path in self._folder.parent.glob("meaning-*") if path != self._folder]

    def _rewritten_at_once(self) -> int:
        return min(MOST_REWRITTEN, super()._rewritten_at_once()) if self._hasty else super()._rewritten_at_once()

    def _in_turn(self, changes: list[Change], tables: Tables) -> Iterator[tuple[list[Change], Iterable[Document]]]:
        """Yield the oldest changes first, so many that few texts are to be computed.

        Who may know a file is not a text: of such changes many are followed at a time.
        """
        held, ordered = self._present(), sorted(changes, key=lambda change: change[-1])
        digests = held.digests(file_id for file_id, _, _ in ordered)
        for some in _portions(ordered):
            documents = tables.documents([file_id for file_id, digest, _ in some if digests.get(file_id) != digest])
            texts = {file_id: {key_of(view) for view in one.views} for file_id, one in documents.items()}
            known = held.vectors(set().union(*texts.values()))
            for few in _cut(some, {file_id: len(keys - known.keys()) for file_id, keys in texts.items()}):
                yield few, [documents[file_id] for file_id, _, _ in few if file_id in documents]


def _portions(changes: list[Change]) -> Iterator[list[Change]]:
    """Yield what is described at a time; changes that cost nothing, as those of a build, may be among them."""
    for start in range(0, len(changes), DESCRIBED):
        yield changes[start : start + DESCRIBED]


def _cut(changes: list[Change], costs: Mapping[str, int]) -> Iterator[list[Change]]:
    """Yield changes in turn, each time so many that they cost about `HASTY`."""
    some: list[Change] = []
    cost = 0
    for change in changes:
        some.append(change)
        cost += costs.get(change[0], 0)
        if cost >= HASTY:
            yield some
            some, cost = [], 0
    if some:
        yield some


_held: dict[Path, Meanings] = {}  # that this process reads, one at a time


def meaning_of(binding: Binding, seconds: float = GLANCE_SECONDS) -> tuple[Meaning | None, float]:
    """Return what tells what files mean, after about so many seconds of work, and of what share of them about.

    None while nothing can be told. What has changed since it was made is not counted as missing.

    Raises
    ------
    SearchUnavailable
        If there is no model, or its folder cannot be written to.
    """
    meanings = TheMeanings(binding)
    found = meanings.glance(seconds)
    told = Meaning(found[0], binding.settings.search.least_similarity, found[1]) if found else None
    return told, meanings.state.share


def advance_meaning(binding: Binding, seconds: float) -> bool:
    """Go on computing for about so long, and return whether all is there."""
    return TheMeanings(binding).go_on(seconds)
