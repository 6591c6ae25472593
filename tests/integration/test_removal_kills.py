"""Killed at any call, a sweep or an erasure leaves a store in which everything that is to be kept can be had.

40 points here; ``REMOVAL_KILLS=1000 pytest tests/integration/test_removal_kills.py`` for more.
"""

from __future__ import annotations

import os
import random
import signal
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from deliveries import hand_in, read_file, sha256, work_off
from removal_victim import erase_content, killed_at, sweep
from store_contract import content_of_size

from data_platform.settings import load, settings
from populate.backup.check import check
from populate.backup.erased import Erasure
from populate.backup.removal import RemovalClaim, RemovalDone
from populate.backup.tables import Backup, Placement
from populate.ingest import Ingest
from populate.retention.keeping import add_rule
from populate.store import Place, open_store
from populate.store.pack import keep
from schemas.binding import Binding

POINTS = int(os.environ.get("REMOVAL_KILLS", "40"))
CALLS = 300
"""Points lie among so many calls; what needs fewer of them is done, which counts too."""

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

    def renew(self) -> list[str]:
        """Read two more files, back them up, leave something over; return the contents that may go."""
        self._seed += 1
        gone = []
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
        return gone

    def later(self) -> datetime:
        """Return a moment at which what is in quarantine now has waited long enough."""
        self._now += 20 * DAY
        return self._now

    def assert_sound(self) -> None:
        """See that everything that is to be kept can be had, and that no place leads nowhere."""
        store = open_store(load())
        rows = {row["sha256"]: row for row in Placement.to_dicts()}
        assert self.kept.keys() <= rows.keys()
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
def test_whatever_kills_a_removal_the_next_one_ends_it(binding: Binding, lab: Lab) -> None:
    chance = random.Random(8)
    killed = 0
    for point in range(POINTS):
        if point % 10 == 0:
            going = lab.renew()
            sweep(lab.later())  # marks
        erases = point % 4 == 3
        number = 1 + chance.randrange(CALLS)
        if erases:
            target = going[point % 10]
            code = killed_at(number, lambda target=target: erase_content(target))
        else:
            now = lab.later()
            code = killed_at(number, lambda now=now: sweep(now))
        assert code in (0, -signal.SIGKILL)
        killed += code == -signal.SIGKILL
        binding.ensure()
        lab.assert_sound()
        if point % 10 == 9:
            for _ in range(2):
                sweep(lab.later())
            lab.assert_sound()
            assert {row["sha256"] for row in Placement.to_dicts()} == lab.kept.keys()
            assert len(RemovalClaim()) == len(RemovalDone())
            assert list(check(binding, open_store(load()), verify_data=True, unreferenced=True)) == []
    assert killed > POINTS // 4
