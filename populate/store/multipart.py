"""Sends a large content in parts, with bounded memory whatever its size.

While some parts are on their way the next one is filled. Parts grow with the content, since a
server takes at most 10,000 of them; those that grow large wait in a temporary file instead
of in memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from tempfile import SpooledTemporaryFile
from types import MappingProxyType
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from populate.store.probe import status_of

MIB = 1024 * 1024
PART = 8 * MIB
IN_MEMORY = 2 * PART
ON_THEIR_WAY = 2  # parts of an upload, at most: a server that syncs a part to its disk can take in another meanwhile
MAX_PARTS = 10_000
DOUBLE_EVERY = 1_000
"""Parts after which the part size doubles where the content's size is not known: room for 8 TiB."""

_TAKEN = (404, 409, 412)
"""Answers to the last request: this upload was completed before, or the name is taken."""


def part_size(size: int | None, number: int) -> int:
    """Return the bytes of the part `number` (from 0) of a content of `size` bytes.

    Some servers want all parts but the last to be alike, which is so if the size is known.
    """
    if size is None:
        return PART << (number // DOUBLE_EVERY)
    return max(PART, -(-size // MAX_PARTS // MIB) * MIB)


class Multipart:
    """One upload. The caller hashes, and completes it only if the hash is right.

    Every method raises the errors of boto3, but for `abort`, which raises none.
    """

    def __init__(
        self, client: Any, bucket: str, key: str, size: int | None, extras: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self._client = client
        self._where = {"Bucket": bucket, "Key": key}
        self._size = size
        self._under_way: deque[Future[dict[str, Any]]] = deque()
        self._parts: list[dict[str, Any]] = []
        begun = client.create_multipart_upload(**self._where, ContentType="application/octet-stream", **extras)
        self._upload_id = begun["UploadId"]
        self._sender = ThreadPoolExecutor(ON_THEIR_WAY, thread_name_prefix="upload")
        self._begin_part()

    def write(self, chunk: memoryview) -> None:
        """Take the next bytes; waits while as many parts as may be are on their way."""
        while chunk:
            piece = chunk[: self._room]
            self._part.write(piece)
            self._room -= len(piece)
            chunk = chunk[len(piece) :]
            if not self._room:
                self._send()
                self._begin_part()

    def complete(self, create_only: bool) -> None:
        """Make the object visible, or find that its name is taken: whoever called reads its size back."""
        condition = {"IfNoneMatch": "*"} if create_only else {}
        if self._part.tell():
            self._send()
        self._wait(0)
        try:
            self._client.complete_multipart_upload(
                **self._where, UploadId=self._upload_id, MultipartUpload={"Parts": self._parts}, **condition
            )
        except ClientError as error:
            if status_of(error) not in _TAKEN:
                raise
            self.abort()
        self._close()

    def abort(self) -> None:
        """Drop the parts that were sent."""
        while self._under_way:
            with suppress(BotoCoreError, ClientError):
                self._wait(0)  # a part that arrives after the abort would stay
        with suppress(BotoCoreError, ClientError):
            self._client.abort_multipart_upload(**self._where, UploadId=self._upload_id)
        self._close()

    def _begin_part(self) -> None:
        self._room = part_size(self._size, len(self._parts) + len(self._under_way))
        self._part = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - closed once it is sent

    def _send(self) -> None:
        self._wait(ON_THEIR_WAY - 1)
        number = len(self._parts) + len(self._under_way) + 1
        self._under_way.append(self._sender.submit(self._upload, self._part, number))

    def _wait(self, most: int) -> None:
        """Wait until at most so many parts are on their way; raise what befell the earliest."""
        while len(self._under_way) > most:
            self._parts.append(self._under_way.popleft().result())

    def _upload(self, part: SpooledTemporaryFile[bytes], number: int) -> dict[str, Any]:
        with part:
            size = part.tell()
            part.seek(0)
            if size > IN_MEMORY:
                return self._sent(part, number)
            body = part.read()  # of a file, urllib3 would send 16 KiB at a time
        return self._sent(body, number)  # and what it was filled into is free

    def _sent(self, body: Any, number: int) -> dict[str, Any]:
        answer = self._client.upload_part(**self._where, UploadId=self._upload_id, PartNumber=number, Body=body)
        return {"ETag": answer["ETag"], "PartNumber": number}

    def _close(self) -> None:
        self._part.close()
        self._sender.shutdown()
