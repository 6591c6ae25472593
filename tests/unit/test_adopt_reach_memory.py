"""A root is asked for once a minute, whatever the answer."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from data_platform.settings import Settings, load
from populate.adopt.reach import RECHECK_SECONDS, Origin, Reach


class Clock:
    """Time that passes when it is told to."""

    now = 1.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def lab(tmp_path: Path) -> Settings:
    return load(home=tmp_path / "home", file={"host": "lab"})


def origin(share: Path, system: str = "file/lab") -> Origin:
    return Origin("file", system, str(share), share.as_uri())


def test_a_root_is_asked_for_once_and_again_later(
    lab: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    share, clock = tmp_path / "share", Clock()
    reach, place = Reach(lab, clock), origin(share)
    share.mkdir()
    assert reach.has(place)
    share.rmdir()
    assert reach.has(place)
    clock.now += RECHECK_SECONDS
    with caplog.at_level(logging.WARNING):
        assert not reach.has(place)
        share.mkdir()
        assert not reach.has(place)
        share.rmdir()
        clock.now += RECHECK_SECONDS
        assert not reach.has(place)
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == ["Batches are left to other workers"]
    share.mkdir()
    clock.now += RECHECK_SECONDS
    assert reach.has(place)


def test_the_same_path_on_another_machine_is_another_root(lab: Settings, tmp_path: Path) -> None:
    assert Reach(lab).has(origin(tmp_path))
    assert not Reach(lab).has(origin(tmp_path, "file/desk"))
    assert not Reach(load(home=tmp_path, file={"host": "desk"})).has(origin(tmp_path))


def test_who_lacks_the_reader_cannot_reach_it(lab: Settings) -> None:
    assert not Reach(lab).has(Origin("teamspace", "teamspace/x", "/", "teamspace://x"))
