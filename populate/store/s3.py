"""The content store in a bucket of any S3-compatible server.

boto3 is the control plane: credentials, bucket, probe, multipart uploads. The bytes of small
contents and of every read go through obstore, which costs a fraction of boto3 per object.
Large contents are uploaded part by part through boto3: only it names the upload, so that
exactly this one can be dropped, and only it sends a part from a file (see `s3_writing` and
`multipart`).
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import obstore
from botocore.exceptions import ClientError
from obstore.exceptions import AlreadyExistsError

from data_platform.errors import (
    BlobDamaged,
    BlobMissing,
    ObjectLocked,
    SettingsError,
    StoreError,
    StoreUnavailable,
)
from data_platform.settings import StoreSettings
from populate.store import s3_beside
from populate.store.base import CHUNK, SEALED, Place, Store, Traits, checked_object_name
from populate.store.clients import (
    byte_store,
    control_client,
    extras_of,
    locked_until,
    session_of,
    stay_in_process,
    versions_of,
)
from populate.store.multipart import Multipart
from populate.store.probe import Enforced, probe, probe_all
from populate.store.refusals import FAILURES, Refusal, refusal
from populate.store.s3_writing import BucketWriter

if TYPE_CHECKING:
    from obstore import Attributes

ABANDONED_AFTER_DAYS = 7
"""Parts of uploads whose writer died are removed by the server after this, in buckets made here."""

SPAN = 64 * 1024 * 1024
"""Bytes that are asked for in one request when reading."""

FEW, MANY = 4, 1000
"""Objects that are removed one by one, and those that are removed in one request at most."""

THREADS = 8
_BUCKET = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{1,62}", re.ASCII)
_PREFIX = re.compile(r"(?!.*//)(?!.*\.\.)[A-Za-z0-9._/-]*", re.ASCII)


def open_bucket(settings: StoreSettings) -> BucketStore:
    """Open the bucket that `settings.url` names; the same object for the same settings in a process."""
    return _opened(settings, os.getpid())


@lru_cache(maxsize=4)
def _opened(settings: StoreSettings, process: int) -> BucketStore:
    return BucketStore(settings)


class BucketStore(Store):
    """Content in a bucket, under ``<prefix>/objects/ab/cd/<sha256>``.

    Raises
    ------
    SettingsError
        If the URL or the keys are not complete.
    StoreUnavailable
        If the server does not answer or refuses the credentials.
    """

    def __init__(self, settings: StoreSettings) -> None:
        stay_in_process()  # a fork inherits the runtime even if it opens a store of its own
        self._settings = settings
        self.bucket, self._prefix = _parts_of(settings.url)
        session = session_of(settings)
        try:
            self.client = control_client(session, settings)
            endpoint = self.client.meta.endpoint_url
            host = urlsplit(endpoint).netloc.rpartition("@")[2].lower()
            self.name = "/".join(part for part in (f"s3:{host}", self.bucket, self._prefix) if part)
            self._region = self.client.meta.region_name
            self._is_aws = not settings.endpoint
            self._bytes = byte_store(session, settings, (self.bucket, self._prefix), endpoint, self._region)
            self._exists = self._bucket_exists()
        except FAILURES as error:
            raise refusal(error).error(f"s3://{self.bucket}") from None  # their texts may quote what was signed
        if len(self.name) > 255:
            raise SettingsError(
                "Endpoint, bucket and prefix of store.url are longer than 250 characters. Use a shorter prefix."
            )
        self._enforced: Enforced | None = None
        self._lock = threading.Lock()

    def prepare(self) -> None:
        if not self._exists:
            _ = self.enforced

    def writer(self, sha256: str | None, size: int | None) -> BucketWriter:
        return BucketWriter(self, sha256, size)

    def read(self, place: Place) -> Iterator[bytes]:
        stay_in_process()
        name = checked_object_name(place.object_name)
        if place.length == 0:  # a range of no bytes cannot be asked for
            if self.size(name) is None:
                self.refuse_sealed(name)
                raise self._missing(name)
            return
        received = 0
        try:
            for piece in self._pieces(name, place):
                received += len(piece)
                yield piece
        except FAILURES as error:
            raise self._read_error(name, place, error) from None
        if received != place.length:
            raise BlobDamaged(
                f"{self.name} gave {received} of {place.length} bytes of {name}. Run `data-platform check`."
            )

    def size(self, object_name: str) -> int | None:
        stay_in_process()
        try:
            return int(obstore.head(self._bytes, checked_object_name(object_name))["size"])
        except FAILURES as error:
            if (refused := refusal(error)).is_missing:
                return None
            raise refused.error(self.name) from None

    def objects(self, below: str = "objects/") -> Iterator[tuple[str, int]]:
        stay_in_process()
        try:
            for batch in obstore.list(self._bytes, below.rstrip("/"), chunk_size=1000):
                for found in batch:
                    if found["path"].endswith(SEALED):
                        self.refuse_sealed(found["path"])
                    yield found["path"], found["size"]
        except FAILURES as error:
            raise refusal(error).error(self.name) from None

    def put(
        self,
        object_name: str,
        content: bytes,
        *,
        replace: bool = False,
        anew: bool = False,
        same: Callable[[], bool] | None = None,
    ) -> None:
        """Store a small content whose hash was compared, in one request; see `Writer` for what can be chosen."""
        stay_in_process()
        size, sha256 = len(content), hashlib.sha256(content).hexdigest()
        same = same or partial(self.has_hash, object_name, size, sha256)
        if not (replace or anew) and self._create(object_name, content) and self.enforced.payload:
            return
        if not anew and self.holds(object_name, size, same, doubted=replace):
            return
        # Nothing there, or something else than this content.
        written_as = self.name_to_write(object_name)
        try:
            self._put(written_as, content)
        except FAILURES as error:
            raise refusal(error).error(self.name) from None
        self.settle(written_as, object_name, size, same, sha256)

    def name_to_write(self, object_name: str) -> str:
        """Return what to call bytes on their way to a name: another one where something could be lost to them."""
        if self.enforced.payload or self.size(object_name) is None:
            return object_name
        return s3_beside.new_name()

    def settle(self, written_as: str, object_name: str, size: int, same: Callable[[], bool], sha256: str) -> None:
        """Compare what was written, as `check_stored` does, and give it its name if it was written beside."""
        if written_as == object_name:
            self.check_stored(object_name, size, same)
            return
        try:
            self.check_stored(written_as, size, partial(self.has_hash, written_as, size, sha256))
            extras = extras_of(self._settings, size)
            s3_beside.copy(self.client, self.bucket, self._key(written_as), self._key(object_name), extras)
        except FAILURES as error:
            raise refusal(error).error(self.name) from None
        finally:
            with suppress(StoreError):  # what stays is removed by whoever opens the bucket in some days
                self.remove(written_as)

    def start_upload(self, object_name: str, size: int | None) -> Multipart:
        """Begin to store a large content."""
        self.prepare()
        return Multipart(self.client, self.bucket, self._key(object_name), size, extras_of(self._settings, size))

    def remove(self, object_name: str) -> bool:
        key = self._key(checked_object_name(object_name))
        try:
            versions = list(versions_of(self.client, self.bucket, key))
            for version in versions:
                self.client.delete_object(Bucket=self.bucket, Key=key, **version)
        except FAILURES as error:
            if (until := locked_until(self.client, self.bucket, key, error)) is not None:
                raise self._locked({object_name}, until) from None
            raise refusal(error).error(self.name) from None
        return bool(versions)

    def remove_many(self, object_names: Sequence[str]) -> list[str]:
        if len(object_names) < FEW or self._is_versioned() or not self._removed_together(object_names):
            with ThreadPoolExecutor(THREADS, thread_name_prefix="remove") as pool:
                there = list(pool.map(self._removed, object_names))
            if locked := [one for one in there if isinstance(one, ObjectLocked)]:
                raise self._locked({name for one in locked for name in one.names}, "later")
            return [name for name, was_there in zip(object_names, there, strict=True) if was_there]
        return list(object_names)

    def _removed(self, object_name: str) -> bool | ObjectLocked:
        try:
            return self.remove(object_name)
        except ObjectLocked as error:
            return error

    def _locked(self, names: Set[str], until: str) -> ObjectLocked:
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        error = ObjectLocked(
            f"{self.name} has {min(names)}{more} locked until {until}. "
            "Remove it once that is over, or have whoever may do so lift the lock."
        )
        error.names = frozenset(names)
        return error

    def _is_versioned(self) -> bool:
        try:
            return "Status" in self.client.get_bucket_versioning(Bucket=self.bucket)
        except FAILURES:
            return True  # one that does not tell may be

    def _removed_together(self, object_names: Sequence[str]) -> bool:
        """Remove objects with a request for many; False if the server knows no such request, or refuses some."""
        keys = [self._key(checked_object_name(name)) for name in object_names]
        try:
            for start in range(0, len(keys), MANY):
                some: Any = {"Objects": [{"Key": key} for key in keys[start : start + MANY]], "Quiet": True}
                if self.client.delete_objects(Bucket=self.bucket, Delete=some).get("Errors"):
                    return False  # one by one tells which and why
        except FAILURES:
            return False
        return True

    def traits(self) -> Traits:
        _ = self.enforced  # makes the bucket
        try:
            return probe_all(self.client, self.bucket, self._key("probe"))
        except FAILURES as error:
            raise refusal(error).error(self.name) from None

    def check_stored(self, object_name: str, size: int, same: Callable[[], bool]) -> None:
        """Compare what the server keeps of an object that was just stored: its size, if that is enough.

        Where the server takes whatever bytes arrive, these are read back, by `same`.
        """
        found = self.size(object_name)
        if found != size:
            raise StoreUnavailable(
                f"{self.name} accepted {size} bytes and keeps {found or 0} of them. Store the content again; "
                "if that does not help, look into the server's log."
            )
        if not self.enforced.payload and not same():
            raise StoreUnavailable(
                f"{self.name} keeps other bytes of {object_name} than were sent. Store the content again; "
                "if that does not help, look for what alters them on their way."
            )

    @property
    def enforced(self) -> Enforced:
        """What the server enforces, found out before the first write; the bucket is made then, too."""
        with self._lock:
            if self._enforced is None:
                self._enforced = self._prepare()
            return self._enforced

    def _prepare(self) -> Enforced:
        try:
            if not self._exists:
                _make_bucket(self.client, self.bucket, self._region if self._is_aws else "")
                self._exists = True
            enforced = probe(self.client, self.bucket, self._key("probe"))
            abandoned = [] if enforced.payload else list(s3_beside.abandoned(self._bytes))
        except FAILURES as error:
            raise refusal(error).error(self.name) from None
        with suppress(StoreError):  # or another time
            self.remove_many(abandoned)
        return enforced

    def _bucket_exists(self) -> bool:
        try:
            self.client.head_bucket(Bucket=self.bucket)
        except ClientError as error:
            if refusal(error).is_missing:
                return False
            raise
        return True

    def holds(self, object_name: str, size: int, same: Callable[[], bool], *, doubted: bool = False) -> bool:
        """Tell whether a content is there already.

        Who writes to a server that refuses altered bytes believes in the size, unless what is there is doubted;
        else it is read back, by `same`: it may be what an upload has left that was found to be altered.
        """
        if self.size(object_name) != size:
            return False
        return (self.enforced.payload and not doubted) or same()

    def has_hash(self, object_name: str, size: int, sha256: str) -> bool:
        """Read an object of `size` bytes, and tell whether it has this hash."""
        digest = hashlib.sha256()
        try:
            for piece in self.read(Place(object_name, 0, size)):
                digest.update(piece)
        except (BlobDamaged, BlobMissing):  # of another size by now, or gone
            return False
        return digest.hexdigest() == sha256

    def _key(self, object_name: str) -> str:
        return f"{self._prefix}/{object_name}" if self._prefix else object_name

    def _create(self, object_name: str, content: bytes) -> bool:
        """Store the content unless the name is taken; False if that is not certain to have happened."""
        if not self.enforced.create_only:
            return False
        try:
            self._put(object_name, content, mode="create")
        except AlreadyExistsError:
            return False
        except FAILURES as error:
            # The reply may be lost and the content stored: reading back tells.
            if (refused := refusal(error)).may_pass:
                return False
            raise refused.error(self.name) from None
        return True

    def _put(self, object_name: str, content: bytes, mode: Literal["create", "overwrite"] = "overwrite") -> None:
        told = extras_of(self._settings, len(content)).get("StorageClass")
        attributes: Attributes = {"Storage-Class": told} if told else {}
        obstore.put(self._bytes, object_name, content, mode=mode, use_multipart=False, attributes=attributes or None)

    def _pieces(self, name: str, place: Place) -> Iterator[bytes]:
        end = place.offset + place.length
        for start in range(place.offset, end, SPAN):
            span = (start, min(start + SPAN, end))
            for piece in obstore.get(self._bytes, name, options={"range": span}).stream(min_chunk_size=CHUNK):
                yield bytes(piece)

    def _missing(self, name: str) -> BlobMissing:
        return BlobMissing(
            f"{self.name} does not hold {name}. `data-platform check` lists what else is missing; "
            "put it back from a copy of the store."
        )

    def _read_error(self, name: str, place: Place, error: Exception) -> StoreError:
        refused: Refusal = refusal(error)
        if refused.is_missing and refused.code != "NoSuchBucket":
            self.refuse_sealed(name)
            return self._missing(name)
        if refused.status == 416:
            return BlobDamaged(
                f"{self.name} holds {name}, but not byte {place.offset} of it. Run `data-platform check`."
            )
        return refused.error(self.name)


def _parts_of(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    prefix = parts.path.strip("/")
    if not _BUCKET.fullmatch(parts.netloc) or not _PREFIX.fullmatch(prefix) or parts.query or parts.fragment:
        raise SettingsError(
            "The setting store.url must be s3://bucket/prefix, of letters, digits, dots and dashes. "
            "The server goes into store.endpoint, the keys into store.access_key and store.secret_key."
        )
    return parts.netloc, prefix


def _make_bucket(client: Any, bucket: str, region: str) -> None:
    """Make the bucket; `region` is where AWS is to place it, empty for other servers."""
    placed = {"CreateBucketConfiguration": {"LocationConstraint": region}} if region not in ("", "us-east-1") else {}
    try:
        client.create_bucket(Bucket=bucket, **placed)
    except ClientError as error:
        if refusal(error).code != "BucketAlreadyOwnedByYou":
            raise
        return  # another worker was quicker
    rule = {
        "ID": "abandoned-uploads",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": ABANDONED_AFTER_DAYS},
    }
    with suppress(ClientError):  # some servers know no such rules
        client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [rule]})
