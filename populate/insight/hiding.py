"""What must be hidden so that no department below the floor, and no pair of few ties, can be computed from the rest.

Two things are shown of whom little is: totals, and margins (what each shown department gives and receives in
all). Whatever is hidden is an unknown in these sums. It is safe if the unknowns could be others, none of them
below zero, with every sum the same: in terms of a table, if there is a closed path through unknown cells along
which one tie can be added and taken away in turn. Where there is none, more is hidden until there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import pairwise

import networkx as nx
import numpy as np
import numpy.typing as npt

FLOOR = 5
FEW = 3
"""Pairs with fewer ties than this, but some, are not shown."""

Counts = npt.NDArray[np.int64]
Costs = npt.NDArray[np.float64]
Truths = npt.NDArray[np.bool_]
Cell = tuple[int, int]


def hidden_departments(
    people: Mapping[str, int],
    floor: int = FLOOR,
    small: Iterable[str] = (),
    enough: Callable[[frozenset[str]], bool] = lambda hidden: True,
) -> frozenset[str]:
    """Return the departments that must not be shown: none alone, nor fewer than `floor` people together.

    Parameters
    ----------
    people
        Department -> people.
    floor
        Departments of fewer are hidden, and the next smallest ones until it is safe.
    small
        Others that are hidden for a reason of their own.
    enough
        Tells whether it is safe to hide just these; all are hidden if it never is.

    Raises
    ------
    ValueError
        If the floor is below five.
    """
    if floor < FLOOR:
        raise ValueError(f"A floor below {FLOOR} people would show what single people do.")
    hidden = {name for name in people if people[name] < floor} | set(small)
    for name in sorted(people.keys() - hidden, key=lambda name: (people[name], name)):
        crowd = not hidden or (len(hidden) > 1 and sum(people[name] for name in hidden) >= floor)
        if crowd and enough(frozenset(hidden)):
            break
        hidden.add(name)
    return frozenset(hidden)


def hidden_beside(close: Collection[str], moved: Iterable[str], sizes: Mapping[str, int]) -> set[str]:
    """Return what must be hidden so that not even the sum of all that is hidden changed by fewer than five people.

    Parameters
    ----------
    close
        Groups that changed by some people, but fewer than five.
    moved
        Groups that changed by at least five: one of them is hidden with those, or everything if there is none.
    sizes
        Group -> people, for those that there are; of those that moved the smallest is taken.
    """
    if not close:
        return set()
    beside = min((name for name in moved if name in sizes), key=lambda name: (sizes[name], name), default=None)
    return set(sizes) if beside is None else {beside, *close} & sizes.keys()


def withheld_pairs(flow: Counts, hidden: Sequence[int], close: Iterable[Cell] = ()) -> set[Cell] | None:
    """Return the pairs of shown departments that must not be shown; None if more departments have to be hidden.

    Parameters
    ----------
    flow
        (departments, departments) ties given by the row to the column. Their sum and trace are known, and row,
        column and diagonal sums of each department that is shown.
    hidden
        Positions of the departments that are not.
    close
        Pairs that must not be told however many ties they have: those with a hidden department not by the sum of what
        a shown one gives to all that are hidden, or receives from them.
    """
    shown = [place for place in range(len(flow)) if place not in set(hidden)]
    if not shown:
        return set()
    if len(hidden) and np.trace(flow) and flow[hidden, hidden].sum() == 0:
        return None  # nothing within any of them: their parts of nothing are known
    table, possible = merged(flow, shown, list(hidden))
    if not table.sum():
        return set()  # the total tells that there is nothing anywhere, whatever is hidden
    secret = possible & (table > 0) & (table < FEW) | _mask(close, shown, possible)
    free = secret.copy()
    free[len(shown) :] = possible[len(shown) :]
    free[:, len(shown) :] = possible[:, len(shown) :]
    add, take = _costs(table, possible, free)
    for row, column in np.argwhere(free & ((table < FEW) | secret)):
        cell = int(row), int(column)
        path = _rectangle(table, add, take, cell) or _path(table, add, take, cell)
        if path is None:
            return None
        for hidden_too in path:
            free[hidden_too] = True
            add[hidden_too] = 0
            take[hidden_too] = 0 if table[hidden_too] else np.inf
    inner = free[: len(shown), : len(shown)]
    return {(shown[row], shown[column]) for row, column in np.argwhere(inner)}


def _mask(cells: Iterable[Cell], shown: list[int], possible: Truths) -> Truths:
    """Return where in the table these pairs are; hidden departments are the last one."""
    place = {position: number for number, position in enumerate(shown)}
    mask = np.zeros_like(possible)
    for giving, receiving in cells:
        mask[place.get(giving, -1), place.get(receiving, -1)] = True
    return mask & possible


def merged(flow: Counts, shown: list[int], hidden: list[int]) -> tuple[Counts, Truths]:
    """Return ties between departments, the hidden ones together as the last one, and which cells there are.

    Sums of rows and columns are all told, so whatever follows from these alone may be.
    """
    between = flow - np.diag(np.diag(flow))
    groups = len(shown) + bool(hidden)
    member = np.zeros((len(flow), groups), dtype=np.int64)
    member[shown, range(len(shown))] = 1
    member[hidden, groups - 1] = 1 if hidden else 0
    possible = ~np.eye(groups, dtype=bool)
    if hidden:
        possible[-1, -1] = len(hidden) > 1
    return member.T @ between @ member, possible


def _costs(table: Counts, possible: Truths, free: Truths) -> tuple[Costs, Costs]:
    """Return what it costs to add a tie to a cell, and to take one away: nothing if it is hidden already."""
    price = np.where(free, 0.0, np.where(possible, 1 + table / (1 + table.sum()), np.inf))
    return price, np.where(table > 0, price, np.inf)


def _rectangle(table: Counts, add: Costs, take: Costs, cell: Cell) -> list[Cell] | None:
    """Return the three other cells of the cheapest rectangle along which the cell can change, if there is one."""
    row, column = cell
    best: tuple[float, list[Cell]] = (np.inf, [])
    for beside, across in ((take, add), (add, take)):  # the cell gets one more, or has one less
        if beside is add and not table[cell]:
            continue
        cost = beside[row][None, :] + across + beside[:, column][:, None]
        cost[row, :] = cost[:, column] = np.inf
        a, b = np.unravel_index(np.argmin(cost), cost.shape)
        if cost[a, b] < best[0]:
            best = float(cost[a, b]), [(row, int(b)), (int(a), int(b)), (int(a), column)]
    return best[1] or None


def _path(table: Counts, add: Costs, take: Costs, cell: Cell) -> list[Cell] | None:
    """Return the other cells of the cheapest longer path, for tables too small or too empty for a rectangle."""
    graph = nx.DiGraph()
    for row, column in np.argwhere(np.isfinite(add)).tolist():
        if (row, column) != cell:
            graph.add_edge(("gives", row), ("receives", column), weight=add[row, column])
            if table[row, column]:
                graph.add_edge(("receives", column), ("gives", row), weight=take[row, column])
    ends = ("gives", cell[0]), ("receives", cell[1])
    for start, end in (ends, ends[::-1]) if table[cell] else (ends[::-1],):
        if graph.has_node(start) and graph.has_node(end) and nx.has_path(graph, start, end):
            nodes = nx.shortest_path(graph, start, end, weight="weight")
            return [(b[1], a[1]) if a[0] == "receives" else (a[1], b[1]) for a, b in pairwise(nodes)]
    return None
