"""One download over http: possibly in several answers, of one and the same content."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from itertools import chain

import httpcore

from data_platform.errors import IncompleteDownload, SourceChanged, TooLarge, UnsupportedItem
from readers.addresses import Link
from readers.http_answer import Head, has_login_form, login_needed
from readers.source import Revision, Sink

_SNIFFED = 64 * 1024
_INFLATED = 1024 * 1024
_WINDOW = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


class Answer:
    """An answer's head, and its body still to be read."""

    def __init__(self, head: Head, response: httpcore.Response) -> None:
        self.head = head
        self._response = response

    def pieces(self) -> Iterator[bytes]:
        """Yield the body as it travels; raises `IncompleteDownload` unless all of it and no more came."""
        received = 0
        try:
            for piece in self._response.iter_stream():
                received += len(piece)
                yield piece
        except (httpcore.RemoteProtocolError, httpcore.ReadError) as error:
            raise IncompleteDownload(f"{self._where} broke off after {received} bytes. Try again.") from error
        self._refuse_excess()

    def skip_body(self) -> None:
        """End an answer to HEAD, after which the connection can be used again."""
        for _ in self._response.iter_stream():
            pass
        if (wire := self._wire).get_extra_info("body_received"):
            wire.close()  # a body against the rules must not be taken for the next answer

    def _refuse_excess(self) -> None:
        """Refuse an answer with more bytes than it announced, as a proxy that recodes leaves it."""
        announced = self.head.headers.get("content-length", "")
        if announced.isdecimal() and self._wire.get_extra_info("body_received") > int(announced):
            self._wire.close()  # what is left over must not be taken for the next answer
            raise Excess(f"{self._where} sends more than the {announced} bytes it announces. Report it to its owner.")

    @property
    def _where(self) -> str:
        return self.head.link.identity

    @property
    def _wire(self) -> httpcore.NetworkStream:
        wire: httpcore.NetworkStream = self._response.extensions["network_stream"]
        return wire

    def close(self) -> None:
        self._response.close()


class Excess(IncompleteDownload):
    """More bytes than announced: asking for the rest cannot help."""


class Transfer:
    """Passes on the content of one link in order, and goes on where an answer broke off.

    Parameters
    ----------
    asked
        The link as it was given.
    revision
        What the source said beforehand.
    limit
        Largest content that is accepted, in bytes.
    """

    def __init__(self, asked: Link, revision: Revision, sink: Sink, *, limit: int) -> None:
        self._asked = asked
        self._sink = sink
        self._told = revision
        self._limit = limit
        self._first: Head | None = None
        self._hash = hashlib.sha256()
        self._done = 0

    @property
    def can_go_on(self) -> bool:
        """Whether another answer can be told to be of the same content."""
        return self._first is not None and not self._first.encoding and self._first.validator is not None

    def conditions(self) -> dict[str, str]:
        """Return the request's headers that ask for the bytes still to come."""
        if not self._done or self._first is None or self._first.validator is None:
            return {}
        return {"Range": f"bytes={self._done}-", "If-Range": self._first.validator.condition}

    def receive(self, answer: Answer) -> None:
        """Pass on an answer's bytes, as far as they have not been passed on before.

        Raises
        ------
        SourceChanged
            If the answer is of other content than the one before it.
        IncompleteDownload
            If it breaks off.
        """
        head = answer.head
        if self._done and head.status in {412, 416}:
            raise self._changed()
        if refusal := head.refusal():
            raise refusal
        before = self._begin(head) if self._first is None else self._go_on(self._first, head)
        for piece in self._readable(answer):
            fresh = piece[before:]
            before -= len(piece) - len(fresh)
            if fresh:
                self._pass_on(fresh)
        self._check_complete(head)

    def revision(self, *, trust_validator: bool) -> Revision:
        """Return the revision that the bytes belong to, once all have been passed on."""
        assert self._first is not None
        validator = self._first.validator if trust_validator else None
        token = validator.token if validator else f"sha256:{self._hash.hexdigest()}"
        return Revision(token, self._done, self._first.modified_at)

    def _begin(self, head: Head) -> int:
        if head.first_byte != 0:
            raise IncompleteDownload(f"{head.link.identity} sends a part that was not asked for. Try again.")
        if (size := head.size) is not None and size > self._limit:
            raise self._too_large(f"{size}")
        if head.encoding not in {"", *_WINDOW}:
            raise UnsupportedItem(
                f"{head.link.identity} is sent in the compression {head.encoding!r}, which was not asked for."
                " Ask its owner to serve the file as it is."
            )
        self._first = head
        return 0

    def _go_on(self, first: Head, head: Head) -> int:
        """Return how many bytes at the start of this answer were passed on before."""
        if head.status == 206 and head.first_byte == self._done and head.agrees_with(first):
            return 0
        # No range was asked for at byte 0, and many servers ignore ranges: then all comes again.
        if head.status != 206 and first.validator is not None and head.validator == first.validator:
            return self._done
        raise self._changed()

    def _readable(self, answer: Answer) -> Iterator[bytes]:
        pieces = answer.pieces()
        if answer.head.encoding:
            pieces = _inflated(pieces, answer.head)
        if answer.head.may_be_login_page(self._asked) and not self._done:
            pieces = _screened(pieces, answer.head.link)
        return pieces

    def _pass_on(self, piece: bytes) -> None:
        if self._done + len(piece) > self._limit:
            raise self._too_large("more")
        self._hash.update(piece)
        self._sink(piece)
        self._done += len(piece)

    def _check_complete(self, head: Head) -> None:
        expected = self._expected(head)
        if expected is not None and self._done < expected:
            raise IncompleteDownload(
                f"{head.link.identity} sent {self._done} of the {expected} bytes it announced. Try again."
            )

    def _expected(self, head: Head) -> int | None:
        """Return how many bytes there should be in all.

        An answer without a length ends with the connection, whether or not that was the end:
        then what the source said beforehand counts, unless it was said of another state.
        """
        if head.size is not None or head.encoding or "transfer-encoding" in head.headers:
            return head.size
        same_state = head.validator is None or head.validator.token == self._told.token
        return self._told.size if same_state else None

    def _too_large(self, size: str) -> TooLarge:
        return TooLarge(
            f"{self._asked.identity} has {size} bytes, over the limit of {self._limit}."
            " Raise the setting http.max_bytes if it is to be read."
        )

    def _changed(self) -> SourceChanged:
        return SourceChanged(f"{self._asked.identity} changed while it was read. Read it again.")


def _screened(pieces: Iterator[bytes], link: Link) -> Iterator[bytes]:
    """Hold the first bytes back until they have been looked at."""
    start = b""
    for piece in pieces:
        start += piece
        if len(start) >= _SNIFFED:
            break
    if has_login_form(start):
        raise login_needed(link)
    yield from chain((start,), pieces)


def _inflated(pieces: Iterator[bytes], head: Head) -> Iterator[bytes]:
    """Undo gzip or deflate in steps of at most 1 MiB, whatever a piece grows to."""
    window = _WINDOW[head.encoding]
    inflater = zlib.decompressobj(window)
    try:
        for piece in pieces:
            rest = piece
            while rest:
                if inflater.eof:  # gzip may come in several members
                    inflater = zlib.decompressobj(window)
                yield inflater.decompress(rest, _INFLATED)
                rest = inflater.unconsumed_tail or inflater.unused_data
        yield inflater.flush()
        complete = inflater.eof
    except zlib.error as error:
        raise IncompleteDownload(f"{head.link.identity} is damaged in transfer. Try again.") from error
    if not complete:
        raise IncompleteDownload(f"{head.link.identity} broke off within its compression. Try again.")
