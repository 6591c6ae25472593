"""What a machine keeps of all files in a folder, and keeps at what the tables say."""

from __future__ import annotations

import logging
import shutil
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Generic

import orjson

from data_platform.errors import DataPlatformError, SearchUnavailable
from populate.search.describing import Tables, all_files
from populate.search.follower import BUILD_SECONDS, FOLDERS, Follower, Kept, State
from populate.search.views import Document
from schemas.binding import Binding
from schemas.locks import EXCLUSIVE, locked

REWRITTEN_AT_ONCE = 10_000
"""Views of an index that a search may wait for to be rewritten after an erasure; a greater one waits for its check."""

_log = logging.getLogger(__name__)


class Local(Follower[Kept], Generic[Kept]):
    """What this machine keeps of all files in a folder, with its state and its lock."""

    def __init__(self, binding: Binding, folder: Path) -> None:
        super().__init__(binding)
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

    @contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            yield
        except OSError as error:
            raise self._unwritable(error) from error

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

    def _put(self, documents: Iterable[Document], done: Callable[[str], None] = lambda file_id: None) -> int:
        return self._writing(self._folder / self._read().folder).put(documents, done)

    def _leave_no_other(self) -> None:
        """Delete what other releases indexed and what a killed rewriting left: what is erased would stay in it."""
        others = self._others()
        others += [self._folder / name for name in FOLDERS if name != self._read().folder]
        for path in others:
            shutil.rmtree(path, ignore_errors=True)

    def leave(self) -> None:
        """Delete all that this machine keeps and nobody follows any more."""
        if any((self._folder / name).exists() for name in (self._state.name, *FOLDERS)):
            with suppress(OSError), self._locked(0.0):
                self._forget()
        self._leave_no_other()

    def _set_right(self, tables: Tables, views: int) -> int:
        if self._holds_erased_words(tables):
            self._rewrite(tables)
        whole = self._present().views == views
        if not whole:  # something is in it that is in no table
            self._forget()
            self._build()
        self._leave_no_other()
        return int(not whole)

    def _caught_up(self, tables: Tables) -> None:
        if self._present().views <= self._rewritten_at_once() and self._holds_erased_words(tables):
            self._rewrite(tables)

    def _rewritten_at_once(self) -> int:
        return REWRITTEN_AT_ONCE

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

    def _read(self) -> State:
        try:
            found = orjson.loads(self._state.read_bytes())
            return State(**{**found, "at": datetime.fromisoformat(found["at"])})
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return State()

    def _write(self, state: State) -> None:
        whole = self._state.with_suffix(".new")
        whole.write_bytes(orjson.dumps(asdict(state)))
        whole.replace(self._state)

    def _forget(self) -> None:
        self._state.unlink(missing_ok=True)
        for name in FOLDERS:
            shutil.rmtree(self._folder / name, ignore_errors=True)

    def _locked(self, seconds: float) -> AbstractContextManager[object]:
        return locked(self._folder / "lock", EXCLUSIVE, seconds)

    def _unwritable(self, error: OSError) -> Exception:
        if isinstance(error, DataPlatformError):
            return error
        return SearchUnavailable(
            f"The search index in {self._folder} cannot be written: {error}. See that the disk has space and the "
            "folder belongs to you, or set DATA_PLATFORM_HOME to another one."
        )
