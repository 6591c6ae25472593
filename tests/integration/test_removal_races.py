"""What a round of removals and whoever stores, mends, holds or reads beside it must not do to each other."""

from __future__ import annotations

import os
import select
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Self

import pytest
from deliveries import hand_in, read_file, sha256, stored, work_off
from store_contract import content_of_size

from data_platform.settings import load, settings
from populate.backup import removing as rounds
from populate.backup.erased import Erasure
from populate.backup.removal import latest_removal
from populate.backup.removing import removing
from populate.backup.stores import record_store
from populate.backup.tables import Backup, Placement, record_places
from populate.backup.verification import Damage, DamageMended
from populate.ingest import Ingest
from populate.pipeline import bind_all
from populate.retention import quarantine, strays
from populate.retention.keeping import add_rule, hold, holds, release
from populate.retention.quarantine import Judge
from populate.retention.retaining import Retained, retain
from populate.store import object_name_of, open_store
from populate.store.base import pack_name_of
from populate.store.folder import FolderStore
from populate.store.pack import keep
from populate.watch.status import left_to_do, needs
from populate.work.retries import retry_failed, unresolved
from schemas.binding import Binding
from schemas.catalogue import Blob
from schemas.identity import identity
from schemas.restrict import where

on_postgresql = pytest.mark.parametrize("backend", ["postgresql"])  # where no statement differs
NOW = datetime(2026, 6, 1)
LATER = timedelta(days=15)
CENTURIES = 90_000  # days


def backed_up(binding: Binding, path: Path, content: bytes, day: int = 0) -> str:
    """Read a file with a content on a day by the clock of its reader, and back it up; return its SHA-256."""
    path.write_bytes(content)
    hand_in(binding, [read_file(path, day=day)], run=f"{path} {day}")
    back_up()
    return sha256(content)


def back_up() -> None:
    work_off(Ingest, Backup)


def retained(binding: Binding, now: datetime | None = NOW) -> Retained:
    return retain(binding, open_store(load()), load(), now=now, take_over=timedelta(0))


@on_postgresql
def test_what_is_stored_again_is_not_removed_by_a_claim_of_before(
    binding: Binding, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, store = b"wanted again", open_store(load())
    hash_, own = sha256(content), object_name_of(sha256(content))
    Blob.insert1({"sha256": hash_, "blob_size": len(content)})
    keep(store, {hash_: content})
    remove, lost = FolderStore.remove_many, list[set[str]]()
    with removing(binding, store, load()) as round_:
        with round_.behind_gate():
            free = round_.claim([own])
        assert round_.remove(free) == [own]
        since = latest_removal(round_.store_id)
        places = keep(store, {hash_: content})  # somebody's who begins now
        with round_.behind_gate():
            free = round_.claim([own])

        def recorded_first(self: FolderStore, names: Sequence[str]) -> list[str]:
            lost.append(record_places(store.name, places, since))
            return remove(self, names)

        monkeypatch.setattr(FolderStore, "remove_many", recorded_first)
        round_.remove(free)
    assert [*lost, record_places(store.name, places, since)][0] == set()
    assert stored() == {hash_: content}


@on_postgresql
def test_what_went_from_the_first_store_only_is_stored_there_again(
    binding: Binding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = backed_up(binding, tmp_path / "a", b"in both stores")
    row = Placement.to_dicts()[0]
    replica = {**row, "store_id": record_store("folder:/the/replica")}
    Placement.insert1(replica)
    record = Backup.make_insert

    def swept_before(self: Backup, *computed: Any) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Backup, "make_insert", record)
            where(Placement, store_id=row["store_id"]).delete_quick()
            record(self, *computed)

    with monkeypatch.context() as patch:
        patch.setattr(Backup, "make_insert", swept_before)
        backed_up(binding, tmp_path / "a", b"in both stores", day=1)
    assert Placement.to_dicts() == [replica]
    assert retry_failed(binding) == 1
    back_up()
    assert {one["store_id"] for one in Placement.to_dicts()} == {row["store_id"], replica["store_id"]}
    assert stored() == {content: b"in both stores"}
    assert unresolved(binding) == []


class Slow(datetime):
    """A clock that is two hours late."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return super().now(tz) - timedelta(hours=2)


@on_postgresql
def test_no_clock_of_a_machine_decides_when_a_round_is_dead(binding: Binding, monkeypatch: pytest.MonkeyPatch) -> None:
    store, left = open_store(load()), object_name_of(sha256(b"left"))
    keep(store, {sha256(b"left"): b"left"})
    with removing(binding, store, load()) as first:
        with monkeypatch.context() as patch, first.behind_gate():
            patch.setattr(rounds, "datetime", Slow)
            assert first.claim([left]) == [left]
        with removing(binding, store, load()) as second:
            assert second.carry_on() == []
    with monkeypatch.context() as patch:
        patch.setenv("PGOPTIONS", "-c default_transaction_isolation=serializable")
        other = binding.connection.another()
    with other.cursor() as cursor:
        cursor.execute("SHOW transaction_isolation")
        assert cursor.fetchone() == ("read committed",)  # else nobody saw claims that were made meanwhile
    other.close()


@on_postgresql
def test_what_may_be_the_last_of_something_stays(
    binding: Binding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = [content_of_size(100 + n, seed=n) for n in range(6)]
    hashes = [backed_up(binding, tmp_path / f"{n}", content) for n, content in enumerate(contents)]
    store = open_store(load())
    # A damaged place, and whole bytes that somebody had fetched again who was killed.
    key = {"sha256": hashes[0], "store_id": identity("store", store.name)}
    Placement.update1({**key, "object_name": pack_name_of(hashes[1])})
    Damage.insert1({**key, "found_at": NOW, "damage": "missing", "damage_detail": ""})
    # An order to erase that was broken off, and then a hold.
    Erasure.insert1({"sha256": hashes[2], "erased_at": NOW, "erased_by": "", "erase_reason": ""})
    case = hold(binding, load(), "case 1", sha256=hashes[2])
    assert [retained(binding, NOW + n * LATER).removed for n in range(2)] == [0, 0]
    assert store.size(object_name_of(hashes[0])) == len(contents[0])
    assert store.size(object_name_of(hashes[2])) == len(contents[2])
    assert where(Placement, sha256=hashes[0]).fetch1("object_name") == object_name_of(hashes[0])  # so it is whole again
    assert len(DamageMended()) == 1
    Damage.insert1({**key, "found_at": NOW + LATER, "damage": "missing", "damage_detail": ""})
    damaged = [left_to_do(binding, load())["contents_damaged"], len(needs(binding))]
    where(Placement, sha256=hashes[0]).delete_quick()  # nobody wants it any more
    after = [left_to_do(binding, load())["contents_damaged"], len(needs(binding))]
    assert (damaged[0], after[0], damaged[1] - after[1]) == (1, 0, 1)
    release(binding, load(), case.number)
    assert retained(binding, NOW + LATER).erased == 1
    assert store.size(object_name_of(hashes[2])) is None
    # Somebody else's, or stored after the catalogue was copied that was restored since.
    strange = b"another catalogue's"
    keep(store, {sha256(strange): strange})
    assert not retained(binding, NOW + 2 * LATER).doubtful
    with monkeypatch.context() as patch:
        patch.setattr(strays, "FEW", 0)
        done = retained(binding, NOW + 3 * LATER)
    assert (done.doubtful, done.removed) == (True, 0)
    # A reader's clock that is ahead does not make what it read first the latest.
    add_rule(binding, load(), "versions", 1)
    old = backed_up(binding, tmp_path / "ahead", b"old", CENTURIES + 9)
    new = backed_up(binding, tmp_path / "ahead", b"new", CENTURIES)
    reasons = Judge(binding, NOW).reasons([old, new])
    assert (reasons[old], reasons[new][:6]) == ("", "rule 1")


def test_whoever_is_told_of_a_hold_may_rely_on_it(
    binding: Binding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA_PLATFORM_STORE__QUARANTINE_DAYS", "0")
    settings.cache_clear()
    add_rule(binding, load(), "versions", 1)
    for day in range(2):
        backed_up(binding, tmp_path / "a", b"%d" % day, day)
    read, write = os.pipe()
    delete, children = quarantine._delete_places, list[int]()

    def held_meanwhile(store_id: str, hashes: set[str]) -> None:
        """Have somebody order a hold once the sweep has judged; it must not be in force before the sweep ends."""
        children.append(os.fork())
        if not children[0]:
            try:
                settings.cache_clear()
                own = bind_all(load())
                os.write(write, b"begun")
                hold(own, load(), "case 1")
                os.write(write, b"told")
            finally:
                os._exit(0)
        assert os.read(read, 5) == b"begun"
        assert not select.select([read], [], [], 1.0)[0]
        assert holds() == []
        delete(store_id, hashes)

    monkeypatch.setattr(quarantine, "_delete_places", held_meanwhile)
    assert retained(binding, datetime.now(UTC).replace(tzinfo=None)).swept == 1
    assert os.read(read, 4) == b"told"
    os.waitpid(children[0], 0)
    assert len(holds()) == 1
    os.close(read)
    os.close(write)
