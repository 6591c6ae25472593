"""File sets: a folder or prefix that is read as a whole.

The version of a set is the SHA-256 of its manifest: one line a member, ``sha256  path``,
sorted by the bytes of the path, in the very format of coreutils, so that
``sha256sum --check`` proves a folder against it. A path with a backslash or a line break has
these escaped and a backslash before its line, as there.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from data_platform.errors import CacheError
from readers.cache import Cache
from readers.cache_sets import set_path
from readers.fetch import TRIES, Held, fetch
from readers.source import Item, Source

THREADS = 8
_LONGEST_SHARE = 64
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}
_PLAIN = {escaped[1]: character for character, escaped in _ESCAPES.items()}


@dataclass(frozen=True, slots=True)
class HeldSet:
    """A file set in the cache: its folder there, the SHA-256 and size of its manifest, its members by path."""

    item: Item
    path: Path
    sha256: str
    size: int
    members: dict[str, Held]


def manifest(members: Iterable[tuple[str, str]]) -> bytes:
    """Return the manifest of `members`, pairs of path within the set and SHA-256 (hex)."""
    lines = sorted((_bytes(path), path, sha256) for path, sha256 in members)
    return b"".join(_line(path, sha256) for _, path, sha256 in lines)


def members_of(manifest: bytes) -> Iterator[tuple[str, str]]:
    """Yield path and SHA-256 of each member that a manifest lists."""
    for line in manifest.decode("utf-8", "surrogateescape").split("\n")[:-1]:
        escaped = line.startswith("\\")
        sha256, _, path = line[1 if escaped else 0 :].partition("  ")
        yield (re.sub(r"\\(.)", lambda match: _PLAIN[match[1]], path) if escaped else path), sha256


def _line(path: str, sha256: str) -> bytes:
    escaped = "".join(_ESCAPES.get(character, character) for character in path)
    return ("\\" if escaped != path else "").encode() + sha256.encode() + b"  " + _bytes(escaped) + b"\n"


def _bytes(path: str) -> bytes:
    try:
        return path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a surrogate that stands for no byte, from broken JSON
        return path.encode("utf-8", "surrogatepass")


def fetch_set(source: Source, folder: Item, cache: Cache) -> HeldSet:
    """Bring every file below `folder`, and a folder of them, into the cache.

    Raises
    ------
    SourceError
        If any member cannot be read: a set is whole or not there.
    CacheError
        If the bytes cannot be placed.
    """
    for _ in range(TRIES):
        members = fetch_members(source, list(source.list(folder)), cache)
        content = {path: held.sha256 for path, held in members.items()}
        text = manifest(content.items())
        with cache.receive(len(text)) as incoming:
            incoming.write(text)
            sha256 = incoming.commit()
        path = set_path(cache, folder.name, content)
        if path is not None:
            return HeldSet(folder, path, sha256, len(text), members)
    raise CacheError("The cache is too small for this file set. Raise the setting cache.max_bytes.")


def fetch_members(source: Source, listed: list[tuple[str, Item]], cache: Cache) -> dict[str, Held]:
    """Bring the listed files into the cache, several at a time; the first error, or Ctrl-C, ends it all."""
    ended = threading.Event()

    def wanted() -> bool:
        return not ended.is_set()

    def fetch_share(share: list[tuple[str, Item]]) -> list[tuple[str, Held]]:
        return [(path, fetch(source, item, cache, named=False, wanted=wanted)) for path, item in share if wanted()]

    step = max(1, min(_LONGEST_SHARE, len(listed) // (4 * THREADS)))
    shares = [listed[start : start + step] for start in range(0, len(listed), step)]
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="data-platform-read")
    try:
        under_way = [pool.submit(fetch_share, share) for share in shares]
        for done in as_completed(under_way):
            done.result()
        return dict(pair for share in under_way for pair in share.result())
    finally:
        ended.set()
        pool.shutdown(cancel_futures=True)
