"""Retention: what may go goes after its quarantine, and nothing that is referenced, whoever stores what meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from deliveries import MORNING, hand_in, item, read, read_file, sha256, stored
from store_contract import content_of_size

from data_platform.errors import RestrictionError, StoreUnavailable, VersionUnavailable
from data_platform.settings import load, settings
from populate.backup.check import check
from populate.backup.removal import RemovalClaim, RemovalDone
from populate.backup.removing import Round, removing
from populate.backup.restore import restore
from populate.backup.tables import Backup, BackupFailure, Placement
from populate.ingest import Ingest
from populate.retention import quarantine, retaining
from populate.retention.keeping import add_rule, end_rule, hold, holds, release, rules
from populate.retention.retaining import Retained, retain
from populate.retention.tables import QuarantineEnd
from populate.store import object_name_of, open_store
from populate.store.base import PACKS
from populate.store.pack import keep
from populate.work.jobs import Queue
from populate.work.retries import retry_failed
from schemas.binding import Binding

on_postgresql = pytest.mark.parametrize("backend", ["postgresql"])  # where no statement differs
NOW = datetime(2026, 6, 1)
LATER = timedelta(days=15)


def work() -> None:
    for table in (Ingest, Backup):
        queue = Queue(table())
        queue.refresh()
        while queue.run(50):
            pass
        assert queue.failed() == 0


def states(binding: Binding, path: Path, number: int, *, system: str = "") -> list[bytes]:
    """Read a file in several states, a day after the other, each backed up before the next."""
    contents = [content_of_size(1000 + n, seed=n) + path.name.encode() for n in range(number)]
    for day, content in enumerate(contents):
        path.write_bytes(content)
        hand_in(binding, [read_file(path, day=day)], run=f"{path} {day}")
        work()
    return contents


def retained(binding: Binding, now: datetime = NOW, **options: Any) -> Retained:
    return retain(binding, open_store(load()), load(), now=now, **options)


def test_versions_go_after_their_quarantine_and_what_is_held_or_asked_for_stays(
    binding: Binding, tmp_path: Path
) -> None:
    old, *newer = states(binding, tmp_path / "a", 4)
    assert retained(binding) == Retained(open_store(load()).name)  # without a rule everything stays
    first = add_rule(binding, load(), "versions", 2)
    dry = retained(binding, dry_run=True)
    assert (dry.marked, dry.marked_bytes, dry.waiting, dry.swept) == (2, len(old) + len(newer[0]), 2, 0)
    assert (retained(binding).marked, retained(binding).marked) == (2, 0)
    assert set(stored().values()) == {old, *newer}
    case = hold(binding, load(), "case 17", below=str(tmp_path))
    done = retained(binding, NOW + LATER)
    assert (done.spared, done.swept) == (2, 0)
    release(binding, load(), case.number)
    assert retained(binding, NOW + LATER).waiting == 2  # anew: not for the whole time before
    hold(binding, load(), "case 18", sha256=sha256(old)[:12])
    done = retained(binding, NOW + 2 * LATER)
    assert (done.swept, done.swept_bytes, done.removed, done.spared) == (1, len(newer[0]), 1, 1)
    assert set(stored().values()) == {old, *newer[1:]}
    assert list(check(binding, open_store(load()), verify_data=True, unreferenced=True)) == []
    with pytest.raises(VersionUnavailable, match="retention"):
        restore(binding, open_store(load()), sha256(newer[0]), tmp_path / "back")
    for one in holds():
        release(binding, load(), one.number)
    end_rule(binding, load(), first.number)
    add_rule(binding, load(), "days", 10_000)
    assert retained(binding, NOW + 3 * LATER).marked == 0
    for rule in rules():
        end_rule(binding, load(), rule.number)
    add_rule(binding, load(), "days", 1)
    assert retained(binding, NOW + 3 * LATER).marked == 3
    path = tmp_path / "a"
    hand_in(binding, [read_file(path, day=100)], run="again")  # delivered and not ingested: it counts already
    done = retained(binding, NOW + 4 * LATER)
    assert done.swept == 2
    assert set(stored().values()) == {newer[-1]}


@on_postgresql
def test_wrong_rules_are_refused(binding: Binding) -> None:
    for keeps, amount in (("all", 1), ("versions", 0), ("days", -1)):
        with pytest.raises(RestrictionError):
            add_rule(binding, load(), keeps, amount)
    with pytest.raises(RestrictionError, match="reason"):
        hold(binding, load(), " ")
    with pytest.raises(VersionUnavailable, match="No rule 3"):
        end_rule(binding, load(), 3)
    assert (rules(), holds()) == ([], [])


def interfering(patch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Have something done once while a backup has looked and stored, and has not recorded anything yet."""
    compute, waiting = Backup.make_compute, [act]

    def interrupted(self: Backup, *arguments: Any) -> Any:
        computed = compute(self, *arguments)
        while waiting:
            waiting.pop()()
        return computed

    patch.setattr(Backup, "make_compute", interrupted)


def judged_before(patch: pytest.MonkeyPatch) -> None:
    """Have a sweep judge by what was known before anything referred to the contents: the worst that can happen."""
    patch.setattr(quarantine.Judge, "reasons", lambda self, hashes: dict.fromkeys(hashes, ""))


def sweep(binding: Binding) -> None:
    with pytest.MonkeyPatch.context() as patch:
        judged_before(patch)
        patch.setenv("DATA_PLATFORM_STORE__QUARANTINE_DAYS", "0")
        settings.cache_clear()
        retained(binding, datetime.now(UTC).replace(tzinfo=None))
    settings.cache_clear()


def claim_only(binding: Binding) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Round, "remove", lambda self, names: [])
        sweep(binding)


@pytest.mark.parametrize(("held", "act"), [("placed", sweep), ("stray", sweep), ("packed", claim_only)])
def test_a_backup_that_relied_on_what_went_meanwhile_stores_it_again(
    binding: Binding, tmp_path: Path, held: str, act: Callable[[Binding], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA_PLATFORM_STORE__PACK_BYTES", "8000000" if held == "packed" else "0")
    settings.cache_clear()
    paths = [tmp_path / f"{held}{n}" for n in range(10 if held == "packed" else 2)]
    for n, path in enumerate(paths):
        path.write_bytes(content_of_size(500 + n, seed=n))
    contents = {sha256(path.read_bytes()): path.read_bytes() for path in paths}
    if held == "placed":
        hand_in(binding, [read_file(path) for path in paths], run="before")
        work()
        paths = [path.rename(path.with_suffix(".copy")) for path in paths]
    for group in [contents] if held == "packed" else [{one: contents[one]} for one in contents]:
        keep(open_store(load()), group)
    with monkeypatch.context() as patch:
        interfering(patch, lambda: act(binding))
        hand_in(binding, [read_file(path, day=1) for path in paths], run="during")
        work()
    assert len(RemovalClaim()) > 0
    assert len(BackupFailure()) == len(contents)  # nothing was recorded that is gone
    retained(binding, take_over=timedelta(0))
    assert len(RemovalClaim()) == len(RemovalDone())
    retry_failed(binding)
    work()
    assert set(stored().values()) == set(contents.values())
