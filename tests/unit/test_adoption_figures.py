"""Counts of adoption, and what must not be shown of them."""

from __future__ import annotations

import random
from itertools import combinations

import pytest
from scipy.stats import binom

from populate.adoption.publish import OF_READERS, OTHERS, folded, shown_organisation
from populate.adoption.rows import Read, by_department, by_source, coverage_of, interval, totals

READS = [
    Read("amy", "A", "bob", "B", "nfs:x", "file", 3),
    Read("amy", "A", "ann", "A", "nfs:x", "file", 2),
    Read("amy", "A", "amy", "A", "s3:y", "s3", 7),
    Read("bob", "B", "amy", "A", "s3:y", "s3", 1),
    Read("bob", "B", "", "", "s3:y", "s3", 1),
    Read("new", "", "amy", "A", "s3:y", "s3", 1),
    Read("robot", "", "bob", "B", "s3:y", "s3", 100),
]


def test_counts_by_hand() -> None:
    assert totals(READS, {"robot"}) == {
        "reader_count": 3,
        "producer_count": 3,  # bob, ann and amy
        "read_count": 15,
        "service_read_count": 100,
        "foreign_read_count": 6,
        "cross_read_count": 4,
    }
    none, a, b = by_department(READS, {"A": {"amy", "ann"}, "B": {"bob"}}, {"robot"})
    assert a == {"department": "A", "people": 2, "readers": 1, "producers": 2, "read_count": 12,
                 "cross_received": 3, "cross_given": 1}  # fmt: skip
    assert b == {"department": "B", "people": 1, "readers": 1, "producers": 1, "read_count": 2,
                 "cross_received": 1, "cross_given": 3}  # fmt: skip
    assert none == {"department": "", "people": 0, "readers": 1, "producers": 0, "read_count": 1,
                    "cross_received": 0, "cross_given": 0}  # fmt: skip
    assert by_source(READS, {"robot"}) == [
        {"source_system": "nfs:x", "source_kind": "file", "readers": 1, "read_count": 5},
        {"source_system": "s3:y", "source_kind": "s3", "readers": 3, "read_count": 10},
    ]


def test_no_log_is_no_coverage() -> None:
    assert coverage_of([]) == {"audit_read_count": None, "captured_read_count": None}
    assert coverage_of([True, False, True]) == {"audit_read_count": 3, "captured_read_count": 2}


@pytest.mark.parametrize("n", [0, 1, 5, 6, 7, 12, 100, 301, 1024, 5000])
def test_the_interval_of_a_median_assumes_nothing(n: int) -> None:
    answers = [float(value) for value in range(n)]
    random.Random(n).shuffle(answers)
    found = interval(answers)
    assert found["survey_count"] == n
    assert found["hours_saved"] == ((n - 1) / 2 if n else None)
    if n < 6:
        assert found["hours_saved_low"] is found["hours_saved_high"] is None
        return
    low, high = int(found["hours_saved_low"]), int(found["hours_saved_high"])
    assert high == n - 1 - low
    # The median of the population lies between them unless too many answers are on one side.
    assert 2 * binom.cdf(low, n, 0.5) <= 0.05 < 2 * binom.cdf(low + 1, n, 0.5)


def source(name: str, readers: int, reads: int = 10) -> dict[str, object]:
    return {"source_system": name, "source_kind": "file", "readers": readers, "read_count": reads}


def test_sources_of_few_readers_are_shown_together_with_one_of_many() -> None:
    found = folded([source("one's own disk", 1, 99), source("share", 40, 500), source("wiki", 6, 7)])
    assert [(row["source_system"], row["readers"], row["read_count"]) for row in found] == [
        ("share", 40, 500),
        (OTHERS, None, 106),
    ]
    assert folded([source("share", 40), source("wiki", 6)]) == [source("share", 40), source("wiki", 6)]
    assert folded([source("a", 1), source("b", 4)]) == []
    for sizes in combinations([1, 3, 5, 8, 30], 3):
        shown = folded([source(str(size), size) for size in sizes])
        assert all(row["readers"] is None or row["readers"] >= 5 for row in shown)
        assert sum(row["source_system"] == OTHERS for row in shown) == (min(sizes) < 5)


def test_few_readers_and_few_answers_are_not_shown() -> None:
    row = dict.fromkeys((*OF_READERS, "bytes_logical", "bytes_distinct"), 10) | interval([1.0] * 6)
    shown = shown_organisation(row | {"bytes_distinct": 4, "captured_read_count": 5})
    assert (shown["coverage"], shown["cross_share"], shown["bytes_duplicate"]) == (0.5, 1.0, 6)
    assert shown["hours_saved"] == 1.0
    few = shown_organisation(row | {"reader_count": 4} | interval([1.0] * 4))
    assert {few[name] for name in (*OF_READERS, "coverage", "cross_share", "hours_saved", "survey_count")} == {None}
    assert shown_organisation(row | {"audit_read_count": None, "captured_read_count": None})["coverage"] is None
