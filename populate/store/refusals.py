"""What an S3-compatible server means when it refuses, whichever library asked.

The texts of the libraries never reach a message or a traceback: a server's answer may quote
the request with everything that was signed. Status and error code are taken out of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

from data_platform.errors import StoreError, StoreFull, StoreUnavailable

FAILURES = (BaseError, BotoCoreError, ClientError, FileNotFoundError, ValueError)
"""What the libraries raise."""

_STATUS = re.compile(r"non-2xx status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w{1,64})</Code>", re.ASCII)
_WORD = re.compile(r"[A-Za-z]\w{0,63}", re.ASCII)
_FULL = {"QuotaExceeded", "XMinioStorageFull", "StorageFull", "InsufficientStorage", "XMinioAdminBucketQuotaExceeded"}
_MISPLACED = {
    "AuthorizationHeaderMalformed",
    "PermanentRedirect",
    "IllegalLocationConstraintException",
    "InvalidRegion",
}
_THROTTLED = (408, 409, 425, 429)


ADVICE: dict[str, tuple[type[StoreError], str]] = {
    "full": (StoreFull, "{store} has no space left ({said}). Make room or raise its quota."),
    "misplaced": (StoreUnavailable, "{store} is in another region ({said}). Set store.region to the bucket's region."),
    "failing": (StoreUnavailable, "{store} is overloaded or failing ({said}). Nothing to do: try again later."),
    "silent": (StoreUnavailable, "{store} does not answer. Check store.endpoint and that the server runs."),
    "denied": (
        StoreUnavailable,
        "{store} refuses these credentials ({said}). Check store.access_key and store.secret_key, "
        "and that they may list, read and write this bucket.",
    ),
    "missing": (StoreUnavailable, "{store} is no bucket ({said}). Check store.url; a worker makes a missing bucket."),
    "refused": (StoreError, "{store} refused a request ({said}). Check store.endpoint and look into the server's log."),
}


@dataclass(frozen=True)
class Refusal:
    """What is known of a failed request: HTTP status (0 = no answer) and the server's error code."""

    status: int
    code: str = ""

    @property
    def is_missing(self) -> bool:
        """Whether the object or bucket is not there."""
        return self.status == 404

    @property
    def may_pass(self) -> bool:
        """Whether the same request may succeed later."""
        return self.code not in _FULL and (self.status == 0 or self.status in _THROTTLED or self.status >= 500)

    @property
    def kind(self) -> str:
        """Which of `ADVICE` applies."""
        if self.status == 507 or self.code in _FULL:
            return "full"
        if self.status == 301 or self.code in _MISPLACED:
            return "misplaced"
        if self.may_pass:
            return "failing" if self.status else "silent"
        return {401: "denied", 403: "denied", 404: "missing"}.get(self.status, "refused")

    def error(self, store: str) -> StoreError:
        """Return the error of ours; `store` names the store."""
        said = " ".join(part for part in (str(self.status or ""), self.code) if part)
        kind, text = ADVICE[self.kind]
        return kind(text.format(store=store, said=said))


def refusal(error: BaseException) -> Refusal:
    """Return what `error` of boto3 or obstore says."""
    if isinstance(error, ClientError):
        return _of_response(error)
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return Refusal(401, "NoCredentials")
    text = str(error)
    status = _STATUS.search(text)
    code = _CODE.search(text)
    return Refusal(int(status[1]) if status else _status_of_kind(error), code[1] if code else "")


def _of_response(error: ClientError) -> Refusal:
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    code = str(error.response.get("Error", {}).get("Code", ""))
    return Refusal(status, code if _WORD.fullmatch(code) else "")  # of a HEAD it is the status again


def _status_of_kind(error: BaseException) -> int:
    if isinstance(error, FileNotFoundError):
        return 404
    if isinstance(error, PermissionDeniedError):
        return 403
    return 401 if isinstance(error, UnauthenticatedError) else 0
