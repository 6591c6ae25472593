"""What is kept of what files mean, and that what an asker may not know takes no part in what is found by it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_model import write_model

from populate.search import vectors
from populate.search.encoder import Encoder
from populate.search.finding import Found, Request, find
from populate.search.index import Index
from populate.search.meaning import Meaning
from populate.search.vectors import Meanings
from populate.search.views import Document, Facts, Name, account_term, document, group_term, terms_of
from populate.who.asker import FOREVER

TODAY = date(2026, 6, 1)
WORDS = ("tumour", "neoplasm", "mouse", "murine", "budget", "plan")
ME = account_term("1")
MINE = terms_of("1", "", "known")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return Encoder(write_model(tmp_path_factory.mktemp("model"), [WORDS[:2], WORDS[2:4], ["budget"], ["plan"]]))


@pytest.fixture(params=["together", "apart"])
def together(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs a test with all in the part that was written last, and with most in the other one."""
    if request.param == "apart":
        monkeypatch.setattr(vectors, "FEW", 1)


def file(number: int, name: str, terms: Iterable[str] = (ME,), choice: str = "", kind: str = "csv") -> Document:
    audience = dict.fromkeys(terms, (FOREVER, ""))
    called = (Name(TODAY, f"{name}.{kind}", f"/lab/{name}.{kind}"),)
    return document(Facts(f"{number:032x}", "nfs", called, audience, choice=choice))


def near(held: Meanings, text: str, least: float = 0.9, **facets: list[str]) -> list[int]:
    return [int(one.file_id, 16) for one in held.near(text, MINE, facets, least)]


@pytest.mark.usefixtures("together")
def test_what_was_said_last_of_a_file_holds(tmp_path: Path, encoder: Encoder) -> None:
    held = Meanings(tmp_path, encoder)
    done: list[str] = []
    count = held.put(
        (file(n, name) for n, name in enumerate(["tumour mouse", "budget plan", "tumour mouse"])), done.append
    )
    assert (count, held.views, done) == (3, 3, [f"{2:032x}"])
    assert near(held, "lab neoplasm murine") == near(held, "lab tumour mouse") == [0, 2]
    assert near(held, "lab neoplasm murine", kind=["txt"]) == []
    changed, hidden, gone = file(0, "budget plan", kind="txt"), file(2, "tumour mouse", ["a2"]), file(7, "plan", ())
    held.put([changed])
    held.put([hidden, gone])
    other = Meanings(tmp_path, encoder)  # another process
    for one in (held, other):
        assert one.views == 3
        assert near(one, "lab neoplasm murine") == []
        assert near(one, "lab budget plan", kind=["txt"]) == [0]
        assert near(one, "lab budget plan", -1.0) == [0, 1]
        found = one.digests([f"{n:032x}" for n in (0, 1, 2, 7)])
        assert found == {one.file_id: one.digest for one in (changed, file(1, "budget plan"), hidden)}
    assert other.is_present()
    held.put([file(1, "plan", ())])
    assert not other.is_present()
    assert near(other, "lab budget plan", -1.0) == [0, 1]  # as it was when it was opened


@pytest.mark.usefixtures("together")
def test_no_vector_of_what_was_taken_out_stays_once_all_is_written_anew(
    tmp_path: Path, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[str] = []
    monkeypatch.setattr(
        Encoder, "encode", lambda self, text, plain=Encoder.encode: computed.append(text) or plain(self, text)
    )
    held = Meanings(tmp_path / "before", encoder)
    held.put([file(0, "tumour"), file(1, "budget"), file(2, "budget")])
    (erased,) = held.vectors([file(0, "tumour").views[0].text_sha256[:32].encode()]).values()
    held.put([file(0, "plan")])
    assert len(computed) == 3  # each text once
    anew = Meanings(tmp_path / "after", encoder, Meanings(tmp_path / "before", encoder))
    anew.put([file(0, "plan"), file(1, "budget"), file(2, "budget")])
    assert len(computed) == 3  # none of them again
    assert erased.tobytes() not in b"".join(path.read_bytes() for path in (tmp_path / "after").iterdir())
    assert near(anew, "lab budget") == [1, 2]


def test_what_is_pending_takes_no_part_before_anything_is_cut(
    tmp_path: Path, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors, "MOST_NEAR", 1)
    held = Meanings(tmp_path, encoder, together=1)
    done: list[str] = []
    held.put([file(n, "tumour mouse") for n in range(3)], done.append)
    assert len(done) == 3
    asked: list[str] = []
    monkeypatch.setattr(
        Encoder, "encode", lambda self, text, plain=Encoder.encode: asked.append(text) or plain(self, text)
    )
    question = "lab neoplasm murine" + " lab" * 9000
    for pending, found in (((), [0]), ((f"{0:032x}",), [1]), ([f"{n:032x}" for n in range(3)], [])):
        told = Meaning(held, 0.7, pending).near(question, MINE, {})
        assert [int(one.file_id, 16) for one in told] == found
    assert {len(text) for text in asked} == {2000}


def test_what_cannot_be_read_is_told_so(tmp_path: Path, encoder: Encoder) -> None:
    Meanings(tmp_path, encoder).put([file(0, "tumour")])
    (part,) = tmp_path.glob("*.npz")
    whole = part.read_bytes()
    part.write_bytes(whole[:-40])
    with pytest.raises(ValueError, match="cannot be read"):
        Meanings(tmp_path, encoder)
    part.unlink()
    with pytest.raises(ValueError, match="is not there"):
        Meanings(tmp_path, encoder)
    (tmp_path / "parts.json").write_bytes(b"{")
    with pytest.raises(ValueError, match="unexpected"):
        Meanings(tmp_path, encoder)


texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=2).map(" ".join)
terms = st.lists(st.sampled_from([ME, account_term("2"), group_term("1")]), max_size=3, unique=True)
files = st.tuples(texts, terms, st.sampled_from(["", "open", "default"]), st.sampled_from(["csv", "txt"]))
askers = st.tuples(st.lists(st.sampled_from("123"), max_size=2), st.lists(st.sampled_from("1"), max_size=1))


@given(st.lists(files, min_size=1, max_size=6), askers, st.sampled_from(["known", "open"]), texts)
@settings(max_examples=15)
def test_what_may_not_be_known_takes_no_part(
    encoder: Encoder, world: list[Any], who: Any, default: str, text: str
) -> None:
    asking = terms_of(*who, default)
    whole = [file(number, name, may, choice, kind) for number, (name, may, choice, kind) in enumerate(world)]
    known = [
        one for one in whole if any(set(v.may) & set(asking) and not set(v.unless) & set(asking) for v in one.views)
    ]
    answers = []
    for some in (whole, known):
        with TemporaryDirectory() as folder:
            index, held = Index(), Meanings(Path(folder), encoder)
            index.put(some)
            held.put(some)
            meaning = Meaning(held, 0.7)
            requests = [Request(text, facets, 20, {}, TODAY) for facets in ({}, {"kind": ["csv"]})]
            found = [find(index, asking, request, meaning) for request in requests]
            answers.append(
                [(one, near_of(meaning, asking, request)) for one, request in zip(found, requests, strict=True)]
            )
            for one in found:
                check(one, {document.file_id for document in known})
    assert answers[0] == answers[1]


def near_of(meaning: Meaning, asking: tuple[str, ...], request: Request) -> list[Any]:
    return list(meaning.near(request.text, asking, request.facets))


def check(found: Found, known: set[str]) -> None:
    files = [one.file_id for one in found.candidates]
    assert len(files) == len(set(files)) == found.total
    assert set(files) | found.similar.keys() <= known
    assert sum(count for _, count in found.facets["kind"]) == found.total
    assert 0 <= found.by_meaning <= found.total
    for one in found.candidates:
        assert abs(sum(one.parts.values()) - one.score) < 1e-9
