"""Keeping what files mean, beside the index and in the same way, and asking it.

To compute what a text means takes a hundred times as long as to index it. So nobody waits until all is computed:
whoever searches goes on with it for a moment and is answered by what is there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from populate.search.encoder import encoder_of
from populate.search.following import Local, folder_of
from populate.search.vectors import Meanings, Near
from schemas.binding import Binding

FORMAT = 1
"""Rises when other vectors are kept of the same texts, or in another way."""

GLANCE_SECONDS = 1.0
"""That a search may spend on what is not computed yet."""

MOST_CHANGES = 50
"""Files that a search, or a round of the service, computes anew."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What tells which files mean about the same as a question.

    Attributes
    ----------
    least
        Cosine from which on they do. From a half of it on it counts for files that are found by words.
    """

    held: Meanings
    least: float

    def near(self, text: str, terms: Collection[str], facets: Mapping[str, Collection[str]]) -> list[Near]:
        """Return what is nearest first, of what somebody with these terms may see within facets."""
        return self.held.near(text, terms, facets, self.least / 2) if text.strip() else []

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

    def glance(self, seconds: float) -> Meanings:
        """Return what is there after about so many seconds of work."""
        return self.follow() if self.advance(seconds) else self._open()

    def _opened(self, folder: Path) -> Meanings:
        held = _held.get(folder)
        if held is None or not held.is_present():
            _held.clear()
            held = _held.setdefault(folder, Meanings(folder, self._encoder))
        return held

    def _writing(self, folder: Path, before: Path | None = None) -> Meanings:
        return Meanings(folder, self._encoder, Meanings(before, self._encoder) if before else None)

    def _others(self) -> list[Path]:
        return [path for path in self._folder.parent.glob("meaning-*") if path != self._folder]

    def _chosen(self, changes: list[tuple[str, str, datetime]]) -> list[tuple[str, str, datetime]]:
        return sorted(changes, key=lambda change: change[-1])[: MOST_CHANGES if self._hasty else len(changes)]

    def _open(self) -> Meanings:
        try:
            return self._present()
        except ValueError:  # the next one who searches begins anew
            with self._alone(GLANCE_SECONDS):
                self._forget()
            return self._present()


_held: dict[Path, Meanings] = {}  # that this process reads, one at a time


def meaning_of(binding: Binding, seconds: float = GLANCE_SECONDS) -> Meaning:
    """Return what tells what files mean, after about so many seconds of work.

    Raises
    ------
    SearchUnavailable
        If there is no model, or its folder cannot be written to.
    """
    return Meaning(TheMeanings(binding).glance(seconds), binding.settings.search.least_similarity)


def advance_meaning(binding: Binding, seconds: float) -> bool:
    """Go on computing for about so long, and return whether all is there."""
    local = TheMeanings(binding)
    if not local.advance(seconds):
        return False
    local.follow()
    return True
