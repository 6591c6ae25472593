"""From bytes to a canonical form, by what the bytes are and never by what the file is called.

Runs in a limited child process: what is parsed here may have been made to do harm.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import IO, Any

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


def form_of(opened: Opened, size: int, sha256: str) -> Form:
    """Return the form of a content; compression does not count.

    Parameters
    ----------
    opened
        Opens it at its beginning, each time anew.
    size, sha256
        Of the content.

    Raises
    ------
    Exception
        Whatever parsers raise at bytes that are not what they begin like.
    """
    with opened() as file:
        head = file.read(8)
    unpack = opener_of(head)
    if unpack is not None:
        return _inner(lambda: unpack(opened()), 1)
    if head.startswith(ZIP):
        with opened() as file, zipfile.ZipFile(file) as archive:
            return _archive(archive, lambda: _whole(opened), 0)
    return bytes_form(sha256) if size > MAX_PARSED else _plain(_whole(opened), sha256, 0)


def _whole(opened: Opened) -> bytes:
    with opened() as file:
        return file.read()


def _inner(opened: Opened, layers: int) -> Form:
    """Return the form of what a compressed file holds; `opened` opens it, `layers` were taken off then."""
    sha256, size = digest_of(opened())
    if size > MAX_PARSED:
        return bytes_form(sha256)
    with opened() as file:
        return _plain(b"".join(pieces(file, size)), sha256, layers)


def _archive(archive: zipfile.ZipFile, content: Callable[[], bytes], layers: int) -> Form:
    entries = checked(archive, MAX_UNPACKED)
    names = {entry.filename for entry in entries}
    if WORKBOOKS & names:
        checked(archive, MAX_PARSED)
        try:
            return _workbook(content())
        except (tables.NotATable, ValueError):
            return zip_form(archive)
    if DOCUMENTS & names:
        return documents.document_form(archive)
    if len(entries) == 1 and layers < MAX_LAYERS:
        return _inner(lambda: archive.open(entries[0]), layers + 1)
    return zip_form(archive)


def _plain(content: bytes, sha256: str, layers: int) -> Form:
    """Return the form of something that is not compressed, or was unpacked."""
    if content.startswith(ZIP) and layers:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _archive(archive, lambda: content, layers)
    if content.startswith(PARQUET):
        return _parquet(io.BytesIO(content))
    if content.startswith(OLE):
        return _spreadsheet_or_bytes(content, sha256)
    text = documents.decoded(content)
    return bytes_form(sha256) if text is None or not text.strip() else _text(text)


def _text(text: str) -> Form:
    if text.lstrip()[:1] in ("{", "["):
        with suppress(ValueError, RecursionError):
            return documents.json_form(text)
    with suppress(tables.NotATable, csv.Error):
        return tables.delimited_form(text)
    return documents.text_form(text)


def _spreadsheet_or_bytes(content: bytes, sha256: str) -> Form:
    try:
        return _workbook(content)
    except (tables.NotATable, ValueError):
        return bytes_form(sha256)  # a .doc, a message, an installer


def _workbook(content: bytes) -> Form:
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(content))
        return tables.workbook_form(book.get_sheet_by_name(name).to_python() for name in book.sheet_names)
    except CalamineError as error:
        raise ValueError(str(error)) from error


def _parquet(file: IO[bytes]) -> Form:
    from pyarrow import parquet

    opened = parquet.ParquetFile(file)
    width = len(opened.schema_arrow.names)
    if opened.metadata.num_rows * width > tables.MAX_CELLS:
        raise tables.NotATable(f"{opened.metadata.num_rows} rows of {width} columns")
    return tables.table_form([str(name) for name in opened.schema_arrow.names], _rows(opened))


def _rows(opened: Any) -> Iterator[list[str]]:
    for batch in opened.iter_batches(batch_size=BATCH, use_threads=False):
        columns = [[cell(value) for value in _values(column)] for column in batch.columns]
        yield from map(list, zip(*columns, strict=True))


def _values(column: Any) -> list[Any]:
    """Return values as Python's; narrow floats as what they were written as, not as what they widen to."""
    if str(column.type) in ("float", "halffloat"):
        return [None if value is None else float(str(value)) for value in column.to_numpy(zero_copy_only=False)]
    values: list[Any] = column.to_pylist()
    return values
