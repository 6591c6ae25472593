"""That few of very many views need to be scored to know the best."""

from __future__ import annotations

from dataclasses import replace
from operator import itemgetter

import pytest
from search_worlds import ASKED, read_files

from populate.search.closest import closest_of_many
from populate.search.index import Index
from populate.search.index_questions import IndexQuestions
from populate.search.index_scoring import IndexScoring, best
from populate.search.question import STEP, Sought, required, worth
from populate.search.views import document, terms_of

TERMS = terms_of("1", "", "known")


def index_of(seed: int, files: int) -> Index:
    index, some = Index(), [document(one) for one in read_files(seed, files)]
    for start in range(0, files, files // 3):  # in three pieces
        index.put(some[start : start + files // 3])
    return index


@pytest.mark.parametrize("seed", range(5))
def test_the_best_are_the_same_as_if_all_had_been_scored(seed: int) -> None:
    index = index_of(seed, 600)
    ask = IndexQuestions(index.schema, index.searcher(), TERMS)
    met = 0
    for text in ASKED:
        words = ask.words(text)
        for least in {1, required(words)}:
            query = ask.shown([ask.all_of(words, least)])
            for most in (1, 3, 10):
                total = ask.count(query)
                expected = best(ask.searcher, query, most)
                found = closest_of_many(IndexScoring(ask, []), words, least, total, most)
                assert [score for score, _ in found] == [score for score, _ in expected]
                met += total > 2 * most
    assert met > len(ASKED)  # of which not all are wanted


def test_words_that_all_files_have_count_next_to_nothing_beside_rare_ones() -> None:
    rare = [replace(one, names=(replace(one.names[0], name="gattaca sequence.csv"),)) for one in read_files(4, 3)]
    index = index_of(4, 3000)
    index.put(map(document, rare))
    ask = IndexQuestions(index.schema, index.searcher(), terms_of("12", "", "known"))
    words = ask.words("nfs csv gattaca sequence ")
    expected = best(ask.searcher, ask.shown([ask.all_of(words, 2)]), 3)
    assert expected[-1][0] > 1024 * sum(sorted(worth(word)[0] for word in words)[:2]) / STEP  # no number is 2**1024
    found = closest_of_many(IndexScoring(ask, []), words, 2, 3000, 3)
    assert [score for score, _ in found] == [score for score, _ in expected]


def test_what_is_found_does_not_depend_on_how_many_are_said_to_fit() -> None:
    index = index_of(2, 300)
    ask = IndexQuestions(index.schema, index.searcher(), TERMS)
    sought = Sought(ask.words("plate"), 1)
    (fit,) = ask.counts([sought])
    for most in (1, 10, fit - 1, fit, fit + 1):
        one, other = (ask.closest(sought, most, about) for about in (0, 10**6))
        assert sorted(one, key=itemgetter(0)) == sorted(other, key=itemgetter(0))
        assert (len(one) == fit) == (most >= fit)


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("plate plates ", ["plates"]),
        ("plates lung plate", ["lung", "plate"]),
        ("study studies flow ", ["studies", "flow"]),
        ("plates lung ", ["plates", "lung"]),
    ],
)
def test_of_two_forms_of_a_word_the_last_is_asked_for(text: str, asked: list[str]) -> None:
    index = index_of(1, 60)
    ask = IndexQuestions(index.schema, index.searcher(), TERMS)
    words = ask.words(text)
    assert [word.plain for word in words] == asked
    assert ask.weight(text, words) == pytest.approx(sum(word.rarity for word in words))  # none is missing
