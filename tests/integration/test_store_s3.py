"""The content store in buckets: moto for its access control, Ceph because it is real."""

from __future__ import annotations

import json
import secrets
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from bucket_stores import prefix_of, settings_for, unfinished, unused_url
from servers.ceph import Ceph
from servers.fault_proxy import FaultProxy
from servers.processes import S3Server, free_port
from store_contract import AT_ONCE, MIB, StoreContract, content_of_size, get, put, sha256_of

from data_platform.errors import BlobMissing, SettingsError, StoreError, StoreFull, StoreUnavailable
from data_platform.settings import StoreSettings
from populate.store import Place, Store, object_name_of
from populate.store.s3 import BucketStore, open_bucket


class BucketContract(StoreContract):
    """What both servers must do."""

    @pytest.fixture
    def server(self) -> S3Server:
        raise NotImplementedError

    @pytest.fixture
    def open_store(self, server: S3Server) -> Callable[[], Store]:
        settings = settings_for(server, unused_url(bucket="contract"))
        return lambda: BucketStore(settings)

    def leftovers(self, store: Store) -> list[str]:
        assert isinstance(store, BucketStore)
        return unfinished(store)

    def overwrite(self, store: Store, object_name: str, content: bytes) -> None:
        assert isinstance(store, BucketStore)
        store.client.put_object(Bucket=store.bucket, Key=f"{prefix_of(store)}/{object_name}", Body=content)

    def test_keys_have_the_layout_that_others_rely_on(self, store: Store) -> None:
        assert isinstance(store, BucketStore)
        put(store, b"abc")
        sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        listed = store.client.list_objects_v2(Bucket=store.bucket, Prefix=prefix_of(store))
        keys = [found["Key"].removeprefix(prefix_of(store)) for found in listed["Contents"]]
        assert keys == [f"/objects/ba/78/{sha256}", "/probe"]

    @pytest.mark.parametrize("wrong", ["secret_key", "access_key"])
    def test_wrong_keys_are_told_apart_from_a_server_that_is_down(self, server: S3Server, wrong: str) -> None:
        secret = "canary-0f1e2d3c4b5a"
        with pytest.raises(StoreUnavailable, match=r"store\.secret_key") as caught:
            BucketStore(settings_for(server, unused_url(), **{wrong: secret}))
        told = "".join(traceback.format_exception(caught.value))
        assert server.secret_key not in told
        assert secret not in told

    def test_secrets_are_in_no_name(self, server: S3Server, store: Store) -> None:
        for text in (repr(store), store.name, repr(vars(store))):
            assert server.secret_key not in text

    def test_a_missing_bucket_is_made_at_the_first_write_and_not_by_a_reader(self, server: S3Server) -> None:
        store = BucketStore(settings_for(server, unused_url()))
        with pytest.raises(StoreUnavailable, match="no bucket"):
            get(store, Place(object_name_of(sha256_of(b"x")), 0, 1))
        with pytest.raises(StoreUnavailable, match="no bucket"):
            list(store.objects())
        assert get(store, put(store, b"x")) == b"x"
        rules = store.client.get_bucket_lifecycle_configuration(Bucket=store.bucket)["Rules"]
        assert rules[0]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}

    def test_the_same_settings_give_the_same_store(self, server: S3Server) -> None:
        settings = settings_for(server, unused_url())
        assert open_bucket(settings) is open_bucket(settings)

    def test_variables_of_the_environment_do_not_divert_the_bytes(
        self, server: S3Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, value in {
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{free_port()}",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}",
            "AWS_SKIP_SIGNATURE": "true",
            "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true",
            "AWS_ACCESS_KEY_ID": "other",
            "AWS_SECRET_ACCESS_KEY": "other",
            "AWS_SESSION_TOKEN": "other",
            "AWS_REGION": "mars-1",
        }.items():
            monkeypatch.setenv(name, value)
        store = BucketStore(settings_for(server, unused_url()))
        assert get(store, put(store, b"here")) == b"here"

    def test_without_keys_in_the_settings_the_usual_chain_is_asked(
        self, server: S3Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_key)
        store = BucketStore(StoreSettings(url=unused_url(), endpoint=server.endpoint))
        assert get(store, put(store, b"chain")) == b"chain"

    def test_a_writer_that_is_killed_leaves_nothing_visible(
        self, server: S3Server, open_store: Callable[[], Store]
    ) -> None:
        store = open_store()
        assert isinstance(store, BucketStore)
        put(store, b"so that the bucket is there")
        content = content_of_size(20 * MIB)
        values = {"url": f"s3://{store.bucket}/{prefix_of(store)}", "endpoint": server.endpoint}
        values |= {"access_key": server.access_key, "secret_key": server.secret_key}
        with subprocess.Popen(
            [sys.executable, "-c", HALF_A_PUT], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as child:
            assert child.stdin is not None
            assert child.stdout is not None
            child.stdin.write(json.dumps(values).encode() + b"\n" + content)
            child.stdin.flush()
            assert child.stdout.readline() == b"half\n"
            child.send_signal(signal.SIGKILL)
        assert len(self.leftovers(store)) == 1, "the writer was not killed in the middle of an upload"
        assert store.size(object_name_of(sha256_of(content))) is None
        assert get(store, put(store, content)) == content


HALF_A_PUT = """
import hashlib, json, sys
from data_platform.settings import StoreSettings
from populate.store.s3 import BucketStore
store = BucketStore(StoreSettings(**json.loads(sys.stdin.buffer.readline())))
content = sys.stdin.buffer.read(20 << 20)
writer = store.writer(hashlib.sha256(content).hexdigest(), len(content))
writer.write(content)
print("half", flush=True)
sys.stdin.read()
"""


class TestMoto(BucketContract):
    @pytest.fixture
    def server(self, s3_server: S3Server) -> S3Server:
        return s3_server

    def test_what_it_enforces_is_found_out(self, store: Store) -> None:
        assert isinstance(store, BucketStore)
        put(store, b"x")
        assert store.enforced == (True, False)
        assert store.traits()._replace(checksum=False) == (True, False, False, True, False, False)


class TestCeph(BucketContract):
    @pytest.fixture
    def server(self, ceph: Ceph) -> S3Server:
        return ceph

    def test_what_it_enforces_is_found_out(self, store: Store) -> None:
        assert isinstance(store, BucketStore)
        put(store, b"x")
        assert store.enforced == (True, True)
        assert store.traits()[:2] == (True, True)
        store.client.put_bucket_versioning(Bucket=store.bucket, VersioningConfiguration={"Status": "Enabled"})
        assert store.traits().versioning

    @pytest.mark.parametrize("size", [100_000, AT_ONCE + 100_000])
    def test_a_full_store_is_told_as_such(self, ceph: Ceph, size: int) -> None:
        user = secrets.token_hex(8)
        ceph.admin("user", "create", f"--uid={user}", "--display-name=x", f"--access-key={user}", "--secret-key=s3cret")
        ceph.admin("quota", "set", "--quota-scope=user", f"--uid={user}", "--max-size=50K")
        ceph.admin("quota", "enable", "--quota-scope=user", f"--uid={user}")
        store = BucketStore(settings_for(ceph, unused_url(), access_key=user, secret_key="s3cret"))
        put(store, b"small")
        with pytest.raises(StoreFull, match="quota"):
            put(store, content_of_size(size))
        assert [size for _, size in store.objects()] == [5]
        assert self.leftovers(store) == []

    def test_somebody_elses_bucket_is_refused(self, ceph: Ceph, store: Store) -> None:
        assert isinstance(store, BucketStore)
        put(store, b"so that the bucket is there")
        user = secrets.token_hex(8)
        ceph.admin("user", "create", f"--uid={user}", "--display-name=x", f"--access-key={user}", "--secret-key=s3cret")
        settings = settings_for(ceph, f"s3://{store.bucket}", access_key=user, secret_key="s3cret")
        with pytest.raises(StoreUnavailable, match="may list, read and write"):
            BucketStore(settings)


def test_a_server_that_is_not_there_is_told_as_such() -> None:
    settings = StoreSettings(
        url=unused_url(), endpoint=f"http://127.0.0.1:{free_port()}", access_key="a", secret_key="canary-1"
    )
    with pytest.raises(StoreUnavailable, match=r"does not answer.*store\.endpoint") as caught:
        BucketStore(settings)
    assert "canary-1" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "s3://"},
        {"url": "s3://key:secret@bucket/prefix"},
        {"url": "s3://bucket/a/../b"},
        {"url": "s3://bucket/prefix?versionId=1"},
        {"url": "s3://bucket", "secret_key": ""},
    ],
)
def test_wrong_settings_are_refused_without_showing_them(changes: dict[str, str]) -> None:
    values = {"endpoint": "http://127.0.0.1:1", "access_key": "key", "secret_key": "secret"} | changes
    with pytest.raises(SettingsError) as caught:
        BucketStore(StoreSettings(**values))
    assert "secret@" not in str(caught.value)


FORKED = """
import hashlib, json, os, sys
from data_platform.errors import StoreError
from data_platform.settings import StoreSettings
from populate.store.s3 import BucketStore, open_bucket
settings = StoreSettings(**json.load(sys.stdin))
store = open_bucket(settings)
with store.writer(hashlib.sha256(b"x").hexdigest(), 1) as writer:
    writer.write(b"x")
    place = writer.commit()
for attempt in (lambda: store.size(place.object_name), lambda: list(store.read(place)), lambda: open_bucket(settings),
                lambda: list(store.objects()), lambda: store.put("objects/x", b"x")):
    child = os.fork()
    if not child:
        try:
            attempt()
        except StoreError as error:
            os._exit(7 if "spawn" in str(error) else 1)
        os._exit(2)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_child_is_refused_and_does_not_hang(s3_server: S3Server) -> None:
    values = {"url": unused_url(), "endpoint": s3_server.endpoint}
    values |= {"access_key": s3_server.access_key, "secret_key": s3_server.secret_key}
    done = subprocess.run(
        [sys.executable, "-c", FORKED],
        input=json.dumps(values),
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    assert done.stdout.split() == ["7"] * 5


class TestFaults:
    """A proxy spoils requests to a real server; each test sees that it did."""

    @pytest.fixture
    def proxied(self, any_s3: S3Server) -> Iterator[tuple[FaultProxy, BucketStore]]:
        with FaultProxy(any_s3.endpoint) as proxy:
            store = BucketStore(settings_for(any_s3, unused_url(), endpoint=proxy.endpoint))
            put(store, b"so that bucket and probe are done")
            yield proxy, store

    @pytest.mark.parametrize(("size", "times"), [(1000, 1), (1000, 1000), (AT_ONCE + 1000, 1)])
    def test_replies_lost_after_the_put(self, proxied: tuple[FaultProxy, BucketStore], size: int, times: int) -> None:
        proxy, store = proxied
        fault = proxy.spoil("lose reply", "PUT", times)
        content = content_of_size(size)
        assert get(store, put(store, content)) == content
        assert fault.fired >= 1
        assert unfinished(store) == []

    def test_a_reply_lost_after_the_last_request_of_an_upload(self, proxied: tuple[FaultProxy, BucketStore]) -> None:
        proxy, store = proxied
        fault = proxy.spoil("lose reply", "POST", target="uploadId=")
        content = content_of_size(AT_ONCE + 1000)
        assert get(store, put(store, content)) == content
        assert fault.fired == 1

    @pytest.mark.parametrize("size", [1000, AT_ONCE + 1000])
    def test_a_throttled_put_is_tried_again(self, proxied: tuple[FaultProxy, BucketStore], size: int) -> None:
        proxy, store = proxied
        fault = proxy.spoil("refuse", "PUT", times=2)
        content = content_of_size(size)
        assert get(store, put(store, content)) == content
        assert fault.fired == 2

    @pytest.mark.parametrize("size", [1000, AT_ONCE + 1000])
    def test_a_server_that_throttles_for_good_is_told_as_such(
        self, proxied: tuple[FaultProxy, BucketStore], size: int
    ) -> None:
        proxy, store = proxied
        fault = proxy.spoil("refuse", "PUT", times=1000)
        content = content_of_size(size)
        with pytest.raises(StoreUnavailable, match=r"\(503"):
            put(store, content)
        assert fault.fired > 1
        assert store.size(object_name_of(sha256_of(content))) is None
        assert unfinished(store) == []

    def test_a_cut_answer_is_made_whole_or_refused(self, proxied: tuple[FaultProxy, BucketStore]) -> None:
        proxy, store = proxied
        content = content_of_size(3 * MIB)
        place = put(store, content)
        fault = proxy.spoil("cut reply", "GET", target=place.object_name)
        with suppress(StoreUnavailable):
            assert get(store, place) == content
        assert fault.fired == 1
        assert get(store, place) == content

    def test_answers_that_are_always_cut_are_refused(self, proxied: tuple[FaultProxy, BucketStore]) -> None:
        proxy, store = proxied
        place = put(store, content_of_size(1000))
        fault = proxy.spoil("cut reply", "GET", times=1000, target=place.object_name)
        with pytest.raises(StoreUnavailable):
            get(store, place)
        assert fault.fired >= 1

    def test_a_throttled_listing_is_complete(self, proxied: tuple[FaultProxy, BucketStore]) -> None:
        proxy, store = proxied
        put(store, b"one more")
        fault = proxy.spoil("refuse", "GET", target="list-type")
        assert len(list(store.objects())) == 2
        assert fault.fired == 1

    def test_a_missing_object_is_not_a_failing_server(self, proxied: tuple[FaultProxy, BucketStore]) -> None:
        proxy, store = proxied
        fault = proxy.spoil("refuse", "GET")
        with pytest.raises(BlobMissing):
            get(store, Place(object_name_of(sha256_of(b"nobody")), 0, 6))
        assert fault.fired == 1


@pytest.mark.parametrize("size", [1000, AT_ONCE + 1000])
def test_bytes_altered_on_their_way_are_refused_by_the_server(ceph: Ceph, size: int) -> None:
    with FaultProxy(ceph.endpoint) as proxy:
        store = BucketStore(settings_for(ceph, unused_url(), endpoint=proxy.endpoint))
        put(store, b"so that bucket and probe are done")
        fault = proxy.spoil("alter request", "PUT", times=1000)
        content = content_of_size(size)
        with pytest.raises(StoreError):
            put(store, content)
        assert fault.fired >= 1
        assert store.size(object_name_of(sha256_of(content))) is None


def test_class_and_encryption_are_asked_for(s3_server: S3Server) -> None:
    chosen = {"storage_class": "STANDARD_IA", "storage_class_bytes": 1000, "encryption": "aws:kms"}
    store = BucketStore(settings_for(s3_server, unused_url(), encryption_key="backups", **chosen))
    found = {}
    for size in (999, 1000, AT_ONCE + 1):
        content = content_of_size(size)
        place = put(store, content)
        assert get(store, place) == content
        found[size] = store.client.head_object(Bucket=store.bucket, Key=f"{prefix_of(store)}/{place.object_name}")
    assert [one.get("StorageClass") for one in found.values()] == [None, "STANDARD_IA", "STANDARD_IA"]
    assert {(one["ServerSideEncryption"], one["SSEKMSKeyId"]) for one in found.values()} == {("aws:kms", "backups")}
