"""Who did a similar analysis: runs that read the same files."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePosixPath

from data_platform.errors import RestrictionError
from populate.who.asker import Asker
from populate.who.route import files
from populate.who.together import named
from populate.who.whom import NAMES, day, printable

CROWD = 20_000
"""A file that more runs read says nothing about any two of them."""

SAME_CODE = 1.0
"""What the same script of the same repository counts beside common files."""


@dataclass(frozen=True, slots=True)
class Analysis:
    """A run like another one; of several by a person with the same script, the latest.

    Attributes
    ----------
    script
        Empty if the asker may not be told.
    started_at
        UTC.
    """

    execution_id: str
    person_id: str
    name: str
    department: str
    script: str
    started_at: datetime
    score: float
    reason: str


@dataclass(frozen=True, slots=True)
class _Run:
    execution_id: str
    person_id: str
    entry_point: str
    repository: str
    started_at: datetime
    told: bool

    @property
    def code(self) -> tuple[str, str]:
        return (PurePosixPath(self.entry_point).name, self.repository)


def similar_to(asker: Asker, execution_id: str, limit: int) -> list[Analysis]:
    """Return the runs that read most of what this one read, rare files counting more.

    The score is the sum of ``ln(runs / runs that read the file)`` over the common files, `runs` being
    those that read any of what this one read, plus `SAME_CODE` for the same script of the same repository.

    Raises
    ------
    RestrictionError
        If there is no such run that the asker may know.
    """
    rows = asker.ask("run", runs=(execution_id,))
    if not rows:
        raise RestrictionError("There is no such run that you may see. Give the execution_id of a run of your own.")
    run, person, entry_point, repository, started_at = rows[0]
    this = _Run(run, person, entry_point, repository, started_at, told=True)
    inputs = tuple(sorted(file_id for (file_id,) in asker.ask("inputs", runs=(execution_id,))))
    readers: dict[str, set[str]] = defaultdict(set)
    runs: dict[str, _Run] = {}
    for run, file_id, person, entry_point, repository, started_at, told in asker.ask(
        "runs_of_inputs", files=inputs, crowd=CROWD
    ):
        readers[file_id].add(run)
        runs[run] = _Run(run, person, entry_point, repository, started_at, told=bool(told))
    runs.pop(execution_id, None)
    common = {r: [f for f in inputs if r in readers[f]] for r in runs}
    total = len(runs) + 1
    scores = {
        r: sum(math.log(total / len(readers[f])) for f in common[r]) + SAME_CODE * _same_code(this, other)
        for r, other in runs.items()
    }
    people = asker.colleagues({other.person_id for other in runs.values()})
    order = _order([other for other in runs.values() if other.person_id in people], scores)[:limit]
    names = {item.file_id: item.name for item in named(asker, set(inputs)) if item.known}
    return [
        Analysis(
            other.execution_id,
            other.person_id,
            people[other.person_id].name,
            people[other.person_id].department,
            printable(other.code[0]) if other.told else "",
            other.started_at,
            round(scores[other.execution_id], 6),
            _reason(this, other, [names.get(f, "") for f in common[other.execution_id]], len(inputs)),
        )
        for other in order
    ]


def _order(runs: list[_Run], scores: Mapping[str, float]) -> list[_Run]:
    """Return the best run of each person and script, best first; of equal ones the latest."""

    def rank(run: _Run) -> tuple[float, timedelta, str]:
        return (-round(scores[run.execution_id], 9), datetime.max - run.started_at, run.execution_id)

    best: dict[tuple[str, tuple[str, str]], _Run] = {}
    for run in sorted(runs, key=rank):
        best.setdefault((run.person_id, run.code if run.told else ("", "")), run)
    return list(best.values())


def _same_code(this: _Run, other: _Run) -> bool:
    return other.told and this.code == other.code and this.repository != ""


def _reason(this: _Run, other: _Run, names: list[str], inputs: int) -> str:
    told = [name for name in names if name]
    shown = f" ({', '.join(told[:NAMES])}{' …' if len(names) > len(told[:NAMES]) else ''})" if told else ""
    code = "; the same script" if _same_code(this, other) else ""
    return f"read {len(names):,} of the {files(inputs)} that it read{shown}, on {day(other.started_at)}{code}"
