"""What is kept of all files and follows the tables, wherever it is kept.

The tables tell of which files what is kept has changed, and when. It follows from a position, and looks
back from there by as much as a row may come late; what it looked at already it knows by its digest. Processes
share what is kept, and one of them at a time writes: the others answer with what is there.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar

from data_platform.errors import SearchUnavailable
from populate.search.describing import OVERLAP, Tables, all_files, describe
from populate.search.engine import Held
from populate.search.views import Document
from schemas.binding import Binding

BUILD_SECONDS = 600.0
"""How long another process is waited for that makes what is kept."""

_NEVER = datetime(1970, 1, 1)
FOLDERS = ("index", "rewritten")  # of what a machine keeps: one of them at a time


@dataclass(slots=True)
class State:
    """How far it is.

    Attributes
    ----------
    after
        While it is being made: the last file that is in it.
    at
        The latest change that it follows, UTC.
    recent
        Digests that changes which may be looked at once more brought, by file.
    erasures
        How many contents were erased when it was begun; its files may still hold words of those erased since.
    folder
        Where it is, beside this.
    """

    complete: bool = False
    after: str = ""
    at: datetime = _NEVER
    recent: dict[str, str] = field(default_factory=dict)
    erasures: int = 0
    folder: str = FOLDERS[0]

    @property
    def share(self) -> float:
        """Of the files that it is made of, in hundredths: these are taken in the order of ids, which are even."""
        return 1.0 if self.complete else int(self.after[:4] or "0", 16) * 100 // 16**4 / 100


class Check(NamedTuple):
    """What a comparison of the index with the tables found: files there are, and those it was wrong about."""

    files: int
    wrong: int


Change = tuple[str, str, datetime]
"""A file, the digest of what is said of it since, and when that was."""


def _untold(rows: Iterable[Change], state: State) -> list[Change]:
    latest = {file_id: (file_id, digest, at) for file_id, digest, at in rows}
    return [change for file_id, change in latest.items() if state.recent.get(file_id) != change[1]]


Kept = TypeVar("Kept", bound=Held)


class Follower(ABC, Generic[Kept]):
    """What is kept of all files, with its state and its lock."""

    portion = 0
    """Files that are described at a time while it is made; 0 is the usual."""

    def __init__(self, binding: Binding) -> None:
        self._binding = binding

    @abstractmethod
    def _present(self) -> Kept:
        """Return what is there to be read; ValueError if it cannot be."""

    @abstractmethod
    def _put(self, documents: Iterable[Document], done: Callable[[str], None] = lambda file_id: None) -> int:
        """Write to it, under the lock."""

    @abstractmethod
    def _read(self) -> State:
        """Return how far it is, whoever advanced it."""

    @abstractmethod
    def _write(self, state: State) -> None:
        """Note down how far it is, under the lock."""

    @abstractmethod
    def _forget(self) -> None:
        """Give up what is there, under the lock."""

    @abstractmethod
    def _locked(self, seconds: float) -> AbstractContextManager[object]:
        """Hold the lock; TimeoutError if another process does for so long."""

    @abstractmethod
    def _set_right(self, tables: Tables, views: int) -> int:
        """See that there is nothing in it but so many views that were compared, under the lock; 1 if there was."""

    def _is_complete(self) -> bool:
        return self._read().complete

    def _usable(self) -> AbstractContextManager[object]:
        """See that it can be written, or say why not."""
        return nullcontext()

    def _open(self) -> Kept:
        return self._present()

    def _leave_no_other(self) -> None:
        """Delete what else was kept of the files, and nobody follows: what is erased would stay in it."""

    def _caught_up(self, tables: Tables) -> None:
        """Do what follows from changes, under the lock."""

    @property
    def state(self) -> State:
        """How far it is, whoever advanced it."""
        return self._read()

    def waiting(self) -> list[datetime]:
        """Return when each change was noted that it does not follow yet, UTC; ValueError if it cannot be read."""
        state = self._read()
        changes = self._changes(state)
        held = self._present().digests(file_id for file_id, _, _ in changes)
        return [at for file_id, digest, at in changes if at > state.at or held.get(file_id, digest) != digest]

    def follow(self) -> Kept:
        with self._usable():
            if not self._is_complete():
                with self._alone(BUILD_SECONDS):
                    if not self._is_complete():
                        self._build()
            elif self._changes(self._read()):
                with suppress(TimeoutError), self._locked(0.0):
                    self._catch_up()
        return self._open()

    def advance(self, seconds: float) -> bool:
        with self._usable():
            if not self._is_complete():
                with suppress(TimeoutError), self._locked(0.0):
                    if not self._is_complete():
                        self._build(time.monotonic() + seconds)
        return self._is_complete()

    def rebuild(self) -> int:
        with self._usable(), self._alone(BUILD_SECONDS):
            self._forget()
            return self._build()

    def check(self) -> Check:
        index = self.follow()
        with self._alone(BUILD_SECONDS):
            tables, files, views, wrong = Tables(self._binding.connection), 0, 0, 0
            for some in all_files(tables):
                documents = tables.documents(some)
                held = index.digests(documents)
                differ = [
                    one for key, one in documents.items() if held.get(key, "") != (one.digest if one.views else "")
                ]
                if differ:
                    describe(self._binding.connection, {one.file_id for one in differ})
                    self._put(differ)
                files, wrong = files + len(documents), wrong + len(differ)
                views += sum(len(one.views) for one in documents.values())
            wrong = max(wrong, self._set_right(tables, views))
        return Check(files, wrong)

    def _build(self, until: float = math.inf) -> int:
        """Put in all files that are not in it yet, or some of them if that takes longer than `until`, monotonic."""
        tables, whole = Tables(self._binding.connection), True
        state = self._read()
        if not state.after:
            state = self._begun(tables)
            self._leave_no_other()

        def indexed(last: str) -> None:
            state.after = last
            self._write(state)

        def documents() -> Iterator[Document]:
            nonlocal whole
            for some in all_files(tables, state.after, self.portion):
                for one in tables.documents(some).values():
                    yield one
                    if time.monotonic() >= until:
                        whole = False
                        return

        count = self._put(documents(), indexed)
        if whole:
            self._write(State(complete=True, at=state.at, erasures=state.erasures, folder=state.folder))
        return count

    def _begun(self, tables: Tables) -> State:
        (newest,) = tables.ask("newest_change")[0]
        return State(at=newest or _NEVER, erasures=self._erasures(tables))

    def _erasures(self, tables: Tables) -> int:
        return int(tables.ask("erasures")[0][0])

    def _catch_up(self, until: float = math.inf) -> None:
        """Follow what has changed, or some of it if that takes longer than `until`, monotonic."""
        state = self._read()
        rows = self._rows(state)
        changes = _untold(rows, state)
        if not changes:
            return
        tables = Tables(self._binding.connection)
        try:
            self._present()
        except ValueError:
            return  # whoever called makes it anew, without this lock
        for some, documents in self._in_turn(changes, tables):
            self._put(documents)
            state.at = max(state.at, *(at for _, _, at in some))
            # Only what was looked at: a row may have come in the meantime.
            looked = state.recent | {file_id: digest for file_id, digest, _ in some}
            recent = (row for row in rows if row[2] > state.at - OVERLAP)
            state.recent = {file_id: digest for file_id, digest, _ in recent if looked.get(file_id) == digest}
            self._write(state)
            if time.monotonic() >= until:
                return
        self._caught_up(tables)

    def _in_turn(self, changes: list[Change], tables: Tables) -> Iterator[tuple[list[Change], Iterable[Document]]]:
        """Yield changes that are followed in one step, none before an older one, with what is to be put in."""
        yield changes, tables.documents({file_id for file_id, _, _ in changes}).values()

    def _rows(self, state: State) -> list[Change]:
        return [(*row,) for row in Tables(self._binding.connection).ask("changes", since=state.at - OVERLAP)]

    def _changes(self, state: State) -> list[Change]:
        """Return the latest change of each file that the index has not been told of."""
        return _untold(self._rows(state), state)

    @contextmanager
    def _alone(self, seconds: float) -> Iterator[None]:
        try:
            with self._locked(seconds):
                yield
        except TimeoutError as error:
            raise SearchUnavailable(
                "Another process is making the search index. Try again in a few minutes."
            ) from error
