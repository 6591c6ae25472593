"""What it takes to find files by what they mean, too: ``python -m benchmarks._by_meaning FOLDER TEXTS`` in a process.

That computes so many texts by the model in the folder, and prints the CPU seconds and the memory that it took.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from datetime import date
from itertools import islice
from pathlib import Path
from typing import cast

import numpy as np
import psutil

from benchmarks._named_files import DEPARTMENTS, ME, Meter, files, two_words
from benchmarks._timing import interleaved
from data_platform.errors import SearchUnavailable
from data_platform.settings import SearchSettings, Settings
from populate.search.encoder import Encoder, Floats, model_folder
from populate.search.finding import Request, find
from populate.search.index import Index
from populate.search.meaning import Meaning
from populate.search.vectors import Meanings
from populate.search.views import Document, document, terms_of

TODAY = date(2026, 6, 1)


def meaning_of(documents: Iterable[Document], encoder: Encoder) -> Meaning:
    with tempfile.TemporaryDirectory() as folder:  # what is opened stays, whatever becomes of the folder
        held = Meanings(Path(folder), encoder)
        held.put(documents)
    return Meaning(held, SearchSettings().least_similarity)


class _Random:
    """Makes vectors of texts that mean nothing, at once, but takes its time for questions."""

    def __init__(self, encoder: Encoder) -> None:
        self.width, self.encode = encoder.width, self._vector
        self._chance = np.random.default_rng(1)
        self._model = encoder

    def _vector(self, text: str) -> Floats:
        vector = self._chance.standard_normal(self.width).astype(np.float32)
        return np.asarray(vector / np.linalg.norm(vector), np.float32)

    def ask(self) -> None:
        """Compute from now on."""
        self.encode = self._model.encode


def speed_by_meaning(size: int, rounds: int, encoder: Encoder) -> dict[str, float]:
    """Return how long two words take with and without meaning, among so many files."""
    with tempfile.TemporaryDirectory() as folder:
        documents = [document(one) for one in files(size)]
        index = Index(Path(folder) / "index")
        index.put(documents)
        vectors = _Random(encoder)
        meaning = meaning_of(documents, cast(Encoder, vectors))
        vectors.ask()
        asked = two_words(size, rounds + 10)
        terms, sizes = terms_of([ME], [f"{n:032}" for n in (0, 1)], "known"), dict.fromkeys(DEPARTMENTS, 40)
        requests = [Request(text, {}, 20, sizes, TODAY) for text in asked]
        times = interleaved(
            {
                "words": lambda n: find(index, terms, requests[n]),
                "meaning": lambda n: find(index, terms, requests[n], meaning),
                "question": lambda n: encoder.encode(asked[n]),
            },
            rounds,
            warm_up=10,
        )
        text_ms = Meter(lambda n: encoder.encode(documents[n].views[0].text))
        for number in [n for n, one in enumerate(documents) if one.views][:50]:
            text_ms(number)
    found = {"size": size, "text_ms": sorted(text_ms.taken)[len(text_ms.taken) // 2]}
    return found | {
        f"{place}_{name}_ms": getattr(times[name], of)
        for name in ("words", "question", "meaning")
        for place, of in (("p50", "median"), ("p99", "p99"))
    }


def encoder_in(folder: Path | None) -> Encoder | None:
    """Return the model in a folder, else the one of a package, else None."""
    try:
        return Encoder(folder or model_folder(Settings()))
    except SearchUnavailable:
        if folder:
            raise
        return None


def computing(folder: Path | None, texts: int) -> dict[str, float]:
    """Return what computing so many texts takes in a process of its own: CPU seconds of a thousand, and MiB."""
    command = [sys.executable, "-m", "benchmarks._by_meaning", str(folder or model_folder(Settings())), str(texts)]
    done = subprocess.run(command, cwd=Path(__file__).resolve().parents[1], stdout=subprocess.PIPE, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _compute(folder: Path, texts: int) -> dict[str, float]:
    process, before = psutil.Process(), _resident()
    encoder = Encoder(folder)
    some = islice((one.views[0].text for one in map(document, files(4 * texts)) if one.views), texts)
    few = list(some)
    start = sum(process.cpu_times()[:2])
    for text in few:
        encoder.encode(text)
    taken = sum(process.cpu_times()[:2]) - start
    return {"texts_1000_s": 1000 * taken / len(few), "model_mib": _resident() - before}


def _resident() -> float:
    return float(psutil.Process().memory_info().rss) / 2**20


if __name__ == "__main__":
    print(json.dumps(_compute(Path(sys.argv[1]), int(sys.argv[2]))))
