"""What is inside compressed files, with a limit to how much may come out of them."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import IO, Any

from populate.duplicates.forms.form import ARCHIVE, BYTES, Form, form

PIECE = 1024 * 1024
MAX_UNPACKED = 8 * 1024**3  # bytes that are hashed on the way
MAX_RATIO = 1000  # zlib itself does not get beyond 1032
MAX_ENTRIES = 20_000

# How a format begins, and what opens it.
PACKED: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
ZIP = b"PK\x03\x04"


class TooMuch(Exception):
    """More comes out than may."""


def opener_of(head: bytes) -> Callable[..., Any] | None:
    """Return what unpacks a compressed stream that begins with `head`, or None."""
    return next((opener for magic, opener in PACKED.items() if head.startswith(magic)), None)


def pieces(file: IO[bytes], limit: int = MAX_UNPACKED) -> Iterator[bytes]:
    """Yield what `file` holds.

    Raises
    ------
    TooMuch
        If that is more than `limit` bytes.
    """
    total = 0
    while piece := file.read(PIECE):
        total += len(piece)
        if total > limit:
            raise TooMuch(f"more than {limit} bytes come out of it")
        yield piece


def checked(archive: zipfile.ZipFile, limit: int) -> list[zipfile.ZipInfo]:
    """Return the files in a zip archive, after a look at what its directory promises.

    Raises
    ------
    TooMuch
        If there are too many or too large ones.
    """
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    if len(entries) > MAX_ENTRIES:
        raise TooMuch(f"{len(entries)} files in it")
    total = sum(entry.file_size for entry in entries)
    packed = sum(entry.compress_size for entry in entries)
    if total > limit or total > MAX_RATIO * max(packed, 1024):
        raise TooMuch(f"{total} bytes would come out of it")
    return entries


def zip_form(archive: zipfile.ZipFile) -> Form:
    """Return the form of an archive: names and bytes of its files, however they are compressed."""
    elements = []
    for entry in checked(archive, MAX_UNPACKED):
        digest = hashlib.sha256()
        with archive.open(entry) as file:
            for piece in pieces(file, entry.file_size):
                digest.update(piece)
        elements.append(f"{entry.filename}\x1f{digest.hexdigest()}".encode())
    return form(ARCHIVE, [], elements)


def bytes_form(sha256: str, why: str = "") -> Form:
    """Return the form of something of which only the bytes count."""
    return Form(BYTES, sha256, why=why)


def digest_of(opened: IO[bytes]) -> tuple[str, int]:
    """Return SHA-256 and length of all that `opened` holds, in little memory."""
    digest, size = hashlib.sha256(), 0
    with ExitStack() as stack:
        stack.callback(opened.close)
        for piece in pieces(opened):
            digest.update(piece)
            size += len(piece)
    return digest.hexdigest(), size
