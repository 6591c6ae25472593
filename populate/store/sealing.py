"""How a content is sealed before it leaves this machine: an envelope that is opened piece by piece.

::

    magic, id of the master key      8 + 8 bytes
    bytes of the content             8, big-endian; all ones where they were not known beforehand
    nonce, encrypted data key        12 + 48
    segment, segment, …              each up to 64 KiB of the content, encrypted, and a tag of 16 bytes

Each object has a data key of its own, drawn at random and encrypted with AES-256-GCM under a key that HKDF-SHA256
(RFC 5869) makes of the master key; what stands before it is authenticated with it. Segments are encrypted with
AES-256-GCM under the data key, and the nonce of each is its number (11 bytes, big-endian) and whether it is the last
one (1 byte), so that none can be moved, left out or added, and an object that was cut off is told from a whole one.
That is STREAM: V. T. Hoang, R. Reyhanitabar, P. Rogaway and D. Vizár, "Online Authenticated-Encryption and its
Nonce-Reuse Misuse-Resistance" (CRYPTO 2015, eprint.iacr.org/2015/189), with the nonces and the segments of the file
format of age (age-encryption.org/v1), where the cipher is another one. Tink's AES-GCM-HKDF streaming is alike, but its
package for Python opens from the beginning only, as the AWS Encryption SDK does, and pieces of packs are read.

The primitives are those of the package cryptography. Which content an object holds is not sealed into it: it is called
by the hash of the content, and whoever reads compares that.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from data_platform.errors import BlobDamaged, SettingsError

SEGMENT = 64 * 1024
"""Bytes of a content that are encrypted together; what is read is a whole number of these."""

TAG = 16
MAGIC = b"DPSEAL1\n"
_WHOLE = SEGMENT + TAG
_NAMED = struct.Struct(">8s8sQ")
_HEADER = struct.Struct(">8s8sQ12s48s")
HEADER = _HEADER.size
_NOT_KNOWN = 2**64 - 1
_KEY = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)
_ID, _WRAP = b"data-platform: id of a master key", b"data-platform: key of data keys"


def sealed_size(size: int) -> int:
    """Return how many bytes a content of `size` bytes has once it is sealed."""
    return HEADER + size + TAG * (_last(size) + 1)


def plain_size(stored: int) -> int | None:
    """Return how many bytes a content has that has `stored` bytes sealed; None if no content has so many."""
    segments = max(1, -(-(stored - HEADER) // _WHOLE))
    size = stored - HEADER - TAG * segments
    return size if size >= 0 and sealed_size(size) == stored else None


def _last(size: int) -> int:
    """Return the number of the last segment, from 0; of nothing there is one, too, which says so."""
    return max(0, size - 1) // SEGMENT


def _nonce(number: int, is_last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([is_last])


class MasterKey:
    """A key that data keys are encrypted with. It is not in any text that is made of it.

    Attributes
    ----------
    id
        16 hexadecimal digits, which are made of the key and do not tell it.
    """

    def __init__(self, secret: bytes) -> None:
        self.id = _derived(secret, _ID, 8).hex()
        self._cipher = AESGCM(_derived(secret, _WRAP, 32))

    def wrapped(self, data_key: bytes, size: int | None) -> bytes:
        """Return the beginning of an object that is encrypted with a data key."""
        named = _NAMED.pack(MAGIC, bytes.fromhex(self.id), _NOT_KNOWN if size is None else size)
        nonce = os.urandom(12)
        return named + nonce + self._cipher.encrypt(nonce, data_key, named)

    def unwrapped(self, header: bytes) -> bytes:
        """Return the data key. Raises `InvalidTag` if the header is not as it was written."""
        nonce, wrapped = _HEADER.unpack(header)[3:]
        return self._cipher.decrypt(nonce, wrapped, header[: _NAMED.size])

    def fits(self, header: bytes) -> bool:
        """Tell whether a header would be one of this key's if it named it."""
        named = _NAMED.pack(MAGIC, bytes.fromhex(self.id), _NAMED.unpack_from(header)[2])
        with suppress(InvalidTag):
            self.unwrapped(named + header[_NAMED.size :])
            return True
        return False


def _derived(secret: bytes, purpose: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=purpose).derive(secret)


def master_keys(text: str) -> list[MasterKey]:
    """Return the keys of the setting `store.seal_keys`, the newest first.

    Raises
    ------
    SettingsError
        If one is no key; the text is not told.
    """
    parts = text.replace(",", " ").split()
    for number, part in enumerate(parts, 1):
        if not _KEY.fullmatch(part):
            raise SettingsError(
                f"Key {number} of store.seal_keys is not 64 hexadecimal digits. Make one with `openssl rand -hex 32`."
            )
    return [MasterKey(bytes.fromhex(part)) for part in parts]


class Seal:
    """Seals one content, in order, with a data key of its own; `header` comes first.

    Parameters
    ----------
    key
        The master key.
    size
        Bytes of the content, if they are known.
    """

    def __init__(self, key: MasterKey, size: int | None) -> None:
        data_key = AESGCM.generate_key(256)
        self.header = key.wrapped(data_key, size)
        self._cipher = AESGCM(data_key)
        self._number = 0
        self._waiting = bytearray()

    def sealed(self, chunk: bytes | memoryview) -> bytes:
        """Take the next bytes, and return the segments that are complete and certainly not the last one."""
        self._waiting += chunk
        ready = max(0, len(self._waiting) - 1) // SEGMENT * SEGMENT
        with memoryview(self._waiting) as waiting:
            segments = [self._segment(waiting[at : at + SEGMENT]) for at in range(0, ready, SEGMENT)]
        del self._waiting[:ready]
        return b"".join(segments)

    def last(self) -> bytes:
        """Return the last segment."""
        return self._segment(memoryview(bytes(self._waiting)), is_last=True)

    def _segment(self, plain: memoryview, is_last: bool = False) -> bytes:
        nonce = _nonce(self._number, is_last)
        self._number += 1
        with plain:
            return self._cipher.encrypt(nonce, plain, None)


@dataclass(frozen=True, slots=True)
class Header:
    """The beginning of a sealed object: not proven to be right before the data key was had by it."""

    raw: bytes
    key_id: str
    size: int | None

    @classmethod
    def of(cls, raw: bytes) -> Header:
        """Read a header.

        Raises
        ------
        BlobDamaged
            If it is none.
        """
        if len(raw) != HEADER or not raw.startswith(MAGIC):
            raise BlobDamaged("It is no sealed content. Put it back from a copy of the store.")
        _, key_id, size, _, _ = _HEADER.unpack(raw)
        return cls(raw, key_id.hex(), None if size == _NOT_KNOWN else size)


class Opening:
    """Opens pieces of one sealed object.

    Parameters
    ----------
    header
        Of the object.
    key
        The master key that the header names.
    size
        Bytes of the content.
    """

    def __init__(self, header: Header, key: MasterKey, size: int) -> None:
        self.header = header
        self.size = size
        self._cipher = AESGCM(key.unwrapped(header.raw))

    def span(self, offset: int, length: int) -> tuple[int, int]:
        """Return first and end of the bytes of the object that have these bytes of the content."""
        end = _first(offset + max(length, 1) - 1, self.size) + 1
        return HEADER + _first(offset, self.size) * _WHOLE, min(HEADER + end * _WHOLE, sealed_size(self.size))

    def opened(self, pieces: Iterable[bytes], offset: int, length: int) -> Iterator[bytes]:
        """Yield bytes of the content, of pieces that begin as `span` tells; nothing that is not proven.

        Raises
        ------
        InvalidTag
            If a segment is not as it was written.
        BlobDamaged
            If there are too few.
        """
        number = _first(offset, self.size)
        skip, proven = offset - number * SEGMENT, False
        for plain in self._segments(pieces, number):
            part = plain[skip : skip + length]
            skip, length, proven = max(0, skip - len(plain)), length - len(part), True
            if part:
                yield part
        if length or not proven:
            raise BlobDamaged("A sealed content became shorter while it was read. Run `data-platform check`.")

    def _segments(self, pieces: Iterable[bytes], number: int) -> Iterator[bytes]:
        waiting = bytearray()
        for piece in pieces:
            waiting += piece
            ready = len(waiting) // _WHOLE * _WHOLE
            if not ready:
                continue
            yield b"".join(
                self._open(waiting[at : at + _WHOLE], number + at // _WHOLE) for at in range(0, ready, _WHOLE)
            )
            number += ready // _WHOLE
            del waiting[:ready]
        if waiting:
            yield self._open(waiting, number)

    def _open(self, segment: bytearray, number: int) -> bytes:
        if len(segment) < TAG:
            raise InvalidTag
        return self._cipher.decrypt(_nonce(number, number == _last(self.size)), segment, None)


def _first(offset: int, size: int) -> int:
    """Return the number of the segment of a byte; of the end of the content, that of the last one."""
    return min(offset // SEGMENT, _last(size))
