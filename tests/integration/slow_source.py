"""A source that tells when it is being read and goes on when a test lets it; installed as a company would.

An item is a folder: ``data`` holds its bytes, ``reading-<process>`` appears when a process
reads them, and ``go`` lets it finish.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import ClassVar

from readers.source import Item, Revision, Sink, Source

SYSTEM = "slow/test"


class SlowSource(Source):
    kind: ClassVar[str] = "slow"

    @classmethod
    def understands(cls, url: str) -> bool:
        return url.startswith("slow:")

    def resolve(self, url: str) -> Item:
        return self.reopen(SYSTEM, url.removeprefix("slow:"))

    def reopen(self, source_system: str, item_id: str) -> Item:
        return Item(source_system, item_id, Path(item_id).name, item_id, f"slow:{item_id}")

    def revision(self, item: Item) -> Revision:
        return Revision("r1", (Path(item.item_id) / "data").stat().st_size)

    def download(self, item: Item, revision: Revision, sink: Sink) -> Revision:
        folder = Path(item.item_id)
        (folder / f"reading-{os.getpid()}").touch()
        deadline = time.monotonic() + 120
        while not (folder / "go").exists():
            if time.monotonic() > deadline:
                raise TimeoutError("nobody said go")
            sink(b"")
            time.sleep(0.01)
        sink((folder / "data").read_bytes())
        return revision


def install(site: Path) -> Path:
    """Make a folder for the module path, like that of an installed package, which registers the source."""
    package = site / "slow_source-1.0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: slow-source\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[data_platform.readers]\nslow = slow_source:SlowSource\n")
    (site / "slow_source.py").write_text(Path(__file__).read_text())
    return site
