"""Formulas of the silo measures over plain arrays, each with its source.

Krackhardt & Stern 1988 (expected cross share), Snijders & Borgatti 1999 (jackknife), Coleman
1958, Goodman 1968 (quasi-independence), Cameron, Gelbach & Miller 2011 (clustered variance).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

BUSY = 3  # ties of a pair of departments, from which on it can rest on one person

Floats = npt.NDArray[np.float64]


def expected_cross_share(size: Floats) -> float:
    """Share of ties that would cross departments if labels were dealt at random (exact)."""
    n = float(size.sum())
    return 1.0 - float((size * (size - 1)).sum()) / (n * (n - 1)) if n > 1 else 0.0


def permutation_sd(size: Floats, ties: float, degrees: Floats, one_way: float, both_ways: float) -> float:
    """Standard deviation of the cross share over all permutations of labels, in closed form.

    Parameters
    ----------
    size
        (departments,) people.
    degrees
        (people,) ties that touch each person.
    one_way, both_ways
        Pairs of people with ties in one and in both directions.
    """
    n, k = float(size.sum()), size
    if n < 4 or ties == 0:
        return 0.0
    k2, k3, k4 = k * (k - 1), k * (k - 1) * (k - 2), k * (k - 1) * (k - 2) * (k - 3)
    p2 = k2.sum() / (n * (n - 1))
    p3 = k3.sum() / (n * (n - 1) * (n - 2))
    p22 = (k4.sum() + k2.sum() ** 2 - (k2**2).sum()) / (n * (n - 1) * (n - 2) * (n - 3))
    same = one_way + 4.0 * both_ways  # half the squared entries of A + A^T
    touching = float((degrees**2).sum()) - 2.0 * same
    apart = ties**2 - same - touching
    return math.sqrt(max(same * p2 + touching * p3 + apart * p22 - (ties * p2) ** 2, 0.0)) / ties


def jackknife_se(ties: float, cross: float, touching: Floats, cross_touching: Floats) -> float | None:
    """Standard error of the cross share when each person in turn is left out.

    Parameters
    ----------
    touching, cross_touching
        (people,) ties, and cross-department ties, that touch each person; zeros included.
    """
    n = len(touching)
    left = ties - touching
    if n < 3 or (left == 0).any():
        return None
    shares = (cross - cross_touching) / left
    return math.sqrt((n - 2) / (2 * n) * float(((shares - shares.mean()) ** 2).sum()))


def gini(values: Floats) -> float | None:
    """Gini coefficient of non-negative values, zeros included."""
    total, n = float(values.sum()), len(values)
    if total == 0:
        return None
    return float((2 * np.arange(1, n + 1) - n - 1) @ np.sort(values)) / (n * total)


def coleman_index(internal: Floats, given: Floats, size: Floats) -> Floats:
    """Coleman's homophily index of each department, with the exact expectation.

    Parameters
    ----------
    internal, given, size
        (departments,) ties within, ties given in all, people.
    """
    expected = given * (size - 1) / (size.sum() - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(
            np.where(internal >= expected, (internal - expected) / (given - expected), (internal - expected) / expected)
        )


def quasi_independence(
    flow: Floats, possible: npt.NDArray[np.bool_] | None = None, rounds: int = 1000, tolerance: float = 1e-13
) -> Floats:
    """Expected off-diagonal flows r_a * k_b with the observed off-diagonal sums.

    Fitted by iterative proportional fitting from a matrix of ones; (departments,
    departments) in, the same shape out, zeros on the diagonal, or where nothing is `possible`.
    """
    expected = 1 - np.eye(len(flow)) if possible is None else possible.astype(float)
    off = flow * expected
    rows, columns = off.sum(axis=1), off.sum(axis=0)
    for _ in range(rounds):
        before = expected
        expected = expected * _scale(rows, expected.sum(axis=1))[:, None]
        expected = expected * _scale(columns, expected.sum(axis=0))[None, :]
        if np.abs(expected - before).max(initial=0.0) <= tolerance * max(1.0, expected.max(initial=0.0)):
            break
    return expected


def _scale(wanted: Floats, present: Floats) -> Floats:
    return np.divide(wanted, present, out=np.zeros_like(wanted), where=present > 0)


def clustered_variance(ff: Floats, fs: Floats, ss: Floats, expected: Floats, clusters: Floats) -> Floats:
    """Variance of flows over clusters of one side; clusters and `ss` belong to the rows."""
    share = np.divide(expected, expected.sum(axis=1, keepdims=True), out=np.zeros_like(expected), where=expected > 0)
    correction = np.divide(clusters, clusters - 1, out=np.zeros_like(clusters), where=clusters > 1)
    return np.asarray(correction[:, None] * (ff - 2 * share * fs + share**2 * ss[:, None]))
