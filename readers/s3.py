"""Objects and prefixes of S3 and of whatever speaks its language."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from functools import cached_property
from itertools import chain
from typing import Any, ClassVar, NamedTuple
from urllib.parse import urlsplit

from data_platform.errors import (
    AccessDenied,
    IncompleteDownload,
    SourceChanged,
    SourceNotFound,
    SourceTimeout,
    SourceUnavailable,
    TooLarge,
    UnknownSource,
    UnsupportedItem,
    VersionUnavailable,
)
from readers.linked import LinkedItem, take_seen
from readers.s3_client import client
from readers.s3_errors import translating
from readers.source import Item, Revision, Sink, Source

PIECE = 256 * 1024
PAGE = 1000  # the most that a server lists at once
_RESUMES = 3
_PAUSE_SECONDS = 0.1
_LINK = re.compile(r"s3://(?P<bucket>[^/?#]*)(?:/(?P<key>.*?)(?:\?versionId=(?P<version>[^?&#/\s]+))?)?", re.I | re.S)
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_MAX_KEY_BYTES = 1024
_ROOT = "/"  # the id of a whole bucket


class Place(NamedTuple):
    """What a link names: an object of a bucket, perhaps one version of it, or all below a prefix."""

    bucket: str
    key: str
    version: str | None = None

    @classmethod
    def parse(cls, url: str) -> Place:
        """Read ``s3://bucket/key[?versionId=...]``, where the key stands as it is, not percent-encoded."""
        if (match := _LINK.fullmatch(url)) is None:
            raise UnknownSource(f"{url[:200]!a} is no S3 link. Give it as s3://bucket/key.")
        return cls.of(match["bucket"], match["key"] or "", match["version"])

    @classmethod
    def of(cls, bucket: str, key: str, version: str | None = None) -> Place:
        """Make a place that can be asked for, or raise."""
        shown = ascii(f"s3://{bucket}/{key}"[:200])
        if not _BUCKET.fullmatch(bucket):
            raise UnknownSource(f"{shown} is no S3 link. Give it as s3://bucket/key.")
        # Clients and proxies on the way resolve dots in an address, and another object would answer.
        if {".", ".."} & set(key.split("/")) or len(key.encode("utf-8", "replace")) > _MAX_KEY_BYTES:
            raise UnsupportedItem(f"The key of {shown} cannot be asked for. Have the object renamed.")
        if any("\ud800" <= letter <= "\udfff" for letter in key):
            raise UnsupportedItem(f"The key of {shown} is no text that S3 can hold. Check the link.")
        return cls(bucket, key, version)

    @classmethod
    def of_item(cls, item: Item) -> Place:
        """Return where an item is; only its link tells a version, for a key may look like one."""
        bucket, key = item.source_system.split("/", 2)[2], item.item_id
        version = item.url.removeprefix(f"s3://{bucket}/{key}").partition("?versionId=")[2]
        return cls.of(bucket, "" if key == _ROOT else key, version or None)

    @property
    def is_prefix(self) -> bool:
        return not self.key or self.key.endswith("/")

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/{self.key}" + (f"?versionId={self.version}" if self.version else "")

    @property
    def named(self) -> dict[str, str]:
        """The parameters that name the object in a request."""
        return {"Bucket": self.bucket, "Key": self.key} | ({"VersionId": self.version} if self.version else {})


class S3Source(Source):
    """Reads ``s3://bucket/key``, ``s3://bucket/key?versionId=...`` and prefixes as file sets.

    Credentials are those that the AWS tools use here (environment, profile, sign-in, role);
    without any, public buckets can be read. The endpoint is a setting, never part of a link.
    Two things are deliberately left untold, since each would cost a request of its own and a
    right that readers often lack: the owner, and the signed-in account.
    """

    kind: ClassVar[str] = "s3"
    needs: ClassVar[tuple[str, ...]] = ("boto3",)

    @classmethod
    def understands(cls, url: str) -> bool:
        return url[:5].lower() == "s3://"

    def resolve(self, url: str) -> Item:
        """Return the object, or the folder if there are only objects below that name."""
        place = Place.parse(url)
        if place.is_prefix:
            return self._folder(place)
        try:
            return self._item(place, self._head(place))
        except SourceNotFound:
            if place.version is None:
                with suppress(SourceNotFound, AccessDenied):
                    return self._folder(place._replace(key=f"{place.key}/"))
            raise

    def reopen(self, source_system: str, item_id: str) -> Item:
        host, _, bucket = source_system.removeprefix("s3/").partition("/")
        if host != self._host:
            raise UnknownSource(
                f"{source_system} is not at the endpoint in use here ({self._host}). Set s3.endpoint to it."
            )
        return self._item(Place.of(bucket, "" if item_id == _ROOT else item_id))

    def revision(self, item: Item) -> Revision:
        return take_seen(item) or self._head(Place.of_item(item))

    def download(self, item: Item, revision: Revision, sink: Sink) -> Revision:
        """Stream the object; after a cut goes on where it was, up to three times."""
        return self._transfer(Place.of_item(item), sink)

    def download_version(self, item: Item, token: str, sink: Sink) -> None:
        """Stream the version that `token` names, from the bucket's own history.

        Raises
        ------
        VersionUnavailable
            If the bucket does not have it (any more).
        """
        place = Place.of_item(item)._replace(version=None)
        kind, _, version = token.partition(":")
        if kind == "version":
            place = place._replace(version=version)
        elif self._head(place).token != token:
            raise VersionUnavailable(f"{place.url} has changed, and its bucket keeps no versions. Ask the backup.")
        try:
            came = self._transfer(place, sink)
        except SourceNotFound as error:
            raise VersionUnavailable(f"{place.url} is gone from the bucket's history. Ask the backup.") from error
        if came.token != token:
            raise SourceChanged(f"{place.url} changed just now. Ask for the version again.")

    def list(self, folder: Item) -> Iterator[tuple[str, Item]]:
        """Yield the objects below a prefix; those whose name ends in a slash only mark folders."""
        place = Place.of_item(folder)
        for key, revision in self._below(place):
            if not key.endswith("/"):
                yield key[len(place.key) :], self._item(Place.of(place.bucket, key), revision)

    # --- what is asked of the server

    @cached_property
    def _client(self) -> Any:
        return client(self.settings)

    @cached_property
    def _host(self) -> str:
        host = urlsplit(self._client.meta.endpoint_url).netloc.lower()
        return "aws" if re.search(r"(?:^|\.)amazonaws\.com(?:\.cn)?$", host) else host

    def _head(self, place: Place) -> Revision:
        with translating(place.url):
            return _revision(self._client.head_object(**place.named))

    def _folder(self, place: Place) -> Item:
        with translating(place.url):
            found = self._client.list_objects_v2(Bucket=place.bucket, Prefix=place.key, MaxKeys=1)
        if place.key and not found.get("KeyCount", len(found.get("Contents", ()))):
            raise SourceNotFound(f"There is nothing at or below {place.url}. Check the link.")
        return self._item(place)

    def _below(self, place: Place) -> Iterator[tuple[str, Revision | None]]:
        """Yield the present objects with their revisions, at a thousand a request.

        Only the list of versions tells revisions as `revision` does; where it is not to be
        had, the plain list tells the names.
        """
        pages = self._pages("list_object_versions", place)
        try:
            first = next(pages)
        except (AccessDenied, UnsupportedItem):
            for page in self._pages("list_objects_v2", place):
                yield from ((found["Key"], None) for found in page.get("Contents", ()))
            return
        for page in chain((first,), pages):
            for found in page.get("Versions", ()):
                if found["IsLatest"]:
                    yield found["Key"], _revision(found | {"ContentLength": found["Size"]})

    def _pages(self, operation: str, place: Place) -> Iterator[dict[str, Any]]:
        with translating(place.url):
            yield from self._client.get_paginator(operation).paginate(
                Bucket=place.bucket, Prefix=place.key, PaginationConfig={"PageSize": PAGE}
            )

    def _transfer(self, place: Place, sink: Sink) -> Revision:
        transfer = _Transfer(self._client, place, sink, self.settings.s3.max_bytes)
        deadline = time.monotonic() + self.settings.http.deadline_seconds
        for attempt in range(_RESUMES + 1):
            try:
                with translating(place.url):
                    return transfer.receive(deadline)
            except (IncompleteDownload, SourceUnavailable):
                if not transfer.can_go_on or attempt == _RESUMES:
                    raise
                time.sleep(_PAUSE_SECONDS * 2**attempt)
        raise AssertionError("unreachable")

    def _item(self, place: Place, seen: Revision | None = None) -> Item:
        parts = place.key.removesuffix("/").split("/")
        item = LinkedItem(
            source_system=f"s3/{self._host}/{place.bucket}",
            item_id=place.key or _ROOT,
            name=parts[-1] or place.bucket,
            path=place.key or _ROOT,
            url=place.url,
            is_folder=place.is_prefix,
        )
        return item.remember(place.url, seen)


class _Transfer:
    """Passes on one object in order, and goes on where an answer broke off."""

    def __init__(self, client: Any, place: Place, sink: Sink, limit: int) -> None:
        self._client = client
        self._place = place
        self._sink = sink
        self._limit = limit
        self._first: dict[str, Any] | None = None
        self._done = 0

    @property
    def can_go_on(self) -> bool:
        return self._first is not None and self._done < self._first["ContentLength"]

    def receive(self, deadline: float) -> Revision:
        """Pass on the bytes still to come; returns the revision that all of them belong to."""
        answer = self._client.get_object(**(self._place.named | self._rest()))
        with closing(answer["Body"]) as body:
            if self._first is None:
                self._first = self._accepted(answer)
            while piece := body.read(PIECE):
                self._sink(piece)
                self._done += len(piece)
                if time.monotonic() > deadline:
                    raise SourceTimeout(f"{self._place.url} takes too long. Raise http.deadline_seconds, or try again.")
        if self._done != (size := self._first["ContentLength"]):
            raise IncompleteDownload(f"{self._place.url} sent {self._done} of {size} bytes. Try again.")
        return _revision(self._first)

    def _rest(self) -> dict[str, str]:
        """Return the parameters that ask for what is left of the very same content."""
        if self._first is None:
            return {}
        version = self._first.get("VersionId", "null")
        same = {"VersionId": version} if version != "null" else {"IfMatch": self._first["ETag"]}
        return {"Range": f"bytes={self._done}-", **same} if self._done else same

    def _accepted(self, answer: dict[str, Any]) -> dict[str, Any]:
        if (size := answer["ContentLength"]) > self._limit:
            raise TooLarge(
                f"{self._place.url} has {size} bytes, over the limit of {self._limit}."
                " Raise the setting s3.max_bytes if it is to be read."
            )
        return {name: answer.get(name, "null") for name in ("VersionId", "ETag", "ContentLength", "LastModified")}


def _revision(facts: dict[str, Any]) -> Revision:
    """Return the revision that an answer or an entry of a list tells of."""
    size: int = facts["ContentLength"]
    version = facts.get("VersionId", "null")
    token = f"etag:{facts['ETag']};{size}" if version == "null" else f"version:{version}"
    modified: datetime = facts["LastModified"]
    return Revision(token, size, modified.astimezone(UTC).replace(tzinfo=None))
