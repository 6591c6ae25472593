"""A source with a version history, whose every answer a test can decide; a plug-in like a company's own.

An item is a folder: each file in it is a version, named by its revision, and the last by
name is the present one. A folder that is not there stands for a server that does not answer.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import ClassVar

from data_platform.errors import SourceUnavailable, VersionUnavailable
from readers.source import Item, Revision, Sink, Source

SYSTEM = "ledger/test"


class LedgerSource(Source):
    kind: ClassVar[str] = "ledger"
    asked: ClassVar[Counter[str]] = Counter()

    @classmethod
    def understands(cls, url: str) -> bool:
        return url.startswith("ledger:")

    def resolve(self, url: str) -> Item:
        return self.reopen(SYSTEM, url.removeprefix("ledger:"))

    def reopen(self, source_system: str, item_id: str) -> Item:
        self.asked[item_id] += 1
        if not Path(item_id).is_dir():
            raise SourceUnavailable("The ledger does not answer. Try again later. token=s3cr3t")
        return Item(source_system, item_id, Path(item_id).name, item_id, f"ledger:{item_id}")

    def revision(self, item: Item) -> Revision:
        newest = max(Path(item.item_id).iterdir())
        return Revision(newest.name, newest.stat().st_size)

    def download(self, item: Item, revision: Revision, sink: Sink) -> Revision:
        now = self.revision(item)
        sink((Path(item.item_id) / now.token).read_bytes())
        return now

    def download_version(self, item: Item, token: str, sink: Sink) -> None:
        try:
            data = (Path(item.item_id) / token).read_bytes()
        except FileNotFoundError:
            raise VersionUnavailable("The ledger has forgotten this version.") from None
        sink(data)
