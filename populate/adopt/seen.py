"""The files that a survey has met: few in memory, more on disk, so that memory does not grow with the share."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from typing import Self, TypeVar

FEW = 50_000  # identities that are kept in memory, in some 6 MiB

T = TypeVar("T")


class Seen:
    """A set of identities (hex), for one thread; more than `FEW` are in a temporary file that vanishes with it."""

    def __enter__(self) -> Self:
        self._few: set[str] | None = set()
        self._file = sqlite3.connect("", isolation_level=None)  # no name: private, and deleted when it is closed
        self._file.execute("PRAGMA journal_mode = OFF")
        self._file.execute("CREATE TABLE seen (id BLOB PRIMARY KEY, added INTEGER) WITHOUT ROWID")
        self._file.execute("BEGIN")
        self._additions = 0
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, met: Mapping[str, T]) -> Mapping[str, T]:
        """Add the keys of `met`; return the part of it that was not met before."""
        if self._few is not None and len(self._few) + len(met) > FEW:
            few, self._few = self._few, None
            self._insert(few)
        if self._few is None:
            is_all = self._insert(met) == len(met)
            return met if is_all else {identity: what for identity, what in met.items() if self._is_of_now(identity)}
        new = met if self._few.isdisjoint(met) else {one: what for one, what in met.items() if one not in self._few}
        self._few.update(new)
        return new

    def missing(self, identities: Sequence[str]) -> set[str]:
        """Return those of `identities`, which are in order, that were never met."""
        if self._few is not None or not identities:
            return set(identities) - (self._few or set())
        missing = {bytes.fromhex(one) for one in identities}
        ends = (bytes.fromhex(identities[0]), bytes.fromhex(identities[-1]))
        for (met,) in self._file.execute("SELECT id FROM seen WHERE id BETWEEN ? AND ?", ends):
            missing.discard(met)
        return {one.hex() for one in missing}

    def _insert(self, identities: Collection[str]) -> int:
        """Write down identities; return how many were not there."""
        self._additions += 1
        rows = sorted((bytes.fromhex(identity), self._additions) for identity in identities)
        return self._file.executemany("INSERT OR IGNORE INTO seen VALUES (?, ?)", rows).rowcount if rows else 0

    def _is_of_now(self, identity: str) -> bool:
        query = "SELECT added FROM seen WHERE id = ?"
        (added,) = self._file.execute(query, (bytes.fromhex(identity),)).fetchone()
        return bool(added == self._additions)
