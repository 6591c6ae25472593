"""What an S3-compatible server really enforces, found out by trying.

Documentation does not tell: of two servers that accept ``If-None-Match``, one may ignore it,
and many take a body that is not the one that was signed.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import ClientError

from populate.store.base import Traits

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest

SENT = b"data-platform probes what this server enforces\n"
ALTERED = SENT.swapcase()
REFUSED = (400, 403)  # XAmzContentSHA256Mismatch, BadDigest or SignatureDoesNotMatch
EXISTS = (409, 412)


class Enforced(NamedTuple):
    """What a server enforces.

    Attributes
    ----------
    create_only
        ``If-None-Match: *`` keeps an object from being overwritten.
    payload
        A body that was altered on its way is refused.
    """

    create_only: bool
    payload: bool


def probe(client: Any, bucket: str, key: str) -> Enforced:
    """Find out what the server enforces, with one small object named `key` that stays there.

    Raises
    ------
    ClientError, BotoCoreError
        If the object cannot be written at all.
    """
    client.put_object(Bucket=bucket, Key=key, Body=SENT)
    return Enforced(
        create_only=_refuses_to_overwrite(client, bucket, key), payload=_refuses_altered(client, bucket, key)
    )


def probe_all(client: Any, bucket: str, key: str) -> Traits:
    """Find out everything that the server enforces; see `probe`.

    Raises
    ------
    ClientError, BotoCoreError
        If the object cannot be written at all.
    """
    enforced = probe(client, bucket, key)
    return Traits(
        create_only=enforced.create_only,
        payload=enforced.payload,
        checksum=_refuses_wrong_checksum(client, bucket, key),
        multipart=_takes_parts(client, bucket, key),
        versioning=_says(client.get_bucket_versioning, bucket, "Status"),
        object_lock=_says(client.get_object_lock_configuration, bucket, "ObjectLockConfiguration", "ObjectLockEnabled"),
    )


def _refuses_wrong_checksum(client: Any, bucket: str, key: str) -> bool:
    checksum = b64encode(hashlib.sha256(ALTERED).digest()).decode()
    try:
        client.put_object(Bucket=bucket, Key=key, Body=SENT, ChecksumSHA256=checksum)
    except ClientError as error:
        return status_of(error) in REFUSED
    return False


def _takes_parts(client: Any, bucket: str, key: str) -> bool:
    where = {"Bucket": bucket, "Key": key}
    try:
        upload = client.create_multipart_upload(**where)["UploadId"]
        part = client.upload_part(**where, UploadId=upload, PartNumber=1, Body=SENT)["ETag"]
        parts = {"Parts": [{"ETag": part, "PartNumber": 1}]}
        client.complete_multipart_upload(**where, UploadId=upload, MultipartUpload=parts)
    except ClientError:
        return False
    return bool(client.get_object(**where)["Body"].read() == SENT)


def _says(ask: Callable[..., Mapping[str, Any]], bucket: str, *names: str) -> bool:
    """Return whether an answer has ``Enabled`` at the end of `names`; servers that know no such thing refuse."""
    try:
        answer: Any = ask(Bucket=bucket)
    except ClientError:
        return False
    for name in names:
        answer = answer.get(name, {})
    return bool(answer == "Enabled")


def _refuses_to_overwrite(client: Any, bucket: str, key: str) -> bool:
    try:
        client.put_object(Bucket=bucket, Key=key, Body=SENT, IfNoneMatch="*")
    except ClientError as error:
        # 501: some servers say openly that they do not know the header.
        if status_of(error) not in (*EXISTS, 400, 501):
            raise
        return status_of(error) in EXISTS
    return False


def _refuses_altered(client: Any, bucket: str, key: str) -> bool:
    def alter(request: AWSPreparedRequest, **_: Any) -> None:
        request.body = ALTERED

    client.meta.events.register("before-send.s3.PutObject", alter, unique_id=key)
    try:
        client.put_object(Bucket=bucket, Key=key, Body=SENT)
    except ClientError as error:
        if status_of(error) not in REFUSED:
            raise
        return True
    finally:
        client.meta.events.unregister("before-send.s3.PutObject", unique_id=key)
    return False


def status_of(error: ClientError) -> int:
    """Return the HTTP status of an error."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
