"""Words of names, and how well they fit a question."""

from __future__ import annotations

import math
from datetime import date

import pytest

from populate.who.asks import answer_rate
from populate.who.link import is_link, last_part
from populate.who.whom import day, printable
from populate.who.words import bm25, words


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ITX_47213 flowData.csv", ["itx", "47213", "flow", "data", "csv"]),
        ("Leuka\N{COMBINING DIAERESIS}mie-2026(v2)", ["leukämie", "2026", "v", "2"]),
        ("__/..", []),
    ],
)
def test_words_of_names(name: str, expected: list[str]) -> None:
    assert words(name) == expected


def test_the_textbook_formula() -> None:
    documents = {"a": ["flow", "plate"], "b": ["flow", "flow", "x", "y"], "c": ["other"]}
    found = bm25(["flow", "plate"], documents, total=10)
    assert set(found) == {"a", "b"}
    # By hand: k1 = 1.2, b = 0.75, mean length of the fitting = 3; flow is in 2 of 10, plate in 1 of 10.
    flow, plate = math.log(1 + 8.5 / 2.5), math.log(1 + 9.5 / 1.5)
    short, long = 1.2 * (0.25 + 0.75 * 2 / 3), 1.2 * (0.25 + 0.75 * 4 / 3)
    assert found["a"] == pytest.approx(flow * 2.2 / (1 + short) + plate * 2.2 / (1 + short), rel=1e-12)
    assert found["b"] == pytest.approx(flow * 2 * 2.2 / (2 + long), rel=1e-12)


def test_rare_words_and_beginnings_count() -> None:
    documents = {n: ["csv", "cytometry"] if n == 0 else ["csv"] for n in range(50)}
    found = bm25(["cyto", "csv"], documents, total=50)
    assert max(found, key=lambda key: found[key]) == 0
    assert bm25(["cyt"], documents, total=50) == {}  # too short to stand for longer words
    assert bm25([], documents, total=50) == bm25(["nothing"], documents, total=50) == {}


def test_nobody_is_judged_by_one_silence() -> None:
    assert answer_rate(0, 0) == 0.5
    assert answer_rate(0, 1) == pytest.approx(1 / 3)
    assert answer_rate(9, 10) == pytest.approx(10 / 12)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("https://data.example.org/a/lung%20trial.csv?x=1", "lung trial"),
        ("/shares/maria/lung.csv", "lung"),
        ("s3://bucket/a/lung.csv", "lung"),
    ],
)
def test_links_and_what_they_end_with(question: str, expected: str) -> None:
    assert is_link(question)
    assert last_part(question) == expected


def test_words_are_no_link() -> None:
    assert not is_link("flow cytometry ITX_47213")
    assert not is_link("lung.csv")
    assert not is_link("x" * 5000)
    assert not is_link("a\0b")


def test_what_people_read() -> None:
    assert day(date(2026, 11, 2)) == "2 Nov 2026"
    assert printable("a\x1b[2Jb\u202ec") == "a\N{REPLACEMENT CHARACTER}[2Jb\N{REPLACEMENT CHARACTER}c"
