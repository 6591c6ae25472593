"""A store around another one, that seals contents before they get there and opens them when they are read.

A sealed content has the name that it would have otherwise and ``.sealed`` after it, so a listing tells what is sealed
and how many bytes it has plain, and what was stored before is read as ever. Names, places, sizes and hashes are those
of the plain bytes, so nobody else has to know. Packs are sealed as a whole, with their footers. Where a content is
both sealed and not, the sealed one counts, which tells damage by itself; of what is damaged there, the other is read.

An object ``seals/<id>`` beside the contents tells which keys were written with. So whoever comes without
a key, or with a wrong one, is refused at once, instead of taking all contents for missing.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain, groupby

from cryptography.exceptions import InvalidTag

from data_platform.errors import BlobDamaged, BlobMissing, ObjectLocked
from populate.store.base import DECISIONS, SEALED, SEALS, Place, Store, Traits, Writer, checked_object_name, without_key
from populate.store.sealing import HEADER, Header, MasterKey, Opening, Seal, plain_size, sealed_size

REMEMBERED = 4096
"""Headers of objects that are kept in memory: pieces of a pack are read one by one."""

NO_SIZE = -1
"""Size of an object that was cut off where no content ends."""

_NOTE = b"Contents of this store are sealed with the key of this id.\n"


class SealedStore(Store):
    """Contents of another store, sealed.

    Parameters
    ----------
    inner
        Where they are kept.
    keys
        The newest first; it is written with.
    seals
        Whether new contents are sealed; else they are stored as they are, and sealed ones are read only.
    """

    def __init__(self, inner: Store, keys: Sequence[MasterKey], *, seals: bool) -> None:
        self.inner = inner
        self.name = inner.name
        self.seals = seals
        self._keys = {key.id: key for key in reversed(keys)}
        self.newest = keys[0]
        self._known: OrderedDict[str, Opening] = OrderedDict()
        self._lock = threading.Lock()
        self._noting = threading.Lock()
        self._noted = False
        inner.opened_by = self

    def looks_empty(self) -> bool:
        return self.inner.looks_empty()

    def writer(self, sha256: str | None, size: int | None) -> Writer:
        return SealedWriter(self, sha256, size) if self.seals else PlainWriter(self, sha256, size)

    def read(self, place: Place) -> Iterator[bytes]:
        name, offset, length = place
        checked_object_name(name)
        try:
            for piece in self._opened(place):
                offset, length = offset + len(piece), length - len(piece)
                yield piece
            return
        except (BlobMissing, BlobDamaged) as error:
            failure = error
        pieces = self.inner.read(Place(name, offset, length))
        try:
            piece = next(pieces, b"")
        except BlobMissing:
            if isinstance(failure, BlobMissing):
                raise
            raise failure from None
        if piece:
            yield piece
        yield from pieces

    def size(self, object_name: str) -> int | None:
        checked_object_name(object_name)
        for name in _forms(object_name):
            if (size := self.inner.size(name)) is not None:
                return _plain(name, size)
        return None

    def objects(self, below: str = "objects/") -> Iterator[tuple[str, int]]:
        for name, found in groupby(self.inner.objects(below), lambda one: one[0].removesuffix(SEALED)):
            sizes = dict(found)
            counts = next(form for form in _forms(name) if form in sizes)
            yield name, _plain(counts, sizes[counts])

    def remove(self, object_name: str) -> bool:
        return bool(self.remove_many([object_name]))

    def remove_many(self, object_names: Sequence[str]) -> list[str]:
        names = [form for name in object_names for form in _forms(checked_object_name(name))]
        try:
            gone = {name.removesuffix(SEALED) for name in self.inner.remove_many(names)}
        except ObjectLocked as error:
            error.names = frozenset(name.removesuffix(SEALED) for name in error.names)
            raise
        return [name for name in object_names if name in gone]

    def traits(self) -> Traits:
        return self.inner.traits()

    def holds(self, object_name: str, size: int, sha256: str) -> bool:
        """Read an object that is there sealed, and tell whether it is whole and has this content.

        Raises
        ------
        StoreSealed
            If it is sealed with a key that is not among ours.
        StoreUnavailable
            If the store does not answer.
        """
        digest = hashlib.sha256()
        with self._lock:
            self._known.pop(object_name + SEALED, None)  # its header may be what is damaged
        try:
            for piece in self._opened(Place(object_name, 0, size)):
                digest.update(piece)
        except (BlobMissing, BlobDamaged):
            return False
        return digest.hexdigest() == sha256

    def key_of(self, object_name: str) -> str:
        """Return the id of the key that an object is sealed with, as it says.

        Raises
        ------
        BlobMissing, BlobDamaged
            If it is not there sealed, or has no such beginning.
        """
        return Header.of(self._header(object_name + SEALED)).key_id

    def forms(self) -> Iterator[tuple[str, dict[str, int]]]:
        """Yield the name of each object, and how many bytes each form of it has, by the name of that."""
        objects = chain.from_iterable(map(self.inner.objects, ("objects/", DECISIONS)))
        for name, found in groupby(objects, lambda one: one[0].removesuffix(SEALED)):
            yield name, dict(found)

    def noted_keys(self) -> set[str]:
        """Return the ids of the keys that contents were sealed with."""
        return _seals(self.inner)

    def forget_key(self, key_id: str) -> None:
        """Take back the note that contents are sealed with a key; none is any more."""
        self.inner.remove(f"{SEALS}{key_id}")

    def unknown_keys(self) -> list[str]:
        """Return the ids of the keys that contents were sealed with and that are not among ours.

        Raises
        ------
        StoreUnavailable
            If the store does not answer.
        """
        return sorted(_seals(self.inner) - self._keys.keys())

    def refuse_seals(self) -> None:
        self._own(_seals(self.inner))

    def _own(self, known: set[str]) -> set[str]:
        """Return the ids of the keys that contents were sealed with; raise `StoreSealed` if none of them is ours."""
        if known and not known & self._keys.keys():
            raise without_key(self.name, min(known))
        return known

    def note_key(self) -> None:
        """Enter beside the contents that they are sealed with our key; before the first one.

        Raises
        ------
        StoreSealed
            If they are sealed, and by none of our keys.
        """
        with self._noting:
            if self._noted:
                return
            self.inner.prepare()
            known = self._own(_seals(self.inner))
            if self.newest.id not in known:
                with self.inner.writer(None, len(_NOTE)) as writer:
                    writer.stored_as = f"{SEALS}{self.newest.id}"
                    writer.write(_NOTE)
                    writer.commit()
            self._noted = True

    def _opened(self, place: Place) -> Iterator[bytes]:
        name, offset, length = place.object_name + SEALED, place.offset, place.length
        opening, pieces = self._begun(name, place)
        if offset + length > opening.size:
            raise BlobDamaged(
                f"{self.name} holds {name} with {opening.size} bytes where {offset + length} are needed. "
                "Put the object back from a copy of the store."
            )
        while True:
            first, end = opening.span(offset, length)
            pieces = pieces or self.inner.read(Place(name, first, end - first))
            try:
                for piece in opening.opened(pieces, offset, length):
                    offset, length = offset + len(piece), length - len(piece)
                    yield piece
                return
            except InvalidTag:
                failed = opening.header
            # Somebody may have stored it once more, with another data key, since the header was read.
            opening, pieces = self._enter(name, self._header(name)), None
            if opening.header == failed:
                raise self._damaged(name)

    def _begun(self, name: str, place: Place) -> tuple[Opening, Iterator[bytes] | None]:
        """Return how an object is opened, and its segments if they came along: a whole content costs one request."""
        with self._lock:
            if (opening := self._known.get(name)) is not None:
                self._known.move_to_end(name)
                return opening, None
        if place.offset:
            return self._enter(name, self._header(name)), None
        pieces = self.inner.read(Place(name, 0, sealed_size(place.length)))
        begun = b""
        while len(begun) < HEADER and (piece := next(pieces, b"")):
            begun += piece
        opening = self._enter(name, begun[:HEADER])
        return opening, chain((begun[HEADER:],), pieces) if opening.size == place.length else None

    def _header(self, name: str) -> bytes:
        return b"".join(self.inner.read(Place(name, 0, HEADER)))

    def _enter(self, name: str, raw: bytes) -> Opening:
        header = Header.of(raw)
        if (key := self._keys.get(header.key_id)) is None:
            if any(other.fits(header.raw) for other in self._keys.values()):
                raise self._damaged(name)  # its own id is what is not as it was
            raise without_key(self.name, header.key_id)
        size = header.size if header.size is not None else plain_size(self.inner.size(name) or 0)
        if size is None:
            raise self._damaged(name)
        try:
            opening = Opening(header, key, size)
        except InvalidTag:
            raise self._damaged(name) from None
        with self._lock:
            self._known[name] = opening
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return opening

    def _damaged(self, name: str) -> BlobDamaged:
        return BlobDamaged(
            f"{self.name} holds {name}, which is not as it was sealed. Put the object back from a copy of the store."
        )


class SealedWriter(Writer):
    """Seals what it takes, and hands it to a writer of the inner store."""

    def __init__(self, store: SealedStore, sha256: str | None, size: int | None) -> None:
        super().__init__(sha256, size)
        self._store = store
        self._inner: Writer | None = None

    def _begin(self) -> Writer:
        self._store.note_key()
        self._seal = Seal(self._store.newest, self.size)
        self._inner = inner = self._store.inner.writer(None, None if self.size is None else sealed_size(self.size))
        inner.replace, inner.anew, inner.same = self.replace, self.anew, self._is_whole
        inner.stored_as = self.object_name + SEALED if self.sha256 else ""
        inner.write(self._seal.header)
        return inner

    def _append(self, chunk: memoryview) -> None:
        inner = self._inner or self._begin()
        inner.write(self._seal.sealed(chunk))

    def _publish(self) -> None:
        inner = self._inner or self._begin()
        inner.write(self._seal.last())
        inner.stored_as = self.object_name + SEALED
        inner.commit()

    def _is_whole(self) -> bool:
        size = self.received if self.size is None else self.size
        return self._store.holds(self.object_name, size, self.sha256)

    def _discard(self) -> None:
        if self._inner is not None:
            self._inner.abort()


class PlainWriter(Writer):
    """Hands what it takes to a writer of the inner store; what it puts in order is not there sealed and damaged."""

    def __init__(self, store: SealedStore, sha256: str | None, size: int | None) -> None:
        super().__init__(sha256, size)
        self._store = store
        self._inner = store.inner.writer(sha256, size)

    def _append(self, chunk: memoryview) -> None:
        self._inner.replace = self.replace
        self._inner.write(chunk)

    def _publish(self) -> None:
        self._inner.replace, self._inner.is_pack, self._inner.stored_as = self.replace, self.is_pack, self.stored_as
        self._inner.commit()
        if self.replace and not self._store.holds(self.object_name, self.received, self.sha256):
            with suppress(ObjectLocked):
                self._store.inner.remove_many([self.object_name + SEALED])

    def _discard(self) -> None:
        self._inner.abort()


def _forms(object_name: str) -> tuple[str, str]:
    """Return the names that an object may have, first that which counts."""
    return object_name + SEALED, object_name


def _plain(name: str, size: int) -> int:
    if not name.endswith(SEALED):
        return size
    return NO_SIZE if (plain := plain_size(size)) is None else plain


def _seals(store: Store) -> set[str]:
    return {name.removeprefix(SEALS) for name, _ in store.objects(SEALS)}
