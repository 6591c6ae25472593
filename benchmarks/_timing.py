"""What benchmarks share: fair timing, and a table that a person reads."""

from __future__ import annotations

import gc
import os
import platform
import resource
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter


@dataclass(frozen=True)
class Times:
    """How long the calls of a function took, in milliseconds, sorted.

    Attributes
    ----------
    every
        All calls.
    calm
        Those during which the kernel did not hand the core to another process or thread:
        what the calls would take on a machine that has nothing else to do.
    """

    every: list[float]
    calm: list[float]

    @property
    def median(self) -> float:
        return _quantile(self.every, 0.5)

    @property
    def p99(self) -> float:
        return _quantile(self.every, 0.99)

    @property
    def calm_p99(self) -> float:
        return _quantile(self.calm, 0.99)


def interleaved(work: Mapping[str, Callable[[int], object]], rounds: int, warm_up: int = 0) -> dict[str, Times]:
    """Time each function once a round, in turns, so that a slow moment of the machine hits all alike.

    Each function gets the number of the round. Who comes first changes from round to round. What was imported and
    set up before is not looked through for garbage meanwhile, as in the dashboard; what the functions leave is.
    """
    names = list(work)
    taken: dict[str, list[tuple[float, bool]]] = {name: [] for name in names}
    gc.collect()
    gc.freeze()
    for number in range(-warm_up, rounds):
        for name in names if number % 2 else reversed(names):
            function, before = work[name], _preemptions()
            start = perf_counter()
            function(number)
            seconds = perf_counter() - start
            if number >= 0:
                taken[name].append((1000 * seconds, _preemptions() == before))
    gc.unfreeze()
    return {name: _sorted(calls) for name, calls in taken.items()}


def _preemptions() -> int:
    """Return how often the kernel took the core from this thread."""
    return resource.getrusage(getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)).ru_nivcsw


def _sorted(calls: list[tuple[float, bool]]) -> Times:
    return Times(sorted(time for time, _ in calls), sorted(time for time, calm in calls if calm))


def _quantile(times: list[float], share: float) -> float:
    return times[min(len(times) - 1, int(len(times) * share))] if times else float("nan")


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
