"""CPU seconds and memory of all silo measures, beside networkx on the same ties.

``python -m benchmarks.insight [--small | --growth]``; the last line is one JSON object:

``cpu_s``, ``peak_mib``
    of `populate.insight.measure.measure` (``peak_mib`` of the whole process, its input included)
``ties_cpu_s``, ``ties_peak_mib``
    from exported accesses (a Parquet file of 90 days: who used whose data when) to working ties,
    by the SQL of `populate.insight`, in a process of its own
``networkx_over_ours``
    CPU seconds of networkx for the flows between departments alone, over ours for everything,
    on the largest input that networkx gets through within `LIMIT_CPU_S` and `LIMIT_MIB`

``--growth`` goes on to 10^8 ties, each size in a process of its own, and its object has a row a size in
``growth``, too: ``docs/reference/measurements.md`` has one.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import networkx as nx
import numpy as np
import pandas as pd

from populate.insight.measure import measure, sql

PEOPLE = {"small": 10_000, "full": 100_000, "growth": 100_000}
TIES = {
    "small": (10_000, 100_000, 1_000_000),
    "full": (100_000, 1_000_000, 10_000_000),
    "growth": (100_000, 1_000_000, 10_000_000, 100_000_000),
}
ACCESSES = {
    "small": (100_000, 1_000_000),
    "full": (100_000, 1_000_000, 10_000_000, 100_000_000),
    "growth": (100_000, 1_000_000, 10_000_000, 100_000_000),
}
FOR_NETWORKX = {"small": 100_000, "full": 1_000_000, "growth": 100_000_000}
LIMIT_CPU_S, LIMIT_MIB = 300, 6_000
"""What networkx may use for one size."""

DEPARTMENTS = 50


def office(people: int, ties: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return people in departments and ties at random, the same each time."""
    rng = np.random.default_rng(1)
    ends = rng.integers(0, people, (2, ties), dtype=np.int32)
    return (
        pd.DataFrame({"person": np.arange(people), "department": rng.integers(0, DEPARTMENTS, people)}),
        pd.DataFrame({"producer": ends[0], "consumer": ends[1], "weight": np.ones(ties, dtype=np.int32)}, copy=False),
    )


def cost_of_measure(people: int, ties: int) -> tuple[float, float]:
    """Return CPU seconds and peak MiB of all measures."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # where DuckDB puts what does not fit
        persons, tied = office(people, ties)
        begin = time.process_time()
        measure(persons, tied)
        spent = time.process_time() - begin
        os.chdir("/")
    return spent, peak_mib()


def cost_of_networkx(people: int, ties: int) -> tuple[float, float]:
    """Return CPU seconds and peak MiB of networkx, which counts ties between departments.

    Raises
    ------
    MemoryError
        If it needs more than `LIMIT_MIB`; it is killed if it takes longer than `LIMIT_CPU_S`.
    """
    persons, tied = office(people, ties)
    begin = time.process_time()
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT_MIB << 20, LIMIT_MIB << 20))
    resource.setrlimit(resource.RLIMIT_CPU, (int(begin) + LIMIT_CPU_S,) * 2)
    graph = nx.from_pandas_edgelist(tied, "producer", "consumer", create_using=nx.DiGraph)
    nx.set_node_attributes(graph, dict(zip(persons["person"], persons["department"], strict=True)), "department")
    nx.attribute_mixing_matrix(graph, "department", normalized=False)
    return time.process_time() - begin, peak_mib()


_STINTS = """
CREATE TABLE stints AS SELECT i::INTEGER AS person, (hash(i * 7) % {departments})::INTEGER AS department,
    0 AS since_day, 1000000 AS until_day, FALSE AS service FROM range({people}) r(i)
"""
# Everybody's data are used by a hundred others, a day in the window at a time.
_EXPORT = """
COPY (SELECT (a % {people})::INTEGER AS producer,
    (((a % {people}) * 37 + (b % 100) * 997) % {people})::INTEGER AS consumer,
    (c % 90)::INTEGER AS day, 1::BIGINT AS events
FROM (SELECT hash(i) AS a, hash(i + 1000000007) AS b, hash(i * 3 + 5) AS c FROM range({accesses}) r(i))) TO '{path}'
"""


def cost_of_ties(people: int, accesses: int) -> tuple[int, float, float]:
    """Return the number of working ties, CPU seconds and peak MiB of tying up exported accesses."""
    with tempfile.TemporaryDirectory() as folder:
        config = {"threads": 2, "memory_limit": "1500MB", "temp_directory": folder, "preserve_insertion_order": "false"}
        with duckdb.connect(config=config) as connection:  # type: ignore[arg-type]
            connection.execute(_STINTS.format(people=people, departments=DEPARTMENTS))
            path = Path(folder) / "accesses.parquet"
            connection.execute(_EXPORT.format(people=people, accesses=accesses, path=path))
            begin = time.process_time()
            connection.execute(f"CREATE VIEW edges AS SELECT * FROM '{path}'")  # noqa: S608
            connection.execute(f"CREATE VIEW attributed AS {sql('attributed')}")
            connection.execute(f"CREATE TABLE working AS SELECT * FROM ({sql('ties')}) WHERE weeks >= 2")  # noqa: S608
            spent = time.process_time() - begin
            (count,) = connection.execute("SELECT COUNT(*) FROM working").fetchone() or (0,)
    return int(count), spent, peak_mib()


def alone(task: Callable[..., tuple[Any, ...]], *arguments: int) -> tuple[Any, ...] | None:
    """Return what a task returns in a process of its own; None if it did not get to its end."""
    receiving, sending = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=_told, args=(sending, task, arguments))
    process.start()
    sending.close()
    try:
        found: tuple[Any, ...] | None = receiving.recv()
    except EOFError:
        found = None
    process.join()
    return found


def _told(to: Any, task: Callable[..., tuple[Any, ...]], arguments: tuple[int, ...]) -> None:
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)  # DuckDB takes a process that was spawned for an interactive one, and shows bars
    try:
        to.send(task(*arguments))
    except MemoryError:
        to.send(None)


def needed(task: Callable[..., tuple[Any, ...]], *arguments: int) -> tuple[Any, ...]:
    """Return what a task returns in a process of its own."""
    found = alone(task, *arguments)
    if found is None:
        raise SystemExit(f"{task.__name__}{arguments} did not get to its end: is there enough memory?")
    return found


def main() -> None:
    """Run, print a line a size, then the JSON object."""
    size = "small" if "--small" in sys.argv else "growth" if "--growth" in sys.argv else "full"
    growth: list[dict[str, float | None]] = []
    tied = (0, 0.0, 0.0)
    for accesses in ACCESSES[size]:
        tied = needed(cost_of_ties, PEOPLE[size], accesses)
        row = f"{accesses:>12,} accesses to {tied[0]:,} working ties: {tied[1]:7.2f} CPU s, peak {tied[2]:,.0f} MiB"
        growth.append({"accesses": accesses, "ties": tied[0], "cpu_s": round(tied[1], 2), "peak_mib": round(tied[2])})
        print(row, flush=True)
    ours = peak = ratio = 0.0
    beside = True
    for count in TIES[size]:
        ours, peak = needed(cost_of_measure, PEOPLE[size], count)
        line = f"{PEOPLE[size]:>9,} people {count:>12,} ties: {ours:7.2f} CPU s, peak {peak:,.0f} MiB"
        row_of = {"ties": count, "cpu_s": round(ours, 2), "peak_mib": round(peak)}
        if beside and count <= FOR_NETWORKX[size]:
            peer = alone(cost_of_networkx, PEOPLE[size], count)
            beside = peer is not None
            if peer is None:
                line += f"; networkx stopped: more than {LIMIT_CPU_S} CPU s or {LIMIT_MIB:,} MiB"
            else:
                ratio = peer[0] / ours
                line += f"; networkx, flows only {peer[0]:7.2f} CPU s, peak {peer[1]:,.0f} MiB"
                row_of |= {"networkx_cpu_s": round(peer[0], 2), "networkx_peak_mib": round(peer[1])}
        growth.append(dict(row_of))
        print(line, flush=True)
    found: dict[str, Any] = {
        "cpu_s": round(ours, 2),
        "peak_mib": round(peak),
        "ties_cpu_s": round(tied[1], 2),
        "ties_peak_mib": round(tied[2]),
        "networkx_over_ours": round(ratio, 2),
    }
    print(json.dumps(found | ({"growth": growth} if size == "growth" else {})))


def peak_mib() -> float:
    """Return the largest memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
