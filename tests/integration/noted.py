"""What was noted down, taken out of the outbox, and what the cache holds of it."""

from __future__ import annotations

import json
from typing import Any

from data_platform.settings import settings
from readers.backlog import Backlog
from readers.cache import Cache

Note = dict[str, Any]


def notes() -> list[Note]:
    """Take the accesses noted since the last time out of the outbox."""
    backlog = Backlog(settings().outbox_folder)
    with backlog.exclusively():
        batch = backlog.take(10_000)
        backlog.done(batch)
    return sorted((json.loads(event.payload) for event in batch.events), key=lambda note: note["sequence"])


def note() -> Note:
    (one,) = notes()
    return one


def cached(sha256: str) -> bytes | None:
    limits = settings().cache
    file = Cache(settings().cache_folder, limits.max_bytes, limits.keep_seconds).open(sha256)
    if file is None:
        return None
    with file:
        return file.read()
