"""Killed at any call, a backup, rebuild, sweep or erasure leaves a store in which all that is to be kept can be had.

40 points here; ``REMOVAL_KILLS=1000 pytest tests/integration/test_removal_kills.py`` for more.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from deliveries import hand_in, read_file, sha256, work_off
from removal_victim import back_up, enter_all, erase_content, killed_at, sweep
from store_contract import content_of_size
from waiting import wait_until

from data_platform.settings import load, settings
from populate.backup.check import check
from populate.backup.erased import Erasure
from populate.backup.removal import RemovalClaim, RemovalDone
from populate.backup.tables import Backup, Placement
from populate.ingest import BackupBatch, Ingest
from populate.retention.keeping import add_rule
from populate.store import Place, open_store
from populate.store.pack import keep
from schemas.binding import Binding
from schemas.sharing import AccessBatch

POINTS = int(os.environ.get("REMOVAL_KILLS", "40"))
CALLS = {"sweep": 300, "erase": 300, "backup": 250, "rebuild": 60}
"""Points lie among so many calls; what needs fewer of them is done, which counts too."""

ACTS = ("sweep", "backup", "rebuild", "erase", "sweep")

NOW = datetime(2026, 6, 1)
DAY = timedelta(days=1)


class Lab:
    """Files of which each was read in two states: of the first the rules let go, of the second they do not."""

    def __init__(self, binding: Binding, folder: Path) -> None:
        self._binding = binding
        self._folder = folder
        self._seed = 0
        self._now = NOW
        self.kept: dict[str, bytes] = {}
        self.under_way: dict[str, bytes] = {}
        self.left_over: set[str] = set()

    def renew(self) -> list[str]:
        """Read two more files, back them up, leave something over; return the contents that may go."""
        self._seed += 1
        gone = list[str]()
        for state in range(2):
            paths = [self._folder / f"{self._seed}-{n}" for n in range(10)]
            contents = [content_of_size(200 + n, seed=1000 * self._seed + 100 * state + n) for n in range(10)]
            for path, content in zip(paths, contents, strict=True):
                path.write_bytes(content)
            hand_in(self._binding, [read_file(path, day=state) for path in paths], run=f"{self._seed} {state}")
            work_off(Ingest, Backup)
            gone = gone or list(map(sha256, contents))
            last = contents
        self.kept |= {sha256(content): content for content in last}
        left_over = content_of_size(77, seed=self._seed)
        keep(open_store(load()), {sha256(left_over): left_over})
        self.left_over.add(sha256(left_over))
        return gone

    def deliver(self) -> None:
        """Read ten more files, and leave it to others to back them up."""
        self._seed += 1
        paths = [self._folder / f"{self._seed}-{n}" for n in range(10)]
        for n, path in enumerate(paths):
            path.write_bytes(content_of_size(300 + n, seed=1000 * self._seed + n))
            self.under_way[sha256(path.read_bytes())] = path.read_bytes()
        hand_in(self._binding, [read_file(path) for path in paths], run=f"{self._seed}")

    def back_up_all(self) -> None:
        """Have backed up whatever was delivered, as soon as the server knows who is gone."""

        def done() -> bool:
            back_up()
            return len(Backup()) == len(BackupBatch()) and not len(AccessBatch() - Ingest)

        wait_until(done, pause=0.2)
        self.kept |= self.under_way
        self.under_way.clear()

    def lose_catalogue(self) -> None:
        """Lose all that tells where contents are."""
        Placement.delete_quick()

    def later(self) -> datetime:
        """Return a moment at which what is in quarantine now has waited long enough."""
        self._now += 20 * DAY
        return self._now

    def assert_sound(self, *, complete: bool = True) -> None:
        """See that everything that is to be kept can be had, and that no place leads nowhere."""
        store = open_store(load())
        rows = {row["sha256"]: row for row in Placement.to_dicts()}
        assert not complete or self.kept.keys() <= rows.keys()
        erased = set(Erasure.to_arrays("sha256").tolist())  # which may be gone before its row is
        for hash_, row in ((hash_, row) for hash_, row in rows.items() if hash_ not in erased):
            place = Place(row["object_name"], row["place_offset"], row["place_length"])
            assert sha256(b"".join(store.read(place))) == hash_


@pytest.fixture
def lab(binding: Binding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setenv("DATA_PLATFORM_STORE__PACK_BYTES", "8000000")
    settings.cache_clear()
    add_rule(binding, load(), "versions", 1)
    (tmp_path / "lab").mkdir()
    return Lab(binding, tmp_path / "lab")


@pytest.mark.timeout(300 + 30 * POINTS)
@pytest.mark.parametrize("backend", ["postgresql"])  # that both end a session's transaction is tested elsewhere
def test_whatever_kills_it_the_next_one_ends_it(binding: Binding, lab: Lab) -> None:
    chance = random.Random(8)
    killed = dict.fromkeys(CALLS, 0)
    for point in range(POINTS):
        if point % 10 == 0:
            going = lab.renew()
            sweep(lab.later())  # marks
        act, now = ACTS[point % len(ACTS)], lab.later()
        if act == "backup":
            lab.deliver()
        elif act == "rebuild":
            lab.lose_catalogue()
        acts: dict[str, Callable[[], object]] = {
            "backup": back_up,
            "rebuild": enter_all,
            "erase": partial(erase_content, going[point % 10]),
            "sweep": partial(sweep, now),
        }
        code = killed_at(1 + chance.randrange(CALLS[act]), acts[act])
        assert code in (0, -signal.SIGKILL), act
        killed[act] += code == -signal.SIGKILL
        binding.ensure()
        lab.assert_sound(complete=act != "rebuild")
        if act == "rebuild":
            enter_all()
            lab.assert_sound()
        if point % 10 == 9:
            assert_ended(binding, lab)
    assert sum(killed.values()) > POINTS // 4
    assert all(killed.values())


def assert_ended(binding: Binding, lab: Lab) -> None:
    """See that whoever comes next ends all that was begun."""
    lab.back_up_all()
    for _ in range(2):
        sweep(lab.later())
    lab.assert_sound()
    assert {row["sha256"] for row in Placement.to_dicts()} - lab.left_over == lab.kept.keys()
    assert len(RemovalClaim()) == len(RemovalDone())
    assert list(check(binding, open_store(load()), verify_data=True, unreferenced=True)) == []
