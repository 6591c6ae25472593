"""What a machine keeps of all files in a folder, and keeps at what the tables say.

The tables tell of which files what is kept has changed, and when. It follows from a position, and looks
back from there by as much as a row may come late; what it looked at already it knows by its digest. Processes of
a machine share what is kept, and one of them at a time writes: the others answer with what is there.
"""

from __future__ import annotations

import logging
import math
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Generic, NamedTuple, Protocol, TypeVar

import orjson

from data_platform.errors import DataPlatformError, SearchUnavailable
from populate.search.describing import OVERLAP, Tables, all_files, describe
from populate.search.views import Document
from schemas.binding import Binding
from schemas.locks import EXCLUSIVE, locked

BUILD_SECONDS = 600.0
"""How long another process of this machine is waited for that makes the index."""

REWRITTEN_AT_ONCE = 10_000
"""Views of an index that a search may wait for to be rewritten after an erasure; a greater one waits for its check."""

_NEVER = datetime(1970, 1, 1)
_log = logging.getLogger(__name__)

FOLDERS = ("index", "rewritten")  # one of them at a time


@dataclass(slots=True)
class _State:
    """How far an index is.

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


def _untold(rows: Iterable[Change], state: _State) -> list[Change]:
    latest = {file_id: (file_id, digest, at) for file_id, digest, at in rows}
    return [change for file_id, change in latest.items() if state.recent.get(file_id) != change[1]]


class Held(Protocol):
    """What follows the tables: views of files that can be searched in one way or another."""

    @property
    def views(self) -> int: ...

    def put(self, documents: Iterable[Document], done: Callable[[str], None] = ...) -> int: ...

    def digests(self, files: Iterable[str]) -> dict[str, str]: ...


Kept = TypeVar("Kept", bound=Held)


class Local(ABC, Generic[Kept]):
    """What this machine keeps of all files in a folder, with its state and its lock."""

    portion = 0
    """Files that are described at a time while it is made; 0 is the usual."""

    def __init__(self, binding: Binding, folder: Path) -> None:
        self._binding = binding
        self._folder = folder
        self._state = self._folder / "state.json"

    @abstractmethod
    def _opened(self, folder: Path) -> Kept:
        """Return what is in a folder to be read; ValueError if it cannot be."""

    @abstractmethod
    def _writing(self, folder: Path, before: Path | None = None) -> Kept:
        """Return what is in a folder to be written, under the lock; `before` is where it was kept until now."""

    @abstractmethod
    def _others(self) -> list[Path]:
        """Return folders of the like that are not to be kept."""

    @property
    def state(self) -> _State:
        """How far it is, whoever advanced it."""
        return self._read()

    def follow(self) -> Kept:
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not self._read().complete:
                with self._alone(BUILD_SECONDS):
                    if not self._read().complete:
                        self._build()
            elif self._changes(self._read()):
                with suppress(TimeoutError), locked(self._folder / "lock", EXCLUSIVE, 0.0):
                    self._catch_up()
        except OSError as error:
            raise self._unwritable(error) from error
        return self._open()

    def advance(self, seconds: float) -> bool:
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not self._read().complete:
                with suppress(TimeoutError), locked(self._folder / "lock", EXCLUSIVE, 0.0):
                    if not self._read().complete:
                        self._build(time.monotonic() + seconds)
        except OSError as error:
            raise self._unwritable(error) from error
        return self._read().complete

    def rebuild(self) -> int:
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self._alone(BUILD_SECONDS):
                self._forget()
                return self._build()
        except OSError as error:
            raise self._unwritable(error) from error

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
            if self._holds_erased_words(tables):
                self._rewrite(tables)
            if self._present().views != views:  # something is in it that is in no table
                self._forget()
                self._build()
                wrong = max(wrong, 1)
            self._leave_no_other()
        return Check(files, wrong)

    def _open(self) -> Kept:
        """Open the index; one that cannot be read is given up, for all that is in it is in the tables."""
        try:
            return self._present()
        except ValueError as error:
            with self._alone(BUILD_SECONDS):
                with suppress(ValueError):  # it was rewritten while it was opened
                    return self._present()
                _log.warning("The index in %s cannot be read and is made anew: %s", self._folder, error)
                self._forget()
                self._build()
            return self._present()

    def _present(self) -> Kept:
        while True:
            name = self._read().folder
            index = self._opened(self._folder / name)
            if self._read().folder == name:
                return index  # else it was rewritten meanwhile

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
            self._write(_State(complete=True, at=state.at, erasures=state.erasures, folder=state.folder))
        return count

    def _put(self, documents: Iterable[Document], done: Callable[[str], None] = lambda file_id: None) -> int:
        """Write to the index, under the lock."""
        return self._writing(self._folder / self._read().folder).put(documents, done)

    def _leave_no_other(self) -> None:
        """Delete what other releases indexed and what a killed rewriting left: what is erased would stay in it."""
        others = self._others()
        others += [self._folder / name for name in FOLDERS if name != self._read().folder]
        for path in others:
            shutil.rmtree(path, ignore_errors=True)

    def _begun(self, tables: Tables) -> _State:
        (newest,) = tables.ask("newest_change")[0]
        return _State(at=newest or _NEVER, erasures=self._erasures(tables))

    def _erasures(self, tables: Tables) -> int:
        return int(tables.ask("erasures")[0][0])

    def _holds_erased_words(self, tables: Tables) -> bool:
        return self._erasures(tables) != self._read().erasures

    def _rewrite(self, tables: Tables) -> None:
        """Make the index anew beside the present one, which answers until then, and leave nothing of that.

        What is taken out of an index stays in its files until Tantivy happens to merge them, and that cannot be asked
        of it.
        """
        before, state = self._read().folder, self._begun(tables)
        state.complete, state.folder = True, FOLDERS[before == FOLDERS[0]]
        shutil.rmtree(self._folder / state.folder, ignore_errors=True)  # of a process that was broken off
        self._writing(self._folder / state.folder, self._folder / before).put(
            one for some in all_files(tables) for one in tables.documents(some).values()
        )
        self._write(state)
        self._leave_no_other()

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
        if self._present().views <= self._rewritten_at_once() and self._holds_erased_words(tables):
            self._rewrite(tables)

    def _in_turn(self, changes: list[Change], tables: Tables) -> Iterator[tuple[list[Change], Iterable[Document]]]:
        """Yield changes that are followed in one step, none before an older one, with what is to be put in."""
        yield changes, tables.documents({file_id for file_id, _, _ in changes}).values()

    def _rewritten_at_once(self) -> int:
        return REWRITTEN_AT_ONCE

    def _rows(self, state: _State) -> list[Change]:
        return [(*row,) for row in Tables(self._binding.connection).ask("changes", since=state.at - OVERLAP)]

    def _changes(self, state: _State) -> list[Change]:
        """Return the latest change of each file that the index has not been told of."""
        return _untold(self._rows(state), state)

    def _read(self) -> _State:
        try:
            found = orjson.loads(self._state.read_bytes())
            return _State(**{**found, "at": datetime.fromisoformat(found["at"])})
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return _State()

    def _write(self, state: _State) -> None:
        whole = self._state.with_suffix(".new")
        whole.write_bytes(orjson.dumps(asdict(state)))
        whole.replace(self._state)

    def _forget(self) -> None:
        self._state.unlink(missing_ok=True)
        for name in FOLDERS:
            shutil.rmtree(self._folder / name, ignore_errors=True)

    @contextmanager
    def _alone(self, seconds: float) -> Iterator[None]:
        try:
            with locked(self._folder / "lock", EXCLUSIVE, seconds):
                yield
        except TimeoutError as error:
            raise SearchUnavailable(
                "Another process on this machine is making the search index. Try again in a few minutes."
            ) from error

    def _unwritable(self, error: OSError) -> Exception:
        if isinstance(error, DataPlatformError):
            return error
        return SearchUnavailable(
            f"The search index in {self._folder} cannot be written: {error}. See that the disk has space and the "
            "folder belongs to you, or set DATA_PLATFORM_HOME to another one."
        )
