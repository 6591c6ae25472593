"""Earlier versions that the source keeps come into the content store, as many as the settings say."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import pytest
from deliveries import sha256, stored
from servers.microsoft365.library import Item
from sharing_world import Company, company

from data_platform.settings import Settings, load
from populate.backup.erased import Erasure
from populate.sharing.history import History, HistoryContent, HistoryFailure, HistoryMember
from populate.sharing.progress import Silent
from populate.sharing.sync import sync_sharing
from populate.work.jobs import queues
from schemas.binding import Binding
from schemas.catalogue import Blob, Version
from schemas.restrict import where


@pytest.fixture
def backend() -> str:
    """Return the kind of database. The queue is one like all others, which are tested on both."""
    return "postgresql"


@pytest.fixture
def firm(binding: Binding, monkeypatch: pytest.MonkeyPatch) -> Iterator[Company]:
    with company(monkeypatch) as found:
        yield found


def keeping(firm: Company, versions: int) -> Settings:
    given = firm.server.settings(firm.app)
    given["microsoft365"]["backup_versions"] = versions
    return load(**given)


def work(settings: Settings) -> None:
    (queue,) = (queue for queue in queues(settings) if queue.name == "History")
    queue.refresh()
    while queue.run():
        pass


@pytest.fixture
def paper(firm: Company, binding: Binding) -> Item:
    """A file of Amy's with four versions, which Bob has read."""
    amy, bob = firm.world.add_user("Amy Ade"), firm.world.add_user("Bob Bell")
    found = firm.world.upload(firm.world.add_drive(amy), "paper.txt", b"one", amy)
    for content in (b"two", b"three", b"four"):
        firm.world.edit(found, content, amy)
    firm.read(binding, found, bob)
    return found


def test_as_many_earlier_versions_as_the_settings_say_are_backed_up_once(
    binding: Binding, firm: Company, paper: Item
) -> None:
    settings = keeping(firm, 2)
    sync_sharing(binding, settings, progress=Silent())
    work(settings)
    assert set(stored()) == {sha256(b"two"), sha256(b"three")}
    labels = {row["version_label"]: row["version_id"] for row in HistoryContent.to_dicts()}
    assert labels.keys() == {"2.0", "3.0"}
    for label, version in labels.items():
        assert where(Version, version_id=version).fetch1("revision") == f"version:{label}"

    firm.world.edit(paper, b"five")
    sync_sharing(binding, settings, progress=Silent())
    work(settings)
    assert set(stored()) == {sha256(b"two"), sha256(b"three"), sha256(b"four")}
    assert len(HistoryMember()) == 3  # each was planned once
    assert len(HistoryFailure()) == 0


def test_what_was_erased_does_not_come_back(binding: Binding, firm: Company, paper: Item) -> None:
    settings = keeping(firm, 3)
    Blob.insert1({"sha256": sha256(b"two"), "blob_size": 3})
    order = {"erased_at": datetime(2026, 5, 4), "erased_by": "acme/steward", "erase_reason": "a person asked"}
    Erasure.insert1({"sha256": sha256(b"two"), **order})
    sync_sharing(binding, settings, progress=Silent())
    work(settings)
    assert set(stored()) == {sha256(b"one"), sha256(b"three")}
    assert len(HistoryFailure()) == 0


def test_none_is_backed_up_unless_the_settings_say_so(binding: Binding, firm: Company, paper: Item) -> None:
    sync_sharing(binding, keeping(firm, 0), progress=Silent())
    assert len(HistoryMember()) == 0


def test_a_version_that_cannot_be_had_costs_no_other(binding: Binding, firm: Company, paper: Item) -> None:
    settings = keeping(firm, 3)
    sync_sharing(binding, settings, progress=Silent())
    del paper.versions[0]  # somebody tidied up the history
    work(settings)
    assert set(stored()) == {sha256(b"two"), sha256(b"three")}
    assert len(History()) == 1
    (failure,) = HistoryFailure.to_dicts()
    assert (failure["version_label"], failure["failure_permanent"]) == ("1.0", True)
    firm.world.touch(paper)
    sync_sharing(binding, settings, progress=Silent())
    assert len(where(HistoryMember, version_label="1.0")) == 1  # nobody tries it again
