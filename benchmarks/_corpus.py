"""Files of which it is known how they came about, made of real tables and texts by what people do to files.

Each real table is divided into rows that nothing else in the corpus has, a share for each
kind of duplicate, so that the shares are other data under the same columns: what must not be
taken for a duplicate looks as much like one as real files do. Families are what was made of
one such share.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import distributions
from importlib.resources import files
from pathlib import Path, PurePosixPath

import pandas as pd

from benchmarks import _documents

FEWEST_ROWS = 100
OWNERS = ("amy", "brendan", "carol", "dora")
LONG_DOCUMENT = 400  # words


@dataclass(frozen=True)
class State:
    """What a file held from a day on."""

    path: str
    day: int
    content: bytes

    @property
    def owner(self) -> str:
        """Whose folder it is in."""
        return self.path.split("/")[0]


@dataclass
class Corpus:
    """States of files in time, and which pairs of them are of which kind.

    Attributes
    ----------
    states
        Of every file at least one.
    truth
        Kind -> pairs of paths that are of this kind.
    """

    states: list[State] = field(default_factory=list)
    truth: dict[str, set[frozenset[str]]] = field(
        default_factory=lambda: {kind: set() for kind in ("exact", "stale", "diverged", "near", "same name")}
    )

    def put(self, path: str, content: bytes, day: int = 0) -> str:
        """Let a file hold `content` from `day` on."""
        self.states.append(State(path, day, content))
        return path

    def family(self, kind: str, paths: list[str]) -> None:
        """Note that all of `paths` are duplicates of each other, of this kind."""
        self.truth[kind] |= {frozenset((one, two)) for one in paths for two in paths if one != two}


def corpus(tables: int | None = None, seed: int = 1) -> Corpus:
    """Return the corpus made of the first `tables` real tables, or of all, and as many texts."""
    chance = random.Random(seed)
    made = Corpus()
    found = dict(list(real_tables())[:tables])
    for name, table in found.items():
        _of_table(made, name, table, chance)
    for name, text in list(real_texts())[: len(found)]:
        _of_text(made, name, text)
    _habits(made, found)
    _templates(made)
    _generated(made, 2 * len(found))
    return made


def real_tables() -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield name and content of the public clinical data sets that the demo uses, too."""
    folder = files("lifelines.datasets")
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".csv"):
            table = pd.read_csv(io.StringIO(entry.read_text(encoding="utf-8")))
            unnamed = [column for column in table.columns if str(column).startswith("Unnamed")]
            table = table.drop(columns=unnamed).drop_duplicates(ignore_index=True)
            if len(table) >= FEWEST_ROWS and table.shape[1] > 1:
                yield PurePosixPath(entry.name).stem, table


def real_texts() -> Iterator[tuple[str, list[str]]]:
    """Yield name and paragraphs of what installed packages say of themselves, no two of them alike."""
    for distribution in sorted(distributions(), key=lambda one: str(one.metadata["Name"]).lower()):
        text = str(distribution.metadata.json.get("description", ""))
        paragraphs = [" ".join(part.split()) for part in re.split(r"\n\s*\n", text) if len(part.split()) > 3]
        if LONG_DOCUMENT < sum(len(part.split()) for part in paragraphs) < 20 * LONG_DOCUMENT:
            yield str(distribution.metadata["Name"]).lower(), paragraphs


def _of_table(made: Corpus, name: str, table: pd.DataFrame, chance: random.Random) -> None:
    mixed = table.sample(frac=1, random_state=chance.randrange(2**31), ignore_index=True)
    size = len(mixed) // 4
    near, past, apart, named = (mixed.iloc[size * n : size * (n + 1)].reset_index(drop=True) for n in range(4))
    _saved_differently(made, name, near, chance)
    _left_behind(made, f"{name} study", past, chance)
    _gone_apart(made, f"{name} cohort", apart, chance)
    _namesakes(made, f"{name} extract", named)
    _codes(made, f"{name} codes", table)


def _saved_differently(made: Corpus, name: str, table: pd.DataFrame, chance: random.Random) -> None:
    text = csv(table)
    original = made.put(f"amy/{name}.csv", text)
    copies = [made.put(f"{owner}/copy of {name}.csv", text, day=2) for owner in ("brendan", "carol")]
    made.family("exact", [original, *copies])
    workbook = xlsx(table)
    columns = list(table.columns)
    versions = {
        "xlsx": workbook,
        "sharepoint.xlsx": _documents.through_sharepoint(workbook, "0x0101"),
        "saved.xlsx": _documents.saved_again(workbook),
        "parquet": parquet(table),
        "sorted.csv": csv(table.sort_values(columns, ignore_index=True)),
        "columns.csv": csv(table[columns[::-1]]),
        "indexed.csv": table.to_csv().encode(),
        "edited.csv": csv(edited(table, chance)),
        "german.csv": table.to_csv(index=False, sep=";", decimal=",").encode(),
        "windows.csv": b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n"),
        "rounded.csv": table.to_csv(index=False, float_format="%.3g").encode(),
        "renamed header.csv": csv(table.rename(columns={columns[0]: f"{columns[0]} (new)"})),
        "one more column.csv": csv(table.assign(checked="yes")),
        "without the last.csv": csv(table.iloc[: -max(1, len(table) // 10)]),
        "edited and sorted.xlsx": xlsx(edited(table, chance).sort_values(columns[0], key=lambda c: c.astype(str))),
        "tsv": table.to_csv(index=False, sep="\t").encode(),
        "csv.gz": gzip.compress(text, mtime=0),
        "csv.bz2": bz2.compress(text),
        "csv.xz": lzma.compress(text),
        "zip": _documents.packed({f"{name}.csv": text}),
        "parquet.gz": gzip.compress(parquet(table), mtime=0),
    }
    paths = [
        made.put(f"{OWNERS[place % len(OWNERS)]}/{name} {how}", content, day=4 + place)
        for place, (how, content) in enumerate(versions.items())
        if content != text  # of whole numbers nothing is rounded
    ]
    made.family("near", [original, *copies, *paths])


def _left_behind(made: Corpus, name: str, table: pd.DataFrame, chance: random.Random) -> None:
    old, newer = csv(table), csv(edited(table, chance, cells=len(table) // 2))
    original = made.put(f"amy/{name}.csv", old)
    copies = [made.put(f"{owner}/{name} {owner}.csv", old, day=2) for owner in ("brendan", "dora")]
    made.put(original, newer, day=5)
    made.family("exact", copies)
    made.truth["stale"] |= {frozenset((original, copy)) for copy in copies}
    # One that went back to what it was is a copy again, and no old one.
    back = made.put(f"carol/{name} back.csv", old, day=3)
    made.put(back, newer[:-20], day=4)
    made.put(back, old, day=6)
    made.family("exact", [*copies, back])
    made.truth["stale"].add(frozenset((original, back)))


def _gone_apart(made: Corpus, name: str, table: pd.DataFrame, chance: random.Random) -> None:
    old = csv(table)
    ours, theirs = made.put(f"brendan/{name}.csv", old), made.put(f"carol/{name} ours.csv", old, day=1)
    made.put(ours, csv(edited(table, chance, cells=1)), day=5)
    made.put(theirs, csv(edited(table, chance, cells=len(table) // 2)), day=6)
    made.truth["diverged"].add(frozenset((ours, theirs)))


def _namesakes(made: Corpus, name: str, table: pd.DataFrame) -> None:
    """Two halves of a table under one name, and every column of the table in another order under others."""
    half = len(table) // 2
    pair = [
        made.put(f"{owner}/{name}.csv", csv(table.iloc[part]), day=day)
        for owner, part, day in (("amy", slice(half), 0), ("dora", slice(half, None), 1))
    ]
    made.family("same name", pair)
    for seed in range(2):
        shuffled = pd.DataFrame(
            {c: table[c].sample(frac=1, random_state=seed * 100 + n).to_numpy() for n, c in enumerate(table.columns)}
        )
        made.put(f"carol/{name} shuffled {seed}.csv", csv(shuffled))


def _codes(made: Corpus, name: str, table: pd.DataFrame) -> None:
    """Two disjoint parts of columns that have few values: almost all rows are in both, and yet they are other data."""
    few = [column for column in table.columns if 1 < table[column].nunique() <= 6]
    if len(few) > 1:
        for part in range(2):
            made.put(f"{OWNERS[part]}/{name} {part}.csv", csv(table[few].iloc[part::2]))


def _of_text(made: Corpus, name: str, paragraphs: list[str]) -> None:
    document = _documents.docx(paragraphs)
    changed = [*paragraphs[:-1], f"{paragraphs[-1]} This was added later."]
    text = "\n\n".join(paragraphs).encode()
    documents = {
        "docx": document,
        "sharepoint.docx": _documents.through_sharepoint(document, "0x0102"),
        "saved.docx": _documents.saved_again(document),
        "changed.docx": _documents.docx(changed, session="00B1B1B1"),
    }
    texts = {"txt": text, "windows.txt": text.replace(b"\n", b"\r\n"), "txt.gz": gzip.compress(text, mtime=0)}
    for versions in (documents, texts):
        paths = [
            made.put(f"{OWNERS[place]}/{name} {how}", content, day=place)
            for place, (how, content) in enumerate(versions.items())
        ]
        made.family("near", paths)


def _habits(made: Corpus, tables: dict[str, pd.DataFrame]) -> None:
    """Files whose names say nothing: they must not be taken for namesakes."""
    for place, (name, table) in enumerate(tables.items()):
        other = table.iloc[::-3]
        for habit in ("data.csv", "results.xlsx", "README.md", "run 3/summary.csv"):
            content = xlsx(other.tail(20)) if habit.endswith("xlsx") else f"{name} {habit} {place}".encode() * 9
            made.put(f"{OWNERS[place % 4]}/{name} project/{habit}", content)


def _templates(made: Corpus) -> None:
    """Forms that many filled in, and files that were all empty once: no common ancestor worth a question."""
    form = b"name,date,instrument,operator,temperature,comment,approved\n" * 2
    for number in range(25):
        path = made.put(f"{OWNERS[number % 4]}/forms/protocol {number:03}.csv", form)
        made.put(path, form + f"{number},{number * 7},{number * 13},x,{number / 3},ok,yes\n".encode() * 3, day=3)
    for number in range(6):
        path = made.put(f"{OWNERS[number % 4]}/settings/{number}.json", b"{}\n")
        made.put(path, f'{{"number": {number}, "seed": {number * 31}, "label": "{number:040}"}}\n'.encode(), day=2)


def _generated(made: Corpus, count: int) -> None:
    """Real JSON that a program made of one template for different services: alike in 90 % of its words."""
    services = sorted(files("botocore").joinpath("data").iterdir(), key=lambda entry: entry.name)
    rules = [
        file
        for service in services
        if service.is_dir()
        for file in sorted(map(str, Path(str(service)).rglob("endpoint-rule-set-1.json.gz")))
    ]
    different = dict.fromkeys(Path(file).read_bytes() for file in rules)  # some services have the same rules
    for place, content in enumerate(list(different)[:count]):
        made.put(f"{OWNERS[place % 4]}/services/rules {place}.json.gz", content)


def edited(table: pd.DataFrame, chance: random.Random, cells: int = 1) -> pd.DataFrame:
    """Return `table` with cells of so many different rows changed."""
    changed = table.astype(object)
    for row in chance.sample(range(len(table)), cells):
        changed.iat[row, chance.randrange(table.shape[1])] = f"corrected {chance.randrange(10**6)}"
    return changed


def csv(table: pd.DataFrame) -> bytes:
    """Return the table as CSV."""
    return table.to_csv(index=False).encode()


def parquet(table: pd.DataFrame) -> bytes:
    """Return the table as Parquet."""
    return bytes(table.to_parquet(index=False))


def xlsx(table: pd.DataFrame) -> bytes:
    """Return the table as a workbook with one sheet."""
    target = io.BytesIO()
    table.to_excel(target, index=False, engine="openpyxl")
    return target.getvalue()
