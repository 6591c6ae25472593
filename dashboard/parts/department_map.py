"""Draws the data map: departments so that it stays legible for fifty of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import sqrt
from typing import Any

import altair as alt
import networkx as nx
import pandas as pd

TEAL, ORANGE = "#0f766e", "#d97706"  # told apart by everybody; dashes and thickness say the same
STRONGEST = 60
"""Ties that are drawn, at most: of fifty departments all would be a black disc."""

NEAR, FAR = 0.55, 1.6
PICK = "pick"
Place = Mapping[str, tuple[float, float]]


def places(departments: pd.DataFrame, ties: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Return where each department is: the more two share for their sizes, the nearer; none is far from all."""
    people = dict(zip(departments["department"], departments["people"], strict=True))
    names = sorted(people)
    close = {
        (row["one"], row["other"]): row["ties"] / sqrt(people[row["one"]] * people[row["other"]])
        for row in ties.to_dict("records")
    }
    most = max(close.values(), default=1.0) or 1.0
    graph = nx.complete_graph(names)
    apart = {
        one: {
            other: 0.0
            if one == other
            else FAR - (FAR - NEAR) * sqrt(close.get((min(one, other), max(one, other)), 0.0) / most)
            for other in names
        }
        for one in names
    }
    start = nx.circular_layout(graph)
    found = nx.kamada_kawai_layout(graph, dist=apart, pos=start) if len(names) > 1 else start
    return {name: (float(x), float(y)) for name, (x, y) in found.items()}


def undirected(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return pairs with the ties in both directions: ``one, other, ties, missing`` (flagged in either)."""
    rows: dict[tuple[str, str], tuple[float, bool]] = {}
    for row in pairs.to_dict("records"):
        ends = min(row["giving"], row["receiving"]), max(row["giving"], row["receiving"])
        ties, missing = rows.get(ends, (0.0, False))
        more = 0.0 if pd.isna(row["ties"]) else float(row["ties"])
        rows[ends] = ties + more, missing or bool(row["flagged"])
    found = [(*ends, *values) for ends, values in sorted(rows.items())]
    return pd.DataFrame(found, columns=["one", "other", "ties", "missing"])


def chart(
    departments: pd.DataFrame, pairs: pd.DataFrame, chosen: str, ink: str, lay_out: Callable[..., Place] = places
) -> Any:
    """Return the map; a click on a disc selects it as `PICK`, and `ink` is the colour of names.

    For fifty departments `places` takes a second: `lay_out` may remember what it returned.
    """
    ties = undirected(pairs)
    spot = lay_out(departments, ties)
    nodes = departments[["department", "people", "cross_share_given"]].assign(
        x=[spot[name][0] for name in departments["department"]],
        y=[spot[name][1] for name in departments["department"]],
        chosen=departments["department"] == chosen,
    )
    lines = ties.assign(
        x=[spot[name][0] for name in ties["one"]],
        y=[spot[name][1] for name in ties["one"]],
        x2=[spot[name][0] for name in ties["other"]],
        y2=[spot[name][1] for name in ties["other"]],
        pair=ties["one"] + " – " + ties["other"],
        near=(ties["one"] == chosen) | (ties["other"] == chosen),
    )
    shared = lines[lines["ties"] > 0].nlargest(STRONGEST, "ties")
    return _drawn(nodes, shared, lines[lines["missing"]], bool(chosen), ink)


def _drawn(nodes: pd.DataFrame, shared: pd.DataFrame, missing: pd.DataFrame, chosen: bool, ink: str) -> Any:
    x = alt.X("x:Q", axis=None, scale=alt.Scale(domain=_reach(nodes["x"]), nice=False))
    y = alt.Y("y:Q", axis=None, scale=alt.Scale(domain=_reach(nodes["y"]), nice=False))
    ends: dict[str, Any] = {"x": x, "y": y, "x2": "x2:Q", "y2": "y2:Q"}
    tip = [alt.Tooltip("pair:N", title="between"), alt.Tooltip("ties:Q", format=",.0f")]
    faint = alt.condition("datum.near", alt.value(0.75), alt.value(0.14 if chosen else 0.35))
    solid = (
        alt.Chart(shared)
        .mark_rule(color=TEAL, strokeCap="round")
        .encode(
            **ends,
            tooltip=tip,
            opacity=faint,
            strokeWidth=alt.StrokeWidth("ties:Q", scale=alt.Scale(range=[1, 10]), legend=None),
        )
    )
    dashed = alt.Chart(missing).mark_rule(color=ORANGE, strokeWidth=1.6, strokeDash=[5, 5]).encode(**ends, tooltip=tip)
    about = [
        alt.Tooltip("department:N"),
        alt.Tooltip("people:Q", format=",.0f"),
        alt.Tooltip("cross_share_given:Q", title="of what it gives leaves it", format=".0%"),
    ]
    spots = alt.Chart(nodes).encode(x=x, y=y, tooltip=about)
    discs = (
        spots.mark_circle(opacity=1, stroke="white", strokeWidth=2, cursor="pointer")
        .encode(
            size=alt.Size("people:Q", scale=alt.Scale(range=[220, 1800], zero=True), legend=None),
            color=alt.condition("datum.chosen", alt.value(ORANGE), alt.value(TEAL)),
        )
        .add_params(alt.selection_point(name=PICK, fields=["department"]))
    )
    large = 13 if len(nodes) <= 16 else 11
    names = spots.mark_text(dy=28, fontSize=large, fontWeight=600, color=ink).encode(text="department:N")
    return (solid + dashed + discs + names).properties(height=520)


def _reach(values: pd.Series) -> list[float]:
    margin = 0.14 * max(float(values.max() - values.min()), 0.5)
    return [float(values.min()) - margin, float(values.max()) + margin]
