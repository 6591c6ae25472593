"""A prefix of a bucket, adopted: as many requests as there are new objects, and a few for the list."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import boto3
import pytest
from adopting import quietly
from deliveries import sha256, stored
from servers.fault_proxy import Fault, FaultProxy
from servers.processes import S3Server

from data_platform.errors import SourceNotFound
from data_platform.settings import settings
from populate.adopt.tables import AdoptFile
from populate.retention.references import known_of
from schemas.binding import Binding
from schemas.catalogue import File, FileGone, FileName, FileOwner, Version
from schemas.sharing import Access

OBJECTS = {f"2019/run {number}/plate.csv": f"plate {number % 4}\n".encode() for number in range(12)}
LARGE = b"0123456789abcdef" * 400_000  # more than waits in memory


@pytest.fixture
def proxy(
    s3_server: S3Server, binding: Binding, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[FaultProxy]:
    """Return the door through which the reader reaches the server; the settings lead there."""
    with FaultProxy(s3_server.endpoint) as made:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.secret_key)
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
        monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
        monkeypatch.delenv("AWS_PROFILE", raising=False)
        monkeypatch.setenv("DATA_PLATFORM_S3__ENDPOINT", made.endpoint)
        monkeypatch.setenv("DATA_PLATFORM_S3__REGION", "us-east-1")
        settings.cache_clear()
        yield made


@pytest.fixture
def client(s3_server: S3Server) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=s3_server.endpoint,
        region_name="us-east-1",
        aws_access_key_id=s3_server.access_key,
        aws_secret_access_key=s3_server.secret_key,
    )


@pytest.fixture
def bucket(client: Any) -> str:
    name = f"assays-{secrets.token_hex(8)}"
    client.create_bucket(Bucket=name)
    for key, data in {**OBJECTS, "2019/large.bin": LARGE, "2019/": b"", "2020/other.csv": b"other"}.items():
        client.put_object(Bucket=name, Key=key, Body=data)
    return name


def asked(proxy: FaultProxy) -> Counter[str]:
    """Return how often objects were fetched, asked about and listed since the last time."""
    kinds = Counter(
        {("GET", False): "objects", ("GET", True): "lists", ("HEAD", False): "heads"}.get(
            (method, "?" in target), method
        )
        for method, target in proxy.requests
    )
    proxy.requests.clear()
    return kinds


def test_a_prefix_is_adopted_with_a_request_an_object(
    binding: Binding, proxy: FaultProxy, client: Any, bucket: str
) -> None:
    proxy.requests.clear()
    done = quietly(f"s3://{bucket}/2019")
    assert (done.found.new, done.taken, done.left, done.unread) == (13, 13, 0, [])
    assert done.url == f"s3://{bucket}/2019/"
    assert sorted(stored().values()) == sorted({*OBJECTS.values(), LARGE})
    requests = asked(proxy)
    assert (requests["objects"], requests["heads"]) == (13, 1)  # is 2019 an object?
    assert requests["lists"] < 6
    assert (len(File()), len(Version()), len(AdoptFile()), len(FileOwner()), len(Access())) == (13, 13, 13, 0, 0)
    assert set(FileName.to_arrays("file_path")) == {*OBJECTS, "2019/large.bin"}

    assert quietly(f"s3://{bucket}/2019/", dry_run=True).found.known == 13
    assert quietly(f"s3://{bucket}/2019/").taken == 0
    assert asked(proxy)["objects"] == 0

    client.put_object(Bucket=bucket, Key="2019/run 1/plate.csv", Body=b"another\n")
    client.delete_object(Bucket=bucket, Key="2019/run 2/plate.csv")
    again = quietly(f"s3://{bucket}/2019/")
    assert (again.found.changed, again.found.gone, again.taken) == (1, 1, 1)
    assert asked(proxy)["objects"] == 1
    assert [row["file_path"] for row in (FileGone() * FileName).to_dicts()] == ["2019/run 2/plate.csv"]

    client.put_object(Bucket=bucket, Key="2019/run 1/plate.csv", Body=b"plate 1\n")  # as it was, with the tag it had
    back = quietly(f"s3://{bucket}/2019/")
    assert (back.found.changed, back.taken, asked(proxy)["objects"]) == (1, 1, 1)
    assert quietly(f"s3://{bucket}/2019/").taken == 0
    hashes = [sha256(b"another\n"), sha256(b"plate 1\n")]
    known = known_of(binding, hashes, date(2026, 1, 1))
    assert [[state.newer for state in known[one].states] for one in hashes] == [[1], [0, 0, 0]]


@pytest.mark.parametrize("backend", ["postgresql"])
def test_what_the_server_refuses_now_and_then_costs_nothing_else(
    binding: Binding, proxy: FaultProxy, client: Any, bucket: str
) -> None:
    whole = quietly(f"s3://{bucket}/2019/", work=False)
    assert (whole.left, whole.taken) == (1, 0)
    client.delete_object(Bucket=bucket, Key="2019/run 3/plate.csv")
    proxy.faults.append(Fault("cut reply", "GET", times=1, target="large"))
    done = quietly(f"s3://{bucket}/2019/")
    assert proxy.faults[0].fired == 1
    assert done.taken == 12
    assert [(one.path, one.failure) for one in done.unread] == [("2019/run 3/plate.csv", "SourceNotFound")]
    assert sorted(stored().values()) == sorted({*OBJECTS.values(), LARGE})


@pytest.mark.parametrize("backend", ["postgresql"])
def test_a_prefix_with_nothing_below_it_is_said_to_be_empty(binding: Binding, proxy: FaultProxy, bucket: str) -> None:
    with pytest.raises(SourceNotFound, match="nothing at or below"):
        quietly(f"s3://{bucket}/2018/")
