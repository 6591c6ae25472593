"""A withdrawn copy counts as removed only where its source is still there: folders, web servers, buckets."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest
from conversing import PLATES, catalogue, hire, link_in, login, settings_of
from deliveries import read, read_file
from servers.mail import mail_server
from servers.processes import S3Server
from web_server import Page, WebServer, web_server

from data_platform.settings import settings
from populate.conversation.answering import answer
from populate.conversation.asking import ask_due
from populate.conversation.questions import QuestionCopyGone
from populate.conversation.revisit import revisit
from readers.registry import source_for
from schemas.binding import Binding
from schemas.catalogue import FileGone

NOW = datetime(2026, 6, 1, 9)
DAY = timedelta(days=1)


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    with web_server() as server:
        monkeypatch.setenv("DATA_PLATFORM_HTTP__TRUSTED_HOSTS", f'["{server.authority}"]')
        settings.cache_clear()
        yield server


def changed(folder: Path, moment: datetime) -> None:
    stamp = moment.replace(tzinfo=UTC).timestamp()
    os.utime(folder, (stamp, stamp))


def owned(record: dict[str, object], owner: str, day: int) -> dict[str, object]:
    moment = datetime(2026, 5, day, 8).isoformat()
    return record | {"owner_realm": "acme", "owner_login": login(owner), "accessed_at": moment}


def linked(link: str, owner: str, day: int, data: bytes = PLATES) -> dict[str, object]:
    """Return the record of a read of what a link leads to."""
    source = source_for(link, settings())
    thing = source.resolve(link)
    return owned(read(thing, "reader@example.org", data, source.revision(thing).token, kind=source.kind), owner, day)


def withdrawn_by_amy(binding: Binding, *records: dict[str, object]) -> None:
    """Enter what was read, ask, and let Amy answer that she will remove her copy."""
    hire("brendan", "amy")
    catalogue(binding, records)
    with mail_server() as post:
        ask_due(binding, settings_of(post), now=NOW)
        answer(binding, settings_of(), link_in(dict(post.received)[login("amy")]), "withdraw", now=NOW)


def looked(binding: Binding, days: int) -> tuple[int, int]:
    """Look for the copy; return how many are found gone now, and have been in all."""
    now_gone = revisit(binding, settings_of(), NOW + days * DAY)
    assert len(FileGone()) == len(QuestionCopyGone())
    return now_gone, len(QuestionCopyGone())


def test_a_disk_that_is_not_mounted_lost_nothing(binding: Binding, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    theirs, hers = tmp_path / "brendan.csv", disk / "plates.csv"
    disk.mkdir()
    for file in (theirs, hers):
        file.write_bytes(PLATES)
    records = [
        owned(read_file(file), who, day) for day, (file, who) in enumerate(((theirs, "brendan"), (hers, "amy")), 1)
    ]
    withdrawn_by_amy(binding, *records)
    assert looked(binding, 1) == (0, 0)
    disk.rename(tmp_path / "away")  # as if it were unmounted: its mount point is an empty folder
    disk.mkdir()
    changed(disk, datetime(2025, 1, 1))
    assert looked(binding, 2) == (0, 0)
    disk.rmdir()
    assert looked(binding, 3) == (0, 0)  # or none at all
    (tmp_path / "away").rename(disk)
    assert looked(binding, 4) == (0, 0)
    hers.unlink()
    changed(disk, NOW + 4 * DAY)
    assert looked(binding, 5) == (1, 1)
    assert looked(binding, 6) == (0, 1)


def test_a_web_server_without_anything_lost_nothing(binding: Binding, web: WebServer) -> None:
    pages = {path: Page(PLATES, etag=f'"{path}"') for path in ("/brendan.csv", "/amy.csv")}
    theirs, hers = (web.put(path, page) for path, page in pages.items())
    withdrawn_by_amy(binding, linked(theirs, "brendan", 1), linked(hers, "amy", 2))
    assert looked(binding, 1) == (0, 0)
    for path in pages:
        web.remove(path)
    assert looked(binding, 2) == (0, 0)  # each page is one that is not there
    web.put("/brendan.csv", pages["/brendan.csv"])
    assert looked(binding, 3) == (1, 1)


def test_a_bucket_that_was_deleted_lost_nothing(
    binding: Binding, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in {
        "DATA_PLATFORM_S3__ENDPOINT": s3_server.endpoint,
        "AWS_ACCESS_KEY_ID": s3_server.access_key,
        "AWS_SECRET_ACCESS_KEY": s3_server.secret_key,
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
    }.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    client = boto3.client("s3", endpoint_url=s3_server.endpoint, region_name="us-east-1")
    bucket, other = (f"amy-{secrets.token_hex(8)}" for _ in range(2))
    for name in (bucket, other):
        client.create_bucket(Bucket=name)
        client.put_object(Bucket=name, Key="plates.csv", Body=PLATES)
    withdrawn_by_amy(
        binding, linked(f"s3://{other}/plates.csv", "brendan", 1), linked(f"s3://{bucket}/plates.csv", "amy", 2)
    )
    assert looked(binding, 1) == (0, 0)
    client.delete_object(Bucket=bucket, Key="plates.csv")
    client.delete_bucket(Bucket=bucket)
    assert looked(binding, 2) == (0, 0)
    client.create_bucket(Bucket=bucket)
    assert looked(binding, 3) == (1, 1)
