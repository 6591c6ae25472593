"""CPU seconds and memory of all silo measures, beside networkx on the same ties.

``python -m benchmarks.insight [--small]``; the last line is one JSON object:

``cpu_s``, ``peak_mib``
    of `populate.insight.measure.measure` (``peak_mib`` of the whole process, its input included)
``ties_cpu_s``, ``ties_peak_mib``
    from exported accesses (a Parquet file of 90 days: who used whose data when) to working ties,
    by the SQL of `populate.insight`, in a process of its own
``networkx_over_ours``
    CPU seconds of networkx for the flows between departments alone, over ours for everything,
    on the largest input that networkx is given (it needs a kilobyte a tie)
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path

import duckdb
import networkx as nx
import numpy as np
import pandas as pd

from populate.insight.measure import measure, sql

PEOPLE = {True: 10_000, False: 100_000}
TIES = {True: (10_000, 100_000, 1_000_000), False: (100_000, 1_000_000, 10_000_000)}
ACCESSES = {True: (100_000, 1_000_000), False: (100_000, 1_000_000, 10_000_000, 100_000_000)}
FOR_NETWORKX = 1_000_000
DEPARTMENTS = 50


def office(people: int, ties: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return people in departments and ties at random, the same each time."""
    rng = np.random.default_rng(1)
    ends = rng.integers(0, people, (2, ties), dtype=np.int32)
    return (
        pd.DataFrame({"person": np.arange(people), "department": rng.integers(0, DEPARTMENTS, people)}),
        pd.DataFrame({"producer": ends[0], "consumer": ends[1], "weight": np.ones(ties, dtype=np.int32)}),
    )


def cpu_of_measure(people: pd.DataFrame, ties: pd.DataFrame) -> float:
    """Return the CPU seconds of all measures."""
    begin = time.process_time()
    measure(people, ties)
    return time.process_time() - begin


def cpu_of_networkx(people: pd.DataFrame, ties: pd.DataFrame) -> float:
    """Return the CPU seconds that networkx takes to count ties between departments."""
    begin = time.process_time()
    graph = nx.from_pandas_edgelist(ties, "producer", "consumer", create_using=nx.DiGraph)
    nx.set_node_attributes(graph, dict(zip(people["person"], people["department"], strict=True)), "department")
    nx.attribute_mixing_matrix(graph, "department", normalized=False)
    return time.process_time() - begin


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


def main() -> None:
    """Run, print a line a size, then the JSON object."""
    small = "--small" in sys.argv
    tied = (0, 0.0, 0.0)
    for accesses in ACCESSES[small]:
        with multiprocessing.get_context("spawn").Pool(1) as alone:
            tied = alone.apply(cost_of_ties, (PEOPLE[small], accesses))
        print(
            f"{accesses:>12,} accesses to {tied[0]:,} working ties: {tied[1]:7.2f} CPU s, peak {tied[2]:,.0f} MiB",
            flush=True,
        )
    ours = peer = peer_base = 0.0
    for count in TIES[small]:
        people, ties = office(PEOPLE[small], count)
        ours = cpu_of_measure(people, ties)
        line = f"{PEOPLE[small]:>9,} people {count:>12,} ties: {ours:7.2f} CPU s, peak {peak_mib():,.0f} MiB"
        if count <= FOR_NETWORKX:
            peer, peer_base = cpu_of_networkx(people, ties), ours
            line += f"; networkx, flows only {peer:7.2f} CPU s"
        print(line, flush=True)
    print(
        json.dumps(
            {
                "cpu_s": round(ours, 2),
                "peak_mib": round(peak_mib()),
                "ties_cpu_s": round(tied[1], 2),
                "ties_peak_mib": round(tied[2]),
                "networkx_over_ours": round(peer / peer_base, 2),
            }
        )
    )


def peak_mib() -> float:
    """Return the largest memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
