"""Buckets of tests, their administrator, and a source that all tests share."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import boto3
from servers.processes import S3Server
from source_contract import Shelf

from data_platform.settings import S3Settings, Settings
from readers.s3 import S3Source

SecretsOf = Callable[[str, str], None]


@lru_cache(maxsize=4)
def admin(server: S3Server) -> Any:
    """Return a client of the tests' own."""
    return boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        region_name="us-east-1",
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
    )


class Bucket(Shelf):
    """A bucket of one test's own."""

    def __init__(self, server: S3Server, *, versioned: bool = False) -> None:
        self.client = admin(server)
        self.name = f"shelf-{secrets.token_hex(8)}"
        self.client.create_bucket(Bucket=self.name)
        if versioned:
            self.client.put_bucket_versioning(Bucket=self.name, VersioningConfiguration={"Status": "Enabled"})

    def put(self, path: str, data: bytes) -> str:
        self.client.put_object(Bucket=self.name, Key=path, Body=data)
        return self.link(path)

    def put_version(self, path: str, data: bytes) -> str:
        """Put an object and return the id of this version."""
        return str(self.client.put_object(Bucket=self.name, Key=path, Body=data)["VersionId"])

    def remove(self, path: str) -> None:
        self.client.delete_object(Bucket=self.name, Key=path)

    def link(self, path: str) -> str:
        return f"s3://{self.name}/{path}"

    def folder(self, path: str) -> str:
        return f"s3://{self.name}/{path}"


@lru_cache(maxsize=4)
def shared_source(server: S3Server) -> S3Source:
    """Return a source for all tests that need no client of their own: making one is slow."""
    source = S3Source(settings_for(server.endpoint))
    source.resolve(Bucket(server).put("a", b""))  # with the credentials of now
    return source


def settings_for(endpoint: str, **s3: Any) -> Settings:
    return Settings(s3=S3Settings(endpoint=endpoint, **s3))
