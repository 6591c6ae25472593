"""What else is known of a file that it can be found by: columns, values, tags, notes.

A module that keeps such things names two functions by `add_labels`; nothing here knows of its tables.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

Told = Callable[[Any, Collection[str]], Iterable[tuple[str, str, str]]]
Changed = Callable[[Any, datetime], Iterable[str]]


class Labels(NamedTuple):
    """Where labels come from.

    Attributes
    ----------
    told
        Of a connection and ids of files: id, kind of label as people call it (column, tag ...), text. Everybody
        who may know a file can find it by these and is told of them.
    changed
        Of a connection and a moment (UTC, naive): files whose labels may have changed since.
    """

    told: Told
    changed: Changed


_SOURCES: list[Labels] = []


def add_labels(told: Told, changed: Changed) -> None:
    """Have files found by further labels; for modules whose tables keep them, when they are imported."""
    _SOURCES.append(Labels(told, changed))


def labels_of(connection: Any, files: Collection[str]) -> Mapping[str, tuple[tuple[str, str], ...]]:
    """Return the labels of files, each as kind and text, in an order that does not depend on that of rows."""
    found: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for source in _SOURCES:
        for file_id, kind, text in source.told(connection, files):
            found[file_id].add((kind, text))
    return {file_id: tuple(sorted(labels)) for file_id, labels in found.items()}


def relabelled(connection: Any, since: datetime) -> set[str]:
    """Return the files whose labels may have changed since."""
    return {file_id for source in _SOURCES for file_id in source.changed(connection, since)}
