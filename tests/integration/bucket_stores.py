"""Stores in buckets of the tests' servers, and what lies about in them."""

from __future__ import annotations

import secrets
from typing import Any

from servers.processes import S3Server

from data_platform.settings import StoreSettings
from populate.store.s3 import BucketStore


def settings_for(server: S3Server, url: str, **changes: Any) -> StoreSettings:
    values = {"endpoint": server.endpoint, "access_key": server.access_key, "secret_key": server.secret_key}
    return StoreSettings(url=url, **(values | changes))


def unused_url(bucket: str = "") -> str:
    return f"s3://{bucket or 'bucket-' + secrets.token_hex(8)}/some/{secrets.token_hex(8)}"


def prefix_of(store: BucketStore) -> str:
    return store.name.partition(f"/{store.bucket}/")[2]


def unfinished(store: BucketStore) -> list[str]:
    """Return the keys of uploads that were neither completed nor aborted."""
    uploads = store.client.list_multipart_uploads(Bucket=store.bucket, Prefix=prefix_of(store)).get("Uploads", [])
    return [upload["Key"] for upload in uploads]
