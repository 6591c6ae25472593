"""Credentials that the AWS chain finds, a source, and buckets of a test's own."""

from __future__ import annotations

from typing import Any

import pytest
from s3_buckets import Bucket, SecretsOf, shared_source
from servers.processes import S3Server

from readers.s3 import S3Source


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> SecretsOf:
    """Set what the AWS credential chain finds; at first nothing."""
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    def use(access_key: str, secret_key: str) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret_key)

    return use


@pytest.fixture
def source(s3_server: S3Server, credentials: SecretsOf) -> S3Source:
    credentials(s3_server.access_key, s3_server.secret_key)
    return shared_source(s3_server)


@pytest.fixture
def bucket(s3_server: S3Server) -> Bucket:
    return Bucket(s3_server)


@pytest.fixture
def versioned(s3_server: S3Server) -> Bucket:
    return Bucket(s3_server, versioned=True)
