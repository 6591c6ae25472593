"""The two clients of a bucket: boto3's for control and obstore's for bytes, with the same credentials."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from obstore.exceptions import UnknownConfigurationKeyError
from obstore.store import S3Store

from data_platform.errors import SettingsError, StoreError, StoreUnavailable
from data_platform.settings import StoreSettings

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Config, S3Credential

ASK_AGAIN_AFTER = timedelta(minutes=5)
"""How long credentials are used before the chain that gave them is asked for newer ones."""

_RETRIES: RetryConfig = {
    "max_retries": 6,
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=5), "base": 2},
    "retry_timeout": timedelta(minutes=3),
}
_runtime_of = 0  # process in which obstore's threads were started


def session_of(settings: StoreSettings) -> boto3.Session:
    """Return a session with the keys of the settings, else with those of the usual AWS chain."""
    secret = settings.secret_key.get_secret_value()
    if bool(settings.access_key) != bool(secret):
        raise SettingsError("Of store.access_key and store.secret_key only one is set. Set both, or neither.")
    if not secret:
        return boto3.Session()
    return boto3.Session(aws_access_key_id=settings.access_key, aws_secret_access_key=secret)


def control_client(session: boto3.Session, settings: StoreSettings) -> Any:
    """Return boto3's client: bucket, probe, uploads in parts."""
    return session.client(
        "s3",
        endpoint_url=settings.endpoint or None,
        region_name=settings.region or session.region_name or "us-east-1",
        config=Config(
            connect_timeout=10,
            read_timeout=120,
            retries={"mode": "standard", "total_max_attempts": 4},
            # Newer defaults send checksums in a form that many other servers refuse; the
            # signature covers the bytes instead, over https as well.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"payload_signing_enabled": True, "addressing_style": "path" if settings.endpoint else "auto"},
        ),
    )


def extras_of(settings: StoreSettings, size: int | None) -> dict[str, str]:
    """Return what boto3 is to be told of an object of so many bytes (None = many) beside its content."""
    has_class = settings.storage_class and (size is None or size >= settings.storage_class_bytes)
    told = {
        "StorageClass": settings.storage_class if has_class else "",
        "ServerSideEncryption": settings.encryption,
        "SSEKMSKeyId": settings.encryption_key,
    }
    return {name: value for name, value in told.items() if value}


def byte_store(
    session: boto3.Session, settings: StoreSettings, where: tuple[str, str], endpoint: str, region: str
) -> S3Store:
    """Return obstore's client: objects of a bucket below a prefix.

    Raises
    ------
    StoreUnavailable
        If there are no credentials.
    """
    global _runtime_of
    _runtime_of = os.getpid()
    credentials = session.get_credentials()
    if credentials is None:
        raise StoreUnavailable(
            "No credentials for the content store were found. Set store.access_key and store.secret_key, "
            "or sign in the way the AWS command line does."
        )

    def provide() -> S3Credential:
        frozen = credentials.get_frozen_credentials()
        return {
            "access_key_id": str(frozen.access_key),
            "secret_access_key": str(frozen.secret_key),
            "token": frozen.token,
            "expires_at": datetime.now(UTC) + ASK_AGAIN_AFTER,
        }

    options: ClientConfig = {
        "allow_http": endpoint.startswith("http://"),
        "connect_timeout": "10s",
        "timeout": "5m",  # for one request with its bytes, so a server that falls silent is noticed
        "default_content_type": "application/octet-stream",
    }
    config: S3Config = {
        "endpoint": endpoint,
        "region": region,
        # Said explicitly, or variables of the environment would divert the bytes from where
        # boto3 makes the bucket.
        "aws_endpoint_url_s3": endpoint,
        "skip_signature": False,
        "virtual_hosted_style_request": False,
    }
    if settings.encryption:
        config["server_side_encryption"] = settings.encryption
    if settings.encryption_key:
        config["sse_kms_key_id"] = settings.encryption_key
    make = partial(
        S3Store,
        where[0],
        prefix=where[1] or None,
        client_options=options,
        retry_config=_RETRIES,
        credential_provider=provide,
    )
    try:
        return make(config=config)
    except UnknownConfigurationKeyError:  # older releases know neither the key nor the variable
        del config["aws_endpoint_url_s3"]
        return make(config=config)


def versions_of(client: Any, bucket: str, key: str) -> Iterator[dict[str, str]]:
    """Yield what names each version of an object, and each mark that it was deleted, in a request to delete it."""
    pages = client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key)
    for page in pages:
        for one in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
            if one["Key"] == key:
                yield {"VersionId": one["VersionId"]}


def locked_until(client: Any, bucket: str, key: str, error: Exception) -> str | None:
    """Return until when the versions of an object cannot be removed, if that may be why a removal was refused."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") if isinstance(error, ClientError) else 0
    if status not in (400, 403):  # MinIO calls it a wrong request
        return None
    until = list[str]()
    with suppress(ClientError, BotoCoreError):  # who may not even look is told why the removal was refused
        for version in versions_of(client, bucket, key):
            with suppress(ClientError):  # a mark that it was deleted has no lock
                found = client.head_object(Bucket=bucket, Key=key, **version)
                if found.get("ObjectLockLegalHoldStatus") == "ON":
                    until.append("a legal hold of the store is lifted")
                elif (date := found.get("ObjectLockRetainUntilDate")) and date > datetime.now(UTC):
                    until.append(f"{date:%Y-%m-%d}")
    return max(until, default=None)


def stay_in_process() -> None:
    """Refuse what would wait for ever: the threads of obstore do not survive a fork."""
    if _runtime_of not in (0, os.getpid()):
        raise StoreError(
            "A bucket was opened before this process was forked and cannot be used in it. "
            'Start processes with multiprocessing.get_context("spawn").'
        )
