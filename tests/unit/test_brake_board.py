"""Brakes that several machines share: looked at now and then, told of at once, nothing for readers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from readers.microsoft365 import brake as module
from readers.microsoft365.brake import Brake, shared_by

LONG = 3600.0


class Wall:
    """A board of the test's own, which counts who looks."""

    def __init__(self) -> None:
        self.waits: dict[str, float] = {}
        self.looks = 0

    def left(self, application: str) -> float:
        self.looks += 1
        return self.waits.get(application, 0.0)

    def tell(self, application: str, seconds: float) -> None:
        self.waits[application] = seconds


def test_the_board_is_looked_at_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", LONG)
    wall, found = Wall(), Brake(tmp_path / "brake", "app")
    with shared_by(wall):
        assert [found.left for _ in range(5)] == [0.0] * 5
        assert wall.looks == 1
        wall.waits["app"] = LONG
        assert Brake(tmp_path / "brake", "other").left == 0.0
        assert Brake(tmp_path / "brake", "app").left > LONG / 2
        assert found.left > LONG / 2  # by the file, without another look
        assert wall.looks == 3
    assert Brake(tmp_path / "another", "app").left == 0.0
    assert wall.looks == 3


def test_who_is_told_to_wait_tells_the_board_and_who_reads_does_not(tmp_path: Path) -> None:
    wall = Wall()
    with shared_by(wall):
        Brake(tmp_path / "one").hold(LONG)
        assert (wall.waits, wall.looks) == ({}, 0)
        Brake(tmp_path / "two", "app").hold(LONG)
        assert wall.waits["app"] >= LONG
        wall.waits["app"] = 1e9  # a clock that was wrong must not stop everything for years
        assert Brake(tmp_path / "three", "app").left < 25 * LONG


def test_a_forked_process_has_no_board(tmp_path: Path) -> None:
    wall = Wall()
    wall.waits["app"] = LONG
    with shared_by(wall):
        child = os.fork()
        if not child:
            os._exit(bool(Brake(tmp_path / "brake", "app").left))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert Brake(tmp_path / "brake", "app").left > 0.0
