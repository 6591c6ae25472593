"""Going through all folders below one, none of them by a symlink, with memory that does not grow with them."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from data_platform.errors import SourceError
from readers.file_access import Entry, entries_of, token_of
from readers.mounts import Mount, holding, mount_table
from readers.source import Listed, Refused

NO_MOUNT = Mount("/")


def _all(inside: str) -> bool:
    return True


def folders_below(
    root: str, refused: Refused, entered: Callable[[str], bool] = _all
) -> Iterator[tuple[str, Iterator[Entry]]]:
    """Yield each folder's path within `root`, with a slash at its end, and the entries in it that are no folders.

    A folder comes before those in it, both entries and folders are in the order of their names, and
    the entries have to be taken before the next folder is asked for.

    Parameters
    ----------
    refused
        Is told of folders that cannot be looked into.
    entered
        Tells whether to look into a folder.
    """
    levels: list[Iterator[str]] = [iter([""])]  # folders to look into, of each level the rest of them
    while levels:
        inside = next(levels[-1], None)
        if inside is None:
            levels.pop()
            continue
        if not entered(inside):
            continue
        try:
            entries = entries_of(f"{root}/{inside}")
        except SourceError as error:
            refused(inside, error)
            continue
        first_folder: list[Entry] = []
        yield inside, _until_folders(entries, first_folder)
        levels.append(_folders(inside, chain(first_folder, entries)))


def _until_folders(entries: Iterator[Entry], first_folder: list[Entry]) -> Iterator[Entry]:
    for entry in entries:
        if entry.is_folder:  # and so is all that follows
            first_folder.append(entry)
            return
        yield entry


def _folders(inside: str, entries: Iterable[Entry]) -> Iterator[str]:
    return (f"{inside}{entry.name}/" for entry in entries)


class Shown:
    """What a folder shows of the files in it, to be made as soon as its entries have been read.

    For all of them the mounts are looked at once.

    Parameters
    ----------
    folder, inside
        Its path, and its path within the root, each with a slash at its end.
    here
        Source system of what is on disks of this machine.
    limit
        Bytes of the largest file that may be read.
    """

    def __init__(self, folder: str, inside: str, here: str, limit: int) -> None:
        self._folder, self._inside, self._limit = folder, inside, limit
        self._mounts = mount_table().mounts()
        self._mount = holding(self._mounts, folder.rstrip("/") or "/") or NO_MOUNT
        self._system = self._mount.system or here

    def listed(self, entry: Entry) -> Listed | None:
        """Return what is listed of a regular file; None of what has to be looked at more closely."""
        path = self._folder + entry.name
        size, taken = entry.st_size, entry.st_blocks * 512
        if not stat.S_ISREG(entry.st_mode) or self._mount.pseudo or path in self._mounts:
            return None
        if size > self._limit or taken > self._limit:
            return None
        item_id = self._mount.item_id(path) if self._mount.system else path
        return Listed(self._inside + entry.name, self._system, item_id, token_of(entry), size)
