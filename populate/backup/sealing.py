"""What was stored before contents were sealed is sealed, and what was sealed with an older key is sealed anew.

Each object is written sealed, read back and compared with its hash; only then what is there unsealed goes. Rows stay
as they are, for an object is called the same. It is done within rounds of removals, some objects in each, so nothing
is removed or erased meanwhile and comes back sealed. Whoever is killed leaves an object there in both forms, which is
read as ever, and the next one goes on: a listing tells what is left to do.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

from data_platform.errors import (
    BlobDamaged,
    BlobMissing,
    ObjectLocked,
    SettingsError,
    StoreError,
    StoreSealed,
    StoreUnavailable,
)
from data_platform.settings import Settings
from populate.backup.removing import Round, removing
from populate.store import Place, Store, content_of, stores
from populate.store.base import PACKS, SEALED, decision_of, pack_name_of
from populate.store.sealed import NO_SIZE, SealedStore
from populate.store.sealing import plain_size
from schemas.binding import Binding

AT_ONCE = 200
"""Objects that are sealed in one round."""

BYTES_AT_ONCE = 256 * 1024 * 1024
"""Bytes of them, about: who wants to erase something waits for so long."""

PAUSE_SECONDS = 0.3
"""Between two rounds, for whoever else wants to remove something: they look more often than that."""

THREADS = 8
WAITING = 4 * THREADS


class Object(NamedTuple):
    """An object that is to be sealed.

    Attributes
    ----------
    name, size
        As rows have them.
    is_plain
        Whether it is there unsealed, and not only sealed with an older key.
    """

    name: str
    size: int
    is_plain: bool


@dataclass(slots=True)
class Sealed:
    """What became of the objects.

    Attributes
    ----------
    objects, bytes
        What is sealed now, and was not before.
    renewed
        How many objects were sealed with an older key, and are with the newest one now.
    locked
        How many are sealed, and there unsealed as well until the store lets that be removed.
    forgotten
        Ids of the keys that nothing is sealed with any more.
    refused
        What could not be sealed, and why; it stays as it is.
    """

    objects: int = 0
    bytes: int = 0
    renewed: int = 0
    locked: int = 0
    forgotten: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def seal(binding: Binding, settings: Settings, *, progress: Callable[[Sealed], object] | None = None) -> Sealed:
    """Seal all that the store and its replica hold with the newest key.

    Parameters
    ----------
    binding
        With the tables of `populate.pipeline`.
    settings
        With `store.seal` and its keys.
    progress
        Called with what has been done so far, after some objects each.

    Raises
    ------
    SettingsError
        If contents are not to be sealed.
    StoreUnavailable
        If a store does not answer, or something else is being removed from it.
    """
    done = Sealed()
    for store in map(_sealing, stores(settings)):
        store.note_key()
        for group in _groups(_unsealed(store)):
            time.sleep(PAUSE_SECONDS)
            with removing(binding, store, settings) as round_:
                _seal_group(round_, store, group, done)
            if progress is not None:
                progress(done)
        _forget_keys(store, done)
    return done


def _sealing(store: Store) -> SealedStore:
    if isinstance(store, SealedStore) and store.seals:
        return store
    raise SettingsError("Contents are not to be sealed here. Set store.seal and store.seal_keys on all machines first.")


def _unsealed(store: SealedStore) -> Iterator[Object]:
    """Yield what is left to do, as a listing tells; of which key an object is, it tells only by its beginning."""
    keys = store.noted_keys() - {store.newest.id}
    waiting: deque[tuple[str, int, Future[bool] | None]] = deque()
    with ThreadPoolExecutor(THREADS, thread_name_prefix="key") as pool:
        for name, sizes in store.forms():
            if (plain := sizes.get(name)) is not None:
                waiting.append((name, plain, None))
            elif keys:
                size = plain_size(sizes[name + SEALED])
                waiting.append((name, NO_SIZE if size is None else size, pool.submit(_is_of_older_key, store, name)))
            if len(waiting) >= WAITING:
                yield from _left(waiting.popleft())
        while waiting:
            yield from _left(waiting.popleft())


def _left(one: tuple[str, int, Future[bool] | None]) -> Iterator[Object]:
    name, size, is_older = one
    if is_older is None or is_older.result():
        yield Object(name, size, is_older is None)


def _is_of_older_key(store: SealedStore, name: str) -> bool:
    try:
        return store.key_of(name) != store.newest.id
    except BlobMissing:
        return False  # removed meanwhile
    except BlobDamaged:
        return True


def _groups(objects: Iterator[Object]) -> Iterator[list[Object]]:
    group, size = list[Object](), 0
    for one in objects:
        if group and (len(group) >= AT_ONCE or size + one.size > BYTES_AT_ONCE):
            yield group
            group, size = [], 0
        group.append(one)
        size += one.size
    if group:
        yield group


def _seal_group(round_: Round, store: SealedStore, group: list[Object], done: Sealed) -> None:
    with ThreadPoolExecutor(THREADS, thread_name_prefix="seal") as pool:
        results = list(pool.map(lambda one: seal_object(store, one), group))
    done.refused += [result for result in results if isinstance(result, str)]
    whole = [one for one, result in zip(group, results, strict=True) if result is True]
    done.renewed += sum(not one.is_plain for one in whole)
    plain = [one for one in whole if one.is_plain]
    round_.assert_at_work()
    kept = _without_plain(store, [one.name for one in plain])
    done.locked += len(kept)
    done.objects += len(plain) - len(kept)
    done.bytes += sum(one.size for one in plain if one.name not in kept)


def _without_plain(store: SealedStore, names: list[str]) -> frozenset[str]:
    """Remove what is there unsealed, and return what the store lets nobody remove yet."""
    try:
        store.inner.remove_many(names)
    except ObjectLocked as error:
        return error.names
    return frozenset()


def seal_object(store: SealedStore, one: Object) -> bool | str:
    """Seal an object and read it back; False if it is gone by now, or a text that says why it stays as it is."""
    try:
        sha256 = content_of(one.name) or decision_of(one.name) or _pack_of(one.name)
        if one.size == NO_SIZE:
            raise BlobDamaged("It was cut off. Run `data-platform check`, which tells how to have it again.")
        if not (store.holds(one.name, one.size, sha256) and store.key_of(one.name) == store.newest.id):
            _write(store, one, sha256)
            if not store.holds(one.name, one.size, sha256):
                raise BlobDamaged("It was not as it was written when it was read back. Try it again.")
    except BlobMissing:
        return False
    except StoreSealed as error:
        return f"{one.name}: {error}"
    except StoreUnavailable:
        raise
    except StoreError as error:
        return f"{one.name}: {error}"
    return True


def _write(store: SealedStore, one: Object, sha256: str) -> None:
    with store.writer(sha256, one.size) as writer:
        writer.is_pack, writer.anew, writer.stored_as = one.name.startswith(PACKS), True, one.name
        for piece in store.read(Place(one.name, 0, one.size)):
            writer.write(piece)
        writer.commit()


def _pack_of(name: str) -> str:
    sha256 = name[-64:]
    if not name.startswith(PACKS) or name != pack_name_of(sha256):
        raise StoreError("It is not called by the hash of its bytes, so it is nothing of ours. It stays as it is.")
    return sha256


def _forget_keys(store: SealedStore, done: Sealed) -> None:
    """Take back the notes of older keys, if nothing is sealed with them any more."""
    keys = store.noted_keys() - {store.newest.id}
    if keys and next(_unsealed(store), None) is None:
        for key in sorted(keys):
            store.forget_key(key)
            done.forgotten += [key] * (key not in done.forgotten)
