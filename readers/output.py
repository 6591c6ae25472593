"""What a run writes: noted down by the hash of its bytes, so that they are known again wherever they turn up."""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path

from data_platform.errors import UnsupportedItem, at_caller
from data_platform.settings import settings
from readers.autolog import running_function
from readers.event import access_record, consumer
from readers.outbox import outbox
from readers.registry import source_of_kind
from readers.source import Item, Source

_log = logging.getLogger(__name__)


def log_output(path: str | os.PathLike[str]) -> Path:
    """Note down that this run wrote a file, as its bytes are now, and return its path.

    See `data_platform.log_output`. The bytes are hashed and not copied.

    Raises
    ------
    SourceError
        If it is no file that can be read to its end.
    """
    with at_caller:
        text = os.path.abspath(os.fsdecode(path))
        source = source_of_kind("file", settings())
        item = source.resolve(text)
        if item.is_folder:
            raise UnsupportedItem(f"{item.path} is a folder. Call log_output for each file in it that is a result.")
        digest, size = hash_of(source, item)
        _note(text, item, digest, size)
        return Path(path)


def hash_of(source: Source, item: Item) -> tuple[str, int]:
    """Return the SHA-256 of an item as it is now, and its size in bytes.

    Raises
    ------
    SourceError
        If it cannot be read to its end.
    """
    digest, size = hashlib.sha256(), 0

    def sink(piece: bytes) -> None:
        nonlocal size
        digest.update(piece)
        size += len(piece)

    source.download(item, source.revision(item), sink)
    return digest.hexdigest(), size


def _note(link: str, item: Item, sha256: str, size: int) -> None:
    """Hand the record to the outbox; whatever goes wrong with that, the run goes on."""
    try:
        record = access_record(
            consumer(settings(), None),
            url=link,
            function=running_function() or "",
            item=item,
            source_kind="file",
            sha256=sha256,
            size=size,
        )
        # Delivery knows an output by these names, which an access does not have.
        record["written_at"] = record.pop("accessed_at")
        record["output_size"] = record.pop("access_size")
        outbox().append(record)
    except Exception:
        _log.warning("An output could not be noted down. Run `data-platform doctor`.", exc_info=True)
