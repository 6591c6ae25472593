"""Charts of the pages: colours that colour-blind people tell apart, legible on light and on dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import networkx as nx
import numpy as np
import pandas as pd
import streamlit as st

TEAL, ORANGE, BLUE, GREY = "#0f9488", "#d97706", "#4f7cc4", "#94a3b8"
SEVERAL = (TEAL, ORANGE, BLUE, GREY)
STRONGEST = 40  # ties drawn on a map of departments
WIDEST = 4.0  # times the expected ties at which colours end, and one of so many
HEIGHT = 280
APART = (0.36, 0.12)  # of the half width and height of a map, between two names
FEWEST = 10  # ties, before a share of them is drawn
ENOUGH = 5.0  # ties to be expected between two departments, before they are judged


def ink() -> str:
    """Return the colour of text on the ground that whoever looks has chosen."""
    return "#e2e8f0" if st.context.theme.type == "dark" else "#1f2937"


def ground() -> str:
    """Return a colour that stands back from it."""
    return "#3f3f46" if st.context.theme.type == "dark" else "#e5e7eb"


def gap() -> str:
    """Return a colour for lines between coloured areas, near to that of the page."""
    return "#18181b" if st.context.theme.type == "dark" else "#ffffff"


def draw(chart: Any, alternative: str) -> None:
    """Show a chart; `alternative` says what it shows to whoever cannot see it."""
    described = chart.properties(description=alternative)
    st.altair_chart(described, width="stretch", theme="streamlit")


def lines(frame: pd.DataFrame, x: str, series: Sequence[tuple[str, str]], form: str = ",.0f", unit: str = "") -> Any:
    """Return lines over days, each of a column and named beside its end; missing values leave a gap."""
    names = dict(series)
    long = frame.melt(x, list(names), "series", "value").replace({"series": names})
    long[x] = pd.to_datetime(long[x])
    base = alt.Chart(long.dropna(subset=["value"])).encode(
        x=alt.X(f"{x}:T", title=None, axis=alt.Axis(grid=False, format="%d %b", tickCount=8)),
        y=alt.Y("value:Q", title=unit or None, axis=alt.Axis(format=form, tickCount=4), scale=alt.Scale(zero=True)),
        color=alt.Color(
            "series:N",
            sort=list(names.values()),
            scale=alt.Scale(domain=list(names.values()), range=list(SEVERAL[: len(names)])),
            legend=alt.Legend(orient="top", title=None) if len(names) > 1 else None,
        ),
        tooltip=[
            alt.Tooltip(f"{x}:T", title="day"),
            alt.Tooltip("series:N", title=" "),
            alt.Tooltip("value:Q", format=form),
        ],
    )
    return (base.mark_line(strokeWidth=2.5) + base.mark_point(size=36, filled=True)).properties(height=HEIGHT)


def banded(frame: pd.DataFrame) -> Any:
    """Return the share of ties between departments over days, with its interval and what chance would give."""
    shown = frame[frame["cross_share"].notna() & (frame["tie_count"] >= FEWEST)].copy()
    shown["day"] = pd.to_datetime(shown["day"])
    shown["low"] = shown["cross_share"] - 1.96 * shown["cross_share_se"].astype(float)
    shown["high"] = shown["cross_share"] + 1.96 * shown["cross_share_se"].astype(float)
    x = alt.X("day:T", title=None, axis=alt.Axis(grid=False, format="%d %b", tickCount=8))
    y = alt.Y("cross_share:Q", title=None, axis=alt.Axis(format="%", tickCount=5), scale=alt.Scale(domain=[0, 1]))
    tip = [
        alt.Tooltip("day:T"),
        alt.Tooltip("cross_share:Q", title="between departments", format=".0%"),
        alt.Tooltip("cross_share_expected:Q", title="if people mixed at random", format=".0%"),
        alt.Tooltip("tie_count:Q", title="working ties", format=","),
    ]
    base = alt.Chart(shown)
    band = base.mark_area(opacity=0.18, color=TEAL).encode(x=x, y="low:Q", y2="high:Q")
    line = base.mark_line(color=TEAL, strokeWidth=2.5).encode(x=x, y=y)
    dots = base.mark_point(color=TEAL, filled=True, size=46).encode(x=x, y=y, tooltip=tip)
    chance = base.mark_line(color=GREY, strokeDash=[5, 4]).encode(x=x, y="cross_share_expected:Q")
    return (band + chance + line + dots).properties(height=HEIGHT)


def bars(frame: pd.DataFrame, x: str, y: str, title: str, unit: str = "yearmonthdate") -> Any:
    """Return columns over days, or another `unit` of time."""
    # Moments, for a browser would take days to begin in Greenwich.
    return (
        alt.Chart(frame.assign(**{x: pd.to_datetime(frame[x])}))
        .mark_bar(color=TEAL, cornerRadiusEnd=2, width={"band": 0.75})
        .encode(
            x=alt.X(f"{unit}({x}):T", title=None, axis=alt.Axis(grid=False, labelAngle=0)),
            y=alt.Y(f"{y}:Q", title=title, axis=alt.Axis(format=",.0f", tickCount=4)),
            tooltip=[alt.Tooltip(f"{unit}({x}):T", title=" "), alt.Tooltip(f"{y}:Q", title=title, format=",.0f")],
        )
        .properties(height=220)
    )


def give_and_take(frame: pd.DataFrame) -> Any:
    """Return what each department gives to others, to the right, and takes from them, to the left."""
    long = pd.concat(
        [
            frame.assign(side="taken from others", reads=-frame["cross_received"], read=frame["cross_received"]),
            frame.assign(side="given to others", reads=frame["cross_given"], read=frame["cross_given"]),
        ]
    )
    order = list(frame.sort_values("cross_given", ascending=False)["department"])
    return (
        alt.Chart(long)
        .mark_bar(cornerRadiusEnd=2)
        .encode(
            y=alt.Y("department:N", sort=order, title=None, axis=alt.Axis(labelLimit=170, ticks=False, domain=False)),
            x=alt.X(
                "reads:Q",
                title="reads across departments",
                axis=alt.Axis(labelExpr="format(abs(datum.value), ',')", tickCount=6),
            ),
            color=alt.Color(
                "side:N",
                scale=alt.Scale(domain=["taken from others", "given to others"], range=[ORANGE, TEAL]),
                legend=alt.Legend(orient="top", title=None),
            ),
            tooltip=[
                "department:N",
                alt.Tooltip("side:N", title=" "),
                alt.Tooltip("read:Q", title="reads", format=","),
            ],
        )
        .properties(height=alt.Step(22))
    )


def ordered(pairs: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """Return departments so that those stand beside each other that share alike (optimal order of leaves)."""
    from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
    from scipy.spatial.distance import pdist

    if len(names) < 3:
        return list(names)
    kept = list(names)
    ratio = pairs.pivot_table("ratio", "giving", "receiving").reindex(index=kept, columns=kept)
    alike = np.nan_to_num(np.log2(ratio.clip(1 / WIDEST, WIDEST).to_numpy()))
    profile = np.hstack([alike, alike.T])
    far = pdist(profile)
    leaves = optimal_leaf_ordering(linkage(far, "average"), far)
    return [names[number] for number in leaves_list(leaves)]


def matrix(pairs: pd.DataFrame, names: Sequence[str]) -> Any:
    """Return pairs of departments: white as expected, green more, brown less, grey not shown; a dot = flagged."""
    cell = pd.MultiIndex.from_product([names, names], names=["giving", "receiving"]).to_frame(index=False)
    cell = cell.merge(pairs, how="left", on=["giving", "receiving"])
    enough = cell["ratio"].where(cell["expected"] >= ENOUGH)
    cell["strength"] = np.log2(enough.clip(1 / WIDEST, WIDEST))
    cell["told"] = [_told(row) for row in cell.to_dict("records")]
    axis: dict[str, Any] = {"labelLimit": 160, "ticks": False, "domain": False, "title": None, "labelOverlap": False}
    x = alt.X("receiving:N", sort=list(names), axis=alt.Axis(**axis, orient="top", labelAngle=-50))
    y = alt.Y("giving:N", sort=list(names), axis=alt.Axis(**axis))
    tip = [alt.Tooltip("giving:N"), alt.Tooltip("receiving:N"), alt.Tooltip("told:N", title=" ")]
    words = "datum.value == 0 ? 'as expected' : (datum.value > 0 ? '× ' : '× 1/') + pow(2, abs(datum.value))"
    legend = alt.Legend(
        title="ties, to expected", orient="bottom", gradientLength=220, values=[-2, -1, 0, 1, 2], labelExpr=words
    )
    scale = alt.Scale(scheme="brownbluegreen", domain=[-2, 2])
    base = alt.Chart(cell).encode(x=x, y=y, tooltip=tip)
    behind = base.mark_rect(stroke=gap(), strokeWidth=1, cornerRadius=2, color=ground())
    judged = (
        base.transform_filter("isValid(datum.strength)")
        .mark_rect(stroke=gap(), strokeWidth=1, cornerRadius=2)
        .encode(color=alt.Color("strength:Q", scale=scale, legend=legend))
    )
    dots = base.transform_filter("datum.flagged").mark_point(
        filled=True, size=50, color="#111827", stroke="white", strokeWidth=1
    )
    # Names above and the legend below take their part of the height.
    return (behind + judged + dots).properties(height=(27 if len(names) <= 26 else 19) * len(names) + 190)


def _told(row: Mapping[Any, Any]) -> str:
    if row["giving"] == row["receiving"]:
        return "within the department"
    if row.get("withheld"):
        return "one or two ties, or not shown to protect another pair"
    if pd.isna(row["ratio"]):
        return "not shown"
    if row["expected"] < ENOUGH:
        return f"{row['ties']:.0f} ties, {row['expected']:.1f} expected: too few to judge"
    return f"{row['ties']:.0f} ties, {row['expected']:.1f} expected" + (": potential silo" if row["flagged"] else "")


def department_map(departments: pd.DataFrame, pairs: pd.DataFrame) -> Any:
    """Return departments as discs, near if they share much, with the strongest ties and, dashed, missing ones."""
    joined = _joined(pairs)
    graph = nx.Graph()
    graph.add_nodes_from(departments["department"])
    graph.add_weighted_edges_from((one, other, ties) for one, other, ties, _ in joined if ties > 0)
    place = nx.spring_layout(graph, seed=4, k=2.2 / np.sqrt(max(1, len(graph))), iterations=300)
    place = _apart(place)
    nodes = departments.assign(
        x=[place[name][0] for name in departments["department"]],
        y=[place[name][1] for name in departments["department"]],
    )
    strong = sorted(joined, key=lambda tie: -tie[2])[:STRONGEST]
    drawn = [(*tie, "shares") for tie in strong if tie[2] > 0] + [(*tie, "missing") for tie in joined if tie[3]]
    edges = pd.DataFrame(
        [(*place[a], *place[b], ties, kind, f"{a} – {b}") for a, b, ties, _, kind in drawn],
        columns=["x", "y", "x2", "y2", "ties", "kind", "pair"],
    )
    reach = alt.Scale(domain=[-1.15, 1.15])
    x, y = alt.X("x:Q", axis=None, scale=reach), alt.Y("y:Q", axis=None, scale=reach)
    line = alt.Chart(edges).encode(
        x=x, y=y, x2="x2:Q", y2="y2:Q", tooltip=[alt.Tooltip("pair:N"), alt.Tooltip("ties:Q", format=".0f")]
    )
    width = alt.StrokeWidth("ties:Q", scale=alt.Scale(range=[0.8, 9]), legend=None)
    solid = (
        line.transform_filter("datum.kind == 'shares'").mark_rule(color=TEAL, opacity=0.35).encode(strokeWidth=width)
    )
    dashed = line.transform_filter("datum.kind == 'missing'").mark_rule(color=ORANGE, strokeWidth=2, strokeDash=[6, 5])
    tip = [
        alt.Tooltip("department:N"),
        alt.Tooltip("people:Q", format=",.0f"),
        alt.Tooltip("cross_share_given:Q", title="of what it gives leaves it", format=".0%"),
    ]
    spots = alt.Chart(nodes).encode(x=x, y=y, tooltip=tip)
    discs = spots.mark_circle(color=TEAL, opacity=0.95, stroke=gap(), strokeWidth=1.5).encode(
        size=alt.Size("people:Q", scale=alt.Scale(range=[120, 1500]), legend=None)
    )
    labels = spots.mark_text(dy=-20, fontSize=12, fontWeight=600, color=ink()).encode(text="department:N")
    return (solid + dashed + discs + labels).properties(height=560)


def _apart(place: Mapping[str, Any]) -> dict[str, Any]:
    """Return places that fill the map, moved until no name covers another."""
    names = sorted(place)
    spots = np.array([place[name] for name in names])
    for turn in range(60):
        spots -= (spots.max(axis=0) + spots.min(axis=0)) / 2
        spots /= np.maximum(np.abs(spots).max(axis=0), 1e-9)
        if turn == 59:
            break
        for one in range(len(names)):
            away = spots[one] - spots
            near = (np.abs(away[:, 0]) < APART[0]) & (np.abs(away[:, 1]) < APART[1])
            near[one] = False
            if near.any():
                spots[one, 1] += 0.02 * np.sign(away[near, 1].sum() or 1.0)
    return dict(zip(names, spots, strict=True))


def _joined(pairs: pd.DataFrame) -> list[tuple[str, str, float, bool]]:
    """Return unordered pairs with their ties in both directions, and whether either is flagged."""
    both: dict[tuple[str, str], tuple[float, bool]] = {}
    for row in pairs.to_dict("records"):
        one, other = sorted((row["giving"], row["receiving"]))
        ties, flagged = both.get((one, other), (0.0, False))
        more = 0.0 if pd.isna(row["ties"]) else float(row["ties"])
        both[one, other] = ties + more, flagged or bool(row["flagged"])
    return [(one, other, ties, flagged) for (one, other), (ties, flagged) in sorted(both.items())]
