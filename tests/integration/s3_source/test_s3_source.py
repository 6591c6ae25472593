"""`S3Source` against moto, whose access control is on, and against a real Ceph gateway."""

from __future__ import annotations

import secrets

import pytest
from s3_buckets import Bucket, SecretsOf, settings_for, shared_source
from servers.fault_proxy import FaultProxy
from servers.processes import S3Server
from source_contract import Shelf, SourceContract, fetch

from data_platform.errors import (
    SourceNotFound,
    UnknownSource,
    UnsupportedItem,
    VersionUnavailable,
)
from data_platform.settings import Settings
from readers import linked, s3
from readers.s3 import S3Source
from readers.source import Source


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
