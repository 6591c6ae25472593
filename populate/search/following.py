"""The index that is searched, and all that is kept beside it: opened, advanced, checked and made anew.

It is on this machine, or on the catalogue's server, as `search.engine` says.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from data_platform.settings import Settings
from populate.search.engine import Engine
from populate.search.follower import Check, Follower
from populate.search.index import FORMAT, Index
from populate.search.local import Local
from populate.search.on_server import OnServer
from populate.search.server_tables import deploy_index, is_wanted
from schemas.binding import Binding
from schemas.identity import identity


def index_of(binding: Binding) -> Engine:
    """Return the index, brought up to what the tables say; made at the first time.

    One on the server is brought up by those who may write it; others get what is there.

    Raises
    ------
    SearchUnavailable
        If another process makes it, and that takes long; or if its folder cannot be written to.
    NotDeployed
        If the server lacks the tables for it.
    """
    found: Engine = _the_index(binding).follow()
    return found


def advance(binding: Binding, seconds: float) -> bool:
    """Go on making the index for about so long, and return whether it is whole.

    For whoever must not keep a connection for longer; while another process makes it, nothing is done.

    Raises
    ------
    SearchUnavailable
        If its folder cannot be written to.
    """
    return _the_index(binding).advance(seconds)


def share(binding: Binding) -> float:
    """Return how much of the index is made, in hundredths."""
    return _the_index(binding).state.share


def rebuild(binding: Binding) -> int:
    """Make the index anew, with all that is kept beside it, and return how many files are in it.

    Raises
    ------
    SearchUnavailable
        If its folder cannot be written to.
    DatabaseError
        If this login may not write it.
    """
    count = _the_index(binding).rebuild()
    for one in _beside(binding):
        one.rebuild()
    return count


def check(binding: Binding) -> Check:
    """Compare the index with the tables, file by file, and put right what differs.

    What is to be indexed anew is noted down, so that the indexes of other machines follow.
    """
    if binding.settings.database.backend == "embedded" and not is_wanted(binding.settings):
        deploy_index(binding)  # nobody else deploys there: what is erased would stay in an index that nobody follows
    found = _the_index(binding).check()
    return Check(found.files, max([found.wrong, *(one.check().wrong for one in _beside(binding))]))


def assert_can_keep(binding: Binding) -> None:
    """See that this process may write the index.

    Raises
    ------
    DatabaseError
        If it may not.
    """
    if is_wanted(binding.settings):
        _on_server(binding).assert_may_write()


def how_far(binding: Binding) -> list[Any]:
    """Return how far all is that is kept: another answer if anything has advanced."""
    return [one.state for one in (_the_index(binding), *_beside(binding))]


def _the_index(binding: Binding) -> Follower[Any]:
    return _on_server(binding) if is_wanted(binding.settings) else TheIndex(binding)


def _on_server(binding: Binding) -> OnServer:
    return OnServer(binding, leave=TheIndex(binding).leave)


def _beside(binding: Binding) -> list[Local[Any]]:
    """Return what else is kept of the files on this machine, in the same way."""
    if not binding.settings.search.semantic:
        return []
    from populate.search.meaning import TheMeanings

    return [TheMeanings(binding, hasty=False)]


def has_index(settings: Settings) -> bool:
    """Return whether the scheduler is to check an index of this machine: anybody has searched here, with any release.

    That of the server is checked by the service that keeps it.
    """
    return not is_wanted(settings) and any(path.is_dir() for path in _of_all_formats(folder_of(settings)))


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
