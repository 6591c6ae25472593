"""How tests fill a cache and look into it."""

from __future__ import annotations

import os
from pathlib import Path

from readers.cache import Cache
from readers.cache_space import VERIFIED


def put(cache: Cache, data: bytes) -> str:
    with cache.receive(len(data)) as incoming:
        incoming.write(data[: len(data) // 2])
        incoming.write(data[len(data) // 2 :])
        return incoming.commit()


def given(cache: Cache, sha256: str, name: str = "a.csv") -> Path:
    path = cache.path(sha256, name)
    assert path is not None
    return path


def used_at(cache: Cache, sha256: str, seconds: float) -> None:
    """Make it look as if the content was last used then."""
    for mark in Path(cache.content_folder(sha256)).glob(f"{VERIFIED}*"):
        os.utime(mark, (seconds, seconds))


def files_in(folder: str | Path) -> list[Path]:
    return [path for path in Path(folder).rglob("*") if path.is_file()]


def damage(path: Path, data: bytes) -> None:
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.truncate(len(data))
        file.write(data)
    path.chmod(0o444)
    # Not left to the clock's grain: a damage within the tick of the commit would keep the time.
    state = path.stat()
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 1))


def replace(path: Path) -> None:
    path.unlink()
    path.write_bytes(b"others")
