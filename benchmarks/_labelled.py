"""The labelled corpus in a catalogue, and how right the catalogue is about it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import networkx as nx

from benchmarks._corpus import Corpus, State
from data_platform.settings import Settings
from populate.duplicates.find import Pair
from readers.event import Consumer, access_record
from readers.file import FileSource
from readers.source import Login

FIRST_DAY = datetime(2026, 1, 5, 9)

Paths = frozenset[str]


class Score(NamedTuple):
    """Shares of what was found that is right, and of what there is that was found; and the pairs that are wrong."""

    precision: float
    recall: float
    wrong: list[Paths]


def records(made: Corpus, folder: Path, settings: Settings) -> Iterator[dict[str, object]]:
    """Yield the reads of every state, oldest first, as readers note them down; the last state of each file is there.

    Everybody reads the own files, so nothing but time tells who copied what.
    """
    source = FileSource(settings)
    last = {state.path: state for state in _in_time(made.states)}
    for state in last.values():
        _write(folder / state.path, state)
    for state in _in_time(made.states):
        item = source.resolve(str(folder / state.path))
        token = source.revision(item).token if last[state.path] is state else f"day {state.day}"
        login = Login("acme", state.owner)
        record = access_record(
            Consumer(login, "setting"),
            url=item.url,
            function="read",
            item=replace(item, owner=login),
            source_kind="file",
            revision=token,
            sha256=hashlib.sha256(state.content).hexdigest(),
            size=len(state.content),
        )
        yield record | {"accessed_at": (FIRST_DAY + timedelta(days=state.day)).isoformat()}


def _in_time(states: Iterable[State]) -> list[State]:
    return sorted(states, key=lambda state: state.day)


def _write(path: Path, state: State) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(state.content)
    changed = (FIRST_DAY + timedelta(days=state.day)).replace(tzinfo=UTC).timestamp()
    os.utime(path, (changed, changed))


def pairs_by_kind(pairs: Iterable[Pair], folder: Path) -> dict[str, set[Paths]]:
    """Return the pairs found, as paths in the corpus."""
    found: dict[str, set[Paths]] = {}
    for pair in pairs:
        both = frozenset(os.path.relpath(party.path, folder) for party in (pair.file, pair.other))
        found.setdefault(pair.kind, set()).add(both)
    return found


def scores(made: Corpus, exact: Iterable[Iterable[str]], found: Mapping[str, set[Paths]]) -> dict[str, Score]:
    """Return precision and recall of each kind.

    Pairs stand for groups (a group of n is found as n - 1 pairs), so that a near duplicate
    counts as found if other pairs, or exact copies, lead from one to the other.

    Parameters
    ----------
    exact
        Groups of paths found to be exact copies.
    found
        Kind -> pairs of paths found.
    """
    groups = [sorted(group) for group in exact]
    copies = {frozenset((one, two)) for group in groups for one in group for two in group if one != two}
    result = {}
    for kind, true in made.truth.items():
        said = copies if kind == "exact" else found.get(kind, set())
        wrong = sorted(said - true, key=sorted)
        reached = _reached(said | copies) if kind == "near" else said
        result[kind] = Score(1 - len(wrong) / max(1, len(said)), len(true & reached) / max(1, len(true)), wrong)
    return result


def _reached(pairs: set[Paths]) -> set[Paths]:
    """Return all pairs of files that `pairs` lead from one to the other of."""
    graph = nx.Graph(tuple(pair) for pair in pairs)
    return {frozenset(pair) for group in nx.connected_components(graph) for pair in combinations(group, 2)}
