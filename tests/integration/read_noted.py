"""What a test of reads writes, and what waits in the outbox afterwards."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, ClassVar

from data_platform.errors import SourceChanged
from data_platform.settings import settings
from readers.backlog import Backlog
from readers.source import Item, Revision, Sink, Source


def write(path: Path, data: bytes = b"1,2\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def accesses() -> list[dict[str, Any]]:
    """Return what waits in the outbox, in the order in which it happened."""
    backlog = Backlog(settings().outbox_folder)
    events = [json.loads(event.payload) for event in backlog._next(backlog._load().delivered, 10**9).events]
    return sorted(events, key=lambda event: event["sequence"])


def half_things() -> list[Path]:
    return [*settings().cache_folder.glob("incoming/*"), *settings().cache_folder.glob("content/*/*")]


class UnsteadySource(Source):
    """Fails `failures` times, then serves ``whole``; tells a size of `told`."""

    kind: ClassVar[str] = "unsteady"
    failures: ClassVar[int] = 0
    told: ClassVar[int | None] = None
    downloads: ClassVar[int] = 0

    @classmethod
    def understands(cls, url: str) -> bool:
        return False

    def resolve(self, url: str) -> Item:
        return Item("unsteady/here", url, "a.csv", url, url)

    def revision(self, item: Item) -> Revision:
        return Revision(f"{self.downloads}", self.told)

    def download(self, item: Item, revision: Revision, sink: Sink) -> Revision:
        type(self).downloads += 1
        sink(b"wh")
        if self.downloads <= self.failures:
            raise SourceChanged("It changed. Read it again.")
        sink(b"ole")
        return revision
