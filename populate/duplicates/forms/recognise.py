"""From bytes to what they are, and to their canonical form: by the bytes and never by what the file is called.

Runs in a limited child process: what is parsed here may have been made to do harm.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import IO, Any, Protocol, TypeVar

from populate.duplicates.forms import documents, tables
from populate.duplicates.forms.cells import cell
from populate.duplicates.forms.form import Form
from populate.duplicates.forms.unpack import (
    MAX_UNPACKED,
    ZIP,
    bytes_form,
    checked,
    digest_of,
    opener_of,
    pieces,
    zip_form,
)

MAX_PARSED = 256 * 1024**2  # bytes; of what is larger only the bytes count
MAX_LAYERS = 2  # of compression: some archives contain themselves
BATCH = 10_000  # rows of a Parquet file at once

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # an .xls, among others
PARQUET = b"PAR1"
WORKBOOKS = frozenset(("xl/workbook.xml", "xl/workbook.bin", "content.xml"))
DOCUMENTS = frozenset(("word/document.xml", "ppt/presentation.xml"))

Opened = Callable[[], IO[bytes]]
T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


class Maker(Protocol[T_co]):
    """Makes something of a content that was recognised: its form, its profile …"""

    def opaque(self, sha256: str) -> T_co:
        """Of a format that is not opened, or too large for it; the hash is that of the bytes once unpacked."""

    def archive(self, archive: zipfile.ZipFile) -> T_co:
        """Of files that were packed together."""

    def document(self, archive: zipfile.ZipFile) -> T_co:
        """Of a Word or PowerPoint document."""

    def workbook(self, content: bytes) -> T_co:
        """Of a spreadsheet; raises `tables.NotATable` or `ValueError` if it is none after all."""

    def parquet(self, file: IO[bytes]) -> T_co:
        """Of a Parquet file."""

    def text(self, text: str) -> T_co:
        """Of any text: delimited, JSON, prose."""


def form_of(opened: Opened, size: int, sha256: str) -> Form:
    """Return the form of a content; compression does not count. See `recognise`."""
    return recognise(opened, size, sha256, _Forms())


def recognise(opened: Opened, size: int, sha256: str, maker: Maker[T]) -> T:
    """Return what is made of a content, by what it is; compression does not count.

    Parameters
    ----------
    opened
        Opens it at its beginning, each time anew.
    size, sha256
        Of the content.
    maker
        Gets what it was recognised as.

    Raises
    ------
    Exception
        Whatever parsers raise at bytes that are not what they begin like.
    """
    with opened() as file:
        head = file.read(8)
    unpack = opener_of(head)
    if unpack is not None:
        return _inner(lambda: unpack(opened()), 1, maker)
    if head.startswith(ZIP):
        with opened() as file, zipfile.ZipFile(file) as archive:
            return _archive(archive, lambda: _whole(opened), 0, maker)
    return maker.opaque(sha256) if size > MAX_PARSED else _plain(_whole(opened), sha256, 0, maker)


def _whole(opened: Opened) -> bytes:
    with opened() as file:
        return file.read()


def _inner(opened: Opened, layers: int, maker: Maker[T]) -> T:
    """Recognise what a compressed file holds; `opened` opens it, `layers` were taken off then."""
    sha256, size = digest_of(opened())
    if size > MAX_PARSED:
        return maker.opaque(sha256)
    with opened() as file:
        return _plain(b"".join(pieces(file, size)), sha256, layers, maker)


def _archive(archive: zipfile.ZipFile, content: Callable[[], bytes], layers: int, maker: Maker[T]) -> T:
    entries = checked(archive, MAX_UNPACKED)
    names = {entry.filename for entry in entries}
    if WORKBOOKS & names:
        checked(archive, MAX_PARSED)
        try:
            return maker.workbook(content())
        except (tables.NotATable, ValueError):
            return maker.archive(archive)
    if DOCUMENTS & names:
        return maker.document(archive)
    if len(entries) == 1 and layers < MAX_LAYERS:
        return _inner(lambda: archive.open(entries[0]), layers + 1, maker)
    return maker.archive(archive)


def _plain(content: bytes, sha256: str, layers: int, maker: Maker[T]) -> T:
    """Recognise something that is not compressed, or was unpacked."""
    if content.startswith(ZIP) and layers:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _archive(archive, lambda: content, layers, maker)
    if content.startswith(PARQUET):
        return maker.parquet(io.BytesIO(content))
    if content.startswith(OLE):
        try:
            return maker.workbook(content)
        except (tables.NotATable, ValueError):
            return maker.opaque(sha256)  # a .doc, a message, an installer
    text = documents.decoded(content)
    return maker.opaque(sha256) if text is None or not text.strip() else maker.text(text)


class _Forms:
    """Makes canonical forms; a `Maker`."""

    opaque = staticmethod(bytes_form)
    archive = staticmethod(zip_form)
    document = staticmethod(documents.document_form)

    def workbook(self, content: bytes) -> Form:
        return tables.workbook_form(sheet for _, sheet in sheets_of(content))

    def parquet(self, file: IO[bytes]) -> Form:
        opened, names = parquet_of(file)
        if opened.metadata.num_rows * len(names) > tables.MAX_CELLS:
            raise tables.NotATable(f"{opened.metadata.num_rows} rows of {len(names)} columns")
        return tables.table_form(names, ([cell(value) for value in row] for row in rows_of(opened)))

    def text(self, text: str) -> Form:
        return _text(text)


def _text(text: str) -> Form:
    if text.lstrip()[:1] in ("{", "["):
        with suppress(ValueError, RecursionError):
            return documents.json_form(text)
    with suppress(tables.NotATable, csv.Error):
        return tables.delimited_form(text)
    return documents.text_form(text)


def sheets_of(content: bytes) -> Iterator[tuple[str, list[list[Any]]]]:
    """Yield the sheets of a workbook: name, and rows of values.

    Raises
    ------
    ValueError
        If it is no workbook.
    """
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(content))
        for name in book.sheet_names:
            yield name, book.get_sheet_by_name(name).to_python()
    except CalamineError as error:
        raise ValueError(str(error)) from error


def parquet_of(file: IO[bytes]) -> tuple[Any, list[str]]:
    """Return an opened Parquet file, and the names of its columns."""
    from pyarrow import parquet

    opened = parquet.ParquetFile(file)
    return opened, [str(name) for name in opened.schema_arrow.names]


def rows_of(opened: Any) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of an opened Parquet file, some of them in memory at a time."""
    for batch in opened.iter_batches(batch_size=BATCH, use_threads=False):
        yield from zip(*map(_values, batch.columns), strict=True)


def _values(column: Any) -> list[Any]:
    """Return values as Python's; narrow floats as what they were written as, not as what they widen to."""
    if str(column.type) in ("float", "halffloat"):
        return [None if value is None else float(str(value)) for value in column.to_numpy(zero_copy_only=False)]
    values: list[Any] = column.to_pylist()
    return values
