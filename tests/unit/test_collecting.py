"""How often a command looks for garbage."""

from __future__ import annotations

import gc

from data_platform.cli.collecting import ALLOCATED, collected_seldom


def test_garbage_is_looked_for_less_often_and_then_as_before() -> None:
    before = gc.get_threshold()
    with collected_seldom():
        assert gc.get_threshold() == (max(before[0], ALLOCATED), *before[1:])
    assert gc.get_threshold() == before


def test_who_turned_the_collector_off_keeps_it_off() -> None:
    before = gc.get_threshold()
    gc.set_threshold(0)
    try:
        with collected_seldom():
            assert gc.get_threshold()[0] == 0
    finally:
        gc.set_threshold(*before)
