"""What a read is, for counting how the catalogue is used."""

from __future__ import annotations

from typing import NamedTuple


class Read(NamedTuple):
    """Reads of a day, alike but for the file; people by id, departments of that day, empty = none known."""

    reader: str
    reading: str
    owner: str
    owning: str
    source_system: str
    source_kind: str
    times: int


def is_foreign(read: Read) -> bool:
    """Tell whether it is of somebody else's file, the departments of both known."""
    return read.reader != read.owner and bool(read.reading) and bool(read.owning)
