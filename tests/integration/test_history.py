"""Older versions: which one, who may have it, that the bytes are exactly those, and that it is noted down."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from colleagues import Colleagues
from web_server import Page, WebServer, web_server

from data_platform import face, past
from data_platform.errors import (
    AccessDenied,
    BlobDamaged,
    DataPlatformError,
    SourceNotFound,
    VersionUnavailable,
)
from data_platform.settings import settings
from schemas.binding import Binding
from schemas.sharing import Access

FIRST, SECOND = b"time,status\n306,1\n", b"time,status\n306,0\n"
TRIAL = "maria/lung trial.csv"
SET = "maria/study"


@pytest.fixture
def people(binding: Binding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Colleagues:
    return Colleagues(tmp_path / "shares", monkeypatch)


@pytest.fixture
def edited(people: Colleagues) -> datetime:
    """Let Aiko read the trial, Maria edit it, and Aiko read it again; return when the first version was read."""
    people.put(TRIAL, FIRST)
    people.read("aiko", TRIAL)
    people.put(TRIAL, SECOND)
    people.read("aiko", TRIAL)
    people.work()
    forget_cache()
    moment = accesses(sha256=sha256(FIRST))[0]["accessed_at"]
    assert isinstance(moment, datetime)
    return moment


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as server:
        yield server


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def forget_cache() -> None:
    shutil.rmtree(settings().cache_folder, ignore_errors=True)


def accesses(**values: Any) -> list[dict[str, Any]]:
    face.flush()
    return (Access & values).to_dicts(order_by="accessed_at, sequence")  # type: ignore[no-any-return]


def test_a_version_comes_back_from_the_backup_and_that_is_an_access(people: Colleagues, edited: datetime) -> None:
    path = face.read_file(people.shares / TRIAL, version=f"sha256:{sha256(FIRST)}")
    assert path.read_bytes() == FIRST
    assert path.name == "lung trial.csv"
    assert path.stat().st_mode & 0o222 == 0
    noted = accesses()[-1]
    before = accesses(sha256=sha256(FIRST), function_name="read_file")[0]
    assert noted["function_name"] == past.FUNCTION
    assert (noted["outcome"], noted["from_cache"], noted["account_login"]) == ("ok", 1, "aiko")
    same = ("file_id", "version_id", "sha256", "revision", "access_size", "owner_login", "file_name")
    assert [noted[name] for name in same] == [before[name] for name in same]


def test_the_beginning_of_a_hash_does_if_it_is_the_only_one(people: Colleagues, edited: datetime) -> None:
    assert face.read_file(people.shares / TRIAL, version=f"sha256:{sha256(SECOND)[:8]}").read_bytes() == SECOND
    with pytest.raises(VersionUnavailable, match="no version"):
        face.read_file(people.shares / TRIAL, version="sha256:0123456789")
    with pytest.raises(VersionUnavailable, match="fits 2 versions"):
        past.with_hash(accesses()[0]["file_id"], "")


def test_the_version_in_force_at_a_moment(people: Colleagues, edited: datetime) -> None:
    link = people.shares / TRIAL
    assert face.read_file(link, as_of=edited).read_bytes() == FIRST
    assert face.read_file(link, as_of=edited.replace(tzinfo=UTC).isoformat()).read_bytes() == FIRST
    with pytest.raises(VersionUnavailable, match="first read on"):
        face.read(link, as_of=edited - timedelta(microseconds=1))
    # Reading the old version has not brought it back into force.
    assert face.read(link, as_of=datetime.now(UTC) + timedelta(minutes=1)).read_bytes() == SECOND


def test_a_read_that_is_not_delivered_yet_counts(people: Colleagues) -> None:
    people.put(TRIAL, FIRST)
    people.read("aiko", TRIAL)
    soon = datetime.now(UTC) + timedelta(minutes=1)
    assert face.read_file(people.shares / TRIAL, as_of=soon).read_bytes() == FIRST


def test_of_a_file_that_is_gone_only_what_one_has_read_oneself(people: Colleagues, edited: datetime) -> None:
    people.read("chen", TRIAL)  # the second version only
    (people.shares / TRIAL).unlink()
    forget_cache()
    version = f"sha256:{sha256(FIRST)}"
    people.account("aiko")
    assert face.read_file(people.shares / TRIAL, version=version).read_bytes() == FIRST
    assert accesses()[-1]["file_id"] == accesses()[0]["file_id"]
    for login in ("chen", "mallory"):
        people.account(login)
        with pytest.raises(SourceNotFound) as refused:
            face.read_file(people.shares / TRIAL, version=version)
        with pytest.raises(SourceNotFound) as unknown:  # says the same where there is no such version
            face.read_file(people.shares / TRIAL, version="sha256:" + "0" * 64)
        assert str(refused.value) == str(unknown.value)
        assert accesses()[-1]["outcome"] == "SourceNotFound"
    people.account("chen")
    assert face.read_file(people.shares / TRIAL, version=f"sha256:{sha256(SECOND)}").read_bytes() == SECOND


def test_who_may_not_open_it_now_gets_no_older_bytes(
    people: Colleagues, web: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA_PLATFORM_HTTP__TRUSTED_HOSTS", f'["{web.authority}"]')
    link = web.put("/trial.csv", Page(FIRST, etag='"1"'))
    people.put(TRIAL, b"")
    people.account("aiko")
    assert face.read_http(link).read_bytes() == FIRST
    link = web.put("/trial.csv", Page(SECOND, etag='"2"'))
    assert face.read_http(link).read_bytes() == SECOND
    people.work()
    people.account("mallory")
    version = f"sha256:{sha256(FIRST)}"
    assert face.read_http(link, version=version).read_bytes() == FIRST  # open to everybody so far
    people.account("chen")
    web.put("/trial.csv", Page(b"who are you?", status=403))
    with pytest.raises(AccessDenied):
        face.read_http(link, version=version)
    people.account("aiko")
    assert face.read_http(link, version=version).read_bytes() == FIRST


def test_a_file_set_as_it_was(people: Colleagues) -> None:
    link = people.shares / SET
    people.put(f"{SET}/a.csv", FIRST)
    people.put(f"{SET}/deep/b.csv", b"b")
    people.account("aiko")
    face.read_file(link)
    people.put(f"{SET}/a.csv", SECOND)
    (link / "deep" / "b.csv").unlink()
    face.read_file(link)
    people.work()
    moment = accesses(function_name="read_file", file_name="study")[0]["accessed_at"]
    forget_cache()
    folder = face.read_file(link, as_of=moment)
    assert {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()} == {
        "a.csv": FIRST,
        "deep/b.csv": b"b",
    }
    people.account("chen")  # may open the folder, never saw b.csv, and cannot be asked about it any more
    with pytest.raises(AccessDenied, match=r"deep/b\.csv"):
        face.read_file(link, as_of=moment)
    assert accesses()[-1]["outcome"] == "AccessDenied"


def test_bytes_that_are_not_backed_up_yet_are_said_to_be_missing(people: Colleagues) -> None:
    people.put(TRIAL, FIRST)
    people.read("aiko", TRIAL)
    people.put(TRIAL, SECOND)
    forget_cache()
    with pytest.raises(VersionUnavailable, match="not backed up"):
        face.read_file(people.shares / TRIAL, version=f"sha256:{sha256(FIRST)}")
    noted = accesses()[-1]
    assert (noted["outcome"], noted["sha256"]) == ("VersionUnavailable", "")


def test_a_damaged_backup_is_never_handed_out(people: Colleagues, edited: datetime) -> None:
    stored = [path for path in (settings().home / "store").rglob("*") if path.is_file() and path.read_bytes() == FIRST]
    assert len(stored) == 1
    stored[0].chmod(0o600)
    stored[0].write_bytes(FIRST.replace(b"306", b"307"))
    with pytest.raises(BlobDamaged, match="check --verify-data"):
        face.read_file(people.shares / TRIAL, as_of=edited)
    kept = [path for path in settings().cache_folder.rglob("*") if path.is_file() and b"307" in path.read_bytes()]
    assert kept == []


def test_the_traceback_ends_in_the_users_line(people: Colleagues, edited: datetime) -> None:
    with pytest.raises(DataPlatformError) as caught:
        face.read_file(people.shares / TRIAL, version="sha256:0123456789")
    assert [entry.name for entry in caught.traceback] == ["test_the_traceback_ends_in_the_users_line"]
    assert caught.value.__suppress_context__
