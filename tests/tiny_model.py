"""A sentence model small enough to be made by a test: random, but words given together mean the same to it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

WIDTH, HEADS, LAYERS, INNER, PLACES = 32, 4, 2, 48, 64
ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789._-/"


def write_model(folder: Path, alike: Sequence[Sequence[str]] = (), *, seed: int = 1, **config: Any) -> Path:
    """Write a model to a folder and return it.

    Parameters
    ----------
    alike
        Words that mean the same; all others are known by their letters.
    config
        Of ``config.json``, in place of what is there otherwise.
    """
    folder.mkdir(parents=True, exist_ok=True)
    groups = [list(group) for group in alike]
    letters = [f"{start}{letter}" for letter in ALPHABET for start in ("", "##")]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, *(word for group in groups for word in group)]
    chance = np.random.default_rng(seed)

    def numbers(*shape: int) -> Any:
        return (chance.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)

    words = 4 * numbers(len(pieces), WIDTH)
    for group in groups:
        words[[pieces.index(word) for word in group]] = words[pieces.index(group[0])]
    weights = {
        "embeddings.word_embeddings.weight": words,
        "embeddings.position_embeddings.weight": numbers(PLACES, WIDTH) / 10,
        "embeddings.token_type_embeddings.weight": numbers(2, WIDTH),
    }

    def linear(name: str, rows: int, columns: int) -> None:
        weights.update({f"{name}.weight": numbers(rows, columns), f"{name}.bias": numbers(rows)})

    def normal(name: str) -> None:
        weights.update({f"{name}.weight": np.ones(WIDTH, np.float32), f"{name}.bias": np.zeros(WIDTH, np.float32)})

    normal("embeddings.LayerNorm")
    for layer in (f"encoder.layer.{number}" for number in range(LAYERS)):
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            linear(f"{layer}.attention.{part}", WIDTH, WIDTH)
        linear(f"{layer}.intermediate.dense", INNER, WIDTH)
        linear(f"{layer}.output.dense", WIDTH, INNER)
        normal(f"{layer}.attention.output.LayerNorm")
        normal(f"{layer}.output.LayerNorm")
    save_file(weights, folder / "model.safetensors")
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf8")
    told = {"model_type": "bert", "hidden_act": "gelu", "layer_norm_eps": 1e-12, "num_attention_heads": HEADS}
    told |= {"num_hidden_layers": LAYERS, "max_position_embeddings": PLACES}
    (folder / "config.json").write_text(json.dumps(told | config), encoding="utf8")
    return folder
