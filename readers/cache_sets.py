"""Folders of file sets in the cache: read-only names of their members' content.

``sets/ab/<key>/<name>/…`` holds a hard link for each member, so a set costs no bytes of its
own. The folder is made aside and renamed into place; a later read compares the state of each
folder and each member with what was made, and makes it anew if anything differs.
"""
# ruff: noqa: PTH101

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from readers.cache import Cache
from readers.cache_incoming import Draft, cache_error
from readers.cache_names import safe_name, safe_paths
from readers.cache_space import VERIFIED, make_parents


def set_path(cache: Cache, name: str, members: Mapping[str, str]) -> Path | None:
    """Return a read-only folder called `name` (made safe) with the members of a file set.

    Parameters
    ----------
    members
        SHA-256 of each member by its path within the set; the names on disk are those paths,
        made safe.

    Returns
    -------
    Path or None
        None if a member's content is not in the cache (any more).

    Raises
    ------
    CacheError
        If there is no room for the names.
    """
    safe = safe_paths(members)
    content = {safe[path]: sha256 for path, sha256 in members.items()}
    unit = f"{cache.folder}/sets/{(key := _key(name, content))[:2]}/{key}"
    folder = f"{unit}/{safe_name(name)}"
    try:
        if _unchanged(cache, unit, folder, content):
            return Path(folder)
        for _ in range(5):
            if not _make(cache, unit, safe_name(name), content):
                return None
            if _unchanged(cache, unit, folder, content):
                return Path(folder)
    except OSError as error:
        raise cache_error(error, cache.folder) from error
    return None


def forget(cache: Cache, sha256: str, size: int) -> bool:
    """Throw away a content of `size` bytes, and the folders of all file sets that have it; False if it is not here."""
    found = cache.forget(sha256)
    for unit in Path(cache.folder, "sets").glob("??/*"):
        files = (Path(folder, name) for folder, _, names in os.walk(unit) for name in names)
        if any(file.stat().st_size == size and _hash_of(file) == sha256 for file in files):
            cache.space.throw_away(str(unit))
            found = True
    return found


def _hash_of(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _key(name: str, content: Mapping[str, str]) -> str:
    digest = hashlib.sha256(os.fsencode(safe_name(name)) + b"\0")
    for path in sorted(content):
        digest.update(f"{content[path]} ".encode() + os.fsencode(path) + b"\0")
    return digest.hexdigest()


def _unchanged(cache: Cache, unit: str, folder: str, content: Mapping[str, str]) -> bool:
    """Tell whether the set is there as it was made, and mark it and its members as used."""
    try:
        os.utime(f"{unit}/{_mark(folder, _folders(content))}")
        return all(cache.intact(sha256, f"{folder}/{path}") for path, sha256 in content.items())
    except FileNotFoundError:
        return False


def _make(cache: Cache, unit: str, name: str, content: Mapping[str, str]) -> bool:
    """Make the set's folder; False if a member's content is not in the cache."""
    with Draft(cache.folder) as draft:
        made = f"{draft.path}/set"
        folders = _folders(content)
        for folder in folders:
            make_parents(f"{made}/{name}/{folder}x")
        for path, sha256 in content.items():
            if not cache.holds(sha256):
                return False
            cache.link(sha256, f"{made}/{name}/{path}")
        for folder in reversed(folders):
            os.chmod(f"{made}/{name}/{folder}", 0o555)
        os.close(os.open(f"{made}/{_mark(f'{made}/{name}', folders)}", os.O_CREAT | os.O_WRONLY, 0o600))
        try:
            draft.publish("set", unit)
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                raise
            if not _unchanged(cache, unit, f"{unit}/{name}", content):  # else another process was first
                cache.space.throw_away(unit)
    return True


def _folders(content: Iterable[str]) -> list[str]:
    """Return every folder of the set, relative, each with a slash at its end, the set's own as empty text."""
    found = {""}
    for path in content:
        end = path.rfind("/")
        while end >= 0 and path[: end + 1] not in found:
            found.add(path[: end + 1])
            end = path.rfind("/", 0, end)
    return sorted(found)


def _mark(folder: str, folders: Iterable[str]) -> str:
    """Return the name of the mark for the set's folders in their present state.

    Adding, renaming or removing a file changes the time of the folder it is in.
    """
    digest = hashlib.sha256()
    for relative in folders:
        state = os.lstat(f"{folder}/{relative}")
        digest.update(b"%d %d %d\0" % (state.st_ino, state.st_mtime_ns, state.st_mode))
    return f"{VERIFIED}{digest.hexdigest()}"
