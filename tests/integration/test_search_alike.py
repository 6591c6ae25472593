"""That the index on the server answers as Tantivy does, in every digit, in random worlds; and trims as it does."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
import search_worlds as worlds
from hypothesis import given, settings
from hypothesis import strategies as st
from search_worlds import ASKED, TERMS, TEXTS, TODAY, answers, askers, facts, read_files

from data_platform.settings import SearchSettings
from populate.search import server, server_questions
from populate.search.closest import closest_of_many
from populate.search.engine import Engine
from populate.search.finding import Found, Request, completions, find
from populate.search.index import Index
from populate.search.question import SAMPLE, Sought, required
from populate.search.server import MOST_BYTES, ServerIndex, _that_fit
from populate.search.server_scoring import ServerScoring
from populate.search.server_sql import bits
from populate.search.server_tables import deploy_index
from populate.search.text import is_near
from populate.search.vectors import Near
from populate.search.views import Document, Facts, document, terms_of
from populate.who.asker import FOREVER
from schemas.binding import Binding

pytestmark = pytest.mark.parametrize("backend", ["postgresql"])
LETTERS = "aeäst"

Filled = Callable[[Iterable[Facts]], ServerIndex]


@pytest.fixture
def filled(binding: Binding, monkeypatch: pytest.MonkeyPatch) -> Filled:
    """Return what fills the index on the server with some files."""
    chosen = binding.settings.model_copy(update={"search": SearchSettings(engine="postgresql")})
    monkeypatch.setattr(binding, "settings", chosen)
    deploy_index(binding)
    index = ServerIndex(binding)

    def fill(some: Iterable[Facts]) -> ServerIndex:
        index.clear()
        index.put([document(file) for file in some])
        return index

    return fill


def on_this_machine(some: Iterable[Facts]) -> Index:
    index = Index()
    index.put([document(file) for file in some])
    return index


def test_both_engines_answer_alike_in_random_worlds(filled: Filled) -> None:
    @given(
        worlds.worlds,
        worlds.worlds,
        st.lists(askers, min_size=1, max_size=3),
        st.sampled_from(["known", "open"]),
        st.lists(st.sampled_from(TEXTS), min_size=3, max_size=3),
    )
    @settings(max_examples=60)
    def answer_alike(before: list[Any], world: list[Any], who: list[Any], default: str, texts: list[str]) -> None:
        here, there = on_this_machine([]), filled([])
        for engine in (here, there):  # what is said of a file takes the place of what was said
            engine.put([document(facts(number, file)) for number, file in enumerate(before)])
            engine.put([document(facts(number, file)) for number, file in enumerate(world)])
        for one in who:
            terms = terms_of(*one, default)
            assert answers(there, terms, texts) == answers(here, terms, texts)
        ids = [facts(number, world[0]).file_id for number in range(9)]
        assert there.digests(ids) == here.digests(ids)
        assert there.views == here.views

    answer_alike()


def test_what_may_not_be_known_takes_no_part(filled: Filled) -> None:
    @given(
        worlds.worlds,
        askers,
        st.sampled_from(["known", "open"]),
        st.lists(st.sampled_from(TEXTS), min_size=2, max_size=2),
    )
    @settings(max_examples=40)
    def takes_no_part(world: list[Any], who: Any, default: str, texts: list[str]) -> None:
        worlds.see_that_what_may_not_be_known_takes_no_part(filled, world, terms_of(*who, default), texts)

    takes_no_part()


def test_which_of_very_many_are_looked_at_does_not_depend_on_the_others(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    worlds.see_that_which_of_very_many_are_looked_at_does_not_depend_on_the_others(filled, monkeypatch)


def test_the_more_files_fit_the_sparser_the_sample_that_counts_them(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    worlds.see_that_the_more_files_fit_the_sparser_the_sample_that_counts_them(filled, monkeypatch)


class _Nearest:
    """Stands for what tells meanings: it needs a model, and engines do not know of it."""

    least = 0.5

    def __init__(self, files: list[str]) -> None:
        self._files = files

    def near(self, text: str, terms: Any, facets: Any) -> list[Near]:
        return [Near(file_id, 0.9 - place / 100) for place, file_id in enumerate(self._files)]

    def fit(self, similarity: float) -> float:
        return similarity


def word(chance: random.Random) -> str:
    return "".join(chance.choice(LETTERS) for _ in range(chance.randrange(3, 10)))


def many_files(chance: random.Random) -> list[Facts]:
    """Return hundreds of files with names of words that look much alike; half of them may be known to account 1."""
    words = [word(chance) for _ in range(60)]
    found = []
    for number in range(400):
        name, folder = " ".join(chance.sample(words, 3)), chance.choice(words)
        audience = {TERMS[number % 2]: (chance.choice([FOREVER, date(2026, 5, 20)]), "")}
        found.append(
            facts(number, ([(name, folder), (folder, name)], audience, chance.choice(["", "open"]), number % 8))
        )
    return found


def questions(chance: random.Random, files: list[Facts]) -> list[str]:
    """Return words of files, some mistyped or broken off, some with an end that says that they are whole."""
    found = ["", "lung"]
    for _ in range(25):
        words = chance.choice(files).names[0].name.removesuffix(".csv").split()
        some = chance.sample(words, chance.randrange(1, 4)) + chance.sample(words, chance.randrange(2))
        place = chance.randrange(len(some))
        broken = some[place]
        at = chance.randrange(len(broken))
        some[place] = chance.choice(
            [broken, broken[:at] + broken[at + 1 :], broken[:at] + "q" + broken[at:], broken[:3]]
        )
        found.append(" ".join(some) + chance.choice(["", " "]))
    return found


@pytest.mark.parametrize("seed", range(4))
def test_both_engines_answer_alike_where_very_many_fit(
    filled: Filled, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr("populate.search.question.CLOSE", (20, 60))
    monkeypatch.setattr("populate.search.finding.MANY", 50)
    worlds.see_that_few_are_scored(monkeypatch, 25)
    monkeypatch.setattr("populate.search.question.ENOUGH", 4)
    chance = random.Random(seed)
    files = many_files(chance)
    here, there = on_this_machine(files), filled(files)
    terms = terms_of("1", "", "open")

    def asked(engine: Engine, text: str, meaning: Any, facets: dict[str, list[str]]) -> Found:
        return find(engine, terms, Request(text, facets, chance_of[text], {"Clinic": 9}, TODAY), meaning)

    texts = questions(chance, files)
    chance_of = {text: chance.choice([5, 10, 25]) for text in texts}
    meanings = [None, _Nearest([file.file_id for file in chance.sample(files, 7)])]
    estimated = mistyped = 0
    for text in texts:
        for meaning in meanings:
            for facets in ({}, {"kind": ["csv", "xlsx"], "month": ["2026-06"]}):
                one, other = (asked(engine, text, meaning, facets) for engine in (here, there))
                assert one == other
                estimated += one.estimated
                mistyped += bool(one.suggestion)
        assert completions(here, terms, text[:4], 5) == completions(there, terms, text[:4], 5)
    assert estimated
    assert mistyped


@pytest.mark.parametrize("seed", range(1, 5))
def test_the_best_are_the_same_as_if_all_had_been_scored(
    filled: Filled, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    # Of so few files all, or one of sixteen, tell how many have which prior.
    monkeypatch.setattr(server_questions, "SPARSE", SAMPLE if seed % 2 else 1)
    index, met = filled(read_files(seed, 400)), 0
    with index.asking(terms_of("1", "", "known")) as ask:
        for text in ASKED:
            words = ask.words(text)
            for least in {1, required(words)}:
                sought = Sought(words, least)
                expected = ask.scored(sought, 1000)
                for most in (1, 3, 10):
                    found = closest_of_many(ServerScoring(ask, sought), words, least, len(expected), most)
                    assert [score for score, _ in found] == [score for score, _ in expected[:most]]
                    met += len(expected) > 2 * most
    assert met > len(ASKED)  # of which not all are wanted


def test_words_that_look_alike_are_found_by_their_letters(filled: Filled) -> None:
    chance = random.Random(3)
    words = [word(chance) for _ in range(600)]
    near = [
        (one, other, most) for one in words[:200] for other in words for most in (1, 2) if is_near(one, other, most)
    ]
    assert len(near) > 500
    assert all((bits(one) ^ bits(other)).bit_count() <= 2 * most for one, other, most in near)


def with_words(number: int, term: str, words: Iterable[str]) -> Document:
    """Return a file called plate that whoever has a term may know, with some words more than it is described with."""
    one = document(facts(number, ([("plate", "flow")], {term: (FOREVER, "")}, "", 0)))
    (view,) = one.views
    return replace(one, views=(replace(view, plain=(*view.plain, *words)),))


def test_what_may_not_be_known_does_not_refuse_a_mistyped_word(filled: Filled, monkeypatch: pytest.MonkeyPatch) -> None:
    index, terms, request = filled([]), terms_of("1", "", "known"), Request("abcdefghij", {}, 20, {}, TODAY)
    index.put([with_words(1, TERMS[0], ["abcdefghix", "abcdefgxij"])])
    alone = find(index, terms, request)
    assert alone.total == 1
    # More than the server takes at once: what it refuses it would say.
    hidden = [f"abcdefgh{chr(0x4E00 + n // 200)}{chr(0x4E00 + n % 200)}" for n in range(30_000)]
    index.put([with_words(2, TERMS[1], hidden)])
    assert find(index, terms, request) == alone

    # Of too many that may be known the first count, whatever others there are.
    monkeypatch.setattr(server_questions, "MOST_ALIKE", 1)
    index = filled([])
    for number, word in enumerate(["aacdefghij", "abcdefgxij", "abcdefghix"]):
        index.put([with_words(number, TERMS[not number], [word])])
    assert [one.file_id for one in find(index, terms, request).candidates] == [f"{2:032x}"]


def test_of_files_with_very_many_words_fewer_are_written_together(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "WORDS_TOGETHER", 100)
    index, lasting = filled([]), list[str]()
    few, many = ([f"{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(count)] for count in (1, 60))
    files = [with_words(number, TERMS[0], few if number < 5 else many) for number in range(10)]
    assert index.put(files, lasting.append) == 10
    assert lasting == [files[number].file_id for number in (5, 7, 9)]
    assert find(index, terms_of("1", "", "known"), Request("plate", {}, 20, {}, TODAY)).total == 10


def test_a_view_with_more_words_than_the_server_takes_is_found_by_the_first(filled: Filled) -> None:
    words = [f"{chr(0x4E00 + n // 100)}{chr(0x4E00 + n % 100)}" * 30 for n in range(8000)]
    assert 0 < len(_that_fit(words)) < len(words)
    assert sum(len(one.encode()) for one in _that_fit(words)) <= MOST_BYTES
    index = filled([])
    index.put([with_words(1, TERMS[0], words)])
    terms = terms_of("1", "", "known")
    assert find(index, terms, Request("plate", {}, 20, {}, TODAY)).total == 1
    assert find(index, terms, Request(words[0], {}, 20, {}, TODAY)).total == 1
