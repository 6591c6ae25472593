"""Whose promises the ledger counts: of departments that have had five people ever since."""

from __future__ import annotations

from datetime import date

import pandas as pd
import pytest

from populate.conversation.ledger import NOBODY_KNOWS, Crowds
from populate.insight.window import FOREVER, MONDAY

TODAY = date(2026, 11, 30)


def day(text: str) -> int:
    return FOREVER if text == "ever" else (date.fromisoformat(f"2026-{text}") - MONDAY).days


def crowds(*groups: tuple[str, int, str, str], nobodies: int = 0) -> Crowds:
    """Return what is known of groups of people: department, how many, first day, first day after it."""
    rows = [
        (f"{department}{number}{since}", department, day(since), day(until), False)
        for department, size, since, until in groups
        for number in range(size)
    ]
    rows += [(f"robot{number}", "A", 0, FOREVER, True) for number in range(9)]
    frame = pd.DataFrame(rows, columns=["person", "department", "since_day", "until_day", "service"])
    return Crowds(frame, nobodies)


@pytest.mark.parametrize(
    ("groups", "counts"),
    [
        ([("A", 5, "01-01", "ever")], True),
        ([("A", 4, "01-01", "ever")], False),
        ([("A", 4, "01-01", "ever"), ("A", 1, "01-01", "07-01")], False),  # the fifth left later
        ([("A", 4, "01-01", "ever"), ("A", 1, "01-01", "06-01")], False),  # on the day of the answer
        ([("A", 4, "01-01", "ever"), ("A", 1, "06-01", "ever")], True),  # came on that day
        ([("A", 4, "01-01", "ever"), ("A", 1, "06-02", "ever")], False),
        ([("A", 4, "01-01", "ever"), ("A", 1, "01-01", "08-01"), ("A", 1, "08-01", "ever")], True),  # was followed
        ([("A", 4, "01-01", "ever"), ("A", 1, "01-01", "08-01"), ("A", 1, "08-02", "ever")], False),  # a day later
        ([("A", 5, "01-01", "08-01")], True),  # all went elsewhere: it was called otherwise since then
        ([("A", 5, "01-01", "05-01")], False),  # somebody who had left answered
        ([("A", 5, "07-01", "ever")], False),
        ([("B", 50, "01-01", "ever")], False),
    ],
)
def test_a_promise_counts_while_there_are_five(groups: list[tuple[str, int, str, str]], counts: bool) -> None:
    assert crowds(*groups).count("A", date(2026, 6, 1), TODAY) is counts


def test_once_out_never_in_again_so_that_nothing_can_be_subtracted() -> None:
    held = crowds(("A", 4, "01-01", "ever"), ("A", 1, "01-01", "08-01"), ("A", 1, "09-01", "ever"))
    seen = [held.count("A", date(2026, 6, 1), date(2026, month, 1)) for month in range(6, 12)]
    assert seen == [True, True, False, False, False, False]
    assert held.count("A", date(2026, 9, 1), TODAY)


def test_people_of_no_department_count_together() -> None:
    assert not crowds(nobodies=4).count(NOBODY_KNOWS, date(2026, 6, 1), TODAY)
    assert crowds(nobodies=5).count(NOBODY_KNOWS, date(2026, 6, 1), TODAY)


def test_how_many_departments_are_small_does_not_depend_on_what_they_did() -> None:
    held = crowds(
        ("A", 4, "01-01", "ever"), ("B", 5, "01-01", "ever"), ("C", 3, "01-01", "10-01"), ("D", 1, "12-01", "ever")
    )
    assert held.small(TODAY) == 1
    assert held.small(date(2026, 9, 30)) == 2
