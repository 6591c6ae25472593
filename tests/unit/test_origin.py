"""Which of several copies is the original, and on what evidence."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from populate.duplicates.origin import GRADES, Holder, Reading, Verdict, judge, judge_all

NOON = datetime(2026, 5, 4, 12)
HOUR = timedelta(hours=1)


def holder(name: str, seen: int | None = 0, modified: int | None = None) -> Holder:
    """Return a file of the person of its first letter; times in hours after noon."""
    seen_at = None if seen is None else NOON + seen * HOUR
    return Holder(name, name[0], seen_at, None if modified is None else NOON + modified * HOUR)


def reading(person: str, file: str, hours: float) -> Reading:
    return Reading(file, person, NOON + hours * HOUR)


def test_whoever_was_read_before_the_copy_appeared_is_the_origin() -> None:
    holders = [holder("b1", 5), holder("a1", 1), holder("c1", 0)]
    found = judge(holders, [reading("b", "a1", 2)])
    assert found == {"a1": Verdict(True, "read"), "b1": Verdict(False, "read"), "c1": Verdict(False, "none")}


def test_a_reading_after_the_copy_appeared_or_right_before_it_shows_nothing() -> None:
    holders = [holder("a1", 0), holder("b1", 5)]
    for hours in (4.9, 5, 6):
        assert judge(holders, [reading("b", "a1", hours)])["a1"] == Verdict(True, "seen")


def test_what_people_read_of_their_own_shows_nothing() -> None:
    assert judge([holder("a1", 0), holder("a2", 5)], [reading("a", "a1", 1)])["a2"] == Verdict(False, "seen")


def test_the_oldest_is_the_origin_by_its_source_if_all_sources_tell() -> None:
    late = holder("a1", 9, -100)
    assert judge([late, holder("b1", 0, -50)])["a1"] == Verdict(True, "modified")
    assert judge([late, holder("b1", 0, None)])["b1"] == Verdict(True, "seen")
    assert judge([late, holder("b1", 0, -100)])["b1"] == Verdict(True, "seen")


def test_an_origin_is_as_sure_as_its_least_sure_copy_unless_it_was_read() -> None:
    found = judge([holder("a1", 0), holder("b1", 0), holder("c1", 3)])
    assert found == {"a1": Verdict(True, "none"), "b1": Verdict(False, "none"), "c1": Verdict(False, "seen")}
    assert judge([holder("a1", None), holder("b1", 4)])["b1"] == Verdict(True, "none")


def test_there_is_an_origin_even_if_each_seems_to_be_made_from_another() -> None:
    holders = [holder("b1", 5), holder("a1", 4)]
    found = judge(holders, [reading("a", "b1", 1), reading("b", "a1", 2)])
    assert found == {"a1": Verdict(True, "read"), "b1": Verdict(False, "read")}


def test_a_chain_of_copies_leads_to_its_beginning() -> None:
    holders = [holder("a1", 0), holder("b1", 10), holder("c1", 20)]
    found = judge(holders, [reading("b", "a1", 1), reading("c", "b1", 12)])
    assert found["a1"] == Verdict(True, "read")
    assert found["c1"] == Verdict(False, "seen")


def test_only_contents_of_several_owners_are_asked_about() -> None:
    asked = []

    def readings_of(contents: list[str]) -> dict[str, list[Reading]]:
        asked.extend(contents)
        return {}

    judge_all({"x": [holder("a1"), holder("a2")], "y": [holder("a3"), holder("b1")]}, readings_of)
    assert asked == ["y"]


HOLDERS = st.lists(
    st.builds(
        lambda name, seen, modified: holder(name, seen, modified),
        st.sampled_from(["a1", "a2", "b1", "c1", "d1"]),
        st.none() | st.integers(0, 3),
        st.none() | st.integers(-3, 3),
    ),
    min_size=2,
    max_size=4,
    unique_by=lambda one: one.file_id,
)
READINGS = st.lists(
    st.builds(reading, st.sampled_from("abcd"), st.sampled_from(["a1", "b1", "c1"]), st.integers(0, 4)), max_size=4
)


@given(HOLDERS, READINGS)
def test_there_is_exactly_one_origin_in_whatever_order_files_come(
    holders: list[Holder], readings: list[Reading]
) -> None:
    found = judge(holders, readings)
    assert sum(verdict.is_origin for verdict in found.values()) == 1
    assert {verdict.evidence for verdict in found.values()} <= set(GRADES)
    assert all(judge(order, readings) == found for order in permutations(holders))
