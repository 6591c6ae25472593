"""How something is replaced in a bucket whose server keeps whatever arrives: by what was read back only.

The bytes go to a name of their own beside the contents. Once they are proven to be right there, the server copies
them to their name, for which nothing is sent. So what is there is never lost to bytes that were altered on their way.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import obstore
from boto3.s3.transfer import TransferConfig

BESIDE = "incoming/"
"""Beginning of the names of what waits to be proven and copied."""

ABANDONED_AFTER = timedelta(days=2)
"""After which something that waits is taken for left behind by a writer that died."""

MIB = 1024 * 1024
_COPYING = TransferConfig(multipart_threshold=1024 * MIB, multipart_chunksize=512 * MIB, max_concurrency=4)


def new_name() -> str:
    """Return a name that nothing else has."""
    return BESIDE + secrets.token_hex(16)


def copy(client: Any, bucket: str, source: str, target: str, extras: dict[str, str]) -> None:
    """Let the server copy an object, in parts if it is large. Raises the errors of boto3."""
    client.copy({"Bucket": bucket, "Key": source}, bucket, target, ExtraArgs=extras, Config=_COPYING)


def abandoned(store: Any) -> Iterator[str]:
    """Yield the names of what was left behind; `store` is obstore's. Raises the errors of obstore."""
    before = datetime.now(UTC) - ABANDONED_AFTER
    for batch in obstore.list(store, BESIDE.rstrip("/")):
        for found in batch:
            if found["last_modified"] < before:
                yield found["path"]
