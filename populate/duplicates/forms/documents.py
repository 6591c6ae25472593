"""Documents and texts: what they say, without what programs add when they save or send them."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections.abc import Iterable, Iterator
from typing import Any
from xml.parsers import expat

from populate.duplicates.forms.form import DIGITS, DOCUMENT, JSON, TEXT, Form, sketched
from populate.duplicates.forms.unpack import checked, pieces

MAX_DOCUMENT = 256 * 1024**2  # bytes of an unpacked document
RUN = 5  # words that make an element of a text

# The parts that make up a document; not properties, custom XML, settings, themes and relations, which
# SharePoint and every save change.
_PARTS = re.compile(
    r"word/(document|header\d*|footer\d*|footnotes|endnotes|comments)\.xml"
    r"|ppt/(slides|notesSlides)/[^/]+\.xml"
    r"|(word|ppt)/(charts/[^/]+\.xml|diagrams/data[^/]+\.xml|(media|embeddings)/.+)"
)
_TEXTS = (
    "http://schemas.openxmlformats.org/wordprocessingml/2006/main t",
    "http://schemas.openxmlformats.org/drawingml/2006/main t",
)
_PARAGRAPHS = tuple(name[:-1] + "p" for name in _TEXTS)
_VOLATILE = re.compile(r"(^| )(rsid\w*|paraId|textId|Ignorable)$")  # numbers of editing sessions


class NotADocument(Exception):
    """The archive holds no document that could be compared."""


def document_form(archive: zipfile.ZipFile) -> Form:
    """Return the form of a Word or PowerPoint document.

    Raises
    ------
    NotADocument
        If it has none of the parts of one, or they are not the XML of one.
    """
    entries = [entry for entry in checked(archive, MAX_DOCUMENT) if _PARTS.fullmatch(entry.filename)]
    if not any(entry.filename.endswith(".xml") for entry in entries):
        raise NotADocument
    digest, words = hashlib.sha256(DOCUMENT.encode()), []
    for entry in sorted(entries, key=lambda entry: entry.filename):
        with archive.open(entry) as file:
            content = b"".join(pieces(file, entry.file_size))
        if entry.filename.endswith(".xml"):
            part = _Part(content)
            words += part.words
            content = part.digest
        digest.update(f"\0{entry.filename}\0".encode() + hashlib.sha256(content).digest())
    return Form(DOCUMENT, digest.hexdigest(), *sketched(_runs(words)))


class _Part:
    """An XML part, read without prefixes, order of attributes, comments and entities."""

    def __init__(self, content: bytes) -> None:
        self._hash = hashlib.sha256()
        self._text: list[str] = []
        self._in_text = False
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.EntityDeclHandler = self._refuse  # no document has entities, every bomb has
        parser.buffer_text = True
        try:
            parser.Parse(content, True)
        except expat.ExpatError as error:
            raise NotADocument(str(error)) from error
        self.digest = self._hash.digest()
        self.words = "".join(self._text).split()

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        kept = sorted(item for item in attributes.items() if not _VOLATILE.search(item[0]))
        self._hash.update(f"\1{name}{kept!r}".encode())
        self._in_text = name in _TEXTS

    def _end(self, name: str) -> None:
        self._hash.update(b"\2")
        self._in_text = False
        if name in _PARAGRAPHS:
            self._text.append("\n")

    def _characters(self, data: str) -> None:
        if self._in_text:
            self._text.append(data)
        if data.strip() or self._in_text:
            self._hash.update(b"\3" + data.encode())

    def _refuse(self, *_: Any) -> None:
        raise NotADocument("entities")


def text_form(content: str) -> Form:
    """Return the form of a text: line ends, blanks before them and a byte order mark do not count."""
    lines = [line.rstrip() for line in content.splitlines()]
    normal = "\n".join(lines).strip("\n")
    digest = hashlib.sha256(f"{TEXT}\0{normal}".encode())
    return Form(TEXT, digest.hexdigest(), *sketched(_runs(normal.split())))


def json_form(content: str) -> Form:
    """Return the form of a JSON value: layout and order of names do not count.

    Raises
    ------
    ValueError, RecursionError
        If it is not JSON, or nested too deeply.
    """
    value = json.loads(content)
    if not isinstance(value, dict | list):
        raise ValueError("a plain value")  # noqa: TRY004
    normal = json.dumps(value, sort_keys=True, ensure_ascii=False)
    digest = hashlib.sha256(f"{JSON}\0{normal}".encode("utf-8", "surrogatepass"))
    return Form(JSON, digest.hexdigest(), *sketched(_runs(normal.split())))


def decoded(content: bytes) -> str | None:
    """Return the text that `content` is, or None if it is none."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings: Iterable[str] = ("utf-16",)
    else:
        encodings = ("utf-8-sig", "cp1252")
    for encoding in encodings:
        try:
            found = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        return None if _CONTROL.search(found) else found
    return None


_CONTROL = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def _runs(words: list[str]) -> Iterator[str]:
    for start in range(max(0, len(words) - RUN + 1)):
        run = " ".join(words[start : start + RUN]).encode("utf-8", "surrogatepass")
        yield hashlib.blake2b(run, digest_size=16).hexdigest()[:DIGITS]
