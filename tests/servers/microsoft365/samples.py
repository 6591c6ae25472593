"""Bodies as the vendor's documentation prints them, to be replayed to the byte."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "data" / "microsoft365" / "samples"


@dataclass(frozen=True)
class Sample:
    """A body; `status` is 0 if it is a request's, `request` is what it answers."""

    name: str
    status: int
    request: str

    @property
    def content(self) -> bytes:
        return (FOLDER / self.name).read_bytes()


def samples() -> dict[str, Sample]:
    """Return all of them by name, as ``graph/drive_get.json``."""
    rows = [line.split("|")[1:-1] for line in (FOLDER / "index.md").read_text().splitlines() if line.startswith("| ")]
    found = [Sample(row[0].strip(), int(row[1]), row[2].strip()) for row in rows if row[1].strip().isdigit()]
    return {sample.name: sample for sample in found}
