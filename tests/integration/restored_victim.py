"""Restores small files together, in a process that tests watch, hinder and kill."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

from populate.backup import disk
from populate.backup.neighbours import Located, groups
from populate.backup.restorable import Entry
from populate.backup.target import Target
from populate.store.folder import FolderStore
from populate.store.pack import keep

COUNT = 60
MODIFIED = 1_600_000_000_123_456_789


def contents(count: int = COUNT) -> dict[str, bytes]:
    """Return contents by the paths that they are restored to."""
    return {f"{number % 3}/{number}.csv": f"{number},".encode() * (50 + number) for number in range(count)}


def packed(root: Path, count: int = COUNT) -> list[Located]:
    """Store contents in a pack, and return the files that have them."""
    store = FolderStore(root)
    hashes = {path: hashlib.sha256(content).hexdigest() for path, content in contents(count).items()}
    places = keep(store, {hashes[path]: content for path, content in contents(count).items()})
    entries = [Entry(path, hashes[path], len(content), MODIFIED, path) for path, content in contents(count).items()]
    return [Located(entry, [(store, places[entry.sha256])]) for entry in entries]


def trust(folder: Path) -> None:
    """Have one call bring all to the disk, whatever the file system of the tests is."""
    descriptor = os.open(folder, os.O_RDONLY)
    disk._TELLING.add(disk._kind_of(descriptor))
    os.close(descriptor)


def main(root: Path, to: Path, most: int) -> None:
    trust(root.parent)
    target = Target(to, 1)
    print(sum(len(target.write_together(group)) for group in groups(packed(root), most)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
