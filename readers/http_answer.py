"""What the head of an http answer says: revision, size, name, refusal. Pure functions of it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import unquote

import httpcore

from data_platform.errors import (
    AccessDenied,
    SourceError,
    SourceNotFound,
    SourceTimeout,
    SourceUnavailable,
    UnsupportedItem,
)
from readers.addresses import Link

MAX_TOKEN = 512
# A file changed in the second of its time stamp can change again under the same stamp.
_SETTLED = timedelta(seconds=2)

_STRONG_TAG = re.compile(r'"[\x21\x23-\x7e\x80-\xff]*"')
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")
_EXTENDED_NAME = re.compile(r"(?:^|;)\s*filename\*\s*=\s*(?P<charset>utf-8|iso-8859-1)'[^']*'(?P<name>[^\s;]+)", re.I)
_QUOTED_NAME = re.compile(r'(?:^|;)\s*filename\s*=\s*"(?P<name>(?:[^"\\]|\\.)*)"', re.I)
_PLAIN_NAME = re.compile(r"(?:^|;)\s*filename\s*=\s*(?P<name>[^\s;\"]+)", re.I)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")

_LOGIN_WORD = re.compile(r"(?:log|sign)[_-]?(?:in|on)|sso|adfs|saml2?|oauth2?|authorize|idp|cas|accounts")
_PAGE_SUFFIX = re.compile(r"\.(?:x?html?|shtml|php\d?|aspx?|jspx?|cgi|do)$", re.I)
_DATA_SUFFIX = re.compile(r"\.[A-Za-z][A-Za-z0-9]{1,9}$")
_HTML = re.compile(rb"<(?:!doctype\s+)?html\b", re.I)
_PASSWORD_FIELD = re.compile(rb"\btype\s*=\s*[\"']?password\b", re.I)


class Validator(NamedTuple):
    """What tells two states of one link apart: for the catalogue, and for ``If-Range``."""

    token: str
    condition: str


@dataclass(frozen=True, slots=True)
class Head:
    """Status and headers (names in lower case) of the answer that `link` gave."""

    status: int
    headers: Mapping[str, str]
    link: Link
    redirected: bool = False

    @classmethod
    def of(cls, response: httpcore.Response, link: Link, *, redirected: bool = False) -> Head:
        """Read an answer's head; of repeated headers the first counts."""
        headers: dict[str, str] = {}
        for name, value in response.headers:
            headers.setdefault(name.decode("ascii").lower(), _text(value))
        return cls(response.status, headers, link, redirected)

    @property
    def location(self) -> str | None:
        """Where a redirect leads, None for any other answer."""
        return self.headers.get("location") if self.status in {301, 302, 303, 307, 308} else None

    @property
    def is_html(self) -> bool:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower() in {
            "text/html",
            "application/xhtml+xml",
        }

    @property
    def encoding(self) -> str:
        """The compression that is to be undone, empty if there is none.

        A file that is itself compressed is often labelled as if the transfer were: `x.csv.gz`
        stays what its name says.
        """
        encoding = self.headers.get("content-encoding", "").strip().lower().removeprefix("x-")
        if encoding == "gzip" and re.search(r"\.(?:t?gz|gzip|svgz)$", self.link.path, re.I):
            return ""
        return "" if encoding == "identity" else encoding

    @property
    def size(self) -> int | None:
        """Bytes of the whole content, as far as the head tells."""
        if self.encoding:
            return None
        if self.status in {206, 416}:
            return self._range()[1]
        length = self.headers.get("content-length", "")
        return int(length) if length.isdecimal() and length.isascii() else None

    @property
    def first_byte(self) -> int | None:
        """Where a partial answer begins."""
        return self._range()[0] if self.status == 206 else 0

    def _range(self) -> tuple[int | None, int | None]:
        if not (match := _CONTENT_RANGE.fullmatch(self.headers.get("content-range", ""))):
            return None, None
        return int(match[1]) if match[1] else None, None if match[2] == "*" else int(match[2])

    @property
    def modified_at(self) -> datetime | None:
        """When the content was changed last, as the server says; UTC, without a zone as everywhere."""
        return _date(self.headers.get("last-modified"))

    @property
    def validator(self) -> Validator | None:
        """A strong ETag, else time and length once the time is past; None if neither is to be had."""
        tag = self.headers.get("etag", "")
        if _STRONG_TAG.fullmatch(tag):
            return Validator(_short(f"etag:{tag}"), tag)
        stamp, size, answered = self.headers.get("last-modified", ""), self.size, _date(self.headers.get("date"))
        if self.modified_at is None or size is None or answered is None or answered - self.modified_at < _SETTLED:
            return None
        # Behind a redirect the same stamp may be that of another file.
        place = f";{hashlib.sha256(self.link.path.encode()).hexdigest()[:16]}" if self.redirected else ""
        return Validator(_short(f"modified:{stamp};{size}{tag}{place}"), stamp)

    def agrees_with(self, earlier: Head) -> bool:
        """Tell whether nothing in this partial answer contradicts an earlier head."""
        same = all(
            name not in self.headers or self.headers[name] == earlier.headers.get(name)
            for name in ("etag", "last-modified")
        )
        return same and (self.size is None or earlier.size is None or self.size == earlier.size)

    def retry_after(self) -> float | None:
        """Return how many seconds a busy server asks to wait, None if it does not."""
        if self.status not in {202, 429, 503} or not (asked := self.headers.get("retry-after")):
            return None
        if asked.isdecimal() and asked.isascii():
            return float(asked)
        until, now = _date(asked), _date(self.headers.get("date"))
        return max(0.0, (until - now).total_seconds()) if until and now else None

    def refusal(self) -> SourceError | None:
        """Return the error that this answer means, None if it brings the content."""
        where = self.link.identity
        if self.status in {200, 203, 206}:
            return self._login_refusal()
        said = f"{where} answers {self.status} ({_phrase(self.status)})."
        if self.status in {404, 410, 204, 205}:
            return SourceNotFound(f"{said} Check the link, or ask its owner where the file went.")
        if self.status in {401, 402, 403, 407, 451}:
            return AccessDenied(f"{said} Ask the owner for access; if the link is signed, it may have expired.")
        if self.status == 408:
            return SourceTimeout(f"{said} Try again.")
        if self.status in {202, 425, 429} or self.status >= 500 or self.status < 400:
            wait = self.retry_after()
            return SourceUnavailable(f"{said} Try again {'later' if wait is None else f'in {wait:.0f} s'}.")
        return UnsupportedItem(f"{said} It cannot be fetched like this; ask its owner for a link to the file itself.")

    def _login_refusal(self) -> AccessDenied | None:
        """Recognise a page to sign in at, to which the link was redirected, by its address."""
        words = [*self.link.host.split("."), *self.link.path.lower().split("/")]
        stems = (word.partition(".")[0] for word in words)
        if self.redirected and self.is_html and any(_LOGIN_WORD.fullmatch(stem) for stem in stems):
            return login_needed(self.link)
        return None

    def may_be_login_page(self, asked: Link) -> bool:
        """Tell whether a link to a data file brings a web page, whose text is then looked at."""
        name = asked.path.rpartition("/")[2]
        return self.is_html and bool(_DATA_SUFFIX.search(name)) and not _PAGE_SUFFIX.search(name)

    def name(self, asked: Link) -> str:
        """Return the file's name: as the server gives it, else the last part of the link asked for."""
        given = clean_name(disposition_name(self.headers.get("content-disposition", "")))
        return given or link_name(asked)


def has_login_form(start: bytes) -> bool:
    """Tell whether content that begins like this is a web page that asks for a password."""
    return bool(_HTML.search(start[:2048]) and _PASSWORD_FIELD.search(start))


def login_needed(link: Link) -> AccessDenied:
    """Return the error for a page that asks to sign in."""
    return AccessDenied(
        f"{link.identity} is a page to sign in at, not the file."
        " Ask its owner for a link that opens without a sign-in, or use the reader made for that system."
    )


def disposition_name(value: str) -> str:
    """Return the file name in a ``Content-Disposition`` header (RFC 6266), empty if it has none."""
    if extended := _EXTENDED_NAME.search(value):
        return unquote(extended["name"], encoding=extended["charset"], errors="replace")
    if quoted := _QUOTED_NAME.search(value):
        return re.sub(r"\\(.)", r"\1", quoted["name"])
    plain = _PLAIN_NAME.search(value)
    return plain["name"] if plain else ""


def link_name(link: Link) -> str:
    """Return the last part of the path, decoded, or the host if there is none."""
    parts = [part for part in link.path.split("/") if part]
    return (clean_name(unquote(parts[-1], errors="replace")) if parts else "") or link.host


def clean_name(name: str) -> str:
    """Return a name without folders and control characters: it is shown, never used as a path."""
    last = _UNPRINTABLE.sub("", re.split(r"[/\\]", name)[-1]).strip()
    return "" if last in {".", ".."} else last[:255]


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _short(token: str) -> str:
    """Return a token that fits its column and has nothing unprintable in it."""
    if len(token) <= MAX_TOKEN and token.isprintable():
        return token
    return f"hash:{hashlib.sha256(token.encode()).hexdigest()}"


def _date(text: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text or "")
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        return None


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "an unknown status"
