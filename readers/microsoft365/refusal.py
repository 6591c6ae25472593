"""What an error of Graph or of the Management Activity API means: decided by its code, never by its text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from data_platform.errors import (
    AccessDenied,
    IncompleteDownload,
    ResyncRequired,
    SignInNeeded,
    SourceChanged,
    SourceError,
    SourceNotFound,
    SourceTimeout,
    SourceUnavailable,
    UnsafeLink,
    UnsupportedItem,
)
from data_platform.redact import redact_text

THROTTLED = frozenset({429, 503, 509})
_FAULTS = frozenset({408, 500, 502, 504})

_DENIED = "Ask its owner for access, or an administrator for the application's permission."
_GONE = "Check the link, or ask its owner where the file went."
_LATER = "Try again later."
_SIGN_IN = "Run `data-platform login`; a worker needs its secret or certificate renewed."
_UNUSUAL = "It cannot be had like this; open it in the browser, or ask its owner for another link."
_RESYNC = "Ask for everything again."

_BY_CODE: dict[str, tuple[type[SourceError], str]] = {
    **dict.fromkeys(
        ("malwaredetected", "virusinfected", "virussuspicious"),
        (UnsafeLink, "Microsoft 365 takes the file for malware. Ask its owner for a clean copy."),
    ),
    **dict.fromkeys(
        ("accessdenied", "authorization_requestdenied", "forbidden", "notallowed", "af10001", "sharinglinkforbidden"),
        (AccessDenied, _DENIED),
    ),
    **dict.fromkeys(("unauthenticated", "invalidauthenticationtoken"), (SignInNeeded, _SIGN_IN)),
    **dict.fromkeys(
        ("itemnotfound", "request_resourcenotfound", "resourcenotfound", "notfound", "mysitenotfound"),
        (SourceNotFound, _GONE),
    ),
    **dict.fromkeys(("invalidrange",), (IncompleteDownload, "Try again.")),
    **dict.fromkeys(("resourcemodified",), (SourceChanged, "Read it again.")),
    **dict.fromkeys(
        (
            *("resourcelocked", "locked", "activitylimitreached", "toomanyrequests", "servicenotavailable"),
            *("serviceunavailable", "quotalimitreached", "generalexception", "af429"),
        ),
        (SourceUnavailable, _LATER),
    ),
    **dict.fromkeys(
        (
            *("resyncrequired", "resyncapplydifferences", "resyncuploaddifferences", "syncstatenotfound"),
            *("resyncchangesapplydifferences", "resyncchangesuploaddifferences", "syncstateinvalid"),
        ),
        (ResyncRequired, _RESYNC),
    ),
    **dict.fromkeys(("invalidrequest", "notsupported", "notimplemented", "badrequest"), (UnsupportedItem, _UNUSUAL)),
}
_BY_STATUS: dict[int, tuple[type[SourceError], str]] = {
    401: (SignInNeeded, _SIGN_IN),
    403: (AccessDenied, _DENIED),
    404: (SourceNotFound, _GONE),
    408: (SourceTimeout, _LATER),
    409: (SourceChanged, "Read it again."),
    410: (ResyncRequired, _RESYNC),
    412: (SourceChanged, "Read it again."),
    416: (IncompleteDownload, "Try again."),
    423: (SourceUnavailable, "Somebody has it locked. Try again later."),
}


class Refusal(Exception):
    """An answer that is an error, as it was given; the cause of the error of ours that is raised for it.

    Attributes
    ----------
    status
        Of the answer, or of the part of a batch.
    codes
        Outermost first, in lower case.
    """

    def __init__(self, status: int, codes: tuple[str, ...], message: str = "", request: str = "") -> None:
        super().__init__(f"{status} {'/'.join(codes)} {message}")
        self.status = status
        self.codes = codes
        self.message = message
        self.request = request

    @classmethod
    def of(cls, status: int, body: object, headers: Mapping[str, str]) -> Refusal:
        """Read the body of an error, whatever of it is there."""
        codes = tuple(dict.fromkeys(_codes(body)))
        error = body.get("error") if isinstance(body, dict) else None
        said = error.get("message") if isinstance(error, dict) else None
        request = headers.get("request-id", "") or headers.get("sprequestguid", "")
        return cls(status, codes, redact_text(said)[:200] if isinstance(said, str) else "", request[:64])

    @property
    def may_pass(self) -> bool:
        """Whether the very same request may succeed a little later."""
        return self.status in _FAULTS or self.status in THROTTLED

    def error(self, where: str, location: str = "") -> SourceError:
        """Return the error of ours for this answer about `where`, which has no secrets in it."""
        kind, advice = self._meaning()
        told = " ".join(part for part in (f"{where} answers {self.status}", self._why()) if part)
        reference = f" (request {self.request})" if self.request else ""
        text = f"{told}{reference}. {advice}"
        error = ResyncRequired(text, location) if kind is ResyncRequired else kind(text)
        error.__cause__ = self
        return error

    def _meaning(self) -> tuple[type[SourceError], str]:
        # The innermost code that means something says it most exactly.
        for code in reversed(self.codes):
            if code in _BY_CODE:
                kind, advice = _BY_CODE[code]
                # 401 may carry any code of a resource; what helps is to sign in.
                return _BY_STATUS[401] if self.status == 401 else (kind, advice)
        if self.status in _BY_STATUS:
            return _BY_STATUS[self.status]
        if self.status in THROTTLED or (self.status >= 500 and self.status != 501):
            return SourceUnavailable, _LATER
        return UnsupportedItem, _UNUSUAL

    def _why(self) -> str:
        return f"({self.codes[-1]})" if self.codes else ""


def refusal_of(error: BaseException) -> Refusal | None:
    """Return the answer that `error` was raised for, None if it was for something else."""
    return error.__cause__ if isinstance(error.__cause__, Refusal) else None


def _codes(body: object) -> Iterator[str]:
    """Yield the codes in an error's body, outermost first; both spellings of the inner one occur."""
    inner: Any = body.get("error") if isinstance(body, dict) else None
    for _ in range(10):
        if not isinstance(inner, dict):
            return
        if isinstance(code := inner.get("code"), str) and code:
            yield code.lower()
        inner = next((inner[name] for name in ("innerError", "innererror") if isinstance(inner.get(name), dict)), None)
