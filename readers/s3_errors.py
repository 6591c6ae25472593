"""Our errors for those of boto3."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from data_platform.errors import (
    AccessDenied,
    DataPlatformError,
    IncompleteDownload,
    SourceChanged,
    SourceNotFound,
    SourceTimeout,
    SourceUnavailable,
    UnknownSource,
    UnsupportedItem,
)

_CODES: dict[str, tuple[type[DataPlatformError], str]] = {}


def _register(error: type[DataPlatformError], advice: str, *codes: str) -> None:
    _CODES.update(dict.fromkeys(codes, (error, advice)))


_register(
    SourceNotFound,
    "is not there. Check the link, or ask its owner where the object went",
    *("404", "NotFound", "NoSuchKey", "NoSuchBucket", "NoSuchVersion", "405", "MethodNotAllowed"),
)
_register(
    AccessDenied,
    "may not be read with the credentials in use. Sign in again, or ask its owner for access",
    *("401", "403", "AccessDenied", "Forbidden", "AllAccessDisabled", "AccountProblem", "InvalidAccessKeyId"),
    *("SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired", "RequestTimeTooSkewed"),
    *("InvalidSecurity", "UnauthorizedAccess", "InvalidClientTokenId"),
)
_register(
    AccessDenied, "is refused as it was asked for. Check version id, region and endpoint, and sign in again", "400"
)
_register(SourceChanged, "changed while it was read. Read it again", "412", "PreconditionFailed")
_register(UnsupportedItem, "is archived. Have its owner restore it first", "InvalidObjectState")
_register(
    UnsupportedItem,
    "is in another region. Set s3.region to it",
    *("301", "307", "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"),
)
_register(
    SourceUnavailable,
    "cannot be had just now. Try again later",
    *("429", "SlowDown", "RequestTimeout", "ServiceUnavailable", "InternalError", "Throttling", "TooManyRequests"),
)


def code_error(code: str, status: int, where: str) -> DataPlatformError:
    """Return the error for an answer with this code and status."""
    known = _CODES.get(code) or _CODES.get(str(status))
    if known is None and status >= 500:
        known = _CODES["ServiceUnavailable"]
    error, advice = known or (UnsupportedItem, "cannot be read like this. Check the link and the endpoint")
    return error(f"{where} {advice} ({code}).")


@contextmanager
def translating(where: str) -> Iterator[None]:
    """Raise our errors for those of boto3 and of the libraries below it; `where` begins the message."""
    from botocore import exceptions as boto
    from urllib3 import exceptions as wire

    try:
        yield
    except boto.ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        raise code_error(str(error.response.get("Error", {}).get("Code", status)), status, where) from error
    except (boto.IncompleteReadError, boto.ResponseStreamingError, wire.IncompleteRead, wire.ProtocolError) as error:
        raise IncompleteDownload(f"{where} broke off before its end. Try again.") from error
    except (boto.ConnectTimeoutError, boto.ReadTimeoutError, wire.TimeoutError) as error:
        raise SourceTimeout(f"{where} does not answer in time. Try again, or raise http.timeout_seconds.") from error
    except (boto.ConnectionError, boto.HTTPClientError, wire.HTTPError) as error:
        raise SourceUnavailable(f"{where} cannot be reached. Check s3.endpoint and the network.") from error
    except boto.ParamValidationError as error:
        raise UnknownSource(f"{where} is no valid S3 link. Check bucket and key.") from error
    except boto.FlexibleChecksumError as error:
        raise IncompleteDownload(f"{where} came damaged: its checksum does not fit. Try again.") from error
    except boto.BotoCoreError as error:
        # What is left concerns credentials: a profile that is not there, a sign-in that has ended.
        raise AccessDenied(f"{where} cannot be asked for: {type(error).__name__}. Sign in to AWS again.") from error
