"""That a file which an asker may not know changes nothing that a search answers, in random worlds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from populate.search.index import SAMPLE, Index, in_sample
from populate.search.labels import Run
from populate.search.searching import Request, completions, find
from populate.search.views import Facts, Name, account_term, document, group_term, terms_of
from populate.who.asker import FOREVER

TODAY = date(2026, 6, 1)
DAYS = [date(2026, 5, 1) + timedelta(days=n) for n in range(0, 30, 10)]
WORDS = ("plate", "plates", "flow", "lung", "trial", "layoffs", "itx 47213", "csv")
TERMS = (*map(account_term, "123"), *map(group_term, "12"))
TEXTS = (
    "plate",
    "flow lung",
    "layofs",
    "trail plate",
    "itx",
    "lay",
    "carol",
    "nothing",
    "",
    "a flow of plates in lungs",
)

names = st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(WORDS)), min_size=1, max_size=3)
audiences = st.dictionaries(
    st.sampled_from(TERMS),
    st.tuples(st.sampled_from([date(2026, 4, 1), *DAYS, FOREVER]), st.sampled_from(["", "x", "y"])),
    max_size=4,
)
files = st.tuples(names, audiences, st.sampled_from(["", "", "open", "default"]), st.integers(0, 9))
worlds = st.lists(files, min_size=1, max_size=7)
askers = st.tuples(st.lists(st.sampled_from("1234"), max_size=2), st.lists(st.sampled_from("12"), max_size=2))


def facts(number: int, file: Any) -> Facts:
    called, audience, choice, readers = file
    return Facts(
        f"{number:032x}",
        "nfs/filer",
        tuple(Name(day, f"{one}.csv", f"/{two}/{one}.csv") for day, (one, two) in zip(DAYS, called, strict=False)),
        audience=audience,
        content="x",
        choice=choice,
        owner_id="c" * 32,
        owner="Carol",
        department="Clinic",
        readers={"Clinic": readers} if readers else {},
        last_read=TODAY if readers else None,
        labels=(("tag", "lungs"),) if number % 2 else (),
        contents={"x": (("column", "dose"),), "y": (("column", "layoffs"),)},
    )


def index_of(some: Iterable[Facts]) -> Index:
    index = Index()
    index.put([document(file) for file in some])
    return index


def answers(index: Index, terms: tuple[str, ...], texts: Iterable[str]) -> list[Any]:
    found: list[Any] = []
    for text in texts:
        found.append(completions(index, terms, text[:3], 8))
        for facets in ({}, {"kind": ["csv"], "department": ["Clinic"]}):
            one = find(index, terms, Request(text, facets, 20, {"Clinic": 9}, TODAY))
            found.append((one.total, one.facets, one.suggestion, one.words, one.candidates))
    return found


def known_as(file: Facts, terms: tuple[str, ...]) -> tuple[str, bool] | None:
    """Return the name that the asker knows a file by and whether only that it is there, by the rule of `who`."""
    untils = [until for term, (until, _) in file.audience.items() if term in terms]
    if found := file.choice == "open" or (file.choice == "default" and "default" in terms):
        untils.append(FOREVER)
    called = [name.name for name in file.names if untils and name.since <= max(untils)]
    return (called[-1], found and len(untils) == 1) if called else None


@given(worlds, askers, st.sampled_from(["known", "open"]), st.lists(st.sampled_from(TEXTS), min_size=2, max_size=2))
@settings(max_examples=60)
def test_what_may_not_be_known_takes_no_part(world: list[Any], who: Any, default: str, texts: list[str]) -> None:
    terms = terms_of(*who, default)
    everything = [facts(number, file) for number, file in enumerate(world)]
    known = {file.file_id: name for file in everything if (name := known_as(file, terms))}
    whole = index_of(everything)
    found = find(whole, terms, Request("", {}, 20, {}, TODAY))
    shown = {one.file_id: (one.about["name"], one.about["limited"]) for one in found.candidates}
    assert shown == known
    assert found.total == len(found.candidates) == len(known)  # none twice
    assert not any(one.about["path"] or one.about["readers"] for one in found.candidates if one.about["limited"])
    trimmed = index_of(file for file in everything if file.file_id in known)
    assert answers(whole, terms, texts) == answers(trimmed, terms, texts)


runs = st.lists(st.tuples(st.sampled_from("123"), st.sampled_from(["", "one", "two"]), st.booleans()), max_size=6)


@given(files, runs, st.lists(st.sampled_from(TERMS[:3]), max_size=2), askers)
@settings(max_examples=30)
def test_runs_that_may_not_be_known_take_no_part(file: Any, ran: list[Any], owning: list[str], who: Any) -> None:
    terms = terms_of(*who, "known")
    one = replace(facts(1, file), owning=frozenset(owning))
    one = replace(one, audience={**one.audience, **dict.fromkeys(owning, (FOREVER, ""))})
    whole = tuple(
        Run(account, repository, is_open, datetime(2026, 5, 1 + n), (f"{WORDS[n]} curves",))
        for n, (account, repository, is_open) in enumerate(ran)
    )
    own = {run for run in whole if account_term(run.account) in terms}
    shared = {run.repository for run in own} - {""}
    told = tuple(
        run for run in whole if run in own or run.is_open or run.repository in shared or set(owning) & set(terms)
    )
    with_all, with_told = (index_of([replace(one, runs=of)]) for of in (whole, told))
    texts = [*WORDS[:6], "curves"]
    assert answers(with_all, terms, texts) == answers(with_told, terms, texts)


def test_each_finds_a_file_by_the_runs_that_they_may_know() -> None:
    audience = {account_term(who): (FOREVER, "") for who in "1234"}
    ran = [
        ("1", "lab", False, "kaplan"),
        ("2", "lab", False, "meier"),
        ("3", "", False, "weibull"),
        ("3", "", True, "cox"),
    ]
    of = tuple(Run(who, at, is_open, datetime(2026, 5, 1), (text,)) for who, at, is_open, text in ran)
    file = replace(facts(0, ([("plate", "flow")], audience, "", 0)), owning=frozenset([account_term("4")]), runs=of)
    index = index_of([file])
    found = {
        who: [
            text
            for *_, text in ran
            if find(index, terms_of([who], [], "known"), Request(text, {}, 20, {}, TODAY)).total
        ]
        for who in "1234"
    }
    everything = ["kaplan", "meier", "weibull", "cox"]
    assert found == {
        "1": ["kaplan", "meier", "cox"],
        "2": ["kaplan", "meier", "cox"],
        "3": ["weibull", "cox"],
        "4": everything,
    }


def test_a_file_is_the_same_whichever_of_the_runs_that_read_it_was_the_last() -> None:
    file = facts(0, ([("plate", "flow")], {account_term("1"): (FOREVER, "")}, "", 0))
    texts = ["kaplan", "meier", "weibull"]
    told = {
        document(
            replace(
                file,
                owning=frozenset([account_term("1")]),
                runs=tuple(Run("2", "", False, datetime(2026, 5, 9 - n), (text,)) for n, text in enumerate(order)),
            )
        ).digest
        for order in (texts, texts[::-1])
    }
    assert len(told) == 1


def test_which_of_very_many_are_looked_at_does_not_depend_on_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("populate.search.closest.CLOSE", (20,))
    monkeypatch.setattr("populate.search.searching.MANY", 10)
    monkeypatch.setattr("populate.search.question.ENOUGH", 5)
    mine, others = ({account_term(who): (FOREVER, "")} for who in "12")
    seen = [facts(n, ([(f"plate {n % 7}", "flow")], mine, "", n % 3)) for n in range(150)]
    hidden = [facts(1000 + n, ([("plate", "lung")], others, "", 9)) for n in range(100)]
    alone, among = index_of(seen), Index()
    for start in range(10):  # lies in other places, in pieces
        among.put([document(file) for file in (*hidden[start::10], *reversed(seen[start::10]))])
    request = Request("plate 3", {}, 10, {}, TODAY)
    one, other = (find(index, terms_of("1", "", "known"), request) for index in (alone, among))
    sampled = sum(in_sample(file.file_id, SAMPLE) and file.names[0].name == "plate 3.csv" for file in seen)
    assert one.total == other.total == SAMPLE * sampled != 0
    assert one.facets["kind"] == other.facets["kind"] == [("csv", SAMPLE * sampled)]
    assert one.estimated
    assert not find(alone, terms_of("1", "", "known"), request._replace(text="nothing")).estimated
    assert one.words == other.words
    assert [x.file_id for x in one.candidates] == [x.file_id for x in other.candidates] != []
