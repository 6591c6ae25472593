"""What benchmarks share: fair timing, and a table that a person reads."""

from __future__ import annotations

import gc
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter

Times = list[float]
"""Seconds, sorted."""


def interleaved(work: Mapping[str, Callable[[int], object]], rounds: int, warm_up: int = 0) -> dict[str, Times]:
    """Time each function once a round, in turns, so that a slow moment of the machine hits all alike.

    Each function gets the number of the round. Who comes first changes from round to round.
    """
    names = list(work)
    taken: dict[str, Times] = {name: [] for name in names}
    gc.collect()
    for number in range(-warm_up, rounds):
        for name in names if number % 2 else reversed(names):
            function = work[name]
            start = perf_counter()
            function(number)
            seconds = perf_counter() - start
            if number >= 0:
                taken[name].append(seconds)
    return {name: sorted(times) for name, times in taken.items()}


def quantile(times: Times, share: float) -> float:
    """Return the time in milliseconds that `share` of the sorted `times` do not exceed."""
    return 1000 * times[min(len(times) - 1, int(len(times) * share))]


def median(times: Times) -> float:
    return quantile(times, 0.5)


def p99(times: Times) -> float:
    return quantile(times, 0.99)


def show(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table: the first column to the left, all others to the right."""
    cells = [[_shown(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in [list(head), *cells]) for column in range(len(head))]
    print(f"\n{title}")
    for row in [list(head), *cells]:
        first, *others = (cell.ljust(widths[0]) if n == 0 else cell.rjust(widths[n]) for n, cell in enumerate(row))
        print("  " + "  ".join([first, *others]))


def _shown(cell: object) -> str:
    return f"{cell:,.4f}" if isinstance(cell, float) else str(cell)


def machine() -> str:
    """Return what the figures depend on: cores, their load, Python."""
    return (
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {platform.machine()}, "
        f"Python {platform.python_version()}, {platform.system()} {platform.release()}"
    )
