"""The index of this machine, and all that is kept beside it: opened, advanced, checked and made anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from data_platform.settings import Settings
from populate.search.index import FORMAT, Index
from populate.search.local import Check, Local
from schemas.binding import Binding
from schemas.identity import identity


def index_of(binding: Binding) -> Index:
    """Return the index of this machine, brought up to what the tables say; made at the first time.

    Raises
    ------
    SearchUnavailable
        If another process makes it, and that takes long; or if its folder cannot be written to.
    """
    return TheIndex(binding).follow()


def advance(binding: Binding, seconds: float) -> bool:
    """Go on making the index of this machine for about so long, and return whether it is whole.

    For whoever must not keep a connection for longer; while another process makes it, nothing is done.

    Raises
    ------
    SearchUnavailable
        If its folder cannot be written to.
    """
    return TheIndex(binding).advance(seconds)


def rebuild(binding: Binding) -> int:
    """Make the index of this machine anew, with all that is kept beside it, and return how many files are in it.

    Raises
    ------
    SearchUnavailable
        If its folder cannot be written to.
    """
    count = TheIndex(binding).rebuild()
    for one in _beside(binding):
        one.rebuild()
    return count


def check(binding: Binding) -> Check:
    """Compare the index of this machine with the tables, file by file, and put right what differs.

    What is to be indexed anew is noted down, so that the indexes of other machines follow.
    """
    found = TheIndex(binding).check()
    return Check(found.files, max([found.wrong, *(one.check().wrong for one in _beside(binding))]))


def how_far(binding: Binding) -> list[Any]:
    """Return how far all is that this machine keeps: another answer if anything has advanced."""
    return [one.state for one in (TheIndex(binding), *_beside(binding))]


def _beside(binding: Binding) -> list[Local[Any]]:
    """Return what else is kept of the files on this machine, in the same way."""
    if not binding.settings.search.semantic:
        return []
    from populate.search.meaning import TheMeanings

    return [TheMeanings(binding, hasty=False)]


def has_index(settings: Settings) -> bool:
    """Return whether anybody has searched on this machine, with this release or another one."""
    return any(path.is_dir() for path in _of_all_formats(folder_of(settings)))


def folder_of(settings: Settings) -> Path:
    """Return where the index is kept: another catalogue has another one."""
    database = settings.database
    place = (database.backend, str(database.host), str(database.port), str(database.name), database.prefix)
    return settings.home / "search" / f"{identity('catalogue', *place)[:16]}-{FORMAT}"


def _of_all_formats(folder: Path) -> list[Path]:
    """Return where indexes of the same catalogue are that releases of any format keep."""
    start, _, _ = folder.name.rpartition("-")
    return [path for path in folder.parent.glob(f"{start}-*") if path.name.removeprefix(f"{start}-").isdecimal()]


_indexes: dict[Path, Index] = {}  # that this process reads: one at a time, for opening takes longer than asking


def _to_be_read(folder: Path) -> Index:
    """Return the index in a folder as it is at this moment.

    Whoever writes opens it anew, under the lock: Tantivy reads but once which files are its own to delete, and would
    forget those that another process has written since.

    Raises
    ------
    ValueError
        If it cannot be read.
    """
    index = _indexes.get(folder)
    try:
        if index is not None and (folder / "meta.json").is_file():
            index.searcher()
            return index
    except ValueError:
        pass  # it was made anew meanwhile, or is broken, which opening it tells
    _indexes.clear()
    return _indexes.setdefault(folder, Index(folder))


class TheIndex(Local[Index]):
    """The index of this machine."""

    def __init__(self, binding: Binding) -> None:
        super().__init__(binding, folder_of(binding.settings))

    def _opened(self, folder: Path) -> Index:
        return _to_be_read(folder)

    def _writing(self, folder: Path, before: Path | None = None) -> Index:
        return Index(folder)

    def _others(self) -> list[Path]:
        others = [path for path in _of_all_formats(self._folder) if path != self._folder]
        # What texts mean is not kept up to date where nobody asks for it, and what is erased would stay in it.
        return others if self._binding.settings.search.semantic else [*others, *self._folder.glob("meaning-*")]
