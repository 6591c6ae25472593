"""Figures that take long are asked for seldom, and nobody but the first waits for them."""

from __future__ import annotations

from threading import Event

import pytest

from dashboard import counting
from dashboard.counting import Counting
from populate.watch.seldom import SHARE, Seldom


class Clock:
    """Seconds that pass only while something is asked, or when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_an_answer_is_kept_for_many_times_as_long_as_it_took() -> None:
    clock, asked = Clock(), []

    def ask() -> int:
        clock.now += 2.0
        asked.append(clock.now)
        return len(asked)

    seldom = Seldom(ask, clock)
    assert seldom.due
    assert [seldom.latest().value for _ in range(3)] == [1, 1, 1]
    clock.now += 2.0 * SHARE - 0.1
    assert not seldom.due
    assert seldom.latest().value == 1
    clock.now += 0.2
    assert seldom.due
    assert seldom.latest().value == 2
    assert len(asked) == 2


def test_a_question_that_failed_is_asked_again_at_once() -> None:
    answers: list[int | Exception] = [ValueError("no"), 7]

    def ask() -> int:
        if isinstance(answer := answers.pop(0), Exception):
            raise answer
        return answer

    seldom = Seldom(ask)
    with pytest.raises(ValueError, match="no"):
        seldom.latest()
    assert seldom.latest().value == 7


def test_the_last_figures_are_shown_while_new_ones_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "PATIENCE", 0.0)
    go, answers = Event(), iter((1, 2, 3))
    go.set()

    def ask() -> int:
        go.wait()
        return next(answers)

    figures = Counting(ask, share=0.0)
    assert figures.latest().value == 1  # waited for, for there is nothing else to show
    go.clear()
    assert [figures.latest().value for _ in range(3)] == [1, 1, 1]
    go.set()
    monkeypatch.setattr(counting, "PATIENCE", 120.0)
    figures.latest()  # ends whatever was under way
    assert figures.latest().value > 1


def test_an_error_is_told_only_if_there_is_nothing_to_show() -> None:
    answers: list[int | Exception] = [OSError("away"), 5, OSError("away again")]

    def ask() -> int:
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    figures = Counting(ask, share=0.0)
    with pytest.raises(OSError, match="away"):
        figures.latest()
    assert [figures.latest().value for _ in range(3)] == [5, 5, 5]
