"""Whom a recall concerns: who read the bytes or holds a copy, whose runs made something of them, and who read that."""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import datetime, time
from typing import NamedTuple

from populate.provenance.walk import NOTHING
from populate.recall.statements import ask
from schemas.binding import Binding

CONCERNS = ("read", "holds", "wrote", "result")
"""What speaks for telling somebody, the nearest first."""

DEPTH = 10
"""Runs one after the other that are followed."""

MOST = 10_000
"""Contents that are followed."""

_log = logging.getLogger(__name__)


class Concern(NamedTuple):
    """Why a recall concerns an account: what it met of the bytes or of what was made of them, and when."""

    account_id: str
    concern: str
    file_id: str
    sha256: str
    met_at: datetime


def concerned(binding: Binding, file_id: str, sha256: str, *, wide: bool) -> list[Concern]:
    """Return whom it concerns that the bytes of a file are wrong, each account once, by what is nearest.

    Parameters
    ----------
    wide
        The bytes are wrong wherever they are, not in this file only.
    """
    reach = _Reach(binding)
    contents, only = {sha256}, None if wide else {file_id}
    for depth in range(DEPTH):
        results = reach.step(contents, only, first=depth == 0, origin=file_id)
        contents, only = results - reach.followed - {NOTHING}, None
        if not contents:
            break
        if len(reach.followed) > MOST:
            _log.warning("A recall is followed no further than to %d contents.", MOST)
            break
    return sorted(reach.found.values())


class _Reach:
    def __init__(self, binding: Binding) -> None:
        self._binding = binding
        self.found: dict[str, Concern] = {}
        self.followed: set[str] = set()

    def step(self, contents: set[str], only: Collection[str] | None, *, first: bool, origin: str) -> set[str]:
        """Note whom some contents concern, and return the contents that were made of them."""
        self.followed |= contents
        wanted = tuple(sorted(contents))
        held = {
            file: sha for file, sha in ask(self._binding, "holders", contents=wanted) if only is None or file in only
        }
        files = tuple(sorted(held))
        since: dict[str, datetime] = {}
        for account, run, file, sha, at in ask(self._binding, "readers", files=files, contents=wanted):
            self._note(Concern(account, "read" if first else "result", file, sha, at))
            since[run] = min(at, since.get(run, at))
        if first:
            copies = tuple(file for file in files if file != origin)
            for account, file, day in ask(self._binding, "owners", files=copies):
                self._note(Concern(account, "holds", file, held[file], datetime.combine(day, time())))
        return self._results(since)

    def _results(self, since: dict[str, datetime]) -> set[str]:
        found = set()
        for account, run, file, sha, at in ask(self._binding, "outputs", runs=tuple(sorted(since))):
            if at >= since[run]:
                self._note(Concern(account, "wrote", file, sha, at))
                found.add(sha)
        return found

    def _note(self, concern: Concern) -> None:
        known = self.found.get(concern.account_id, concern)
        self.found[concern.account_id] = min(known, concern, key=_rank)


def _rank(concern: Concern) -> tuple[int, datetime, str]:
    return CONCERNS.index(concern.concern), concern.met_at, concern.file_id
