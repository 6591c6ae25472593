"""Small contents travel together: a pack is one object with many contents and a footer that names them.

Most of the time that small files take is requests, not bytes. A pack is written once, under its
own SHA-256, and read by range. It describes itself, so that a catalogue that was lost can be made
anew from it::

    content, content, …                      bytes, one after the other
    SHA-256, offset, length   for each       32 + 8 + 8 bytes, big-endian
    number of contents, magic                8 + 8 bytes
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Mapping

from data_platform.errors import BlobDamaged
from populate.store.base import Place, Store, Writer, pack_name_of

PACKED = 1024 * 1024
"""Contents of at most so many bytes travel in packs."""

FEW = 8
"""Fewer contents than this are objects of their own: a pack would hardly save a request."""

MAGIC = b"DPPACK1\n"
_ENTRY = struct.Struct(">32sQQ")
_TAIL = struct.Struct(">Q8s")


def divided(contents: Mapping[str, bytes], most: int) -> Iterator[dict[str, bytes]]:
    """Divide contents into what is stored together, each group as one object.

    Parameters
    ----------
    contents
        Bytes by their SHA-256.
    most
        Bytes of a pack, about; 0 = each content by itself.
    """
    group: dict[str, bytes] = {}
    size = 0
    for sha256, content in contents.items():
        if len(content) > PACKED or not most:
            yield {sha256: content}
            continue
        if group and size + len(content) > most:
            yield from _of_enough(group)
            group, size = {}, 0
        group[sha256] = content
        size += len(content)
    yield from _of_enough(group)


def _of_enough(group: dict[str, bytes]) -> Iterator[dict[str, bytes]]:
    if len(group) >= FEW:
        yield group
    else:
        yield from ({sha256: content} for sha256, content in group.items())


def keep(store: Store, contents: Mapping[str, bytes]) -> dict[str, Place]:
    """Store contents in one object, and return their places.

    Parameters
    ----------
    store
        Where they go.
    contents
        Bytes by their SHA-256, which was compared.

    Raises
    ------
    StoreFull, StoreUnavailable, StoreError
        If they cannot be stored; nothing new is visible then.
    """
    if len(contents) == 1:
        ((sha256, content),) = contents.items()
        with store.writer(sha256, len(content)) as writer:
            writer.write(content)
            return {sha256: writer.commit()}
    parts, places = _laid_out(contents)
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    with store.writer(digest.hexdigest(), sum(map(len, parts))) as writer:
        writer.is_pack = True
        for part in parts:
            writer.write(part)
        writer.commit()
    name = pack_name_of(digest.hexdigest())
    return {sha256: Place(name, offset, length) for sha256, (offset, length) in places.items()}


def _laid_out(contents: Mapping[str, bytes]) -> tuple[list[bytes], dict[str, tuple[int, int]]]:
    """Return the parts of a pack, and offset and length of each content."""
    places, offset = {}, 0
    for sha256, content in contents.items():
        places[sha256] = (offset, len(content))
        offset += len(content)
    footer = b"".join(_ENTRY.pack(bytes.fromhex(sha256), *place) for sha256, place in places.items())
    return [*contents.values(), footer + _TAIL.pack(len(places), MAGIC)], places


def entry_bytes(number: int) -> int:
    """Return how many bytes a pack of so many contents has beside these."""
    return number * _ENTRY.size + _TAIL.size


def contents_of_pack(store: Store, object_name: str, size: int) -> dict[str, Place]:
    """Return the places of the contents of a pack, by SHA-256, as its footer tells.

    Parameters
    ----------
    store
        That holds it.
    object_name, size
        The pack, and its bytes.

    Raises
    ------
    BlobMissing
        If there is no such object.
    BlobDamaged
        If it is no pack, or its footer is damaged.
    """
    if size < _TAIL.size:
        raise _no_pack(store, object_name)
    number, magic = _TAIL.unpack(_read(store, Place(object_name, size - _TAIL.size, _TAIL.size)))
    body = size - _TAIL.size - number * _ENTRY.size
    if magic != MAGIC or body < 0:
        raise _no_pack(store, object_name)
    footer = _read(store, Place(object_name, body, number * _ENTRY.size))
    entries = [(digest.hex(), offset, length) for digest, offset, length in _ENTRY.iter_unpack(footer)]
    if any(offset + length > body for _, offset, length in entries):
        raise _no_pack(store, object_name)
    return {sha256: Place(object_name, offset, length) for sha256, offset, length in entries}


def _read(store: Store, place: Place) -> bytes:
    return b"".join(store.read(place))


def _no_pack(store: Store, object_name: str) -> BlobDamaged:
    return BlobDamaged(
        f"{store.name} holds {object_name}, which has no footer of a pack. Put it back from a copy of the store."
    )


class Held(Writer):
    """Keeps a content in memory and compares its hash; stores nothing."""

    def __init__(self, sha256: str, size: int) -> None:
        super().__init__(sha256, size)
        self.content = bytearray()

    def _append(self, chunk: memoryview) -> None:
        self.content += chunk

    def _publish(self) -> None:
        pass

    def _discard(self) -> None:
        self.content.clear()
