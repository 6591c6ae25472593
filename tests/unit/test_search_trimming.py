"""That a file which an asker may not know changes nothing that a search answers, in random worlds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
import search_worlds as worlds
from hypothesis import given, settings
from hypothesis import strategies as st
from search_worlds import TERMS, TEXTS, TODAY, WORDS, answers, askers, facts, files

from populate.search.finding import Request, find
from populate.search.index import Index
from populate.search.labels import Run
from populate.search.views import Facts, account_term, document, terms_of
from populate.who.asker import FOREVER


def index_of(some: Iterable[Facts]) -> Index:
    index = Index()
    index.put([document(file) for file in some])
    return index


@given(
    worlds.worlds, askers, st.sampled_from(["known", "open"]), st.lists(st.sampled_from(TEXTS), min_size=2, max_size=2)
)
@settings(max_examples=60)
def test_what_may_not_be_known_takes_no_part(world: list[Any], who: Any, default: str, texts: list[str]) -> None:
    worlds.see_that_what_may_not_be_known_takes_no_part(index_of, world, terms_of(*who, default), texts)


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
    worlds.see_that_which_of_very_many_are_looked_at_does_not_depend_on_the_others(index_of, monkeypatch)


def test_the_more_files_fit_the_sparser_the_sample_that_counts_them(monkeypatch: pytest.MonkeyPatch) -> None:
    worlds.see_that_the_more_files_fit_the_sparser_the_sample_that_counts_them(index_of, monkeypatch)
