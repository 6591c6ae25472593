"""Which snapshots' figures are shown, and which stand back: a rule on numbers, days and moments alone."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from populate.adoption.close import EVERYBODY, close_parts, parts_of
from populate.adoption.reads import Read
from populate.insight.standing import APART, Taken, compared, few_changed, shown, standing


def daily(first: date, days: int) -> list[Taken]:
    """Return a snapshot of each day, taken on the next."""
    all_days = (first + timedelta(days=number) for number in range(days))
    return [Taken(n, day, datetime.combine(day + timedelta(days=1), time(1))) for n, day in enumerate(all_days, 1)]


def test_the_first_one_and_the_ends_of_months_are_shown() -> None:
    year = daily(date(2026, 1, 20), 365)
    found = [one.day for one in shown(year)]
    soon = [date(2026, 1, day) for day in (20, 21, 22, 24, 28, 31)]
    assert found[: len(soon)] == soon
    assert found[len(soon) :][:2] == [date(2026, 2, 28), date(2026, 3, 31)]
    assert len(found) == len(soon) + 11
    assert shown(reversed(year)) == shown(year)
    for number in (1, 40, 200):  # what is shown never depends on what comes later
        assert shown(year[:number]) == [one for one in shown(year) if one.number <= number]
    sparse = [year[0], year[20], year[30], year[31]]
    assert [one.number for one in shown(sparse)] == [1, 32]
    assert (sparse[-1].day - sparse[0].day).days == APART


def test_one_that_is_shown_stands_for_each() -> None:
    month = daily(date(2026, 3, 5), 60)
    days = [one.day for number in range(1, 61) if (one := standing(number, month))]
    soon = {date(2026, 3, day) for day in (5, 6, 7, 9, 13, 21)}
    assert set(days) == soon | {date(2026, 3, 31), date(2026, 4, 30)}
    assert days == sorted(days)
    assert days[16:26] == [date(2026, 3, 21)] * 10
    end = next(one.number for one in month if one.day == date(2026, 3, 31))
    stands = standing(end, month, close={end})
    assert stands is not None
    assert stands.day == date(2026, 3, 21)
    assert standing(61, month) is None
    back = [*month[20:], Taken(99, date(2026, 3, 20), datetime(2026, 7, 1))]  # filled in later, near another one
    stands = standing(99, back)
    assert stands == back[0]


def test_a_day_that_was_not_over_is_followed_by_the_whole_one_and_no_other() -> None:
    end, evening = date(2026, 3, 31), datetime(2026, 3, 31, 18)
    partial = [Taken(number, end, evening + timedelta(minutes=number)) for number in (1, 2)]
    whole = [Taken(number, end, evening + timedelta(days=number)) for number in (3, 4)]
    assert [one.number for one in shown(partial + whole)] == [1, 3]


def test_those_with_days_in_common_are_compared() -> None:
    year = daily(date(2026, 1, 20), 365)
    ends = {one.day: one.number for one in shown(year)}
    june = ends[date(2026, 6, 30)]
    assert [one.day.month for one in compared(june, year, 90)] == [4, 5]
    assert compared(june, year, 30, shared=2) == []
    assert [one.number for one in compared(ends[date(2026, 1, 31)], year, 30, shared=2)] == [1, 2, 3, 5, 9]
    assert compared(june + 1, year, 90) == []  # it is not shown


def test_groups_that_changed_by_few_people() -> None:
    before = {("a", n): 1 for n in range(9)} | {("b", 0): 3}
    assert few_changed(before, before) == set()
    assert few_changed(before, before | {("b", 0): 4}) == {"b"}
    assert few_changed(before, dict.fromkeys(before, 2)) == {"b"}
    assert few_changed(before, before | {("a", 9): 1, ("c", 0): 1}) == {"a", "c"}


def reads(people: range, department: str, times: int, owner: str = "o", owning: str = "O") -> list[Read]:
    return [Read(f"{department}{n}", department, owner, owning, "nfs:x", "file", times) for n in people]


def test_who_joins_five_readers_is_close_in_each_figure_that_tells() -> None:
    before = parts_of(reads(range(5), "A", 3) + reads(range(9), "B", 2), {"B8"})

    def close(*more: Read) -> set[tuple[str, str]]:
        after = parts_of([*reads(range(5), "A", 3), *reads(range(8), "B", 7), *more], {"B8"})
        return {(row["close_kind"], row["close_name"]) for row in close_parts(before, after)}

    assert close() == set()  # eight of B have read more, and nobody of A
    # Nowhere five others began to read, so the sum of whatever is hidden would tell of the one.
    assert close(*reads(range(5, 6), "A", 4)) == {("department", "A"), (EVERYBODY, "")}
    new = reads(range(20, 25), "C", 1)
    assert close(*reads(range(5, 6), "A", 4), *new) == {("department", "A"), ("moved", "C")}
    assert close(*reads(range(5, 6), "", 4), *new) == {("department", ""), (EVERYBODY, "")}  # from no other department
    own = [Read(f"C{n}", "C", f"C{n}", "C", "nfs:x", "file", 1) for n in range(20, 25)]
    assert close(*reads(range(5, 6), "", 4), *own) == {("department", ""), ("moved", "C")}
    assert close(*reads(range(5, 10), "A", 4)) == set()
    assert close(Read("A1", "A", "b", "B", "s3:y", "s3", 1)) == {
        ("department", "A"), ("department", "B"), ("source", "s3:y"), ("moved source", "nfs:x"), (EVERYBODY, ""),
    }  # fmt: skip
    one = parts_of([*reads(range(6), "A", 3), *reads(range(9), "B", 2)], {"B8"})
    assert (EVERYBODY, "") in {(row["close_kind"], row["close_name"]) for row in close_parts(before, one)}
