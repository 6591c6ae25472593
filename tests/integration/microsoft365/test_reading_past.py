"""Older versions from the source's own history: for who asks for one, and for a backup that came too late."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from noted import notes
from reading_world import Place, fetch, place
from servers.microsoft365.library import Item

from data_platform import read_onedrive, read_sharepoint
from data_platform.errors import SourceError, VersionUnavailable
from data_platform.settings import settings
from populate.backup.contents import Fetcher, Wanted
from populate.store import open_store
from schemas.identity import file_id, version_id

FIRST, SECOND, THIRD = b"a,b\n1,2\n", b"a,b\n3,4\n", b"a,b\n5,6\n7,8\n"


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    with place(tmp_path, monkeypatch) as found:
        yield found


@pytest.fixture
def item(found: Place) -> Item:
    return found.upload("Data/plate.csv", FIRST)


def wanted(found: Place, item: Item) -> Wanted:
    """Return what a backup is asked for after a read of the present bytes."""
    source = found.source(found.amy)
    seen = source.resolve(item.url)
    data, revision = fetch(source, seen)
    sha256 = hashlib.sha256(data).hexdigest()
    key = file_id(seen.source_system, seen.item_id)
    version = version_id(revision.token, sha256)
    return Wanted(key, version, sha256, len(data), revision.token, "microsoft365", seen.source_system, seen.item_id)


@pytest.mark.parametrize("sizes_are_told", [True, False])
def test_a_backup_that_comes_too_late_finds_the_bytes_in_the_history(
    found: Place, item: Item, sizes_are_told: bool
) -> None:
    first = wanted(found, item)
    for data in (SECOND, THIRD, FIRST + SECOND):
        found.world.edit(item, data, found.amy)
    if not sizes_are_told:
        item.versions[0].shown = 1
    here = found.settings(home="worker", worker=True)
    store = open_store(here)
    done = Fetcher(here, store).store_all([first])
    assert not done.failures
    assert b"".join(store.read(done.places[first.sha256])) == FIRST


def test_bytes_that_the_history_has_not_are_said_to_be_gone(found: Place, item: Item) -> None:
    first = wanted(found, item)
    found.world.edit(item, SECOND, found.amy)
    del item.versions[0]
    here = found.settings(home="worker", worker=True)
    [failure] = Fetcher(here, open_store(here)).store_all([first]).failures.values()
    assert (failure.name, failure.permanent) == ("VersionUnavailable", True)


@pytest.fixture
def as_amy(found: Place, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Amy is signed in on this machine, by the settings of this process."""
    for name, value in found.server.environment(found.app).items():
        if name != "SSL_CERT_FILE":  # in force already, and given back before the others are
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("DATA_PLATFORM_MICROSOFT365__KEYRING", "false")
    monkeypatch.setenv("DATA_PLATFORM_OUTBOX__SHIP", "false")
    settings.cache_clear()
    found.server.sign_in(found.amy)
    from data_platform import login, whoami

    login(show=lambda sentence: None)
    signed_in = whoami().microsoft365
    assert signed_in is not None
    assert signed_in.name == found.amy.upn
    yield
    settings.cache_clear()


def test_who_reads_may_ask_for_a_version_by_label_or_date(found: Place, item: Item, as_amy: None) -> None:
    found.world.advance(days=3)
    found.world.edit(item, SECOND, found.amy)
    between = item.versions[1].modified
    found.world.advance(days=3)
    found.world.edit(item, THIRD, found.amy)
    assert read_onedrive(item.url).read_bytes() == THIRD
    assert read_onedrive(item.url, version="1.0").read_bytes() == FIRST
    assert read_sharepoint(item.url, as_of=between).read_bytes() == SECOND
    with pytest.raises(VersionUnavailable, match=r"has no version '9\.0'"):
        read_onedrive(item.url, version="9.0")
    with pytest.raises((VersionUnavailable, SourceError), match="Give one of them"):
        read_onedrive(item.url, version="1.0", as_of=between)
    noted = notes()
    functions = [(record["function_name"], record.get("revision", "")[:11]) for record in noted]
    assert functions[:3] == [
        ("read_onedrive", item.c_tag[:11]),
        ("read_version", "version:1.0"),
        ("read_version", "version:2.0"),
    ]
    assert {record["account_name"] for record in noted} == {found.amy.upn}
    assert {record["owner_name"] for record in noted if "owner_name" in record} == {found.amy.upn}
