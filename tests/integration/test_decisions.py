"""What was decided of keeping outlives the database: it is in the stores, and nothing is removed before it is known."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from deciding import Set, dumped, folders, restored, spoil
from deliveries import sha256, stored
from removal_victim import killed_at
from servers.processes import S3Server
from servers.sessions import another_binding
from test_retention import LATER, NOW, retained, states

from data_platform import face
from data_platform.cli import main
from data_platform.errors import DatabaseOutdated, StoreUnavailable
from data_platform.settings import load
from populate.backup import sealing
from populate.backup.check import check
from populate.backup.removal import Removal
from populate.backup.tables import Placement
from populate.pipeline import bind_all
from populate.retention.decisions import HOLD, RELEASE, RULE, RULE_END, Decision, hashes, noted_in
from populate.retention.entering import enter_decisions
from populate.retention.keeping import add_rule, end_rule, hold, holds, lookup_all, release, rules
from populate.retention.noting import known, unknown_in
from populate.retention.tables import (
    LegalHold,
    LegalHoldEnded,
    Quarantine,
    RetentionRule,
    RetentionRuleEnded,
)
from populate.store import Store, open_store, stores
from populate.store.base import DECISIONS, SEALED
from populate.store.folder import FolderStore
from populate.store.s3 import BucketStore
from populate.work.lease import Lease
from schemas.binding import Binding

on_postgresql = pytest.mark.parametrize("backend", ["postgresql"])  # where no statement differs


@pytest.fixture(params=["folder", "bucket"])
def anywhere(request: pytest.FixtureRequest, set_store: Set) -> Set:
    """Have the first store in a folder, or in a bucket."""
    if request.param == "bucket":
        server: S3Server = request.getfixturevalue("any_s3")
        keys = {"ACCESS_KEY": server.access_key, "SECRET_KEY": server.secret_key}
        set_store(URL=f"s3://decisions/{secrets.token_hex(8)}", ENDPOINT=server.endpoint, **keys)
    return set_store


def decided() -> list[Any]:
    """Return all decisions with their numbers."""
    return [table.to_dicts(order_by="KEY") for table in (LegalHold, LegalHoldEnded, RetentionRule, RetentionRuleEnded)]


def entered(binding: Binding) -> int:
    done = enter_decisions(binding, stores(load()))
    assert done.refused == []
    return len(done.decisions)


def test_a_hold_of_after_the_dump_is_in_force_once_it_is_rebuilt(
    binding: Binding, anywhere: Set, tmp_path: Path
) -> None:
    first, second, *_ = states(binding, tmp_path / "a", 4)
    rule, lifted = add_rule(binding, load(), "versions", 3), hold(binding, load(), "case 1", below=str(tmp_path))
    dump = dumped()
    hold(binding, load(), "case 17", sha256=sha256(first))
    release(binding, load(), lifted.number)
    add_rule(binding, load(), "versions", 2)
    end_rule(binding, load(), rule.number)
    assert (retained(binding).marked, len(decided()[0])) == (1, 2)
    for store in stores(load()):
        assert hashes(noted_in(store)) == known().keys()
    before, objects = decided(), [noted_in(store) for store in stores(load())]
    for old in (dump, {}):
        restored(old)
        marks, rounds = len(Quarantine()), len(Removal())
        for options in ({}, {"dry_run": True}):
            with pytest.raises(DatabaseOutdated, match=r"older than the store.*rebuild"):
                retained(binding, NOW + LATER, **options)
        assert (len(Quarantine()), len(Removal())) == (marks, rounds)
        assert len(face.rebuild().decisions) == (4 if old else 6)
        assert decided() == before
        assert face.rebuild().decisions == []
        retained(binding)
        assert [noted_in(store) for store in stores(load())] == objects
    done = retained(binding, NOW + LATER)
    assert done.swept == 1
    assert first in stored().values()
    assert second not in stored().values()
    release(binding, load(), 2)
    retained(binding, NOW + LATER)
    assert retained(binding, NOW + 2 * LATER).swept == 1
    assert first not in stored().values()
    assert list(check(binding, open_store(load()), verify_data=True, unreferenced=True)) == []
    for store in stores(load()):
        assert hashes(noted_in(store)) == known().keys()


def test_a_number_that_was_given_again_is_not_taken_from_anybody(binding: Binding, set_store: Set) -> None:
    for case in ("case 1", "case 2", "case 3"):
        hold(binding, load(), case)
    release(binding, load(), 2)
    restored({})
    hold(binding, load(), "of after the restore")  # gets number 1
    assert entered(binding) == 4
    numbers = {one.reason: one.number for one in holds()}
    assert numbers == {"of after the restore": 1, "case 1": 4, "case 3": 3}
    assert lookup_all(LegalHoldEnded, "hold_number") == [(2,)]
    (ended,) = [row["hold_reason"] for row in LegalHold.to_dicts() if row["hold_number"] == 2]
    assert ended == "case 2"
    retained(binding)
    names = [noted_in(store) for store in stores(load())]
    assert [len(some) for some in names] == [5, 5]  # what has another number now is not noted down twice
    restored({})
    assert entered(binding) == 5
    assert sorted(one.reason for one in holds()) == sorted(numbers)


@on_postgresql
def test_who_ends_once_more_what_was_ended_before_the_restore_is_not_stopped(binding: Binding, set_store: Set) -> None:
    case = hold(binding, load(), "case 1")
    dump = dumped()
    release(binding, load(), case.number)
    restored(dump)
    with pytest.raises(DatabaseOutdated):
        retained(binding)
    release(binding, load(), case.number)
    retained(binding)
    assert entered(binding) == 0
    assert len(noted_in(open_store(load()))) == 3
    restored({})
    assert entered(binding) == 2  # of two ends the first
    retained(binding)
    assert holds() == []


@on_postgresql
def test_a_store_that_does_not_answer_keeps_nobody_from_deciding(
    binding: Binding, set_store: Set, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "first").write_bytes(b"no folder")
    set_store(URL=str(tmp_path / "first"))
    done = CliRunner().invoke(main, ["hold", "--reason", "case 17"])
    assert done.exit_code == 0
    assert "hold 1: everything: case 17" in done.output
    assert "not noted down in the content store yet" in done.output
    assert [one.reason for one in holds()] == ["case 17"]
    assert len(noted_in(FolderStore(tmp_path / "second"))) == 1
    with pytest.raises(StoreUnavailable):
        face.retain()
    (tmp_path / "first").unlink()
    assert unnoted(binding) == 1
    retained(binding, dry_run=True)
    assert unnoted(binding) == 1
    face.retain()
    assert unnoted(binding) == 0
    assert "not noted down" not in CliRunner().invoke(main, ["release", "1"]).output


def unnoted(binding: Binding) -> int:
    return sum(len(known().keys() - hashes(noted_in(store))) for store in stores(load()))


@on_postgresql
def test_an_empty_folder_that_should_not_be_takes_no_decision(binding: Binding, set_store: Set, tmp_path: Path) -> None:
    states(binding, tmp_path / "a", 1)
    set_store(URL=str(tmp_path / "mount"))
    store = open_store(load())
    Placement.insert({**row, "store_id": store_id_of(store)} for row in Placement.to_dicts())
    hold(binding, load(), "case 1")
    assert noted_in(store) == {}
    with pytest.raises(StoreUnavailable, match="Mount its disk"):
        retained(binding)


def store_id_of(store: Store) -> str:
    from populate.backup.stores import record_store

    return record_store(store.name)


def other(name: str, content: bytes) -> tuple[str, bytes]:
    """Return the object of somebody who knows how they are called."""
    return f"{name[:-64]}{hashlib.sha256(content).hexdigest()}", content


@on_postgresql
def test_what_cannot_be_read_is_told_and_stops_nothing_but_removals(
    binding: Binding, set_store: Set, tmp_path: Path
) -> None:
    for case in range(6):
        hold(binding, load(), f"case {case}")
    release(binding, load(), 6)
    names = sorted(noted_in(open_store(load())))
    restored({})
    first, second = folders()
    forged = other(names[1], b'{"decision": "hold"}\n')
    for store in (first, second):
        spoil(store, names[0], b"x" * (store.root / names[0]).stat().st_size)
        (store.root / names[1]).unlink()
        (store.root / forged[0]).write_bytes(forged[1])
        (store.root / names[5]).unlink()  # what the end is of
        (store.root / "decisions" / "note.txt").write_bytes(b"somebody's")
        (store.root / other(names[2], b"")[0]).write_bytes(b"")
    spoil(first, names[3], b"")
    done = face.rebuild()
    assert len(done.decisions) == 3
    for name in (names[0], forged[0], "note.txt", other(names[2], b"")[0], names[6]):
        assert any(name in reason for reason in done.refused)
    assert not any(name in reason for reason in done.refused for name in (names[2], names[3], names[4]))
    assert {one.reason for one in holds()} == {"case 2", "case 3", "case 4"}  # the fourth from the other store
    with pytest.raises(DatabaseOutdated, match="knows 5 decisions"):
        retained(binding)
    command = CliRunner().invoke(main, ["rebuild", "--only-decisions"])
    assert command.exit_code == 1
    assert names[0] in command.output
    for store in (first, second):
        for name in (names[0], forged[0], "decisions/note.txt", other(names[2], b"")[0], names[6]):
            (store.root / name).unlink()
    retained(binding)


@on_postgresql
def test_what_the_first_store_lost_the_second_has_and_what_is_removed_is_put_back(
    binding: Binding, set_store: Set
) -> None:
    hold(binding, load(), "case 1")
    first, second = folders()
    for path in (first.root / "decisions").iterdir():
        path.unlink()
    retained(binding)
    assert noted_in(first) == noted_in(second)
    ((name, size),) = noted_in(first).items()
    for content in (b"", b"x" * size):
        spoil(first, name, content)
        retained(binding)
        assert (first.root / name).read_bytes() == (second.root / name).read_bytes()
    for path in (first.root / "decisions").iterdir():
        path.unlink()
    restored({})
    with pytest.raises(DatabaseOutdated, match="second"):  # whichever store is swept
        retained(binding)
    assert entered(binding) == 1
    assert [one.reason for one in holds()] == ["case 1"]


@on_postgresql
def test_nothing_is_erased_by_who_may_have_forgotten_a_hold(binding: Binding, set_store: Set, tmp_path: Path) -> None:
    content, *_ = states(binding, tmp_path / "a", 1)
    hold(binding, load(), "case 1")
    restored({})
    with pytest.raises(DatabaseOutdated):
        face.erase(sha256(content), reason="consent withdrawn")
    assert set(stored().values()) == {content}
    entered(binding)
    release(binding, load(), 1)
    assert face.erase(sha256(content), reason="consent withdrawn").removed


def bodies() -> list[bytes]:
    return [path.read_bytes() for store in folders() for path in store.root.rglob("*") if path.is_file()]


@on_postgresql
def test_where_contents_are_sealed_decisions_are_too(binding: Binding, set_store: Set, tmp_path: Path) -> None:
    old, new = "0a" * 32, "0b" * 32
    hold(binding, load(), "case 1", below="/shares/secret place")
    assert any(b"secret place" in body for body in bodies())
    set_store(SEAL="true", SEAL_KEYS=old)
    hold(binding, load(), "case 2", below="/shares/secret too")
    assert not any(b"secret too" in body for body in bodies())
    done = sealing.seal(binding, load())
    assert (done.objects, done.refused) == (2, [])
    assert not any(b"secret" in body for body in bodies())
    set_store(SEAL_KEYS=f"{new},{old}")
    done = sealing.seal(binding, load())
    assert (done.renewed, len(done.forgotten), done.refused) == (4, 1, [])
    set_store(SEAL_KEYS=new)
    restored({})
    with pytest.raises(DatabaseOutdated):
        retained(binding)
    assert entered(binding) == 2
    assert {one.below for one in holds()} == {"/shares/secret place", "/shares/secret too"}
    set_store(SEAL="false")  # as it is with who has turned it off, and reads what is sealed
    hold(binding, load(), "case 3")
    for store in folders():
        names = [path.name for path in (store.root / DECISIONS).iterdir()]
        assert [name.endswith(SEALED) for name in sorted(names)] == [True, True, False]
    restored({})
    assert entered(binding) == 3


@on_postgresql
def test_a_bucket_that_locks_objects(
    binding: Binding, set_store: Set, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    from test_retention import lock_all, locking_bucket

    bucket, client = locking_bucket(s3_server, monkeypatch)
    hold(binding, load(), "case 1")
    assert isinstance(open_store(load()), BucketStore)
    lock_all(client, bucket)
    restored({})
    assert entered(binding) == 1
    release(binding, load(), 1)
    retained(binding)
    assert len(client.list_object_versions(Bucket=bucket, Prefix="lab/decisions/")["Versions"]) == 2


@on_postgresql
def test_killed_at_any_call_what_is_decided_is_noted_down_later_and_entered_again(
    binding: Binding, set_store: Set
) -> None:
    def decide() -> None:
        bound = bind_all(load())
        hold(bound, load(), "killed")
        add_rule(bound, load(), "versions", 5)

    def enter() -> None:
        enter_decisions(bind_all(load()), stores(load()))

    codes = set[int]()
    for point in range(1, 130, 9):
        codes.add(killed_at(point, decide))
        binding.ensure()
        for store in stores(load()):  # never more than the catalogue knows
            assert list(unknown_in(store)) == []
        face.retain()
        assert unnoted(binding) == 0
    before = decided()
    restored({})
    for point in range(2, 130, 9):
        codes.add(killed_at(point, enter))
        binding.ensure()
    entered(binding)
    assert decided() == before
    assert codes == {-9, 0}


def test_rules_are_entered_with_what_they_say(binding: Binding, set_store: Set) -> None:
    add_rule(binding, load(), "days", 730, department="Imaging", tag="raw")
    add_rule(binding, load(), "everything", source="nfs/x")
    end_rule(binding, load(), 1)
    now = datetime.now(UTC).replace(tzinfo=None)
    before = [str(rule) for rule in rules()]
    kinds = sorted(decision.kind for decision in known().values())
    assert kinds == sorted((RULE, RULE, RULE_END))
    restored({})
    assert entered(binding) == 3
    assert [str(rule) for rule in rules()] == before
    assert all(abs(one.at - now) < timedelta(minutes=5) for one in known().values())
    assert json.loads(next(one for one in known().values() if one.kind == RULE_END).content).keys() == {
        *("decision", "of", "rule_ended_at", "rule_ended_by")
    }
    assert not {HOLD, RELEASE} & {*kinds}


def test_a_decision_of_the_largest_size_is_kept(binding: Binding, set_store: Set) -> None:
    below = "/" + "ä" * 4095
    hold(binding, load(), "r" * 600, below=below, department="d" * 200, tag="t" * 100, source="s" * 300)
    (one,) = known().values()
    assert isinstance(one, Decision)
    restored({})
    assert entered(binding) == 1
    assert holds()[0].below == below


def test_what_is_decided_meanwhile_is_neither_unknown_nor_entered_twice(
    binding: Binding, set_store: Set, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(binding, load(), "case 1")
    listed, waiting = FolderStore.objects, ["case 2", "case 3"]

    def listed_late(self: FolderStore, below: str = "objects/") -> Iterator[tuple[str, int]]:
        """Have something decided just before the answer of a store arrives."""
        if below == DECISIONS and waiting:
            hold(binding, load(), waiting.pop())
        return iter(list(listed(self, below)))

    monkeypatch.setattr(FolderStore, "objects", listed_late)
    assert list(unknown_in(open_store(load()))) == []
    waiting.append("case 4")
    assert entered(binding) == 0
    assert waiting == []
    assert sorted(one.reason for one in holds()) == ["case 1", "case 2", "case 3", "case 4"]


def test_two_enter_nothing_at_the_same_time(binding: Binding, set_store: Set) -> None:
    hold(binding, load(), "case 1")
    restored({})
    with (
        another_binding(binding) as other_one,
        Lease(other_one, "decisions").held(),
        pytest.raises(StoreUnavailable, match="Somebody else"),
    ):
        entered(binding)
    assert holds() == []
    assert entered(binding) == 1


@on_postgresql
def test_one_store_that_answers_is_enough_to_rebuild_and_not_to_remove(
    binding: Binding, set_store: Set, tmp_path: Path
) -> None:
    hold(binding, load(), "case 1")
    restored({})
    (tmp_path / "away").write_bytes(b"no folder")
    set_store(REPLICA_URL=str(tmp_path / "away"))
    assert len(face.rebuild().decisions) == 1
    with pytest.raises(StoreUnavailable):
        retained(binding)
