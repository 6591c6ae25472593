"""The folder that many files are restored to: what they are called there, and writing them, many at a time."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from data_platform.errors import RestoreError, TargetExists
from populate.backup.disk import Disk
from populate.backup.neighbours import Located, sound_contents
from populate.backup.new_file import NewFile, new_file, translated
from populate.backup.restorable import Entry
from populate.backup.restore import Content, copy_new, same
from populate.store import Place
from populate.store.base import Readable

MANY = 128
"""Files that are restored together at most, and brought to the disk with one call where that can be."""


class Written(NamedTuple):
    """A file that is in place now."""

    size: int
    is_new: bool


class Target:
    """The folder that files go to, as text: making a `Path` of each would take as long as writing it.

    Parameters
    ----------
    folder
        Absolute; it is made if it is missing.
    threads
        How many write to it.

    Raises
    ------
    RestoreError
        If the folder cannot be made.
    """

    def __init__(self, folder: Path, threads: int) -> None:
        with translated(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._disk = Disk(folder)
        self.folder = folder
        self._within = os.path.join(folder, "")
        self._made = set[str]()
        # Where a file takes no waiting, threads that write at once would spend their time on taking turns at it.
        self._turn: AbstractContextManager[Any] = Lock() if self._disk.takes_many else nullcontext()
        allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = MANY if allowed == resource.RLIM_INFINITY else min(MANY, allowed // 2 // threads)
        self._at_once = max(1, most) if self._disk.takes_many else 1

    def write(self, held: tuple[Readable, Place], entry: Entry) -> Written:
        """Write a file unless it is there.

        Raises
        ------
        BlobMissing, BlobDamaged
            If the store does not hold its bytes, or holds others.
        RestoreError
            If the file cannot be written.
        TargetExists
            If other files have its names.
        """
        content = Content(entry.sha256, entry.size)
        for target in self._names(entry):
            if not os.path.lexists(target):
                self._make_room(target)
                if copy_new(*held, content, target, entry.modified_ns):
                    return Written(content.size, True)
            if same(target, content):
                return Written(content.size, False)
        where = self.folder / entry.path
        raise TargetExists(f"{where} is there with other content and stays as it is. Restore to another folder.")

    def write_together(self, group: Sequence[Located]) -> set[Entry]:
        """Write those neighbours of which no file is there; return which are in place now.

        All others are to be written one by one: that tells what is wrong with each, and mends what it can.
        """
        missing = [one for one in group if not os.path.lexists(self._within + one.entry.path)]
        contents = sound_contents(missing) if len(missing) > 1 else []
        some = range(0, len(contents), self._at_once)
        return {entry for start in some for entry in self._named(contents[start : start + self._at_once])}

    def _named(self, contents: Sequence[tuple[Entry, memoryview]]) -> list[Entry]:
        with ExitStack() as opened:
            with self._turn:
                files = list[tuple[Entry, NewFile]]()
                for entry, content in contents:
                    with suppress(RestoreError):
                        files.append((entry, self._begun(opened, entry, content)))
            self._disk.bring([file for _, file in files])
            with self._turn:
                named = [entry for entry, file in files if file.on_disk and _is_published(file)]
                opened.close()
        return named

    def _begun(self, opened: ExitStack, entry: Entry, content: memoryview) -> NewFile:
        target = self._within + entry.path
        self._make_room(target)
        file = opened.enter_context(new_file(target))
        file.write(content)
        file.date(entry.modified_ns)
        return file

    def _names(self, entry: Entry) -> Iterator[str]:
        """Yield what the file is to be called, and what else if another one has that name."""
        yield self._within + entry.path
        path = self.folder / entry.path
        suffix = "".join(path.suffixes[-2:]) if len("".join(path.suffixes[-2:])) < 40 else ""
        yield str(path.with_name(f"{path.name.removesuffix(suffix)[:180]}-{entry.file_id[:8]}{suffix}"))

    def _make_room(self, target: str) -> None:
        """Make the folder of a file, once."""
        if (folder := os.path.split(target)[0]) not in self._made:
            with translated(target):
                Path(folder).mkdir(parents=True, exist_ok=True)
            self._made.add(folder)


def _is_published(file: NewFile) -> bool:
    try:
        return file.publish()
    except RestoreError:
        return False
