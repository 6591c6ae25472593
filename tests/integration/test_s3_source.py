"""`S3Source` against moto, whose access control is on, and against a real Ceph gateway."""

from __future__ import annotations

import builtins
import json
import random
import secrets
import socket
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import boto3
import pytest
from servers.fault_proxy import FaultProxy
from servers.processes import S3Server, free_port
from source_contract import Shelf, SourceContract, fetch

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
    UnknownSource,
    UnsupportedItem,
    VersionUnavailable,
)
from data_platform.settings import HttpSettings, S3Settings, Settings
from readers import linked, s3
from readers.s3 import S3Source
from readers.s3_errors import code_error
from readers.source import Source

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


class S3Contract(SourceContract):
    versions = False

    @pytest.fixture
    def server(self, s3_server: S3Server) -> S3Server:
        return s3_server

    @pytest.fixture
    def shelf(self, server: S3Server) -> Shelf:
        return Bucket(server, versioned=self.versions)

    @pytest.fixture
    def source(self, server: S3Server, credentials: SecretsOf) -> Source:
        credentials(server.access_key, server.secret_key)
        return shared_source(server)


class TestS3SourceOnMoto(S3Contract):
    pass


class TestS3SourceOnMotoWithVersions(S3Contract):
    versions = True


class TestS3SourceOnCeph(S3Contract):
    @pytest.fixture
    def server(self, ceph: S3Server) -> S3Server:
        return ceph


class TestS3SourceOnCephWithVersions(TestS3SourceOnCeph):
    versions = True


# --- links


def test_a_bucket_is_known_by_its_endpoint(source: S3Source, bucket: Bucket, s3_server: S3Server) -> None:
    item = source.resolve(bucket.put("deep/a.csv", b"1"))
    host = s3_server.endpoint.removeprefix("http://")
    assert item.source_system == f"s3/{host}/{bucket.name}"
    assert (item.item_id, item.name, item.path) == ("deep/a.csv", "a.csv", "deep/a.csv")
    assert item.url == f"s3://{bucket.name}/deep/a.csv"


def test_aws_itself_needs_no_endpoint(credentials: SecretsOf, monkeypatch: pytest.MonkeyPatch) -> None:
    assert S3Source(Settings()).reopen("s3/aws/some-bucket", "a.csv").source_system == "s3/aws/some-bucket"
    # Named by the environment, as boto3 allows, another endpoint is still not AWS.
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(UnknownSource, match=r"127\.0\.0\.1:9"):
        S3Source(Settings()).reopen("s3/aws/some-bucket", "a.csv")


@pytest.mark.parametrize(
    "url", ["s3://", "s3:///key", "s3://a/key", "s3://b?x/key", "s3://u@bucket/key", "s3:bucket/key"]
)
def test_what_is_no_s3_link(url: str) -> None:
    with pytest.raises(UnknownSource):
        S3Source(Settings()).resolve(url)


@pytest.mark.parametrize("key", ["a/../b.csv", "./a.csv", "..", "x" * 1025, "a\ud800b"])
def test_keys_that_cannot_be_asked_for_are_refused(key: str) -> None:
    with pytest.raises(UnsupportedItem):
        S3Source(Settings()).resolve(f"s3://some-bucket/{key}")


def test_a_key_may_look_like_a_version(source: S3Source, bucket: Bucket) -> None:
    bucket.put("a.csv?versionId=1", b"odd")
    bucket.put("folder/x", b"")
    (item,) = (item for path, item in source.list(source.resolve(bucket.link(""))) if path.startswith("a"))
    assert item.item_id == "a.csv?versionId=1"
    assert fetch(source, item)[0] == b"odd"
    assert fetch(source, source.reopen(item.source_system, item.item_id))[0] == b"odd"


# --- versions


def test_a_link_to_a_version_reads_that_version(source: S3Source, versioned: Bucket) -> None:
    ids = [versioned.put_version("a.csv", data) for data in (b"one", b"two!", b"three")]
    for version, data in zip(ids, (b"one", b"two!", b"three"), strict=True):
        item = source.resolve(f"{versioned.link('a.csv')}?versionId={version}")
        assert item.item_id == "a.csv"
        revision = source.revision(item)
        assert (revision.token, revision.size) == (f"version:{version}", len(data))
        assert fetch(source, item) == (data, revision)
        assert source.resolve(item.url) == item
    latest = source.resolve(versioned.link("a.csv"))
    assert source.revision(latest).token == f"version:{ids[-1]}"
    with pytest.raises(SourceNotFound):
        source.resolve(f"{versioned.link('a.csv')}?versionId={secrets.token_hex(16)}")


def test_history_gives_each_version_by_its_token(source: S3Source, versioned: Bucket) -> None:
    item = source.resolve(versioned.put("a.csv", b"old"))
    old = source.revision(item).token
    versioned.put("a.csv", b"new")
    received: list[bytes] = []
    source.download_version(item, old, received.append)
    assert b"".join(received) == b"old"
    versioned.client.delete_object(Bucket=versioned.name, Key="a.csv", VersionId=old.partition(":")[2])
    with pytest.raises(VersionUnavailable):
        source.download_version(item, old, received.append)


def test_a_deleted_object_is_gone_though_its_versions_stay(source: S3Source, versioned: Bucket) -> None:
    item = source.resolve(versioned.put("a.csv", b"old"))
    token = source.revision(item).token
    versioned.remove("a.csv")
    with pytest.raises(SourceNotFound):
        source.revision(item)
    assert "a.csv" not in dict(source.list(source.resolve(versioned.link(""))))
    received: list[bytes] = []
    source.download_version(item, token, received.append)
    assert received == [b"old"]


def test_without_history_only_the_present_bytes_can_be_had(source: S3Source, bucket: Bucket) -> None:
    item = source.resolve(bucket.put("a.csv", b"old"))
    token = source.revision(item).token
    received: list[bytes] = []
    source.download_version(item, token, received.append)
    assert received == [b"old"]
    bucket.put("a.csv", b"new")
    with pytest.raises(VersionUnavailable):
        source.download_version(item, token, received.append)


# --- prefixes


def test_a_file_is_not_hidden_by_a_folder_of_its_name(source: S3Source, bucket: Bucket) -> None:
    bucket.put("set", b"file")
    bucket.put("set/a.csv", b"1")
    assert not source.resolve(bucket.link("set")).is_folder
    assert source.resolve(bucket.link("set/")).is_folder


def test_a_whole_bucket_is_a_folder(source: S3Source, bucket: Bucket) -> None:
    folder = source.resolve(f"s3://{bucket.name}")
    assert (folder.name, folder.item_id, folder.is_folder) == (bucket.name, "/", True)
    assert list(source.list(folder)) == []
    bucket.put("a/b.csv", b"1")
    bucket.put("marker/", b"")
    again = source.reopen(folder.source_system, folder.item_id)
    assert again == folder == source.resolve(f"s3://{bucket.name}/")
    assert [path for path, _ in source.list(again)] == ["a/b.csv"]
    with pytest.raises(SourceNotFound):
        source.resolve(f"s3://{bucket.name}/nothing/")
    with pytest.raises(SourceNotFound):
        source.resolve(f"s3://{bucket.name}-no-such")


@pytest.mark.parametrize("versions", [False, True])
def test_a_long_list_costs_one_request_a_page(
    source: S3Source, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, versions: bool
) -> None:
    monkeypatch.setattr(s3, "PAGE", 10)
    monkeypatch.setattr(linked, "_FRESH_SECONDS", 1e9)
    bucket = Bucket(s3_server, versioned=versions)
    for number in range(23):
        bucket.put(f"set/{number}", b"x")
    with FaultProxy(s3_server.endpoint) as proxy:
        listing = S3Source(settings_for(proxy.endpoint))
        listed = dict(listing.list(listing.resolve(bucket.link("set"))))
        tokens = {path: listing.revision(item).token for path, item in listed.items()}
        assert len(proxy.requests) == 5  # is it an object, is there anything below, three pages
    assert len(listed) == 23
    for path in ("0", "9", "22"):
        assert source.revision(source.resolve(bucket.link(f"set/{path}"))).token == tokens[path]


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
