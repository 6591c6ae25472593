"""The index of this machine: views of files, in Tantivy."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from populate.search.engine import FACETS, facets_of, in_sample, level, prior
from populate.search.index_questions import PREFIXES, IndexQuestions
from populate.search.text import distinct, stem
from populate.search.views import Document, View

if TYPE_CHECKING:
    import tantivy

FORMAT = 4
"""Rises when what is indexed of the same tables becomes another; an index of another format is made anew."""

HEAP_BYTES = 64 * 1024**2
COMMIT_EVERY = 20_000
"""Files, after which what was indexed is kept: each commit costs a tenth of a second."""


class Index:
    """Views of files that can be searched.

    Parameters
    ----------
    folder
        Where it is kept, made if it is not there; in memory if None.

    Raises
    ------
    MissingExtra
        If Tantivy is not installed (where users are told of errors).
    """

    def __init__(self, folder: Path | None = None) -> None:
        import tantivy

        self.schema = _schema()
        if folder is None:
            self._index = tantivy.Index(self.schema)
        else:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._index = tantivy.Index(self.schema, path=str(folder))
        spaces = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build()
        self._index.register_tokenizer("spaces", spaces)
        self._index.config_reader("manual")

    def searcher(self) -> tantivy.Searcher:
        """Return what is indexed at this moment, whichever process did it."""
        self._index.reload()
        return self._index.searcher()

    @contextmanager
    def asking(self, terms: Collection[str]) -> Iterator[IndexQuestions]:
        """Let somebody with these terms ask what is indexed at this moment."""
        yield IndexQuestions(self.schema, self.searcher(), terms)

    @property
    def views(self) -> int:
        """How many are indexed at this moment."""
        return int(self.searcher().num_docs)

    def put(self, documents: Iterable[Document], done: Callable[[str], None] = lambda file_id: None) -> int:
        """Index what is said of files in place of what was said before, and return of how many.

        Parameters
        ----------
        done
            Called with the last file after each commit.
        """
        writer = self._index.writer(HEAP_BYTES, 1)
        count, last = 0, ""
        for document in documents:
            count, last = count + 1, document.file_id
            writer.delete_documents_by_term("file_id", document.file_id)
            for view in document.views:
                writer.add_document(self._entry(document, view))
            if count % COMMIT_EVERY == 0:
                writer.commit()
                done(last)
        writer.commit()
        if last:
            done(last)
        writer.wait_merging_threads()
        return count

    def digests(self, files: Iterable[str]) -> dict[str, str]:
        """Return the digests of those of the files that have a view in the index."""
        import tantivy

        searcher, found = self.searcher(), {}
        for file_id in files:
            query = tantivy.Query.term_query(self.schema, "file_id", file_id, "basic")
            for _, address in searcher.search(query, 1, count=False).hits:
                found[file_id] = str(searcher.doc(address)["digest"][0])
        return found

    def _entry(self, document: Document, view: View) -> tantivy.Document:
        import tantivy

        about = view.about
        entry = tantivy.Document()
        words = " ".join(distinct(map(stem, view.plain)))
        for prefix in (prefix for times, prefix in PREFIXES.items() if in_sample(document.file_id, times)):
            for term in view.may:
                entry.add_text(f"{prefix}may", term)
            for term in view.unless:
                entry.add_text(f"{prefix}unless", term)
            entry.add_text(f"{prefix}words", words)
        entry.add_text("file_id", document.file_id)
        entry.add_text("digest", document.digest)
        entry.add_text("plain", " ".join(view.plain))
        entry.add_text("name", " ".join(about["words"].get("name", ())))
        for facet, value in facets_of(about).items():
            if value:
                entry.add_text(facet, value)
        worth = prior(document.file_id, about)
        entry.add_float("prior", worth)
        entry.add_text("level", str(level(worth)))
        entry.add_bytes("view", orjson.dumps(about))
        return entry


def _schema() -> tantivy.Schema:
    import tantivy

    builder = tantivy.SchemaBuilder()
    builder.add_text_field("file_id", stored=True, tokenizer_name="raw", index_option="basic")
    builder.add_text_field("digest", stored=True, tokenizer_name="raw", index_option="basic")
    for name in ("level", *(f"{prefix}{name}" for prefix in PREFIXES.values() for name in ("may", "unless"))):
        builder.add_text_field(name, tokenizer_name="raw", index_option="basic")
    for name in ("name", "plain", *(f"{prefix}words" for prefix in PREFIXES.values())):
        builder.add_text_field(name, tokenizer_name="spaces", index_option="basic")
    for name in FACETS:
        builder.add_text_field(name, tokenizer_name="raw", index_option="basic", fast=True)
    builder.add_float_field("prior", fast=True)
    builder.add_bytes_field("view", stored=True)
    return builder.build()
