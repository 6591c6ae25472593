"""`S3Source` where it may not read, and where servers and connections fail."""

from __future__ import annotations

import builtins
import json
import random
import secrets
import socket
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from s3_buckets import Bucket, SecretsOf, settings_for
from servers.fault_proxy import FaultProxy
from servers.processes import S3Server, free_port
from source_contract import fetch

from data_platform.errors import (
    AccessDenied,
    DataPlatformError,
    IncompleteDownload,
    MissingExtra,
    SettingsError,
    SourceChanged,
    SourceNotFound,
    SourceTimeout,
    SourceUnavailable,
    TooLarge,
    UnsupportedItem,
)
from data_platform.settings import HttpSettings, S3Settings, Settings
from readers.s3 import S3Source
from readers.s3_errors import code_error

# --- who may read


class Account:
    """Another user of moto's, with a policy of its own."""

    def __init__(self, server: S3Server, *statements: dict[str, Any]) -> None:
        iam = boto3.client(
            "iam",
            endpoint_url=server.endpoint,
            region_name="us-east-1",
            aws_access_key_id=server.access_key,
            aws_secret_access_key=server.secret_key,
        )
        name = f"user-{secrets.token_hex(4)}"
        iam.create_user(UserName=name)
        policy = json.dumps({"Version": "2012-10-17", "Statement": [{"Resource": "*", **each} for each in statements]})
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        self.access_key, self.secret_key = key["AccessKeyId"], key["SecretAccessKey"]


@pytest.mark.parametrize("wrong", ["key", "secret", "rights", "none"])
def test_without_the_right_nothing_is_read(
    s3_server: S3Server, bucket: Bucket, credentials: SecretsOf, wrong: str
) -> None:
    link = bucket.put("a.csv", b"1")
    other = Account(s3_server, {"Effect": "Allow", "Action": "iam:*"})
    if wrong != "none":
        key = "AKIA" + secrets.token_hex(8).upper() if wrong == "key" else s3_server.access_key
        credentials(
            other.access_key if wrong == "rights" else key,
            other.secret_key if wrong == "rights" else "wrong" * 8,
        )
    source = S3Source(settings_for(s3_server.endpoint))
    with pytest.raises(AccessDenied) as caught:
        source.resolve(link)
    assert isinstance(caught.value, PermissionError)
    with pytest.raises(AccessDenied) as caught:
        fetch(source, source.reopen(f"s3/{s3_server.endpoint.removeprefix('http://')}/{bucket.name}", "a.csv"))
    assert "wrong" * 8 not in str(caught.value)


def test_a_reader_who_may_not_see_versions_still_lists(
    s3_server: S3Server, bucket: Bucket, credentials: SecretsOf
) -> None:
    bucket.put("set/a.csv", b"1")
    reader = Account(
        s3_server,
        {"Effect": "Allow", "Action": "s3:*"},
        {"Effect": "Deny", "Action": ["s3:ListBucketVersions"]},
    )
    credentials(reader.access_key, reader.secret_key)
    source = S3Source(settings_for(s3_server.endpoint))
    with pytest.raises(Exception, match="AccessDenied"):
        source._client.list_object_versions(Bucket=bucket.name)
    ((path, item),) = source.list(source.resolve(bucket.link("set")))
    assert path == "a.csv"
    assert fetch(source, item)[0] == b"1"


def test_a_profile_that_is_not_there(credentials: SecretsOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(AccessDenied, match="ProfileNotFound"):
        S3Source(Settings()).resolve("s3://some-bucket/a.csv")


@pytest.mark.parametrize("endpoint", ["not an address", "host:9000"])
def test_an_endpoint_that_is_none(credentials: SecretsOf, endpoint: str) -> None:
    with pytest.raises(SettingsError, match=r"s3\.endpoint"):
        S3Source(settings_for(endpoint)).resolve("s3://some-bucket/a.csv")


def test_without_boto3_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "boto3":
            raise ImportError("no boto3", name="boto3")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match=r'pip install "data-platform\[s3\]"'):
        S3Source(Settings()).resolve("s3://some-bucket/a.csv")


# --- faults

DATA = random.Random(1).randbytes(3_000_000)


@pytest.fixture
def proxy(s3_server: S3Server) -> Iterator[FaultProxy]:
    with FaultProxy(s3_server.endpoint) as running:
        yield running


@pytest.fixture
def through(proxy: FaultProxy, source: S3Source) -> S3Source:
    """A source that reads through the proxy."""
    return S3Source(settings_for(proxy.endpoint))


@pytest.mark.parametrize("versions", [False, True])
def test_goes_on_after_cuts(through: S3Source, proxy: FaultProxy, s3_server: S3Server, versions: bool) -> None:
    bucket = Bucket(s3_server, versioned=versions)
    item = through.resolve(bucket.put("a.bin", DATA))
    revision = through.revision(item)
    fault = proxy.spoil("cut reply", "GET", times=3, target="a.bin")
    received: list[bytes] = []
    assert through.download(item, revision, received.append) == revision
    assert b"".join(received) == DATA
    assert fault.fired == 3


def test_a_fourth_cut_is_one_too_many(through: S3Source, proxy: FaultProxy, bucket: Bucket) -> None:
    item = through.resolve(bucket.put("a.bin", DATA))
    fault = proxy.spoil("cut reply", "GET", times=9, target="a.bin")
    with pytest.raises(IncompleteDownload):
        fetch(through, item)
    assert fault.fired == 4


@pytest.mark.parametrize("versions", [False, True])
def test_an_object_replaced_between_two_answers_is_never_mixed(
    through: S3Source, proxy: FaultProxy, s3_server: S3Server, versions: bool
) -> None:
    bucket = Bucket(s3_server, versioned=versions)
    item = through.resolve(bucket.put("a.bin", DATA))
    revision = through.revision(item)
    fault = proxy.spoil("cut reply", "GET", target="a.bin")
    received: list[bytes] = []

    def sink(piece: bytes) -> None:
        if not received:
            bucket.put("a.bin", DATA[::-1])
        received.append(piece)

    if versions:  # the bucket still has the version that was begun
        assert through.download(item, revision, sink) == revision
        assert b"".join(received) == DATA
    else:
        with pytest.raises(SourceChanged):
            through.download(item, revision, sink)
    assert fault.fired == 1
    assert fetch(through, item)[0] == DATA[::-1]


def test_bytes_that_changed_on_the_way_are_noticed(through: S3Source, proxy: FaultProxy, bucket: Bucket) -> None:
    bucket.client.put_object(Bucket=bucket.name, Key="a.bin", Body=DATA, ChecksumAlgorithm="CRC32")
    item = through.resolve(bucket.link("a.bin"))
    fault = proxy.spoil("alter reply", "GET", target="a.bin")
    with pytest.raises(IncompleteDownload, match="damaged"):
        fetch(through, item)
    assert fault.fired == 1
    assert fetch(through, item)[0] == DATA


def test_a_server_that_is_overloaded(through: S3Source, proxy: FaultProxy, bucket: Bucket) -> None:
    item = through.resolve(bucket.put("a.bin", b"1"))
    revision = through.revision(item)
    once = proxy.spoil("refuse", "GET", times=1, target="a.bin")
    through.download(item, revision, lambda piece: None)
    assert once.fired == 1
    always = proxy.spoil("refuse", "GET", times=99, target="a.bin")
    with pytest.raises(SourceUnavailable, match="SlowDown"):
        through.download(item, revision, lambda piece: None)
    assert always.fired >= 2


def test_nobody_listens(credentials: SecretsOf) -> None:
    credentials("AKIA" + "X" * 16, "y" * 40)
    with pytest.raises(SourceUnavailable, match=r"s3\.endpoint"):
        S3Source(settings_for(f"http://127.0.0.1:{free_port()}")).resolve("s3://some-bucket/a.csv")


def test_a_server_that_never_answers(credentials: SecretsOf) -> None:
    credentials("AKIA" + "X" * 16, "y" * 40)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = Settings(
            s3=S3Settings(endpoint=f"http://127.0.0.1:{silent.getsockname()[1]}"),
            http=HttpSettings(timeout_seconds=0.2),
        )
        with pytest.raises(SourceTimeout):
            S3Source(settings).resolve("s3://some-bucket/a.csv")
        silent.accept()[0].close()  # it was really asked


def test_the_deadline_counts_for_the_whole_object(s3_server: S3Server, source: S3Source, bucket: Bucket) -> None:
    hurried = S3Source(Settings(s3=S3Settings(endpoint=s3_server.endpoint), http=HttpSettings(deadline_seconds=1e-6)))
    item = hurried.resolve(bucket.put("a.bin", b"1"))
    with pytest.raises(SourceTimeout, match="deadline"):
        fetch(hurried, item)


def test_too_large_is_refused_before_a_byte(s3_server: S3Server, source: S3Source, bucket: Bucket) -> None:
    small = S3Source(settings_for(s3_server.endpoint, max_bytes=10))
    assert fetch(small, small.resolve(bucket.put("fits", b"x" * 10)))[0] == b"x" * 10
    item = small.resolve(bucket.put("big", b"x" * 11))
    received: list[bytes] = []
    with pytest.raises(TooLarge, match=r"s3\.max_bytes"):
        small.download(item, small.revision(item), received.append)
    assert received == []


def test_an_error_of_the_receiver_is_never_taken_for_one_of_ours(source: S3Source, bucket: Bucket) -> None:
    item = source.resolve(bucket.put("a.bin", b"1"))
    for error in (ValueError("no"), TimeoutError("no"), ConnectionError("no"), OSError(28, "no space"), KeyError("x")):

        def refuse(piece: bytes, error: Exception = error) -> None:
            raise error

        with pytest.raises(type(error)) as caught:
            source.download(item, source.revision(item), refuse)
        assert caught.value is error


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("NoSuchKey", 404, SourceNotFound),
        ("NoSuchBucket", 404, SourceNotFound),
        ("MethodNotAllowed", 405, SourceNotFound),
        ("404", 404, SourceNotFound),
        ("403", 403, AccessDenied),
        ("400", 400, AccessDenied),
        ("ExpiredToken", 400, AccessDenied),
        ("SignatureDoesNotMatch", 403, AccessDenied),
        ("InvalidObjectState", 403, UnsupportedItem),
        ("PermanentRedirect", 301, UnsupportedItem),
        ("PreconditionFailed", 412, SourceChanged),
        ("SlowDown", 503, SourceUnavailable),
        ("SomethingNew", 500, SourceUnavailable),
        ("RequestTimeout", 400, SourceUnavailable),
        ("SomethingNew", 418, UnsupportedItem),
        ("SomethingNew", 403, AccessDenied),
    ],
)
def test_each_answer_of_s3_has_its_error(code: str, status: int, expected: type[DataPlatformError]) -> None:
    error = code_error(code, status, "s3://bucket/key")
    assert type(error) is expected
    assert code in str(error)
    assert str(error).endswith(".")
