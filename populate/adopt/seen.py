"""The files that a survey has met, on disk, so that memory does not grow with the share."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Self, TypeVar

T = TypeVar("T")


class Seen:
    """A set of identities (hex) in a temporary file that vanishes with it. For one thread."""

    def __enter__(self) -> Self:
        self._file = sqlite3.connect("", isolation_level=None)  # no name: private, and deleted when it is closed
        self._file.execute("PRAGMA journal_mode = OFF")
        self._file.execute("CREATE TABLE seen (id BLOB PRIMARY KEY) WITHOUT ROWID")
        self._file.execute("BEGIN")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, met: Mapping[str, T]) -> dict[str, T]:
        """Add the keys of `met`; return the part of it that was not met before."""
        return {identity: what for identity, what in met.items() if self._is_new(identity)}

    def missing(self, identities: Iterable[str]) -> list[str]:
        """Return those that were never met."""
        query = "SELECT 1 FROM seen WHERE id = ?"
        return [one for one in identities if self._file.execute(query, (bytes.fromhex(one),)).fetchone() is None]

    def _is_new(self, identity: str) -> bool:
        done = self._file.execute("INSERT OR IGNORE INTO seen VALUES (?)", (bytes.fromhex(identity),))
        return done.rowcount == 1
