"""The bytes behind a pre-authenticated address, which is short-lived and takes no sign-in."""

from __future__ import annotations

import re

import httpcore

from data_platform.errors import (
    IncompleteDownload,
    SourceChanged,
    SourceNotFound,
    SourceTimeout,
    SourceUnavailable,
    TooLarge,
    UnsafeLink,
)
from readers.addresses import Link
from readers.microsoft365.brake import Brake
from readers.microsoft365.exchange import Exchange, heads
from readers.microsoft365.graph import told_to_wait
from readers.microsoft365.quickxor import QuickXor
from readers.source import Sink
from readers.transport import within

_RANGE = re.compile(r"bytes (?:(?P<first>\d+)-\d+|\*)/(?P<all>\d+|\*)")


class AddressExpired(SourceUnavailable):
    """The address is not valid any more: a new one is to be had from Graph."""


class Download:
    """Passes on the bytes of one state of an item, in order, in as many answers as it takes.

    Parameters
    ----------
    name
        For messages.
    limit
        Largest content that is accepted, in bytes.
    deadline
        Seconds for one answer.
    """

    def __init__(self, exchange: Exchange, brake: Brake, sink: Sink, *, name: str, limit: int, deadline: float) -> None:
        self._exchange = exchange
        self._brake = brake
        self._sink = sink
        self._name = name
        self._limit = limit
        self._deadline = deadline
        self._hash = QuickXor()
        self.done = 0
        self.announced: int | None = None
        """Bytes of the whole content, as the answers say."""

    @property
    def quick_xor(self) -> str:
        return self._hash.base64()

    def receive(self, url: str, patience: float) -> None:
        """Pass on what is still to come from `url`; returns once all of it has come.

        Raises
        ------
        AddressExpired
            If a new address is needed.
        IncompleteDownload, SourceUnavailable, SourceTimeout
            If it broke off; `done` says how much has been passed on.
        SourceChanged
            If the answer is not the rest of what came before.
        """
        link = Link.parse(url)
        if not self._exchange.may_send_bytes(link):
            raise UnsafeLink(
                f"Microsoft 365 sends {self._name!r} from {link.host}, which is none of its own hosts."
                " If it is right, list it in the setting http.trusted_hosts."
            )
        self._brake.wait(patience)
        # Never a token: the address is the right to read, and whoever gets a token with it refuses both.
        headers = {"Accept": "*/*"} | ({"Range": f"bytes={self.done}-"} if self.done else {})
        with within(self._deadline):
            response = self._exchange.open("GET", link, headers)
            try:
                before = self._accept(response.status, heads(response))
                self._pass_on_all(response, before)
            finally:
                response.close()

    def _accept(self, status: int, headers: dict[str, str]) -> int:
        """Judge the head of an answer; return how many bytes of it have been passed on before."""
        if (wait := told_to_wait(status, headers)) is not None:
            self._brake.hold(wait)
        match = _RANGE.fullmatch(headers.get("content-range", ""))
        whole = match["all"] if match else headers.get("content-length", "") if status == 200 else ""
        size = int(whole) if whole.isdecimal() else None
        if status in {401, 403}:
            raise AddressExpired(f"The address of {self._name!r} is not valid any more. Read it again.")
        if status in {404, 410}:
            raise SourceNotFound(f"{self._name!r} is not there any more. Ask its owner where it went.")
        if status == 416 and self.done and size == self.done:
            return 0
        if status == 416 or (size is not None and self.announced is not None and size != self.announced):
            raise SourceChanged(f"{self._name!r} changed while it was read. Read it again.")
        if status not in {200, 206}:
            raise SourceUnavailable(f"{self._name!r} is answered {status}. Try again later.")
        if status == 206 and (match is None or match["first"] is None or int(match["first"]) != self.done):
            raise SourceChanged(f"{self._name!r} comes in another part than was asked for. Read it again.")
        self.announced = size if size is not None else self.announced
        if self.announced is not None and self.announced > self._limit:
            raise self._too_large()
        return 0 if status == 206 else self.done

    def _pass_on_all(self, response: httpcore.Response, before: int) -> None:
        if response.status == 416:
            return
        try:
            for piece in response.iter_stream():
                fresh = piece[before:]
                before -= len(piece) - len(fresh)
                if fresh:
                    self._pass_on(fresh)
        except httpcore.TimeoutException as error:
            raise SourceTimeout(f"{self._name!r} stopped after {self.done} bytes. Try again.") from error
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise IncompleteDownload(f"{self._name!r} broke off after {self.done} bytes. Try again.") from error
        if self.announced is not None and self.done < self.announced:
            raise IncompleteDownload(f"{self._name!r} sent {self.done} of {self.announced} bytes. Try again.")

    def _pass_on(self, piece: bytes) -> None:
        if self.done + len(piece) > self._limit:
            raise self._too_large()
        self._hash.update(piece)
        self._sink(piece)
        self.done += len(piece)

    def _too_large(self) -> TooLarge:
        return TooLarge(
            f"{self._name!r} is larger than {self._limit} bytes."
            " Raise the setting microsoft365.max_bytes if it is to be read."
        )
