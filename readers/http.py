"""Files behind http and https links."""

from __future__ import annotations

import re
import ssl
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import ClassVar

import httpcore

from data_platform.errors import (
    AccessDenied,
    IncompleteDownload,
    SourceNotFound,
    SourceTimeout,
    SourceUnavailable,
    TooLarge,
    UnknownSource,
    UnsafeLink,
    UnsupportedItem,
)
from data_platform.settings import Settings
from readers.addresses import Link, TrustedHosts
from readers.http_answer import Head, clean_name, link_name
from readers.http_transfer import Answer, Excess, Transfer
from readers.linked import LinkedItem, link_of, take_seen
from readers.source import Item, Revision, Sink, Source
from readers.transport import Transport, remaining, within

_HEADERS = {"User-Agent": "data-platform", "Accept": "*/*", "Accept-Encoding": "identity"}
_PATIENCE_SECONDS = 5.0
_RESUMES = 3
_PAUSE_SECONDS = 0.1
_MAX_ID = 4096
# The parts of a signature over the path: whoever has one still names the item by its path.
# Any other secret, say ?token=..., may be what tells two items apart.
_SIGNING = re.compile(
    r"x-(?:amz|goog|oss|cos)-.*|sig|s[a-z]{1,4}|signature|(?:aws|oss)accesskeyid|googleaccessid|key-pair-id|policy|expires"
)


class HttpSource(Source):
    """Reads http(s) links, with the caution that links of others need.

    Only public addresses are contacted, and only by https, unless the host is listed in the
    setting ``http.trusted_hosts``; redirects are followed by hand and judged like links. A
    company that signs in to a system of its own subclasses this and overrides `headers`.

    A page to sign in at is an `AccessDenied`, not data: that is a web page to which the link
    was redirected and whose address says login, sign-in, SSO or the like; or a web page with
    a password field where the link names a data file. Any other page is taken as it is.

    Where a server tells neither a strong ETag nor a settled time of change, each read
    downloads, and the revision is the hash of what came.
    """

    kind: ClassVar[str] = "http"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._http = settings.http
        self._trusted = TrustedHosts(settings.http.trusted_hosts)
        self._transport = Transport(settings.http.timeout_seconds)

    @classmethod
    def understands(cls, url: str) -> bool:
        return re.match(r"https?://", url, re.IGNORECASE) is not None

    def headers(self, origin: str) -> Mapping[str, str]:
        """Return additional request headers for `origin` (``https://host[:port]``) and no other."""
        return {}

    def resolve(self, url: str) -> Item:
        """Return the item behind a link; asks the server for its name and revision at once."""
        link = Link.parse(url)
        head = self._probe(link)
        return self._item(link, head.name(link)).remember(url, self._revision(link, head))

    def reopen(self, source_system: str, item_id: str) -> Item:
        """Return an item by what the catalogue knows of it, which includes no secrets."""
        link = Link.parse(item_id)
        if _system(link) != source_system:
            raise UnknownSource(f"{link.identity} does not belong to {source_system}. Check the catalogue's row.")
        return self._item(link, link_name(link))

    def revision(self, item: Item) -> Revision:
        """Return what the server says about the item's state; the token never repeats where it says nothing."""
        if seen := take_seen(item):
            return seen
        link = Link.parse(link_of(item) or item.url)
        with _explaining(item):
            return self._revision(link, self._probe(link))

    def download(self, item: Item, revision: Revision, sink: Sink) -> Revision:
        """Stream the item; after a cut goes on where it was, up to three times."""
        link = Link.parse(link_of(item) or item.url)
        transfer = Transfer(link, revision, sink, limit=self._http.max_bytes)
        with within(self._http.deadline_seconds), _explaining(item):
            for attempt in range(_RESUMES + 1):
                try:
                    with self._answer("GET", link, transfer.conditions()) as answer:
                        transfer.receive(answer)
                    break
                except (IncompleteDownload, SourceUnavailable) as error:
                    if not transfer.can_go_on or isinstance(error, Excess) or attempt == _RESUMES:
                        raise
                    time.sleep(min(_PAUSE_SECONDS * 2**attempt, max(remaining(), 0)))
        return transfer.revision(trust_validator=_is_named_by_path(link))

    def _item(self, link: Link, name: str) -> LinkedItem:
        identity = link.identity
        if len(identity) > _MAX_ID:
            raise UnsupportedItem(
                f"The link to {link.origin} is longer than {_MAX_ID} characters. Ask for a shorter one."
            )
        path = "/".join(clean_name(part) for part in link.path.split("/"))
        return LinkedItem(_system(link), identity, name, path, identity)

    def _revision(self, link: Link, head: Head) -> Revision:
        validator = head.validator if _is_named_by_path(link) else None
        token = validator.token if validator else f"unknown:{uuid.uuid4().hex}"
        if (size := head.size) is not None and size > self._http.max_bytes:
            raise TooLarge(
                f"{link.identity} has {size} bytes, over the limit of {self._http.max_bytes}."
                " Raise the setting http.max_bytes if it is to be read."
            )
        return Revision(token, size, head.modified_at)

    def _probe(self, link: Link) -> Head:
        """Ask for the head alone; where HEAD is refused, what a GET of the first byte says counts."""
        with within(self._http.deadline_seconds):
            head = self._head("HEAD", link, {})
            if head.status >= 400 and head.status not in {429, 503}:
                head = self._head("GET", link, {"Range": "bytes=0-0"})
        if head.status == 416 and head.size == 0:  # an empty file has no first byte
            return head
        if refusal := head.refusal():
            raise refusal
        return head

    def _head(self, method: str, link: Link, extra: Mapping[str, str]) -> Head:
        with self._answer(method, link, extra) as answer:
            if method == "HEAD":
                answer.skip_body()
            return answer.head

    @contextmanager
    def _answer(self, method: str, link: Link, extra: Mapping[str, str]) -> Iterator[Answer]:
        """Ask, wait and ask again if the server says when, and close the answer in the end."""
        with _translating(link):
            answer = self._follow(method, link, extra)
            wait = answer.head.retry_after()
            if wait is not None and wait <= min(_PATIENCE_SECONDS, remaining()):
                answer.close()
                time.sleep(wait)
                answer = self._follow(method, link, extra)
            try:
                yield answer
            finally:
                answer.close()

    def _follow(self, method: str, asked: Link, extra: Mapping[str, str]) -> Answer:
        """Send a request and follow redirects, each judged as a link of its own.

        A host is trusted only as long as every host before it was: a public page must not
        lead to where its author cannot go himself.
        """
        link, trusted, cookies = asked, asked in self._trusted, _Cookies()
        for _ in range(self._http.max_redirects + 1):
            self._permit(link, trusted)
            headers = {**_HEADERS, **self.headers(link.origin), **cookies.header(), **extra}
            response = self._send(method, link, headers, trusted)
            head = Head.of(response, link, redirected=link != asked)
            if head.location is None:
                return Answer(head, response)
            response.close()
            target = link.join(head.location)
            if (link.scheme, target.scheme) == ("https", "http"):
                raise UnsafeLink(f"{link.identity} redirects from https to http. Ask its owner for an https link.")
            cookies = cookies.after(response) if target.origin == link.origin else _Cookies()
            link, trusted = target, trusted and target in self._trusted
        raise UnsafeLink(
            f"{asked.identity} redirects more than {self._http.max_redirects} times."
            " Ask its owner for the final link, or raise the setting http.max_redirects."
        )

    def _permit(self, link: Link, trusted: bool) -> None:
        if link.scheme == "http" and not trusted:
            raise UnsafeLink(
                f"{link.identity} is plain http, which anybody on the way can alter. Try the link with https;"
                f" if it is a server of your own, list {link.host}:{link.port} in the setting http.trusted_hosts."
            )

    def _send(self, method: str, link: Link, headers: dict[str, str], trusted: bool) -> httpcore.Response:
        try:
            return self._transport.send(method, link, headers, trusted=trusted)
        except (httpcore.RemoteProtocolError, httpcore.ReadError, httpcore.WriteError):
            # A kept connection may have been closed by the server just now: that is no fault yet.
            return self._transport.send(method, link, headers, trusted=trusted)


class _Cookies(dict[str, str]):
    """Cookies of one origin, for the length of one chain of redirects."""

    def header(self) -> dict[str, str]:
        return {"Cookie": "; ".join(f"{name}={value}" for name, value in self.items())} if self else {}

    def after(self, response: httpcore.Response) -> _Cookies:
        """Return these cookies and those that an answer sets."""
        pairs = (value.partition(b";")[0] for name, value in response.headers if name.lower() == b"set-cookie")
        named = (pair.decode("latin-1").strip().partition("=") for pair in pairs)
        return _Cookies({**self, **{name: value for name, mark, value in named if name and mark}})


@contextmanager
def _translating(link: Link) -> Iterator[None]:
    """Raise our errors for those of `httpcore`."""
    where = link.identity
    try:
        yield
    except httpcore.TimeoutException as error:
        raise SourceTimeout(f"{where} does not answer in time. Try again, or raise http.timeout_seconds.") from error
    except httpcore.ConnectError as error:
        if error.args and isinstance(error.args[0], ssl.SSLCertVerificationError):
            reason = error.args[0].verify_message
            raise UnsafeLink(f"{where} has no valid certificate ({reason}). Ask whoever runs the server.") from error
        raise SourceUnavailable(f"{where} cannot be reached ({error}). Check the network and try again.") from error
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise SourceUnavailable(f"{where} gives no proper answer. Try again later.") from error


@contextmanager
def _explaining(item: Item) -> Iterator[None]:
    """Say that a link's secrets are not kept, where that may be why an item cannot be had."""
    try:
        yield
    except (AccessDenied, SourceNotFound) as error:
        if link_of(item) is not None:
            raise
        raise type(error)(
            f"{error} The secrets of a link are not kept: a signed link opens only for whoever has it."
        ) from error


def _system(link: Link) -> str:
    return f"{link.scheme}/{link.authority}"


def _is_named_by_path(link: Link) -> bool:
    """Tell whether the link without its secrets still means this one item."""
    identity = link.identity
    if link.url == identity:
        return True
    gone = _parameters(link.url) - _parameters(identity)
    # One parameter alone is no known way of signing.
    return len(gone) > 1 and identity.startswith(link.origin + link.path) and all(map(_SIGNING.fullmatch, gone))


def _parameters(url: str) -> set[str]:
    query = url.partition("?")[2]
    return {piece.partition("=")[0].lower() for piece in re.split("[&;]", query)} - {""}
