"""Stale, diverged and near duplicates and namesakes, told from what files hold and held."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from populate.duplicates.covered import fair_part
from populate.duplicates.forms.form import BYTES, TABLE, sketched
from populate.duplicates.kinds import (
    DIVERGED,
    MOST_HOLDERS,
    MOST_NAMESAKES,
    NEAR,
    SAME_NAME,
    STALE,
    Known,
    Relation,
    Said,
    by_history,
)
from populate.duplicates.spool import Spool

NOON = datetime(2026, 5, 4, 12)


def held(file: str, *contents: str, size: int = 1000, since: int = 0) -> list[Known]:
    """Return the versions of a file that held these contents, a day each; the last one is present.

    A content that comes twice is one version, seen first when it came first.
    """
    first = {content: place for place, content in reversed(list(enumerate(contents)))}
    return [
        Known(file, content, content, size, NOON + timedelta(days=since + place), content == contents[-1])
        for content, place in first.items()
    ]


def kinds(*files: list[Known]) -> set[tuple[str, str, str]]:
    return {relation[:3] for relation in by_history([version for file in files for version in file])}


def test_a_copy_that_did_not_follow_is_stale() -> None:
    assert kinds(held("a", "1", "2"), held("b", "1", since=1)) == {(STALE, "b", "a")}
    assert kinds(held("a", "1", "2"), held("b", "0", "1", since=1)) == {(STALE, "b", "a")}


def test_a_copy_that_went_on_has_diverged_from_what_stayed() -> None:
    assert kinds(held("a", "1"), held("b", "1", "2", since=1)) == {(DIVERGED, "b", "a")}
    assert kinds(held("a", "1", "2"), held("b", "1", "3", since=1)) == {(DIVERGED, "b", "a")}
    assert kinds(held("a", "1", "2"), held("b", "2", "1", since=1)) == {(DIVERGED, "b", "a")}


def test_equal_files_and_strangers_are_neither() -> None:
    assert kinds(held("a", "1", "2"), held("b", "2", since=1)) == set()
    assert kinds(held("a", "1", "2", "1"), held("b", "1", since=1)) == set()
    assert kinds(held("a", "1", "2"), held("b", "3", "4")) == set()


def test_templates_and_tiny_files_are_no_ancestors() -> None:
    many = [held(f"{n:02}", "blank", f"filled {n}") for n in range(MOST_HOLDERS + 1)]
    assert kinds(*many) == set()
    assert kinds(held("a", "1", "2", size=63), held("b", "1", since=1, size=63)) == set()


def test_of_several_contents_in_common_the_old_version_counts_most() -> None:
    relations = by_history([*held("a", "1", "2", "3"), *held("b", "1", "2", since=5)])
    assert relations == [Relation(STALE, "b", "a", "2", 0.0)]


def test_what_there_is_room_for_is_shared_by_the_kinds() -> None:
    stale = [Relation(STALE, f"s{n}", "a", "x", 0.0) for n in range(5)]
    diverged = [Relation(DIVERGED, f"d{n}", "a", "x", 0.0) for n in range(5)]
    every = sorted(stale + diverged)
    assert fair_part(every, 4) == [*diverged[:2], *stale[:2]]
    assert fair_part(every[::-1], 4) == fair_part(every, 4)
    assert fair_part([*diverged, *stale[:1]], 4) == [*diverged[:3], *stale[:1]]
    assert fair_part(every, 10) == every


HISTORIES = st.dictionaries(
    st.sampled_from("abcd"), st.lists(st.sampled_from("123"), min_size=1, max_size=3), min_size=2
)


@given(HISTORIES, st.randoms())
def test_two_files_have_one_kind_whatever_the_order_of_rows(histories: dict[str, list[str]], chance: object) -> None:
    rows = [version for file, contents in histories.items() for version in held(file, *contents)]
    relations = by_history(rows)
    pairs = [frozenset((relation.file_id, relation.other_id)) for relation in relations]
    assert len(pairs) == len(set(pairs))
    assert by_history(rows[::-1]) == relations
    for relation in relations:
        assert histories[relation.file_id][-1] != histories[relation.other_id][-1]
        assert relation.common in histories[relation.file_id]
        assert relation.common in histories[relation.other_id]


def by_form(files: list[Known], forms: list[Said]) -> list[Relation]:
    with Spool() as spool:
        spool.fill([(files, {})], [forms])
        return spool.pairs(NEAR)


def by_name(files: list[Known], names: dict[str, str], related: list[Relation]) -> list[Relation]:
    with Spool() as spool:
        spool.relate(related)
        spool.fill([(files, names)], [])
        return spool.pairs(SAME_NAME)


def said(content: str, form: str, numbers: range = range(50), kind: str = TABLE) -> Said:
    return Said(content, kind, form, *sketched(f"{n * 7919 % 99991:012x}" for n in numbers))


def test_contents_that_say_the_same_are_near_the_one_met_first() -> None:
    files = [
        *held("b", "csv", since=2),
        *held("a", "xlsx", since=1),
        *held("c", "csv", since=3),
        *held("d", "gz", since=9),
    ]
    found = by_form(files, [said("csv", "x"), said("xlsx", "x"), said("gz", "x")])
    assert found == [Relation(NEAR, "b", "a", "x", 1.0), Relation(NEAR, "d", "a", "x", 1.0)]


def test_contents_that_say_almost_the_same_are_near() -> None:
    files = [*held("a", "1"), *held("b", "2", since=1), *held("c", "3", since=2)]
    one, other, third = said("1", "x"), said("2", "y", range(5, 50)), said("3", "z", range(40, 90))
    assert by_form(files, [one, other, third]) == [Relation(NEAR, "b", "a", "", 0.9)]


def test_what_says_little_is_near_to_nothing() -> None:
    files = [*held("a", "1"), *held("b", "2", since=1)]
    assert by_form(files, [said("1", "x", range(1)), said("2", "x", range(1))]) == []
    assert by_form(files, [said("1", "x", range(10)), said("2", "y", range(10))]) == []
    assert by_form(files, [Said("1", "none", "", 0, ""), Said("2", "none", "", 0, "")]) == []
    tiny = [*held("a", "1", size=63), *held("b", "2", size=63)]
    assert by_form(tiny, [Said("1", BYTES, "x", 0, ""), Said("2", BYTES, "x", 0, "")]) == []


def test_forms_of_different_kinds_are_not_compared() -> None:
    files = [*held("a", "1"), *held("b", "2", since=1)]
    assert by_form(files, [said("1", "x"), said("2", "y", range(1, 50), kind="text")]) == []


def test_files_of_one_name_and_different_contents() -> None:
    files = [*held("a", "1"), *held("b", "2", since=1), *held("c", "1", since=2)]
    names = {"a": "Plate 7.csv", "b": "plate 7.CSV", "c": "other.csv"}
    assert by_name(files, names, []) == [Relation(SAME_NAME, "b", "a", "", 0.0)]
    assert by_name(files, names, [Relation(NEAR, "a", "b", "", 0.9)]) == []
    assert by_name([*held("a", "1"), *held("b", "1")], {"a": "plate.csv", "b": "plate.csv"}, []) == []


def test_names_that_say_nothing_and_names_of_many_files_do_not_count() -> None:
    files = [*held("a", "1"), *held("b", "2", since=1)]
    for name in ("data.csv", "README.md", "Results (2).xlsx", "run_03.csv", "a.csv", "", "__init__.py"):
        assert by_name(files, {"a": name, "b": name}, []) == [], name
    many = [version for n in range(MOST_NAMESAKES + 1) for version in held(f"{n}", f"{n}")]
    assert by_name(many, {version.file_id: "plate 7.csv" for version in many}, []) == []
