"""What a content store is: the contract of a folder and of a bucket.

Content is named by its SHA-256, written once and visible only when complete. A `Writer`
hashes what passes through it and publishes nothing unless the hash is the one announced,
so whatever happens on the way, an object that can be seen is whole.
"""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from data_platform.errors import BlobDamaged, StoreError, StoreSealed

CHUNK = 1024 * 1024
"""Bytes handed over at once when reading."""

PACKS = "objects/packs/"
"""Beginning of the names of packs; see `populate.store.pack`."""

SEALED = ".sealed"
"""End of the names of objects that are encrypted; see `populate.store.sealed`."""

SEALS = "seals/"
"""Beginning of the names of objects that tell with which keys the others are encrypted."""

DECISIONS = "decisions/"
"""Beginning of the names of objects that tell what was decided of keeping; see `populate.retention.decisions`."""

LAST_NUMBER = 2**31 - 1
"""Largest number that a hold or rule can have in its column."""

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_DECISION = re.compile(r"decisions/[0-9]{8}T[0-9]{6}\.[0-9]{6}Z-([1-9][0-9]{0,9})-([0-9a-f]{64})", re.ASCII)
_OBJECT_NAME = re.compile(r"[a-z0-9]+(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+", re.ASCII)


class Place(NamedTuple):
    """Where a content is kept: `length` bytes (int) from byte `offset` (int) of an object."""

    object_name: str
    offset: int
    length: int


def object_name_of(sha256: str) -> str:
    """Return the name of the object that holds one content alone.

    Raises
    ------
    StoreError
        If `sha256` is not 64 lower-case hexadecimal digits.
    """
    if not _SHA256.fullmatch(sha256):
        raise StoreError(f"{sha256[:80]!r} is not a SHA-256: 64 lower-case hexadecimal digits are needed.")
    return f"objects/{sha256[:2]}/{sha256[2:4]}/{sha256}"


def pack_name_of(sha256: str) -> str:
    """Return the name of the object that holds many contents, by its own SHA-256.

    Raises
    ------
    StoreError
        If `sha256` is not 64 lower-case hexadecimal digits.
    """
    object_name_of(sha256)
    return f"{PACKS}{sha256[:2]}/{sha256}"


def content_of(object_name: str) -> str | None:
    """Return the SHA-256 whose own object this is, or None for any other object."""
    sha256 = object_name[-64:]
    return sha256 if _SHA256.fullmatch(sha256) and object_name == object_name_of(sha256) else None


class Named(NamedTuple):
    """What the name of a decision tells beside the time: `number` (int), and `sha256` (str) that it is known by."""

    number: int
    sha256: str


def named(object_name: str) -> Named | None:
    """Return what the name of a decision tells, or None for any other object."""
    match = _DECISION.fullmatch(object_name)
    return Named(int(match[1]), match[2]) if match and int(match[1]) <= LAST_NUMBER else None


def decision_of(object_name: str) -> str | None:
    """Return the SHA-256 of the decision that has this name, or None for any other object."""
    return found.sha256 if (found := named(object_name)) else None


def checked_object_name(object_name: str) -> str:
    """Return `object_name` if it can only lead to something inside the store."""
    if not _OBJECT_NAME.fullmatch(object_name):
        raise StoreError(
            f"{object_name[:80]!r} is not the name of a stored object. Compare it with the table Placement."
        )
    return object_name


def without_key(store_name: str, key_id: str = "") -> StoreSealed:
    """Return the error for a store whose contents are sealed with a key that is not among ours."""
    which = f"the key {key_id}, which is not among store.seal_keys" if key_id else "a key, and store.seal_keys has none"
    return StoreSealed(
        f"The contents of {store_name} are sealed with {which}. Set store.seal_keys on this machine as on those that "
        "store contents; `data-platform doctor` tells which keys are missing."
    )


class Traits(NamedTuple):
    """What a store really enforces, found out by trying.

    Attributes
    ----------
    create_only
        An object is not overwritten by who says that it must not be.
    payload
        Bytes that were altered on their way are refused; else they are read back after writing.
    checksum
        Bytes are refused that do not have the SHA-256 sent along with them.
    multipart
        A large content can be sent in parts.
    versioning
        What is overwritten or deleted is kept as an older version.
    object_lock
        Objects can be locked against deletion.
    """

    create_only: bool
    payload: bool
    checksum: bool
    multipart: bool
    versioning: bool
    object_lock: bool


class Writer(ABC):
    """Takes the bytes of one content, in order; a context manager that aborts unless committed.

    Attributes
    ----------
    replace
        Whether an object of this name and size is taken for damaged, and put in order by what comes. Where it can
        be altered on its way, it is read first, and stays if it is whole. Set it before the first bytes.
    anew
        Whether what is there is replaced even if it is whole, because it is to be sealed with another key.
    same
        Tells whether an object of this name and size has this content, where its hash does not tell because
        it is sealed.
    is_pack
        Whether the bytes are a pack, which has a name of its own kind.
    stored_as
        Name of the object where it is not made of the hash of these bytes alone: they are sealed, or a decision.
        Set it before the first bytes if their hash is announced, else before `commit`.
    """

    def __init__(self, sha256: str | None, size: int | None) -> None:
        if sha256 is not None:
            object_name_of(sha256)  # refuses what is no hash
        self.sha256 = sha256 or ""
        self.size = size
        self.received = 0
        self.replace = False
        self.anew = False
        self.same: Callable[[], bool] | None = None
        self.is_pack = False
        self.stored_as = ""
        self._digest = hashlib.sha256()
        self._ended = False

    @property
    def object_name(self) -> str:
        """The object's name; not known before `commit` where the hash was not announced."""
        if self.stored_as:
            return self.stored_as
        return pack_name_of(self.sha256) if self.is_pack else object_name_of(self.sha256)

    def write(self, chunk: bytes | bytearray | memoryview) -> None:
        """Take the next bytes.

        Raises
        ------
        BlobDamaged
            If these are more bytes than were announced.
        StoreFull, StoreUnavailable, StoreError
            If they cannot be stored; the writer is aborted then.
        """
        self._check_open()
        view = memoryview(chunk).cast("B")
        self.received += len(view)
        if self.size is not None and self.received > self.size:
            self.abort()
            raise BlobDamaged(f"More than the announced {self.size} bytes came for {self._called}. Read it again.")
        self._digest.update(view)
        try:
            self._append(view)
        except BaseException:
            self.abort()
            raise

    def commit(self) -> Place:
        """Make the content visible, durably, and return where it is.

        Raises
        ------
        BlobDamaged
            If the bytes are not those of the announced SHA-256; nothing is visible then.
        StoreFull, StoreUnavailable, StoreError
            If they cannot be stored; nothing new is visible then.
        """
        self._check_open()
        try:
            self._check_content()
            self._publish()
        except BaseException:
            self.abort()
            raise
        self._ended = True
        return Place(self.object_name, 0, self.received)

    def abort(self) -> None:
        """Forget the bytes; does nothing after a commit or another abort."""
        if not self._ended:
            self._ended = True
            self._discard()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.abort()

    def _check_open(self) -> None:
        if self._ended:
            raise StoreError(
                f"The writer of {self._called} was committed or aborted before. Ask the store for a new one."
            )

    def _check_content(self) -> None:
        digest = self._digest.hexdigest()
        if self.size is not None and self.received != self.size:
            raise BlobDamaged(
                f"{self.received} of the announced {self.size} bytes came for {self._called}. Read again."
            )
        self.sha256, self.size = self.sha256 or digest, self.received
        if digest != self.sha256:
            raise BlobDamaged(f"The bytes have the SHA-256 {digest} and not {self.sha256}. Read the item again.")

    @property
    def _called(self) -> str:
        return self.sha256 or "a content without announced hash"

    @abstractmethod
    def _append(self, chunk: memoryview) -> None:
        """Take the next bytes where nobody sees them."""

    @abstractmethod
    def _publish(self) -> None:
        """Make the bytes visible as `object_name`; they are known to be right."""

    @abstractmethod
    def _discard(self) -> None:
        """Remove every trace of the bytes, without raising."""


class Readable(Protocol):
    """What contents can be read from."""

    name: str

    def read(self, place: Place) -> Iterator[bytes]:
        """Yield the bytes at `place`, as `Store.read` does."""


class Store(ABC):
    """A place for content. Methods raise the errors of `data_platform.errors` only.

    A store may be used by several threads at once and belongs to the process that opened
    it: after a fork, open another.
    """

    name: str
    """Stable identity without secrets, at most 255 characters, as ``folder:/data/store``."""

    opened_by: Store | None = None
    """The store around this one that opens what is sealed; without one, meeting that is an error."""

    def refuse_sealed(self, object_name: str) -> None:
        """Raise `StoreSealed` if nobody here opens an object that is sealed, or that is there only sealed."""
        if self.opened_by is not None:
            return
        if object_name.endswith(SEALED) or self.size(object_name + SEALED) is not None:
            raise without_key(self.name)

    def refuse_seals(self) -> None:
        """Look whether contents are sealed, which somebody else may have begun: who has no key removes nothing.

        Raises
        ------
        StoreSealed
            If they are, and nobody here opens them.
        StoreUnavailable
            If the store does not answer.
        """
        name, _ = next(self.objects(SEALS), ("", 0))
        if name:
            raise without_key(self.name, name.removeprefix(SEALS))

    def looks_empty(self) -> bool:
        """Tell whether nothing at all is kept; False where that costs more than a glance."""
        return False

    def prepare(self) -> None:  # noqa: B027 - most need nothing
        """Make what is missing before the first write."""

    @abstractmethod
    def writer(self, sha256: str | None, size: int | None) -> Writer:
        """Return a writer for the content `sha256` of `size` bytes (None = not known yet, for either)."""

    @abstractmethod
    def read(self, place: Place) -> Iterator[bytes]:
        """Yield the `place.length` bytes at `place`, in pieces of about 1 MiB.

        Raises
        ------
        BlobMissing
            If there is no such object.
        BlobDamaged
            If the object is too short for the place. The hash is for the caller to compare.
        """

    @abstractmethod
    def size(self, object_name: str) -> int | None:
        """Return an object's size in bytes, or None if it is not there."""

    @abstractmethod
    def objects(self, below: str = "objects/") -> Iterator[tuple[str, int]]:
        """Yield name and size in bytes of every object, in the order of their names.

        Parameters
        ----------
        below
            Beginning of the names, up to a slash.
        """

    @abstractmethod
    def remove(self, object_name: str) -> bool:
        """Remove an object for good, older versions of it included; False if there is none.

        Raises
        ------
        StoreUnavailable, StoreError
            If it cannot be removed: the store does not answer, or does not allow it.
        ObjectLocked
            If the store has it locked.
        """

    def remove_many(self, object_names: Sequence[str]) -> list[str]:
        """Remove objects for good, as `remove` does each; return those that were there, as far as the store tells.

        Raises
        ------
        ObjectLocked
            If some are locked; it names them. All others are gone.
        """
        return [name for name in object_names if self.remove(name)]

    @abstractmethod
    def traits(self) -> Traits:
        """Try what the store enforces; some requests, and a small object beside the contents.

        Raises
        ------
        StoreFull, StoreUnavailable, StoreError
            If it cannot be tried.
        """

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"
