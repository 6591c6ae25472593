"""CPU seconds and memory of all silo measures, beside networkx on the same ties.

``python -m benchmarks.insight [--small]``; the last line is one JSON object:

``cpu_s``, ``peak_mib``
    of `populate.insight.measure.measure` (``peak_mib`` of the whole process, its input included)
``networkx_over_ours``
    CPU seconds of networkx for the flows between departments alone, over ours for everything,
    on the largest input that networkx is given (it needs a kilobyte a tie)
"""

from __future__ import annotations

import json
import resource
import sys
import time

import networkx as nx
import numpy as np
import pandas as pd

from populate.insight.measure import measure

PEOPLE = {True: 10_000, False: 100_000}
TIES = {True: (10_000, 100_000, 1_000_000), False: (100_000, 1_000_000, 10_000_000)}
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


def main() -> None:
    """Run, print a line a size, then the JSON object."""
    small = "--small" in sys.argv
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
            {"cpu_s": round(ours, 2), "peak_mib": round(peak_mib()), "networkx_over_ours": round(peer / peer_base, 2)}
        )
    )


def peak_mib() -> float:
    """Return the largest memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
