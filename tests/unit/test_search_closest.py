"""That few of very many views need to be scored to know the best."""

from __future__ import annotations

import random
from datetime import date, timedelta

import pytest

from populate.search.closest import closest, closest_of_many
from populate.search.index import Index
from populate.search.index_questions import IndexQuestions
from populate.search.question import required
from populate.search.views import Facts, Name, account_term, document, terms_of
from populate.who.asker import FOREVER
from schemas.identity import identity

DAY = date(2026, 5, 1)
WORDS = ("plate", "plates", "platelets", "plateset", "flow", "lung", "trial", "studies", "study", "csv")
TEXTS = (
    "plate",
    "plate flow",
    "plates lung",
    "plates ",
    "plates csv plate",
    "studies csv",
    "studi csv ",
    "platte flow",
    "lung trial plate",
    "",
    "lun",
)
TERMS = terms_of("1", "", "known")


def index_of(seed: int, files: int) -> Index:
    chance, index = random.Random(seed), Index()
    for start in range(0, files, files // 3):  # in three pieces
        index.put(document(some_file(chance, seed, n)) for n in range(start, start + files // 3))
    return index


def some_file(chance: random.Random, seed: int, number: int) -> Facts:
    one, two, three = (chance.choice(WORDS) for _ in range(3))
    readers = {"Clinic": chance.randrange(1, 200)} if chance.random() < seed / 4 else {}
    return Facts(
        identity("file", str(number)),
        "nfs/filer",
        (Name(DAY, f"{one} {two}.csv", f"/{three}/{one} {two}.csv"),),
        audience={account_term(chance.choice("12")): (FOREVER, "")},
        owner_id="c" * 32,
        owner="Carol",
        department="Clinic",
        readers=readers,
        last_read=DAY - timedelta(days=chance.randrange(3000)) if readers else None,
    )


@pytest.mark.parametrize("seed", range(5))
def test_the_best_are_the_same_as_if_all_had_been_scored(seed: int) -> None:
    index = index_of(seed, 600)
    ask = IndexQuestions(index.schema, index.searcher(), TERMS)
    met = 0
    for text in TEXTS:
        words = ask.words(text)
        for least in {1, required(words)}:
            query = ask.shown([ask.all_of(words, least)])
            for most in (1, 10, 50):
                expected, total = closest(ask, query, most)
                found = closest_of_many(ask, words, least, [], total=total, most=most)
                assert [score for score, _ in found] == [score for score, _ in expected]
                met += total > 2 * most
    assert met > len(TEXTS)  # of which not all are wanted


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
