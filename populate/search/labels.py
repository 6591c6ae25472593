"""What else is known of files that they can be found by: tags and notes, and of contents columns and their values."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Any, Protocol

Label = tuple[str, str]
"""Kind, as people call it, and text."""

MOST_VALUES = 50
"""Values of a column that files can be found by."""


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
    return {sha256: tuple(dict.fromkeys(labels)) for sha256, labels in found.items()}


def _texts(values: str) -> Iterable[str]:
    for value, _ in (json.loads(values) if values else [])[:MOST_VALUES]:
        # A number among the values of a column would make every file with such a number fit.
        if isinstance(value, str) and any(character.isalpha() for character in value):
            yield value
