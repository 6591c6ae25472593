"""What a round of removals and whoever stores, mends, holds or reads beside it must not do to each other."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Self

import pytest
from deliveries import hand_in, read_file, sha256, stored

from data_platform.settings import load
from populate.backup import removing as rounds
from populate.backup.removal import latest_removal
from populate.backup.removing import removing
from populate.backup.tables import Backup, record_places
from populate.ingest import Ingest
from populate.retention.retaining import Retained, retain
from populate.store import object_name_of, open_store
from populate.store.folder import FolderStore
from populate.store.pack import keep
from populate.work.jobs import Queue
from schemas.binding import Binding
from schemas.catalogue import Blob

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
    for table in (Ingest, Backup):
        queue = Queue(table())
        queue.refresh()
        while queue.run(50):
            pass
        assert queue.failed() == 0


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
