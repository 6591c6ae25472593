"""What else is known of files that they can be found by.

Tags and notes, what runs that read them are about, and of contents columns, their values and what a model said.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, NamedTuple, Protocol

Label = tuple[str, str]
"""Kind, as people call it, and text."""

MOST_VALUES = 50
"""Values of a column that files can be found by."""


class Run(NamedTuple):
    """A run that read a file.

    Attributes
    ----------
    account
        Whose it was.
    is_open
        Its person lets everybody know what they run.
    texts
        What it is about.
    """

    account: str
    repository: str
    is_open: bool
    started_at: datetime
    texts: tuple[str, ...]


class Tables(Protocol):
    """Answers with the rows of one of `populate.search.statements`."""

    def ask(self, name: str, **values: Any) -> list[tuple[Any, ...]]: ...


def of_files(tables: Tables, files: Collection[str]) -> dict[str, tuple[Label, ...]]:
    """Return the tags and notes of files, in an order that does not depend on that of rows."""
    found: dict[str, set[Label]] = defaultdict(set)
    for kind in ("tag", "note"):
        for file_id, text in tables.ask(f"{kind}s", files=tuple(files)):
            found[file_id].add((kind, text))
    return {file_id: tuple(sorted(labels, reverse=True)) for file_id, labels in found.items()}


def of_contents(tables: Tables, contents: Collection[str]) -> dict[str, tuple[Label, ...]]:
    """Return the columns of contents, and the values of those that have few, the most frequent first."""
    found: dict[str, list[Label]] = defaultdict(list)
    for sha256, name, values in tables.ask("columns", contents=tuple(sorted(contents))):
        found[sha256] += [("column", name), *(("value", value) for value in _texts(values))]
    described = dict(tables.ask("descriptions", contents=tuple(sorted(contents))))  # the latest of each counts
    for sha256, text in described.items():
        found[sha256].append(("description", text))
    return {sha256: tuple(dict.fromkeys(labels)) for sha256, labels in found.items()}


def runs_of(tables: Tables, files: Collection[str]) -> dict[str, tuple[Run, ...]]:
    """Return the runs that read files and what they are about, the latest first."""
    rows = tables.ask("runs", files=tuple(files))
    generated = dict(tables.ask("generated", facts=tuple(sorted({row[-1] for row in rows}))))
    found: dict[str, set[Run]] = defaultdict(set)
    for file_id, account, repository, is_open, at, summary, facts in rows:
        texts = tuple(filter(None, (summary, generated.get(facts, ""))))
        found[file_id].add(Run(account, repository, bool(is_open), at, texts))
    return {file_id: tuple(sorted(runs, key=_order, reverse=True)) for file_id, runs in found.items()}


def _order(run: Run) -> tuple[datetime, tuple[str, ...], str]:
    return run.started_at, run.texts, run.account


def _texts(values: str) -> Iterable[str]:
    for value, _ in (json.loads(values) if values else [])[:MOST_VALUES]:
        # A number among the values of a column would make every file with such a number fit.
        if isinstance(value, str) and any(character.isalpha() for character in value):
            yield value
